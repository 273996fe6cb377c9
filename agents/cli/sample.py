"""gfn sample: objects sampled from a run, as tables or in the formats of their fields."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from tqdm import tqdm

from agents.agent import Agent
from agents.cli.conditions import at_condition
from agents.cli.errors import UsageError
from agents.cli.parsing import check_at_least, check_seed, parse
from agents.cli.printing import print_objects
from agents.evaluation.evaluate import may_evaluate_rewards
from agents.evaluation.pareto import pareto_front
from agents.export.formats import check_suffix, write_samples
from agents.export.names import read_known
from agents.export.samples import CONDITION, Samples, column_of, draw_samples, select
from agents.export.tables import table_columns
from agents.runs import directory as runs
from gfn_envs.dag import Dag

#: Objects that are printed if they are not written to a file.
SHOWN = 10


@dataclass
class SampleOptions:
    """Objects sampled from a run, written as your field writes them: SMILES, sequences, trees, cells.
    Example: gfn sample runs/demo --num 10000 --unique --sort reward --out samples.csv samples.sdf

    Formats: .csv and .parquet (object, reward, log_reward, components of the reward, log_pf, samples) and .npy (state
    rows) for every environment; .smi and .sdf for molecules, .fasta for sequences; .nwk and
    .nex for trees, .contree for their majority-rule consensus, .clades.csv for the support of clades.
    --no-reward is short for --rewards none."""

    run: tyro.conf.Positional[Path]
    """Run directory."""
    out: tuple[Path, ...] = ()
    """Files to write. Their suffixes set the formats. Default: print the first ten rows."""
    condition: str | None = None
    """Condition at which to sample a run with conditions, such as beta=8 or qed=0.5,sa=0.5. Default: drawn as in
    training."""
    num: int = 1000
    """Number of trajectories to sample."""
    unique: bool = False
    """Write each distinct object once, with the number of trajectories that ended in it."""
    sort: Literal["reward", "samples", "none"] = "none"
    """Order of the rows: most reward first, most samples first, or as sampled."""
    front: bool = False
    """Write only objects that no other one dominates in all components of the reward (the Pareto front), each once."""
    min_reward: float | None = None
    """Leave out objects with a smaller reward, or an unknown one."""
    exclude: Path | None = None
    """Leave out the objects in this file: SMILES of molecules, in any form; of other objects, the column object of a
    .csv file, else one object per line."""
    top: int | None = None
    """Write at most this many rows, after sorting."""
    rewards: Literal["auto", "all", "none"] = "auto"
    """Which rewards to evaluate: all, none, or auto (all; if they are expensive, only those that are already known).
    Each distinct object is evaluated once."""
    log_pf: bool = False
    """Also give log P_F of the trajectory that led to each object."""
    seed: int = 0
    """Seed of the samples."""
    trust: bool = False
    """Import the modules that the run names, such as that of a reward function. This runs their code."""
    progress: bool = True
    """Show a progress bar."""


def sample(arguments: list[str]) -> int:
    """gfn sample DIR"""
    words = ["--rewards=none" if word == "--no-reward" else word for word in arguments]
    options = parse(SampleOptions, words, "gfn sample")
    check_seed(options.seed)
    check_at_least(1, options, "num", "top")
    agent = at_condition(runs.load_agent(options.run, trust=options.trust), options.condition)
    check_rewards_are_known(agent, options)
    try:
        objectives = components(agent.dag) if options.front else []
        for path in options.out:
            check_suffix(path, agent.dag)
        excluded = [] if options.exclude is None else read_known(options.exclude, agent.dag)
        drawn = drawn_with_progress(agent, options)
        chosen = select(
            on_front(drawn, objectives) if options.front else drawn,
            unique=options.unique or options.front,
            min_reward=options.min_reward,
            exclude=excluded,
            sort=options.sort,
            top=options.top,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    print(summary(agent, drawn, chosen, excluded, options))
    if not options.out:
        print_rows(chosen)
    return write_all(options.out, chosen, agent)


def check_rewards_are_known(agent: Agent, options: SampleOptions) -> None:
    """Raise UsageError if the rows are to be chosen by rewards that are not evaluated."""
    if options.rewards == "none":
        for flag, given in (("--sort reward", options.sort == "reward"), ("--min-reward", options.min_reward)):
            if given not in (None, False):
                raise UsageError(f"{flag} needs rewards, but --no-reward (--rewards none) was given")


def drawn_with_progress(agent: Agent, options: SampleOptions) -> Samples:
    """The samples, with a progress bar over trajectories and one over rewards."""
    with contextlib.ExitStack() as stack:
        bars: dict[str, tqdm[Any]] = {}

        def advance(unit: str, done: int, total: int) -> None:
            if unit not in bars:
                bar = tqdm(total=total, unit=unit, disable=not options.progress, dynamic_ncols=True)
                bars[unit] = stack.enter_context(bar)
            bars[unit].update(done)

        return draw_samples(
            agent,
            options.num,
            options.seed,
            rewards=options.rewards,
            with_log_pf=options.log_pf,
            advance=advance,
        )


def components(dag: Dag) -> list[str]:
    """Columns of the components of the reward, for --front; [] if only calls of an oracle tell their names.

    Raises:
        UsageError: there are fewer than two.
    """
    found = dag.reward_components(dag.source(0)) if dag.has("reward_components") else {}
    names = [column_of(dag, name) for name in found if not name.startswith(CONDITION)]
    if len(names) < 2 and dag.oracle is None:
        raise UsageError(f"--front needs two components of the reward or more, got {len(names)}")
    return names if len(names) > 1 else []


def on_front(drawn: Samples, names: list[str]) -> Samples:
    """The samples that no other one dominates in these columns; without names, in those of an oracle's components."""
    names = names or [name for name in drawn.columns if name != "log_pf" and not name.startswith(CONDITION)]
    if len(names) < 2 or not all(name in drawn.columns for name in names):
        raise UsageError("--front needs rewards with two components or more, which are not known: add --rewards all")
    values = np.stack([drawn.columns[name] for name in names], axis=1)
    known = np.flatnonzero(~np.isnan(values).any(1))
    if not len(known):
        raise UsageError("--front needs rewards with two components or more, which are not known: add --rewards all")
    return drawn.take(known[pareto_front(values[known])])


def summary(agent: Agent, drawn: Samples, chosen: Samples, excluded: list[str], options: SampleOptions) -> str:
    """One line on the samples, the rewards that are known, and the rows that are left."""
    known, distinct = ~np.isnan(chosen.log_reward), len(set(drawn.names))
    text = f"{len(drawn):,} samples of {agent.name}, {distinct:,} distinct; {len(chosen):,} rows"
    if excluded:
        found = len(set(drawn.names) & set(excluded))
        text += f"; {found:,} of the {len(set(excluded)):,} excluded objects were sampled"
    if not known.all():
        text += f"; {known.sum():,} rows with a known reward"
        if options.rewards == "all" and agent.dag.oracle is not None:
            text += f" ({agent.dag.oracle.text})"
        elif options.rewards == "auto" and not may_evaluate_rewards(agent.dag, "auto"):
            text += " (rewards are expensive: --rewards all evaluates them)"
    return text


def print_rows(samples: Samples) -> None:
    """Print the first rows as a table."""
    columns = table_columns(samples.take(np.arange(min(SHOWN, len(samples)))))
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    print_objects(rows, f"first {len(rows)} of {len(samples):,} rows; --out writes all")


def write_all(paths: tuple[Path, ...], samples: Samples, agent: Agent) -> int:
    """Write every file that can be written. Returns the exit code: 2 if one could not."""
    failed = 0
    for path in paths:
        try:
            write_samples(path, samples, agent.dag)
            print(f"saved {path}")
        except (OSError, ImportError, ValueError) as error:
            print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
            failed = 2
    return failed
