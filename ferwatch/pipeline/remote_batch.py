"""run_batch_at: analyses many videos into a folder that may lie at a URL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from ferwatch.pipeline.batch import BatchResult, run_batch
from ferwatch.pipeline.executors import Executor
from ferwatch.pipeline.lock import BATCH_LOCK_FILE, FolderLock
from ferwatch.pipeline.manifest import ManifestEntry
from ferwatch.pipeline.options import AnalysisOptions
from ferwatch.pipeline.video_files import BATCH_FILES, FoundVideos
from ferwatch.utils.url import Url


def run_batch_at(
    found: FoundVideos,
    out: Path | Url,
    options: AnalysisOptions,
    executor: Executor,
    *,
    overwrite: bool = False,
    report: Callable[[ManifestEntry, int], None] = lambda entry, finished: None,
) -> BatchResult:
    """Analyse the videos that are not done yet; see run_batch.

    For a folder at a URL, batch.json and the tables and facts of the runs there are copied to a temporary folder, which
    the batch then keeps up to date. Workers upload the runs, and the combined table is uploaded at the end.
    """
    if isinstance(out, Path):
        with FolderLock(out, "a batch", BATCH_LOCK_FILE):
            return run_batch(found, out, options, executor, overwrite=overwrite, report=report)
    with TemporaryDirectory(prefix="ferwatch-") as temp:
        copy = Path(temp)
        for name in out.files():
            folder, _, file = name.rpartition("/")
            if name == "batch.json" or (folder and "/" not in folder and file in ("run.json", "frames.csv")):
                (copy / folder).mkdir(exist_ok=True)
                (out / name).download(copy / name)
        result = run_batch(found, copy, options, executor, overwrite=overwrite, report=report, url=out)
        for name in BATCH_FILES:
            if (copy / name).exists():
                (out / name).upload(copy / name)
        return result
