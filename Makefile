# Everything runs in a virtual environment of its own; `make clean` removes it.
PYTHON ?= python3
VENV ?= .venv
ifeq ($(OS),Windows_NT)
BIN = $(VENV)/Scripts
else
BIN = $(VENV)/bin
endif

.PHONY: demo test check docs test-mediapipe-1 clean

demo: $(VENV)/installed  ## run the main job on the demo video
	$(BIN)/ferwatch samples/demo.mp4 --out demo-ferwatch --export html --overwrite

test: $(VENV)/installed-test  ## run all tests
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

check: $(VENV)/installed-test  ## lint, format, types, and the direction of imports
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/python tests/architecture.py

docs: $(VENV)/installed  ## write docs/command-line.md from the commands' help
	$(BIN)/python docs/command_line.py

$(VENV)/environment:
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/installed: pyproject.toml | $(VENV)/environment
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-test: pyproject.toml | $(VENV)/environment
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@ $(VENV)/installed

# The face tests with MediaPipe 1.x, which Python 3.13 and later get. Its wheel has no face model: the older wheel's is used.
test-mediapipe-1: .venv-mediapipe-1/face_detection_short_range.tflite
	FERWATCH_TEST_FACE_MODEL=$(abspath $<) .venv-mediapipe-1/bin/python -m pytest tests/faces

.venv-mediapipe-1/face_detection_short_range.tflite:
	$(PYTHON) -m venv .venv-mediapipe-1
	.venv-mediapipe-1/bin/python -m pip install "mediapipe>=1.2,<1.3" "numpy>=2.1,<3" "opencv-contrib-python>=4.12,<5" scipy scikit-image "pytest>=8"
	.venv-mediapipe-1/bin/python -m pip download --no-deps --only-binary :all: --python-version 3.12 --dest .venv-mediapipe-1/wheel mediapipe==0.10.21
	cd .venv-mediapipe-1 && bin/python -m zipfile -e wheel/mediapipe-0.10.21-*.whl wheel
	cp .venv-mediapipe-1/wheel/mediapipe/modules/face_detection/face_detection_short_range.tflite $@

clean:
	rm -rf $(VENV) .venv-mediapipe-1
