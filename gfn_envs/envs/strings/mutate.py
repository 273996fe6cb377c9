"""Mutations of a wild type as a construction, and the sets of variants that motifs allow."""

from __future__ import annotations

from collections.abc import Sequence as Letters

import numpy as np

from gfn_envs.arrays import BoolArray, IntArray, all_columns, log_factorials
from gfn_envs.envs.strings.constructions import Fill
from gfn_envs.envs.strings.motifs import Automaton
from gfn_envs.envs.strings.reachability import IMPOSSIBLE, MAX_ENTRIES, least_costs
from gfn_envs.envs.strings.state_counts import num_partial


class Mutate(Fill):
    """Action = site * q + letter, for sites that are not mutated yet; backward action = site to revert.

    A row holds the letters of the sites, and counts the mutations instead of the letters.

    Args:
        allowed: letters of each site besides that of the wild type, bool (sites, num_letters).
        wild_type: letter of each site, int (sites,).
        max_mutations: largest number of mutations.
        labels: number of each site in the names of mutations.
        background: letters of the whole wild type, int (length,), of which ``sites`` may mutate; for ``automaton``.
        sites: positions of the sites, int (sites,).
        automaton: accepts whole sequences; None: all are accepted.

    Attributes:
        mutable: letters that each site may mutate to, bool (sites, num_letters).
    """

    def __init__(
        self,
        allowed: BoolArray,
        wild_type: IntArray,
        max_mutations: int,
        labels: Letters[int],
        background: IntArray,
        sites: IntArray,
        automaton: Automaton | None = None,
    ):
        super().__init__(allowed.shape[1], len(wild_type))
        self.wild_type, self.max_mutations, self.labels = wild_type, max_mutations, labels
        self.background, self.sites, self.automaton = background, sites, automaton
        self.mutable = allowed & (np.arange(self.num_letters) != wild_type[:, None])
        self.log_paths = log_factorials(self.length)

    def forward_mask(self, states: IntArray) -> BoolArray:
        untouched = np.repeat(states[:, :-1] == self.wild_type, self.num_letters, axis=1)
        mask = untouched & self.mutable.ravel() & (states[:, -1:] < self.max_mutations)
        if self.automaton is None:
            return mask
        size = max(1, MAX_ENTRIES // (len(self.background) * (self.automaton.step.size + self.num_letters)))
        for start in range(0, len(states), size):
            part = slice(start, start + size)
            mask[part] &= self._within_reach(states[part])
        return mask

    def _within_reach(self, states: IntArray) -> BoolArray:
        """Actions after which few enough mutations make an accepted sequence, bool (n, num_actions)."""
        assert self.automaton is not None
        costs = np.full((len(states), len(self.background), self.num_letters), IMPOSSIBLE, dtype=np.int32)
        letters = np.broadcast_to(self.background, (len(states), len(self.background))).copy()
        letters[:, self.sites] = states[:, :-1]
        untouched = (states[:, :-1] == self.wild_type)[:, :, None]
        costs[:, self.sites] = np.where(untouched & self.mutable, 1, IMPOSSIBLE)
        np.put_along_axis(costs, letters[:, :, None], 0, axis=2)
        least = least_costs(self.automaton, costs)[:, self.sites].reshape(len(states), -1)
        return least + 1 + states[:, -1:] <= self.max_mutations

    def backward_mask(self, states: IntArray) -> BoolArray:
        return states[:, :-1] != self.wild_type

    def shrink(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        return self._set(states, backward_actions, self.wild_type[backward_actions], -1)

    def contains(self, tokens: IntArray, objects: IntArray) -> BoolArray:
        """True if the object has every mutation of the state."""
        marked = np.where(tokens == self.wild_type, -1, tokens)
        return all_columns(lambda mine, theirs: (mine < 0) | (mine == theirs), marked, objects)

    def accepts(self, tokens: IntArray) -> BoolArray:
        """True for whole sequences (n, length) that the automaton accepts, bool (n,)."""
        if self.automaton is None:
            return np.ones(len(tokens), dtype=bool)
        state = np.zeros(len(tokens), dtype=np.int64)
        for letter in tokens.T:
            state = self.automaton.step[state, letter]
        return self.automaton.accept[state]

    def num_variants(self) -> int:
        """Number of accepted sequences, by dynamic programming over states of the automaton and mutations."""
        if self.automaton is None:
            count = np.array([1] + [0] * self.max_mutations, dtype=object)
            for letters in self.mutable.sum(1).tolist():
                count[1:] += letters * count[:-1]
            return int(count.sum())
        step = self.automaton.step
        other = np.zeros((len(self.background), self.num_letters), dtype=bool)
        other[self.sites] = self.mutable
        ways = np.zeros((len(step), self.max_mutations + 1), dtype=object)
        ways[0, 0] = 1
        for letter, mutated in zip(self.background, other, strict=True):
            after = np.zeros_like(ways)
            np.add.at(after, step[:, letter], ways)
            for mutation in np.flatnonzero(mutated):
                np.add.at(after[:, 1:], step[:, mutation], ways[:, :-1])
            ways = after
        return int(ways[self.automaton.accept].sum())

    def num_running(self, variants: int) -> int | None:
        """Number of states before the stop; None if counting takes too long."""
        if self.automaton is None:
            return variants
        chosen = np.zeros((len(self.background), self.num_letters), dtype=bool)
        chosen[self.sites] = self.mutable
        costs = np.where(chosen, 1, IMPOSSIBLE)
        costs[np.arange(len(costs)), self.background] = 0
        return num_partial(self.automaton, costs, chosen, self.max_mutations)

    def label(self, action: int, letters: Letters[str]) -> str:
        site, letter = divmod(action, self.num_letters)
        return f"{letters[self.wild_type[site]]}{self.labels[site]}{letters[letter]}"
