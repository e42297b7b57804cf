"""SegmentReader: decodes the segments of a video that its index promises."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
from av.video.frame import VideoFrame

from ferwatch.records import Frame
from ferwatch.utils.url import Url
from ferwatch.video.container import VideoInfo, choose_stream, open_container
from ferwatch.video.index import IndexMismatch, VideoSegment
from ferwatch.video.picture import GeometryReader, PictureConverter, has_bottom_field_first

SKIPPING_CODECS = ("h264", "hevc")
"""Codecs of which pictures that no other picture needs can be left undecoded."""
UNKNOWN_ORDER, PROGRESSIVE = 0, 1
"""FFmpeg's numbers of field orders in which each picture is a frame."""


class SegmentReader:
    """Decodes segments of a video, one at a time, in one thread.

    A segment that follows the one before is decoded from where that one ended; others from the key frame before them.

    Raises VideoError where the file cannot be opened.
    """

    def __init__(self, path: Path | Url, info: VideoInfo) -> None:
        self._info = info
        self._container = open_container(path)
        self._stream, _ = choose_stream(self._container, path, info.stream)
        self._stream.codec_context.thread_count = 1
        self._geometry = GeometryReader(self._stream)
        self._decoder: Iterator[VideoFrame] | None = None
        """Decodes on where the segment before ended; None: a key frame is looked for first."""
        self._end = -1
        """Time of the last picture of the segment that is read, or was read last."""
        self._needed: frozenset[int] = frozenset()
        """Times of the samples of the segment that is read."""

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def read(self, segment: VideoSegment) -> Iterator[Frame]:
        """Yield the sampled frames of a segment.

        Raises IndexMismatch as soon as a picture is not the one that the index promises.
        """
        samples = {segment.pts[sample.number - segment.samples[0].number]: sample for sample in segment.samples}
        decoder, self._decoder = self._decoder, None  # None until this segment has been read to its end
        if decoder is None or not segment.keyframe <= self._end < segment.pts[0]:
            decoder = self._decode_from(segment.seek_time)
        self._end, self._needed = segment.pts[-1], frozenset(samples)
        converter: PictureConverter | None = None
        for picture in self._promised(segment, decoder):
            if converter is None:
                converter = PictureConverter(has_bottom_field_first(self._stream.codec_context), self._info.gray_bits)
            geometry = self._geometry.read(picture)
            if geometry.size != (self._info.width, self._info.height):
                raise IndexMismatch("the size of the picture changes")
            assert picture.pts is not None
            if sample := samples.get(picture.pts):
                yield Frame(sample.number, sample.timestamp, converter.image(picture, geometry), sample.length)
        self._decoder = decoder

    def _promised(self, segment: VideoSegment, decoder: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
        """Yield the pictures of a segment; raises IndexMismatch where they are not those of the index."""
        promised = iter(segment.pts)
        expected = next(promised)
        try:
            for picture in decoder:
                if picture.pts is None or picture.is_corrupt:
                    raise IndexMismatch(f"the picture at {picture.pts} is damaged")
                if picture.pts < segment.pts[0]:
                    continue
                while expected < picture.pts and self._is_optional(expected):
                    expected = next(promised)
                if picture.pts != expected:
                    raise IndexMismatch(f"the picture at {picture.pts} is not the one at {expected}")
                yield picture
                if picture.pts == segment.pts[-1]:
                    return
                expected = next(promised)
        except (av.FFmpegError, IndexError) as error:
            raise IndexMismatch(f"damage: {error}") from error
        raise IndexMismatch(f"the picture at {expected} is missing")

    def _decode_from(self, seek_time: int) -> Iterator[VideoFrame]:
        """Yield the pictures from a key frame on, without those that are optional and needed by no other picture."""
        context = self._stream.codec_context
        self._container.seek(seek_time, stream=self._stream)
        for packet in self._container.demux(self._stream):
            context.skip_frame = "NONREF" if packet.pts is not None and self._is_optional(packet.pts) else "DEFAULT"
            yield from self._stream.decode(packet)

    def _is_optional(self, pts: int) -> bool:
        """Return whether the picture at a time may be missing: it is not sampled, and the codec allows to leave it out.

        Pictures after the segment are not: they may be samples of the next one.
        """
        context = self._stream.codec_context
        can_skip = context.name in SKIPPING_CODECS and context.field_order in (UNKNOWN_ORDER, PROGRESSIVE)
        return can_skip and pts < self._end and pts not in self._needed


_kept: tuple[tuple[object, ...], SegmentReader] | None = None


def kept_reader(path: Path | Url, info: VideoInfo) -> SegmentReader:
    """Return a reader of a video's segments, which is kept until one of another file is asked for.

    For worker processes, which have one thread and read one segment after the other. Raises VideoError.
    """
    global _kept
    # Another file may have taken the place of this one since.
    file = path.stat() if isinstance(path, Path) and path.exists() else None
    key = (path, info, file and (file.st_ino, file.st_size, file.st_mtime_ns))
    if _kept is None or _kept[0] != key:
        if _kept is not None:
            _kept[1].close()
            _kept = None
        _kept = key, SegmentReader(path, info)
    return _kept[1]
