"""Data from outside: found, checked, and never executed."""

from __future__ import annotations

import csv
import hashlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gfn_envs.data import command, packaged
from gfn_envs.data import registry as datasets
from gfn_envs.data.safe_pickle import UnsafePickleError, read_pickle
from tests.helpers import run_python

CONTENT = b"not much, but exactly this"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no mirror."""
    monkeypatch.delenv(datasets.MIRROR, raising=False)
    monkeypatch.setattr(datasets, "cache_dir", lambda: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def server() -> Iterator[dict[str, bytes]]:
    """Files served on this machine: path -> content. ``requests`` lists what was asked for."""
    files: dict[str, Any] = {"requests": []}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            files["requests"].append(self.path)
            content = files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *arguments: Any) -> None:
            pass

    http = HTTPServer(("127.0.0.1", 0), Handler)
    files["url"] = f"http://127.0.0.1:{http.server_port}"
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield files
    http.shutdown()
    http.server_close()


def register(monkeypatch: pytest.MonkeyPatch, url: str, content: bytes = CONTENT) -> datasets.Dataset:
    digest = hashlib.sha256(content).hexdigest()
    entry = datasets.Dataset("mine", "mine.bin", f"{url}/mine.bin", digest, len(content), "mine", "MIT", "me")
    monkeypatch.setitem(datasets.DATASETS, "mine", entry)
    return entry


def files_in(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


# ---------------------------------------------------------------------- download and cache


def test_a_file_is_downloaded_once(cache: Path, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, server["url"])
    server["/mine.bin"] = CONTENT
    assert not datasets.is_available("mine")
    assert datasets.read("mine") == CONTENT
    assert datasets.is_available("mine")
    assert datasets.read("mine") == CONTENT
    assert server["requests"] == ["/mine.bin"]
    assert files_in(cache) == ["mine.bin"]


@pytest.mark.parametrize("wrong", [b"", CONTENT[:-1], CONTENT + b"\n", CONTENT[::-1], pickle.dumps(print)])
def test_a_wrong_download_raises_and_is_not_kept(
    cache: Path, server: Any, monkeypatch: pytest.MonkeyPatch, wrong: bytes
) -> None:
    entry = register(monkeypatch, server["url"])
    server["/mine.bin"] = wrong
    with pytest.raises(datasets.DatasetError, match=entry.sha256):
        datasets.read("mine")
    assert files_in(cache) == []


def test_a_file_damaged_in_the_cache_is_downloaded_anew(
    cache: Path, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, server["url"])
    server["/mine.bin"] = CONTENT
    datasets.fetch("mine").write_bytes(b"damaged")
    assert not datasets.is_available("mine")
    assert datasets.read("mine") == CONTENT


def test_failed_downloads_can_be_replaced_by_hand(cache: Path, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = register(monkeypatch, server["url"])
    with pytest.raises(datasets.DatasetError) as caught:
        datasets.read("mine")
    for part in ("404", entry.url, entry.sha256, entry.file, datasets.MIRROR, str(cache)):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert files_in(cache) == []


def test_nobody_listens(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "http://127.0.0.1:9")
    with pytest.raises(datasets.DatasetError, match="To install it by hand"):
        datasets.read("mine")


def test_git_blob_hashes_identify_files(cache: Path, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of which only the hash in a git repository is known, as of pho4."""
    # printf 'not much, but exactly this' | git hash-object --stdin
    git_sha1 = hashlib.sha1(b"blob 26\0" + CONTENT).hexdigest()
    entry = datasets.Dataset("mine", "mine.bin", f"{server['url']}/mine.bin", None, None, "mine", "MIT", "me", git_sha1)
    monkeypatch.setitem(datasets.DATASETS, "mine", entry)
    server["/mine.bin"] = CONTENT + b"x"
    with pytest.raises(datasets.DatasetError, match=f"git blob {git_sha1}"):
        datasets.read("mine")
    assert files_in(cache) == []
    server["/mine.bin"] = CONTENT
    assert command.main(["fetch", "mine"]) == 0
    assert datasets.read("mine") == CONTENT
    datasets.fetch("mine").write_bytes(b"damaged")
    assert datasets.read("mine") == CONTENT
    assert len(server["requests"]) == 3


# ---------------------------------------------------------------------- mirror


def test_the_mirror_comes_first_and_needs_no_network(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(monkeypatch, "http://127.0.0.1:9")
    (tmp_path / "mine.bin").write_bytes(CONTENT)
    monkeypatch.setenv(datasets.MIRROR, str(tmp_path))
    assert datasets.read("mine") == CONTENT
    assert datasets.fetch("mine") == tmp_path / "mine.bin"
    assert datasets.is_available("mine")


@pytest.mark.parametrize("wrong", [b"", CONTENT[:-1], CONTENT + b"x"])
def test_a_wrong_file_in_the_mirror_raises(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, wrong: bytes
) -> None:
    entry = register(monkeypatch, "http://127.0.0.1:9")
    (tmp_path / "mine.bin").write_bytes(wrong)
    monkeypatch.setenv(datasets.MIRROR, str(tmp_path))
    for get in (datasets.read, datasets.fetch):
        with pytest.raises(datasets.DatasetError, match=entry.sha256):
            get("mine")
    with pytest.raises(datasets.DatasetError):
        datasets.converted("mine", lambda data: {"x": np.zeros(1)})
    assert not cache.exists()
    assert not datasets.is_available("mine")


def test_a_file_missing_in_the_mirror_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "http://127.0.0.1:9")
    monkeypatch.setenv(datasets.MIRROR, str(tmp_path))
    with pytest.raises(datasets.DatasetError, match=r"which has no mine\.bin.*download http://127.0.0.1:9/mine\.bin"):
        datasets.read("mine")


@pytest.mark.parametrize("kind", ["missing", "a file"])
def test_a_mirror_that_is_no_directory_is_named(
    kind: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    register(monkeypatch, "http://127.0.0.1:9")
    directory = tmp_path / "mirror"
    if kind == "a file":
        directory.write_text("")
    monkeypatch.setenv(datasets.MIRROR, str(directory))
    message = f"{datasets.MIRROR} is {directory}, but there is no such directory"
    for get in (datasets.read, datasets.fetch):
        with pytest.raises(datasets.DatasetError, match=message):
            get("mine")
    assert not datasets.is_available("mine")
    for argv in (["list"], ["path"], ["fetch", "mine"]):
        assert command.main(argv) == 2
        assert capsys.readouterr() == ("", f"error: {message}\n")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = register(monkeypatch, "http://127.0.0.1:9")
    monkeypatch.setenv(datasets.MIRROR, str(tmp_path))
    path = tmp_path / "mine.bin"
    path.mkdir()
    for get in (datasets.read, datasets.fetch):
        with pytest.raises(datasets.DatasetError, match=f"^{path} cannot be read: Is a directory. To fetch"):
            get("mine")
    path.rmdir()
    path.write_bytes(CONTENT)

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    for get in (datasets.read, datasets.fetch):
        with pytest.raises(datasets.DatasetError, match=f"^{path} cannot be read: Permission denied.*{entry.sha256}"):
            get("mine")
    assert not datasets.is_available("mine")


@pytest.mark.parametrize("name", datasets.DATASETS)
def test_the_registry_describes_the_mirror(name: str) -> None:
    entry = datasets.DATASETS[name]
    if not os.environ.get(datasets.MIRROR):
        pytest.skip(f"DATA MISSING: set {datasets.MIRROR} to a directory with the files that `gfn data list` names")
    if entry.bytes is None and not datasets.is_available(name):
        pytest.skip(f"{name} is not in the mirror")
    assert entry.bytes in (None, len(datasets.read(name)))
    assert all([entry.description, entry.license, entry.citation])
    assert entry.url.startswith("https://")


# ---------------------------------------------------------------------- converted forms


def test_conversions_are_kept(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "http://127.0.0.1:9")
    (tmp_path / "mine.bin").write_bytes(CONTENT)
    monkeypatch.setenv(datasets.MIRROR, str(tmp_path))
    calls = []

    def convert(data: bytes) -> dict[str, np.ndarray]:
        calls.append(data)
        return {"bytes": np.frombuffer(data, np.uint8), "two": np.eye(2)}

    for _ in range(2):
        arrays = datasets.converted("mine", convert)
        assert arrays["bytes"].tobytes() == CONTENT
        np.testing.assert_array_equal(arrays["two"], np.eye(2))
    assert calls == [CONTENT]
    datasets.converted("mine", convert, version=2)
    assert len(calls) == 2
    (first, _) = sorted((cache / "converted").iterdir())
    for damage in (b"", b"nonsense", first.read_bytes()[:-30], pickle.dumps(os.getcwd)):
        first.write_bytes(damage)
        assert datasets.converted("mine", convert)["bytes"].tobytes() == CONTENT
        assert first.read_bytes()[:2] == b"PK"
    assert len(calls) == 6


def test_any_damaged_byte_of_a_conversion_is_noticed(cache: Path) -> None:
    made = []

    def make() -> dict[str, np.ndarray]:
        made.append(1)
        return {"one": np.arange(3), "two": np.eye(2), "three": np.array(["a", "bcd"])}

    datasets.cached("mine", make)
    path = cache / "converted" / "mine.npz"
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for position in rng.choice(len(whole), size=300, replace=False).tolist():
        damaged = bytearray(whole)
        damaged[position] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        made.clear()
        found = datasets.cached("mine", make)
        assert made, f"byte {position}"
        assert {name: array.tolist() for name, array in found.items()} == {
            name: array.tolist() for name, array in make().items()
        }
    assert path.read_bytes() == whole
    made.clear()
    datasets.cached("mine", make)
    assert not made


def test_a_failed_conversion_leaves_nothing(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = pickle.dumps(os.getcwd)
    register(monkeypatch, "http://127.0.0.1:9", hostile)
    (tmp_path / "mine.bin").write_bytes(hostile)
    monkeypatch.setenv(datasets.MIRROR, str(tmp_path))
    with pytest.raises(UnsafePickleError):
        datasets.converted("mine", read_pickle)
    assert not cache.exists()


# ---------------------------------------------------------------------- packaged data


@pytest.mark.data("tfbind8")
def test_packaged_scores_are_the_published_ones() -> None:
    lines = list(csv.reader(datasets.read("tfbind8").decode().splitlines(), delimiter="\t"))[1:]
    published = {strand: float(line[2]) for line in lines for strand in line[:2]}
    assert len(published) == 65_536
    assert [published[key] for key in sorted(published)] == packaged.tfbind8_scores().tolist()


def test_packaged_scores_are_those_of_both_strands() -> None:
    scores = packaged.tfbind8_scores().reshape((4,) * 8)
    np.testing.assert_array_equal(scores, scores.transpose(range(7, -1, -1))[(slice(None, None, -1),) * 8])
    assert scores[0, 0, 0, 0, 0, 0, 0, 0] == scores[3, 3, 3, 3, 3, 3, 3, 3] == 0.03  # AAAAAAAA, TTTTTTTT
    assert scores[0, 0, 0, 0, 0, 0, 0, 1] == -0.12351  # AAAAAAAC


def test_packaged_peptides() -> None:
    sequences, labels = packaged.amp_peptides()
    assert (len(sequences), labels.sum()) == (5200, 2600)
    assert set("".join(sequences)) == set("ACDEFGHIKLMNPQRSTVWY")


@pytest.mark.data("amp")
def test_packaged_peptides_are_the_published_ones() -> None:
    lines = datasets.read("amp").decode().splitlines()[1:]
    sequences, labels = packaged.amp_peptides()
    assert [(s, int(n)) for s, n in zip(sequences, labels, strict=True)] == [
        (line.split(",")[0], int(line.split(",")[1])) for line in lines
    ]


# ---------------------------------------------------------------------- command line


def test_command_line(cache: Path, server: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    register(monkeypatch, server["url"])
    assert command.main(["list"]) == 0
    assert "mine (0 kB, not downloaded)" in capsys.readouterr().out
    assert command.main(["path"]) == 0
    assert capsys.readouterr().out == f"{cache}\n"
    assert command.main(["fetch", "mine"]) == 2
    assert capsys.readouterr().err.startswith("error: 'mine' is not in")
    server["/mine.bin"] = CONTENT
    assert command.main(["fetch", "mine"]) == 0
    assert capsys.readouterr().out == f"{cache / 'mine.bin'}\n"
    assert command.main(["fetch", "yours"]) == 2
    assert "unknown data set 'yours'; known: " in capsys.readouterr().err


def test_the_list_names_what_a_mirror_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    register(monkeypatch, "http://127.0.0.1:9")
    monkeypatch.setenv(datasets.MIRROR, str(tmp_path))
    assert command.main(["list"]) == 0
    assert f"mine (0 kB, not in {datasets.MIRROR})" in capsys.readouterr().out
    (tmp_path / "mine.bin").write_bytes(CONTENT)
    assert command.main(["list"]) == 0
    assert "mine (0 kB, available)" in capsys.readouterr().out


def test_the_module_runs() -> None:
    done = run_python("-m", "gfn_envs.data", "list")
    assert (done.returncode, done.stderr) == (0, "")
    for entry in datasets.DATASETS.values():
        assert entry.url in done.stdout
        assert entry.license in done.stdout


def test_a_closed_pipe_is_no_error() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(datasets.__file__).parents[2])}
    words = [sys.executable, "-m", "gfn_envs.data", "list"]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
