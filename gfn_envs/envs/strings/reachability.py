"""Letters that may be added so that a string of a language can still be built, by dynamic programming.

A state is legal if some string of the language contains it. Such a string is then within reach, so no legal state is a
dead end. Every parent of a legal state is legal, so that backward masks do not change.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gfn_envs.arrays import BoolArray, IntArray
from gfn_envs.envs.strings.constructions import Append, Construction, Fill, Insert, PrependAppend
from gfn_envs.envs.strings.language import Language
from gfn_envs.envs.strings.motifs import Automaton

#: Entries of an intermediate array, at most; batches are cut accordingly.
MAX_ENTRIES = 2**23
#: More than the cost of any string.
IMPOSSIBLE = 2**24

Mask = Callable[[Language, IntArray], BoolArray]


def letter_mask(build: Construction, language: Language, tokens: IntArray) -> BoolArray:
    """Actions of ``build`` that lead to a string contained in one of the language, bool (n, build.num_actions).

    Args:
        build: the construction; its own masks are to be applied as well.
        language: the allowed strings.
        tokens: states that some string of the language contains, int (n, length).
    """
    size = max(1, MAX_ENTRIES // ((language.num_nodes + 1) * language.next.shape[1]))
    mask = MASKS[type(build)]
    parts = [mask(language, tokens[start : start + size]) for start in range(0, len(tokens), size)]
    return np.concatenate(parts) if parts else np.zeros((0, build.num_actions), dtype=bool)


def _append(language: Language, tokens: IntArray) -> BoolArray:
    return language.next[language.walk(tokens), :-1] != language.num_nodes


def _prepend_append(language: Language, tokens: IntArray) -> BoolArray:
    """A substring starts at any node. Letters are legal if they lead from its end, or to a start from which it ends."""
    none = language.num_nodes
    end = np.repeat(np.arange(none + 1)[None], len(tokens), axis=0)  # (n, nodes + 1), by start
    for letter in tokens.T:
        end = language.next[end, letter[:, None]]
    after = language.next[:, :-1]
    append = (after[end] != none).any(1)
    prepend = (end != none)[:, after].any(1)
    return np.hstack([prepend, append])


def _insert(language: Language, tokens: IntArray) -> BoolArray:
    """For every gap: nodes that the letters before it can lead to, and nodes from which those after it can end."""
    none, after, (n, length) = language.num_nodes, language.next[:, :-1], tokens.shape
    reach = language.reach
    suffix = [np.append(np.ones(none, dtype=bool), False)[None].repeat(n, axis=0)]
    for letter in tokens.T[::-1]:
        found = np.take_along_axis(suffix[-1], language.next[:, letter].T, axis=1)
        suffix.append(found.astype(np.float32) @ reach.T > 0)
    suffix.reverse()
    prefix = reach[:1].repeat(n, axis=0) > 0
    masks = []
    for position, letter in enumerate(tokens.T):
        masks.append((prefix[:, :, None] & suffix[position][:, after]).any(1))
        row, node = np.nonzero(prefix)
        prefix = np.zeros_like(prefix)
        prefix[row, language.next[node, letter[row]]] = True
        prefix[:, none] = False
        prefix = prefix.astype(np.float32) @ reach > 0
    return np.hstack(masks) if length else np.zeros((n, 0), dtype=bool)


def _fill(language: Language, tokens: IntArray) -> BoolArray:
    q = language.allowed.shape[1]
    letters = np.arange(q)
    possible = np.where((tokens == q)[:, :, None], language.allowed, tokens[:, :, None] == letters)
    costs = np.where(possible, 0, IMPOSSIBLE)
    return ((least_costs(language.automaton, costs) < IMPOSSIBLE) & possible).reshape(len(tokens), -1)


MASKS: dict[type[Construction], Mask] = {
    Append: _append,
    PrependAppend: _prepend_append,
    Insert: _insert,
    Fill: _fill,
}


def least_costs(automaton: Automaton, costs: IntArray) -> IntArray:
    """The least cost of an accepted string with a given letter at a given position, int (n, length, num_letters).

    The cost of that position itself is left out. The result is at least IMPOSSIBLE if no string qualifies.

    Args:
        automaton: accepts the strings.
        costs: cost of each letter at each position, int (n, length, num_letters); IMPOSSIBLE if it is not allowed.
    """
    step, (n, length, q) = automaton.step, costs.shape
    costs = costs.astype(np.int32)
    # Pairs of a state and a letter in order of the state that they lead to.
    order = np.argsort(step.ravel(), kind="stable")
    targets, starts = np.unique(step.ravel()[order], return_index=True)
    rest = [np.where(automaton.accept, 0, IMPOSSIBLE).astype(np.int32)[None].repeat(n, axis=0)]
    for position in reversed(range(length)):
        rest.append(_capped((costs[:, position, None] + rest[-1][:, step]).min(2)))
    rest.reverse()
    so_far = np.full((n, len(step)), IMPOSSIBLE, dtype=np.int32)
    so_far[:, 0] = 0
    result = np.empty((n, length, q), dtype=np.int32)
    for position in range(length):
        result[:, position] = (so_far[:, :, None] + rest[position + 1][:, step]).min(1)
        pairs = (so_far[:, :, None] + costs[:, position, None]).reshape(n, -1)[:, order]
        so_far = np.full_like(so_far, IMPOSSIBLE)
        so_far[:, targets] = _capped(np.minimum.reduceat(pairs, starts, axis=1))
    return result


def _capped(costs: IntArray) -> IntArray:
    return np.minimum(costs, IMPOSSIBLE)
