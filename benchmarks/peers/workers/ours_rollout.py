"""Our library: random rollouts on GFN/HyperGrid-v0, without a network.

Task: ndim, side, batch, seed. A request {"iterations": n} samples n batches of trajectories and their log rewards.
"""

from protocol import serve, settings, train

import gfn_envs
from benchmarks.environments import generator, sample_dropped

task = settings(__doc__)
dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=task.ndim, side=task.side, reward="easy")
rng = generator(task.seed)


def rollout():
    transitions, objects = sample_dropped(dag, rng, task.batch)
    dag.log_reward(objects)
    return transitions


serve(lambda request: train(rollout, request["iterations"]))
