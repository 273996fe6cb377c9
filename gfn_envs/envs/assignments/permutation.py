"""Permutation: orders of n items, with a reward on pairs of items or a function of the user."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import comb, factorial, perm
from typing import Any

import numpy as np

from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.envs.assignments.assignment import Assignment
from gfn_envs.envs.assignments.pair_rewards import mallows_log_z, mallows_samples, pair_weights
from gfn_envs.envs.callable_reward import callable_reward
from gfn_envs.validation import checked_log_reward, positive, positive_int


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
    * "mallows": log R(x) = -(number of pairs in descending order) / temperature. log Z and samples of R / Z are exact.
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
    Mallows 1957 (Biometrika); Doignon et al. 2004; Zhang et al. 2023, Robust Scheduling with GFlowNets

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
        n = positive_int("n", n, "Permutation", at_least=2, at_most=1000)
        self.temperature = positive("temperature", temperature, "Permutation")
        super().__init__(n, n, construction)
        self._function: Callable[[IntArray], FloatArray] | None = None
        if callable(reward):
            self._function = callable_reward(reward, self, self.temperature, f"permutations (m, {n})")
        else:
            self._weights = np.pad(pair_weights(reward, n, "Permutation"), (0, 1))  # last row and column: no item
            reward = reward if isinstance(reward, str) else self._weights[:n, :n].tolist()
        self.arguments = {"n": n, "construction": construction, "reward": reward, "temperature": self.temperature}
        self.declared_num_terminal_states = factorial(n)
        self.declared_num_states = sum(perm(n, k) * (1 if self.autoregressive else comb(n, k)) for k in range(n + 1))

    closed_levels = None

    def forward_mask(self, states: IntArray) -> BoolArray:
        placed = (states[:, :, None] == np.arange(self.num_values)).any(1)
        return super().forward_mask(states) & ~np.tile(placed, self.num_actions // self.num_values)

    def log_reward(self, states: IntArray) -> FloatArray:
        if self._function is None:
            return self.partial_log_reward(states)
        return checked_log_reward(self._function(states.astype(np.int64)), states, "Permutation", self.object_names)

    def wrap_reward(self, wrap: Callable[..., Any]) -> None:
        if self._function is None:
            super().wrap_reward(wrap)
        else:
            self._function = wrap(self._function, True)

    def partial_log_reward(self, states: IntArray) -> FloatArray:
        if self._function is not None:
            raise NotImplementedError("Permutation: a callable reward is not defined on unfinished permutations")
        first, second = np.triu_indices(self.num_values, 1)
        return self._weights[states[:, first], states[:, second]].sum(1) / self.temperature

    def exact_log_z(self) -> float:
        return mallows_log_z(self._mallows_items(), self.temperature)

    def sample_target(self, n: int, rng: np.random.Generator) -> IntArray:
        return mallows_samples(self._mallows_items(), self.temperature, n, rng).astype(self.state_dtype)

    def _mallows_items(self) -> int:
        if self.arguments["reward"] != "mallows":
            raise NotImplementedError("Permutation: log Z and samples of R(x) / Z are known for the Mallows model only")
        return self.num_values

    def action_label(self, action: int) -> str:
        position, item = divmod(action, self.num_values)
        return f"next = {item}" if self.autoregressive else f"position {position} = {item}"
