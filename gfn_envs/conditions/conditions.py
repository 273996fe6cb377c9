"""The interface of conditions."""

from __future__ import annotations

import abc
import copy
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.conditions.features import Features
from gfn_envs.dag import Dag
from gfn_envs.validation import shown

#: Conditions: float32 (n, k).
ConditionArray = npt.NDArray[np.float32]
#: Default inputs of networks.
FEATURES, BINS = "thermometer", 16

#: Relative rounding of float32, and a little more.
ROUNDING = 2.0**-23


class Conditions(abc.ABC):
    """k numbers c that set the reward R(x|c) of the objects of a Dag.

    A subclass defines :meth:`log_reward` and calls ``super().__init__``. It may override :meth:`draw`, by default
    uniform in the ranges, :meth:`is_allowed` and :meth:`partial_log_reward`.

    Args:
        names: names of the numbers.
        low, high: ranges of the numbers, (k,) or one number for all; finite, low <= high.
        values: a finite set of conditions, (m, k), drawn uniformly; None: all in the ranges.
        features: inputs of networks: "thermometer", "fourier" or "plain" (:class:`Features`).
        bins: features per number.
        text: text from which :func:`read_conditions` makes these conditions, without ``features`` and ``bins``; None if
            they have no text form.

    Raises:
        ValueError: a range is not finite or has low > high, values are outside the ranges, or the features are unknown.
    """

    #: The Dag whose objects are rewarded, once :meth:`bind` was called.
    dag: Dag

    def __init__(
        self,
        names: Sequence[str],
        low: npt.ArrayLike,
        high: npt.ArrayLike,
        values: npt.ArrayLike | None = None,
        features: str = FEATURES,
        bins: int = BINS,
        text: str | None = None,
    ):
        settings = [("features", features, FEATURES), ("bins", bins, BINS)]
        self.names = tuple(names)
        #: Text from which :func:`read_conditions` makes these conditions; None if they have none.
        self.text = text and text + "".join(f",{name}={value}" for name, value, usual in settings if value != usual)
        k = len(self.names)
        self.low, self.high = (np.broadcast_to(np.asarray(side, np.float64), (k,)) for side in (low, high))
        where = type(self).__name__
        if not k or len(set(self.names)) < k:
            raise ValueError(f"{where}: names must be distinct, and at least one, got {list(self.names)}")
        if not (np.isfinite(self.low).all() and np.isfinite(self.high).all() and (self.low <= self.high).all()):
            raise ValueError(f"{where}: ranges must be finite with low <= high, got {self.range_text}")
        self.features = Features(self.low, self.high, features, bins)
        self.values: ConditionArray | None = None
        if values is not None:
            given = np.asarray(values, dtype=np.float32)
            self.values = self.checked(given[:, None] if given.ndim == 1 else given)

    @abc.abstractmethod
    def log_reward(self, states: IntArray, conditions: ConditionArray) -> FloatArray:
        """log R(x|c) of terminal states (n, state_width) of ``self.dag`` under conditions (n, k), float64 (n,)."""

    def scores(self, states: IntArray) -> npt.NDArray[Any]:
        """Numbers (m, q) that determine the rewards of terminal states (m, state_width) under all conditions.

        The default is the states. Override it with :meth:`every_log_reward` if rewards are expensive: agents that
        replay objects under many conditions then evaluate each object once.
        """
        return states

    def every_log_reward(self, scores: npt.NDArray[Any], conditions: ConditionArray) -> FloatArray:
        """log R of each of m objects, given :meth:`scores` (m, q), under each condition (n, k), float64 (n, m)."""
        n, m = len(conditions), len(scores)
        return self.log_reward(np.tile(scores, (n, 1)), np.repeat(conditions, m, axis=0)).reshape(n, m)

    def partial_log_reward(self, states: IntArray, conditions: ConditionArray) -> FloatArray:
        """Intermediate log reward of any states, as :meth:`gfn_envs.Dag.partial_log_reward`, float64 (n,).

        Raises:
            NotImplementedError: it is not defined.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no intermediate reward (partial_log_reward)")

    def draw(self, n: int, rng: np.random.Generator) -> npt.ArrayLike:
        """``n`` conditions in the ranges, (n, k). The default is uniform."""
        return self.low + (self.high - self.low) * rng.random((n, len(self.names)))

    def is_allowed(self, conditions: ConditionArray) -> npt.NDArray[np.bool_]:
        """Whether conditions (n, k) in the ranges are valid, bool (n,). By default all are."""
        return np.ones(len(conditions), dtype=bool)

    #: The rule of :meth:`is_allowed` in words, for messages.
    rule = ""

    # ------------------------------------------------------------------ derived

    def bind(self, dag: Dag) -> Conditions:
        """These conditions for ``dag``: a copy with :attr:`dag` set.

        Raises:
            ValueError: they do not apply to this environment.
        """
        bound = copy.copy(self)
        bound.dag = dag
        return bound

    def sample(self, n: int, rng: np.random.Generator, share: float = 1.0) -> ConditionArray:
        """``n`` conditions, float32 (n, k). ``rng`` is not used if there is only one condition.

        ``share`` in [0, 1] narrows the ranges to this part, from the low end.
        """
        if self.values is not None:
            few = self.values[: max(1, round(share * len(self.values)))]
            return few[rng.integers(len(few), size=n)] if len(few) > 1 else np.repeat(few, n, axis=0)
        if (self.low == self.high).all():
            return np.tile(self.low.astype(np.float32), (n, 1))
        drawn = np.asarray(self.draw(n, rng), dtype=np.float64)
        return self._inside(self.low + share * (drawn - self.low) if share < 1 else drawn)

    def _inside(self, conditions: FloatArray) -> ConditionArray:
        """Conditions as float32, clipped to the ranges."""
        return np.clip(conditions, self.low, self.high).astype(np.float32)

    @functools.cached_property
    def default(self) -> ConditionArray:
        """The default condition of s0: the first value, or the middle of the ranges, float32 (k,)."""
        return self.values[0] if self.values is not None else self._inside((self.low + self.high) / 2)

    def grid(self, n: int) -> ConditionArray:
        """About ``n`` conditions for evaluations, evenly spread and always the same, float32 (m, k).

        They are the values if there are any; a regular grid if one number varies; otherwise a sample with a fixed seed.
        """
        if self.values is not None:
            return self.values
        varies = np.flatnonzero(self.high > self.low)
        if len(varies) == 1 and type(self).draw is Conditions.draw:
            steps = np.linspace(0, 1, n)[:, None]
            return self._inside(self.low + steps * (self.high - self.low))
        return self.sample(n if len(varies) else 1, np.random.default_rng(0))

    def checked(self, given: npt.ArrayLike | Mapping[str, float]) -> ConditionArray:
        """Conditions as float32 (n, k): from numbers (k,) or (n, k), or from numbers by name.

        Raises:
            ValueError: a wrong shape or name, or a condition outside the ranges, which the message gives.
        """
        where = type(self).__name__
        if isinstance(given, Mapping):
            if set(given) != set(self.names):
                raise ValueError(
                    f"{where}: a condition gives {', '.join(self.names)}, got {', '.join(given) or 'none'}"
                )
            given = [given[name] for name in self.names]
        try:
            numbers = np.atleast_2d(np.asarray(given, dtype=np.float64))
        except (TypeError, ValueError):
            raise ValueError(f"{where}: a condition is {len(self.names)} numbers, got {shown(given)}") from None
        if numbers.ndim != 2 or numbers.shape[1] != len(self.names):
            shape = np.shape(given)
            raise ValueError(f"{where}: a condition has {len(self.names)} numbers ({self.range_text}), got {shape}")
        # Conditions are float32, ranges are not.
        slack = 1e-6 * (self.high - self.low) + ROUNDING * np.maximum(abs(self.low), abs(self.high))
        good: Any = ((numbers >= self.low - slack) & (numbers <= self.high + slack)).all(1)
        rounded = self._inside(numbers)
        rule = self.rule
        if self.values is not None:
            close: Any = np.isclose(rounded[:, None], self.values[None], rtol=1e-6, atol=1e-9).all(2)
            good &= close.any(1)
            rule = f"one of {self.values.tolist() if len(self.values) <= 8 else f'{len(self.values)} values'}"
        good[good] = self.is_allowed(rounded[good])
        if not good.all():
            bad = ", ".join(f"{x:g}" for x in numbers[int(np.argmin(good))])
            raise ValueError(f"{where}: the condition {bad} is out of range: {self.range_text}{rule and f'; {rule}'}")
        return rounded

    @property
    def range_text(self) -> str:
        """Names and ranges: ``beta in [0.5, 8]``."""
        ranges = zip(self.names, self.low, self.high, strict=True)
        return ", ".join(f"{name} in [{low:g}, {high:g}]" for name, low, high in ranges)

    def __repr__(self) -> str:
        return self.text or f"{type(self).__name__}({self.range_text})"

    def describe(self, condition: ConditionArray) -> dict[str, Any]:
        """One condition (k,) by name."""
        return {name: float(f"{x:.7g}") for name, x in zip(self.names, condition.tolist(), strict=True)}
