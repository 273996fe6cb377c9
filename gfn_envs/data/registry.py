"""The registry of data sets that are not packaged, and functions that read them.

The sha256 or git blob hash of every file is checked before its content is used. Files are read from the directory in
the environment variable ``GFN_ENVS_DATA`` (an offline mirror) if it is set, otherwise from the user's cache directory,
into which missing files are downloaded.

On the command line, also as ``gfn-envs data``::

    python -m gfn_envs.data list
    python -m gfn_envs.data fetch qm9str
    python -m gfn_envs.data path
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gfn_envs.data.packaged import load_arrays, packaged_file

#: Environment variable with the directory of an offline mirror, which holds files with the names in the registry.
MIRROR = "GFN_ENVS_DATA"

#: Size of the sha256 at the end of every cached file. It is needed because a damaged .npz can load without an error.
DIGEST_BYTES = hashlib.sha256().digest_size

Arrays = Mapping[str, np.ndarray]


class DatasetError(OSError):
    """A data set is missing, cannot be downloaded or is damaged. The message says what to do."""


@dataclass(frozen=True)
class Dataset:
    """One file of the registry.

    Attributes:
        name: name in the registry.
        file: file name.
        url: address that it is downloaded from.
        sha256: checksum of its content, hexadecimal; None if only ``git_sha1`` is known.
        bytes: its size; None if it is not known.
        description, license, citation: text.
        git_sha1: hash of the file as a blob of a git repository, hexadecimal: the sha1 of ``blob SIZE``, a zero byte
            and the content.
    """

    name: str
    file: str
    url: str
    sha256: str | None
    bytes: int | None
    description: str
    license: str
    citation: str
    git_sha1: str | None = None

    @property
    def checksum(self) -> str:
        """The hexadecimal checksum that identifies the content."""
        return self.sha256 or self.git_sha1 or ""

    @property
    def identity(self) -> str:
        """Size and checksum in words."""
        size = "" if self.bytes is None else f"{self.bytes:,} bytes, "
        return f"{size}{self.checksum_kind} {self.checksum}"

    @property
    def checksum_kind(self) -> str:
        """``"sha256"`` or ``"git blob"``."""
        return "sha256" if self.sha256 else "git blob"


def checksum_of(entry: Dataset, data: bytes) -> str:
    """The checksum of ``data`` of the same kind as the entry's."""
    if entry.sha256:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


#: name -> Dataset, read from datasets.json.
DATASETS: dict[str, Dataset] = {entry["name"]: Dataset(**entry) for entry in json.loads(packaged_file("datasets.json"))}


def dataset(name: str) -> Dataset:
    """The entry of the registry. Raises DatasetError if the name is unknown."""
    if name not in DATASETS:
        raise DatasetError(f"unknown data set {name!r}; known: {', '.join(DATASETS)}")
    return DATASETS[name]


def mirror() -> Path | None:
    """The offline mirror, None if ``GFN_ENVS_DATA`` is not set. Raises DatasetError if it is not a directory."""
    path = os.environ.get(MIRROR)
    if path and not os.path.isdir(path):
        raise DatasetError(f"{MIRROR} is {path}, but there is no such directory")
    return Path(path) if path else None


def cache_dir() -> Path:
    """The directory of downloads and converted files. Raises DatasetError if pooch is not installed."""
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


# ---------------------------------------------------------------------- files


def read(name: str) -> bytes:
    """The content of a data set, downloaded if necessary and checked.

    Raises:
        DatasetError: it is not in the mirror, cannot be read or downloaded, or has another checksum than the registry.
    """
    entry = dataset(name)
    path = fetch(name)
    data = _content(entry, path)
    # Checked again on the bytes that are returned, because the file could have changed since fetch() read it.
    _check(entry, data, path)
    return data


def fetch(name: str) -> Path:
    """Path of the file of a data set, downloaded if necessary and checked. Raises like :func:`read`."""
    entry, directory = dataset(name), mirror()
    if directory is None:
        return _download(entry)
    path = directory / entry.file
    if not os.path.exists(path):  # Unlike Path.exists, it never raises.
        raise DatasetError(f"{MIRROR} is {directory}, which has no {entry.file}. {_by_hand(entry)}")
    _check(entry, _content(entry, path), path)
    return path


def is_available(name: str) -> bool:
    """True if a data set can be read without downloading it."""
    entry = dataset(name)
    try:
        path = (mirror() or cache_dir()) / entry.file
        return path.is_file() and checksum_of(entry, path.read_bytes()) == entry.checksum
    except OSError:
        return False


def _content(entry: Dataset, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}. {_by_hand(entry)}") from None


def _check(entry: Dataset, data: bytes, path: Path) -> None:
    found = checksum_of(entry, data)
    if found != entry.checksum:
        raise DatasetError(
            f"{path} is not the file that was published at {entry.url}: it has {len(data):,} bytes and "
            f"{entry.checksum_kind} {found}, expected {entry.identity}. It was not used. Delete it and "
            "download it again"
        )


def _by_hand(entry: Dataset) -> str:
    return (
        f"To fetch it: gfn-envs data fetch {entry.name}, without {MIRROR}. To install it by hand: download {entry.url} "
        f"({entry.identity}), save it as {entry.file} in a directory, and set {MIRROR} to that directory"
    )


def _download(entry: Dataset) -> Path:
    """Path of the file in the cache. It is downloaded unless a file with the right checksum is there."""
    try:
        pooch = _pooch(f"downloading {entry.name!r}")
        # Its log repeats the error.
        pooch.get_logger().setLevel("ERROR")
        if entry.sha256 is None and not is_available(entry.name):
            # Pooch does not know git's hashes, and would keep a file without a known hash.
            (cache_dir() / entry.file).unlink(missing_ok=True)
        path = Path(
            pooch.retrieve(
                entry.url,
                known_hash=None if entry.sha256 is None else f"sha256:{entry.sha256}",
                fname=entry.file,
                path=cache_dir(),
                downloader=pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=30),
            )
        )
        if entry.sha256 is None:
            try:
                _check(entry, path.read_bytes(), path)
            except DatasetError as error:
                path.unlink(missing_ok=True)
                raise ValueError(error) from None
        return path
    except DatasetError as error:
        raise DatasetError(f"{error}. {_by_hand(entry)}") from None
    except (OSError, ValueError) as error:  # Errors of requests are OSErrors; a wrong hash is a ValueError.
        reason = str(error).split("\n")[0]
        raise DatasetError(
            f"{entry.name!r} is not in {cache_dir()} and could not be downloaded ({reason}). {_by_hand(entry)}"
        ) from None


# ---------------------------------------------------------------------- converted data


def converted(name: str, convert: Callable[[bytes], Arrays], version: int = 1) -> dict[str, np.ndarray]:
    """Arrays that ``convert`` makes from a data set, cached as .npz so that it runs once.

    Args:
        name: the data set.
        convert: maps the content of the file to arrays. If it raises, nothing is cached.
        version: increase it whenever ``convert`` returns something else.

    Raises:
        DatasetError: like :func:`read`.
    """
    entry = dataset(name)
    key = f"{name}-{entry.checksum[:16]}-{convert.__name__.strip('_')}-{version}"
    return cached(key, lambda: convert(read(name)))


def cached(key: str, make: Callable[[], Arrays]) -> dict[str, np.ndarray]:
    """Arrays cached as ``key``.npz. ``make`` is called if the file is missing or damaged.

    ``make`` is called every time if there is no cache (pooch is not installed, or the directory is not writable).
    """
    try:
        path = cache_dir() / "converted" / f"{key}.npz"
    except DatasetError:
        return dict(make())
    with contextlib.suppress(OSError):
        content = path.read_bytes()
        if content[-DIGEST_BYTES:] == hashlib.sha256(content[:-DIGEST_BYTES]).digest():
            return load_arrays(content[:-DIGEST_BYTES])
    arrays = dict(make())
    with contextlib.suppress(OSError):
        _save(path, arrays)
    return arrays


def _save(path: Path, arrays: Arrays) -> None:
    """Write an .npz followed by its sha256, atomically."""
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
