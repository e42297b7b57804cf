"""samples/demo.mp4 is what samples/README.md says it is: judged by PyAV, and by MediaPipe's face mesh."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import mediapipe as mp
import numpy as np
import pytest
from numpy.typing import NDArray

SAMPLES = Path(__file__).parents[1] / "samples"
DEMO = SAMPLES / "demo.mp4"

needs_mesh = pytest.mark.skipif(not hasattr(mp, "solutions"), reason="this MediaPipe carries no face models")


def known_times() -> list[tuple[float, str, str]]:
    """The table of samples/README.md: (seconds, first person's expression, second person's or nothing)."""
    lines = [line.split("|")[1:4] for line in (SAMPLES / "README.md").read_text().splitlines() if line[:1] == "|"]
    return [(float(time), first.strip(), second.strip()) for time, first, second in lines[2:]]


@pytest.fixture(scope="module")
def pictures() -> list[tuple[float, NDArray[np.uint8]]]:
    with av.open(str(DEMO)) as film:
        return [(float(f.time or 0), f.to_ndarray(format="rgb24")) for f in film.decode(video=0)]


def test_a_short_small_film_with_sound_that_every_player_shows() -> None:
    assert DEMO.stat().st_size < 2_000_000
    with av.open(str(DEMO)) as film:
        assert film.duration is not None
        assert 10 <= film.duration / av.time_base <= 20
        assert film.streams.video[0].codec_context.name == "h264"
        assert film.streams.video[0].codec_context.pix_fmt == "yuv420p"
        loudest = max(np.abs(sound.to_ndarray()).max() for sound in film.decode(audio=0))
    assert 0.05 < loudest < 1, "silent, or clipped"


def test_sound_begins_and_ends_with_the_picture() -> None:
    with av.open(str(DEMO)) as film:
        for stream in film.streams:
            assert stream.start_time == 0
            assert float(stream.duration * stream.time_base) == pytest.approx(16.0, abs=0.05)


@needs_mesh
def test_one_face_all_the_time_and_a_second_in_its_part(pictures: list[tuple[float, NDArray[np.uint8]]]) -> None:
    with mp.solutions.face_detection.FaceDetection(min_detection_confidence=0.5) as finder:
        widths = {
            time: [d.location_data.relative_bounding_box.width * 640 for d in finder.process(picture).detections or []]
            for time, picture in pictures
        }
    assert [time for time, found in widths.items() if not found] == []
    assert {len(found) for time, found in widths.items() if time < 7.0 or time >= 12.6} == {1}
    assert {len(found) for time, found in widths.items() if 7.6 <= time < 12.0} == {2}
    assert min(width for found in widths.values() for width in found) >= 100


@needs_mesh
def test_mouths_show_the_expressions_at_the_known_times(pictures: list[tuple[float, NDArray[np.uint8]]]) -> None:
    times = known_times()
    assert {first for _, first, _ in times} >= {"neutral", "happy", "surprise"}
    seen: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for (_, first, second), (ends, _, _) in zip(times, [*times[1:], (16.0, "", "")], strict=True):
        # Just before the next change: whatever began at the row's time has settled by then.
        _, picture = min(pictures, key=lambda frame: abs(frame[0] - (ends - 0.06)))
        for person, name, mouth in zip(("first", "second"), (first, second), mouths(picture), strict=False):
            seen.setdefault((person, name), []).append(mouth)
    print(seen)


def mouths(picture: NDArray[np.uint8]) -> list[tuple[float, float]]:
    """How wide every face's mouth is and how far open, from left to right, in distances between the irises."""
    # Enlarged, because the mesh is made for faces that fill the picture.
    large = cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    with mp.solutions.face_mesh.FaceMesh(static_image_mode=True, max_num_faces=2, refine_landmarks=True) as mesh:
        found = mesh.process(large).multi_face_landmarks or []
    faces = [np.array([(p.x * 640, p.y * 360) for p in face.landmark]) for face in found]
    ends = [(61, 291), (13, 14), (468, 473)]
    lengths = [[np.hypot(*(face[a] - face[b])) for a, b in ends] for face in sorted(faces, key=lambda face: face[0, 0])]
    return [(width / irises, gap / irises) for width, gap, irises in lengths]
