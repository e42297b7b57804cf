from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from clips import make_clip, number_of, numbered
from conftest import SHARED

from ferwatch.video.deinterlace import deinterlace
from ferwatch.video.picture import letterbox
from ferwatch.video.reader import VideoReader

FAULTS = SHARED / "faults"
THIRTY = [i / 30 for i in range(60)]


def pictures(path: Path) -> list[np.ndarray]:
    if not path.exists():
        pytest.skip("the shared faults are not on this machine")
    with VideoReader(path) as reader:
        return [frame.image.astype(int) for frame in reader]


def difference(ours: Path, theirs: Path) -> float:
    """The mean difference of two films' pictures, of 255 levels."""
    return float(np.mean([np.abs(a - b).mean() for a, b in zip(pictures(ours), pictures(theirs), strict=False)]))


@pytest.mark.parametrize("turned", [90, 180, 270])
def test_a_turned_clip_comes_out_upright(tmp_path, turned):
    path = make_clip(tmp_path / "turned.mp4", THIRTY[:5], turned=turned)
    with VideoReader(path) as reader:
        frames = list(reader)
    for number, frame in enumerate(frames):
        assert frame.image.shape == (96, 160, 3)
        assert np.abs(frame.image.astype(int) - numbered(number)).mean() < 8
    # An independent reader turns it the same way.
    capture = cv2.VideoCapture(str(path))
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    theirs = capture.read()[1]
    assert np.abs(frames[0].image.astype(int) - theirs).mean() < 4


@pytest.mark.parametrize(
    ("matrix", "rotation", "mirrored"),
    [((-1, 0, 0, 1), 0, True), ((1, 0, 0, -1), 180, True), ((0, 1, 1, 0), 270, True), ((0, -1, -1, 0), 90, True),
     ((1, 0, 0, 1), 0, False), ((-1, 0, 0, -1), 180, False)],
)  # fmt: skip
def test_a_mirrored_clip_is_shown_as_its_matrix_says(tmp_path, matrix, rotation, mirrored):
    path = make_clip(tmp_path / "c.mp4", THIRTY[:4], matrix=matrix)
    with VideoReader(path) as reader:
        assert (reader.info.rotation, reader.info.mirrored) == (rotation, mirrored)
        for number, frame in enumerate(reader):
            assert frame.image.shape == (96, 160, 3)
            assert np.abs(frame.image.astype(int) - numbered(number)).mean() < 8


@pytest.mark.parametrize(
    ("shape", "size"), [(Fraction(64, 45), (228, 96)), (Fraction(8, 9), (160, 108)), (Fraction(1), (160, 96))]
)
def test_pixels_are_made_square(tmp_path, shape, size):
    path = make_clip(tmp_path / "c.mp4", THIRTY[:4], shape=shape)
    with VideoReader(path) as reader:
        assert (reader.info.width, reader.info.height) == size
        assert reader.info.pixel_aspect == pytest.approx(float(shape))
        for number, frame in enumerate(reader):
            assert frame.image.shape[1::-1] == size
            assert number_of(cv2.resize(frame.image, (160, 96))) == number


def test_an_improbable_pixel_shape_is_not_used_and_named(tmp_path):
    path = make_clip(tmp_path / "c.mp4", THIRTY[:4], shape=Fraction(12, 1))
    with VideoReader(path) as reader:
        assert (reader.info.width, reader.info.height) == (160, 96)
        assert any("12:1" in warning and "square" in warning for warning in reader.warnings)


def test_pixel_shapes_of_a_turned_clip_turn_with_it(tmp_path):
    path = make_clip(tmp_path / "c.mp4", THIRTY[:2], shape=Fraction(3, 2), turned=90)
    with VideoReader(path) as reader:
        assert [frame.image.shape for frame in reader] == [(144, 160, 3)] * 2


def test_a_shape_that_no_pixel_has_is_ignored(tmp_path):
    path = make_clip(tmp_path / "c.mkv", THIRTY[:2], shape=Fraction(100, 1))
    with VideoReader(path) as reader:
        assert [frame.image.shape for frame in reader] == [(96, 160, 3)] * 2


def test_a_picture_whose_size_changes_is_given_as_it_is_with_its_place_in_the_largest(tmp_path):
    one = make_clip(tmp_path / "a.h264", THIRTY[:10])
    two = make_clip(tmp_path / "b.h264", THIRTY[:10], size=(320, 320))
    both = tmp_path / "both.h264"
    both.write_bytes(one.read_bytes() + two.read_bytes())
    with VideoReader(both) as reader:
        frames = list(reader)
    assert (reader.info.width, reader.info.height) == (320, 320)
    assert [frame.image.shape for frame in frames] == [(96, 160, 3)] * 10 + [(320, 320, 3)] * 10
    assert len([w for w in reader.warnings if "size of its picture changes" in w]) == 1
    assert frames[15].placement is None
    assert frames[0].placement == pytest.approx((2, 0, 64)), "centred, as large as fits"
    framed = letterbox(frames[0].image, frames[0].placement, (320, 320))
    assert framed.shape == (320, 320, 3)
    assert framed[:63].max() == 0
    assert framed[257:].max() == 0
    assert framed[245:255, 2:10, 2].mean() > 180, "the whole picture, not a corner of it"


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix"),
    [("libx264", "yuv422p10le", "mp4"), ("libx264", "yuv444p", "mp4"), ("libvpx-vp9", "yuva420p", "webm"),
     ("libsvtav1", "yuv420p", "mp4"), ("mjpeg", "yuvj420p", "mov")],
)  # fmt: skip
def test_other_codecs_and_pixel_formats(tmp_path, codec, pix_fmt, suffix):
    path = make_clip(tmp_path / f"c.{suffix}", THIRTY[:6], codec=codec, pix_fmt=pix_fmt)
    with VideoReader(path) as reader:
        frames = list(reader)
    assert [number_of(frame.image) for frame in frames] == list(range(6))
    assert np.abs(frames[3].image.astype(int) - numbered(3)).mean() < 8


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [("c.flv", "flashsv", "bgr24"), ("c.avi", "zmbv", "bgr0"), ("c.mp4", "libx264", "yuv420p")],
)
def test_a_frame_that_is_drawn_on_does_not_show_in_the_next(tmp_path, name, codec, pix_fmt):
    """flashsv's decoder gives out the very picture that it draws the next one's differences into."""
    path = make_clip(tmp_path / name, THIRTY[:8], size=(50, 30), codec=codec, pix_fmt=pix_fmt)
    with VideoReader(path) as reader:
        untouched = [frame.image.copy() for frame in reader]
    with VideoReader(path) as reader:
        for frame, image in zip(reader, untouched, strict=True):
            assert np.array_equal(frame.image, image)
            frame.image[:] = 7


@pytest.mark.parametrize("size", [(2, 2), (128, 33), (161, 97)])
def test_small_and_odd_sizes(tmp_path, size):
    codec, pix_fmt = ("libx264", "yuv444p") if size[0] > 2 else ("libx264", "yuv420p")
    path = make_clip(tmp_path / "c.mp4", THIRTY[:3], size=size, codec=codec, pix_fmt=pix_fmt)
    with VideoReader(path) as reader:
        assert [frame.image.shape for frame in reader] == [(size[1], size[0], 3)] * 3


def gray_film(path: Path, bits: int) -> Path:
    """A ramp of 256 levels in 16-bit gray whose values use so many bits; its first picture is black."""
    ramp = np.tile(np.arange(256, dtype=np.uint16) << (bits - 8), (64, 1))
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 256, 64, "gray16le"
        for number in range(20):
            frame = av.VideoFrame.from_ndarray(ramp * (number > 0), format="gray16le")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_gray_of_fewer_bits_is_scaled_to_its_range(tmp_path, bits):
    path = gray_film(tmp_path / "gray.mkv", bits)
    with VideoReader(path) as reader:
        image = list(reader)[-1].image
        assert (reader.warnings == []) == (bits == 16)
    assert np.abs(image[32, :, 0].astype(int) - np.arange(256)).max() <= 1


def test_the_bits_of_a_thermal_camera_do_not_show():
    assert difference(FAULTS / "gray16_low" / "g16low.mkv", FAULTS / "gray16_low" / "g16full.mkv") == 0


def test_what_moves_between_two_fields_is_shown_where_it_was_in_the_first():
    first = np.full((96, 160, 3), 60, np.uint8)
    second = first.copy()
    first[20:70, 40:80], second[20:70, 60:100] = 200, 200
    woven = first.copy()
    woven[1::2] = second[1::2]
    assert np.abs(deinterlace(woven).astype(int) - first)[:, 30:110].mean() < 3
    assert np.abs(deinterlace(woven, 1).astype(int) - second)[:, 30:110].mean() < 3


def test_what_stands_still_keeps_its_lines():
    picture = np.ascontiguousarray(np.random.default_rng(1).integers(0, 255, (48, 80, 3)).astype(np.uint8))
    picture = cv2.GaussianBlur(cv2.resize(picture, (320, 192)), (0, 0), 2)
    assert np.array_equal(deinterlace(picture), picture)


def test_of_dv_the_lower_field_is_the_first(tmp_path):
    """Its header does not say so, but it always is."""
    first, second = (np.zeros((576, 720, 3), np.uint8) for _ in range(2))
    first[200:380, 100:300] = second[200:380, 340:540] = 235
    woven = second.copy()
    woven[1::2] = first[1::2]
    with av.open(str(tmp_path / "c.dv"), "w") as out:
        track = out.add_stream("dvvideo", rate=25)
        track.width, track.height, track.pix_fmt = 720, 576, "yuv420p"
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(woven, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(track.encode(frame))
        out.mux(track.encode(None))
    with VideoReader(tmp_path / "c.dv") as reader:
        image = cv2.resize(next(iter(reader)).image, (720, 576))
    assert np.abs(image.astype(int) - first)[210:370].mean() < 10
    assert np.abs(image.astype(int) - second)[210:370].mean() > 50


def test_an_interlaced_film_is_near_to_the_same_film_in_whole_pictures():
    folder = FAULTS / "interlaced"
    ours = difference(folder / "inter.mpg", folder / "progressive_reference.mp4")
    theirs = difference(folder / "deinterlaced_reference.mp4", folder / "progressive_reference.mp4")
    assert ours < 1.2 * theirs, "as good as yadif"


def hdr_film(path: Path, levels: list[float], transfer: int) -> Path:
    """Gray stripes of 10 bits, whose levels are shares of the range; transfer: 16 is PQ, 18 is HLG."""
    values = [round(64 + 876 * level) for level in levels]
    luma = np.repeat(np.repeat(np.array(values, np.uint16), 32)[None], 64, axis=0)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = luma.shape[1], 64, "yuv420p10le"
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace, context.color_range = transfer, 9, 9, 1
        frame = av.VideoFrame(luma.shape[1], 64, "yuv420p10le")
        chroma = np.full((32, luma.shape[1] // 2), 512, np.uint16)
        for plane, data in zip(frame.planes, (luma, chroma, chroma), strict=True):
            rows = np.zeros((plane.height, plane.line_size // 2), np.uint16)
            rows[:, : data.shape[1]] = data[: plane.height]
            plane.update(rows.tobytes())
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        frame.color_trc, frame.color_primaries, frame.colorspace, frame.color_range = transfer, 9, 9, 1
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def test_pq_is_brought_to_an_ordinary_screen(tmp_path):
    # The shares of PQ's range for 0, 10, 50.75 and 203 cd/m2 (BT.2408's diffuse white), and for 1000 and 10000.
    path = hdr_film(tmp_path / "hdr.mkv", [0.0, 0.3019, 0.4425, 0.5807, 0.7518, 1.0], 16)
    with VideoReader(path) as reader:
        assert reader.info.dynamic_range == "PQ"
        image = next(iter(reader)).image
    black, dim, quarter, white, peak, beyond = image[32, 16::32].mean(axis=1)
    assert black == pytest.approx(0, abs=1)
    assert dim == pytest.approx(255 * (10 / 203) ** (1 / 2.4), abs=2)
    assert quarter == pytest.approx(255 * 0.25 ** (1 / 2.4), abs=2)
    assert 235 < white < peak
    assert (peak, beyond) == (255, 255)


def test_hlg_is_brought_to_an_ordinary_screen(tmp_path):
    # BT.2408: diffuse white, 203 cd/m2, is at 75% of HLG's range, and middle gray, 26 cd/m2, at 38%.
    with VideoReader(hdr_film(tmp_path / "hdr.mkv", [0.0, 0.38, 0.75, 1.0], 18)) as reader:
        assert reader.info.dynamic_range == "HLG"
        black, middle, white, peak = next(iter(reader)).image[32, 16::32].mean(axis=1)
    assert black == pytest.approx(0, abs=1)
    assert middle == pytest.approx(255 * (26 / 203) ** (1 / 2.4), abs=4)
    assert 235 < white < peak <= 255


def test_hdr_of_a_phone_looks_like_its_tone_mapped_copy():
    folder = FAULTS / "hdr_pq"
    assert difference(folder / "pq.mp4", folder / "tone_mapped_reference.mp4") < 3


def test_a_squeezed_film_looks_like_the_one_with_square_pixels():
    folder = FAULTS / "anamorphic"
    assert difference(folder / "pal_wide_hci_sad.mp4", folder / "square_hci_sad.mp4") < 4
