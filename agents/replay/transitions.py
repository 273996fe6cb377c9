"""Prioritized experience replay of transitions (Schaul et al. 2016), for the RL methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from agents.memory import say_if_much, transition_bytes
from agents.replay.saved import check_same_buffer, checked_tensor, environment_signature
from agents.replay.schemes import draw_in_proportion
from agents.trajectories import Trajectories
from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.dag import Dag
from gfn_envs.validation import positive_int


class Transitions(NamedTuple):
    """Steps of trajectories, in no particular order."""

    states: IntArray
    """(n, state_width)"""
    actions: IntArray
    """Forward actions taken at ``states``, int64 (n,)."""
    next_states: IntArray
    """(n, state_width)"""
    log_pb: FloatArray
    """log P_B(state | next state), float64 (n,)."""
    log_reward: FloatArray
    """log R of the next state if it is terminal, else 0, float64 (n,)."""
    terminal: BoolArray
    """True if the next state is terminal (n,)."""


def transitions(trajectories: Trajectories, log_pb: FloatArray) -> Transitions:
    """Every step of ``trajectories``, in order; ``log_pb`` (e,) is log P_B of the edges."""
    terminal = np.zeros(trajectories.num_edges, dtype=bool)
    terminal[trajectories.edge_offsets[1:] - 1] = True
    log_reward = np.zeros(trajectories.num_edges)
    log_reward[terminal] = trajectories.log_reward
    states = trajectories.states
    return Transitions(
        states[trajectories.sources],
        trajectories.actions,
        states[trajectories.targets],
        np.asarray(log_pb, dtype=np.float64),
        log_reward,
        terminal,
    )


class PrioritizedTransitions:
    """The last ``capacity`` transitions; those with large errors are replayed more often (PER).

    Transition i is drawn with probability P(i) = p_i^alpha / sum_k p_k^alpha, where p_i = |delta_i| + eps is its
    priority (proportional variant, equation 1). A new transition has the largest priority so far, initially 1
    (Algorithm 1, line 6). Draws are with replacement. If the buffer is full, the oldest transitions are overwritten.

    Args:
        dag: the environment.
        capacity: maximum number of transitions.
        alpha: 0 is uniform, 1 proportional to the priorities.
        eps: added to |error|, so that transitions without error are also drawn.

    Raises:
        ValueError: capacity < 1, alpha < 0, eps <= 0, or a non-finite value.
    """

    def __init__(self, dag: Dag, capacity: int = 100_000, alpha: float = 0.5, eps: float = 1e-6):
        if not (0 <= alpha < np.inf and 0 < eps < np.inf):
            raise ValueError(f"PrioritizedTransitions: alpha must be >= 0 and eps > 0, finite, got {alpha=}, {eps=}")
        self.dag, self.alpha, self.eps = dag, float(alpha), float(eps)
        self.capacity = positive_int("capacity", capacity, "PrioritizedTransitions")
        say_if_much(f"a replay buffer of {self.capacity:,} transitions", self.capacity * transition_bytes(dag))
        self._fields: dict[str, npt.NDArray[Any]] = {
            name: np.zeros((self.capacity, *shape), dtype=dtype) for name, (shape, dtype) in self._layout().items()
        }
        self._size = self._next = 0
        self.max_priority = 1.0

    def _layout(self) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
        """Shape of one entry, and dtype, of each array of the buffer; ``weight`` is p^alpha."""
        row, real = ((self.dag.state_width,), np.dtype(self.dag.state_dtype)), ((), np.dtype(np.float64))
        return {
            "states": row,
            "actions": ((), np.dtype(np.int64)),
            "next_states": row,
            "log_pb": real,
            "log_reward": real,
            "terminal": ((), np.dtype(np.bool_)),
            "weight": real,
        }

    def __len__(self) -> int:
        return self._size

    def add(self, batch: Transitions) -> None:
        """Add transitions, only the last ``capacity`` if there are more.

        Raises:
            ValueError: shapes do not match each other or the environment.
        """
        n = len(batch.states)
        for name, (shape, _) in list(self._layout().items())[:-1]:
            given = np.shape(getattr(batch, name))
            if given != (n, *shape):
                raise ValueError(f"PrioritizedTransitions: {name} must have shape {(n, *shape)}, got {given}")
        kept = min(n, self.capacity)
        slots = (self._next + np.arange(n - kept, n)) % self.capacity
        for name in Transitions._fields:
            self._fields[name][slots] = getattr(batch, name)[n - kept :]
        self._fields["weight"][slots] = self.max_priority**self.alpha
        self._next = (self._next + n) % self.capacity
        self._size = min(self._size + n, self.capacity)

    def sample(self, n: int, rng: np.random.Generator, beta: float) -> tuple[Transitions, FloatArray, IntArray]:
        """A stratified batch: one draw from each of n equal parts of the total weight (appendix B.2.1).

        Args:
            n: batch size.
            rng: source of randomness.
            beta: exponent of the importance weights, from 0 (no correction) to 1 (the weighted mean over a batch is, up
                to a factor, an unbiased estimate of the mean over the buffer).

        Returns:
            ``(batch, weights, indices)``: weights (N P(i))^-beta over their largest value in the buffer, float64 (n,);
            and indices for :meth:`update_priorities`, int64 (n,), valid until the next :meth:`add`.

        Raises:
            ValueError: n < 1, an empty buffer, or beta outside [0, 1].
        """
        if n < 1 or not self._size:
            raise ValueError(
                f"PrioritizedTransitions: cannot draw {n} from {self._size} transitions; both must be >= 1"
            )
        if not 0 <= beta <= 1:
            raise ValueError(f"PrioritizedTransitions: beta must lie in [0, 1], got {beta}")
        weight = self._fields["weight"][: self._size]
        indices = draw_in_proportion(weight, (np.arange(n) + rng.random(n)) / n)
        batch = Transitions(*(self._fields[name].take(indices, axis=0) for name in Transitions._fields))
        return batch, (weight[indices] / weight.min()) ** -beta, indices

    def update_priorities(self, indices: IntArray, errors: FloatArray) -> None:
        """Set p = |error| + eps of transitions drawn by :meth:`sample`; both (n,).

        Raises:
            ValueError: an index without a transition, a non-finite error, or shapes that differ.
        """
        indices, errors = np.asarray(indices), np.abs(np.asarray(errors, dtype=np.float64))
        if indices.shape != errors.shape or indices.ndim != 1:
            raise ValueError(
                f"PrioritizedTransitions: indices and errors must have one shape (n,), got {indices.shape} and "
                f"{errors.shape}"
            )
        if not len(indices):
            return
        if not 0 <= indices.min() <= indices.max() < self._size:
            raise ValueError(
                f"PrioritizedTransitions: indices must lie in [0, {self._size}), got {indices.min()} to {indices.max()}"
            )
        if not np.isfinite(errors).all():
            raise ValueError(f"PrioritizedTransitions: errors must be finite, got {errors[~np.isfinite(errors)][0]}")
        priority = errors + self.eps
        self.max_priority = max(self.max_priority, float(priority.max()))
        self._fields["weight"][indices] = priority**self.alpha

    # ------------------------------------------------------------------ checkpoints

    def _settings(self) -> dict[str, Any]:
        signature = environment_signature(self.dag)
        return {"environment": signature, "capacity": self.capacity, "alpha": self.alpha, "eps": self.eps}

    def state_dict(self) -> dict[str, Any]:
        """State that later batches depend on: tensors, numbers and strings."""
        arrays = {name: torch.from_numpy(array[: self._size].copy()) for name, array in self._fields.items()}
        return {**self._settings(), "next": self._next, "max_priority": self.max_priority, **arrays}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore :meth:`state_dict`; the buffer continues bit for bit. If it raises, the buffer is unchanged.

        Raises:
            ValueError: the state is damaged, or of another environment or other settings.
        """
        check_same_buffer("PrioritizedTransitions", state, self._settings())
        size = len(state["actions"]) if torch.is_tensor(state.get("actions")) and state["actions"].ndim else 0
        arrays = {
            name: checked_tensor("PrioritizedTransitions", state, name, (size, *shape), dtype)
            for name, (shape, dtype) in self._layout().items()
        }
        following, largest = state.get("next"), state.get("max_priority")
        bad = {
            f"{size} transitions in a buffer of capacity {self.capacity}": size > self.capacity,
            f"next = {following!r}": following not in (range(self.capacity) if size == self.capacity else (size,)),
            f"max_priority = {largest!r}": not isinstance(largest, float) or not 0 < largest < np.inf,
            "a priority that is not finite and > 0": not (
                np.isfinite(arrays["weight"]).all() and (arrays["weight"] > 0).all()
            ),
        }
        if found := [what for what, wrong in bad.items() if wrong]:
            raise ValueError(f"PrioritizedTransitions: the saved buffer is damaged: {'; '.join(found)}")
        for name, array in arrays.items():
            self._fields[name][:size] = array
            self._fields[name][size:] = 0
        self._size, self._next, self.max_priority = size, int(following), float(largest)  # type: ignore[arg-type]
