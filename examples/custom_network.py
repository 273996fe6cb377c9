"""Your own network: residual blocks with layer normalization in place of the built-in perceptron.

python examples/custom_network.py [iterations]
"""

from __future__ import annotations

import sys

import torch
from torch import nn

import agents
import gfn_envs
from agents.policies import Heads


class ResidualPolicy(agents.Policy):
    """One trunk with the logits of P_F and P_B and the state flow log F(s)."""

    learns_backward = learns_flow = True

    def __init__(self, dag: gfn_envs.Dag, width: int = 64, depth: int = 2):
        super().__init__()
        self.inputs = dag.encode
        self.sizes = [dag.num_actions, dag.num_backward_actions, 1]
        self.first = nn.Linear(dag.num_features, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
            for _ in range(depth)
        )
        self.last = nn.Linear(width, sum(self.sizes))

    def forward(self, states):
        # A NumPy matrix (n, state_width) in, tensors out. The agent masks illegal actions.
        x = self.first(self.read(states))
        for block in self.blocks:
            x = x + block(x)
        forward, backward, flow = self.last(x).split(self.sizes, dim=1)
        return Heads(forward, backward, flow.squeeze(1))

    def head(self, head):
        # The logits of one policy, for rollouts.
        return lambda states: getattr(self(states), f"{head}_logits")


def main(iterations: int = 1000) -> None:
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=8)
    torch.manual_seed(0)  # the first weights are drawn here
    agent = agents.make_agent("subtb", dag, policy=ResidualPolicy(dag), batch_size=32, seed=0)
    agents.train(agent, iterations=iterations, progress=False)
    print(f"total variation between P and R / Z, exact: {agents.evaluate(agent)['tv']:.4f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
