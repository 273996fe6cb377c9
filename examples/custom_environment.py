"""Your own environment: pack a knapsack, train an agent, and compare it with the exact distribution.

python examples/custom_environment.py [iterations]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import gymnasium
import numpy as np
from gymnasium import spaces

import agents
import gfn_envs
from gfn_envs import rendering


class Knapsack(gfn_envs.Dag):
    """Add items that fit, one at a time, and stop at any time; R(x) = exp(total value / temperature).

    A state is a row of 0/1 flags, one per item and a last one that is 1 after the stop. It does not hold the order in
    which items were added. Action i adds item i, and the last action stops. Backward action i undoes action i.
    """

    def __init__(
        self,
        weights: Sequence[int] = (2, 3, 4, 5, 6, 7, 8, 9, 11, 12),
        values: Sequence[int] = (3, 4, 4, 7, 6, 8, 11, 12, 11, 15),
        capacity: int = 25,
        temperature: float = 4.0,
    ):
        if len(weights) != len(values) or min(weights) < 1:
            raise ValueError(f"Knapsack: expected one value per weight and weights >= 1, got {weights=}, {values=}")
        self.arguments = {"weights": weights, "values": values, "capacity": capacity, "temperature": temperature}
        self.capacity, self.temperature = capacity, temperature
        # The stop is a further item of weight 0 and value 0.
        self.weights, self.values = np.array([*weights, 0]), np.array([*values, 0])
        self.num_actions = self.num_backward_actions = self.state_width = len(self.weights)
        # The longest trajectory adds the lightest items, including the stop.
        self.max_length = int((np.sort(self.weights).cumsum() <= capacity).sum())
        self.state_dtype = np.dtype(np.int8)
        self.num_features = self.state_width
        self.observation_space = spaces.MultiBinary(self.state_width)
        self._unit = np.eye(self.state_width, dtype=self.state_dtype)

    def source(self, n):
        return np.zeros((n, self.state_width), dtype=self.state_dtype)

    def is_terminal(self, states):
        return states[:, -1] == 1

    def forward_mask(self, states):
        fits = (states @ self.weights)[:, None] + self.weights <= self.capacity
        return fits & (states == 0) & ~self.is_terminal(states)[:, None]

    def backward_mask(self, states):
        return np.where(self.is_terminal(states)[:, None], self._unit[-1] == 1, states == 1)

    def step(self, states, actions):
        return states + self._unit[actions]

    def undo(self, states, backward_actions):
        return states - self._unit[backward_actions]

    def backward_action(self, states, actions):
        return np.array(actions, dtype=np.int64)

    def forward_action(self, states, backward_actions):
        return np.array(backward_actions, dtype=np.int64)

    def log_reward(self, states):
        return (states @ self.values) / self.temperature

    def encode(self, states):
        return states.astype(np.float32)

    def observe(self, states):
        return states.copy()

    def render_image(self, state, path=None):
        return rendering.bars(state * self.weights, self.weights.max(), rendering.BLUE)


gfn_envs.register("Example/Knapsack-v0", Knapsack)


def main(iterations: int = 2000) -> None:
    env = gymnasium.make("Example/Knapsack-v0", capacity=20)
    dag = env.unwrapped.dag
    print(gfn_envs.check_dag(dag))

    agent = agents.make_agent("tb", dag, seed=0)
    agents.train(agent, iterations=iterations)
    for row in agent.sample(5):
        print(f"items {np.flatnonzero(row[:-1]).tolist()}: weight {row @ dag.weights}, value {row @ dag.values}")
    print(f"total variation between P and R / Z, exact: {agents.evaluate(agent)['tv']:.4f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
