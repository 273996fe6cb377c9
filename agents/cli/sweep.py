"""gfn sweep: many runs in parallel, on this machine or on a Ray cluster."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import shlex
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.cli.compare import compare
from agents.cli.errors import UsageError, nearest
from agents.cli.parsing import check_at_least, parse
from agents.cli.train import prepared
from agents.cli.train_flags import options_class
from agents.cli.worker import Place, train_run
from agents.runs import files
from agents.runs.compare import is_number, read_run
from agents.runs.lock import RunLock
from agents.sweeps.drive import Grid, Source, drive
from agents.sweeps.grid import Axis, Run, parse_grid, parse_seeds, plan, showing_each_value
from agents.sweeps.ray_runner import RayWorkers, connected
from agents.sweeps.record import Record
from agents.sweeps.search import Search, written

#: Flags of gfn train that a sweep sets itself -> what to do instead.
SET_BY_SWEEP = {
    "seed": "give --seeds",
    "resume": "a sweep always resumes: leave it out",
    "no_resume": "give a new --out",
}
#: Trials that a search prints at its end.
BEST = 5


@dataclass
class SweepOptions:
    """Train many runs in parallel, in Ray processes on this machine or on a cluster. Every flag of gfn train applies to
    all runs. The same command continues an interrupted sweep. If a worker dies, another one continues its run from the
    last checkpoint.

    Example: gfn sweep tb,subtb GFN/HyperGrid-v0 --seeds 0:5 --grid agent.lr=1e-3,3e-3 agent.lamda=0.8,0.9

    Example of a search: gfn sweep tb GFN/HyperGrid-v0 --grid agent.lr=1e-4:1e-1:log --search 20 --minimize tv"""

    grid: tuple[str, ...] = ()
    """Settings that differ between runs, each as NAME=VALUE,VALUE with the name of a flag of gfn train, such as
    agent.lr=1e-3,3e-3 or env.side=8,16. Parentheses keep commas together: agent.epsilon=(0.1,0,1000),0.05. A search
    also takes LOW:HIGH and LOW:HIGH:log. An agent that does not have a setting runs without it."""
    seeds: str = "0"
    """Seeds of each combination: 0:5 is 0, 1, 2, 3, 4; also a list, such as 0,3,7."""
    out: Path = Path("runs/sweep")
    """Folder for the run directories and sweep.json. On a cluster, all machines must share it."""
    workers: int | None = None
    """Number of runs in parallel. Default: the number of cores, on this machine or in the cluster."""
    address: str | None = None
    """A running Ray: HOST:PORT, or auto for the one on this machine. Default: RAY_ADDRESS if it is set. Otherwise Ray
    is started on this machine, and ends with the sweep."""
    gpus: float = 0.0
    """GPUs per run, for --agent.device cuda. With 0.25, four runs share one."""
    retries: int = 3
    """How often a run is continued by another worker if its worker dies."""
    search: int | None = None
    """Let Optuna choose this many combinations, instead of running all."""
    minimize: str | None = None
    """Final metric that a search minimizes, such as tv: the mean over seeds."""
    maximize: str | None = None
    """Final metric that a search maximizes, such as elbo."""
    progress: bool = True
    """Show progress over all runs."""


def sweep(arguments: list[str]) -> int:
    """gfn sweep AGENT,AGENT ENV ... Returns 1 if a run failed, else 0."""
    named = [word for word in arguments[:2] if not word.startswith("-")]
    own, common = split_flags(arguments[len(named) :])
    options = parse(SweepOptions, own, " ".join(["gfn sweep", *named, *("AGENT,AGENT", "ENV")[len(named) :]]))
    if len(named) < 2:
        raise UsageError("gfn sweep needs agents and an environment, such as: gfn sweep tb,subtb GFN/HyperGrid-v0")
    check(options)
    names, id = named[0].split(","), named[1]
    try:
        axes, seeds = parse_grid(options.grid), parse_seeds(options.seeds)
    except ValueError as error:
        raise UsageError(str(error)) from None
    ranges = [axis.key for axis in axes if axis.range is not None]
    if ranges and options.search is None:
        raise UsageError(f"--grid {ranges[0]}: LOW:HIGH needs --search; a grid needs values: {ranges[0]}=VALUE,VALUE")
    table = axes_by_agent(names, axes, common)
    words = functools.partial(words_of, id=id, common=common, names=names)
    cores = check_settings(table, seeds, words)
    record = Record(options.out)
    with RunLock(options.out):
        return _sweep(arguments, options, table, seeds, words, cores, record)


def _sweep(
    arguments: list[str],
    options: SweepOptions,
    table: dict[str, list[Axis]],
    seeds: tuple[int, ...],
    words: functools.partial[list[str]],
    cores: int,
    record: Record,
) -> int:
    """:func:`sweep` in a folder that this process holds."""
    place = Place(options.out.absolute(), Path.cwd(), uuid.uuid4().hex)
    address = options.address or os.environ.get("RAY_ADDRESS")
    with connected(address, options.workers and options.workers * cores) as ray:
        total = int(ray.cluster_resources().get("CPU", 0))
        room = options.workers or max(1, total // cores)
        source: Source
        if options.search is None:
            source = Grid(plan(table, seeds))
        else:
            maximize = options.maximize is not None
            metric = functools.partial(final_value, options.out, str(options.maximize or options.minimize))
            at_once = math.ceil(room / len(seeds))
            source = Search(table, seeds, options.search, maximize, at_once, metric, record)
        record.save(command=["gfn", "sweep", *arguments], folder=str(place.cwd), token=place.token)
        where = f"Ray at {address}" if address else "this machine"
        print(f"{source.total} runs in {options.out}, {room} at once on {where}", file=sys.stderr)
        workers = RayWorkers(train_run, place, ray, options.workers, cores, options.gpus, options.retries)
        failed = drive(workers, source, record, words, options.progress)
    report(options, table, seeds, record)
    for name, error in failed.items():
        print(f"failed: {name}: {error}", file=sys.stderr)
    if failed:
        print(f"{len(failed)} of {source.total} runs failed; the same command tries them again", file=sys.stderr)
    return 1 if failed else 0


def report(options: SweepOptions, table: dict[str, list[Axis]], seeds: Sequence[int], record: Record) -> None:
    """Print the best trials of a search, or compare the runs of a grid, and say what comes next."""
    if options.search is not None:
        best = [trial for trial in record.trials if trial["value"] is not None]
        best.sort(key=lambda trial: trial["value"], reverse=options.maximize is not None)
        for trial in best[:BEST]:
            values = "  ".join([trial["agent"], *(f"{key}={written(v)}" for key, v in trial["drawn"].items())])
            print(f"{options.maximize or options.minimize} {trial['value']:.6g}  {values}")
    else:
        directories = [options.out / run.name for run in plan(table, seeds)]
        begun = [str(directory) for directory in directories if (directory / files.CONFIG).exists()]
        if begun:
            compare([*begun, "--out", str(options.out / "comparison.png")])
    print(f"next:\n  {shlex.join(['gfn', 'compare', str(options.out)])}")


def final_value(folder: Path, metric: str, name: str) -> float | None:
    """The final metric of a run, or None if it is not a number.

    Raises:
        UsageError: runs have no such metric.
    """
    final = read_run(folder / name).final
    if metric not in final:
        known = [name for name, value in final.items() if is_number(value)]
        raise UsageError(f"the final metrics of {folder / name} have no {metric!r}{nearest(metric, known)}")
    return final[metric] if is_number(final[metric]) and math.isfinite(final[metric]) else None


# ---------------------------------------------------------------------- flags


def split_flags(arguments: list[str]) -> tuple[list[str], list[list[str]]]:
    """The words of the flags of a sweep, and the flags of ``gfn train``, each with its values."""
    names = {field.name for field in dataclasses.fields(SweepOptions)}
    flags: list[list[str]] = []
    for word in arguments:
        if word.startswith("--") or word == "-h" or not flags:
            flags.append([word])
        else:
            flags[-1].append(word)
    own = [flag for flag in flags if flag_name(flag).removeprefix("no_") in {*names, "help", "_h"}]
    return [word for flag in own for word in flag], [flag for flag in flags if flag not in own]


def flag_name(flag: list[str]) -> str:
    """The name of a flag, such as agent.lr_log_z, without its value."""
    return flag[0].split("=")[0].removeprefix("--").replace("-", "_")


def check(options: SweepOptions) -> None:
    """Raise UsageError if options are out of range or contradict each other."""
    check_at_least(1, options, "workers", "search")
    check_at_least(0, options, "retries", "gpus")
    goals = [name for name in ("minimize", "maximize") if getattr(options, name) is not None]
    if options.search is not None and len(goals) != 1:
        raise UsageError("--search needs one goal: --minimize METRIC, such as tv, or --maximize METRIC, such as elbo")
    if options.search is None and goals:
        raise UsageError(f"--{goals[0]} needs --search N, the number of combinations to try")
    if options.search is not None and not options.grid:
        raise UsageError("--search needs --grid: the settings to choose, such as agent.lr=1e-4:1e-1:log")


def settings(name: str, flags: Sequence[str]) -> list[str]:
    """Names of an agent's settings, if these flags are given. Raises UsageError if the agent is unknown."""
    kind = options_class(name, None, not {"conditions", "env.conditions"}.isdisjoint(flags))
    of_agent: Any = next(group.default_factory for group in dataclasses.fields(kind) if group.name == "agent")
    return [field.name for field in dataclasses.fields(of_agent)]


def axes_by_agent(names: Sequence[str], axes: Sequence[Axis], common: Sequence[list[str]]) -> dict[str, list[Axis]]:
    """Agent -> the axes that it has.

    Raises:
        UsageError: an agent is unknown or doubled, no agent has a setting, or a flag is also an axis or the sweep's.
    """
    if doubled := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"{doubled[0]} occurs twice in {','.join(names)}")
    given = [flag_name(flag) for flag in common]
    for name in given:
        if name in SET_BY_SWEEP:
            raise UsageError(f"gfn sweep: --{name.replace('_', '-')} is set by the sweep; {SET_BY_SWEEP[name]}")
    known = {name: settings(name, [*given, *(axis.key for axis in axes)]) for name in names}
    for axis in axes:
        group, _, setting = axis.key.rpartition(".")
        if axis.key in given:
            raise UsageError(f"{axis.key} is in --grid and a flag: give one of them")
        without = [name for name in names if group == "agent" and setting not in known[name]]
        if without == list(names):
            hint = nearest(setting, dict.fromkeys(setting for own in known.values() for setting in own))
            raise UsageError(f"--grid {axis.key}: {', '.join(names)} has no such setting{hint}")
        if without:
            print(f"{', '.join(without)} runs without {axis.key}, a setting that it does not have", file=sys.stderr)
    return {
        name: [axis for axis in axes if not axis.key.startswith("agent.") or axis.key[6:] in known[name]]
        for name in names
    }


def words_of(run: Run, id: str, common: Sequence[list[str]], names: Sequence[str]) -> list[str]:
    """The words after ``gfn train`` of a run, without its directory."""
    given = [flag_name(flag) for flag in common]
    flags = [*given, *(key for key, _ in run.values)]
    others = {setting for name in names for setting in settings(name, flags)} - set(settings(run.agent, flags))
    kept = [flag for flag in common if not _is_of(flag, others)]
    quiet = ["--no-progress", *([] if "figures" in given or "no_figures" in given else ["--no-figures"])]
    threads = [] if "threads" in given else ["--threads", "1"]
    return [run.agent, id, *(word for flag in kept for word in flag), *run.flags(), *threads, *quiet]


def _is_of(flag: list[str], settings: set[str]) -> bool:
    """True if a flag is of one of these settings of an agent."""
    group, _, name = flag_name(flag).rpartition(".")
    return group == "agent" and (name in settings or name.removeprefix("no_") in settings)


def check_settings(table: dict[str, list[Axis]], seeds: Sequence[int], words: functools.partial[list[str]]) -> int:
    """Make an environment and an agent with each value of each axis, so that errors come before the first run.

    Returns:
        The number of threads of a run.

    Raises:
        UsageError: a flag or value is wrong, or two values of an axis are the same.
    """
    threads = 1
    read: dict[tuple[str, str, str], str] = {}
    ends = {name: [_ends(axis) for axis in axes] for name, axes in table.items()}
    for run in showing_each_value(plan(ends, seeds[:1])):
        name, id, *flags = words(run)
        options, _, _ = prepared([name, id], flags)
        threads = max(threads, options.threads or 1)
        for key, value in run.values:
            parsed = repr(functools.reduce(getattr, key.split("."), options))
            first = read.setdefault((name, key, parsed), value)
            if first != value:
                raise UsageError(f"--grid {key}: {first} and {value} are the same value")
    return threads


def _ends(axis: Axis) -> Axis:
    """A range as the list of its ends."""
    if axis.range is None:
        return axis
    number = int if axis.range.integer else float
    return Axis(axis.key, (written(number(axis.range.low)), written(number(axis.range.high))))
