"""Samples in file formats of chemistry and biology: SMILES, SDF, FASTA, Newick."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from agents.export.samples import Samples
from agents.export.tables import table_columns
from gfn_envs.arrays import IntArray
from gfn_envs.dag import Dag

#: Residues per line of a FASTA file.
FASTA_WIDTH = 60
#: Mol blocks per call.
CHUNK = 1000


def write_smiles(file: BinaryIO, samples: Samples, dag: Dag) -> None:
    """One line per row: the SMILES, its number from 1, and its reward if known, separated by spaces. No header."""
    for number, (name, facts) in enumerate(zip(samples.names, _facts(samples), strict=True), start=1):
        _line(file, f"{name} {number}{facts}")


def write_fasta(file: BinaryIO, samples: Samples, dag: Dag) -> None:
    """One record per row: a header with its number from 1 and its reward if known, then the sequence."""
    for number, (name, facts) in enumerate(zip(samples.names, _facts(samples), strict=True), start=1):
        _line(file, f">{number}{facts}")
        for start in range(0, max(len(name), 1), FASTA_WIDTH):
            _line(file, name[start : start + FASTA_WIDTH])


def write_newick(file: BinaryIO, samples: Samples, dag: Dag) -> None:
    """One tree per line, with its number from 1 and its reward, if known, as a comment in front."""
    for number, (name, facts) in enumerate(zip(samples.names, _facts(samples), strict=True), start=1):
        _line(file, f"[{number}{facts}] {name}")


def write_sdf(file: BinaryIO, samples: Samples, dag: Dag) -> None:
    """One record per row, with its number from 1 as title, and every column of the CSV file as a data item."""
    columns = table_columns(samples)
    for row, block in enumerate(_mol_blocks(dag, samples.states)):
        _line(file, f"{row + 1}\n{block.partition(chr(10))[2].rstrip(chr(10))}")
        for name, values in columns.items():
            if values[row] is not None:
                _line(file, f">  <{'smiles' if name == 'object' else name}>\n{values[row]}\n")
        _line(file, "$$$$")


def _mol_blocks(dag: Dag, states: IntArray) -> Iterator[str]:
    for first in range(0, len(states), CHUNK):
        yield from dag.mol_blocks(states[first : first + CHUNK])


def _facts(samples: Samples) -> Iterator[str]:
    """`` reward=0.5 samples=3`` of each row: its reward if known, and its number of samples if it is not 1."""
    columns = table_columns(samples)
    for reward, count in zip(columns["reward"], columns["samples"], strict=True):
        yield ("" if reward is None else f" reward={reward:.6g}") + (f" samples={count}" if count != 1 else "")


def _line(file: BinaryIO, text: str) -> None:
    file.write(f"{text}\n".encode())
