# Everything runs in a virtual environment of its own; `make clean` removes it.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test check install test-mediapipe-1 clean

demo: $(VENV)/installed  ## the main job on the demo video
	$(BIN)/ferwatch samples/demo.mp4 --out demo-ferwatch --export html --overwrite

test: $(VENV)/installed-test  ## all tests
	$(BIN)/python -m pytest

check: $(VENV)/installed-test  ## lint and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@ $(VENV)/installed

clean:
	rm -rf $(VENV)
