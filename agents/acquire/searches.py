"""Baselines with the same number of calls: random search, Markov chains and a genetic algorithm."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from agents.acquire.acquisition import with_log_reward
from agents.acquire.found import Found
from agents.acquire.rounds import new_objects
from agents.local_search import backtrack, reconstruct, step_range
from agents.registry import make_agent
from gfn_envs.arrays import IntArray, row_keys, unique_rows
from gfn_envs.border import log_rewards
from gfn_envs.dag import Dag
from gfn_envs.oracle import Oracle
from gfn_envs.reward_errors import BudgetSpent

#: Iterations without a new object after which a Markov chain ends.
MOST_VAIN = 1000
#: Makes children of parents (m, state_width) -> (k, state_width).
Vary = Callable[[IntArray, np.random.Generator], IntArray]


def random_search(dag: Dag, calls: int, batch: int = 500, seed: int = 0) -> Found:
    """Distinct ends of random trajectories."""
    return _random_search(dag, calls, batch, seed)[0]


def _random_search(dag: Dag, calls: int, batch: int, seed: int) -> tuple[Found, IntArray]:
    """:func:`random_search`, and the objects called, also those whose reward failed."""
    found, called = Found.nothing(dag), dag.source(0)
    agent = make_agent("random", with_log_reward(dag, lambda states: np.zeros(len(states))), seed)
    while len(called) < calls:
        objects = new_objects(agent, called, min(batch, calls - len(called)), None)
        if not len(objects):
            break
        called = np.concatenate([called, objects])
        found.add(objects, log_rewards(dag, objects))
    return found, called


def mcmc_search(dag: Dag, calls: int, batch: int = 500, seed: int = 0, **settings: Any) -> Found:
    """The distinct objects that the agent "mcmc" calls, proposals included; ``settings`` are those of the agent.

    There are fewer than ``calls`` if the environment has no more, or if 1,000 iterations find no new one.
    """
    oracle = Oracle(dag.log_reward, budget=calls, batch_size=batch, name="log_reward")
    counted = with_log_reward(dag, oracle)
    counted.on_error = dag.on_error
    try:
        agent = make_agent("mcmc", counted, seed, **settings)
        vain, objects = 0, dag.declared_num_terminal_states
        while vain < MOST_VAIN and oracle.used != objects:
            used = oracle.used
            agent.update()
            vain = 0 if oracle.used > used else vain + 1
    except BudgetSpent:
        pass
    found, done = Found.nothing(dag), [call for call in oracle.log if call.status == "ok"]
    for first in range(0, len(done), batch):
        part = done[first : first + batch]
        rows = np.array([json.loads(call.object) for call in part], dtype=dag.state_dtype)
        found.add(rows, np.array([call.value for call in part]))
    return found


def genetic_search(
    dag: Dag, calls: int, batch: int = 500, seed: int = 0, parents: int = 100, vary: Vary | None = None
) -> Found:
    """A greedy genetic algorithm: each generation calls new children of the best objects so far.

    Args:
        dag: the environment.
        calls: number of objects called.
        batch: number of children per generation.
        seed: seed of everything.
        parents: number of best objects that have children.
        vary: makes children. None: undo up to half of the steps of an object, and rebuild it at random.
    """
    rng = np.random.default_rng(seed)
    found, called = _random_search(dag, min(batch, calls), batch, seed)
    vary = vary or (lambda objects, rng: rebuilt(dag, objects, rng))
    while len(called) < calls and len(found):
        best, n = found.best(parents)[0], min(batch, calls - len(called))
        taken, children = set(row_keys(called).tolist()), called[:0]
        for _ in range(100):
            fresh = unique_rows(vary(best[rng.integers(len(best), size=2 * n)], rng))
            fresh = rng.permutation(fresh[[key not in taken for key in row_keys(fresh).tolist()]])
            taken |= set(row_keys(fresh).tolist())
            children = np.concatenate([children, fresh])
            if len(children) >= n:
                break
        if not len(children):
            break
        called = np.concatenate([called, children[:n]])
        found.add(children[:n], log_rewards(dag, children[:n]))
    return found


def rebuilt(dag: Dag, objects: IntArray, rng: np.random.Generator) -> IntArray:
    """Undo up to half of the steps of each object by uniform P_B, and rebuild it by random actions."""
    low, high = step_range(dag, 0.5, 1)
    states, _ = backtrack(dag, objects, rng.integers(low, high, size=len(objects), endpoint=True), None, rng)
    return reconstruct(dag, states, None, rng)[0]
