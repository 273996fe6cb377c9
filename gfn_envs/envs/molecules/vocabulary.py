"""Vocabularies of building blocks: from SMILES with attachment points, or the 105 published blocks.

A *kind* is a block with its stems, the attachment points at which other blocks can be bonded. An atom can have several
stems. An *arm* is a kind and the position of the stem atom by which the kind is bonded when it is added.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gfn_envs.arrays import BoolArray, IntArray
from gfn_envs.data import registry as datasets
from gfn_envs.data.packaged import packaged_file
from gfn_envs.envs.molecules.attachments import stem_types
from gfn_envs.envs.molecules.bonds import BondPairs
from gfn_envs.envs.molecules.kinds import Kind, Stem, make_kind, marked, parsed, split, without_stereo
from gfn_envs.smiles_files import read_smiles
from gfn_envs.user_arrays import ordered
from gfn_envs.validation import shown

WHERE = "FragmentMolecule"
NO_PAIRS = BondPairs(None, WHERE)


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Kinds, and the arms by which they are added.

    Attributes:
        kinds: distinct kinds of blocks.
        arms: (kind, position) of each arm, int64 (e, 2). Arms that an automorphism exchanges may both be listed.
        names: name of each arm.
        types: type of the stems at each position of each kind.
        may_bond: whether stems of two types may bond, bool (t, t), symmetric.
    """

    kinds: tuple[Kind, ...]
    arms: IntArray
    names: tuple[str, ...]
    types: tuple[tuple[int, ...], ...]
    may_bond: BoolArray

    @functools.cached_property
    def capacity(self) -> tuple[tuple[int, ...], ...]:
        """Number of stems at each position of each kind to which an arm may bond. The others carry hydrogens."""
        arm_types = sorted({self.types[k][p] for k, p in self.arms.tolist()})
        used = np.any(self.may_bond[:, arm_types], axis=1).tolist()
        return tuple(
            tuple(c if used[t] else 0 for c, t in zip(kind.capacity, types, strict=True))
            for kind, types in zip(self.kinds, self.types, strict=True)
        )


def load_vocabulary(
    blocks: str | os.PathLike[str] | Sequence[str] | None,
    rules: str | os.PathLike[str] | None = None,
    forbidden_bonds: str | Sequence[str] | None = None,
) -> Vocabulary:
    """A vocabulary by name, from a file, or from SMILES.

    Args:
        blocks: None for the packaged vocabulary; "pdb105" for the 105 blocks of Bengio et al. 2021 (data set
            fragment-blocks); a sequence of SMILES with attachment points, such as ``"*c1ccc(*)cc1"``; or the path of a
            file with one such SMILES per line (:mod:`gfn_envs.smiles_files`). The isotope of an
            asterisk, as in ``"[16*]c1ccccc1"``, is its label.
        rules: which labels may bond, see :func:`gfn_envs.envs.molecules.attachments.stem_types`.
        forbidden_bonds: bonds between blocks that are not made, see :class:`gfn_envs.envs.molecules.bonds.BondPairs`.

    Raises:
        TypeError: the blocks have no order, such as a set, or labels that would be dropped, such as a mapping.
        ValueError: a row is not a valid block, or the file is not UTF-8; the message has the number of the line.
        FileNotFoundError: the file does not exist.
        DatasetError: the published blocks are not available.
    """
    forbidden = BondPairs(forbidden_bonds, WHERE)
    if blocks is None and rules is None and not forbidden.pairs:
        return packaged_vocabulary()
    if blocks is None:
        return from_smiles(packaged_blocks(), "the packaged vocabulary", rules=rules, forbidden=forbidden)
    if isinstance(blocks, str) and blocks == "pdb105":
        return published(json.loads(datasets.read("fragment-blocks")), rules, forbidden)
    if isinstance(blocks, (str, os.PathLike)):
        numbers, smiles = _read(Path(blocks))
        return from_smiles(smiles, f"{WHERE}: {blocks}", "line", numbers, rules, forbidden)
    ordered_blocks = ordered(blocks, WHERE, "blocks")
    if not hasattr(ordered_blocks, "__len__"):
        raise TypeError(f"{WHERE}: blocks must be a list of SMILES or a path, got {shown(blocks)}")
    return from_smiles(list(ordered_blocks), f"{WHERE}: blocks", rules=rules, forbidden=forbidden)


def _read(path: Path) -> tuple[list[int], list[str]]:
    """The line numbers and SMILES of a file."""
    rows = read_smiles(path, WHERE)
    for row in rows:
        if "*" not in row.smiles and "*" in row.rest:
            given = f"{row.smiles} {row.rest}"
            raise ValueError(
                f"{WHERE}: {path}, line {row.line}: the line must begin with the SMILES of a block, got {given!r}"
            )
    return [row.line for row in rows], [row.smiles for row in rows]


def packaged_blocks() -> list[str]:
    """SMILES of the packaged vocabulary."""
    return list(json.loads(packaged_file("fragments.json")).values())


def from_smiles(
    blocks: Sequence[str],
    where: str,
    row: str = "row",
    numbers: Sequence[int] | None = None,
    rules: str | os.PathLike[str] | None = None,
    forbidden: BondPairs = NO_PAIRS,
) -> Vocabulary:
    """A vocabulary from SMILES, in which each asterisk is a stem, and every stem is an arm.

    Stereochemistry is kept, unless it is at an attachment point. There, and where trees of blocks cannot keep isotopes
    and atom map numbers, the block raises.

    Args:
        blocks: the SMILES.
        where: prefix of error messages.
        row: name of a row in error messages.
        numbers: number of each row in error messages; None: 0, 1, ...
        rules: which labels may bond.
        forbidden: pairs of elements that may not be bonded.

    Raises:
        ValueError: there are no rows; a SMILES is invalid, has no attachment point, or has marks that would be lost; a
            block is listed twice; or the rules do not fit the labels.
    """
    if not blocks:
        raise ValueError(f"{where}: a vocabulary must have at least one block")
    kinds: dict[str, Kind] = {}
    first: dict[str, int] = {}
    arms: list[tuple[int, int]] = []
    for number, smiles in zip(numbers or range(len(blocks)), blocks, strict=True):
        try:
            mol = marked(smiles)
            kind, _ = make_kind(*split(mol))
        except ValueError as error:
            raise ValueError(f"{where}, {row} {number}: {shown(smiles)} {error}") from None
        if kind.smiles in kinds:
            raise ValueError(f"{where}, {row} {number}: {smiles!r} is the same block as {row} {first[kind.smiles]}")
        # One arm per class of positions that automorphisms exchange.
        arms += [(len(kinds), int(p)) for p in np.unique(kind.automorphisms.min(0))]
        kinds[kind.smiles], first[kind.smiles] = kind, number
    return _vocabulary(list(kinds.values()), arms, rules, forbidden)


def published(tables: Any, rules: str | os.PathLike[str] | None = None, forbidden: BondPairs = NO_PAIRS) -> Vocabulary:
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
            kind, position = make_kind(without_stereo(parsed(smiles)), [Stem(stem) for stem in stems])
        except ValueError as error:
            raise ValueError(f"blocks, entry {key}: {smiles!r} {error}") from None
        kinds.setdefault(kind.smiles, kind)
        arms.append((list(kinds).index(kind.smiles), position[stems[0]]))
    return _vocabulary(list(kinds.values()), arms, rules, forbidden)


def _vocabulary(
    kinds: list[Kind], arms: list[tuple[int, int]], rules: str | os.PathLike[str] | None, forbidden: BondPairs
) -> Vocabulary:
    names = tuple(kinds[k].smiles if len(kinds[k].atoms) == 1 else f"{kinds[k].smiles} by {p}" for k, p in arms)
    types, may_bond = stem_types(kinds, rules, forbidden, WHERE)
    return Vocabulary(tuple(kinds), np.array(arms, dtype=np.int64), names, types, may_bond)


@functools.cache
def packaged_vocabulary() -> Vocabulary:
    """The packaged vocabulary; repeated calls return the same object."""
    return from_smiles(packaged_blocks(), "the packaged vocabulary")
