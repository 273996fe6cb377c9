"""Names of known objects, from a file that ``gfn sample`` wrote or from plain lines."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from agents.evaluation.molecules import canonical_smiles
from gfn_envs.dag import Dag
from gfn_envs.fasta_files import is_fasta, read_fasta
from gfn_envs.smiles_files import read_smiles
from gfn_envs.text_files import read_text

#: Suffixes of files of trees in Newick format.
NEWICK = (".nwk", ".newick", ".tre", ".tree")


def read_known(path: Path, dag: Dag) -> list[str]:
    """Names of known objects of ``dag``: canonical SMILES of the molecules in a file, else :func:`read_names`.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file has another format, or an invalid SMILES.
        ImportError: the objects are molecules, and RDKit is not installed.
    """
    if not dag.has("molecules"):
        return read_names(path)
    return [canonical_smiles(row.smiles) for row in read_smiles(path, "known molecules")]


def read_names(path: Path) -> list[str]:
    """Names of objects: the column ``object`` of a .csv or .tsv file, the sequences of a FASTA file, the first word per
    line of a .smi file, the trees of a Newick file without comments, else the lines. Files can be compressed with gzip.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not text, or a table without that column.
    """
    if is_fasta(path.name):
        return list(read_fasta(path, "names of objects").values())
    lines = read_text(path, "names of objects").split("\n")
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    if suffix in (".csv", ".tsv"):
        rows = csv.DictReader(lines, delimiter="," if suffix == ".csv" else "\t")
        if "object" not in (rows.fieldnames or ()):
            raise ValueError(f"{path}, line 1: there is no column 'object', only {', '.join(rows.fieldnames or ())}")
        return [row["object"] for row in rows if row["object"]]
    if suffix == ".smi":
        return [line.split()[0] for line in lines if line.split()]
    if suffix in NEWICK:
        lines = [re.sub(r"^\s*\[[^\]]*\]", "", line) for line in lines]
    return [line.strip() for line in lines if line.strip()]
