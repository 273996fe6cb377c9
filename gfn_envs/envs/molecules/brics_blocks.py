"""Blocks of a library: its molecules, cut by BRICS (Degen et al. 2008) at bonds that chemistry can make."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from gfn_envs.envs.molecules.kinds import chemistry, make_kind, marked, parse_quietly, parsed, split
from gfn_envs.smiles_files import SmilesRow, read_smiles
from gfn_envs.validation import one_of, positive_int, shown

WHERE = "blocks"
#: What to do with stereochemistry that blocks do not keep.
STEREO = ("refuse", "drop", "skip")


class Blocks(NamedTuple):
    """Blocks of a library, the most frequent first.

    Attributes:
        smiles: canonical SMILES, with the BRICS label of each attachment point as its isotope.
        molecules: number of molecules of the library that have each block.
        left_out: reason -> number of molecules, or of distinct fragments, that were left out.
    """

    smiles: list[str]
    molecules: list[int]
    left_out: dict[str, int]


def library_blocks(
    rows: Iterable[SmilesRow],
    stereo: str = "refuse",
    min_count: int = 1,
    max_atoms: int | None = None,
    max_blocks: int | None = None,
) -> Blocks:
    """The blocks of the molecules of a library. Of molecules with several parts (salts), every part is cut.

    Args:
        rows: the molecules.
        stereo: blocks keep stereochemistry that does not involve an attachment point. Other marks raise ("refuse"), or
            their molecules are left out ("skip"); "drop" removes all marks before the cuts.
        min_count: leave out blocks of fewer molecules.
        max_atoms: leave out blocks with more atoms; None: no limit.
        max_blocks: keep at most this many blocks, the most frequent; None: all.

    Raises:
        ValueError: a SMILES is invalid, or has marks that blocks do not keep; the message has its line. Or no block is
            left.
    """
    one_of("stereo", stereo, STEREO, WHERE)
    positive_int("min_count", min_count, WHERE)
    for name, limit in (("max_atoms", max_atoms), ("max_blocks", max_blocks)):
        if limit is not None:
            positive_int(name, limit, WHERE)
    chem, left_out, count = chemistry(), Counter[str](), Counter[str]()
    for row in rows:
        mol = parse_quietly(row.smiles)
        if mol is None:
            raise ValueError(f"{WHERE}: line {row.line}: {shown(row.smiles)} is not a valid SMILES")
        if stereo == "drop":
            chem.RemoveStereochemistry(mol)
        fragments = set(_cut(mol))
        if mark := _cut_stereo(mol) or next((mark for smiles in fragments if (mark := _lost_mark(smiles))), None):
            if stereo == "refuse":
                raise ValueError(
                    f"{WHERE}: line {row.line}: {shown(row.smiles)} has {mark}, which blocks do not keep: "
                    "stereo='drop' (--stereo drop) removes all stereochemistry, 'skip' leaves such molecules out"
                )
            left_out[f"molecules with {mark}"] += 1
            continue
        count.update(fragments)
    kept: dict[str, int] = {}
    for smiles, molecules in sorted(count.items(), key=lambda item: (-item[1], item[0])):
        reason = _unfit(smiles, max_atoms) or (
            f"in fewer than {min_count} molecules" if molecules < min_count else None
        )
        if reason:
            left_out[f"fragments {reason}"] += 1
        elif max_blocks is not None and len(kept) == max_blocks:
            left_out[f"fragments beyond the {max_blocks} most frequent"] += 1
        else:
            kept[smiles] = molecules
    if not kept:
        reasons = "; ".join(f"{number:,} {reason}" for reason, number in left_out.items())
        raise ValueError(f"{WHERE}: no block is left ({reasons or 'the library is empty'})")
    return Blocks(list(kept), list(kept.values()), dict(left_out))


def _cut(mol: Any) -> Iterator[str]:
    """Canonical SMILES of the fragments of a Mol, with BRICS labels; those of molecules without a cut have none."""
    from rdkit.Chem import BRICS

    chem = chemistry()
    for fragment in chem.GetMolFrags(BRICS.BreakBRICSBonds(mol), asMols=True):
        yield chem.MolToSmiles(fragment)


def _cut_stereo(mol: Any) -> str | None:
    """A stereo double bond of a Mol that a cut would break; None if all stay whole."""
    from rdkit.Chem import BRICS

    chem = chemistry()
    cut = [mol.GetBondBetweenAtoms(*ends) for ends, _ in BRICS.FindBRICSBonds(mol)]
    lost = any(bond.GetStereo() > chem.BondStereo.STEREOANY for bond in cut)
    return "a stereo double bond (/ or \\) at an attachment point" if lost else None


def _unfit(smiles: str, max_atoms: int | None) -> str | None:
    """The reason why a fragment is not a valid block; None if it is one."""
    if "*" not in smiles:
        return "without an attachment point"
    if max_atoms is not None and parsed(smiles).GetNumHeavyAtoms() > max_atoms:
        return f"of more than {max_atoms} atoms"
    try:
        make_kind(*split(marked(smiles)))
    except ValueError as error:
        return f"of which each {error}"
    return None


def _lost_mark(smiles: str) -> str | None:
    """Stereochemistry of a fragment at an attachment point; None if there is none."""
    if "*" not in smiles:
        return None
    try:
        marked(smiles)
    except ValueError as error:
        if found := re.search(r"a (chiral center|stereo)[^,]*", str(error)):
            return found[0]
    return None


def write_blocks(path: str | os.PathLike[str], blocks: Blocks) -> None:
    """Write one block per line: SMILES, and the number of molecules that have it. Raises OSError if it cannot be."""
    lines = [f"{s} {n}" for s, n in zip(blocks.smiles, blocks.molecules, strict=True)]
    Path(path).write_text("\n".join(["smiles molecules", *lines]) + "\n", encoding="utf-8")


def read_library(path: str | os.PathLike[str]) -> list[SmilesRow]:
    """The molecules of a file of SMILES; see :func:`gfn_envs.smiles_files.read_smiles`."""
    return read_smiles(path, WHERE)
