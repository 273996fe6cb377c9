"""Agents of the numba engine, and environments of each kind that it supports."""

from __future__ import annotations

import pytest

import agents
import gfn_envs
from tests.helpers import BAG, BITS, FRAGMENTS, GRID, SEQUENCE, SMALL_ARGUMENTS

pytest.importorskip("numba")


def has_partial_rewards(dag):
    try:
        return dag.partial_log_reward(dag.source(1)) is not None
    except NotImplementedError:
        return False


#: The agents that the engine supports.
NAMES = ["tb", "vargrad", "db", "subtb", "fldb", "flsubtb", "mdb", "pcl"]

#: One of each kind: features in numbers, in ones, several actions to a child, terminal states with several parents.
DAGS = [
    (GRID, {"ndim": 3, "side": 4}),
    (BAG, {"num_letters": 3, "capacity": 4, "repeats": 3}),
    (BITS, {"n": 8, "word_size": 2, "num_modes": 3, "construction": "non_autoregressive"}),
    (SEQUENCE, {"alphabet": "AB", "length": 4, "construction": "prepend_append", "min_length": 2}),
    (FRAGMENTS, SMALL_ARGUMENTS[FRAGMENTS][0]),
]

#: Every agent on every environment that it applies to.
APPLIES = [
    (name, env)
    for env in DAGS
    for name in NAMES
    if (name != "mdb" or gfn_envs.make_dag(env[0], **env[1]).can_stop_anywhere)
    and (not name.startswith("fl") or has_partial_rewards(gfn_envs.make_dag(env[0], **env[1])))
]

EVERY_DAG = [(name, kwargs) for name, many in SMALL_ARGUMENTS.items() for kwargs in many[:2]]


def make(name="tb", env=(GRID, {"ndim": 2, "side": 5}), **settings):
    settings = {"hidden": (32, 16), "engine": "numba", **settings}
    return agents.make_agent(name, gfn_envs.make_dag(env[0], **env[1]), seed=3, **settings)


def parameters(agent):
    return [p.detach().clone() for p in agent.policy.parameters()] + [
        p.detach().clone() for p in [agent.log_z_parameter] if p is not None
    ]
