"""Sequence: strings over an alphabet, built in one of four ways, with any reward."""

from __future__ import annotations

import functools
from collections.abc import Sequence as Letters

import numpy as np

from gfn_envs.arrays import IntArray
from gfn_envs.border import known_log_rewards
from gfn_envs.envs.strings.language import Limits
from gfn_envs.envs.strings.measured import Missing
from gfn_envs.envs.strings.modes import top_fraction
from gfn_envs.envs.strings.motifs import plain_motifs
from gfn_envs.envs.strings.rewarded import Reward, RewardedStrings
from gfn_envs.validation import real


class Sequence(RewardedStrings):
    """Build a string, letter by letter, in one of four ways; the reward is a table or a function that you give.

    ## Description
    Strings of ``length`` letters, or of ``min_length`` to ``length`` letters if ``min_length`` is given. A string is
    the same state no matter how it was built. Below, q is the number of letters and n = ``length``.

    ## Action Space
    | construction | actions | |
    |---|---|---|
    | append | q | append a letter |
    | prepend_append | 2 q | 0..q-1 prepend a letter, q..2q-1 append one |
    | insert | n q | position * q + letter, for positions from 0 to the number of letters |
    | fill | n q | slot * q + letter, for empty slots |

    With ``min_length`` or ``reverse_complement``, there is one additional action, the last, which stops; "fill" does
    not support it. An action is masked if no string within ``fixed``, ``forbidden`` and ``required`` can be built after
    it, so that there are no dead ends. Different actions can lead to the same string, such as prepending and appending
    to a string of one repeated letter, or inserting on either side of an equal letter. They are different edges.

    ## Backward actions
    append: 1, which removes the last letter. prepend_append: 2, which remove the first or the last letter. insert: n,
    each of which deletes the letter at one position. fill: n, each of which empties a slot. With ``min_length``, there
    is one additional backward action, the last, which undoes the stop. With ``reverse_complement`` there are two, which
    undo it to either strand.

    ## Observation Space
    ``MultiDiscrete([q + 1] * n)``: the letter at each position, or q if the position is empty. The state row has one
    additional entry: the number of letters, plus n + 1 after the stop. The network features are the one-hot letters,
    all zeros for an empty position.

    ## Starting State
    The empty string.

    ## Rewards
    R(x) = max(value(x), floor)^exponent, where ``reward`` gives the values. The modes are the best ``mode_fraction`` of
    all strings, including ties with the last.

    ## Episode End
    After n letters. With ``min_length`` or ``reverse_complement``, at the stop action, which is legal from
    ``min_length`` letters on and the only legal action after n letters.

    ## Number of states
    For strings of fixed length: q^n objects, and sum of q^t for t = 0..n states, or (q + 1)^n states with fill. With
    ``min_length`` m: sum of q^t for t = m..n objects, which add to the sum of q^t for t = 0..n states before the stop.
    With motifs or fixed positions, dynamic programming counts objects and states.

    ## Arguments
    * ``alphabet``: the letters: a string of different characters, or a list of different names.
    * ``length``: number of letters of a finished string, or the largest number if ``min_length`` is given.
    * ``construction``: "append", "prepend_append", "insert" or "fill".
    * ``reward``: a callable, see ``reward_of``; a mapping from strings to values or a pandas Series labeled by strings;
      a list of values in order of length and alphabet; or the path of a text file with a string and its value per line.
      None gives every string the value 1.
    * ``reward_of``: "tokens": a callable reward maps tokens, int64 (n, length), with q after the end of a string, to
      values (n,); "string": it maps one string to its value; "strings": it maps a list of strings to values (n,).
    * ``exponent``: power beta of the value, > 0.
    * ``floor``: lower bound of the values, > 0; None: all values must be > 0.
    * ``min_length``: smallest number of letters of a finished string; None: all strings have ``length`` letters.
    * ``mode_fraction``: fraction of all strings that are modes, in (0, 1]; None: no modes.
    * ``missing``: value of strings that a table lacks: "raise" (it must have all), a number, or the prediction of a
      model fitted to the table, whose cross-validated error is logged and in ``cross_validation``: "ridge", "forest",
      or a function that makes a regressor of scikit-learn.
    * ``fixed``: letters of each position, such as "..TATA..": a letter, "." for any, "[AG]" for A or G, "[^A]" for any
      but A, or an ambiguity code of nucleotides (N, R, Y ...). Positions after the end of a shorter string are free.
    * ``forbidden``: motifs of no string, as a list or separated by commas, written like ``fixed``.
    * ``required``: motifs of every string, in the same form.
    * ``reverse_complement``: True: a string of nucleotides and its reverse complement are one object, named by the
      alphabetically first, whose value counts. Motifs are looked for on both strands.

    ## References
    Shen et al. 2023, Towards Understanding and Improving GFlowNet Training; Malkin et al. 2022, Trajectory Balance

    ## Version History
    * v0: initial version.
    """

    def __init__(
        self,
        alphabet: str | Letters[str] = "ACGT",
        length: int = 8,
        construction: str = "append",
        reward: Reward | None = None,
        exponent: float = 1.0,
        floor: float | None = None,
        min_length: int | None = None,
        mode_fraction: float | None = None,
        reward_of: str = "tokens",
        missing: Missing = "raise",
        fixed: str | None = None,
        forbidden: str | Letters[str] | None = None,
        required: str | Letters[str] | None = None,
        reverse_complement: bool = False,
    ):
        limits = Limits(fixed, forbidden, required, reverse_complement)
        super().__init__(alphabet, length, construction, min_length, limits)
        where = type(self).__name__
        if mode_fraction is not None and not 0 < real("mode_fraction", mode_fraction, where) <= 1:
            raise ValueError(f"{where}: mode_fraction must be in (0, 1], got {mode_fraction}")
        self.mode_fraction = mode_fraction
        self._set_reward(reward, reward_of, exponent, floor, missing)
        optional = {
            **{"reward_of": (reward_of, "tokens"), "missing": (missing, "raise"), "fixed": (fixed, None)},
            **{"forbidden": (plain_motifs(forbidden), None), "required": (plain_motifs(required), None)},
            "reverse_complement": (reverse_complement, False),
        }
        self.arguments = {
            "alphabet": alphabet if isinstance(alphabet, str) else list(self.letters),
            "length": self.length,
            "construction": construction,
            "reward": reward,
            "exponent": exponent,
            "floor": floor,
            "min_length": None if min_length is None else self.min_length,
            "mode_fraction": mode_fraction,
            **{name: value for name, (value, default) in optional.items() if value != default},
        }

    # ------------------------------------------------------------------ modes

    @functools.cached_property
    def mode_strings(self) -> IntArray | None:
        """Positions (:meth:`string_index`) of the modes, ascending, int64 (num_modes,); None without modes."""
        if self.mode_fraction is None:
            return None
        if self.reward_table is not None:
            return top_fraction(self.reward_table, self.mode_fraction)
        objects = self.terminal_states()
        index = self.string_index(objects)
        order = np.argsort(index)
        values = known_log_rewards(self, objects[order])
        best = top_fraction(np.where(np.isnan(values), -np.inf, values), self.mode_fraction)
        return index[order][best[~np.isnan(values[best])]]

    @property
    def defines_modes(self) -> bool:
        return self.mode_fraction is not None

    @functools.cached_property
    def num_modes(self) -> int | None:  # type: ignore[override]
        """Number of modes; None without modes."""
        return None if self.mode_strings is None else len(self.mode_strings)

    def mode_index(self, states: IntArray) -> IntArray:
        modes = self.mode_strings
        if modes is None:
            return np.full(len(states), -1, dtype=np.int64)
        index = self.string_index(states)
        place = np.minimum(np.searchsorted(modes, index), len(modes) - 1)
        return np.where(modes[place] == index, place, -1)
