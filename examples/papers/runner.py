"""A row of a published experiment: an agent with its settings, trained, watched, and kept in a directory.

An interrupted row goes on where it was.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from tqdm import tqdm

import agents
from agents.evaluation import metrics
from agents.evaluation.evaluate import evaluate
from agents.runs import directory as runs
from gfn_envs.arrays import IntArray
from gfn_envs.dag import Dag

#: Rounds between looks at a policy and objects in a look, and how many looks "the last 500 rounds" are: 6,400 objects.
LOOK_EVERY, LOOK_SIZE, LOOKS = 10, 128, 50
#: Seconds after which a checkpoint is due.
CHECKPOINT_SECONDS = 30.0


@dataclass(frozen=True)
class Row:
    """A line of the table: an agent with its settings, and what the paper reports of it."""

    agent: str
    settings: dict[str, Any]
    published: str = "-"


@dataclass(frozen=True)
class Column:
    """A figure that is printed for each row: its name among the results, the heading, and how it is written."""

    name: str
    heading: str
    form: str = "{:.3g}"


@dataclass(frozen=True)
class Experiment:
    """A published experiment: an environment, rows, and the paper's number of rounds.

    Attributes:
        name: of the directory of results.
        what: a sentence for --help and for the table's title.
        env, env_arguments: the environment.
        rows: name -> row.
        columns: what is measured.
        published: heading of the published figures.
        rounds: iterations of the agents.
        quick: what --quick takes instead, ``(rounds, env_arguments, settings)``.
        test_objects: on which log p(x) and log R(x) are correlated; None takes every object where they are enumerable.
        target_mean: sum R^2 / sum R where the environment is too large to enumerate.
        more: further figures of a trained agent, by name, for its columns.
        samples: behind the figures of a trained agent; and what --quick takes instead.
        draw: saves pictures of a trained agent in its directory, and returns what is to be said of them.
    """

    name: str
    what: str
    env: str
    rows: dict[str, Row]
    columns: tuple[Column, ...]
    published: str
    rounds: int
    quick: tuple[int, dict[str, Any], dict[str, Any]]
    env_arguments: dict[str, Any] = field(default_factory=dict)
    test_objects: Callable[[Dag], IntArray] | None = None
    target_mean: Callable[[Dag], float | None] | None = None
    more: Callable[[agents.Agent], dict[str, Any]] | None = None
    draw: Callable[[agents.Agent, Path], str] | None = None
    samples: tuple[int, int] = (2000, 2000)


@dataclass
class Watch:
    """What is remembered of a run beside its agent; saved with every checkpoint."""

    seconds: float = 0.0
    """Of training, without looks and evaluations."""
    transitions: int = 0
    looks: list[dict[str, Any]] = field(default_factory=list)
    """One at every tenth round: mean reward of 128 fresh objects, modes found so far; some with an exact TV."""
    modes: list[int] = field(default_factory=list)
    """Modes seen in looks."""


def run_row(
    experiment: Experiment, row: Row, dag: Dag, seed: int, rounds: int, minutes: float | None, out: Path, title: str
) -> dict[str, Any]:
    """Train one row, from its last checkpoint if there is one, and evaluate it.

    Args:
        experiment: for its evaluation.
        row: the agent.
        dag: the environment.
        seed: of the agent.
        rounds: in all.
        minutes: of training in all, after which the row stops where it is; None for no limit.
        out: the run's directory.
        title: of the progress bar.

    Returns:
        What goes into results.json.

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
        # Rounds at which a row may stop for lack of time are rounds of looks: where it stops changes nothing later.
        while agent.iteration < rounds and (watch.seconds < limit or agent.iteration % LOOK_EVERY):
            start = perf_counter()
            info = agent.update()
            watch.seconds += perf_counter() - start
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
    """Sample from the policy, without exploration, from a stream of its own: training is the same without it."""
    sampled = agent.sample_trajectories(LOOK_SIZE, rng=np.random.default_rng([agent.seed, agent.iteration]))
    found = agent.dag.mode_index(sampled.terminal_states)
    watch.modes = sorted({*watch.modes, *found[found >= 0].tolist()})
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


def measure(experiment: Experiment, agent: agents.Agent, watch: Watch) -> dict[str, Any]:
    """Figures of a trained agent: every metric of ``agents.full_evaluation``, and those over training.

    ``percent_of_target``: 100 x mean reward of the looks of the last 500 rounds / sum R^2 / sum R (Shen et al. 2023),
    with the standard error of these looks; None where the target is unknown. ``rounds_to_target``: the first round
    whose last 500 reach 100%, None where none do. ``modes``: distinct ones in all looks.
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
    return {
        "percent_of_target": recent,
        "percent_of_target_se": error,
        "rounds_to_target": rounds_to_target(rewards, rounds, target) if target else None,
        "modes": len(watch.modes),
        "num_modes": dag.num_modes,
        "target_mean": target,
        "looks": watch.looks,
        "evaluation": found | (experiment.more(agent) if experiment.more else {}),
    }


def rounds_to_target(rewards: np.ndarray, rounds: Sequence[int], target: float) -> int | None:
    """The first of ``rounds`` at which the mean of the last 50 of ``rewards`` reaches ``target``."""
    if len(rewards) < LOOKS:
        return None
    sums = np.cumsum(np.concatenate([[0.0], rewards]))
    reached = (sums[LOOKS:] - sums[:-LOOKS]) / LOOKS >= target
    return rounds[int(np.argmax(reached)) + LOOKS - 1] if reached.any() else None
