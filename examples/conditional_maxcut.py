"""One model for many graphs: MaxCut with the graph as the condition.

    python examples/conditional_maxcut.py                    # needs NetworkX: pip install "gfn-envs[mols]"
    python examples/conditional_maxcut.py --iterations 200

The condition is the list of possible edges, each 0 or 1, drawn anew in every iteration; R(x|graph) = exp(cut / T). The
model then samples cuts of graphs that it has not seen (Zhang et al. 2023, Let the Flows Tell).
"""

from __future__ import annotations

import argparse
import itertools

import numpy as np

import agents
import gfn_envs
from agents.conditional import conditional_metrics
from gfn_envs.conditions import Instances, conditioned

TEMPERATURE = 0.7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=3000)
    parser.add_argument("--vertices", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    edges = np.array(list(itertools.combinations(range(options.vertices), 2)))

    def cuts(states: np.ndarray, graphs: np.ndarray) -> np.ndarray:
        """Number of edges (n,) between the two sides; the first vertex is on side 0."""
        sides = np.pad(states[:, : options.vertices - 1], ((0, 0), (1, 0)))
        return (graphs * (sides[:, edges[:, 0]] != sides[:, edges[:, 1]])).sum(1)

    # The structure of the states needs any graph on these vertices. The rewards come from the conditions.
    dag = gfn_envs.make_dag("GFN/MaxCut-v0", graph=edges.tolist())
    graphs = Instances(
        lambda states, c: cuts(states, c) / TEMPERATURE,
        names=[f"{a}-{b}" for a, b in edges.tolist()],
        draw=lambda n, rng: rng.random((n, len(edges))) < 0.5,
    )
    settings = {"batch_size": 64, "lr": f"2e-3,1e-4,{options.iterations},cosine", "hidden": (256, 256)}
    agent = agents.make_agent("subtb", conditioned(dag, graphs), seed=options.seed, **settings)
    agents.train(agent, options.iterations, progress=False, eval_every=0)

    rng = np.random.default_rng([options.seed, 1])
    unseen = agent.dag.conditions.sample(10, rng)
    every, found, best, random = dag.terminal_states(), [], [], []
    for graph in unseen:
        sizes = cuts(every, graph[None])
        found.append(cuts(agent.at(graph).sample(20, rng), graph[None]).max() / sizes.max())
        random.append(sizes.mean() / sizes.max())
        best.append(sizes.max())
    print(f"10 unseen graphs of {options.vertices} vertices, largest cuts {np.mean(best):.1f} edges on average")
    print(f"best of 20 samples: {np.mean(found):.3f} of the largest cut; a random cut: {np.mean(random):.3f}")
    print(f"mean total variation {conditional_metrics(agent, unseen)['mean_tv']:.4f}")


if __name__ == "__main__":
    main()
