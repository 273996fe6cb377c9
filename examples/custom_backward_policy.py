"""Your own backward policy: on a grid, prefer to decrease the largest coordinate.

Any P_B with the right support leads to the same sampler, P(x) = R(x) / Z. It decides which trajectories to an object
the forward policy learns, and how fast.

python examples/custom_backward_policy.py [iterations]
"""

from __future__ import annotations

import sys

import numpy as np

import agents
import gfn_envs
from agents.policies.backward import BackwardPolicy


class LargestFirst(BackwardPolicy):
    """P_B is proportional to exp(coordinate / temperature): backward action i decreases coordinate i."""

    name = "largest-first"

    def __init__(self, temperature: float = 0.5):
        self.temperature = temperature

    def logits(self, dag, states):
        # (n, num_backward_actions). The library ignores the entries of illegal actions.
        return states.astype(np.float32) / self.temperature


def main(iterations: int = 2000) -> None:
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=8)
    for backward in ("uniform", LargestFirst()):
        agent = agents.make_agent("tb", dag, backward=backward, batch_size=32, seed=0)
        agents.train(agent, iterations=iterations, progress=False)
        path = agent.sample_backward(np.array([[3, 3, 1]])).states[:, :2].tolist()
        print(f"P_B {agent.backward.name}: total variation {agents.evaluate(agent)['tv']:.4f}; to (3, 3) by {path}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
