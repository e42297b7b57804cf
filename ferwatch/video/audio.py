"""Sound: the audio for annotated.mp4, copied packet by packet where MP4 can carry it, else encoded as AAC."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction

import av
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer

from ferwatch.video.clock import TS_DISCONT, ClockJump, SoundClock, container_start
from ferwatch.video.sampling import ROUNDING

MP4_CODECS = frozenset({"aac", "mp3", "mp2", "ac3", "eac3", "alac", "flac", "opus"})
"""Audio codecs that MP4 allows and players expect in it."""
LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1", 16: "hexadecagonal"}
"""Number of channels -> the layout that is assumed where a file gives none that has a name."""
AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
"""Sample rates of AAC in Hz."""


class Sound:
    """The audio streams of `source` from `start` to `end`, as packets for `out` with times that count from `start`.

    The stream that is the default one in the source is the default one in `out`.

    Args:
        start, end: seconds on the video's continued clock.
        jumps: where the clock of the pictures starts again.
    """

    def __init__(
        self,
        source: InputContainer,
        out: OutputContainer,
        start: float,
        end: float | None,
        jumps: Sequence[ClockJump] = (),
    ) -> None:
        self.warnings: list[str] = []
        self._source = source
        self._range = (start, end)
        self._zero = container_start(source) + Fraction(start)
        self._tracks: dict[int, _CopiedTrack | _EncodedTrack] = {}
        self._clocks: dict[int, SoundClock] = {}
        for stream in source.streams.audio:
            if stream.codec_context is None or not stream.rate or not (channels := _channels(stream)):
                self.warnings.append("a sound track without a known codec is left out")
                continue
            codec = stream.codec_context.codec.canonical_name
            if codec in MP4_CODECS and _fits_into_mp4(stream):
                self._tracks[stream.index] = _CopiedTrack(stream, out)
            elif channels in LAYOUTS:
                self._tracks[stream.index] = _EncodedTrack(stream, channels, out)
                rate = f" at {stream.rate} Hz" if codec in MP4_CODECS else ""
                self.warnings.append(f"sound in {codec}{rate} does not go into MP4; encoded as AAC")
            else:
                self.warnings.append(
                    f"a sound track of {channels} channels in {codec} is left out: no layout of so many is known"
                )
                continue
            self._clocks[stream.index] = SoundClock(bool(source.format.flags & TS_DISCONT), picture_jumps=jumps)

    def packets(self) -> Iterator[tuple[float, av.Packet]]:
        """Yield each packet with its time in seconds, in the order of the source."""
        start, end = self._range
        playing = set(self._tracks)
        if not playing:
            return
        latest = dict.fromkeys(playing, -float("inf"))
        packets = self._source.demux([self._source.streams[index] for index in playing])
        while playing:
            try:
                packet = next(packets)
            except (StopIteration, av.FFmpegError, IndexError):
                break  # what cannot be demuxed any more, VideoReader has reported
            if packet.pts is None or packet.time_base is None:
                continue
            clock = self._clocks[packet.stream_index]
            clock.advance(packet)
            # A range that starts at 0 also takes what precedes it: AAC decoders need their priming packet.
            time = float(packet.pts * packet.time_base - self._zero)
            if clock.jumps and time <= latest[packet.stream_index]:
                continue  # two recordings were joined, and the sound of the first lasts longer than its pictures
            latest[packet.stream_index] = time
            if end is not None and time + start + ROUNDING >= end:
                playing.discard(packet.stream_index)
            elif packet.stream_index in playing and (start == 0 or time + ROUNDING >= 0):
                shift = round(self._zero / packet.time_base)
                packet.pts -= shift
                packet.dts = packet.pts if packet.dts is None else packet.dts - shift
                for ready in self._tracks[packet.stream_index].take(packet):
                    yield time, ready
        for track in self._tracks.values():
            for ready in track.finish():
                yield float("inf"), ready


def _channels(stream: AudioStream) -> int:
    """Return the number of channels, and give a layout without a name one that has a name.

    PyAV 18 frees the order of channels of other layouts once for each object that it makes of them, and crashes. To be
    called before anything else asks for the layout.
    """
    layout = stream.codec_context.layout
    if layout.nb_channels and re.fullmatch(r"\d+ channels.*", layout.name):
        stream.codec_context.layout = LAYOUTS.get(layout.nb_channels, "mono")
    return layout.nb_channels


def _fits_into_mp4(stream: AudioStream) -> bool:
    """Return whether FFmpeg writes the packets of a stream into MP4: not MP3 below 16 kHz, for instance."""
    try:
        with av.open(io.BytesIO(), "w", format="mp4") as trial:
            trial.add_stream_from_template(stream)
            trial.start_encoding()
    except av.FFmpegError:
        return False
    return True


class _CopiedTrack:
    def __init__(self, stream: AudioStream, out: OutputContainer) -> None:
        self._track = out.add_stream_from_template(stream)
        _keep_default(stream, self._track)
        self._before: int | None = None

    def take(self, packet: av.Packet) -> Iterator[av.Packet]:
        assert packet.pts is not None
        if not packet.duration and self._before is not None:  # counts for the last one only: MP4 stores differences
            packet.duration = packet.pts - self._before
        self._before = packet.pts
        packet.stream = self._track
        yield packet

    def finish(self) -> Iterator[av.Packet]:
        return iter(())


class _EncodedTrack:
    def __init__(self, stream: AudioStream, channels: int, out: OutputContainer) -> None:
        rate = min(AAC_RATES, key=lambda known: abs(known - stream.rate))
        layout = "mono" if channels == 1 else "stereo"
        self._stream = stream
        self._track = out.add_stream("aac", rate=rate, layout=layout)
        _keep_default(stream, self._track)
        self._resampler = AudioResampler(format="fltp", layout=layout, rate=rate)

    def take(self, packet: av.Packet | None) -> Iterator[av.Packet]:
        with suppress(av.FFmpegError):  # a damaged packet costs its own sound
            for frame in self._stream.decode(packet):
                for piece in self._resampler.resample(frame):
                    yield from self._track.encode(piece)

    def finish(self) -> Iterator[av.Packet]:
        yield from self.take(None)
        for piece in self._resampler.resample(None):
            yield from self._track.encode(piece)
        yield from self._track.encode(None)


def _keep_default(source: AudioStream, track: AudioStream) -> None:
    """Mark a track as default where its source is, and only there."""
    default = av.stream.Disposition.default
    track.disposition = av.stream.Disposition(source.disposition & default)
