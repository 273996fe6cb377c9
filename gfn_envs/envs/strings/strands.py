"""Strings of nucleotides and their reverse complements, the other strand of a double helix."""

from __future__ import annotations

import numpy as np

from gfn_envs.arrays import IntArray


def reverse_complement(tokens: IntArray, complement: IntArray) -> IntArray:
    """The other strand of strings (n, length), whose empty positions, of token ``len(complement)``, are at the end."""
    q, length = len(complement), tokens.shape[1]
    origin = (tokens != q).sum(1)[:, None] - 1 - np.arange(length)
    letters = np.append(complement, q).astype(tokens.dtype)[np.take_along_axis(tokens, np.maximum(origin, 0), axis=1)]
    return np.where(origin >= 0, letters, tokens.dtype.type(q))


def canonical(tokens: IntArray, complement: IntArray) -> IntArray:
    """The alphabetically first of each of the strings (n, length) and its other strand."""
    other = reverse_complement(tokens, complement)
    row, first = np.arange(len(tokens)), (tokens != other).argmax(1)
    return np.where((tokens[row, first] <= other[row, first])[:, None], tokens, other)


def num_palindromes(complement: IntArray, shortest: int, longest: int) -> int:
    """Number of strings of ``shortest``..``longest`` letters that equal their other strand."""
    q, own = len(complement), int((complement == np.arange(len(complement))).sum())
    return sum(q ** (t // 2) * (own if t % 2 else 1) for t in range(shortest, longest + 1))
