"""How well an agent samples in proportion to reward: exact where the DAG enumerates, estimated elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.agent import Agent
from agents.evaluation import estimates, metrics
from agents.trajectories import Trajectories
from gfn_envs import exact
from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.dag import Dag
from gfn_envs.enumeration import EnumerationError
from gfn_envs.gym.stepper import is_reachable

#: Evaluation is exact on DAGs of at most this many states.
EXACT_STATES = 2_000_000


def is_enumerable(dag: Dag, max_states: int = EXACT_STATES) -> bool:
    """Whether exact evaluation of ``dag`` is possible within ``max_states`` states."""
    return dag.has_at_most(max_states)


def exact_distribution(agent: Agent) -> FloatArray:
    """P_T(x) of every object, float64 (num_terminal_states,), by dynamic programming over the DAG.

    Raises:
        EnumerationError: when the DAG is too large.
        ValueError: an agent whose samples are not those of a policy, such as a Markov chain.
    """
    if not agent.samples_by_policy:
        raise ValueError(f"agent {agent.name!r} samples by no policy, so there is no exact distribution of its objects")
    return exact.terminal_distribution(agent.dag, agent.probabilities)


def evaluate(agent: Agent, num_samples: int = 2000, seed: int = 0) -> dict[str, Any]:
    """The metrics watched during training. The agent, its random stream included, is left as it was.

    Args:
        agent: what to evaluate.
        num_samples: trajectories behind the sampled estimates.
        seed: of those samples.

    Returns:
        On enumerable DAGs :func:`exact_metrics`, elsewhere None in their place; then :func:`sampled_metrics`. An agent
        whose samples are not those of a policy has no exact metrics: instead, on enumerable DAGs, ``empirical_tv``,
        ``empirical_jsd``, ``empirical_kl``, ``empirical_l1_mean`` of the frequencies of all the objects it recorded.
    """
    found: dict[str, Any] = dict.fromkeys(EXACT_METRICS) | {"log_z": agent.log_z}
    if is_enumerable(agent.dag):
        found |= exact_metrics(agent) if agent.samples_by_policy else recorded_metrics(agent)
    return found | sampled_metrics(agent, num_samples, seed)


def recorded_metrics(agent: Agent) -> dict[str, Any]:
    """Distances to R / Z of the frequencies of the objects that an agent recorded; see :func:`evaluate`."""
    found = metrics.distances(learned_distribution(agent), exact.target_distribution(agent.dag))
    return {f"empirical_{name}": value for name, value in found.items()}


def learned_distribution(agent: Agent) -> FloatArray:
    """How likely each object is, float64 (num_terminal_states,): :func:`exact_distribution`, or the frequencies of the
    objects recorded where no policy samples them.

    Raises:
        EnumerationError: when the DAG is too large.
    """
    if agent.samples_by_policy:
        return exact_distribution(agent)
    empirical = metrics.EmpiricalDistribution(agent.dag, capacity=len(agent.recorded))
    empirical.add(agent.recorded)
    return empirical.probabilities()


EXACT_METRICS = ("tv", "jsd", "kl", "l1_mean", "log_z_error", "mean_reward", "target_mean_reward", "mean_reward_error")


def exact_metrics(agent: Agent, learned: FloatArray | None = None) -> dict[str, Any]:
    """Exact distances between the sampled distribution P_T and the target R / Z.

    Args:
        agent: what to evaluate.
        learned: its :func:`exact_distribution`, where it is known already.

    Returns:
        ``tv``: total variation, in [0, 1]. ``jsd``: Jensen-Shannon divergence, nats. ``kl``: KL(P_T || R/Z), nats.
        ``l1_mean``: mean of abs(P_T - R/Z) over objects. ``log_z_error``: abs(log Z of the agent - log Z), None
        where it estimates none.
        ``mean_reward``: E of R under P_T. ``target_mean_reward``: sum R^2 / sum R. Both None where too large for a
        number. ``mean_reward_error``: their relative difference (Shen et al. 2023).
    """
    learned = exact_distribution(agent) if learned is None else learned
    log_reward = exact.log_rewards(agent.dag)
    log_z = float(np.logaddexp.reduce(log_reward))
    target = np.exp(log_reward - log_z)
    # In units of the largest reward: R itself may be too large or too small for a number.
    unit = log_reward.max()
    reward = np.exp(log_reward - unit)
    mean, target_mean = float(learned @ reward), float(target @ reward)
    return {
        **metrics.distances(learned, target, log_reward - log_z),
        "log_z_error": None if agent.log_z is None else abs(agent.log_z - log_z),
        "mean_reward": metrics.in_units(mean, unit),
        "target_mean_reward": metrics.in_units(target_mean, unit),
        "mean_reward_error": metrics.relative_error(mean, target_mean),
    }


def sampled_metrics(
    agent: Agent, num_samples: int = 2000, seed: int = 0, trajectories: Trajectories | None = None
) -> dict[str, Any]:
    """Monte-Carlo estimates from ``num_samples`` trajectories of the agent, or from those given.

    Returns:
        ``sampled_mean_reward`` with its standard error ``sampled_mean_reward_se``; ``elbo`` = mean of
        log R(x) + log P_B(tau|x) - log P_F(tau), a lower bound of log Z, with ``elbo_se``; ``modes_found``, the number
        of distinct modes among the samples. For an agent whose samples are not those of a policy the standard error is
        None, because they are correlated, and so is the bound.
    """
    if trajectories is None:
        trajectories = agent.sample_trajectories(num_samples, rng=np.random.default_rng(seed))
    unit = trajectories.log_reward.max()
    mean, mean_se = metrics.mean_and_error(np.exp(trajectories.log_reward - unit))
    elbo, elbo_se = None, None
    if agent.samples_by_policy:
        elbo, elbo_se = metrics.mean_and_error(estimates.log_ratios(agent, trajectories) + trajectories.log_reward)
    modes = agent.dag.mode_index(trajectories.terminal_states)
    return {
        "sampled_mean_reward": metrics.in_units(mean, unit),
        "sampled_mean_reward_se": metrics.in_units(mean_se, unit) if agent.samples_by_policy else None,
        "elbo": elbo,
        "elbo_se": elbo_se,
        "modes_found": len(np.unique(modes[modes >= 0])),
    }


# ---------------------------------------------------------------------- the fuller set


def full_evaluation(
    agent: Agent,
    num_samples: int = 2000,
    seed: int = 0,
    *,
    test_objects: IntArray | None = None,
    reference: IntArray | None = None,
    distance: metrics.Distance | None = None,
    num_backward: int = 10,
) -> dict[str, Any]:
    """Every metric there is. The agent, its random stream included, is left as it was.

    Args:
        agent: what to evaluate.
        num_samples: trajectories behind the sampled estimates, at least 2.
        seed: of those samples; one seed, one result.
        test_objects: terminal states (n, state_width) on which log p(x) and log R(x) are correlated; by default every
            object where the DAG enumerates.
        reference: known objects (m, state_width), such as training data; novelty is the distance to them.
        distance: between objects, rows (n, w) and (m, w) to (n, m); by default the environment's own ``distance``
            method where it has one (Levenshtein of strings, Tanimoto of molecules), else the Hamming distance of rows.
        num_backward: K, trajectories for each estimate of log p(x).

    Returns:
        What :func:`evaluate` returns, and, None where undefined or where it takes an enumeration that is out of reach:

        * ``kl_reverse``: KL(R/Z || P_T), exact. ``accuracy``: E R / E* R clipped to [0, 1], exact (Niu et al. 2024).
        * ``percent_of_target_mean``: 100 E R / E* R of the samples (Shen et al. 2023), with its standard error
          ``percent_of_target_mean_se``. ``sampled_mean_reward_error``: relative error of the samples' mean, likewise.
        * ``anderson_darling``: see :func:`agents.evaluation.metrics.anderson_darling`; as many rewards on both sides.
        * ``empirical_tv``, ``empirical_jsd``, ``empirical_kl``, ``empirical_l1_mean``: of the frequencies of these
          samples, which are new ones of the policy as it is, and not those of training.
        * ``eubo``, ``eubo_se``; ``elbo_gap`` = log Z - ELBO and ``eubo_gap`` = EUBO - log Z, with log Z exact.
        * ``pearson``, ``spearman`` over ``num_test_objects``; ``log_p_source`` says how log p(x) was had: "exact" (from
          P_T), "ancestors" (exact, from the ancestors of x) or "estimated" (from K backward trajectories). Where test
          objects are given, ``pearson_se`` and ``spearman_se`` are bootstrap errors over them.
        * ``top_K_reward``, ``top_K_diversity``, ``top_K_novelty``: of the K = 10, 50, 100 best distinct objects, in
          terms of ``distance``: the name of the environment's own, "hamming", or that of the function given.
        * ``distinct_objects`` among the samples; ``num_modes`` of the environment.

        Of an agent whose samples are not those of a policy, what depends on log p(x) or on its policies is None.

    Raises:
        ValueError: fewer than 2 samples, or objects of the wrong shape, that are not terminal or not of this DAG.
        ImportError: the environment's distance needs a package that is not installed.
    """
    dag = agent.dag
    if num_samples < 2:
        raise ValueError(f"num_samples must be at least 2, got {num_samples}")
    test_objects, reference = _objects(dag, "test_objects", test_objects), _objects(dag, "reference", reference)
    # A stream for each kind of samples: what is asked for beside them changes none of them.
    backward, target, bootstrap = (np.random.default_rng([seed, k]) for k in (1, 2, 3))
    trajectories = agent.sample_trajectories(num_samples, rng=np.random.default_rng(seed))
    objects = trajectories.terminal_states
    learned = learned_distribution(agent) if is_enumerable(dag) else None
    found: dict[str, Any] = dict.fromkeys((*EXACT_METRICS, *FULL_EXACT_METRICS))
    found |= {"log_z": agent.log_z} | sampled_metrics(agent, trajectories=trajectories)
    if learned is not None and agent.samples_by_policy:
        found |= exact_metrics(agent, learned) | _against_target(agent, learned, trajectories, found, target)
    elif learned is not None:
        against = _mean_against_target(trajectories.log_reward, exact.log_rewards(dag))
        # Samples that are correlated say nothing of their own error.
        unknown = dict.fromkeys(("sampled_mean_reward_error_se", "percent_of_target_mean_se"))
        found |= recorded_metrics(agent) | against | unknown
    found |= _correlation(agent, learned, test_objects, num_backward, backward, bootstrap)
    name = getattr(distance, "__name__", "given")
    if distance is None and hasattr(dag, "distance"):
        distance, name = dag.distance, getattr(dag, "distance_name", "the environment's own")
    elif distance is None:
        distance, name = metrics.hamming, "hamming"
    found |= metrics.top_k(objects, trajectories.log_reward, distance=distance, reference=reference)
    return found | {"distance": name, "distinct_objects": len(np.unique(objects, axis=0)), "num_modes": dag.num_modes}


FULL_EXACT_METRICS = (
    *("kl_reverse", "accuracy", "sampled_mean_reward_error", "sampled_mean_reward_error_se"),
    *("percent_of_target_mean", "percent_of_target_mean_se"),
    *("anderson_darling", "empirical_tv", "empirical_jsd", "empirical_kl", "empirical_l1_mean"),
    *("eubo", "eubo_se", "elbo_gap", "eubo_gap"),
)


def _mean_against_target(sampled: FloatArray, log_reward: FloatArray) -> dict[str, float | None]:
    """The mean reward of samples, given as log R (n,), against the target's, given log R of every object."""
    reward = np.exp(log_reward - log_reward.max())
    target_mean = float(reward @ reward / reward.sum())
    mean, error = metrics.mean_and_error(np.exp(sampled - log_reward.max()))
    return {
        "sampled_mean_reward_error": metrics.relative_error(mean, target_mean),
        "sampled_mean_reward_error_se": None if error is None else error / target_mean,
        "percent_of_target_mean": 100 * mean / target_mean,
        "percent_of_target_mean_se": None if error is None else 100 * error / target_mean,
    }


def _against_target(
    agent: Agent, learned: FloatArray, trajectories: Trajectories, found: dict[str, Any], rng: np.random.Generator
) -> dict[str, Any]:
    """FULL_EXACT_METRICS, which need the target distribution."""
    dag, num_samples = agent.dag, len(trajectories)
    log_reward = exact.log_rewards(dag)
    log_z = float(np.logaddexp.reduce(log_reward))
    target, reward = np.exp(log_reward - log_z), np.exp(log_reward - log_reward.max())
    empirical = metrics.EmpiricalDistribution(dag, capacity=num_samples)
    empirical.add(trajectories.terminal_states)
    drawn = dag.log_reward(estimates.target_samples(agent, num_samples, rng))
    eubo, eubo_se = metrics.mean_and_error(estimates.upper_bounds(agent, num_samples, rng))
    return {
        "kl_reverse": exact.kl_divergence(target, learned),
        "accuracy": metrics.accuracy(float(learned @ reward), float(target @ reward)),
        **_mean_against_target(trajectories.log_reward, log_reward),
        # A statistic of ranks: the same of log R as of R.
        "anderson_darling": metrics.anderson_darling(trajectories.log_reward, drawn),
        **{f"empirical_{name}": value for name, value in empirical.distances().items()},
        "eubo": eubo,
        "eubo_se": eubo_se,
        "elbo_gap": log_z - found["elbo"],
        "eubo_gap": eubo - log_z,
    }


CORRELATIONS = ("pearson", "pearson_se", "spearman", "spearman_se", "num_test_objects", "log_p_source")


def _correlation(
    agent: Agent,
    learned: FloatArray | None,
    objects: IntArray | None,
    num_backward: int,
    rng: np.random.Generator,
    bootstrap: np.random.Generator,
) -> dict[str, Any]:
    """Correlation of log R(x) with log p(x), the latter as exactly as the DAG allows."""
    dag, source = agent.dag, "exact"
    found: dict[str, Any] = dict.fromkeys(CORRELATIONS)
    every = objects is None
    if not agent.samples_by_policy or (every and learned is None):
        return found
    if objects is None:
        objects = dag.terminal_states()
    if learned is not None:
        with np.errstate(divide="ignore"):
            log_p = np.log(learned[dag.terminal_index(objects)])
    else:
        try:
            log_p, source = estimates.ancestor_log_p(agent, objects), "ancestors"
        except EnumerationError:
            log_p, source = estimates.sampled_log_p(agent, objects, rng, num_backward)[0], "estimated"
    log_reward = dag.log_reward(objects)
    found["pearson"], found["spearman"] = metrics.correlations(log_reward, log_p)
    if not every:
        found["pearson_se"], found["spearman_se"] = metrics.correlation_errors(log_reward, log_p, bootstrap)
    return found | {"num_test_objects": len(objects), "log_p_source": source}


def _objects(dag: Dag, name: str, objects: IntArray | None) -> IntArray | None:
    """Terminal states given by a user, checked."""
    if objects is None:
        return None
    rows = np.asarray(objects)
    if rows.ndim != 2 or rows.shape[1] != dag.state_width or not len(rows) or not np.issubdtype(rows.dtype, np.integer):
        raise ValueError(f"{name} must be integers of shape (n, {dag.state_width}), got {rows.dtype} {rows.shape}")
    given, rows = rows, rows.astype(dag.state_dtype)
    good = (rows == given).all(1) & is_reachable(dag, rows)
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(f"{name}: row {row}, {given[row].tolist()}, is no state of {dag!r}")
    terminal = dag.is_terminal(rows)
    if not terminal.all():
        raise ValueError(f"{name}: row {int(np.argmin(terminal))}, {rows[np.argmin(terminal)].tolist()}, is no object")
    return rows
