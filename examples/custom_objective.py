"""Your own balance objective: a declaration that both engines run.

    python examples/custom_objective.py

This one takes the pairs (t, t+1), ..., (t, t+4) of every trajectory: short parts of SubTB, all with the same weight.
"""

import agents
import gfn_envs
from agents.gflownets.gflownet import BalanceGFlowNet
from agents.losses.balance import Balance, Pairs


class ShortSubTB(BalanceGFlowNet):
    """Sub-trajectory balance on parts of at most four steps."""

    name = "short-subtb"
    paper = "none"
    learns_flow = True
    balance = Balance(Pairs(longest=4), flow="network")


dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=8)
for engine in ("torch", "numba"):
    config = ShortSubTB.config_class(engine=engine, hidden=(64, 64), lr="5e-3,1e-4,1500", epsilon="0.2,0,800")
    agent = ShortSubTB(dag, config, seed=0)
    agents.train(agent, iterations=1500, progress=False)
    print(f"{agent.engine.name}: exact total variation {agents.evaluate(agent)['tv']:.4f}")
