"""Estimates of the memory of agents, and a warning before they take much."""

from __future__ import annotations

import logging
import math
from typing import Any

logger = logging.getLogger(__name__)

#: Above this many bytes, a warning is logged.
MUCH = 2 * 1024**3
#: Numbers per call of a network, if the call can be split. This bounds the memory in use.
CALL_NUMBERS = 2**24
#: Keys and values of a causal transformer that may be kept between two steps of a rollout: 1 GB in single precision.
MOST_CACHED = 2**28


def say_if_much(what: str, size: float) -> None:
    """Log one warning if ``what`` takes more than ``MUCH`` bytes."""
    if size > MUCH:
        logger.warning("%s: up to %.3g GB", what, size / 1e9)


def numbers_per_state(agent: Any) -> int:
    """Numbers that a network of the agent holds for one state, roughly: features, hidden layers and outputs."""
    dag, config = agent.dag, agent.config
    if getattr(config, "network", "mlp") == "mlp":
        numbers = dag.num_features + sum(getattr(config, "hidden", ()))
    else:
        tokens = dag.num_positions or (dag.graph_layout.num_nodes if dag.graph_layout else 1)
        numbers = tokens * (8 * config.width + config.heads * tokens)
    # Relative edge flows evaluate the children of each state.
    return (numbers + dag.num_actions) * (dag.num_actions if getattr(config, "form", "sa") == "ssr" else 1)


def is_causal(agent: Any) -> bool:
    """Whether the network evaluates each token of a trajectory once (:mod:`agents.policies.causal_transformer`)."""
    network, form = getattr(agent.config, "network", "mlp"), getattr(agent.config, "form", "sa")
    return agent.dag.token_order is not None and network == "transformer" and form == "sa"


def numbers_per_trajectory(agent: Any) -> int:
    """Numbers that a network of the agent holds for the longest trajectory, roughly."""
    dag = agent.dag
    if is_causal(agent):
        return numbers_per_state(agent) + (dag.max_length + 1) * dag.num_actions
    return int((dag.max_length + 1) * numbers_per_state(agent))


def trajectories_per_call(agent: Any) -> int:
    """Number of the longest trajectories that a network may evaluate at a time, at least 1."""
    return max(1, CALL_NUMBERS // numbers_per_trajectory(agent))


def states_per_call(agent: Any) -> int:
    """Number of states that a network may evaluate at a time, at least 1."""
    return max(1, CALL_NUMBERS // numbers_per_state(agent))


def object_bytes(dag: Any) -> int:
    """Memory of an object in a replay buffer: its row, the row as a key, its reward and its places."""
    return int(2 * dag.state_width * dag.state_dtype.itemsize + 300)


def transition_bytes(dag: Any) -> int:
    """Memory of a transition in a replay buffer: two states and five numbers."""
    return int(2 * dag.state_width * dag.state_dtype.itemsize + 40)


def trajectory_bytes(dag: Any) -> int:
    """Memory of the longest trajectory: its states, with as much again to join them to a batch."""
    return int(2 * (dag.max_length + 1) * (dag.state_width * dag.state_dtype.itemsize + 16))


def say_memory_of_training(agent: Any) -> None:
    """One line if a batch of the longest trajectories, with its gradients, takes much memory."""
    dag, batch = agent.dag, agent.config.batch_size
    # Each number in single precision, with its gradient.
    each = trajectory_bytes(dag) + 8 * numbers_per_trajectory(agent)
    say_if_much(f"a training batch of {batch:,} trajectories with up to {dag.max_length:,} steps", batch * each)


def trajectories_per_part(agent: Any, limit: int = MUCH // 4) -> int:
    """Number of trajectories that take at most ``limit`` bytes together, at least 1.

    Rollouts of a causal transformer keep keys and values. Without them they would take many times as long.
    """
    number = limit / trajectory_bytes(agent.dag)
    if is_causal(agent):
        config = agent.config
        keys_and_values = 2 * config.layers * config.width * (agent.dag.num_positions + 1)
        number = min(number, limit / (4 * keys_and_values), MOST_CACHED / keys_and_values)
    return max(1, math.floor(number))
