"""Data sets from outside: where they come from, and how to get at them safely.

Every file is known by its sha256, and its content is compared with it before anything reads it. A file is taken from
the directory named by the environment variable ``GFN_ENVS_DATA``, where that is set (an offline mirror); otherwise
from the user's cache directory, to which it is downloaded at first use.

On the command line, also as ``gfn data``::

    python -m gfn_envs.data list
    python -m gfn_envs.data fetch qm9str
    python -m gfn_envs.data path
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.resources
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

#: Environment variable with the directory of an offline mirror: the files of the registry, under their own names.
MIRROR = "GFN_ENVS_DATA"

#: Behind every cached file stands the sha256 of what comes before, as a damaged .npz may load without a complaint.
DIGEST_BYTES = hashlib.sha256().digest_size

Arrays = Mapping[str, np.ndarray]


class DatasetError(OSError):
    """A data set is not there, cannot be had, or is not what it should be; the message says what to do."""


@dataclass(frozen=True)
class Dataset:
    """One file of the registry."""

    name: str
    file: str
    url: str
    sha256: str
    bytes: int
    description: str
    licence: str
    citation: str


def _packaged(file: str) -> bytes:
    return importlib.resources.files("gfn_envs").joinpath("data", file).read_bytes()


#: name -> Dataset. The table itself is data/datasets.json.
DATASETS: dict[str, Dataset] = {entry["name"]: Dataset(**entry) for entry in json.loads(_packaged("datasets.json"))}


def dataset(name: str) -> Dataset:
    """The registry's entry. Raises DatasetError for a name that is not in it."""
    if name not in DATASETS:
        raise DatasetError(f"unknown data set {name!r}; known: {', '.join(DATASETS)}")
    return DATASETS[name]


def mirror() -> Path | None:
    """The offline mirror, None where ``GFN_ENVS_DATA`` is not set. Raises DatasetError where it is no directory."""
    path = os.environ.get(MIRROR)
    if path and not os.path.isdir(path):
        raise DatasetError(f"{MIRROR} is {path}, but there is no such directory")
    return Path(path) if path else None


def cache_dir() -> Path:
    """Where downloads and converted files are kept. Raises DatasetError where pooch is not installed."""
    return Path(_pooch("the cache directory").os_cache("gfn-envs"))


def _pooch(what: str) -> Any:
    try:
        import pooch
    except ImportError:
        raise DatasetError(
            f'{what} needs pooch: pip install "gfn-envs[data]". Without it, set {MIRROR} to a directory that holds '
            "the data"
        ) from None
    return pooch


# ---------------------------------------------------------------------- getting a file


def read(name: str) -> bytes:
    """The content of a data set, downloaded if need be, and equal to what the registry says.

    Raises:
        DatasetError: it is not in the mirror, cannot be read or downloaded, or its sha256 is not the registry's.
    """
    entry = dataset(name)
    path = fetch(name)
    data = _content(entry, path)
    # What is compared is what is used: nothing can come between.
    _check(entry, data, path)
    return data


def fetch(name: str) -> Path:
    """Path of the file of a data set, downloaded if need be, checked. Raises as :func:`read` does."""
    entry, directory = dataset(name), mirror()
    if directory is None:
        return _download(entry)
    path = directory / entry.file
    if not os.path.exists(path):  # which, unlike Path.exists, raises nothing
        raise DatasetError(f"{MIRROR} is {directory}, where there is no {entry.file}. {_by_hand(entry)}")
    _check(entry, _content(entry, path), path)
    return path


def is_available(name: str) -> bool:
    """Whether a data set can be read now, without downloading."""
    entry = dataset(name)
    try:
        path = (mirror() or cache_dir()) / entry.file
        return path.is_file() and _sha256(path.read_bytes()) == entry.sha256
    except OSError:
        return False


def _content(entry: Dataset, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}. {_by_hand(entry)}") from None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _check(entry: Dataset, data: bytes, path: Path) -> None:
    found = _sha256(data)
    if found != entry.sha256:
        raise DatasetError(
            f"{path} is not the file that {entry.url} held: it has {len(data):,} bytes and sha256 {found}, expected "
            f"{entry.bytes:,} bytes and {entry.sha256}. It was not read. Delete it and get it anew"
        )


def _by_hand(entry: Dataset) -> str:
    return (
        f"To get it by hand: download {entry.url} ({entry.bytes:,} bytes, sha256 {entry.sha256}), put it, as "
        f"{entry.file}, into a directory, and set {MIRROR} to that directory"
    )


def _download(entry: Dataset) -> Path:
    """Pooch's download into the cache; a file already there is kept if its sha256 is right."""
    try:
        pooch = _pooch(f"downloading {entry.name!r}")
        # Its log would tell what the error says, or nothing new.
        pooch.get_logger().setLevel("ERROR")
        path = pooch.retrieve(
            entry.url,
            known_hash=f"sha256:{entry.sha256}",
            fname=entry.file,
            path=cache_dir(),
            downloader=pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=30),
        )
        return Path(path)
    except DatasetError as error:
        raise DatasetError(f"{error}. {_by_hand(entry)}") from None
    except (OSError, ValueError) as error:  # requests' own errors are OSErrors; a wrong hash is a ValueError.
        reason = str(error).split("\n")[0]
        raise DatasetError(
            f"{entry.name!r} is neither in {cache_dir()} nor could it be downloaded ({reason}). {_by_hand(entry)}"
        ) from None


# ---------------------------------------------------------------------- converted forms


def converted(name: str, convert: Callable[[bytes], Arrays], version: int = 1) -> dict[str, np.ndarray]:
    """Arrays made from a data set by ``convert``, kept in the cache as .npz so that it runs once.

    Args:
        name: the data set.
        convert: from the file's content to arrays; what it raises is passed on, and nothing is kept.
        version: to be raised when ``convert`` changes what it returns.

    Raises:
        DatasetError: as :func:`read` does.
    """
    entry = dataset(name)
    key = f"{name}-{entry.sha256[:16]}-{convert.__name__.strip('_')}-{version}"
    return cached(key, lambda: convert(read(name)))


def cached(key: str, make: Callable[[], Arrays]) -> dict[str, np.ndarray]:
    """Arrays kept in the cache as ``key``.npz; made where they are not there, or damaged.

    They are made each time where no cache can be had (pooch is not installed, or the disk cannot be written to).
    """
    try:
        path = cache_dir() / "converted" / f"{key}.npz"
    except DatasetError:
        return dict(make())
    with contextlib.suppress(OSError):
        content = path.read_bytes()
        if content[-DIGEST_BYTES:] == hashlib.sha256(content[:-DIGEST_BYTES]).digest():
            return _load(content[:-DIGEST_BYTES])
    arrays = dict(make())
    with contextlib.suppress(OSError):
        _save(path, arrays)
    return arrays


def _load(data: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _save(path: Path, arrays: Arrays) -> None:
    """Write an .npz with its sha256 behind it, there whole or not at all."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    content = buffer.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content + hashlib.sha256(content).digest())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


# ---------------------------------------------------------------------- what comes with the package


def packaged(name: str) -> dict[str, np.ndarray]:
    """Arrays that are part of the package, such as ``"tfbind8"`` or ``"gfp_proxy"`` (data/README.md)."""
    return _load(_packaged(f"{name}.npz"))


def tfbind8_scores() -> np.ndarray:
    """E-scores of SIX6 REF R1 on all 65,536 8-mers, in alphabetical order, float64 (65536,).

    Both strands: an 8-mer and its reverse complement have the score of their line in the published file.
    """
    half = packaged("tfbind8")["score_1e5"] / 100_000
    codes = np.arange(4**8)
    digits = codes[:, None] // 4 ** np.arange(8)[::-1] % 4
    reverse = (3 - digits)[:, ::-1] @ 4 ** np.arange(8)[::-1]  # A, C, G, T = 0..3 pair as 0-3 and 1-2.
    first = np.minimum(codes, reverse)
    return np.asarray(half[np.searchsorted(np.flatnonzero(codes <= reverse), first)], dtype=np.float64)


def amp_peptides() -> tuple[list[str], np.ndarray]:
    """Peptides of AMPvsUniProt: (sequences, labels bool (5200,)), True for antimicrobial ones."""
    arrays = packaged("amp")
    text = arrays["letters"].tobytes().decode("ascii")
    ends = np.cumsum(arrays["lengths"]).tolist()
    return [text[end - length : end] for end, length in zip(ends, arrays["lengths"].tolist(), strict=True)], arrays[
        "labels"
    ].astype(bool)


# ---------------------------------------------------------------------- command line


def main(argv: Sequence[str] | None = None) -> int:
    """``list | fetch NAME ... | path``: exit code 0, or 2 where something cannot be had."""
    parser = argparse.ArgumentParser(prog="gfn data", description="Data sets from outside.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="every data set, its licence and where it is from")
    fetcher = commands.add_parser("fetch", help="download data sets, and check them")
    fetcher.add_argument("names", nargs="+", metavar="NAME", help=f"all, or of: {', '.join(DATASETS)}")
    commands.add_parser("path", help="the directory that data sets are read from")
    options = parser.parse_args(argv)
    try:
        directory = mirror()
        if options.command == "list":
            for entry in DATASETS.values():
                print(_describe(entry, f"not in {MIRROR}" if directory else "to be fetched"))
        elif options.command == "path":
            print(directory or cache_dir())
        else:
            for name in DATASETS if options.names == ["all"] else options.names:
                print(fetch(name))
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has seen enough, as head does. Python would write the rest at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:  # a DatasetError, or a file that may not be read
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _describe(entry: Dataset, otherwise: str) -> str:
    where = "here" if is_available(entry.name) else otherwise
    return (
        f"{entry.name} ({entry.bytes / 1000:,.0f} kB, {where})\n    {entry.description}\n"
        f"    licence: {entry.licence}\n    cite: {entry.citation}\n    from: {entry.url}"
    )
