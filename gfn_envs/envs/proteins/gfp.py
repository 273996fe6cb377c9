"""GFP: green fluorescent proteins, scored by a model that was fitted to measured brightness."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from collections.abc import Sequence as Letters
from math import comb

import numpy as np

from gfn_envs.arrays import BoolArray, FloatArray, IntArray, all_columns, log_factorials
from gfn_envs.data.packaged import packaged
from gfn_envs.envs.proteins.gfp_brightness import AVGFP, BRIGHTEST, DARKEST, Brightness
from gfn_envs.envs.proteins.peptide_classifier import AMINO_ACIDS
from gfn_envs.envs.strings import reward_table as string_table
from gfn_envs.envs.strings.constructions import CONSTRUCTIONS, Fill
from gfn_envs.envs.strings.sequence import Sequence
from gfn_envs.validation import one_of, positive_int, shown


class Mutate(Fill):
    """Action = position * q + letter, for positions that are not mutated yet; backward action = position to revert.

    The last entry of a state row counts the mutations instead of the letters.
    """

    def __init__(self, num_letters: int, wild_type: IntArray, max_mutations: int):
        super().__init__(num_letters, len(wild_type))
        self.wild_type, self.max_mutations = wild_type, max_mutations
        self._other = (np.arange(num_letters) != wild_type[:, None]).ravel()
        self.log_paths = log_factorials(self.length)

    def forward_mask(self, states: IntArray) -> BoolArray:
        untouched = np.repeat(states[:, :-1] == self.wild_type, self.num_letters, axis=1)
        return untouched & self._other & (states[:, -1:] < self.max_mutations)

    def backward_mask(self, states: IntArray) -> BoolArray:
        return states[:, :-1] != self.wild_type

    def shrink(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        return self._set(states, backward_actions, self.wild_type[backward_actions], -1)

    def contains(self, tokens: IntArray, objects: IntArray) -> BoolArray:
        """True if the object has every mutation of the state."""
        marked = np.where(tokens == self.wild_type, -1, tokens)
        return all_columns(lambda mine, theirs: (mine < 0) | (mine == theirs), marked, objects)

    def label(self, action: int, letters: Letters[str]) -> str:
        position, letter = divmod(action, self.num_letters)
        return f"{letters[self.wild_type[position]]}{position}{letters[letter]}"


@functools.cache
def brightness_model() -> Brightness:
    """The packaged model, loaded once in a process."""
    return Brightness(packaged("gfp_proxy"))


class GFP(Sequence):
    """Mutate a green fluorescent protein, or build one from scratch; the reward rises with its predicted brightness.

    ## Description
    Sequences of 237 residues, over the 20 amino acids in the order ACDEFGHIKLMNPQRSTVWY. The wild type is avGFP without
    its first methionine, as in Design-Bench. The construction "mutate" starts at the wild type and changes up to
    ``max_mutations`` residues; the other constructions build the whole protein. A model predicts the brightness. It was
    fitted to 51,715 measured genotypes with up to 15 mutations. Nothing was measured far from the wild type; the model
    predicts that such sequences are dark.

    ## Action Space
    mutate: 4,741 actions. Action position * 20 + residue mutates a position that still has the wild type's residue. The
    last action stops. Other constructions are as in :class:`gfn_envs.Sequence`: 20 actions for append, 40 for
    prepend_append, 4,740 for insert and fill.

    ## Backward actions
    mutate: 238, which revert one position each; the last one undoes the stop. Other constructions: 1 for append, 2 for
    prepend_append, 237 for insert and fill.

    ## Observation Space
    ``MultiDiscrete([21] * 237)``: the residue at each position, or 20 if the position is empty.

    ## Starting State
    mutate: the wild type. Other constructions: the empty string.

    ## Rewards
    R = max(y, floor)^exponent, where y is the predicted log10 brightness, scaled such that the smallest and the largest
    measured values become 0 and 1. gfp_brightness.py defines the model. The package includes its weights, and
    gfn_envs/data/README.md reports how well it ranks held-out genotypes.

    ## Episode End
    mutate: at the stop action, which is always legal and the only legal action after ``max_mutations``. Other
    constructions: after 237 residues.

    ## Number of states
    mutate: sum of C(237, t) 19^t for t = 0..max_mutations objects, and twice as many states. Other constructions:
    20^237 objects.

    ## Arguments
    * ``construction``: "mutate", "append", "prepend_append", "insert" or "fill".
    * ``max_mutations``: largest number of mutations with "mutate".
    * ``exponent``: power beta of y, > 0.
    * ``floor``: lower bound of y, > 0.
    * ``wild_type``: sequence of the wild type; other sequences than avGFP need a ``table``.
    * ``table``: values of y that replace the model, for short proteins: a mapping from sequences to values, a list of
      values in alphabetical order, or the path of a text file with a sequence and its value per line.

    ## References
    Sarkisyan et al. 2016 (the data); Trabucco et al. 2022, Design-Bench; Madan et al. 2023 (SubTB)

    ## Version History
    * v0: initial version.
    """

    def __init__(
        self,
        construction: str = "mutate",
        max_mutations: int = 10,
        exponent: float = 3.0,
        floor: float = 1e-3,
        wild_type: str = AVGFP,
        table: Mapping[str, float] | Letters[float] | str | os.PathLike[str] | None = None,
    ):
        one_of("construction", construction, ("mutate", *CONSTRUCTIONS), "GFP")
        if not isinstance(wild_type, str) or not wild_type or set(wild_type) - set(AMINO_ACIDS):
            raise ValueError(f"GFP: wild_type must be letters of {AMINO_ACIDS}, got {shown(wild_type)}")
        if table is None and wild_type != AVGFP:
            raise ValueError(f"GFP: wild_type must be avGFP unless table is given, got {wild_type!r}")
        length = len(wild_type)
        self.mutates = construction == "mutate"
        super().__init__(
            AMINO_ACIDS, length, "append" if self.mutates else construction, exponent=exponent, floor=floor
        )
        self.wild_type = np.array([AMINO_ACIDS.index(letter) for letter in wild_type], dtype=self.state_dtype)
        self.max_mutations = positive_int("max_mutations", max_mutations, "GFP")
        self._table = table
        self.arguments = {
            "construction": construction,
            "max_mutations": self.max_mutations,
            "exponent": exponent,
            "floor": floor,
            "wild_type": wild_type,
            "table": table,
        }
        if self.mutates:
            self._use_mutations()
        # Errors of a table come before the first episode ends.
        _ = self.reward_table

    def _use_mutations(self) -> None:
        """Replace the construction by mutations, with a stop action."""
        if self.max_mutations > self.length:
            raise ValueError(f"GFP: max_mutations must be at most {self.length}, got {self.max_mutations}")
        self._build = Mutate(20, self.wild_type, self.max_mutations)
        self._stops = self.can_stop_anywhere = True
        self.num_actions = self._build.num_actions + 1
        self.num_backward_actions = self._build.num_backward_actions + 1
        self.max_length = self.max_mutations + 1
        objects = sum(comb(self.length, t) * 19**t for t in range(self.max_mutations + 1))
        self.declared_num_terminal_states, self.declared_num_states = objects, 2 * objects

    # ------------------------------------------------------------------ reward

    @functools.cached_property
    def reward_table(self) -> FloatArray | None:
        """R of every sequence in alphabetical order, float64 (objects,); None without ``table``."""
        if self._table is None:
            return None
        return self._shaped(string_table.table_values(self._table, self.letters, self.length, self.length, "GFP"))

    @property
    def proxy(self) -> Brightness:
        """The model: log10 brightness float64 (n,) from tokens (n, 237)."""
        return brightness_model()

    def values(self, tokens: IntArray) -> FloatArray:
        """y of finished sequences, float64 (n,), from tokens int64 (n, length)."""
        return (self.proxy(tokens) - DARKEST) / (BRIGHTEST - DARKEST)

    def string_index(self, states: IntArray) -> IntArray:
        """Position of finished sequences in alphabetical order, int64 (n,)."""
        return states @ self._strides

    # ------------------------------------------------------------------ the contract

    def source(self, n: int) -> IntArray:
        if not self.mutates:
            return super().source(n)
        return np.tile(np.append(self.wild_type, 0).astype(self.state_dtype), (n, 1))

    def forward_mask(self, states: IntArray) -> BoolArray:
        if not self.mutates:
            return super().forward_mask(states)
        running = ~self.is_terminal(states)[:, None]
        return np.hstack([self._build.forward_mask(states) & running, running])

    def backward_mask(self, states: IntArray) -> BoolArray:
        if not self.mutates:
            return super().backward_mask(states)
        stopped = self.is_terminal(states)[:, None]
        return np.hstack([self._build.backward_mask(states) & ~stopped, stopped])

    def from_text(self, strings: Letters[str]) -> IntArray:
        """Finished states (n, state_width) of sequences.

        Raises:
            ValueError: a string is not a sequence of this length, or has more than ``max_mutations`` mutations.
        """
        if not self.mutates:
            return super().from_text(strings)
        for string in strings:
            if len(string) != self.length or set(string) - set(AMINO_ACIDS):
                raise ValueError(f"GFP: {string!r} is not {self.length} letters of {AMINO_ACIDS}")
        states = self.source(len(strings))
        for row, string in zip(states, strings, strict=True):
            row[:-1] = [AMINO_ACIDS.index(letter) for letter in string]
            row[-1] = (row[:-1] != self.wild_type).sum()
            if row[-1] > self.max_mutations:
                raise ValueError(f"GFP: {string!r} has {row[-1]} mutations; allowed: at most {self.max_mutations}")
        states[:, -1] += self.length + 1
        return states
