"""Our library: an agent on GFN/HyperGrid-v0, and its exact terminal distribution.

Task: ndim, side, reward, seed, threads, objective (name of the agent), and agent (its settings, with schedules as
[start, end, iterations]).

A request {"iterations": n} or {"seconds": s} trains. "exact": true also evaluates the policy on every cell. "flops":
true counts the floating-point operations of the matrix products of one more iteration, which a copy of the agent runs.
"""

import copy
from unittest import mock

import numpy as np
import torch
from protocol import serve, settings, train
from torch.utils.flop_counter import FlopCounterMode

import agents
import gfn_envs
from agents.policies import state_action

task = settings(__doc__)
torch.set_num_threads(task.threads)
dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=task.ndim, side=task.side, reward=task.reward)
agent = agents.make_agent(task.objective, dag, seed=task.seed, **task.agent)


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
    """Operations of the matrix products of one iteration per transition: forward and backward, without padding.

    The counter sees only torch, so torch replaces NumPy for the small products of rollouts while it counts.
    """
    with mock.patch.object(state_action, "NUMPY_ROWS", 0), FlopCounterMode(display=False) as counter:
        transitions = copy.deepcopy(agent).update()["transitions"]
    return {"flops_per_transition": counter.get_total_flops() / transitions}


def block(request):
    answer = train(update, request.get("iterations"), request.get("seconds"))
    extra = {**(exact() if request.get("exact") else {}), **(flops() if request.get("flops") else {})}
    return {**answer, **extra}


serve(block)
