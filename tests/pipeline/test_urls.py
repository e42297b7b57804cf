"""Videos and run folders at URLs: in memory, and on a server that speaks S3."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import Result

from ferwatch.cli.main import cli
from ferwatch.errors import FerwatchError, OutputError
from ferwatch.models.classifier import Classifier
from ferwatch.pipeline.analyze import Run, write_run
from ferwatch.pipeline.executors import InProcess
from ferwatch.pipeline.options import AnalysisOptions
from ferwatch.pipeline.remote_batch import run_batch_at
from ferwatch.pipeline.video_files import find_videos
from ferwatch.utils.files import fingerprint
from ferwatch.utils.url import Url, parse_place
from ferwatch.video.sampling import Sampling

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed: pip install 'ferwatch[remote]'")
OPTIONS = AnalysisOptions(sampling=Sampling(fps=4), annotate=False, exports=("json",))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory, clip_of_a_second: bytes) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    path.write_bytes(clip_of_a_second)
    return path


@pytest.fixture
def memory(film: Path) -> Iterator[Any]:
    """fsspec's file system in memory, with a film in it."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pipe("/films/clip.mp4", film.read_bytes())
    yield system
    system.store.clear()


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, which has to be empty again."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def leftovers(temporary: Path) -> list[str]:
    return [path.name for path in temporary.iterdir() if path.name.startswith("ferwatch-")]


def names(system: Any, folder: str) -> set[str]:
    return {path.rpartition("/")[2] for path in system.find(folder)}


def test_a_film_and_a_run_folder_at_urls(
    memory: Any, classifier: Classifier, local: Run, temporary: Path, film: Path
) -> None:
    url, out = Url("memory://films/clip.mp4"), Url("memory://runs/clip")
    assert url.fingerprint() == fingerprint(film)
    write_run(url, out, OPTIONS, classifier)
    assert names(memory, "/runs/clip") == {path.name for path in local.folder.iterdir()}
    for name in ("frames.csv", "episodes.csv"):
        assert memory.cat(f"/runs/clip/{name}") == (local.folder / name).read_bytes()
    facts = json.loads(memory.cat("/runs/clip/run.json"))
    assert facts["video"]["file"] == facts["timeline"]["media"] == "clip.mp4"
    assert facts["settings"]["video"] == json.loads((local.folder / "run.json").read_text())["settings"]["video"]
    assert not leftovers(temporary)


def test_a_run_at_a_url_is_replaced_only_with_overwrite(memory: Any, classifier: Classifier, temporary: Path) -> None:
    url, out = Url("memory://films/clip.mp4"), Url("memory://runs/clip")
    memory.pipe("/runs/clip/mine.txt", b"of the user")
    memory.pipe("/runs/clip/annotated.mp4", b"of an earlier run")
    memory.pipe("/runs/clip/run.json", b"{}")
    with pytest.raises(OutputError, match="memory://runs/clip holds a run; give --overwrite"):
        write_run(url, out, OPTIONS, classifier)
    with pytest.raises(OutputError, match="leave out --resume"):
        write_run(url, out, OPTIONS, classifier, resume=True)
    write_run(url, out, OPTIONS, classifier, overwrite=True)
    assert {"mine.txt", "frames.csv", "run.json"} <= names(memory, "/runs/clip")
    assert "annotated.mp4" not in names(memory, "/runs/clip")
    assert not leftovers(temporary)


def test_run_json_comes_last_and_a_failed_upload_loses_nothing(
    memory: Any, classifier: Classifier, local: Run, monkeypatch: pytest.MonkeyPatch, temporary: Path
) -> None:
    def refuse(self: Any, source: str, target: str, **_: Any) -> None:
        if target.endswith("timeline.png"):
            raise PermissionError("no room")
        put(self, source, target)

    put = type(memory).put_file
    monkeypatch.setattr(type(memory), "put_file", refuse)
    with pytest.raises(OutputError, match=r"timeline\.png cannot be written: PermissionError: no room") as error:
        write_run(Url("memory://films/clip.mp4"), Url("memory://runs/clip"), OPTIONS, classifier)
    assert "run.json" not in names(memory, "/runs/clip")
    (kept,) = leftovers(temporary)
    whole = temporary / kept / "clip"
    assert str(whole) in str(error.value)
    assert (whole / "frames.csv").read_bytes() == (local.folder / "frames.csv").read_bytes()


def test_errors_name_the_url(memory: Any, classifier: Classifier, temporary: Path) -> None:
    memory.pipe("/films/broken.mp4", b"no video")
    for name, cause in (("broken.mp4", "cannot be read: it is no video"), ("none.mp4", "there is no such file")):
        with pytest.raises(FerwatchError, match=cause) as error:
            write_run(Url(f"memory://films/{name}"), Url("memory://runs/x"), OPTIONS, classifier)
        assert str(error.value).startswith(f"memory://films/{name} cannot be read")
    assert not memory.exists("/runs/x")
    assert not leftovers(temporary)


def test_a_batch_at_urls(memory: Any, local: Run, film: Path, temporary: Path) -> None:
    memory.pipe("/films/later/clip.mp4", film.read_bytes())
    memory.pipe("/films/broken.mp4", b"no video")
    memory.pipe("/films/notes.txt", b"no video")
    out = Url("memory://films/results")  # a folder within that of the videos, which does not count as one

    def run(options: AnalysisOptions = OPTIONS) -> dict[str, str]:
        worked_on.clear()
        found = find_videos(["memory://films"])
        assert [path.name for path in found.passed_over] == ["notes.txt"]
        result = run_batch_at(found, out, options, InProcess(), report=lambda entry, _: worked_on.append(entry.run))
        return {entry.run: entry.state for entry in result.entries}

    worked_on: list[str] = []
    went = {"broken": "failed", "clip": "done", "clip-2": "done"}
    assert run() == went
    for name in ("clip", "clip-2"):
        assert memory.cat(f"/films/results/{name}/frames.csv") == (local.folder / "frames.csv").read_bytes()
    table = memory.cat("/films/results/all-frames.csv").decode().splitlines()
    assert {line.rpartition(",")[2] for line in table[1:]} == {"clip.mp4", "later/clip.mp4"}
    entries = json.loads(memory.cat("/films/results/batch.json"))["videos"]
    assert "memory://" not in json.dumps(entries)

    assert run() == went
    assert worked_on == ["broken"], "what is done stays"
    before = memory.info("/films/results/clip/frames.csv")["created"]
    more = AnalysisOptions(sampling=OPTIONS.sampling, annotate=False, exports=("json", "srt"))
    assert run(more) == went
    assert memory.cat("/films/results/clip/annotated.srt")
    assert memory.cat("/films/results/clip/frames.csv") == (local.folder / "frames.csv").read_bytes()
    assert json.loads(memory.cat("/films/results/clip/run.json"))["settings"]["exports"] == ["json", "srt"]
    assert memory.info("/films/results/clip/frames.csv")["created"] >= before
    with pytest.raises(OutputError, match="--overwrite"):
        run(AnalysisOptions(sampling=Sampling(fps=5), annotate=False, exports=("json",)))
    assert not leftovers(temporary)


def test_which_videos_a_url_names(memory: Any, tmp_path: Path) -> None:
    memory.pipe("/films/b.MOV", b"x")
    memory.pipe("/films/.hidden.mp4", b"x")
    assert [video.name for video in find_videos(["memory://films"]).videos] == ["b.MOV", "clip.mp4"]
    assert [video.name for video in find_videos(["memory://films/*.mp4"]).videos] == [".hidden.mp4", "clip.mp4"]
    (tmp_path / "list.txt").write_text("memory://films/b.MOV\nhere.mp4\n")
    listed = find_videos([str(tmp_path / "list.txt")]).videos
    assert [video.path for video in listed] == [Url("memory://films/b.MOV"), tmp_path / "here.mp4"]
    with pytest.raises(FerwatchError, match="memory://none: no videos there"):
        find_videos(["memory://none"])


@pytest.mark.parametrize(
    ("text", "missing", "says"),
    [
        ("s3://bucket/film.mp4", "fsspec", r"pip install 'ferwatch\[remote\]'"),
        ("gs://bucket/film.mp4", "gcsfs", "the package of its file system is missing: Please install gcsfs"),
        ("nothing://bucket/film.mp4", None, "Protocol not known: nothing"),
    ],
)
def test_what_is_not_installed_is_named(
    text: str, missing: str | None, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if missing is not None:
        monkeypatch.setitem(__import__("sys").modules, missing, None)
    place = parse_place(text)
    assert isinstance(place, Url)
    with pytest.raises(FerwatchError, match=says) as error:
        place.exists()
    assert str(error.value).startswith(text)
    assert "\n" not in str(error.value)


def test_addresses_of_the_open_network_are_no_urls_to_read() -> None:
    result = CliRunner().invoke(cli, ["https://example.org/film.mp4"])
    assert "https://example.org/film.mp4 is an address: ferwatch fetches nothing" in str(result.exception)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, film: Path) -> Iterator[Any]:
    """A bucket with a film in a folder, on a server of this machine that speaks S3."""
    server_module = pytest.importorskip(
        "moto.server", reason="moto's S3 server is not installed: pip install 'moto[server]'"
    )
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed")
    server = server_module.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    system = s3fs.S3FileSystem()
    system.mkdir("bucket")
    system.put_file(str(film), "bucket/films/clip.mp4")
    yield system
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def test_the_commands_with_an_s3_server(
    s3: Any, ferwatch: Callable[..., Result], local: Run, classifier: Classifier
) -> None:
    quick = ("--no-video", "--sample-fps", "4", "--export", "json")
    done = ferwatch("s3://bucket/films/clip.mp4", "--out", "s3://bucket/run", *quick)
    assert done.returncode == 0, done.stderr
    assert done.stderr == (
        "ferwatch: s3://bucket/films/clip.mp4 is copied to a temporary file, which is removed at the end\n"
    )
    assert "in s3://bucket/run: frames.csv" in done.stdout
    batch = ferwatch("batch", "s3://bucket/films", "--out", "s3://bucket/results", *quick, "--jobs", "1")
    assert batch.returncode == 0, batch.stderr
    s3.invalidate_cache()
    for folder in ("run", "results/clip"):
        assert s3.cat(f"bucket/{folder}/frames.csv") == (local.folder / "frames.csv").read_bytes()
    assert s3.exists("bucket/results/all-frames.csv")

    worked_on: list[object] = []
    found = find_videos(["s3://bucket/films/*.mp4"])
    run_batch_at(
        found, Url("s3://bucket/results"), OPTIONS, InProcess(), report=lambda entry, _: worked_on.append(entry)
    )
    assert not worked_on, "it was done before"
    with pytest.raises(OutputError, match="s3://bucket/run holds a run; give --overwrite"):
        write_run(Url("s3://bucket/films/clip.mp4"), Url("s3://bucket/run"), OPTIONS, classifier)
    with pytest.raises(OutputError, match="s3://no-such-bucket/run"):
        write_run(Url("s3://bucket/films/clip.mp4"), Url("s3://no-such-bucket/run"), OPTIONS, classifier)
    assert not s3.exists("no-such-bucket")
