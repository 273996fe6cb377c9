"""Log rewards of a few objects, saved with a run to detect an environment with another reward."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from agents.agent import Agent
from agents.runs.errors import RunError
from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.border import log_rewards
from gfn_envs.dag import Dag

OBJECTS = 16
SHAPE = ("num_actions", "num_backward_actions", "state_width", "max_length")
#: Rewards of neural networks differ by rounding from one machine to the next.
TOLERANCE = 1e-4


def make_probe(agent: Agent) -> dict[str, Any]:
    """The sizes of an agent's environment, and log rewards of up to 16 of its objects, as JSON.

    The objects are those of the agent's last batch, whose rewards are known. An agent without batches costs 16 rewards,
    or has no objects if its reward is expensive.
    """
    batch = agent.last_batch
    if batch is not None:
        states, log_reward = batch.terminal_states, batch.log_reward
    elif agent.dag.expensive_reward:
        states, log_reward = agent.dag.source(0), np.zeros(0)
    else:
        states = random_objects(agent.dag, OBJECTS, np.random.default_rng(0))
        log_reward = log_rewards(agent.dag, states)
    _, first = np.unique(states, axis=0, return_index=True)
    log_reward = np.asarray(log_reward, dtype=np.float64)
    kept = [k for k in np.sort(first) if np.isfinite(log_reward[k])][:OBJECTS]
    return {
        "shape": _shape(agent.dag),
        "states": [" ".join(map(str, row)) for row in states[kept].tolist()],
        "log_reward": log_reward[kept].tolist(),
    }


def random_objects(dag: Dag, n: int, rng: np.random.Generator) -> IntArray:
    """Ends of ``n`` trajectories with uniformly random actions (n, state_width)."""
    states = dag.source(n)
    for _ in range(dag.max_length):
        mask = dag.forward_mask(states)
        (running,) = np.nonzero(mask.any(1))
        if not len(running):
            break
        noise = np.where(mask[running], rng.random((len(running), mask.shape[1])), -1.0)
        states[running] = dag.step(states[running], noise.argmax(1))
    return states


def _shape(dag: Dag) -> dict[str, int]:
    return {name: int(getattr(dag, name)) for name in SHAPE}


def check_probe(where: str, probe: dict[str, Any], dag: Dag) -> None:
    """Compare an environment with the probe of a run: all its objects, or one if the reward is expensive.

    Args:
        where: start of the message.
        probe: result of :func:`make_probe`.
        dag: the environment.

    Raises:
        RunError: the environment has other sizes or another reward, or the probe is damaged.
    """
    try:
        shape = probe["shape"]
        states = np.array([row.split() for row in probe["states"]], dtype=dag.state_dtype)
        saved: FloatArray = np.array(probe["log_reward"], dtype=np.float64)
        if len(states) != len(saved):
            raise ValueError("it has other numbers of states and rewards")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{where}: the probe is damaged: {error}") from error
    if shape != (own := _shape(dag)):
        differing = [f"{name} {shape.get(name)} != {own[name]}" for name in SHAPE if shape.get(name) != own[name]]
        raise RunError(f"{where}: the run is of another environment (saved != given): {'; '.join(differing)}")
    if dag.expensive_reward:
        states, saved = states[:1], saved[:1]
    if not len(saved):
        return
    try:
        found = np.asarray(log_rewards(dag, states), dtype=np.float64)
    except (OSError, ImportError) as error:
        warnings.warn(f"{where}: the reward was not compared with that of the run: {error}", stacklevel=2)
        return
    except Exception as error:
        raise RunError(f"{where}: the reward of the run's objects cannot be computed: {error}") from error
    wrong = ~np.isclose(found, saved, rtol=TOLERANCE, atol=TOLERANCE)
    if wrong.any():
        k = int(np.argmax(wrong))
        name = dag.object_names(states[k : k + 1])[0]
        raise RunError(
            f"{where}: the reward has changed since the run was made: log R of object {name} was "
            f"{saved[k]:.6g} and is {found[k]:.6g} ({wrong.sum()} of {len(wrong)} objects differ)"
        )


def check_config_probe(path: Path, config: dict[str, Any], dag: Dag) -> None:
    """:func:`check_probe` of a run's config. Runs of version 0.1 have no probe."""
    if "probe" in config:
        check_probe(str(path), config["probe"], dag)
