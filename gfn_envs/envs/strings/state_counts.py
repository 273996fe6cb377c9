"""Number of states within limits, by dynamic programming over sets of nodes: states with equal sets count together."""

from __future__ import annotations

import numpy as np

from gfn_envs.arrays import BoolArray, IntArray
from gfn_envs.envs.strings.constructions import Construction, Fill, Insert, PrependAppend
from gfn_envs.envs.strings.language import Language
from gfn_envs.envs.strings.motifs import Automaton
from gfn_envs.envs.strings.reachability import IMPOSSIBLE

#: Sets times letters that are followed, at most, and entries of a set: counting takes a fraction of a second.
MAX_MOVES, MAX_ENTRIES = 20_000, 5_000

#: Least cost of letters that are not chosen by state of the automaton, and numbers of strings by cost of those chosen.
Sets = dict[bytes, tuple[IntArray, list[int]]]


def num_contained(build: Construction, language: Language) -> int | None:
    """Number of states that some string of the language contains; None if counting takes too long."""
    if isinstance(build, Fill):
        return num_partial(language.automaton, np.where(language.allowed, 0, IMPOSSIBLE), None, 0)
    none = language.num_nodes
    if none > MAX_ENTRIES or not isinstance(build, PrependAppend | Insert):
        return None
    start = np.arange(none + 1) < none
    if isinstance(build, Insert):
        start = language.reach[0] > 0

    def move(nodes: BoolArray, letter: int) -> BoolArray:
        after = np.zeros_like(nodes)
        after[language.next[nodes, letter]] = True
        after[none] = False
        return (after.astype(np.float32) @ language.reach > 0) if isinstance(build, Insert) else after

    weight = 1 + none // 50 if isinstance(build, Insert) else 1  # each is multiplied by a matrix
    total, moves, sets = 0, 0, {start.tobytes(): (start, 1)}
    for _ in range(build.length + 1):
        total += sum(count for _, count in sets.values())
        moves += len(sets) * build.num_letters * weight
        if moves > MAX_MOVES:
            return None
        found: dict[bytes, tuple[BoolArray, int]] = {}
        for nodes, count in sets.values():
            for letter in range(build.num_letters):
                after = move(nodes, letter)
                if after.any():
                    key = after.tobytes()
                    found[key] = (after, count + (found[key][1] if key in found else 0))
        sets = found
    return total


def num_partial(automaton: Automaton, costs: IntArray, chosen: BoolArray | None, budget: int) -> int | None:
    """Number of partly decided strings that can be completed to an accepted one; None if counting takes too long.

    Args:
        automaton: accepts the strings.
        costs: cost of each letter at a position that is not decided, int (length, num_letters), IMPOSSIBLE if it is not
            allowed.
        chosen: letters that a position can be decided to, bool (length, num_letters), at a cost of 1; None: all letters
            that are allowed, at no cost.
        budget: largest cost of all letters.
    """
    free = chosen is None
    chosen = costs < IMPOSSIBLE if chosen is None else chosen
    step, moves = automaton.step, 0
    if len(step) > MAX_ENTRIES:
        return None
    start = np.where(np.arange(len(step)) == 0, 0, budget + 1)
    sets: Sets = {start.tobytes(): (start, [1] + [0] * budget)}
    for each, letters in zip(costs, chosen, strict=True):
        moves += len(sets) * int((each <= budget).sum() + letters.sum())
        if moves > MAX_MOVES:
            return None
        found: Sets = {}
        for cost, counts in sets.values():
            later = np.full_like(cost, budget + 1)
            for letter in np.flatnonzero(each <= budget):
                np.minimum.at(later, step[:, letter], np.minimum(cost + each[letter], budget + 1))
            _add(found, later, counts, budget)
            for letter in np.flatnonzero(letters):
                now = np.full_like(cost, budget + 1)
                np.minimum.at(now, step[:, letter], cost)
                _add(found, now, counts if free else [0, *counts[:-1]], budget)
        sets = found
    return sum(
        sum(counts[: budget + 1 - least])
        for cost, counts in sets.values()
        if (least := int(cost[automaton.accept].min(initial=budget + 1))) <= budget
    )


def _add(sets: Sets, cost: IntArray, counts: list[int], budget: int) -> None:
    """Add strings, by the cost of letters that were chosen, to those with the same ``cost`` by state."""
    cost[-1] = budget + 1
    if cost.min() <= budget:
        key = cost.tobytes()
        before = sets[key][1] if key in sets else [0] * (budget + 1)
        sets[key] = (cost, [a + b for a, b in zip(before, counts, strict=True)])
