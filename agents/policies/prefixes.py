"""Rows of tokens that are prefixes of others, so that a causal network evaluates the longest rows only."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gfn_envs.arrays import IntArray, row_keys


class Prefixes(NamedTuple):
    """The rows of a batch that are prefixes of no other row, and for each row of the batch one that extends it."""

    rows: IntArray
    """Rows that are prefixes of no other one (m, num_positions)."""
    row: IntArray
    """For each row of the batch, one of these that it begins or equals (n,)."""
    size: IntArray
    """Number of tokens of each row of the batch (n,)."""


def sizes(tokens: IntArray, empty: int) -> IntArray:
    """Number of tokens of each row (n, num_positions), int64 (n,)."""
    found: IntArray = np.count_nonzero(tokens != empty, axis=1)
    return found


def find_prefixes(tokens: IntArray, empty: int) -> Prefixes:
    """The rows that are prefixes of no other row.

    Args:
        tokens: int64 (n, num_positions); each row has tokens 0..empty - 1 first, and then ``empty``.
        empty: the token of positions that are not filled yet.
    """
    size = sizes(tokens, empty)
    # In alphabetical order, with empty positions first, the rows that a row begins follow it without a gap.
    letters = np.where(tokens == empty, 0, tokens + 1).astype(">u4")
    order = row_keys(letters).argsort(kind="stable")
    ranked, ranked_size = tokens.take(order, axis=0), size.take(order)
    longest = np.ones(len(tokens), dtype=bool)
    agree = ranked[1:] == ranked[:-1]
    agree |= np.arange(tokens.shape[1]) >= ranked_size[:-1, None]
    longest[:-1] = ~agree.all(1)
    row = np.empty(len(tokens), dtype=np.int64)
    row[order] = longest.cumsum() - longest
    return Prefixes(ranked.compress(longest, axis=0), row, size)
