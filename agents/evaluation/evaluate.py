"""The metrics watched during training: exact if the DAG can be enumerated, estimated from samples otherwise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from agents.agent import Agent
from agents.evaluation import estimates, metrics
from agents.evaluation.empirical import EmpiricalDistribution
from agents.evaluation.metrics import EXACT_METRICS, Target
from agents.memory import states_per_call
from agents.threads import on_working_threads
from agents.trajectories import Trajectories
from gfn_envs import exact
from gfn_envs.arrays import FloatArray
from gfn_envs.dag import Dag
from gfn_envs.enumeration import EnumerationError, bytes_per_state, state_limit
from gfn_envs.validation import positive_int

#: Which rewards an evaluation may evaluate: those that its metrics need, none, or none if they are expensive.
REWARD_USES = ("auto", "all", "none")

#: Names of :func:`sampled_metrics`.
SAMPLED_METRICS = ("sampled_mean_reward", "sampled_mean_reward_se", "elbo", "elbo_se", "modes_found")

#: Evaluation is exact on DAGs of at most this many states, unless ``exact_states`` sets another number.
EXACT_STATES = 2_000_000


def is_enumerable(dag: Dag, exact_states: int | None = None) -> bool:
    """True if ``dag`` has at most ``exact_states`` states, so that it can be evaluated exactly.

    Args:
        dag: the environment.
        exact_states: the limit, also if these states take more memory than ``enumeration.ENUMERATION_BYTES``. Default:
            ``EXACT_STATES``, within that memory.

    Raises:
        ValueError: ``exact_states`` is not an integer >= 1.
    """
    if exact_states is None:
        return dag.has_at_most(EXACT_STATES)
    limit = positive_int("exact_states", exact_states, "evaluation")
    if limit > state_limit(dag):
        try:
            dag.enumerate(limit)
        except EnumerationError:
            return False
    return dag.has_at_most(limit)


def enumeration_text(dag: Dag, exact_states: int | None = None) -> str:
    """One line on what an exact evaluation enumerates, or why it does not. Enumerates nothing itself."""
    limit, name, number = exact_states or EXACT_STATES, type(dag).__name__, dag.declared_num_states
    if number is None:
        return f"exact metrics: counting the states of {name}, up to {limit:,} (exact_states)"
    # Python refuses to write more than 4,300 digits.
    size = f"{number:,}" if number < 10**15 else f"about 10^{math.floor((number.bit_length() - 1) * math.log10(2))}"
    memory = number * bytes_per_state(dag) / 1e6 if number < 10**15 else math.inf
    if number <= limit and (exact_states is not None or number <= state_limit(dag)):
        return f"exact metrics: enumerating the {size} states of {name}, about {memory:.2g} MB"
    return f"sampled metrics: {name} has {size} states, and {limit:,} are enumerated at most (exact_states)"


def target_of(dag: Dag) -> Target:
    """R(x) / Z over the objects of ``dag``, in the order of ``dag.terminal_states()``.

    The rewards are evaluated at the first call and kept with ``dag``.

    Raises:
        EnumerationError: the DAG is too large to enumerate.
    """
    kept: tuple[Any, Target] | None = dag.__dict__.get("_evaluation_target")
    if kept is None or kept[0] != dag.on_error:
        kept = dag.__dict__["_evaluation_target"] = (dag.on_error, Target.of(exact.log_rewards(dag)))
    return kept[1]


def target_for(agent: Agent) -> Target:
    """The target of an agent: :func:`target_of` its DAG, unless it has another one, such as a posterior."""
    target, weights = target_of(agent.dag), agent.target_log_weights()
    if weights is None:
        return target
    log_p = target.log_reward + weights
    return Target(target.log_reward, exact.log_sum_exp(log_p), exact.softmax(log_p))


def known_log_z(dag: Dag) -> float | None:
    """log Z of a DAG that knows it without enumeration (``exact_log_z``), kept with it; None of others."""
    if "_known_log_z" not in dag.__dict__:
        try:
            dag.__dict__["_known_log_z"] = float(dag.exact_log_z()) if dag.has("exact_log_z") else None
        except NotImplementedError:
            dag.__dict__["_known_log_z"] = None
    return dag.__dict__["_known_log_z"]


def may_evaluate_rewards(dag: Dag, rewards: str) -> bool:
    """True if an evaluation with this setting may evaluate rewards: see :func:`evaluate`.

    Raises:
        ValueError: unknown ``rewards``.
    """
    if rewards not in REWARD_USES:
        raise ValueError(f"rewards must be one of {', '.join(map(repr, REWARD_USES))}, got {rewards!r}")
    return rewards == "all" or (rewards == "auto" and not dag.expensive_reward)


def rewards_reason(rewards: str) -> str:
    """The reason why an evaluation with this setting evaluates no rewards."""
    return "rewards='none' was given" if rewards == "none" else "rewards are expensive: ask with rewards='all'"


@on_working_threads
def exact_distribution(agent: Agent) -> FloatArray:
    """P_T(x) of every object, float64 (num_terminal_states,), by dynamic programming over the DAG.

    Raises:
        EnumerationError: the DAG is too large to enumerate.
        ValueError: the agent samples without a policy, as a Markov chain does.
    """
    if not agent.samples_by_policy:
        raise ValueError(f"agent {agent.name!r} samples without a policy, so its objects have no exact distribution")
    return exact.terminal_distribution(agent.dag, agent.probabilities, min(exact.CHUNK, states_per_call(agent)))


def learned_distribution(agent: Agent) -> FloatArray:
    """Probability of every object, float64 (num_terminal_states,).

    It is :func:`exact_distribution`, or the frequencies of the recorded objects if the agent samples without a policy.

    Raises:
        EnumerationError: the DAG is too large to enumerate.
    """
    if agent.samples_by_policy:
        return exact_distribution(agent)
    empirical = EmpiricalDistribution(agent.dag, capacity=len(agent.recorded))
    empirical.add(agent.recorded)
    return empirical.probabilities()


@on_working_threads
def evaluate(
    agent: Agent, num_samples: int = 2000, seed: int = 0, *, rewards: str = "auto", exact_states: int | None = None
) -> dict[str, Any]:
    """The metrics watched during training. The agent and its random stream stay unchanged.

    Args:
        agent: the agent to evaluate.
        num_samples: number of trajectories for the sampled metrics.
        seed: seed of those trajectories.
        rewards: "all": evaluate the rewards that the metrics need, those of ``num_samples`` objects, and those of every
            object once if the DAG can be enumerated. "none": evaluate no reward; every metric but ``log_z`` is None.
            "auto": "none" if ``agent.dag.expensive_reward``, else "all".
        exact_states: metrics are exact on DAGs of at most this many states (:func:`is_enumerable`).

    Returns:
        ``log_z``: the agent's estimate, or None. :func:`exact_metrics`, with None for each of them if the DAG cannot be
        enumerated (``log_z_error`` only if it does not know its log Z either: ``exact_log_z``).
        :func:`sampled_metrics`. An agent that samples without a policy has no exact metrics. On DAGs that
        can be enumerated it has :func:`recorded_metrics` instead.

    Raises:
        ValueError: unknown ``rewards``, ``num_samples`` is below 1 or ``exact_states`` is not an integer
            >= 1.
    """
    positive_int("num_samples", num_samples, "evaluate")
    found: dict[str, Any] = dict.fromkeys(EXACT_METRICS) | {"log_z": agent.log_z}
    if not may_evaluate_rewards(agent.dag, rewards):
        return found | dict.fromkeys(SAMPLED_METRICS)
    if is_enumerable(agent.dag, exact_states):
        found |= watched_metrics(agent, learned_distribution(agent), target_for(agent))
    elif agent.log_z is not None and (log_z := known_log_z(agent.dag)) is not None:
        found["log_z_error"] = abs(agent.log_z - log_z)
    return found | sampled_metrics(agent, num_samples, seed)


def watched_metrics(agent: Agent, learned: FloatArray, target: Target) -> dict[str, Any]:
    """:func:`exact_metrics` of a policy, or :func:`recorded_metrics` of an agent without one.

    Args:
        agent: the agent to evaluate.
        learned: its :func:`learned_distribution`.
        target: :func:`target_of` its DAG.
    """
    if agent.samples_by_policy:
        return metrics.exact_metrics(learned, target, agent.log_z)
    found = metrics.distances(learned, target.probabilities)
    return {f"empirical_{name}": value for name, value in found.items()}


def recorded_metrics(agent: Agent) -> dict[str, Any]:
    """Distances to R / Z of the frequencies of the objects recorded by an agent that samples without a policy.

    Returns:
        ``empirical_tv``, ``empirical_jsd``, ``empirical_kl`` and ``empirical_l1_mean``.

    Raises:
        EnumerationError: the DAG is too large to enumerate.
    """
    return watched_metrics(agent, learned_distribution(agent), target_for(agent))


def exact_metrics(dag: Dag, learned: FloatArray, log_z: float | None = None) -> dict[str, Any]:
    """Exact distances between a distribution over the objects of ``dag`` and the target R / Z.

    Args:
        dag: an enumerable DAG.
        learned: probability of every object, float64 (num_terminal_states,): :func:`exact_distribution` of an agent, or
            ``gfn_envs.exact.terminal_distribution(dag, policy)`` of any policy.
        log_z: the model's estimate of log Z, if it has one.

    Returns:
        :func:`agents.evaluation.metrics.exact_metrics`.

    Raises:
        EnumerationError: the DAG is too large to enumerate.
    """
    return metrics.exact_metrics(learned, target_of(dag), log_z)


def sampled_metrics(
    agent: Agent, num_samples: int = 2000, seed: int = 0, trajectories: Trajectories | None = None
) -> dict[str, Any]:
    """Monte-Carlo estimates from ``num_samples`` trajectories of the agent, or from the given ``trajectories``.

    Returns:
        ``sampled_mean_reward`` with its standard error ``sampled_mean_reward_se``. ``elbo``, the mean of
        log R(x) + log P_B(tau|x) - log P_F(tau), a lower bound of log Z, with its standard error ``elbo_se``.
        ``modes_found``, the number of distinct modes among the samples, None if the environment defines no modes. If
        the agent samples without a policy, the bound and the standard errors are None: its samples are correlated.
        Objects whose reward failed and that ``dag.on_error = "skip"`` leaves out have reward 0: the bound is that of
        the others plus the log of their share.
    """
    if trajectories is None:
        return metrics_of_samples(agent, estimates.samples(agent, num_samples, np.random.default_rng(seed)))
    return metrics_of_samples(agent, estimates.samples_of(agent, trajectories))


def metrics_of_samples(agent: Agent, samples: estimates.Samples) -> dict[str, Any]:
    """:func:`sampled_metrics` of samples of the agent."""
    objects, log_reward, log_ratio, drawn = samples
    unit = log_reward.max()
    mean, mean_se = metrics.mean_and_error(np.exp(samples.every_log_reward - unit))
    elbo, elbo_se = None, None
    if log_ratio is not None:
        elbo, elbo_se = metrics.mean_and_error(log_ratio + log_reward)
        if (share := len(objects) / drawn) < 1:
            elbo += math.log(share)
            elbo_se = None if elbo_se is None else math.hypot(elbo_se, math.sqrt((1 - share) / (share * drawn)))
    dag, modes_found = agent.dag, None
    if dag.defines_modes:
        modes = dag.mode_index(objects)
        modes_found = len(np.unique(modes[modes >= 0]))
    return {
        "sampled_mean_reward": metrics.in_units(mean, unit),
        "sampled_mean_reward_se": metrics.in_units(mean_se, unit) if agent.samples_by_policy else None,
        "elbo": elbo,
        "elbo_se": elbo_se,
        "modes_found": modes_found,
    }
