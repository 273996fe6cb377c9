"""RewardedStrings: strings with a reward that is a table, partly measured or whole, or a function."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Letters
from typing import Any

import numpy as np

from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.envs.strings.fitted import CrossValidation
from gfn_envs.envs.strings.measured import Measured, Missing, checked_missing, one_strand
from gfn_envs.envs.strings.numbering import string_at, tokens_of
from gfn_envs.envs.strings.reward_table import labeled_values, table_values
from gfn_envs.envs.strings.string_dag import StringDag
from gfn_envs.oracle import Oracle
from gfn_envs.reward_errors import RewardError
from gfn_envs.user_arrays import problem_of
from gfn_envs.validation import checked_log_reward, checked_numbers, checked_reward_function, one_of, positive, shown

logger = logging.getLogger(__name__)

#: What a function that is the reward is called with, by ``reward_of``.
INPUTS = {"tokens": "tokens (n, length)", "string": "one string", "strings": "a list of strings"}
HOW_TO_MISS = "give missing=NUMBER, or a model, missing='ridge'"

Reward = Callable[[Any], Any] | Mapping[str, float] | Letters[float] | str | os.PathLike[str]


class RewardedStrings(StringDag):
    """Base class of :class:`gfn_envs.Sequence`: everything about its rewards but the modes."""

    _reward: Reward | None

    def _set_reward(
        self, reward: Reward | None, reward_of: str, exponent: float, floor: float | None, missing: Missing = "raise"
    ) -> None:
        """Set the reward; the arguments are those of :class:`gfn_envs.Sequence`."""
        where = type(self).__name__
        self.exponent = positive("exponent", exponent, where)
        self.floor = None if floor is None else positive("floor", floor, where)
        self._reward = reward
        self.reward_of = one_of("reward_of", reward_of, INPUTS, where)
        if isinstance(reward, Oracle):
            reward.serve(self, self._token_names if reward_of == "tokens" else None)
        elif callable(reward):
            checked_reward_function(reward, where, INPUTS[reward_of])
            hint = ", with reward_of='string' with one string" * (reward_of == "tokens")
            self.reward_input = INPUTS[reward_of] + hint
            self.reward_of_one = reward_of == "string"
        missing = checked_missing(missing, where)
        if reward is None or callable(reward):
            if missing != "raise":
                raise ValueError(f"{where}: missing is for a reward that is a table, got missing={shown(missing)}")
        elif missing == "raise" and self.is_unlimited:
            self.reward_table  # noqa: B018  # A wrong table raises here, not at the first terminal state.
        else:
            self._reward, self.reward_of = self._measured(reward, missing), "tokens"

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
        """R of every string in order of length and alphabet, float64 (objects,); None if the reward is not a table."""
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
        values = checked_numbers(self._values(self.whole_tokens(states)), states, name, self.object_names)
        return checked_log_reward(self._shaped(values), states, name, self.object_names)

    def _values(self, tokens: IntArray) -> Any:
        """:meth:`values`, unchecked."""
        if not callable(self._reward):
            return self.values(tokens)
        if self.reward_of == "tokens":
            return self._reward(tokens)
        strings = self._token_names(tokens)
        batched = self.reward_of == "strings" or isinstance(self._reward, Oracle)
        return self._reward(strings) if batched else list(map(self._value_of, strings))

    def _value_of(self, string: str) -> float:
        """The value of a string. Raises RewardError, with the string, if it is not a number."""
        value = self._reward(string)  # type: ignore[operator, misc]
        if problem := problem_of(value):
            message = f"{type(self).__name__}: the reward of object {string} is {problem}: {shown(value)}"
            raise RewardError(f"{message}; allowed: a number", string, value)
        return float(value)

    def wrap_reward(self, wrap: Callable[..., Any]) -> None:
        if callable(self._reward):
            names = self._token_names if self.reward_of == "tokens" else None
            self._reward = wrap(self._reward, self.reward_of != "string", names)
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

    # ------------------------------------------------------------------ partly measured tables

    def _measured(self, table: Any, missing: Missing) -> Measured:
        """The function of tokens that a table labeled by strings defines."""
        where = type(self).__name__
        labeled = labeled_values(table, self.letters, where)
        if labeled is None:
            raise ValueError(f"{where}: with missing values, limits or mutations, a table must be labeled by strings")
        strings, numbers, place = labeled
        tokens, values = self._label_tokens(strings, place), np.array(numbers, dtype=np.float64)
        if self._complement is not None:
            tokens, values = one_strand(tokens, values, self._complement, self._token_names, place)
        measured = Measured(tokens, values, missing, self.num_letters, self._token_names, place)
        objects = int(self._are_objects(tokens).sum())
        if objects < len(tokens):
            use = "are not used" if measured.cross_validation is None else "only train the model"
            outside = len(tokens) - objects
            logger.warning("%s: %d of %d strings are outside the limits and %s", place, outside, len(tokens), use)
        count = self.declared_num_terminal_states
        if missing == "raise" and count is not None and objects < count:
            raise ValueError(f"{place}: the table has values of {objects:,} of {count:,} objects; {HOW_TO_MISS}")
        return measured

    def _label_tokens(self, strings: list[str], where: str) -> IntArray:
        """Tokens of the labels of a table, int64 (n, length)."""
        return tokens_of(strings, self.letters, self.min_length, self.length, where)

    def _are_objects(self, tokens: IntArray) -> BoolArray:
        """True for tokens of strings within the limits, bool (n,)."""
        everything = np.ones(len(tokens), dtype=bool)
        return everything if self._language is None else self._language.final[self._language.walk(tokens)]

    @property
    def cross_validation(self) -> CrossValidation | None:
        """Quality of the model of missing values on held-out strings; None without a model."""
        return getattr(self._reward, "cross_validation", None)
