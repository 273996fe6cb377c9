"""Several objectives of one object: what preferences weigh."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.dag import Dag

#: Objectives: names of components of the environment's reward, or functions of terminal states (n, w) -> (n,), by name.
Objectives = Sequence[str] | Mapping[str, Callable[[IntArray], FloatArray]] | None


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


def objectives_of(arguments: tuple[Any, ...]) -> Objectives:
    """The objectives in positional arguments: names, or one mapping of functions."""
    return arguments[0] if len(arguments) == 1 and isinstance(arguments[0], Mapping) else arguments


def names_of(objectives: Objectives, where: str) -> tuple[str, ...]:
    """Names of objectives that were given. Raises ValueError unless there are two or more."""
    names = tuple(objectives or ())
    if len(names) < 2:
        raise ValueError(f"{where}: give at least two objectives, got {list(names)}")
    return names
