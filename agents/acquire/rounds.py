"""Active learning with GFlowNets (Jain et al. 2022, Biological Sequence Design with GFlowNets)."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from agents.acquire.acquisition import ACQUISITIONS, with_log_reward
from agents.acquire.found import Found
from agents.acquire.surrogates import SURROGATES, Surrogate
from agents.agent import Agent
from agents.registry import make_agent
from agents.rollout import Exploration
from gfn_envs.arrays import FloatArray, IntArray, row_keys, unique_rows
from gfn_envs.border import log_rewards
from gfn_envs.dag import Dag
from gfn_envs.reward_errors import BudgetSpent
from gfn_envs.validation import checked_seed, one_of, positive, positive_int, real

#: Samples of the GFlowNet per object that is called. The acquisition function picks the best of them.
CANDIDATES = 10


def acquire(
    dag: Dag,
    rounds: int = 10,
    batch: int = 500,
    *,
    agent: str = "tb",
    iterations: int = 500,
    surrogate: str | Callable[[int], Surrogate] = "forest",
    acquisition: str = "ucb",
    kappa: float = 1.0,
    sharpness: float | None = None,
    features: Callable[[IntArray], FloatArray] | None = None,
    start: IntArray | None = None,
    seed: int = 0,
    progress: bool = False,
    **settings: Any,
) -> Found:
    """Optimize an expensive reward in rounds of calls.

    The first round calls random objects. Each other round fits a surrogate to all rewards so far, trains a new GFlowNet
    on an acquisition function of the surrogate, samples it, and calls the best new samples by that function. The rounds
    end early, without an error, if the budget of the environment's oracle is spent.

    Args:
        dag: the environment, with its expensive reward (:class:`gfn_envs.Oracle`).
        rounds: number of rounds, the first included.
        batch: number of new objects per round.
        agent: name of the agent, such as "tb" or "subtb".
        iterations: training iterations per round.
        surrogate: "forest"; "gp" or "botorch", for up to about 1,000 objects; or a function from a seed to a
            :class:`Surrogate`.
        acquisition: "ucb", the upper confidence bound, or "ei", the expected improvement.
        kappa: standard deviations that "ucb" adds to the mean, >= 0.
        sharpness: log R of the GFlowNet per unit of the acquisition function, > 0. Default: 8 for "ucb", in standard
            deviations of the rewards so far; 2 for "ei", whose unit is a factor of e.
        features: the surrogate's input, terminal states (n, state_width) -> (n, width). None: ``dag.encode``.
        start: objects of the first round (batch, state_width). None: ends of random trajectories.
        seed: seed of everything.
        progress: print a line per round.
        **settings: settings of the agent.

    Returns:
        The objects called, with their rewards and rounds.

    Raises:
        ValueError: an argument is out of range.
        ImportError: the surrogate needs scikit-learn or BoTorch, which is not installed.
        RewardError: a reward failed and ``dag.on_error`` is "raise".
    """
    where = "acquire"
    rounds, batch = positive_int("rounds", rounds, where), positive_int("batch", batch, where)
    iterations, seed = positive_int("iterations", iterations, where), checked_seed(seed, where)
    score, usual = ACQUISITIONS[one_of("acquisition", acquisition, ACQUISITIONS, where)]
    sharpness = usual if sharpness is None else positive("sharpness", sharpness, where)
    kappa = real("kappa", kappa, where, at_least=0.0)
    make_surrogate = surrogate if callable(surrogate) else SURROGATES[one_of("surrogate", surrogate, SURROGATES, where)]
    encode = dag.encode if features is None else features
    found, objects, called = Found.nothing(dag), start, dag.source(0)
    for i in range(rounds):
        own_seed = int(np.random.SeedSequence([seed, i]).generate_state(1)[0])
        if not len(found):
            sampler: Agent = make_agent("random", with_log_reward(dag, lambda states: np.zeros(len(states))), own_seed)
            rank = None
        else:
            rewards = np.exp(found.log_reward - found.log_reward.max())
            center, spread = rewards.mean(), rewards.std() or 1.0
            model = make_surrogate(own_seed)
            model.fit(encode(found.objects), (rewards - center) / spread)
            best = float((1.0 - center) / spread)

            def rank(states: IntArray, model: Surrogate = model, best: float = best) -> FloatArray:
                values = score(*model.predict(encode(states)), best, kappa)
                return sharpness * np.asarray(values, dtype=np.float64)

            sampler = make_agent(agent, with_log_reward(dag, rank), own_seed, **settings)
            for _ in range(iterations):
                sampler.update()
        if i > 0 or objects is None:
            objects = new_objects(sampler, called, batch, rank)
        called = np.concatenate([called, objects])
        try:
            found.add(objects, log_rewards(dag, objects))
        except BudgetSpent as spent:
            found.add(*paid_for(dag, objects))
            print(f"{where}: ended in round {i + 1} of {rounds}: {spent}", file=sys.stderr)
            break
        if progress:
            top = found.best(100)[1]
            line = f"{len(found)} objects, the {len(top)} best with a mean reward of {top.mean():.4g}"
            print(f"round {i + 1} of {rounds}: {line}", file=sys.stderr)
    return found


def paid_for(dag: Dag, objects: IntArray) -> tuple[IntArray, FloatArray]:
    """The ``objects`` (n, state_width) whose rewards are known once the budget is spent, and their log R."""
    known = np.full(len(objects), np.nan)
    for i in range(len(objects)):
        with contextlib.suppress(BudgetSpent):
            known[i] = log_rewards(dag, objects[i : i + 1])[0]
    return objects, known


def new_objects(
    agent: Agent, known: IntArray, n: int, rank: Callable[[IntArray], FloatArray] | None, tries: int = 20
) -> IntArray:
    """Up to ``n`` distinct samples of an agent that are not ``known``; the best ones if ``rank`` is given.

    Args:
        agent: the agent.
        known: objects that are left out (m, state_width).
        n: number of objects. There are fewer if the agent samples too few new ones, even with uniform exploration.
        rank: values of objects, larger for better ones.
        tries: maximum number of batches. Later ones take more random actions.
    """
    taken, pool = set(row_keys(known).tolist()) if len(known) else set(), known[:0]
    wanted = CANDIDATES * n if rank is not None else n
    for k in range(tries):
        # A policy that has collapsed samples few objects.
        sampled = agent.sample_trajectories(max(wanted, n), Exploration(epsilon=max(0.0, k - 1) / tries), rewards=False)
        fresh = unique_rows(sampled.terminal_states)
        fresh = fresh[[key not in taken for key in row_keys(fresh).tolist()]]
        taken |= set(row_keys(fresh).tolist())
        pool = np.concatenate([pool, fresh])
        if len(pool) >= n:
            break
    order = agent.rng.permutation(len(pool)) if rank is None else np.argsort(-rank(pool), kind="stable")
    return pool[order[:n]]
