"""One film on a Ray cluster of two nodes with one core each: the bytes of a local run, also where workers die."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import dying_workers
import pytest
from conftest import DEMO, Result
from dying_workers import starts, starts_with_one_death

from ferwatch.errors import VideoError
from ferwatch.models.classifier import Classifier
from ferwatch.pipeline.analyze import Run, write_run
from ferwatch.pipeline.found_faces import plan
from ferwatch.pipeline.options import AnalysisOptions
from ferwatch.pipeline.ray_cluster import RayCluster
from ferwatch.pipeline.segment import SegmentTask, run_segment
from ferwatch.utils.url import parse_place
from ferwatch.video.reader import VideoReader
from ferwatch.video.sampling import Sampling

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'ferwatch[ray]'")
ray.cloudpickle.register_pickle_by_value(dying_workers)  # the nodes cannot import it
OPTIONS = AnalysisOptions(sampling=Sampling(fps=4))
WRITTEN = ("frames.csv", "episodes.csv", "annotated.mp4")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a cluster of two nodes with one core each, which ends with the tests."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 100_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        cluster.add_node(**node)
        yield cluster.address
    finally:
        cluster.shutdown()


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo twice, small, with a key frame every second: 32 s."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    with av.open(str(path), "w") as out:
        track = out.add_stream("libx264", rate=25, options={"g": "25", "sc_threshold": "0", "preset": "ultrafast"})
        track.width, track.height, track.pix_fmt = 320, 180, "yuv420p"
        for turn in range(2):
            with av.open(str(DEMO)) as source:
                for number, picture in enumerate(source.decode(video=0)):
                    picture = picture.reformat(320, 180, "yuv420p")
                    picture.pts, picture.time_base = turn * 400 + number, Fraction(1, 25)
                    out.mux(track.encode(picture))
        out.mux(track.encode(None))
    return path


def test_a_killed_worker_costs_only_its_segment(
    address: str, film: Path, classifier: Classifier, local: Run, tmp_path: Path
) -> None:
    with VideoReader(film) as reader:
        segments = [segment.number for segment in plan(film, reader.info, OPTIONS)]
    assert len(segments) == 8
    with dying_workers.DeadlyCluster(address, tmp_path) as executor:
        assert executor.workers == 2
        run = write_run(film, tmp_path / "out", OPTIONS, classifier, executor=executor)
    assert starts(tmp_path) == starts_with_one_death(segments, "SegmentTask", "FilmTask")
    for name in WRITTEN:
        assert (run.folder / name).read_bytes() == (local.folder / name).read_bytes()
    assert {file.name for file in run.folder.iterdir()} == {file.name for file in local.folder.iterdir()}


def test_the_main_job_on_a_cluster(
    ferwatch: Callable[..., Result], address: str, film: Path, local: Run, tmp_path: Path
) -> None:
    """A relative path, from another folder than that of the nodes; only the driver writes to the run folder."""
    (tmp_path / "film.mp4").symlink_to(film)
    engine = ("--engine", "ray", "--address", address)
    done = ferwatch("film.mp4", "--out", "out", "--sample-fps", "4", *engine)
    assert (done.returncode, done.stderr) == (0, "")
    assert {file.name for file in (tmp_path / "out").iterdir()} == {file.name for file in local.folder.iterdir()}
    for name in WRITTEN:
        assert (tmp_path / "out" / name).read_bytes() == (local.folder / name).read_bytes()


def test_a_film_at_a_url_is_read_by_the_nodes_themselves(
    address: str, film: Path, classifier: Classifier, local: Run, tmp_path: Path
) -> None:
    pytest.importorskip("fsspec", reason="fsspec is not installed: pip install 'ferwatch[remote]'")
    with RayCluster(address) as executor:
        video, out = (parse_place(path.as_uri()) for path in (film, tmp_path / "out"))
        write_run(video, out, OPTIONS, classifier, executor=executor)
    for name in WRITTEN:
        assert (tmp_path / "out" / name).read_bytes() == (local.folder / name).read_bytes()


def test_a_node_that_cannot_read_the_video_says_so(address: str, film: Path, tmp_path: Path) -> None:
    with VideoReader(film) as reader:
        segment = plan(film, reader.info, OPTIONS)[0]
    task = SegmentTask(tmp_path / "film.mp4", reader.info, segment, None, OPTIONS)
    with RayCluster(address) as executor, pytest.raises(VideoError) as error:
        list(executor.run(run_segment, [task]))
    assert "film.mp4 cannot be read: there is no such file (on the Ray node" in str(error.value)
    assert "\n" not in str(error.value)


def test_no_cluster_at_the_address(ferwatch: Callable[..., Result], film: Path) -> None:
    refused = ferwatch(film, "--engine", "ray", "--address", "127.0.0.1:1")
    assert refused.returncode == 1
    assert refused.stderr.startswith("ferwatch: --engine ray: no cluster at 127.0.0.1:1")
    assert refused.stderr.count("\n") == 1
