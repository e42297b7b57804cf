from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from clips import make_clip, number_of, numbered, presentation_times

from ferwatch.errors import OutputError, VideoError
from ferwatch.render.annotated_video import annotate_video
from ferwatch.render.draw import bgr
from ferwatch.render.overlay import Overlay
from ferwatch.timeline.table import FrameTable
from ferwatch.video.source import VideoRange

SHARED = Path(__file__).parents[3] / "shared" / "videos"
THIRTY = [i / 30 for i in range(60)]
BOX = (100.0, 90.0, 40.0, 40.0)


def annotate(
    video: Path,
    table: FrameTable,
    out: Path,
    *,
    blur_faces: bool = False,
    progress: Callable[[int], None] | None = None,
    **range_: float,
) -> list[str]:
    """Draws a table's faces on the pictures of a video."""
    return annotate_video(
        VideoRange(video, **range_), Overlay.of(table, blurred=table if blur_faces else None), out, progress
    )


def clip(path: Path, times: list[float], **how: object) -> Path:
    """Large enough that box, label and chart leave the frame's number free."""
    return make_clip(path, times, **{"size": (320, 192), **how})


def face_at(box: tuple[float, float, float, float] = BOX, until: float = 10.0) -> FrameTable:
    """One happy face that stays in one place, sampled ten times a second."""
    time = np.arange(0, until, 0.1).round(3)
    ones = np.ones(len(time))
    probabilities = np.tile((0.01, 0.005, 0.015, 0.93, 0.01, 0.01, 0.02), (len(time), 1))
    return FrameTable(np.arange(len(time)), time, ones.astype(int), ones, np.tile(box, (len(time), 1)), probabilities)


def rows_of(table: FrameTable, kept: np.ndarray) -> FrameTable:
    """The rows of a table that a mask selects."""
    return FrameTable(*(column[kept] for column in vars(table).values()))


def sound_of(path: Path, start: float = 0.0, end: float = 1e9) -> list[tuple[float, bytes]]:
    """Every packet of the first sound track: its time from the container's start, and its bytes."""
    with av.open(str(path)) as container:
        begin = Fraction(container.start_time or 0, av.time_base)
        packets = [(float(p.pts * p.time_base - begin), bytes(p)) for p in container.demux(audio=0) if p.size]
    return [(time, data) for time, data in packets if start <= time < end]


def pictures_of(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def check_in_step(source: Path, annotated: Path) -> None:
    """Every frame and every sound packet of the source is there, at its own time."""
    assert presentation_times(annotated) == pytest.approx(presentation_times(source), abs=0.0005)
    theirs, ours = sound_of(source), sound_of(annotated)
    assert [data for _, data in ours] == [data for _, data in theirs]
    assert [time for time, _ in ours] == pytest.approx([time for time, _ in theirs], abs=0.0005)


UNEVEN = [0.0, 0.033, 0.21, 0.25, 0.5, 0.51, 0.52, 0.9, 1.5, 1.533, 2.2]


@pytest.mark.parametrize(
    ("name", "times", "how"),
    [
        ("plain.mp4", THIRTY, {"sound": "aac", "bframes": 2}),
        ("late.mp4", [0.8 + t for t in THIRTY], {"sound": "aac"}),
        ("edited.mp4", THIRTY, {"sound": "aac", "bframes": 2, "offset": -0.4}),
        ("uneven.mkv", UNEVEN, {"sound": "libmp3lame", "bframes": 2}),
        ("mpeg.avi", THIRTY, {"sound": "libmp3lame", "codec": "mpeg4"}),
    ],
)
def test_every_frame_keeps_its_time_and_the_sound_its_bytes(tmp_path, name, times, how):
    source = clip(tmp_path / name, times, **how)
    annotated = tmp_path / "annotated.mp4"
    assert annotate(source, face_at(), annotated) == []
    check_in_step(source, annotated)
    with av.open(str(annotated)) as container:
        picture = container.streams.video[0].codec_context
        assert (picture.codec.canonical_name, picture.pix_fmt) == ("h264", "yuv420p")
        assert (container.start_time or 0) / av.time_base == pytest.approx(0, abs=1 / 30)
    assert list(map(number_of, pictures_of(annotated))) == list(map(number_of, pictures_of(source)))
    data = annotated.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "playable while it loads"


@pytest.mark.parametrize("name", ["single_face.mp4", "face_noface.mov"])
def test_real_clips_stay_in_step(tmp_path, name):
    if not (SHARED / name).exists():
        pytest.skip("the shared clips are not on this machine")
    annotate(SHARED / name, face_at(), tmp_path / "annotated.mp4")
    check_in_step(SHARED / name, tmp_path / "annotated.mp4")


def test_sound_lies_beside_its_picture_in_the_file(tmp_path):
    source = clip(tmp_path / "c.mp4", [i / 10 for i in range(200)], sound="aac")
    annotate(source, face_at(), tmp_path / "annotated.mp4")
    with av.open(str(tmp_path / "annotated.mp4")) as container:
        packets = [(p.pos, p.stream.type, float(p.dts * p.time_base)) for p in container.demux() if p.size]
    times = [(kind, time) for _, kind, time in sorted(packets)]
    latest = {"video": 0.0, "audio": 0.0}
    for kind, time in times:
        latest[kind] = time
        assert abs(latest["video"] - latest["audio"]) < 1.5


def test_a_range_has_its_own_frames_and_sound_from_time_zero(tmp_path):
    source = clip(tmp_path / "c.mp4", THIRTY, sound="aac")
    annotated = tmp_path / "annotated.mp4"
    annotate(source, face_at(), annotated, start=0.5, end=1.2)
    assert [number_of(image) for image in pictures_of(annotated)] == list(range(15, 36))
    assert presentation_times(annotated) == pytest.approx([i / 30 for i in range(21)], abs=0.0005)
    wanted, ours = sound_of(source, 0.5, 1.2), sound_of(annotated)
    assert [data for _, data in ours] == [data for _, data in wanted]
    with av.open(str(annotated)) as container:
        first = next(container.decode(audio=0)).time
    assert first == pytest.approx(wanted[0][0] - 0.5, abs=0.001)


def test_the_box_stands_on_the_face_of_a_turned_clip(tmp_path):
    # The red square in the bottom left corner is the face.
    source = clip(tmp_path / "turned.mp4", THIRTY[:10], size=(640, 384), turned=90)
    annotate(source, face_at((0.0, 352.0, 32.0, 32.0)), tmp_path / "annotated.mp4")
    for number, image in enumerate(pictures_of(tmp_path / "annotated.mp4")):
        assert image.shape == (384, 640, 3)
        assert number_of(image) == number
        inside = image[358:378, 6:26].astype(float).mean((0, 1))
        assert np.abs(inside - numbered(0)[-10, 10]).max() < 15
        # Chroma has half the resolution, so that a thin line keeps its brightness better than its hue.
        edge = image[358:378, 30].astype(float).mean(0)
        assert np.abs(edge - bgr("happy")).mean() < 60
        assert edge[1] > 140


def test_between_times_without_a_face_nothing_is_drawn(tmp_path):
    source = clip(tmp_path / "c.mp4", THIRTY)
    annotate(source, face_at(until=1.0), tmp_path / "annotated.mp4")
    changed = [
        np.abs(a.astype(int) - b)[30:].mean()
        for a, b in zip(pictures_of(source), pictures_of(tmp_path / "annotated.mp4"), strict=True)
    ]
    assert min(changed[:28]) > 2.5
    assert max(changed[30:]) < 1.5, "and colours are the source's"


@pytest.mark.parametrize("tags", [{}, {"color_range": "pc", "colorspace": "bt709"}])
def test_colours_are_those_of_the_source(tmp_path, tags):
    """Of a file that names no matrix, of one of BT.709, and of one with full range."""
    source = tmp_path / "source.mp4"
    colours = [(200, 40, 40), (40, 180, 60), (60, 60, 210), (230, 230, 230), (30, 30, 30), (60, 200, 220)]
    image = np.repeat(np.array(colours, np.uint8)[None], 64, axis=0).repeat(32, axis=1)
    with av.open(str(source), "w") as out:
        stream = out.add_stream("libx264", rate=30, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = image.shape[1], image.shape[0], "yuv420p"
        if tags:
            stream.codec_context.colorspace, stream.codec_context.color_range = 1, 2
        frame = av.VideoFrame.from_ndarray(image, format="bgr24")
        if tags:
            frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="JPEG")
        out.mux(stream.encode(frame) + stream.encode(None))
    nothing = rows_of(face_at(), np.zeros(100, bool))
    annotate(source, nothing, tmp_path / "annotated.mp4")
    one, other = pictures_of(source)[0], pictures_of(tmp_path / "annotated.mp4")[0]
    for i, colour in enumerate(colours):
        middle = (slice(20, 44), slice(32 * i + 12, 32 * i + 20))
        assert np.abs(one[middle].mean((0, 1)) - colour).max() < 6, "the test's own clip"
        assert np.abs(other[middle].mean((0, 1)) - one[middle].mean((0, 1))).max() < 4


def test_blurred_faces_cannot_be_made_out_between_samples_either(tmp_path):
    source = clip(tmp_path / "c.mp4", THIRTY, size=(320, 192), grain=True)
    # The number's cells are the face: sampled at the start and the end of 0.8 s, missed in between.
    table = face_at((10.0, 12.0, 108.0, 40.0), until=0.9)
    gap = rows_of(table, ~np.isin(np.arange(9), range(1, 8)))
    annotate(source, gap, tmp_path / "annotated.mp4", blur_faces=True)
    for image in pictures_of(tmp_path / "annotated.mp4")[:25]:
        row = image[8, : 8 * 16].astype(int).mean(axis=1)
        assert np.abs(np.diff(row)).max() < 40, "no edge of a cell is left"


def test_an_odd_size_is_padded_by_one_pixel(tmp_path):
    source = clip(tmp_path / "c.mp4", THIRTY[:4], size=(321, 193), pix_fmt="yuv444p")
    annotate(source, face_at(), tmp_path / "annotated.mp4")
    images = pictures_of(tmp_path / "annotated.mp4")
    assert [image.shape for image in images] == [(194, 322, 3)] * 4
    assert [number_of(image) for image in images] == [0, 1, 2, 3]


def test_sound_that_mp4_cannot_carry_becomes_aac(tmp_path):
    source = clip(tmp_path / "c.mov", THIRTY, sound="pcm_s16le")
    warnings = annotate(source, face_at(), tmp_path / "annotated.mp4")
    assert warnings == ["sound in pcm_s16le does not go into MP4; encoded as AAC"]
    with av.open(str(tmp_path / "annotated.mp4")) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        wave = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert len(wave) == pytest.approx(44_100 * THIRTY[-1], abs=3000)
    spectrum = np.abs(np.fft.rfft(wave[4096 : 4096 + 44_100]))
    assert np.argmax(spectrum) == pytest.approx(440, abs=2)


def test_two_sound_tracks_are_both_copied(tmp_path):
    one = clip(tmp_path / "one.mp4", THIRTY, sound="aac")
    source = tmp_path / "two.mkv"
    with av.open(str(one)) as first, av.open(str(one)) as second, av.open(str(source), "w") as out:
        packets = []
        for container, kind in ((first, "video"), (first, "audio"), (second, "audio")):
            stream = getattr(container.streams, kind)[0]
            track = out.add_stream_from_template(stream)
            container.seek(0)
            packets += [(p, track) for p in container.demux(stream) if p.size]
        for packet, track in sorted(packets, key=lambda pair: pair[0].dts * pair[0].time_base):
            packet.stream = track
            out.mux(packet)
    annotate(source, face_at(), tmp_path / "annotated.mp4")
    with av.open(str(tmp_path / "annotated.mp4")) as container:
        assert len(container.streams.audio) == 2


def test_progress_counts_every_frame(tmp_path):
    counts: list[int] = []
    annotate(clip(tmp_path / "c.mp4", THIRTY), face_at(), tmp_path / "a.mp4", progress=counts.append)
    assert counts == list(range(1, 61))


def test_an_interrupt_leaves_nothing_behind(tmp_path):
    source = clip(tmp_path / "c.mp4", THIRTY, sound="aac")
    (tmp_path / "run").mkdir()

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        annotate(source, face_at(), tmp_path / "run" / "annotated.mp4", progress=stop)
    assert list((tmp_path / "run").iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    source = clip(tmp_path / "c.mp4", THIRTY[:4])
    with pytest.raises(OutputError, match=r"annotated\.mp4"):
        annotate(source, face_at(), tmp_path / "nowhere" / "annotated.mp4")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_named(tmp_path):
    source = clip(tmp_path / "c.mp4", THIRTY, grain=True)
    (tmp_path / ".annotated.partial.mp4").symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"annotated\.mp4: No space left"):
        annotate(source, face_at(), tmp_path / "annotated.mp4")
    assert not (tmp_path / "annotated.mp4").exists()


def test_a_source_that_is_no_video_leaves_nothing(tmp_path):
    (tmp_path / "c.mp4").write_text("no video")
    with pytest.raises(VideoError):
        annotate(tmp_path / "c.mp4", face_at(), tmp_path / "annotated.mp4")
    assert not (tmp_path / "annotated.mp4").exists()


def test_times_that_run_backwards_are_still_written_in_order(tmp_path):
    one = clip(tmp_path / "a.ts", [5 + t for t in THIRTY[:20]])
    two = clip(tmp_path / "b.ts", [3 + t for t in THIRTY[:20]])
    both = tmp_path / "both.ts"
    both.write_bytes(one.read_bytes() + two.read_bytes())
    annotate(both, face_at(), tmp_path / "annotated.mp4")
    times = presentation_times(tmp_path / "annotated.mp4")
    assert len(times) == 40
    assert all(a < b for a, b in pairwise(times))
