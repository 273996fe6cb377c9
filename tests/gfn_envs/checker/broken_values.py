"""DAGs that each break one invariant of the checker: rewards, features and observations."""

from __future__ import annotations

from typing import Any

import numpy as np

from gfn_envs import HyperGrid
from tests.gfn_envs.checker.broken_dags import Anything, Grid, Table, at, breaks
from tests.helpers import TableDag

# Rewards


def reward_at(value: float) -> Any:
    def log_reward(self: Grid, states: np.ndarray) -> np.ndarray:
        return np.where(at(states, [2, 1, 1]), value, HyperGrid.log_reward(self, states))

    return type(f"LogReward-{value}", (Grid,), {"log_reward": log_reward})


for _value in (np.nan, np.inf, -np.inf):
    breaks("log_reward is finite", [2, 1, 1])(reward_at(_value))


@breaks("log_reward is finite", Anything)
class RewardIsRefused(HyperGrid):
    """The environment itself rejects its reward, with a ValueError."""

    def __init__(self) -> None:
        super().__init__(ndim=2, side=3, reward=lambda cells: np.where(cells[:, 0] == 2, -1.0, 1.0))


@breaks("mode_index", [2, 1, 1])
class ModeBelowMinusOne(Grid):
    def mode_index(self, states: np.ndarray) -> np.ndarray:
        return np.where(at(states, [2, 1, 1]), -2, super().mode_index(states))


def partial_at(state: int, value: float) -> Any:
    def partial_log_reward(self: Table, states: np.ndarray) -> np.ndarray:
        return np.where(at(states, [state]), value, TableDag.partial_log_reward(self, states))

    return type(f"PartialLogReward-{state}-{value}", (Table,), {"partial_log_reward": partial_log_reward})


breaks("partial_log_reward", [0])(partial_at(0, 0.5))
breaks("partial_log_reward", [3])(partial_at(3, np.nan))
breaks("partial_log_reward", [4])(partial_at(4, 0.5))


# Encodings


@breaks("encode tells states apart", Anything)
class OneEncoding(Grid):
    def encode(self, states: np.ndarray) -> np.ndarray:
        return np.ones((len(states), self.num_features), dtype=np.float32)


@breaks("encode", [1, 1, 0])
class FeatureOutsideItsBounds(Grid):
    def encode(self, states: np.ndarray) -> np.ndarray:
        features = super().encode(states)
        features[at(states, [1, 1, 0]), 0] = 1.5
        return features


@breaks("encode", [1, 1, 0])
class InfiniteFeature(Grid):
    def encode(self, states: np.ndarray) -> np.ndarray:
        features = super().encode(states)
        features[at(states, [1, 1, 0]), 0] = np.inf
        return features


@breaks("observe", [2, 1, 0])
class ObservationOutside(Grid):
    def observe(self, states: np.ndarray) -> np.ndarray:
        return super().observe(states) + at(states, [2, 1, 0])[:, None]


@breaks("observe", [15, 15, 1])
class OneObservationOfManyOutside(HyperGrid):
    """No state may be left out, however many there are."""

    def __init__(self) -> None:
        super().__init__(ndim=2, side=16)

    def observe(self, states: np.ndarray) -> np.ndarray:
        return super().observe(states) + at(states, [15, 15, 1])[:, None]
