"""Every metric of an agent, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from agents.agent import Agent
from agents.evaluation import correlations, estimates, metrics
from agents.evaluation.empirical import EmpiricalDistribution
from agents.evaluation.evaluate import (
    SAMPLED_METRICS,
    is_enumerable,
    known_log_z,
    learned_distribution,
    may_evaluate_rewards,
    metrics_of_samples,
    target_for,
    target_of,
    watched_metrics,
)
from agents.evaluation.metrics import EXACT_METRICS, Target
from agents.evaluation.molecules import molecule_metrics
from agents.threads import on_working_threads
from agents.trajectories import Trajectories
from gfn_envs import exact
from gfn_envs.arrays import FloatArray, IntArray, distinct
from gfn_envs.border import log_rewards
from gfn_envs.dag import Dag
from gfn_envs.enumeration import EnumerationError
from gfn_envs.gym.stepper import is_reachable

#: Metrics of :func:`full_evaluation` that need every object's reward.
FULL_EXACT_METRICS = (
    *("kl_reverse", "accuracy", "sampled_mean_reward_error", "sampled_mean_reward_error_se"),
    *("percent_of_target_mean", "percent_of_target_mean_se"),
    *("anderson_darling", "empirical_tv", "empirical_jsd", "empirical_kl", "empirical_l1_mean"),
    *("eubo", "eubo_se", "elbo_gap", "eubo_gap"),
)

CORRELATIONS = (
    *("pearson", "pearson_se", "pearson_bias", "spearman", "spearman_se", "spearman_bias"),
    *("num_test_objects", "log_p_source"),
)


#: Metrics that every evaluation has. Those of the K best objects have K in their name.
NAMES = (
    *("log_z", *EXACT_METRICS, *SAMPLED_METRICS, *FULL_EXACT_METRICS, *CORRELATIONS),
    *(f"top_{k}_{what}" for k in (10, 50, 100) for what in ("reward", "diversity")),
    *("distance", "distinct_objects", "num_modes"),
)


@on_working_threads
def full_evaluation(
    agent: Agent,
    num_samples: int = 2000,
    seed: int = 0,
    *,
    test_objects: IntArray | None = None,
    reference: IntArray | None = None,
    distance: metrics.Distance | None = None,
    num_backward: int = 10,
    rewards: str = "auto",
    exact_states: int | None = None,
    trajectories: Trajectories | None = None,
    known: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Every metric. The agent and its random stream stay unchanged.

    Args:
        agent: the agent to evaluate.
        num_samples: number of trajectories for the sampled metrics, at least 2.
        seed: seed of those trajectories. The same seed gives the same result.
        test_objects: terminal states (n, state_width) for the correlation of log p(x) with log R(x). Default: every
            object if the DAG can be enumerated.
        reference: known objects (m, state_width), e.g. training data. Novelty is the distance to the nearest of them.
        distance: distance between objects, from rows (n, w) and (m, w) to (n, m). Default: the environment's own
            ``distance`` method if it has one (Levenshtein of strings, Tanimoto of molecules), else the Hamming distance
            between rows.
        num_backward: K, number of trajectories per estimate of log p(x), at least 2.
        rewards: "auto", "all" or "none", as in :func:`~agents.evaluation.evaluate.evaluate`. Without rewards every
            metric but ``log_z`` is None.
        exact_states: metrics are exact on DAGs of at most this many states. Default: 2,000,000
            (:func:`~agents.evaluation.evaluate.is_enumerable`).
        trajectories: samples of the agent instead of new ones; with ``on_error="skip"``, those left of ``num_samples``.
        known: SMILES of known molecules, such as a training set, for the novelty of molecules.

    Returns:
        The metrics of :func:`~agents.evaluation.evaluate.evaluate` and those below. A metric is None if it is undefined
        or if it needs an enumeration that is too large.

        * ``kl_reverse``: KL(R/Z || P_T), exact. ``accuracy``: E R / E* R clipped to [0, 1], exact (Niu et al. 2024).
        * ``percent_of_target_mean``: 100 E R / E* R of the samples (Shen et al. 2023), with its standard error
          ``percent_of_target_mean_se``. ``sampled_mean_reward_error``: relative error of the samples' mean, also with a
          standard error.
        * ``anderson_darling``: ``metrics.anderson_darling`` with ``num_samples`` rewards per side.
        * ``empirical_tv``, ``empirical_jsd``, ``empirical_kl``, ``empirical_l1_mean``: distances to R / Z of the
          frequencies of these samples. They are fresh samples of the current policy, not those of training.
        * ``eubo``, ``eubo_se``; ``elbo_gap`` = log Z - ELBO and ``eubo_gap`` = EUBO - log Z, with the exact log Z. On
          DAGs that are too large to enumerate, they need an environment that knows log Z or draws from R / Z
          (:func:`known_target_metrics`).
        * ``pearson``, ``spearman`` over ``num_test_objects``. ``log_p_source`` is the source of log p(x): "exact" (from
          P_T), "ancestors" (exact, from the ancestors of x) or "estimated" (from K backward trajectories). With given
          test objects, ``pearson_se`` and ``spearman_se`` are bootstrap standard errors over them. If log p(x) is
          estimated, they include its noise, and ``pearson_bias`` and ``spearman_bias`` estimate by how much it moves
          the correlation (``correlations.correlation_biases``). Otherwise the biases are None.
        * ``top_K_reward``, ``top_K_diversity``, ``top_K_novelty`` of the K = 10, 50, 100 best distinct objects.
          ``distance`` is the name of the distance used.
        * ``distinct_objects`` among the samples; ``num_modes`` of the environment. ``modes_found`` and ``num_modes``
          are None if the environment defines no modes.

        * Of molecules, those of :func:`~agents.evaluation.molecules.molecule_metrics`.

        If the agent samples without a policy, every metric that depends on log p(x) or on a policy is None.

    Raises:
        ValueError: ``num_samples`` or ``num_backward`` is below 2, ``exact_states`` is below 1, ``rewards`` is unknown,
            or a given object has the wrong shape, is not terminal or does not belong to the DAG; or ``known`` is given
            for objects that are not molecules, or has an invalid SMILES.
        ImportError: the environment's distance needs a package that is not installed.
    """
    dag = agent.dag
    if num_samples < 2:
        raise ValueError(f"num_samples must be at least 2, got {num_samples}")
    if num_backward < 2:
        raise ValueError(f"num_backward must be at least 2, got {num_backward}")
    test_objects, reference = _objects(dag, "test_objects", test_objects), _objects(dag, "reference", reference)
    if known is not None and not dag.has("molecules"):
        raise ValueError(f"known is only for molecules, which the objects of {dag!r} are not; give rows as reference")
    if not may_evaluate_rewards(dag, rewards):
        return dict.fromkeys(NAMES) | {"log_z": agent.log_z}
    # One stream per kind of samples, so that an optional metric never changes another one.
    backward_rng, target_rng, bootstrap_rng = (np.random.default_rng([seed, k]) for k in (1, 2, 3))
    if trajectories is None:
        samples = estimates.samples(agent, num_samples, np.random.default_rng(seed))
    else:
        samples = estimates.samples_of(agent, trajectories, num_samples if dag.on_error == "skip" else None)
    found: dict[str, Any] = dict.fromkeys((*EXACT_METRICS, *FULL_EXACT_METRICS))
    found |= {"log_z": agent.log_z} | metrics_of_samples(agent, samples)
    learned = None
    if is_enumerable(dag, exact_states):
        learned, target = learned_distribution(agent), target_for(agent)
        found |= watched_metrics(agent, learned, target)
        found |= metrics.sampled_mean_metrics(samples.every_log_reward, target)
        if agent.samples_by_policy:
            found |= _policy_metrics(agent, learned, target, samples, found["elbo"], target_rng)
        else:
            # Correlated samples give no standard error.
            found |= dict.fromkeys(("sampled_mean_reward_error_se", "percent_of_target_mean_se"))
    else:
        found |= known_target_metrics(agent, num_samples, found["elbo"], target_rng)
    found |= _correlation(agent, learned, test_objects, num_backward, backward_rng, bootstrap_rng)
    measure, name = _distance(dag, distance)
    found |= metrics.top_k(samples.objects, samples.log_reward, distance=measure, reference=reference)
    objects, inverse = distinct(samples.objects)
    number = len(objects)
    if dag.has("molecules"):
        found |= molecule_metrics(dag.to_smiles(objects), np.bincount(inverse), known)
    return found | {"distance": name, "distinct_objects": number, "num_modes": dag.num_modes}


def _policy_metrics(
    agent: Agent,
    learned: FloatArray,
    target: Target,
    samples: estimates.Samples,
    elbo: float,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """The exact metrics of :func:`full_evaluation` that only a policy has."""
    dag, num_samples = agent.dag, len(samples.objects)
    empirical = EmpiricalDistribution(dag, capacity=num_samples)
    empirical.add(samples.objects)
    drawn = rng.choice(len(learned), size=num_samples, p=target.probabilities)
    # Trajectories drawn from R P_B / Z. The mean estimates log Z + KL(R P_B / Z || P_F), an upper bound of log Z.
    rewards = target_of(dag)  # These are bounds of its log Z, whatever the agent's target is.
    ends = rng.choice(len(learned), size=num_samples, p=rewards.probabilities)
    ratios = estimates.backward_log_ratios(agent, dag.terminal_states()[ends], rng)
    eubo, eubo_se = metrics.mean_and_error(rewards.log_reward[ends] + ratios)
    return {
        "kl_reverse": exact.kl_divergence(target.probabilities, learned, _log_learned(agent, learned)),
        "accuracy": metrics.accuracy(float(learned @ target.scaled_reward), target.scaled_mean),
        # The statistic depends on ranks only, so log R serves as well as R.
        "anderson_darling": metrics.anderson_darling(samples.log_reward, target.log_reward[drawn]),
        **{f"empirical_{name}": value for name, value in empirical.distances(target.probabilities).items()},
        "eubo": eubo,
        "eubo_se": eubo_se,
        "elbo_gap": rewards.log_z - elbo,
        "eubo_gap": eubo - rewards.log_z,
    }


def known_target_metrics(
    agent: Agent, num_samples: int, elbo: float | None, rng: np.random.Generator
) -> dict[str, Any]:
    """Metrics on a DAG that is too large to enumerate, if it knows log Z or can draw from R / Z.

    Returns:
        ``log_z_error`` and ``elbo_gap`` if the DAG knows log Z (``exact_log_z``); ``eubo`` and ``eubo_se`` from
        ``num_samples`` rewards if it draws from R / Z (``sample_target``); ``eubo_gap`` if both. Those that are not
        known are left out.
    """
    dag, found = agent.dag, {}
    log_z = known_log_z(dag)
    if log_z is not None:
        found["log_z_error"] = None if agent.log_z is None else abs(agent.log_z - log_z)
        found["elbo_gap"] = None if elbo is None else log_z - elbo
    if not agent.samples_by_policy or not dag.has("sample_target"):
        return found
    try:
        objects = dag.sample_target(num_samples, rng)
    except NotImplementedError:
        return found
    ratios = estimates.backward_log_ratios(agent, objects, rng)
    eubo, found["eubo_se"] = metrics.mean_and_error(log_rewards(dag, objects) + ratios)
    found["eubo"] = eubo
    if log_z is not None:
        found["eubo_gap"] = eubo - log_z
    return found


def _correlation(
    agent: Agent,
    learned: FloatArray | None,
    objects: IntArray | None,
    num_backward: int,
    rng: np.random.Generator,
    bootstrap_rng: np.random.Generator,
) -> dict[str, Any]:
    """Correlation of log R(x), without failed rewards, with log p(x) from the most exact source that the DAG allows."""
    dag, source = agent.dag, "exact"
    found: dict[str, Any] = dict.fromkeys(CORRELATIONS)
    every = objects is None
    if not agent.samples_by_policy or (every and learned is None):
        return found
    if learned is not None:
        log_p, log_reward = _log_learned(agent, learned), target_of(dag).log_reward
        if objects is not None:
            place = dag.terminal_index(objects)
            log_p, log_reward = log_p[place], log_reward[place]
        log_p, log_reward = log_p[np.isfinite(log_reward)], log_reward[np.isfinite(log_reward)]
    else:
        assert objects is not None
        log_reward = log_rewards(dag, objects)
        objects, log_reward = objects[~np.isnan(log_reward)], log_reward[~np.isnan(log_reward)]
        try:
            log_p, source = estimates.ancestor_log_p(agent, objects), "ancestors"
        except EnumerationError:
            log_weights = estimates.path_log_weights(agent, objects, rng, num_backward)
            log_p, source = metrics.log_mean_exp(log_weights), "estimated"
            found["pearson_bias"], found["spearman_bias"] = correlations.correlation_biases(log_reward, log_weights)
    found["pearson"], found["spearman"] = correlations.correlations(log_reward, log_p)
    if not every:
        found["pearson_se"], found["spearman_se"] = correlations.correlation_errors(log_reward, log_p, bootstrap_rng)
    return found | {"num_test_objects": len(log_p), "log_p_source": source}


def _log_learned(agent: Agent, learned: FloatArray) -> FloatArray:
    """log of the learned distribution (m,), also of probabilities that underflow."""
    if learned.min() > exact.SMALLEST_EXACT:
        return np.log(learned)
    return exact.log_terminal_distribution(agent.dag, agent.probabilities)


def _distance(dag: Dag, given: metrics.Distance | None) -> tuple[metrics.Distance, str]:
    """The distance between objects, and its name."""
    if given is not None:
        return given, getattr(given, "__name__", "given")
    if dag.has("distance"):
        return dag.distance, dag.distance_name
    return metrics.hamming, "hamming"


def _objects(dag: Dag, name: str, objects: IntArray | None) -> IntArray | None:
    """Terminal states given by a user, checked.

    Raises:
        ValueError: naming the argument and the first bad row.
    """
    if objects is None:
        return None
    rows = np.asarray(objects)
    if rows.ndim != 2 or rows.shape[1] != dag.state_width or not len(rows) or not np.issubdtype(rows.dtype, np.integer):
        raise ValueError(f"{name} must be integers of shape (n, {dag.state_width}), got {rows.dtype} {rows.shape}")
    given, rows = rows, rows.astype(dag.state_dtype)
    good = (rows == given).all(1) & is_reachable(dag, rows)
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(f"{name}: row {row}, {given[row].tolist()}, is not a state of {dag!r}")
    terminal = dag.is_terminal(rows)
    if not terminal.all():
        row = int(np.argmin(terminal))
        raise ValueError(f"{name}: row {row}, {dag.object_names(rows[row : row + 1])[0]}, is not a terminal state")
    return rows
