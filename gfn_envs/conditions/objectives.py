"""Several objectives of one object."""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.conditions.conditions import ConditionArray, Conditions
from gfn_envs.dag import Dag
from gfn_envs.validation import positive

#: Objectives: names of components of the environment's reward, or functions of terminal states (n, w) -> (n,), by name.
Objectives = Sequence[str] | Mapping[str, Callable[[IntArray], FloatArray]] | None


#: Objectives below this number count as this number.
DEFAULT_FLOOR = 1e-4


class Scorer:
    """The objectives of objects of ``dag``, float64 (n, m), at least ``floor`` each.

    Args:
        dag: the environment.
        objectives: names or functions; None: all components of the environment's reward.
        floor: objectives below this number count as this number; > 0, so that rewards are.

    Raises:
        ValueError: the environment has no component of this name.
    """

    def __init__(self, dag: Dag, objectives: Objectives, floor: float):
        self.dag, self.floor = dag, floor
        self._functions: list[Callable[[IntArray], FloatArray]] | None = None
        if isinstance(objectives, Mapping):
            self.names, self._functions = tuple(objectives), list(objectives.values())
            return
        known = tuple(dag.reward_components(dag.source(0))) if dag.has("reward_components") else ()
        if not known:
            raise ValueError(f"{dag!r} has no components of its reward: give objectives as functions by name")
        self.names = known if objectives is None else tuple(objectives)
        if unknown := [name for name in self.names if name not in known]:
            raise ValueError(f"{dag!r} has no objective {', '.join(unknown)}; its objectives are {', '.join(known)}")

    def __call__(self, states: IntArray) -> FloatArray:
        """Objectives of terminal states. Raises ValueError if one is not finite; the message names the object."""
        if self._functions is None:
            found: Mapping[str, Any] = self.dag.reward_components(states)
            columns = [found[name] for name in self.names]
        else:
            columns = [function(states) for function in self._functions]
        scores = np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1)
        if not np.isfinite(scores).all():
            row, column = np.argwhere(~np.isfinite(scores))[0]
            name = self.dag.object_names(states[row : row + 1])[0]
            raise ValueError(f"objective {self.names[column]} of {name} is {scores[row, column]}; allowed: finite")
        return np.maximum(scores, self.floor)


class OfObjectives(Conditions):
    """Conditions of m numbers in [0, 1], one for each objective, that set a reward from the objectives.

    A subclass defines :meth:`scalarized`, :attr:`center` and how conditions are drawn.

    Args:
        objectives: names of components of the environment's reward, or one mapping of functions by name.
        floor: objectives below this number count as this number, > 0.
        options: settings and their defaults. Settings that differ from their defaults become part of the text.
        kind: the word that the text begins with.
        **kwargs: as for :class:`Conditions`.

    Raises:
        ValueError: fewer than two objectives, or an unknown one.
    """

    #: The objectives of objects, once :meth:`bind` was called.
    scorer: Scorer
    #: The condition that treats all objectives alike: m times this number.
    center: float

    def __init__(
        self,
        objectives: tuple[Any, ...],
        floor: float,
        options: Mapping[str, tuple[Any, Any]],
        kind: str,
        **kwargs: Any,
    ):
        where = type(self).__name__
        by_name = len(objectives) == 1 and isinstance(objectives[0], Mapping)
        self.objectives: Objectives = objectives[0] if by_name else objectives
        self.floor = positive("floor", floor, where)
        names = tuple(self.objectives)
        if len(names) < 2:
            raise ValueError(f"{where}: give at least two objectives, got {list(names)}")
        options = {**options, "floor": (floor, DEFAULT_FLOOR)}
        given = [f"{name}={value}" for name, (value, default) in options.items() if value != default]
        has_text = not by_name and kwargs.get("values") is None
        text = f"{kind}:{','.join([*names, *given])}" if has_text else None
        super().__init__(names, 0.0, 1.0, text=text, **kwargs)

    @abc.abstractmethod
    def scalarized(self, scores: FloatArray, conditions: ConditionArray) -> FloatArray:
        """log R from objectives (..., m) > 0 and conditions (..., m), which broadcast, float64 (...)."""

    def bind(self, dag: Dag) -> Conditions:
        bound: Any = super().bind(dag)
        bound.scorer = Scorer(dag, self.objectives, self.floor)
        return bound

    @functools.cached_property
    def default(self) -> ConditionArray:
        """The center, or the first of the values."""
        m = len(self.names)
        return self.values[0] if self.values is not None else np.full(m, self.center, dtype=np.float32)

    def log_reward(self, states: IntArray, conditions: ConditionArray) -> FloatArray:
        return self.scalarized(self.scorer(states), conditions)

    def scores(self, states: IntArray) -> FloatArray:
        return self.scorer(states)

    def every_log_reward(self, scores: FloatArray, conditions: ConditionArray) -> FloatArray:
        return self.scalarized(scores, conditions[:, None])
