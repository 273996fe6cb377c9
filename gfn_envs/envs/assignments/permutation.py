"""Permutation: orders of n items, with a reward on pairs of items or a function of the user."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import comb, factorial
from typing import Any

import numpy as np

from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.envs.assignments.assignment import Assignment
from gfn_envs.oracle import Oracle
from gfn_envs.user_arrays import real_array
from gfn_envs.validation import checked_log_reward, checked_reward_function, positive, positive_int, shown


class Permutation(Assignment):
    """Put n items in order; the reward is a Mallows model, a sum over pairs of items, or your function.

    ## Description
    A state row holds the item at each position, or n if the position is empty. No item occurs twice.

    ## Action Space
    non_autoregressive: ``Discrete(n^2)``, action = position * n + item, legal if the position is empty and the item is
    not placed. autoregressive: ``Discrete(n)``, the next item.

    ## Backward actions
    non_autoregressive: n, each of which empties a position. autoregressive: 1, which removes the last item (P_B = 1).

    ## Observation Space
    ``MultiDiscrete([n + 1] * n)``: the state row. The network features are the one-hot items.

    ## Starting State
    All positions are empty.

    ## Rewards
    * "mallows": log R(x) = -(number of pairs of items in descending order) / temperature. log Z is known exactly, and
      so are samples of R(x) / Z.
    * a matrix W (n, n): log R(x) = (sum of W[i][j] over the pairs of items with i before j) / temperature, as in the
      linear ordering problem; with W[i][j] votes for i before j, the best order is the Kemeny ranking.
    * a callable that maps permutations, int64 (m, n), to R(x), float (m,), finite and > 0.

    The intermediate log reward is the same sum over the placed items; a callable has none.

    ## Episode End
    When every position is filled. There is no stop action.

    ## Number of states
    sum_k C(n, k)^2 k! non-autoregressive, sum_k n! / k! autoregressive; n! objects.

    ## Arguments
    * ``n``: number of items, from 2 to 1000.
    * ``construction``: "non_autoregressive" or "autoregressive".
    * ``reward``: "mallows", a matrix, or a callable.
    * ``temperature``: T > 0; with a callable, 1.

    ## References
    Mallows 1957 (Biometrika); Doignon et al. 2004 (sampling by repeated insertion); Zhang et al. 2023, Robust
    Scheduling with GFlowNets

    ## Version History
    * v0: initial version.
    """

    def __init__(
        self,
        n: int = 7,
        construction: str = "autoregressive",
        reward: str | Sequence[Sequence[float]] | Callable[[IntArray], FloatArray] = "mallows",
        temperature: float = 1.0,
    ):
        where = "Permutation"
        n = positive_int("n", n, where, at_least=2, at_most=1000)
        self.temperature = positive("temperature", temperature, where)
        super().__init__(n, n, construction)
        # The last row and column belong to an empty position.
        self._weights = np.zeros((n + 1, n + 1))
        self._reward: Callable[[IntArray], FloatArray] | None = None
        if isinstance(reward, str):
            if reward != "mallows":
                raise ValueError(f"{where}: reward must be 'mallows', a matrix or a callable, got {shown(reward)}")
            self._weights[:n, :n] = -np.tri(n, k=-1)
        elif callable(reward):
            if self.temperature != 1:
                raise ValueError(f"{where}: temperature must be 1 with a callable reward, got {self.temperature:g}")
            if isinstance(reward, Oracle):
                reward.serve(self)
            self._reward = checked_reward_function(reward, where, f"permutations (m, {n})")
        else:
            matrix = real_array(reward, where, "reward")
            if matrix.shape != (n, n) or not np.isfinite(matrix).all():
                raise ValueError(f"{where}: reward must be a finite matrix of shape {(n, n)}, got shape {matrix.shape}")
            self._weights[:n, :n], reward = matrix, matrix.tolist()
        self.arguments = {"n": n, "construction": construction, "reward": reward, "temperature": self.temperature}
        self.declared_num_terminal_states = factorial(n)
        places = [1 if self.autoregressive else comb(n, k) for k in range(n + 1)]
        self.declared_num_states = sum(comb(n, k) * factorial(k) * places[k] for k in range(n + 1))
        self._pairs = np.triu_indices(n, 1)

    closed_levels = None

    def wrap_reward(self, wrap: Callable[..., Any]) -> None:
        if self._reward is None:
            super().wrap_reward(wrap)
        else:
            self._reward = wrap(self._reward, True)

    def forward_mask(self, states: IntArray) -> BoolArray:
        placed = (states[:, :, None] == np.arange(self.num_values)).any(1)
        return super().forward_mask(states) & ~np.tile(placed, self.num_actions // self.num_values)

    def log_reward(self, states: IntArray) -> FloatArray:
        if self._reward is None:
            return self._pair_sum(states)
        return checked_log_reward(self._reward(states.astype(np.int64)), states, "Permutation", self.object_names)

    def partial_log_reward(self, states: IntArray) -> FloatArray:
        if self._reward is not None:
            raise NotImplementedError("Permutation: a callable reward is not defined on unfinished permutations")
        return self._pair_sum(states)

    def _pair_sum(self, states: IntArray) -> FloatArray:
        first, second = self._pairs
        return self._weights[states[:, first], states[:, second]].sum(1) / self.temperature

    def exact_log_z(self) -> float:
        if self.arguments["reward"] != "mallows":
            raise NotImplementedError("Permutation: log Z is known for the Mallows model only")
        # The item that is inserted as the j-th has 0, ..., j - 1 larger items before it, whatever the others do.
        return float(sum(np.logaddexp.reduce(-np.arange(j) / self.temperature) for j in range(1, self.num_values + 1)))

    def sample_target(self, n: int, rng: np.random.Generator) -> IntArray:
        if self.arguments["reward"] != "mallows":
            raise NotImplementedError("Permutation: samples of R(x) / Z are known for the Mallows model only")
        states = np.zeros((n, 1), dtype=self.state_dtype)
        for item in range(1, self.num_values):
            weights = np.exp(-np.arange(item + 1) / self.temperature)
            place = item - rng.choice(item + 1, size=n, p=weights / weights.sum())
            # Items before the place stay, those after it move by one.
            after = np.arange(item + 1) > place[:, None]
            states = np.take_along_axis(np.column_stack([states, states[:, :1]]), np.arange(item + 1) - after, 1)
            states[np.arange(n), place] = item
        return states

    def action_label(self, action: int) -> str:
        position, item = divmod(action, self.num_values)
        return f"next = {item}" if self.autoregressive else f"position {position} = {item}"
