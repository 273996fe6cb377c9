"""Sequence: strings over an alphabet, built in one of four ways, with any reward."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Letters
from typing import Any

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.envs.strings.modes import top_fraction
from gfn_envs.envs.strings.numbering import string_at
from gfn_envs.envs.strings.reward_table import table_values
from gfn_envs.envs.strings.string_dag import StringDag
from gfn_envs.oracle import Oracle
from gfn_envs.reward_errors import RewardError
from gfn_envs.user_arrays import problem_of
from gfn_envs.validation import (
    checked_log_reward,
    checked_numbers,
    checked_reward_function,
    one_of,
    positive,
    real,
    shown,
)

Reward = Callable[[Any], Any] | Mapping[str, float] | Letters[float] | str | os.PathLike[str]


class Sequence(StringDag):
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

    With ``min_length``, there is one additional action, the last, which stops; "fill" does not support it. Different
    actions can lead to the same string, such as prepending and appending to a string of one repeated letter, or
    inserting on either side of an equal letter. They are different edges.

    ## Backward actions
    append: 1, which removes the last letter. prepend_append: 2, which remove the first or the last letter. insert: n,
    each of which deletes the letter at one position. fill: n, each of which empties a slot. With ``min_length``, there
    is one additional backward action, the last, which undoes the stop.

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
    After n letters. With ``min_length``, at the stop action, which is legal from ``min_length`` letters on and the only
    legal action after n letters.

    ## Number of states
    For strings of fixed length: q^n objects, and sum of q^t for t = 0..n states, or (q + 1)^n states with fill. With
    ``min_length`` m: sum of q^t for t = m..n objects, which add to the sum of q^t for t = 0..n states before the stop.

    ## Arguments
    * ``alphabet``: the letters: a string of different characters, or a list of different names.
    * ``length``: number of letters of a finished string, or the largest number if ``min_length`` is given.
    * ``construction``: "append", "prepend_append", "insert" or "fill".
    * ``reward``: a callable, see ``reward_of``; a mapping from strings to values or a pandas Series labeled by strings;
      a list of values in order of length and alphabet; or the path of a text file with a string and its value per line.
      None gives every string the value 1.
    * ``reward_of``: "tokens": a callable reward maps tokens, int64 (n, length), with q after the end of a string, to
      values (n,); "string": it maps one string to its value.
    * ``exponent``: power beta of the value, > 0.
    * ``floor``: lower bound of the values, > 0; None: all values must be > 0.
    * ``min_length``: smallest number of letters of a finished string; None: all strings have ``length`` letters.
    * ``mode_fraction``: fraction of all strings that are modes, in (0, 1]; None: no modes.

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
    ):
        super().__init__(alphabet, length, construction, min_length)
        where = type(self).__name__
        self.exponent = positive("exponent", exponent, where)
        self.floor = None if floor is None else positive("floor", floor, where)
        if mode_fraction is not None and not 0 < real("mode_fraction", mode_fraction, where) <= 1:
            raise ValueError(f"{where}: mode_fraction must be in (0, 1], got {mode_fraction}")
        self.mode_fraction = mode_fraction
        self._reward = reward
        self.reward_of = one_of("reward_of", reward_of, ("tokens", "string"), where)
        if isinstance(reward, Oracle):
            reward.serve(self, None if reward_of == "string" else self._token_names)
        elif callable(reward):
            checked_reward_function(reward, where, "tokens (n, length)" if reward_of == "tokens" else "a string")
            other = {"tokens": "tokens (n, length), with reward_of='string' with one string", "string": "one string"}
            self.reward_input = other[reward_of]
        self.arguments = {
            "alphabet": alphabet if isinstance(alphabet, str) else list(self.letters),
            "length": self.length,
            "construction": construction,
            "reward": reward,
            "exponent": exponent,
            "floor": floor,
            "min_length": None if min_length is None else self.min_length,
            "mode_fraction": mode_fraction,
            **({} if reward_of == "tokens" else {"reward_of": reward_of}),
        }
        if self._reward is not None and not callable(self._reward):
            self.reward_table  # noqa: B018  # A wrong table raises here, not at the first terminal state.

    # ------------------------------------------------------------------ rewards

    def values(self, tokens: IntArray) -> FloatArray:
        """Values of finished strings before floor and exponent, float64 (n,).

        Args:
            tokens: the letters, int64 (n, length), q after the end of a string.

        Raises:
            TypeError: the reward is a table; its rewards are in :attr:`reward_table`.
        """
        if callable(self._reward):
            return np.asarray(self._values(tokens), dtype=np.float64)
        if self.reward_table is not None:
            raise TypeError(f"{type(self).__name__}: values of a table are in reward_table")
        return np.ones(len(tokens))

    @functools.cached_property
    def reward_table(self) -> FloatArray | None:
        """R of every string in order of length and alphabet, float64 (objects,); None if the reward is no table."""
        if self._reward is None or callable(self._reward):
            return None
        table = table_values(self._reward, self.letters, self.min_length, self.length, type(self).__name__)
        return self._shaped(table)

    def _shaped(self, values: FloatArray) -> FloatArray:
        """max(value, floor)^exponent."""
        values = self._floored(values)
        # Values <= 0 are kept and raise later; an even exponent would turn negative values into valid rewards.
        return np.where(values > 0, np.abs(values) ** self.exponent, values)

    def _floored(self, values: FloatArray) -> FloatArray:
        """max(value, floor)."""
        return values if self.floor is None else np.maximum(values, self.floor)

    def log_reward(self, states: IntArray) -> FloatArray:
        if self.reward_table is not None:
            return self._log_reward_table.take(self.string_index(states))
        name = type(self).__name__
        values = checked_numbers(self._values(self.tokens(states)), states, name, self.object_names)
        return checked_log_reward(self._shaped(values), states, name, self.object_names)

    def _values(self, tokens: IntArray) -> Any:
        """:meth:`values`, unchecked."""
        if not callable(self._reward):
            return self.values(tokens)
        if self.reward_of == "tokens":
            return self._reward(tokens)
        strings = self._token_names(tokens)
        return self._reward(strings) if isinstance(self._reward, Oracle) else list(map(self._value_of, strings))

    def _value_of(self, string: str) -> float:
        """The value of a string. Raises RewardError, with the string, if it is not a number."""
        value = self._reward(string)  # type: ignore[operator, misc]
        if problem := problem_of(value):
            message = f"{type(self).__name__}: the reward of object {string} is {problem}: {shown(value)}"
            raise RewardError(f"{message}; allowed: a number", string, value)
        return float(value)

    def _token_names(self, tokens: IntArray) -> list[str]:
        """Strings of tokens (n, length), as :meth:`object_names` writes them."""
        return self.object_names(np.column_stack([tokens, np.zeros(len(tokens), tokens.dtype)]))

    def wrap_reward(self, wrap: Callable[..., Any]) -> None:
        if callable(self._reward):
            batched = self.reward_of == "tokens"
            self._reward = wrap(self._reward, batched, self._token_names if batched else None)
        else:
            super().wrap_reward(wrap)

    @functools.cached_property
    def _log_reward_table(self) -> FloatArray:
        """log R of every string in order of length and alphabet, float64 (objects,)."""
        table = self.reward_table
        assert table is not None
        good = (table > 0) & np.isfinite(table)
        if not good.all():
            bad = int(np.argmin(good))
            text = string_at(bad, self.letters, self.min_length)
            raise ValueError(
                f"{type(self).__name__}: the reward of {text!r} is {table[bad]}; allowed: finite, > 0 "
                "(give a floor or a smaller exponent)"
            )
        return np.log(table)

    # ------------------------------------------------------------------ modes

    @functools.cached_property
    def mode_strings(self) -> IntArray | None:
        """Positions (:meth:`string_index`) of the modes, ascending, int64 (num_modes,); None without modes."""
        if self.mode_fraction is None:
            return None
        if self.reward_table is not None:
            return top_fraction(self.reward_table, self.mode_fraction)
        objects = self.terminal_states()
        order = np.argsort(self.string_index(objects))
        return top_fraction(self.log_reward(objects[order]), self.mode_fraction)

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
