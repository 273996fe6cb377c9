"""TSP: tours of cities; short tours have high rewards."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.dag import Dag
from gfn_envs.envs.graphs.city_maps import read_cities
from gfn_envs.validation import checked_seed, positive, positive_int


class TSP(Dag):
    """Visit the cities of a map one after the other and return; the reward is higher for shorter tours.

    ## Description
    A state row holds the cities 1, ..., n - 1 in the order of their visits, and 0 for visits that are left. Each tour
    starts and ends at city 0. A tour and its reverse are one object: the second city has a smaller number than the
    last.

    ## Action Space
    ``Discrete(n - 1)``: visit city ``action + 1``. It is legal if the city was not visited and a city that can be the
    last one is left.

    ## Backward actions
    1: undo the last visit (P_B = 1).

    ## Observation Space
    ``MultiDiscrete([n] * (n - 1))``: the state row. The network features are the one-hot cities of the row.

    ## Starting State
    City 0.

    ## Rewards
    log R(x) = -length(x) / temperature. The intermediate log reward is that of the path so far.

    ## Episode End
    After n - 1 visits.

    ## Number of states
    (n - 1)! / 2 objects.

    ## Arguments
    * ``cities``: the path of a TSPLIB file (.tsp) or of a graph file, a NetworkX graph with weights for all pairs, or
      coordinates (n, d). None: random points in the unit square.
    * ``num_cities``: number of random points, at least 4.
    * ``temperature``: T > 0, in the unit of the distances. None: half the mean distance of two cities.
    * ``seed``: seed of the random points.

    ## References
    Reinelt 1991, TSPLIB - A Traveling Salesman Problem Library

    ## Version History
    * v0: initial version.
    """

    feature_bounds = (0.0, 1.0)

    def __init__(
        self,
        cities: str | os.PathLike[str] | Sequence[Sequence[float]] | None = None,
        num_cities: int = 8,
        temperature: float | None = None,
        seed: int = 0,
    ):
        where = "TSP"
        num_cities = positive_int("num_cities", num_cities, where, at_least=4, at_most=1000)
        seed = checked_seed(seed, where)
        given: Any = np.random.default_rng(seed).random((num_cities, 2)) if cities is None else cities
        #: Names of the cities, and the distance of each pair, float64 (n, n).
        self.city_names, self.distances, kept = read_cities(given, where)
        self.num_cities = n = len(self.city_names)
        mean = self.distances.sum() / (n * (n - 1))
        self.temperature = positive("temperature", mean / 2 if temperature is None else temperature, where)
        cities = None if cities is None else kept
        self.arguments = {"cities": cities, "num_cities": num_cities, "temperature": temperature, "seed": seed}
        self.num_actions, self.num_backward_actions = n - 1, 1
        self.max_length = self.state_width = n - 1
        self.state_dtype = np.dtype(np.int8 if n < 127 else np.int16)
        self.num_features = (n - 1) ** 2
        self.num_tokens, self.num_positions = n, n - 1
        self.observation_space = spaces.MultiDiscrete([n] * (n - 1))
        self.declared_num_terminal_states = math.factorial(n - 1) // 2
        self.declared_num_states = 1 + sum(self._paths(k) for k in range(1, n))

    def _paths(self, k: int) -> int:
        """Number of states with k visits: all orders but those after which no last city is left."""
        n, total = self.num_cities, 0
        for larger in range(1, n - 1):  # cities with a larger number than the second of the tour
            if k == n - 1:
                total += larger * math.factorial(n - 3)
            else:
                others = n - 2
                without = math.perm(k - 1, larger) * math.perm(others - larger, k - 1 - larger) if k > larger else 0
                total += math.perm(others, k - 1) - without
        return total

    def source(self, n: int) -> IntArray:
        return np.zeros((n, self.state_width), dtype=self.state_dtype)

    def is_terminal(self, states: IntArray) -> BoolArray:
        return states[:, -1] != 0

    def forward_mask(self, states: IntArray) -> BoolArray:
        cities = np.arange(1, self.num_cities)
        left = ~(states[:, :, None] == cities).any(1)
        can_be_last = left & (cities > states[:, :1])
        is_last = left.sum(1, keepdims=True) == 1
        another = can_be_last.sum(1, keepdims=True) - can_be_last > 0
        second = (states[:, :1] == 0) & (cities == self.num_cities - 1)  # No city could be the last one after it.
        return left & (is_last | another) & ~second

    def backward_mask(self, states: IntArray) -> BoolArray:
        return states[:, :1] != 0

    def step(self, states: IntArray, actions: IntArray) -> IntArray:
        out, row = states.copy(), np.arange(len(states))
        out[row, (states != 0).sum(1)] = np.asarray(actions) + 1
        return out

    def undo(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        out, row = states.copy(), np.arange(len(states))
        out[row, (states != 0).sum(1) - 1] = 0
        return out

    def backward_action(self, states: IntArray, actions: IntArray) -> IntArray:
        return np.zeros(len(states), dtype=np.int64)

    def forward_action(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        last = (states != 0).sum(1) - 1
        return states[np.arange(len(states)), last].astype(np.int64) - 1

    def lengths(self, states: IntArray) -> FloatArray:
        """Lengths of paths from city 0, and of whole tours, float64 (n,)."""
        path = np.pad(states.astype(np.int64), ((0, 0), (1, 1)))
        legs = self.distances[path[:, :-1], path[:, 1:]]
        # Visits that are left are 0, and legs to them do not count: only a tour has a last leg to city 0.
        legs[:, :-1][states == 0] = 0.0
        return legs.sum(1)

    def log_reward(self, states: IntArray) -> FloatArray:
        return -self.lengths(states) / self.temperature

    def partial_log_reward(self, states: IntArray) -> FloatArray:
        return -self.lengths(states) / self.temperature

    def tokens(self, states: IntArray) -> IntArray:
        return states.astype(np.int64)

    def observe(self, states: IntArray) -> IntArray:
        return states.astype(np.int64)

    def encode(self, states: IntArray) -> FloatArray:
        one_hot = states[:, :, None] == np.arange(1, self.num_cities)
        return one_hot.reshape(len(states), self.num_features).astype(np.float32)

    def action_label(self, action: int) -> str:
        return f"to {self.city_names[action + 1]}"

    def render_text(self, state: IntArray) -> str:
        tour = " - ".join([self.city_names[0], *(self.city_names[city] for city in state.tolist() if city)])
        return f"{tour} - {self.city_names[0]}" if state[-1] else tour
