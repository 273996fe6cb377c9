"""Bonds that molecules may not have, as pairs of elements such as "N-O"."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from gfn_envs.envs.molecules.kinds import chemistry, without_log
from gfn_envs.user_arrays import ordered
from gfn_envs.validation import shown

HALOGENS = ("F", "Cl", "Br", "I")

#: Bonds between heteroatoms that a medicinal chemist avoids. N-S is allowed, because it is in sulfonamides.
CHEMIST = (
    *("N-N", "N-O", "O-O", "O-S", "S-S"),
    *(f"{a}-{b}" for a in ("N", "O", "S", "P") for b in HALOGENS),
    *(f"{a}-{b}" for k, a in enumerate(HALOGENS) for b in HALOGENS[k:]),
)


class BondPairs:
    """A set of unordered pairs of elements.

    Args:
        pairs: the pairs, such as ``("N-N", "N-O")``; a text of such pairs with commas; "chemist" for :data:`CHEMIST`;
            or None for no pairs.
        where: the environment, for messages.

    Raises:
        TypeError: ``pairs`` is not one of these.
        ValueError: a pair does not name two elements.
    """

    def __init__(self, pairs: str | Sequence[str] | None, where: str):
        if isinstance(pairs, str):
            pairs = CHEMIST if pairs == "chemist" else [pair.strip() for pair in pairs.split(",") if pair.strip()]
        given = () if pairs is None else texts(pairs, where, "forbidden_bonds")
        self.pairs = frozenset(_pair(pair, where) for pair in given)

    def has(self, element: str, other: str) -> bool:
        """True if this pair of symbols is in the set."""
        return frozenset((element, other)) in self.pairs


def _pair(pair: Any, where: str) -> frozenset[str]:
    symbols = pair.split("-") if isinstance(pair, str) else []
    if len(symbols) != 2 or not all(is_element(symbol) for symbol in symbols):
        raise ValueError(f"{where}: forbidden_bonds must be pairs of elements such as 'N-O', got {shown(pair)}")
    return frozenset(symbols)


def is_element(symbol: str) -> bool:
    """True if this is the symbol of a chemical element."""
    if not symbol.isalpha() or symbol.capitalize() != symbol or len(symbol) > 2:
        return False
    with without_log():
        try:
            return bool(chemistry().GetPeriodicTable().GetAtomicNumber(symbol) > 0)
        except RuntimeError:
            return False


def texts(value: Any, where: str, name: str) -> list[str]:
    """A list or array of texts as a list.

    Raises:
        TypeError: it is something else, has no order, or has an entry that is not text.
    """
    rows = ordered(value, where, name)
    if not isinstance(rows, Sequence | np.ndarray) or isinstance(rows, bytes) or np.ndim(rows) != 1:
        raise TypeError(f"{where}: {name} must be a list of texts, got {shown(value)}")
    if not all(isinstance(entry, str) for entry in rows):
        raise TypeError(f"{where}: {name} must be a list of texts, got {shown(value)}")
    return [str(entry) for entry in rows]


def plain(value: Any) -> Any:
    """Paths as text and lists of any kind as lists, for the arguments of an environment."""
    if isinstance(value, os.PathLike):
        return str(value)
    listed = isinstance(value, Sequence) or getattr(value, "ndim", 0) == 1
    return list(value) if listed and not isinstance(value, str) else value
