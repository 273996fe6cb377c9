"""File formats of samples, and the environments that support them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from agents.export import fields, tables, trees
from agents.export.parquet import check_pyarrow, write_parquet
from agents.export.samples import Samples
from agents.runs.files import write_atomically
from gfn_envs.dag import Dag


class Format(NamedTuple):
    """A file format.

    Attributes:
        write: writes samples to a file.
        allowed: whether an environment supports it.
        needs: what an environment needs to support it.
    """

    write: Callable[[BinaryIO, Samples, Dag], Any]
    allowed: Callable[[Dag], bool] = lambda dag: True
    needs: str = ""


def _declared(name: str) -> Callable[[Dag], bool]:
    return lambda dag: name in dag.object_formats


FORMATS = {
    ".csv": Format(tables.write_csv),
    ".parquet": Format(write_parquet),
    ".npy": Format(tables.write_npy),
    ".smi": Format(fields.write_smiles, _declared("smi"), "objects that are molecules"),
    ".sdf": Format(fields.write_sdf, lambda dag: dag.has("mol_blocks"), "objects that are molecules (mol_blocks)"),
    ".fasta": Format(fields.write_fasta, _declared("fasta"), "objects that are sequences of upper-case letters"),
    ".nwk": Format(fields.write_newick, _declared("nwk"), "objects that are trees"),
    ".nex": Format(trees.write_nexus, lambda dag: dag.has("clades"), "objects that are trees"),
    ".contree": Format(trees.write_consensus, lambda dag: dag.has("clades"), "objects that are trees"),
    ".clades.csv": Format(trees.write_clades, lambda dag: dag.has("clades"), "objects that are trees"),
}


def suffix_of(path: Path) -> str:
    """The suffix that sets the format: the longest known suffix of the name, else the part after the last dot."""
    known = [suffix for suffix in FORMATS if path.name.lower().endswith(suffix)]
    return max(known, key=len, default=path.suffix.lower())


def suffixes(dag: Dag) -> list[str]:
    """The suffixes of the formats that an environment supports."""
    return [suffix for suffix, format in FORMATS.items() if format.allowed(dag)]


def check_suffix(path: Path, dag: Dag) -> None:
    """Check that samples of ``dag`` can be written to a file with the suffix of ``path``.

    Raises:
        ValueError: the environment does not support the format. The message lists the suffixes that it supports.
        ImportError: a package that the format needs is not installed.
    """
    suffix, known = suffix_of(path), suffixes(dag)
    if suffix in known:
        if suffix == ".parquet":
            check_pyarrow()
        return
    needs = f" needs {FORMATS[suffix].needs}, and" if suffix in FORMATS else " is not a format of samples:"
    given = suffix or "a name without a suffix"
    raise ValueError(f"{path}: {given}{needs} {type(dag).__name__} can be written to {', '.join(known)}")


def write_samples(path: str | Path, samples: Samples, dag: Dag) -> None:
    """Write samples to a file, whose suffix sets the format, atomically.

    Raises:
        ValueError: the environment cannot be written in this format.
        ImportError: a package that the format needs is not installed.
        OSError: the file cannot be written, for example because the disk is full. An older file stays.
    """
    path = Path(path)
    check_suffix(path, dag)
    write_atomically(path, lambda file: FORMATS[suffix_of(path)].write(file, samples, dag))
