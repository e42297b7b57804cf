from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from clips import make_clip

from ferwatch.video.encoding import to_picture
from ferwatch.video.picture import letterbox
from ferwatch.video.reader import VideoReader
from ferwatch.video.writer import annotated_video

TWO_SECONDS = [i / 25 for i in range(50)]


def copy(source: Path, out: Path) -> list[str]:
    """Writes all pictures and the sound of a video anew; returns the writer's warnings."""
    with VideoReader(source) as reader, annotated_video(out, reader.info) as writer:
        for frame in reader:
            image = letterbox(frame.image, frame.placement, (reader.info.width, reader.info.height))
            writer.write(to_picture(image), frame.timestamp, frame.duration)
        return writer.warnings


def test_sound_and_pictures_go_on_together_where_the_clock_restarts(tmp_path):
    pieces = [
        make_clip(tmp_path / f"{start}.ts", [start + t for t in TWO_SECONDS], sound="aac", sound_from=start, rate=25)
        for start in (7, 3)
    ]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(piece.read_bytes() for piece in pieces))
    assert copy(joined, tmp_path / "annotated.mp4") == []
    with av.open(str(tmp_path / "annotated.mp4")) as container:
        pictures = [frame.time for frame in container.decode(video=0)]
    with av.open(str(tmp_path / "annotated.mp4")) as container:
        sound = [frame.time for frame in container.decode(audio=0)]
    assert len(pictures) == 100
    assert pictures[-1] - pictures[0] == pytest.approx(3.96, abs=0.01)
    assert sound[-1] == pytest.approx(4, abs=0.1)
    assert max(np.diff(sound)) < 0.1, "no hole where the two meet"


def two_sounds(path: Path, default: int) -> Path:
    """A clip with two sound tracks, one of which is marked as default."""
    made = make_clip(path.with_name("made.mp4"), TWO_SECONDS, sound="aac", rate=25)
    with av.open(str(path), "w") as out:
        inputs = [av.open(str(made)) for _ in range(3)]
        streams = [inputs[0].streams.video[0], inputs[1].streams.audio[0], inputs[2].streams.audio[0]]
        tracks = [out.add_stream_from_template(stream) for stream in streams]
        for number, track in enumerate(tracks[1:]):
            track.disposition = av.stream.Disposition(av.stream.Disposition.default if number == default else 0)
        packets = []
        for container, stream, track in zip(inputs, streams, tracks, strict=True):
            packets += [(packet, track) for packet in container.demux(stream) if packet.size]
        for packet, track in sorted(packets, key=lambda pair: pair[0].dts * pair[0].time_base):
            packet.stream = track
            out.mux(packet)
        for container in inputs:
            container.close()
    return path


@pytest.mark.parametrize("default", [0, 1])
def test_the_default_sound_track_stays_the_default(tmp_path, default):
    copy(two_sounds(tmp_path / "two.mkv", default), tmp_path / "annotated.mp4")
    with av.open(str(tmp_path / "annotated.mp4")) as container:
        is_default = [bool(s.disposition & av.stream.Disposition.default) for s in container.streams.audio]
    assert is_default == [default == 0, default == 1]


def test_the_last_picture_is_shown_as_long_as_in_the_source(tmp_path):
    copy(make_clip(tmp_path / "c.mp4", [0.0, 0.5], last=4.0), tmp_path / "annotated.mp4")
    with av.open(str(tmp_path / "annotated.mp4")) as container:
        assert container.duration / av.time_base == pytest.approx(4.5, abs=0.01)


def clip_with_sound(path: Path, codec: str, rate: int, layout: str) -> Path:
    """A clip of two seconds with a tone on all channels."""
    with (
        av.open(str(make_clip(path.with_name("silent.mp4"), TWO_SECONDS, rate=25))) as silent,
        av.open(str(path), "w") as out,
    ):
        pictures = out.add_stream_from_template(silent.streams.video[0])
        track = out.add_stream(codec, rate=rate, layout=layout)
        for packet in silent.demux(silent.streams.video[0]):
            if packet.size:
                packet.stream = pictures
                out.mux(packet)
        tone = (8000 * np.sin(np.arange(2 * rate) * 2 * np.pi * 440 / rate)).astype(np.int16)
        channels = track.codec_context.layout.nb_channels
        frame = av.AudioFrame.from_ndarray(np.repeat(tone, channels)[None], format="s16", layout=layout)
        frame.rate = rate
        resampler = av.AudioResampler(track.format, layout, rate, track.codec_context.frame_size or 1024)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(track.encode(piece))
        out.mux(track.encode(None))
    return path


def sound_of(path: Path) -> tuple[str, np.ndarray]:
    """The codec and the first channel, -1 to 1."""
    with av.open(str(path)) as container:
        to_float = av.AudioResampler("fltp")
        pieces = [piece for frame in container.decode(audio=0) for piece in to_float.resample(frame)]
        return container.streams.audio[0].codec_context.name, np.concatenate([p.to_ndarray()[0] for p in pieces])


@pytest.mark.parametrize("layout", ["6.1", "7.1"])
def test_sound_of_many_channels_in_mov_is_mixed_down(tmp_path: Path, layout: str) -> None:
    source = clip_with_sound(tmp_path / "many.mov", "pcm_s16le", 48_000, layout)
    assert copy(source, tmp_path / "annotated.mp4") == ["sound in pcm_s16le does not go into MP4; encoded as AAC"]
    codec, wave = sound_of(tmp_path / "annotated.mp4")
    assert codec == "aac"
    assert len(wave) == pytest.approx(2 * 48_000, abs=3000)
    assert np.abs(wave[10_000:80_000]).max() > 0.05


def test_channels_that_nobody_knows_cost_the_sound_alone(tmp_path: Path) -> None:
    source = clip_with_sound(tmp_path / "nine.mkv", "pcm_s16le", 48_000, "FL+FR+FC+LFE+BL+BR+FLC+FRC+BC")
    assert copy(source, tmp_path / "annotated.mp4") == [
        "a sound track of 9 channels in pcm_s16le is left out: no layout of so many is known"
    ]
    with av.open(str(tmp_path / "annotated.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 50
        assert not container.streams.audio


def test_mp3_of_a_rate_that_mp4_does_not_take_becomes_aac(tmp_path: Path) -> None:
    source = clip_with_sound(tmp_path / "voice.mkv", "libmp3lame", 8_000, "mono")
    assert copy(source, tmp_path / "annotated.mp4") == ["sound in mp3 at 8000 Hz does not go into MP4; encoded as AAC"]
    codec, wave = sound_of(tmp_path / "annotated.mp4")
    assert codec == "aac"
    assert len(wave) == pytest.approx(2 * 8_000, abs=3000)


def test_the_last_packet_of_sound_without_lengths_is_kept(tmp_path: Path) -> None:
    source = clip_with_sound(tmp_path / "lossless.mkv", "alac", 44_100, "mono")
    assert copy(source, tmp_path / "annotated.mp4") == []
    _, before = sound_of(source)
    codec, after = sound_of(tmp_path / "annotated.mp4")
    assert codec == "alac"
    assert np.array_equal(after[: len(before)], before)
