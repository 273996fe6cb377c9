"""The strings that an environment may build: their lengths, the letters of each position, and their motifs."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.envs.strings.motifs import Automaton, automaton_of, complement_of, motifs_of, pattern_of
from gfn_envs.validation import check_size, shown


class Limits(NamedTuple):
    """Limits on strings; see the arguments of the same names of :class:`gfn_envs.Sequence`."""

    fixed: Any = None
    forbidden: Any = None
    required: Any = None
    reverse_complement: bool = False


class Language:
    """A set of strings as a graph: every path from node 0 to a final node spells one string, and every node is on one.

    A node is a number of letters together with a state of an automaton.

    Args:
        automaton: the automaton of the motifs.
        allowed: letters of each position, bool (longest, num_letters).
        shortest: smallest number of letters.
        where: start of messages.

    Raises:
        ValueError: no string satisfies the limits, or the graph is too large.

    Attributes:
        next: node after each letter, int64 (nodes + 1, num_letters + 1). The last node means that no string continues;
            an empty position (the last column) stays at a node.
        final: True for nodes where a string may end, bool (nodes + 1,).
        offsets: the nodes of t letters are ``offsets[t]`` to ``offsets[t + 1]``.
    """

    def __init__(self, automaton: Automaton, allowed: BoolArray, shortest: int, where: str):
        self.automaton, self.allowed = automaton, allowed
        step, states, (longest, q) = automaton.step, len(automaton.step), allowed.shape
        check_size("the graph of allowed strings", (longest + 1) * states * (q + 1), where)
        reached = np.zeros((longest + 1, states), dtype=bool)
        reached[0, 0] = True
        for t in range(longest):
            reached[t + 1, step[reached[t]][:, allowed[t]]] = True
            reached[t + 1, -1] = False
        live = reached & automaton.accept & (np.arange(longest + 1) >= shortest)[:, None]
        final = live.copy()
        for t in reversed(range(longest)):
            live[t] |= reached[t] & live[t + 1][step[:, allowed[t]]].any(1)
        if not live[0, 0]:
            raise ValueError(f"{where}: no string satisfies fixed, forbidden and required together")
        count = int(live.sum())
        node = np.full(live.shape, count)
        node[live] = np.arange(count)
        self.offsets = np.append(0, np.cumsum(live.sum(1)))
        self.next = np.full((count + 1, q + 1), count)
        for t in range(longest):
            after = np.where(allowed[t], node[t + 1][step], count)
            self.next[self.offsets[t] : self.offsets[t + 1], :q] = after[live[t]]
        self.next[:, q] = np.arange(count + 1)
        self.final = np.append(final[live], False)

    @property
    def num_nodes(self) -> int:
        return len(self.next) - 1

    def walk(self, tokens: IntArray) -> IntArray:
        """The node after each of the strings (n, length), whose empty positions are at the end, int64 (n,)."""
        node = np.zeros(len(tokens), dtype=np.int64)
        for letter in tokens.T:
            node = self.next[node, letter]
        return node

    @functools.cached_property
    def reach(self) -> FloatArray:
        """1 at [i, j] if letters lead from node i to node j, or i = j, float32 (nodes + 1, nodes + 1)."""
        none = self.num_nodes
        check_size("the graph of allowed strings", (none + 1) ** 2, "construction 'insert' with limits")
        reach = np.eye(none + 1, dtype=np.float32)
        for node in reversed(range(none)):  # The nodes after a node have larger numbers.
            reach[node] = np.maximum(reach[node], reach[self.next[node, :-1]].max(0))
        reach[:, none] = reach[none] = 0
        return reach

    @functools.cached_property
    def num_strings(self) -> int:
        """Number of strings."""
        ways = self.final.astype(object)
        for t in reversed(range(len(self.offsets) - 1)):
            level = slice(self.offsets[t], self.offsets[t + 1])
            ways[level] += ways[self.next[level, :-1]].sum(1)
        return int(ways[0])

    @functools.cached_property
    def num_prefixes(self) -> int:
        """Number of prefixes of the strings, themselves included."""
        ways = np.zeros(self.num_nodes + 1, dtype=object)
        ways[0] = 1
        for t in range(len(self.offsets) - 1):
            level = np.arange(self.offsets[t], self.offsets[t + 1])
            np.add.at(ways, self.next[level, :-1], ways[level][:, None])
            ways[-1] = 0
        return int(ways.sum())


def language_of(limits: Limits, letters: Sequence[str], shortest: int, longest: int, where: str) -> Language | None:
    """The strings within ``limits``; None if all strings of ``shortest``..``longest`` letters are.

    With ``reverse_complement``, a string may contain a motif on either strand.

    Raises:
        TypeError, ValueError: a limit is not of the form that :class:`gfn_envs.Sequence` describes, or no string
            satisfies all of them.
    """
    if not isinstance(limits.reverse_complement, bool):
        raise TypeError(f"{where}: reverse_complement must be True or False, got {shown(limits.reverse_complement)}")
    forbidden = motifs_of(limits.forbidden, letters, f"{where}: forbidden")
    required = [[motif] for motif in motifs_of(limits.required, letters, f"{where}: required")]
    allowed = np.ones((longest, len(letters)), dtype=bool)
    if limits.fixed is not None:
        allowed = _fixed_letters(limits, letters, longest, where)
    if limits.reverse_complement:
        complement = complement_of(letters, where)
        forbidden = [strand for motif in forbidden for strand in (motif, motif[::-1, complement])]
        required = [[motif, motif[::-1, complement]] for (motif,) in required]
    if not forbidden and not required and allowed.all():
        return None
    return Language(automaton_of(len(letters), forbidden, required, where), allowed, shortest, where)


def _fixed_letters(limits: Limits, letters: Sequence[str], longest: int, where: str) -> BoolArray:
    """Letters of each position, bool (longest, num_letters)."""
    if limits.reverse_complement:
        raise ValueError(
            f"{where}: fixed positions and reverse_complement exclude each other, got {shown(limits.fixed)}"
        )
    if not isinstance(limits.fixed, str):
        raise TypeError(f"{where}: fixed must be a text with one element per position, got {shown(limits.fixed)}")
    pattern = pattern_of(limits.fixed, letters, f"{where}: fixed")
    if len(pattern) != longest:
        raise ValueError(f"{where}: fixed must have {longest} positions, got {len(pattern)}: {shown(limits.fixed)}")
    return pattern
