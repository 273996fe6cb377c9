"""TSP: tours of cities, short ones with high rewards."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.envs.assignments.assignment import Assignment
from gfn_envs.envs.graphs.city_maps import read_cities
from gfn_envs.validation import checked_seed, positive, positive_int


class TSP(Assignment):
    """Visit the cities of a map one after the other and return; the reward is higher for shorter tours.

    ## Description
    A state row holds the cities 1, ..., n - 1 in the order of their visits, each minus 1, and n - 1 for visits that are
    left. Each tour starts and ends at city 0. A tour and its reverse are one object: the second city has a smaller
    number than the last.

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
        super().__init__(n - 1, n - 1, "autoregressive")
        self.declared_num_terminal_states = math.factorial(n - 1) // 2
        # Orders of k visits, without those whose second city is larger than all the cities left.
        paths = (math.perm(n - 1, k) * (n - 1 - k) // (n - k) for k in range(1, n - 1))
        self.declared_num_states = 1 + sum(paths) + self.declared_num_terminal_states

    def forward_mask(self, states: IntArray) -> BoolArray:
        cities = np.arange(self.num_values)
        left = ~(states[:, :, None] == cities).any(1)
        second = np.where(self._assigned(states[:, :1]), states[:, :1], -1)
        can_be_last = left & (cities > second)
        another = can_be_last.sum(1, keepdims=True) > can_be_last
        # If the second city were the largest, no city could be the last.
        return left & (another | (left.sum(1, keepdims=True) == 1)) & ((second >= 0) | (cities < cities[-1]))

    def visits(self, states: IntArray) -> IntArray:
        """The cities in the order of their visits, 0 for visits that are left, int64 (n, num_cities - 1)."""
        return (states.astype(np.int64) + 1) % self.num_cities

    def lengths(self, states: IntArray) -> FloatArray:
        """Lengths of paths from city 0, and of whole tours, float64 (n,)."""
        path = np.pad(self.visits(states), ((0, 0), (1, 1)))
        legs = self.distances[path[:, :-1], path[:, 1:]]
        # Legs to remaining visits do not count: only a complete tour has a last leg to city 0.
        legs[:, :-1][~self._assigned(states)] = 0.0
        return legs.sum(1)

    def partial_log_reward(self, states: IntArray) -> FloatArray:
        return -self.lengths(states) / self.temperature

    def action_label(self, action: int) -> str:
        return f"to {self.city_names[action + 1]}"

    def render_text(self, state: IntArray) -> str:
        cities = self.visits(state)
        tour = " - ".join(self.city_names[city] for city in [0, *cities[cities > 0].tolist()])
        return f"{tour} - {self.city_names[0]}" if cities[-1] else tour
