"""Rules for bonds between blocks: labels of attachment points, and forbidden bonds between elements.

Two attachment points may bond only if their bonds have the same order.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from gfn_envs.arrays import BoolArray
from gfn_envs.envs.molecules.bonds import BondPairs
from gfn_envs.envs.molecules.kinds import Kind, chemistry
from gfn_envs.text_files import read_text
from gfn_envs.validation import shown

#: Unordered pairs of labels, as sets of one or two labels.
Pairs = frozenset[frozenset[int]]


def stem_types(
    kinds: Sequence[Kind], rules: str | os.PathLike[str] | None, forbidden: BondPairs, where: str
) -> tuple[tuple[tuple[int, ...], ...], BoolArray]:
    """Types of the stems: stems of one type may bond to the same stems.

    Args:
        kinds: the blocks.
        rules: "any", "same", "brics", the path of a file of pairs, or None, which is "any" without labels.
        forbidden: pairs of elements that may not be bonded.
        where: the environment, for messages.

    Returns:
        The type at each position of each kind; and whether stems of two types may bond, bool (t, t), symmetric.

    Raises:
        TypeError: ``rules`` is neither text nor a path.
        ValueError: there are labels, but no rules; the rules are unknown or do not have one of the labels; or no two
            stems may bond.
        OSError: the file cannot be read.
    """
    places = [[(o, label, kind.element(p)) for p, (o, label) in enumerate(_ends(kind))] for kind in kinds]
    every = sorted({place for of_kind in places for place in of_kind})
    pairs = {
        order: _pairs(rules, sorted({label for o, label, _ in every if o == order}), order, where)
        for order in sorted({order for order, _, _ in every})
    }

    def may(one: tuple[int, int, str], other: tuple[int, int, str]) -> bool:
        allowed = pairs[one[0]]
        by_label = allowed is None or frozenset((one[1], other[1])) in allowed
        return one[0] == other[0] and by_label and not forbidden.has(one[2], other[2])

    table = np.array([[may(one, other) for other in every] for one in every])
    # Types with equal rows are one type.
    _, first, merged = np.unique(table, axis=0, return_index=True, return_inverse=True)
    number = dict(zip(every, merged.reshape(-1).tolist(), strict=True))
    may_bond = table[np.ix_(first, first)]
    if not may_bond.any():
        raise ValueError(f"{where}: rules and forbidden_bonds let no two blocks bond")
    return tuple(tuple(number[place] for place in of_kind) for of_kind in places), may_bond


def _ends(kind: Kind) -> Iterator[tuple[int, int]]:
    """(order, label) of the stems at each position."""
    return zip(kind.orders, kind.labels, strict=True)


def _pairs(rules: str | os.PathLike[str] | None, labels: Sequence[int], order: int, where: str) -> Pairs | None:
    """The pairs of labels that may bond, for attachment points of one order; None for any."""
    if rules is None:
        if labels != [0]:
            raise ValueError(
                f"{where}: the attachment points have labels {', '.join(map(str, labels))}, so rules must be 'brics', "
                "'same' (equal labels bond), 'any' (labels mean nothing) or a file with one pair of labels per line"
            )
        return None
    allowed = "None, 'any', 'same', 'brics' or the path of a text file"
    if not isinstance(rules, str | os.PathLike):
        raise TypeError(f"{where}: rules must be {allowed}, got {shown(rules)}")
    if rules == "any":
        return None
    if rules == "same":
        return frozenset(frozenset((label,)) for label in labels)
    if rules == "brics":
        pairs, source = brics_pairs(order), f"BRICS, with {('single', 'double')[order - 1]} bonds"
    elif isinstance(rules, os.PathLike) or Path(rules).suffix:
        pairs, source = _read(Path(rules), where), str(rules)
    else:
        raise ValueError(f"{where}: rules must be {allowed}, got {shown(rules)}")
    known = {label for pair in pairs for label in pair}
    if unknown := [label for label in labels if label not in known]:
        names = ", ".join("0 (no label)" if label == 0 else str(label) for label in unknown)
        raise ValueError(
            f"{where}: attachment points have the label {names}, which {source} does not have; "
            f"known: {', '.join(map(str, sorted(known)))}"
        )
    return pairs


def brics_pairs(order: int = 1) -> Pairs:
    """The pairs of labels that BRICS (Degen et al. 2008) bonds by a bond of order 1 or 2, from RDKit."""
    chemistry()
    from rdkit.Chem import BRICS

    ends = [(a, b) for group in BRICS.reactionDefs for a, b, bond in group if bond == "-="[order - 1]]
    return frozenset(frozenset(int(re.sub(r"\D", "", label)) for label in pair) for pair in ends)


def _read(path: Path, where: str) -> Pairs:
    """Pairs of labels from a text file: two integers per line; ``#`` begins a comment."""
    pairs = set()
    for number, line in enumerate(read_text(path, where).splitlines(), 1):
        words = re.split(r"[\s,;-]+", line.partition("#")[0].strip())
        if words == [""]:
            continue
        if len(words) != 2 or not all(word.isdecimal() for word in words):
            raise ValueError(f"{where}: {path}, line {number}: expected two labels, such as '1 3', got {line!r}")
        pairs.add(frozenset(map(int, words)))
    if not pairs:
        raise ValueError(f"{where}: {path} has no pairs of labels")
    return frozenset(pairs)
