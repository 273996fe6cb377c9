"""Our library: an agent on GFN/HyperGrid-v0, and its exact terminal distribution.

Task: ndim, side, reward, seed, objective (name of the agent), and agent (its settings, with schedules as [start, end,
iterations]). Optional: weights, a file that weights.py reads, and threads, a number of cores. The library chooses how
many threads work.

A request {"iterations": n} or {"seconds": s} trains. "exact": true also evaluates the policy on every cell. "flops":
true adds the floating-point operations per transition of the matrix products of its last batch.
"""

import itertools

import numpy as np
from protocol import serve, settings, train

import agents
import gfn_envs
from benchmarks.peers.trained import load

task = settings(__doc__)
dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=task.ndim, side=task.side, reward=task.reward)
agents.make_agent(task.objective, dag, seed=task.seed, **task.agent).update()  # Compiles, as the peers do beforehand.
agent = agents.make_agent(task.objective, dag, seed=task.seed, **task.agent)
if weights := getattr(task, "weights", None):
    load(agent, weights)


def update():
    """Run one iteration. Returns the number of transitions in its batch."""
    return agent.update()["transitions"]


def exact():
    """Total variation to the target, exact log Z and learned log Z."""
    learned = agents.exact_distribution(agent)
    return {
        "tv": gfn_envs.exact.total_variation(learned, gfn_envs.exact.target_distribution(dag)),
        "mass": float(np.sum(learned)),
        "true_log_z": gfn_envs.exact.log_partition(dag),
        "log_z": agent.log_z,
    }


def flops():
    """Operations per transition that the matrix products of an iteration need: forward and backward.

    Each distinct state counts once forward, in all layers but the first, which adds rows for one-hot features, and
    twice backward: for the gradients of weights and of their inputs.
    """
    batch = agent.last_batch
    states = len(np.unique(batch.states[np.setdiff1d(np.arange(len(batch.states)), batch.last)], axis=0))
    heads = agent.policy.networks[0].layers[-1][0].shape[0]
    products = sum(a * b for a, b in itertools.pairwise([*agent.config.hidden, heads]))
    return {"flops_per_transition": 6 * states * products / batch.num_edges}


def block(request):
    answer = train(update, request.get("iterations"), request.get("seconds"))
    extra = {**(exact() if request.get("exact") else {}), **(flops() if request.get("flops") else {})}
    return {**answer, **extra}


serve(block)
