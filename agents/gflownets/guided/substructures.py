"""Mean rewards of the substructures of the objects seen, updated with every object."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from gfn_envs.arrays import FloatArray, IntArray, row_keys
from gfn_envs.dag import Dag

#: Maximum number of states that lead to an object (mean over a batch), and of states stored in total.
MAX_PARTS, MAX_REMEMBERED = 4_096, 2_000_000

#: Largest log reward that can be summed.
MAX_LOG_REWARD = 600.0


class TooManyPartsError(ValueError):
    """The objects have too many substructures to list, or too large rewards to sum."""


class Substructures:
    """Sum of the rewards, and number, of the objects seen that can be built from each state.

    The states from which x can be built are the ancestors of x in the DAG, and x itself. Repeated objects count once.
    If there are more than ``max_remembered`` states, the oldest objects are forgotten.
    """

    def __init__(self, dag: Dag, max_remembered: int = MAX_REMEMBERED):
        self.dag, self.max_remembered = dag, max_remembered
        # Keys are rows as bytes: the reward of each object, oldest first; and the sum and count of each state.
        self._reward: dict[bytes, float] = {}
        self._sum: dict[bytes, float] = {}
        self._count: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._reward)

    def add(self, objects: IntArray, log_reward: FloatArray) -> None:
        """Add objects (n, state_width) with their log rewards (n,).

        Raises:
            TooManyPartsError: the objects have more than 4,096 ancestors on average, or a reward above e^600. Nothing
                is added.
        """
        if log_reward.max(initial=-np.inf) > MAX_LOG_REWARD:
            largest = f"got log R = {log_reward.max():g}"
            raise TooManyPartsError(f"rewards above e^{MAX_LOG_REWARD:g} cannot be summed, {largest}")
        keys = _keys(objects)
        place = {key: i for i, key in enumerate(keys) if key not in self._reward}
        fresh = list(place.values())
        if not fresh:
            return
        reward = np.exp(log_reward[fresh]).tolist()
        for i, part in self._parts(objects[fresh]):
            self._sum[part] = self._sum.get(part, 0.0) + reward[i]
            self._count[part] = self._count.get(part, 0) + 1
        self._reward.update(zip([keys[i] for i in fresh], reward, strict=True))
        while len(self._sum) > self.max_remembered and len(self._reward) > 1:
            self._forget_oldest()

    def log_mean_reward(
        self, states: IntArray, ends: IntArray | None = None, end: IntArray | None = None
    ) -> FloatArray:
        """log phi(c): log of the mean reward of the objects seen that can be built from each state, excluding one.

        Args:
            states: (k, state_width).
            ends: objects (n, state_width); None: no object is excluded.
            end: index of the object to exclude for each state, if it was seen (k,). It can be built from the state.

        Returns:
            float64 (k,); -inf if no object is left. The error is of the order of the rounding error of the largest
            reward.
        """
        keys = _keys(states)
        total = np.array([self._sum.get(key, 0.0) for key in keys])
        count = np.array([self._count.get(key, 0) for key in keys], dtype=np.int64)
        if ends is not None:
            own = [self._reward.get(key) for key in _keys(ends)]
            total -= np.array([value or 0.0 for value in own])[end]
            count -= np.array([value is not None for value in own])[end]
        mean = np.where(count > 0, np.maximum(total, 0.0) / np.maximum(count, 1), 0.0)
        with np.errstate(divide="ignore"):
            return np.log(mean)

    def _forget_oldest(self) -> None:
        key = next(iter(self._reward))
        reward = self._reward.pop(key)
        for _, part in self._parts(_rows([key], self.dag)):
            self._count[part] -= 1
            self._sum[part] -= reward
            if not self._count[part]:
                del self._count[part], self._sum[part]

    def _parts(self, objects: IntArray) -> list[tuple[int, bytes]]:
        """All states from which each object can be built, including itself, as (index of the object, row)."""
        which, states = np.arange(len(objects)), np.ascontiguousarray(objects, dtype=self.dag.state_dtype)
        found: dict[tuple[int, bytes], None] = {}
        while len(states):
            pairs = list(zip(which.tolist(), _keys(states), strict=True))
            place = {pair: i for i, pair in enumerate(pairs) if pair not in found}
            fresh = list(place.values())
            found.update(dict.fromkeys(place))
            if len(found) > MAX_PARTS * len(objects):
                raise TooManyPartsError(f"an object can be built from more than {MAX_PARTS:,} states on average")
            row, parents, _ = self.dag.parents(states[fresh])
            which, states = which[fresh][row], parents
        return list(found)

    # ------------------------------------------------------------------ checkpoints

    def state_dict(self) -> dict[str, Any]:
        """Tensors only, in insertion order."""
        return {
            "objects": torch.from_numpy(_rows(list(self._reward), self.dag)),
            "reward": torch.tensor(list(self._reward.values()), dtype=torch.float64),
            "states": torch.from_numpy(_rows(list(self._sum), self.dag)),
            "sum": torch.tensor(list(self._sum.values()), dtype=torch.float64),
            "count": torch.tensor([self._count[key] for key in self._sum], dtype=torch.int64),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        states = _keys(state["states"].cpu().numpy())
        self._reward = dict(zip(_keys(state["objects"].cpu().numpy()), state["reward"].tolist(), strict=True))
        self._sum = dict(zip(states, state["sum"].tolist(), strict=True))
        self._count = dict(zip(states, state["count"].tolist(), strict=True))


def _keys(states: IntArray) -> list[bytes]:
    """Rows as bytes, without trailing zeros. All rows have the same width."""
    keys: list[bytes] = row_keys(states).tolist()
    return keys


def _rows(keys: list[bytes], dag: Dag) -> IntArray:
    """The inverse of :func:`_keys`, (n, state_width)."""
    size = dag.state_width * dag.state_dtype.itemsize
    data = b"".join(key.ljust(size, b"\0") for key in keys)
    return np.frombuffer(data, dtype=dag.state_dtype).reshape(len(keys), dag.state_width).copy()
