"""write_film: has workers draw the annotated video of a run in segments, and joins them without encoding again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from functools import partial
from hashlib import sha256
from pathlib import Path

from ferwatch.errors import OutputError, VideoError
from ferwatch.pipeline.cuts import cut_film, results_in_order
from ferwatch.pipeline.executors import Executor, InProcess
from ferwatch.pipeline.reports import PicturesDone, report
from ferwatch.render.annotated_video import FilmTask, annotate_segment, annotate_video
from ferwatch.render.overlay import Overlay
from ferwatch.utils.files import atomic_write, fingerprint, make_folder, remove_folder
from ferwatch.utils.url import Url
from ferwatch.video.container import VideoInfo
from ferwatch.video.encoding import ENCODER, EncodedPicture, read_packets, write_packets
from ferwatch.video.index import IndexMismatch, VideoSegment
from ferwatch.video.segment_reader import SegmentReader
from ferwatch.video.source import VideoRange
from ferwatch.video.writer import annotated_video

LOG = logging.getLogger("ferwatch")


def segments_folder(out: Path) -> Path:
    """Return the folder beside an annotated video in which its finished segments are kept until it is complete."""
    return out.with_suffix(".partial")


def write_film(
    source: VideoRange,
    overlay: Overlay,
    out: Path,
    executor: Executor,
    progress: Callable[[int], None] = lambda done: None,
    url: Url | None = None,
) -> list[str]:
    """Write every frame of a range of a video with the overlay, and the sound of that range.

    The bytes do not depend on the executor. What an interrupted call has finished of the same film is not drawn again.
    Time 0 of the new file is the start of the range. Returns warnings about what could not be kept of the source, one
    line each. Raises VideoError, also where the video changes meanwhile; OutputError; and FerwatchError where workers
    die again and again.

    Args:
        out: the file to write.
        progress: called with the number of frames that are done.
        url: where workers on other machines read the video, if `source` is a temporary copy of it.
    """
    with source.open() as reader:
        info = reader.info
    segments = cut_film(source, info)
    try:
        if segments:
            try:
                warnings = _in_segments(source, info, segments, overlay, out, executor, progress, url)
            except IndexMismatch as mismatch:
                LOG.info("%s is drawn in one pass: %s", source.path, mismatch)
                segments = []
        if not segments:
            warnings = annotate_video(source, overlay, out, progress)
    except VideoError:
        remove_folder(segments_folder(out))  # the video may have changed while they were drawn
        raise
    remove_folder(segments_folder(out))
    return warnings


def _in_segments(
    source: VideoRange,
    info: VideoInfo,
    segments: list[VideoSegment],
    overlay: Overlay,
    out: Path,
    executor: Executor,
    progress: Callable[[int], None],
    url: Url | None,
) -> list[str]:
    """Write the film from segments; raises IndexMismatch where it has to be drawn in one pass."""
    files = _files(source, segments, overlay, out)
    with ExitStack() as stack:
        writer = stack.enter_context(annotated_video(out, info, source.start, source.end))
        work = draw_segment
        if isinstance(executor, InProcess):
            work = partial(draw_segment, reader=stack.enter_context(closing(SegmentReader(source.path, info))))
        ticks = [tuple(writer.clock.ticks(sample.timestamp) for sample in segment.samples) for segment in segments]
        to_draw = {file for file, segment in zip(files, segments, strict=True) if not _has_all_packets(file, segment)}
        tasks = [
            FilmTask(
                (url or source.path.absolute()) if executor.is_remote else source.path,
                info,
                segment,
                times,
                overlay.between(segment.samples[0].timestamp, segment.samples[-1].timestamp),
                writer.encoding,
                None if executor.is_remote else file,  # workers on other machines do not see the folder
            )
            for segment, times, file in zip(segments, ticks, files, strict=True)
            if file in to_draw
        ]

        drawn_before = sum(s.pictures for s, file in zip(segments, files, strict=True) if file not in to_draw)

        def packets() -> Generator[EncodedPicture, None, None]:
            done = PicturesDone(progress)
            done.start(drawn_before)
            with closing(results_in_order(executor, work, tasks, source.path, done)) as results:
                for file in files:
                    drawn = next(results) if file in to_draw else None
                    if drawn is not None:
                        with atomic_write(file) as temp_path:
                            write_packets(temp_path, drawn)
                    yield from read_packets(file)

        with closing(packets()) as encoded:
            writer.join(encoded, [tick for times in ticks for tick in times], segments[-1].samples[-1].length)
        return writer.warnings


def draw_segment(task: FilmTask, reader: SegmentReader | None = None) -> list[EncodedPicture] | None:
    """Draw and encode a segment of an annotated video, and report its pictures; workers run this."""
    return annotate_segment(task, report, reader)


def _has_all_packets(file: Path, segment: VideoSegment) -> bool:
    """Return whether a file holds a packet for each picture of a segment; after a power cut it may be damaged."""
    try:
        return file.exists() and sum(1 for _ in read_packets(file)) == len(segment.samples)
    except OutputError:
        return False


def _files(source: VideoRange, segments: list[VideoSegment], overlay: Overlay, out: Path) -> list[Path]:
    """Return the file of each segment, and remove those that an interrupted call has left of another film."""
    known = repr((ENCODER, fingerprint(source.path), source.start, source.end, source.stream, source.fps))
    digest = sha256((known + overlay.digest).encode()).hexdigest()[:16]
    folder = segments_folder(out)
    files = [folder / f"{segment.number:06d}-{digest}.packets" for segment in segments]
    make_folder(folder)
    for file in set(folder.iterdir()).difference(files):
        file.unlink()
    return files
