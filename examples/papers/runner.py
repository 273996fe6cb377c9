"""One row of a published experiment: train an agent, sample from it at intervals, and evaluate it.

An interrupted row resumes from its last checkpoint.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from tqdm import tqdm

import agents
from agents.evaluation import metrics
from agents.evaluation.evaluate import evaluate
from agents.runs import directory as runs
from gfn_envs.arrays import IntArray
from gfn_envs.dag import Dag

#: A look is a sample of LOOK_SIZE objects every LOOK_EVERY rounds. "The last 500 rounds" are the last LOOKS looks, or
#: 6,400 objects.
LOOK_EVERY, LOOK_SIZE, LOOKS = 10, 128, 50
#: A row stays at the target if no later mean of 500 rounds is below this share of it.
STAYS = 0.98
#: Number of best distinct objects of all looks that a run keeps.
BEST = 100
#: Seconds between checkpoints.
CHECKPOINT_SECONDS = 30.0


@dataclass(frozen=True)
class Row:
    """A row of the table: an agent, its settings, and the published value."""

    agent: str
    settings: dict[str, Any]
    published: str = "-"


@dataclass(frozen=True)
class Column:
    """A column of the table: the name of the metric among the results, the heading, and the format."""

    name: str
    heading: str
    format: str = "{:.3g}"


@dataclass(frozen=True)
class Experiment:
    """A published experiment: an environment, the rows and columns of its table, and the number of rounds.

    Attributes:
        name: name of the results directory.
        title: title of the table.
        env, env_arguments: registered id and arguments of the environment.
        rows: name -> row.
        columns: metrics shown in the table.
        published: heading of the column of published values.
        rounds: training iterations.
        quick: ``(rounds, env_arguments, settings)`` that --quick uses instead.
        test_objects: objects on which log p(x) and log R(x) are correlated. None: all objects, if they can be listed.
        target_mean: sum R^2 / sum R, if the environment is too large to enumerate.
        published_target: the mean reward that the paper calls 100%, if it is not sum R^2 / sum R.
        extra_metrics: returns more metrics of a trained agent, name -> value.
        metrics_of_best: returns metrics of the BEST distinct objects of all looks, (m, state_width), name -> value.
        samples: number of objects sampled for the metrics of a trained agent, normally and with --quick.
        draw: saves figures of a trained agent in its directory and returns a line that says what they are.
    """

    name: str
    title: str
    env: str
    rows: dict[str, Row]
    columns: tuple[Column, ...]
    published: str
    rounds: int
    quick: tuple[int, dict[str, Any], dict[str, Any]]
    env_arguments: dict[str, Any] = field(default_factory=dict)
    test_objects: Callable[[Dag], IntArray | None] | None = None
    target_mean: Callable[[Dag], float | None] | None = None
    published_target: Callable[[Dag], float] | None = None
    extra_metrics: Callable[[agents.Agent], dict[str, Any]] | None = None
    metrics_of_best: Callable[[Dag, IntArray], dict[str, Any]] | None = None
    draw: Callable[[agents.Agent, Path], str] | None = None
    samples: tuple[int, int] = (2000, 2000)


@dataclass
class Watch:
    """Record of a run, saved with every checkpoint of its agent."""

    seconds: float = 0.0
    """CPU seconds of training, without looks and evaluations."""
    transitions: int = 0
    looks: list[dict[str, Any]] = field(default_factory=list)
    """One entry per look: mean reward of 128 new objects and modes found so far. Some entries hold an exact TV."""
    modes: list[int] = field(default_factory=list)
    """Indices of the modes found in all looks."""
    best: list[tuple[float, list[int]]] = field(default_factory=list)
    """log R and state of the BEST distinct objects of all looks with the most reward, best first."""


def run_row(
    experiment: Experiment, row: Row, dag: Dag, seed: int, rounds: int, minutes: float | None, out: Path, title: str
) -> dict[str, Any]:
    """Train one row, from its last checkpoint if there is one, and evaluate it.

    Args:
        experiment: the experiment, for its evaluation.
        row: the agent and its settings.
        dag: the environment.
        seed: seed of the agent.
        rounds: total number of rounds.
        minutes: limit on the CPU time of training. The row stops at the next look. None: no limit.
        out: directory of the run.
        title: label of the progress bar.

    Returns:
        The entry of the row in results.json.

    Raises:
        RunError: the directory holds a run with other settings.
    """
    agent = agents.make_agent(row.agent, dag, seed=seed, **row.settings)
    config = runs.describe(agent)
    watch = Watch()
    if (out / runs.CONFIG).exists():
        runs.check_same(out, config)
    if (out / runs.CHECKPOINT).exists():
        watch = Watch(**runs.load_checkpoint(out, agent))
    runs.write_json(out / runs.CONFIG, config)
    evaluate_every = max(LOOK_EVERY, rounds // 20 // LOOK_EVERY * LOOK_EVERY)
    limit, saved = float("inf") if minutes is None else 60 * minutes, perf_counter()
    with tqdm(total=rounds, initial=agent.iteration, desc=title, unit="round", dynamic_ncols=True) as bar:
        # The time limit stops a row only at a look, so that a resumed row equals an uninterrupted one.
        while agent.iteration < rounds and (watch.seconds < limit or agent.iteration % LOOK_EVERY):
            start = process_time()
            info = agent.update()
            watch.seconds += process_time() - start
            watch.transitions += int(info["transitions"])
            bar.update()
            last = agent.iteration == rounds or (watch.seconds >= limit and agent.iteration % LOOK_EVERY == 0)
            evaluated = agent.iteration % evaluate_every == 0 or last
            if agent.iteration % LOOK_EVERY == 0 or last:
                look(agent, watch, evaluated)
                bar.set_postfix({k: f"{v:.4g}" for k, v in watch.looks[-1].items() if k in ("mean_reward", "tv")})
            if evaluated or perf_counter() - saved > CHECKPOINT_SECONDS:
                runs.save_checkpoint(out, agent, dataclasses.asdict(watch))
                saved = perf_counter()
    if experiment.draw is not None:
        print(f"{title}: {experiment.draw(agent, out)}")
    return {"config": config, "rounds": agent.iteration, "seconds": watch.seconds, **measure(experiment, agent, watch)}


def look(agent: agents.Agent, watch: Watch, evaluated: bool) -> None:
    """Sample from the policy, without exploration, and record the result.

    The random numbers come from a separate stream, so looks do not change training.
    """
    sampled = agent.sample_trajectories(LOOK_SIZE, rng=np.random.default_rng([agent.seed, agent.iteration]))
    found = agent.dag.mode_index(sampled.terminal_states)
    watch.modes = sorted({*watch.modes, *found[found >= 0].tolist()})
    watch.best = best_of(watch.best, sampled.terminal_states, sampled.log_reward)
    entry = {
        "round": agent.iteration,
        "seconds": watch.seconds,
        "transitions": watch.transitions,
        "log_z": agent.log_z,
        "mean_reward": float(np.exp(sampled.log_reward).mean()),
        "modes": len(watch.modes),
    }
    if evaluated and (tv := evaluate(agent, num_samples=2)["tv"]) is not None:
        entry["tv"] = tv
    watch.looks.append(entry)


def best_of(
    known: list[tuple[float, list[int]]], states: IntArray, log_reward: np.ndarray
) -> list[tuple[float, list[int]]]:
    """The BEST distinct objects with the most reward, of those ``known`` and new ones, best first."""
    found = {tuple(state): value for value, state in known}
    found |= dict(zip(map(tuple, states.tolist()), log_reward.tolist(), strict=True))
    ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:BEST]
    return [(value, list(state)) for state, value in ranked]


def measure(experiment: Experiment, agent: agents.Agent, watch: Watch) -> dict[str, Any]:
    """Metrics of a trained agent: every metric of ``agents.full_evaluation``, and metrics over training.

    ``percent_of_target``: 100 x mean reward of the looks of the last 500 rounds / (sum R^2 / sum R) (Shen et al. 2023),
    and its standard error over these looks. None if the target is unknown.
    ``rounds_to_target``: the first round at which the mean of the preceding 500 rounds reaches 100%, if no later one is
    below 98%. None if there is none. ``rounds_to_published_target``: the same for the target of the paper, if that is
    another; ``published_target`` is its mean reward.
    ``modes``: number of distinct modes in all looks.
    """
    dag = agent.dag
    objects = None if experiment.test_objects is None else experiment.test_objects(dag)
    found = agents.full_evaluation(agent, experiment.samples[0], test_objects=objects)
    target = found["target_mean_reward"]
    if target is None and experiment.target_mean is not None:
        target = experiment.target_mean(dag)
    rewards = np.array([entry["mean_reward"] for entry in watch.looks])
    recent, error = metrics.mean_and_error(100 * rewards[-LOOKS:] / target) if target else (None, None)
    rounds = [entry["round"] for entry in watch.looks]
    theirs = None if experiment.published_target is None else experiment.published_target(dag)
    if experiment.extra_metrics is not None:
        found |= experiment.extra_metrics(agent)
    if experiment.metrics_of_best is not None:
        found |= experiment.metrics_of_best(dag, np.array([state for _, state in watch.best], dag.state_dtype))
    return {
        "percent_of_target": recent,
        "percent_of_target_se": error,
        "rounds_to_target": rounds_to_target(rewards, rounds, target) if target else None,
        "rounds_to_published_target": rounds_to_target(rewards, rounds, theirs) if theirs else None,
        "published_target": theirs,
        "modes": len(watch.modes),
        "num_modes": dag.num_modes,
        "target_mean": target,
        "looks": watch.looks,
        "l1": None if found["tv"] is None else 2 * found["tv"],
        "evaluation": found,
    }


def rounds_to_target(rewards: np.ndarray, rounds: Sequence[int], target: float) -> int | None:
    """First of ``rounds`` at which the mean of the last 50 ``rewards`` reaches ``target`` to stay.

    To stay means that no later mean is below 98% of the target. A first crossing would count noise, and a collapse on
    high rewards early in training. None if there is no such round.
    """
    if len(rewards) < LOOKS:
        return None
    sums = np.cumsum(np.concatenate([[0.0], rewards]))
    means = (sums[LOOKS:] - sums[:-LOOKS]) / LOOKS
    fallen = np.flatnonzero(means < STAYS * target)
    first = int(fallen[-1]) + 1 if len(fallen) else 0
    reached = np.flatnonzero(means[first:] >= target)
    return rounds[first + int(reached[0]) + LOOKS - 1] if len(reached) else None
