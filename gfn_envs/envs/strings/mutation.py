"""Mutation: variants of a wild type with a few mutations, with any reward."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Letters
from typing import Any

import numpy as np

from gfn_envs.arrays import BoolArray, IntArray
from gfn_envs.envs.strings.measured import Missing
from gfn_envs.envs.strings.motifs import automaton_of, motifs_of, plain_motifs
from gfn_envs.envs.strings.mutate import Mutate
from gfn_envs.envs.strings.numbering import tokens_of
from gfn_envs.envs.strings.rewarded import Reward
from gfn_envs.envs.strings.sequence import Sequence
from gfn_envs.envs.strings.sites import letters_at, mutant_of, numbered, sites_of, wild_type_of
from gfn_envs.envs.strings.string_dag import StringDag
from gfn_envs.envs.strings.string_text import letters_of
from gfn_envs.validation import positive_int, shown

#: The largest number of the first position.
LAST_POSITION = 10**9
AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"


class Mutation(Sequence):
    """Mutate your own wild type at up to k sites; the reward is a table, a model of it, or a function.

    ## Description
    Variants of a protein, DNA or RNA with up to ``max_mutations`` mutations. Each site mutates at most once. The order
    of the mutations does not matter. The default is the four sites of protein G (GB1).

    ## Action Space
    One action per site and letter: site * q + letter, where q is the number of letters, and sites count the positions
    that may mutate. The last action stops. An action is masked if the site is mutated already, if the letter is that of
    the wild type or not allowed, or if no variant within ``forbidden`` and ``required`` can be reached after it.

    ## Backward actions
    One per site, which reverts it; the last one undoes the stop.

    ## Observation Space
    ``MultiDiscrete([q + 1] * sites)``: the letter at each site. The state row has one additional entry: the number of
    mutations, plus sites + 1 after the stop.

    ## Starting State
    The wild type.

    ## Rewards
    R(x) = max(value(x), floor)^exponent, where ``reward`` gives the values of whole sequences.

    ## Episode End
    At the stop action, which is legal if the variant has the required and no forbidden motifs, and the only legal
    action after ``max_mutations``.

    ## Number of states
    If each of n sites may mutate to m letters: sum of C(n, t) m^t for t = 0..max_mutations objects, and twice as many
    states. With motifs, dynamic programming counts them.

    ## Arguments
    * ``wild_type``: its sequence, or the path of a FASTA file with one sequence.
    * ``max_mutations``: largest number of mutations.
    * ``positions``: positions that may mutate, such as [39, 40, 41, 54] or "39-41,54"; None: all, or the positions in
      ``letters``.
    * ``letters``: letters that positions may mutate to: one text for all of them, or a mapping from positions to texts;
      None: all letters.
    * ``first_position``: number of the first letter of the wild type.
    * ``alphabet``: the letters.
    * ``reward``: a callable, see ``reward_of``; a mapping from variants to values, a pandas Series labeled by variants,
      or the path of a text file with a variant and its value per line. A variant is a whole sequence, or mutations such
      as "V39A:D40G", or "wt". None gives every variant the value 1.
    * ``reward_of``: "tokens": a callable reward maps whole sequences, int64 (n, length), to values (n,); "string": it
      maps one sequence to its value; "strings": it maps a list of sequences to values (n,).
    * ``missing``: value of variants that a table lacks: "raise" (it must have all), a number, or the prediction of a
      model fitted to the table, whose cross-validated error is logged and in ``cross_validation``: "ridge", "forest",
      or a function that makes a regressor of scikit-learn.
    * ``exponent``: power beta of the value, > 0.
    * ``floor``: lower bound of the values, > 0; None: all values must be > 0.
    * ``forbidden``: motifs of no variant, as a list or separated by commas: a letter, "." for any, "[AG]" for A or G,
      "[^P]" for any but P, or an ambiguity code of nucleotides.
    * ``required``: motifs of every variant, in the same form.

    ## References
    Wu et al. 2016, Adaptation in protein fitness landscapes is facilitated by indirect paths (the four sites of GB1)

    ## Version History
    * v0: initial version.
    """

    #: False for subclasses that also build sequences from scratch.
    mutates = True

    def __init__(
        self,
        wild_type: str = "VDGV",
        max_mutations: int = 2,
        positions: str | Letters[int] | None = None,
        letters: str | Mapping[int, str] | None = None,
        first_position: int = 1,
        alphabet: str = AMINO_ACIDS,
        reward: Reward | None = None,
        reward_of: str = "tokens",
        missing: Missing = "raise",
        exponent: float = 1.0,
        floor: float | None = None,
        forbidden: str | Letters[str] | None = None,
        required: str | Letters[str] | None = None,
    ):
        self._use_mutations(
            wild_type, max_mutations, positions, letters, first_position, alphabet, (forbidden, required)
        )
        self._set_reward(reward, reward_of, exponent, floor, missing)
        given = {"letters": letters, "floor": floor, "reward": reward}
        given |= {"forbidden": plain_motifs(forbidden), "required": plain_motifs(required)}
        given["positions"] = positions if positions is None else (self.sites + self.first_position).tolist()
        self.arguments = {
            "wild_type": self.wild_sequence,
            "max_mutations": self.max_mutations,
            "first_position": self.first_position,
            "alphabet": alphabet,
            "reward_of": reward_of,
            "missing": missing,
            "exponent": exponent,
            **{name: value for name, value in given.items() if value is not None},
        }

    def _use_mutations(
        self,
        wild_type: str,
        max_mutations: int,
        positions: Any,
        letters: Any,
        first_position: int,
        alphabet: str,
        motifs: tuple[Any, Any],
    ) -> None:
        """Everything but the reward; the arguments are those of the class."""
        where = type(self).__name__
        first = self.first_position = positive_int("first_position", first_position, where, at_least=0)
        if first > LAST_POSITION:
            raise ValueError(f"{where}: first_position must be at most {LAST_POSITION:,}, got {shown(first)}")
        self.wild_sequence = wild_type_of(wild_type, letters_of(alphabet, where), where)
        letters = numbered(letters, where)
        self.sites = sites_of(positions, letters, len(self.wild_sequence), first, where)
        StringDag.__init__(self, alphabet, len(self.sites), "append", None)
        self.mode_fraction = None
        allowed = letters_at(letters, self.sites, self.letters, first, where)
        self.max_mutations = positive_int("max_mutations", max_mutations, where)
        if self.max_mutations > self.length:
            raise ValueError(f"{where}: max_mutations must be at most {self.length}, got {self.max_mutations}")
        forbidden, required = (
            motifs_of(given, self.letters, f"{where}: {name}")
            for name, given in zip(("forbidden", "required"), motifs, strict=True)
        )
        automaton = None
        if forbidden or required:
            automaton = automaton_of(self.num_letters, forbidden, [[motif] for motif in required], where)
        whole = np.array([self.letters.index(letter) for letter in self.wild_sequence], dtype=self.state_dtype)
        self.wild_type = whole[self.sites]
        labels = (self.sites + first).tolist()
        build = Mutate(allowed, self.wild_type, self.max_mutations, labels, whole, self.sites, automaton)
        self._build = self._mutate = build
        self._stops, self.can_stop_anywhere = True, automaton is None
        self.num_actions = build.num_actions + 1
        self.num_backward_actions = build.num_backward_actions + 1
        self.max_length = self.max_mutations + 1
        objects = build.num_variants()
        self.declared_num_terminal_states = objects
        running = build.num_running(objects)
        self.declared_num_states = None if running is None else running + objects
        self.max_length_is_bound = automaton is not None or int(build.mutable.any(1).sum()) < self.max_mutations
        if not objects:
            limits = f"at most {max_mutations} mutations has the required and no forbidden motifs"
            raise ValueError(f"{where}: no variant with {limits}")

    @property
    def is_unlimited(self) -> bool:
        return not self.mutates and super().is_unlimited

    # ------------------------------------------------------------------ the contract

    def source(self, n: int) -> IntArray:
        if not self.mutates:
            return super().source(n)
        return np.tile(np.append(self.wild_type, 0).astype(self.state_dtype), (n, 1))

    def forward_mask(self, states: IntArray) -> BoolArray:
        if not self.mutates:
            return super().forward_mask(states)
        running = ~self.is_terminal(states)[:, None]
        stop = running
        if self._mutate.automaton is not None:
            stop = running & self._mutate.accepts(self.whole_tokens(states))[:, None]
        return np.hstack([self._build.forward_mask(states) & running, stop])

    def backward_mask(self, states: IntArray) -> BoolArray:
        if not self.mutates:
            return super().backward_mask(states)
        stopped = self.is_terminal(states)[:, None]
        return np.hstack([self._build.backward_mask(states) & ~stopped, stopped])

    # ------------------------------------------------------------------ text

    def whole_tokens(self, states: IntArray) -> IntArray:
        """Letters of the whole sequence, int64 (n, length of the wild type)."""
        if not self.mutates:
            return super().whole_tokens(states)
        whole = np.tile(self._mutate.background.astype(np.int64), (len(states), 1))
        whole[:, self.sites] = states[:, :-1]
        return whole

    def from_text(self, strings: Letters[str]) -> IntArray:
        """Finished states (n, state_width) of variants: whole sequences, mutations such as V39A:D40G, or wt.

        Raises:
            ValueError: a string is not a variant within the limits.
        """
        if not self.mutates:
            return super().from_text(strings)
        tokens = self._label_tokens(list(strings), type(self).__name__)
        good = self._are_objects(tokens)
        if not good.all():
            bad = int(np.argmin(good))
            count = int((tokens[bad] != self._mutate.background).sum())
            raise ValueError(
                f"{type(self).__name__}: {strings[bad]!r} has {count} mutations; allowed: at most "
                f"{self.max_mutations}, at the positions, to the letters and with the motifs of this environment"
            )
        mutations = (tokens != self._mutate.background).sum(1) + self.length + 1
        return np.column_stack([tokens[:, self.sites], mutations]).astype(self.state_dtype)

    def _label_tokens(self, strings: list[str], where: str) -> IntArray:
        if not self.mutates:
            return super()._label_tokens(strings, where)
        first, length = self.first_position, len(self.wild_sequence)
        whole = [mutant_of(text, self.wild_sequence, self.letters, first, where) for text in strings]
        return tokens_of(whole, self.letters, length, length, where)

    def _are_objects(self, tokens: IntArray) -> BoolArray:
        if not self.mutates:
            return super()._are_objects(tokens)
        mutated = tokens != self._mutate.background
        elsewhere = np.delete(mutated, self.sites, axis=1).any(1)
        allowed = self._mutate.mutable[np.arange(self.length), tokens[:, self.sites]] | ~mutated[:, self.sites]
        few = mutated.sum(1) <= self.max_mutations
        return few & ~elsewhere & allowed.all(1) & self._mutate.accepts(tokens)

    def string_index(self, states: IntArray) -> IntArray:
        """Position of the letters of the sites in alphabetical order, int64 (n,)."""
        return states @ self._strides

    def mutations(self, states: IntArray) -> list[str]:
        """Variants as mutations, such as ``V39A:D40G``, or ``wt``."""
        labels = self._mutate.labels
        return [
            ":".join(
                f"{self.letters[self.wild_type[i]]}{labels[i]}{self.letters[row[i]]}"
                for i in np.flatnonzero(row != self.wild_type).tolist()
            )
            or "wt"
            for row in states[:, :-1]
        ]

    def render_text(self, state: IntArray) -> str:
        if not self.mutates:
            return super().render_text(state)
        return self.mutations(state[None])[0] + " stopped" * bool(state[-1] > self.length)
