"""Times of pictures: clocks that restart, files without times, and how long the last picture is shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ferwatch.video.avi import avi_is_whole
from ferwatch.video.sampling import ROUNDING

# Flags of FFmpeg's AVInputFormat.
TS_DISCONT, NO_TIMESTAMPS = 0x0200, 0x0080
SEGMENT_ID = b"\x18\x53\x80\x67"
"""Id of the element of a Matroska file that holds everything except the header."""
BACKWARD_JUMP_SECONDS = Fraction(1, 10)
"""A packet whose decoding time is earlier than the one before by more than this starts a new clock."""
FORWARD_JUMP_SECONDS = 10
"""In MPEG-TS and MPEG-PS, a packet later than expected by more than this starts a new clock, as FFmpeg decides."""
JOINT_PACKETS = 3
"""Packets on either side of a restart whose corruption is ignored: two joined recordings do not fit together."""
MAX_SKEW_SECONDS = 2
"""Largest distance in seconds between the ends of sound and pictures of one recording."""
MAX_INTERVAL_SECONDS = 0.2
"""Longest assumed duration of a picture whose duration the container does not state."""
DEFAULT_RATE = 25.0
"""Frames per second that are assumed where the file states no rate, as FFmpeg does."""


@dataclass(frozen=True, slots=True)
class ClockJump:
    """A place in a stream at which its clock starts again."""

    packet: int
    """Number of the first packet of the new clock, from 0."""
    position: int
    """Byte position in the file of the first packet of the new clock; -1: unknown."""
    time: float
    """Seconds on the continued clock at which the first packet of the new clock is shown, counted like packet times."""
    shift: Fraction
    """Seconds to add to all times from here on."""


@dataclass
class PacketClock:
    """Continues the times of one stream's packets where its clock restarts, as players do.

    Pieces of MPEG-TS that were joined, or a recorder that restarted, begin a new clock in mid-stream. Its first packet
    then follows the one before it.
    """

    may_jump_forward: bool
    """True if a long step forward is a restart too, as in MPEG-TS."""
    has_decoding_lengths: bool = False
    """True if the length of a packet is the time to the next one in decoding order, as in MP4."""
    jumps: list[ClockJump] = field(default_factory=list)
    packets: int = 0
    """Packets seen so far."""
    # The rest in units of the stream's time base: an hour of video has a hundred thousand packets.
    _time_base: Fraction | None = None
    _shift_ticks: int = 0
    _latest: int | None = None
    _length: int = 0
    _pts: int | None = None
    """Presentation time of the latest packet."""
    _max_pts: int | None = None
    """Latest of all presentation times."""

    @classmethod
    def for_container(cls, container: InputContainer) -> PacketClock:
        return cls(bool(container.format.flags & TS_DISCONT), "mp4" in container.format.name)

    def last_length(self, own: float) -> float:
        """Return the seconds for which the last picture of a file is shown, when all packets have been seen.

        Args:
            own: what the packet of that picture says. In MP4 with pictures that are decoded out of order it says when
                another one is decoded; the last packet says how long a picture is.
        """
        if not self.has_decoding_lengths or self._pts == self._max_pts or self._time_base is None:
            return own
        return float(self._length * self._time_base) or own

    def _shift_after_jump(self, own: Fraction, expected: Fraction) -> Fraction:
        """Return the shift that brings the time `own` of the first packet of a new clock to the continued clock.

        `expected` is the end of the packet before it, in seconds on the continued clock.
        """
        return expected - own

    def is_near_jump(self, packet: int) -> bool:
        """Return whether the packet of that number lies where a clock restarts: between two recordings."""
        return any(abs(packet - jump.packet) <= JOINT_PACKETS for jump in self.jumps)

    def advance(self, packet: Packet) -> None:
        """Shift the packet's times to the continued clock, in place. Packets come in the order of the file."""
        self.packets += 1
        base = self._time_base = self._time_base or packet.time_base
        if packet.dts is None or base is None:
            return
        own, shown = packet.dts, packet.dts if packet.pts is None else packet.pts
        # A packet that an edit list leaves out may lie anywhere in the file's time.
        if packet.is_discard:
            packet.dts = own + self._shift_ticks
            packet.pts = None if packet.pts is None else packet.pts + self._shift_ticks
            return
        if self._latest is not None and self._restarts(own + self._shift_ticks - self._latest, base):
            shift = self._shift_after_jump(own * base, (self._latest + self._length) * base)
            self._shift_ticks = round(shift / base)
            position = -1 if packet.pos is None else packet.pos
            self.jumps.append(ClockJump(self.packets - 1, position, float(shown * base + shift), shift))
        if self._shift_ticks:
            packet.dts = own + self._shift_ticks
            packet.pts = None if packet.pts is None else packet.pts + self._shift_ticks
        time = own + self._shift_ticks
        if packet.duration:
            self._length = packet.duration
        elif self._latest is not None and time > self._latest:
            self._length = time - self._latest
        self._latest = time if self._latest is None else max(time, self._latest)
        if packet.pts is not None:
            self._pts = packet.pts
            self._max_pts = packet.pts if self._max_pts is None else max(packet.pts, self._max_pts)

    def _restarts(self, step: int, base: Fraction) -> bool:
        """Return whether a packet is the first one of a new clock that comes so many ticks after the one before it."""
        if 0 <= step <= self._length:  # as nearly always
            return False
        backward = -step * base > BACKWARD_JUMP_SECONDS
        forward = (step - self._length) * base > FORWARD_JUMP_SECONDS
        return backward or (self.may_jump_forward and forward)


@dataclass
class SoundClock(PacketClock):
    """Continues the times of a sound stream as the picture stream's were, so that both stay in step."""

    picture_jumps: Sequence[ClockJump] = ()

    def _shift_after_jump(self, own: Fraction, expected: Fraction) -> Fraction:
        shifts = [jump.shift for jump in self.picture_jumps] or [expected - own]
        nearest = min(shifts, key=lambda shift: abs(own + shift - expected))
        return nearest if abs(own + nearest - expected) < MAX_SKEW_SECONDS else expected - own


class _Timed(Protocol):
    """A decoded picture, or its packet."""

    @property
    def pts(self) -> int | None: ...
    @property
    def duration(self) -> int | None: ...
    @property
    def time_base(self) -> Fraction | None: ...


class PictureClock:
    """The presentation times of decoded pictures in seconds, never decreasing.

    Args:
        start_time: seconds on the container's clock from which times count.
        rate: frames per second.
        timed: whether the container carries times; else they follow from index and rate.
    """

    def __init__(self, start_time: Fraction, rate: float, *, timed: bool) -> None:
        self._start_time = start_time
        self._rate = rate
        self._timed = timed
        self._latest = 0.0
        self._interval = 1 / rate
        self.held = 0
        """Number of pictures whose time lies before that of the previous picture, and which got the previous time."""

    def time(self, index: int, picture: _Timed) -> float:
        """Return the time at which the picture with this index in presentation order is shown."""
        if not self._timed:
            return index / self._rate
        if picture.pts is not None and picture.time_base is not None:
            time = _seconds(picture.pts, picture.time_base, self._start_time)
            # Containers round their own start to microseconds, and Matroska all times to milliseconds.
            self.held += time < self._latest - ROUNDING
            if time > self._latest:
                self._interval = min(time - self._latest, MAX_INTERVAL_SECONDS)
            self._latest = max(time, self._latest)
        return self._latest

    def length(self, picture: _Timed) -> float:
        """Return the seconds for which the container says that the picture is shown; else those from the picture before
        it to this one, which was given to `time` last."""
        if self._timed and picture.duration and picture.time_base is not None:
            return picture.duration * picture.time_base.numerator / picture.time_base.denominator
        return self._interval


def _seconds(ticks: int, time_base: Fraction, start: Fraction) -> float:
    """Return float(ticks * time_base - start), to the last bit, but in less time than fractions take."""
    scale = time_base.denominator * start.denominator
    return (ticks * time_base.numerator * start.denominator - start.numerator * time_base.denominator) / scale


def has_times(container: InputContainer, first: VideoFrame) -> bool:
    """Return whether a file carries times for its pictures; raw streams carry none, even where FFmpeg counts some."""
    return first.pts is not None and not container.format.flags & NO_TIMESTAMPS


def rate_without_times(stream: VideoStream) -> tuple[float, bool]:
    """Return the frame rate of a stream without times, and whether it is a guess: its header does not name one."""
    named = stream.codec_context.framerate
    if named and 1 <= named <= 1000:
        return float(named), False
    return float(stream.guessed_rate or stream.average_rate or DEFAULT_RATE), True


class _Described(Protocol):
    @property
    def has_audio(self) -> bool: ...
    @property
    def duration(self) -> float | None: ...


def shown_until(path: Path, container: InputContainer, stream: VideoStream, info: _Described) -> float:
    """Return the earliest time in seconds at which the last picture ends; 0 where the file does not say.

    AVI stores a picture that stays on screen as empty frames, which are in no packet but count for the stream's length.
    Matroska may store the length of the last picture only as that of the file or the track, on the file's own clock.
    """
    name = container.format.name
    if name == "avi" and stream.duration and stream.time_base and avi_is_whole(path):
        return float(stream.duration * stream.time_base)
    if "matroska" in name and matroska_is_whole(path):
        if (tagged := _matroska_duration(stream.metadata.get("DURATION", ""))) is not None:
            return tagged - float(container_start(container))
        if not info.has_audio and info.duration:
            return info.duration
    return 0.0


def ends_early(path: Path, end: float, declared: float | None) -> bool:
    """Return whether pictures that end at `end` are too few for the seconds that the file declares.

    In a whole Matroska file they are not: its sound lasts longer.
    """
    return declared is not None and end + 1 < declared and not matroska_is_whole(path)


def _matroska_duration(text: str) -> float | None:
    """Return the seconds of a tag like 00:00:12.480000000; None where it is no such time."""
    parts = text.strip("\0").split(":")
    try:
        hours, minutes, seconds = (float(part) for part in parts)
    except ValueError:
        return None
    total = 3600 * hours + 60 * minutes + seconds
    return total if math.isfinite(total) and total > 0 else None


def matroska_is_whole(path: Path) -> bool:
    """Return whether the segment of a Matroska or WebM file lies within the file: it was not cut off.

    False too where the file does not tell the size of its segment, as in a recording that was never finished.
    """
    with path.open("rb") as file:
        head = file.read(4096)
    try:
        size, at = _ebml_size(head, 4)
        if size is None or head[at + size : at + size + 4] != SEGMENT_ID:
            return False
        size, at = _ebml_size(head, at + size + 4)
    except IndexError:
        return False
    return size is not None and at + size <= path.stat().st_size


def _ebml_size(data: bytes, at: int) -> tuple[int | None, int]:
    """Return the size of an EBML element that is written at a place, None for an unknown one, and where its data begin.

    Raises IndexError where the data end before.
    """
    length = 9 - data[at].bit_length()
    bits = 7 * length
    if at + length > len(data):
        raise IndexError("the element's size is cut off")
    size = int.from_bytes(data[at : at + length], "big") & ((1 << bits) - 1)
    return (None if size == (1 << bits) - 1 else size), at + length


def container_start(container: InputContainer) -> Fraction:
    """Return the time on the container's own clock from which timestamps count, in seconds."""
    return Fraction(container.start_time or 0, av.time_base)
