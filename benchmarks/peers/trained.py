"""A trajectory-balance policy near the target, which every library then loads: equal work per iteration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

import agents
import gfn_envs
from agents.evaluation.evaluate import evaluate
from benchmarks.peers.libraries import ENVIRONMENTS
from benchmarks.peers.workers.weights import layers as saved_layers

#: Iteration in the middle of a run, where log Z is rarely compared with the batch's estimate.
MIDDLE = 10_000
#: Exact total variation that the policy must have.
TV = 0.05


def trained_policy(ndim: int, side: int, hidden: list[int], iterations: int = 2500) -> Path:
    """File of a policy whose exact TV is at most :data:`TV`, trained at first use: seconds.

    Args:
        ndim, side: the grid, with the easy reward.
        hidden: widths of the hidden layers.
        iterations: of training, doubled until TV is low enough.

    Returns:
        A .npz file; ``workers/weights.py`` reads it.
    """
    path = ENVIRONMENTS / f"trained-{ndim}x{side}-{'-'.join(map(str, hidden))}.npz"
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=ndim, side=side, reward="easy")
    while not path.exists():
        agent = agents.make_agent(
            "tb",
            dag,
            batch_size=64,
            hidden=hidden,
            lr=f"5e-3,1e-5,{iterations}",
            lr_log_z=f"0.1,1e-3,{iterations}",
            delay_stop=f"0.4,0,{iterations // 4}",
            optimizer="adam(betas=(0.9, 0.99))",
        )
        for _ in range(iterations):
            agent.update()
        tv = evaluate(agent)["tv"]
        print(f"policy of {ndim}-D side {side}: exact TV {tv:.3f} after {iterations} iterations", flush=True)
        iterations *= 2
        if tv <= TV:
            save(agent, path)
    return path


def save(agent: Any, path: Path) -> None:
    """Write the layers of an agent's multi-layer perceptron, without the output that undoes stopping."""
    layers = [(weight.detach().clone(), bias.detach()) for weight, bias in agent.policy.networks[0].layers]
    weight, bias = layers.pop()
    shared = agent.dag.num_actions + agent.dag.num_backward_actions - 1
    layers.append((weight[:shared].T, bias[:shared]))
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {f"weight{i}": w.numpy() for i, (w, _) in enumerate(layers)}
    np.savez(path, **arrays, **{f"bias{i}": b.numpy() for i, (_, b) in enumerate(layers)}, log_z=agent.log_z)


def load(agent: Any, path: Path | str) -> None:
    """Copy a file of :func:`save` into an agent in the middle of its training.

    Outputs that the file lacks, such as flows, stay as they are.
    """
    own, saved = agent.policy.networks[0].layers, saved_layers(path)
    with torch.no_grad():
        for i, ((weight, bias), (given, given_bias)) in enumerate(zip(own, saved, strict=True)):
            outputs = given.shape[1]
            target = weight[:outputs] if i == len(saved) - 1 else weight[:, :outputs]
            target.copy_(torch.from_numpy(given.T if i == len(saved) - 1 else given))
            bias[:outputs].copy_(torch.from_numpy(given_bias))
        if agent.log_z_parameter is not None:
            with np.load(path, allow_pickle=False) as arrays:
                agent.log_z_parameter.fill_(float(arrays["log_z"]))
    agent.iteration = MIDDLE
