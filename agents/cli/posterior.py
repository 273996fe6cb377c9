"""gfn posterior: edge probabilities of Bayesian networks from a run."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agents.cli.errors import UsageError
from agents.cli.parsing import check_at_least, check_seed, parse
from agents.evaluation import graph_posterior as posteriors
from agents.evaluation.graph_posterior import GraphPosterior
from agents.plots.graph_posterior import graph_posterior_figure
from agents.runs import directory as runs
from agents.runs.files import write_atomically
from gfn_envs.arrays import BoolArray

#: Number of edges to print.
SHOWN = 20
PICTURES = (".png", ".pdf", ".svg")


@dataclass
class PosteriorOptions:
    """Probabilities of edges, paths and Markov blankets of a run on Bayesian networks, with the exact ones on few
    nodes; the most probable equivalence classes (CPDAGs); the distance to a known graph. Example: gfn posterior
    runs/demo --out edges.csv edges.png

    Exact: all three relations on up to 6 nodes, edges on up to 12."""

    run: tyro.conf.Positional[Path]
    """Run directory."""
    out: tuple[Path, ...] = ()
    """Files to write: .csv (one row per ordered pair of nodes), .png, .pdf or .svg (graph and matrices)."""
    num: int = 10_000
    """Number of graphs to sample, if the probabilities of the agent are not computed exactly."""
    truth: Path | None = None
    """CSV file of a known graph, one edge per line in the columns from,to, for the expected structural Hamming
    distance. Default: the graph that simulated the data, if there is one."""
    best: int = 5
    """Number of equivalence classes to list."""
    rewards: Literal["auto", "all", "none"] = "auto"
    """Which rewards to evaluate: all, none (without exact probabilities), or auto: none if they are expensive."""
    exact_states: int | None = None
    """Probabilities of the agent are exact if the environment has at most this many states. Default: 2,000,000."""
    seed: int = 0
    """Seed of the samples."""
    trust: bool = False
    """Import the modules that the run names, such as that of a reward function. This runs their code."""


def posterior(arguments: list[str]) -> int:
    """gfn posterior DIR"""
    options = parse(PosteriorOptions, arguments, "gfn posterior")
    check_seed(options.seed)
    check_at_least(1, options, "num", "best", "exact_states")
    for path in options.out:
        if path.suffix.lower() not in (".csv", *PICTURES):
            raise UsageError(f"--out {path}: allowed suffixes are .csv, {', '.join(PICTURES)}")
    agent = runs.load_agent(options.run, trust=options.trust)
    try:
        truth = posteriors.known_graph(agent.dag)
        if options.truth is not None:
            truth = posteriors.read_graph(options.truth, agent.dag.names)
        found = posteriors.graph_posterior(
            agent,
            options.num,
            options.seed,
            best=options.best,
            rewards=options.rewards,
            exact_states=options.exact_states,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    print_posterior(found, truth, agent.name)
    for path in options.out:
        if path.suffix.lower() == ".csv":
            write_atomically(path, lambda file: write_csv(file, found))
        else:
            graph_posterior_figure(found, truth, path)
        print(f"saved {path}")
    return 0


def print_posterior(found: GraphPosterior, truth: BoolArray | None, agent_name: str) -> None:
    """Print the most probable edges and equivalence classes, errors, and distances to the known graph."""
    samples = "" if found.num_samples is None else f" from {found.num_samples:,} graphs"
    known = f"; exact in {found.seconds:.1f} s" if found.exact else ""
    print(f"probabilities of {agent_name}{samples}{known}")
    rows = sorted(found.rows(), key=lambda row: -row["edge"])[:SHOWN]
    table = Table("edge", *(column_label(name) for name in list(rows[0])[2:]))
    for row in rows:
        table.add_row(escape(f"{row['from']} -> {row['to']}"), *(f"{row[name]:.3f}" for name in list(row)[2:]))
    Console(width=100).print(table)
    errors = [f"{column_label(name)} {found.largest_error(name):.3f}" for name in found.exact]
    if errors:
        print(f"largest difference from the exact probability: {', '.join(errors)}")
    if truth is not None:
        distances = [f"learned {posteriors.expected_shd(found.learned['edge'], truth):.2f}"]
        if "edge" in found.exact:
            distances.append(f"exact {posteriors.expected_shd(found.exact['edge'], truth):.2f}")
        print(f"expected structural Hamming distance to the known graph: {', '.join(distances)}")
    classes = Table("equivalence class (CPDAG)", "probability", "log R of its best graph")
    for each in found.classes:
        log_reward = "-" if each.log_reward is None else f"{each.log_reward:.6g}"
        classes.add_row(escape(each.graph), f"{each.probability:.3f}", log_reward)
    Console(width=100).print(classes)
    if found.classified < posteriors.COVERED:
        print(f"classes are of graphs with {100 * found.classified:.1f}% of the probability; the others are too many")


def column_label(name: str) -> str:
    """The heading of a column."""
    return name.replace("_", " ").replace("markov", "Markov")


def write_csv(file: BinaryIO, found: GraphPosterior) -> None:
    """A header, and one line per ordered pair of nodes, in UTF-8."""
    rows: list[dict[str, Any]] = found.rows()
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    text.flush()
    text.detach()
