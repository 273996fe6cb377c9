"""One agent for every reward exponent: learn R(x)^beta for beta in [0.5, 8], and look at some exactly.

    python examples/temperature_conditional.py
    python examples/temperature_conditional.py --iterations 200

A low beta explores, a high one samples near the best objects. Kim et al. 2024 (Learning to Scale Logits) and Zhang et
al. 2023 (Robust Scheduling) train such agents; here the total variation of each beta is exact.
"""

from __future__ import annotations

import argparse

import agents
import gfn_envs
from agents.conditional import conditional_metrics


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=1500)
    parser.add_argument("--agent", default="tb")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=8, conditions="temperature:0.5,8")
    settings = {"batch_size": 32, "lr": f"3e-3,1e-4,{options.iterations},cosine"}
    agent = agents.make_agent(options.agent, dag, seed=options.seed, **settings)
    agents.train(agent, options.iterations, progress=False, eval_every=0)

    print("beta   mean reward   log Z learned   exact    total variation")
    for beta in (0.5, 1, 2, 4, 8):
        cold = agent.at({"beta": beta})  # An agent without conditions, for everything that evaluates and samples.
        found = agents.evaluate(cold)
        log_z = gfn_envs.exact.log_partition(cold.dag)
        reward = dag.base.reward(dag.base.grid_cells(cold.sample(1000))).mean()
        print(f"{beta:4}   {reward:11.3f}   {cold.log_z:13.3f}   {log_z:6.3f}   {found['tv']:.4f}")
    unseen = conditional_metrics(agent, 50)
    print(f"50 drawn betas: mean total variation {unseen['mean_tv']:.4f}, worst {unseen['worst_tv']:.4f}")


if __name__ == "__main__":
    main()
