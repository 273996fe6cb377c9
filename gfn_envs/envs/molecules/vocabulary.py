"""Vocabularies of building blocks: from SMILES with attachment points, or the 105 published blocks.

A *kind* is a block with its stems, the attachment points at which other blocks can be bonded. An atom can have several
stems. An *arm* is a kind and the position of the stem atom by which the kind is bonded when it is added.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gfn_envs.arrays import IntArray
from gfn_envs.data import registry as datasets
from gfn_envs.data.packaged import packaged_file
from gfn_envs.envs.molecules.kinds import Kind, check_marks, make_kind, parsed, split
from gfn_envs.text_files import read_text
from gfn_envs.user_arrays import ordered
from gfn_envs.validation import shown


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Kinds, and the arms by which they are added.

    Attributes:
        kinds: distinct kinds of blocks.
        arms: (kind, position) of each arm, int64 (e, 2). Arms that an automorphism exchanges may both be listed.
        names: name of each arm.
    """

    kinds: tuple[Kind, ...]
    arms: IntArray
    names: tuple[str, ...]


def load_vocabulary(blocks: str | os.PathLike[str] | Sequence[str] | None) -> Vocabulary:
    """A vocabulary by name, from a file, or from SMILES.

    Args:
        blocks: None for the packaged vocabulary; "pdb105" for the 105 blocks of Bengio et al. 2021 (data set
            fragment-blocks); a sequence of SMILES with attachment points, such as ``"*c1ccc(*)cc1"``; or the path of a
            text file with one such SMILES at the start of each line. A name may follow it, after spaces, a tab, a comma
            or a semicolon. A first line without an asterisk is a header if its first word is a name such as SMILES.

    Raises:
        TypeError: the blocks have no order, such as a set, or labels that would be dropped, such as a mapping.
        ValueError: a row is not a valid block, or the file is not UTF-8; the message has the number of the line.
        FileNotFoundError: the file does not exist.
        DatasetError: the published blocks are not available.
    """
    if blocks is None:
        return packaged_vocabulary()
    if isinstance(blocks, str) and blocks == "pdb105":
        return published(json.loads(datasets.read("fragment-blocks")))
    if isinstance(blocks, (str, os.PathLike)):
        numbers, smiles = _read(Path(blocks))
        return from_smiles(smiles, f"FragmentMolecule: {blocks}", "line", numbers)
    ordered_blocks = ordered(blocks, "FragmentMolecule", "blocks")
    if not hasattr(ordered_blocks, "__len__"):
        raise TypeError(f"FragmentMolecule: blocks must be a list of SMILES or a path, got {shown(blocks)}")
    return from_smiles(list(ordered_blocks), "FragmentMolecule: blocks")


#: First words of a line that names the columns of a file.
HEADERS = ("smiles", "smi", "block", "blocks", "fragment", "fragments", "structure", "canonical_smiles", "molecule")


def _read(path: Path) -> tuple[list[int], list[str]]:
    """The line numbers and SMILES of a text file."""
    numbers: list[int] = []
    smiles: list[str] = []
    for number, line in enumerate(read_text(path, "FragmentMolecule").splitlines(), 1):
        # SMILES have neither of these separators.
        words = re.split(r"[\s,;]+", line.strip(), maxsplit=1)
        word = words[0].strip("\"'")
        if not line.strip() or (not numbers and word.lower() in HEADERS):
            continue
        if not word or ("*" not in word and len(words) > 1 and "*" in words[1]):
            raise ValueError(
                f"FragmentMolecule: {path}, line {number}: the line must begin with the SMILES of a block, got {line!r}"
            )
        numbers.append(number)
        smiles.append(word)
    return numbers, smiles


def packaged_blocks() -> list[str]:
    """SMILES of the packaged vocabulary."""
    return list(json.loads(packaged_file("fragments.json")).values())


def from_smiles(
    blocks: Sequence[str], where: str, row: str = "row", numbers: Sequence[int] | None = None
) -> Vocabulary:
    """A vocabulary from SMILES, in which each asterisk is a stem, and every stem is an arm.

    Blocks with stereochemistry, isotopes or atom map numbers raise, because trees of blocks do not keep them.

    Args:
        blocks: the SMILES.
        where: prefix of error messages.
        row: name of a row in error messages.
        numbers: number of each row in error messages; None: 0, 1, ...

    Raises:
        ValueError: there are no rows; a SMILES is invalid, has no attachment point, or has marks that would be lost; or
            a block is listed twice.
    """
    if not blocks:
        raise ValueError(f"{where}: a vocabulary must have at least one block")
    kinds: dict[str, Kind] = {}
    first: dict[str, int] = {}
    arms: list[tuple[int, int]] = []
    for number, smiles in zip(numbers or range(len(blocks)), blocks, strict=True):
        try:
            check_marks(smiles)
            kind, _ = make_kind(*split(smiles))
        except ValueError as error:
            raise ValueError(f"{where}, {row} {number}: {shown(smiles)} {error}") from None
        if kind.smiles in kinds:
            raise ValueError(f"{where}, {row} {number}: {smiles!r} is the same block as {row} {first[kind.smiles]}")
        # One arm per class of positions that automorphisms exchange.
        arms += [(len(kinds), int(p)) for p in np.unique(kind.automorphisms.min(0))]
        kinds[kind.smiles], first[kind.smiles] = kind, number
    return _vocabulary(list(kinds.values()), arms)


def published(tables: Any) -> Vocabulary:
    """A vocabulary from the tables of Bengio et al. 2021.

    ``block_smi`` has the SMILES of each entry, and ``block_r`` the atoms with stems, of which the first is the arm.
    Entries with the same SMILES and stems are one kind with several arms.

    Raises:
        ValueError: a table is missing, or an entry is not a valid block; the message has its key.
    """
    try:
        entries = [(key, tables["block_smi"][key], list(tables["block_r"][key])) for key in tables["block_smi"]]
    except (KeyError, TypeError):
        raise ValueError("blocks: expected the tables block_smi and block_r, with the same keys") from None
    kinds: dict[str, Kind] = {}
    arms: list[tuple[int, int]] = []
    for key, smiles, stems in entries:
        try:
            kind, position = make_kind(parsed(smiles), stems)
        except ValueError as error:
            raise ValueError(f"blocks, entry {key}: {smiles!r} {error}") from None
        kinds.setdefault(kind.smiles, kind)
        arms.append((list(kinds).index(kind.smiles), position[stems[0]]))
    return _vocabulary(list(kinds.values()), arms)


def _vocabulary(kinds: list[Kind], arms: list[tuple[int, int]]) -> Vocabulary:
    names = tuple(kinds[k].smiles if len(kinds[k].atoms) == 1 else f"{kinds[k].smiles} by {p}" for k, p in arms)
    return Vocabulary(tuple(kinds), np.array(arms, dtype=np.int64), names)


@functools.cache
def packaged_vocabulary() -> Vocabulary:
    """The packaged vocabulary; repeated calls return the same object."""
    return from_smiles(packaged_blocks(), "the packaged vocabulary")
