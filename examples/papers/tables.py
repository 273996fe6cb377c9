"""Command line and table of a published experiment: measured next to published values.

A finished row is not run again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from filelock import FileLock
from rich.console import Console
from rich.table import Table
from runner import Column, Experiment, Row, run_row

import agents
import gfn_envs
from agents.evaluation import metrics
from agents.plots.figures import comparison
from agents.runs import directory as runs
from agents.runs.compare import Curve
from agents.runs.errors import RunError
from agents.runs.lock import RunLock


def table(experiment: Experiment, results: dict[str, Any], names: Sequence[str], seeds: Sequence[int]) -> Table:
    """Published and measured values: means over seeds, with standard errors if there are several seeds."""
    printed = Table(title=f"{experiment.title} {experiment.env}", title_justify="left")
    for heading in ("row", "rounds", f"published: {experiment.published}", *(c.heading for c in experiment.columns)):
        printed.add_column(heading, justify="left" if heading == "row" else "right")
    for name in names:
        found = [entry for seed in seeds if (entry := results.get(key(name, seed))) is not None]
        if found:
            cells = [summary(found, column) for column in experiment.columns]
            rounds = "/".join(dict.fromkeys(f"{entry['rounds']:,}" for entry in found))
            printed.add_row(name, rounds, experiment.rows[name].published, *cells)
    return printed


def summary(entries: Sequence[dict[str, Any]], column: Column) -> str:
    """A cell of the table: mean and standard error over seeds.

    For a single seed, the error is that over samples. If some seeds lack the metric, the cell says how many have it.
    """
    found = [{**entry["evaluation"], **entry} for entry in entries]
    values = [entry[column.name] for entry in found if entry.get(column.name) is not None]
    if not values:
        return "-"
    mean, error = metrics.mean_and_error(values)
    if len(found) == 1:
        error = found[0].get(f"{column.name}_se")
    text = column.format.format(mean) + (f" ± {column.format.format(error)}" if error is not None else "")
    return text if len(values) == len(entries) else f"{text} ({len(values)} of {len(entries)} seeds)"


def curves(results: dict[str, Any], names: Sequence[str], seeds: Sequence[int], metric: str) -> list[Curve]:
    """Learning curves of ``metric`` over rounds, one per row: mean and standard error over seeds."""
    found = []
    for name in names:
        points: dict[int, list[float]] = {}
        for entry in (results[key(name, seed)] for seed in seeds if key(name, seed) in results):
            scale = 100 / entry["target_mean"] if metric == "percent_of_target" and entry["target_mean"] else None
            column = "mean_reward" if metric == "percent_of_target" else metric
            for point in entry["looks"]:
                if point.get(column) is not None and (scale or metric != "percent_of_target"):
                    points.setdefault(point["round"], []).append(point[column] * (scale or 1))
        if points and not (metric == "modes" and all(entry["modes"] == 0 for entry in results.values())):
            rounds = sorted(points)
            means, errors = zip(*(metrics.mean_and_error(points[r]) for r in rounds), strict=True)
            counts = np.array([len(points[r]) for r in rounds])
            found.append(
                Curve(name, np.array(rounds, float), np.array(means), np.array([e or 0.0 for e in errors]), counts)
            )
    return found


def key(name: str, seed: int) -> str:
    """Key of a row and seed in results.json."""
    return f"{name}, seed {seed}"


# ---------------------------------------------------------------------- the command


def integer(text: str) -> int:
    """Parse an integer >= 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected an integer >= 1, got {text!r}")
    return value


def positive(text: str) -> float:
    """Parse a finite number > 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a finite number > 0, got {text!r}")
    return value


def parser(
    experiment: Experiment, description: str | None, parents: Sequence[argparse.ArgumentParser] = ()
) -> argparse.ArgumentParser:
    """Options of every script, after those of ``parents``."""
    rounds, environment, settings = experiment.quick
    lines = [f"  {name:<22} {row.agent}: {settings_text(row)}" for name, row in experiment.rows.items()]
    made = argparse.ArgumentParser(
        parents=list(parents),
        description=description,
        epilog="rows:\n" + "\n".join(lines) + f"\n\nenvironment: {experiment.env} {experiment.env_arguments or ''}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "--rows",
        metavar="A,B",
        help=f"rows to run, separated by commas, of {', '.join(experiment.rows)} (default: all)",
    )
    made.add_argument("--seeds", "--seed", default="0", metavar="N,N", help="seeds of each row (default 0)")
    made.add_argument("--iterations", type=integer, metavar="N", help=f"rounds (default: {experiment.rounds:,})")
    made.add_argument(
        "--minutes",
        type=positive,
        metavar="M",
        help="stop each row after M minutes of training; a larger M continues it",
    )
    made.add_argument("--env", nargs="*", default=[], metavar="KEY=VALUE", help="arguments of the environment")
    made.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of all agents that have them")
    quick = ", ".join([f"{rounds:,} rounds", *(f"{k} {v}" for k, v in {**environment, **settings}.items())])
    made.add_argument("--quick", action="store_true", help=f"a short run of at most two minutes: {quick}")
    made.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help=f"default runs/{experiment.name}, with -quick appended if --quick",
    )
    return made


def settings_text(row: Row) -> str:
    return ", ".join(f"{k} {v}" for k, v in row.settings.items())


def values(pairs: Sequence[str], made: argparse.ArgumentParser) -> dict[str, Any]:
    """``["side=8", "reward=easy"]`` as a dict. Values that are not JSON are text."""
    found = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not (name and equals):
            made.error(f"expected KEY=VALUE, got {pair!r}")
        try:
            found[name] = json.loads(text)
        except json.JSONDecodeError:
            found[name] = text
    return found


def main(
    experiment: Experiment,
    description: str | None,
    arguments: Sequence[str] | None = None,
    parents: Sequence[argparse.ArgumentParser] = (),
) -> None:
    """Run the rows that the command line selects, and print the table.

    Args:
        experiment: the script's experiment.
        description: text of --help.
        arguments: command-line arguments. None: those of the process.
        parents: parsers of options that the script has already read, for --help.

    Raises:
        SystemExit: code 2 for invalid options, missing data, or a directory that holds another run; code 130 if
            interrupted.
    """
    made = parser(experiment, description, parents)
    options = made.parse_args(arguments)
    names = list(experiment.rows) if options.rows is None else [name.strip() for name in options.rows.split(",")]
    if unknown := [name for name in names if name not in experiment.rows]:
        made.error(f"--rows: no row {', '.join(unknown)}; allowed: {', '.join(experiment.rows)}")
    try:
        seeds = [int(seed) for seed in options.seeds.split(",")]
    except ValueError:
        made.error(f"--seeds: expected integers such as 0,1,2, got {options.seeds!r}")
    quick_rounds, quick_environment, quick_settings = experiment.quick
    rounds = options.iterations or (quick_rounds if options.quick else experiment.rounds)
    settings = {**(quick_settings if options.quick else {}), **values(options.set, made)}
    given = {**(quick_environment if options.quick else {}), **values(options.env, made)}
    if options.quick:
        experiment = dataclasses.replace(experiment, samples=experiment.samples[1:] * 2)
    out = options.out or Path("runs") / (experiment.name + "-quick" * options.quick)
    if out.is_file():
        stop(f"error: --out: {out} is a file, not a directory", 2)
    try:
        results = run(experiment, names, seeds, rounds, options.minutes, out, given, settings)
        show(experiment, results, names, seeds, out)
    except (ValueError, TypeError, OSError, ImportError) as error:  # RunError and DatasetError are among them.
        stop(f"error: {error}", 2)
    except KeyboardInterrupt:
        stop("interrupted; the same command continues, and rows that are finished are kept", 130)


def stop(message: str, code: int) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(code)


def settings_of(agent: str) -> set[str]:
    """Names of the settings of an agent."""
    return {field.name for field in dataclasses.fields(agents.AGENTS[agent].config_class)}


KNOWN_SETTINGS = set().union(*map(settings_of, agents.AGENTS))


def run(
    experiment: Experiment,
    names: Sequence[str],
    seeds: Sequence[int],
    rounds: int,
    minutes: float | None,
    out: Path,
    env_arguments: dict[str, Any],
    settings: dict[str, Any],
) -> dict[str, Any]:
    """Train the rows that ``out`` does not hold yet. Returns the content of results.json, including older rows.

    Several processes can share ``out``: each row and seed is trained by one of them, and left out by the others.
    """
    dag = gfn_envs.make_dag(experiment.env, **{**experiment.env_arguments, **env_arguments})
    torch.set_num_threads(1)  # With batches this small, more threads are slower.
    file = out / "results.json"
    results = runs.read_json(file) if file.exists() else {}
    for name in names:
        row = experiment.rows[name]
        # A Markov chain has no network: it does not get settings that only other agents have.
        absent = KNOWN_SETTINGS - settings_of(row.agent)
        fitting = {key: value for key, value in settings.items() if key not in absent}
        row = dataclasses.replace(row, settings={**row.settings, **fitting})
        for seed in seeds:
            label, folder = key(name, seed), out / f"{name.replace(' ', '')}-seed{seed}"
            with ExitStack() as stack:
                try:
                    stack.enter_context(RunLock(folder))
                except RunError as error:
                    print(f"{label}: left out, {error}")
                    continue
                # Another process may have finished rows meanwhile.
                results |= runs.read_json(file) if file.exists() else {}
                known = results.get(label)
                finished = known and (
                    known["rounds"] >= rounds or (minutes is not None and known["seconds"] >= 60 * minutes)
                )
                if finished:
                    runs.check_same(folder, runs.describe(agents.make_agent(row.agent, dag, seed=seed, **row.settings)))
                    print(f"{label}: already there, {known['rounds']:,} rounds in {known['seconds']:.0f} s")
                    continue
                found = run_row(experiment, row, dag, seed, rounds, minutes, folder, label)
                with FileLock(out / ".results.lock"):
                    results |= runs.read_json(file) if file.exists() else {}
                    results[label] = found | {"published": row.published}
                    runs.write_json(file, results)
    return results


def show(
    experiment: Experiment, results: dict[str, Any], names: Sequence[str], seeds: Sequence[int], out: Path
) -> None:
    """Print the table and draw learning curves."""
    Console(width=max(150, Console().width)).print(table(experiment, results, names, seeds))
    for metric in ("percent_of_target", "tv", "modes", "mean_reward"):
        if found := curves(results, names, seeds, metric):
            path = out / f"{metric}.png"
            comparison({experiment.env: found}, metric.replace("_", " "), "round", path)
            print(f"learning curves: {path}")
    print(f"all results: {out / 'results.json'}")
