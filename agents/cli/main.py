"""The command line: gfn train | sweep | evaluate | compare | plot | agents | envs | check | data ...

Also ``python -m agents``.

Commands are loaded when they are called, so that those on environments alone run without torch, and help without NumPy.
"""

from __future__ import annotations

import functools
import importlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from agents.cli.errors import UsageError, file_message, nearest
from agents.errors import NoLegalActionError
from agents.runs.errors import RunError

USAGE = """usage: gfn COMMAND ...

Train and compare
  gfn train AGENT ENV [--env.ARG VALUE ...] [--agent.ARG VALUE ...] [--iterations N] [--seed S] [--out DIR] [--resume]
  gfn sweep AGENTS ENV  many runs in parallel, on this machine or a cluster: --seeds 0:5 --grid agent.lr=1e-3,3e-3
  gfn evaluate DIR      metrics of a run as a table, or as JSON with --json
  gfn compare DIR ...   a table of several runs, aggregated over seeds, and their learning curves in comparison.png
  gfn sample DIR        objects of a run as .csv, .parquet, .smi, .sdf, .fasta, .nwk, .nex or .npy, with their rewards
  gfn posterior DIR     Bayesian networks: probabilities of edges and paths, CPDAGs, distance to a known graph
  gfn report DIR ...    one HTML file on one or several runs: curves, distributions, best objects, diagnostics
  gfn plot DIR          figures of a run; --state-graph draws states and flows of small environments

Look up
  gfn agents            list the agents and their papers
  gfn envs [ENV]        list the environments, or the arguments of one
  gfn check ENV         check that an environment is a well-formed DAG
  gfn data list         list external data sets; gfn data fetch NAME, gfn data path
  gfn blocks LIBRARY    building blocks of your molecules (.smi, .csv) for GFN/FragmentMolecule-v0: --out blocks.smi
  gfn --version         print the version

Examples
  gfn train tb GFN/HyperGrid-v0 --env.ndim 4 --env.side 8 --agent.epsilon 0.1,0,1000 --seed 0 --out runs/tb-0
  gfn train subtb GFN/HyperGrid-v0 --env.ndim 4 --env.side 8 --seed 0 --out runs/subtb-0
  gfn compare runs/tb-0 runs/subtb-0
  gfn check GFN/HyperGrid-v0 --env.ndim 2 --env.side 4

Your own parts are named as module:name, from a file mine.py in this folder or an installed package:
  gfn train mine:MyObjective mine:Mine/Env-v0 --env.reward mine:score --agent.replay mine:MyScheme

`gfn COMMAND --help` explains a command. `gfn train tb GFN/HyperGrid-v0 --help` explains every setting of a training."""

#: Commands on environments, as "module:function". They need neither torch nor tyro.
ENVIRONMENT_COMMANDS = {name: f"gfn_envs.cli:{name}" for name in ("envs", "check", "data", "blocks")}
#: Commands on agents.
AGENT_COMMANDS = {
    "train": "agents.cli.train:train",
    "sweep": "agents.cli.sweep:sweep",
    "evaluate": "agents.cli.evaluate:evaluate",
    "compare": "agents.cli.compare:compare",
    "plot": "agents.cli.plot:plot",
    "posterior": "agents.cli.posterior:posterior",
    "report": "agents.cli.report:report",
    "sample": "agents.cli.sample:sample",
    "agents": "agents.cli.listing:list_agents",
}
COMMANDS = ENVIRONMENT_COMMANDS | AGENT_COMMANDS

#: Errors that are not bugs, reported in one line: wrong arguments or runs, missing files, data or packages, a
#: network with NaN outputs, an environment without a legal action.
FAILURES = (UsageError, RunError, OSError, ImportError, FloatingPointError, NoLegalActionError)


def main(argv: Sequence[str] | None = None, loaded: Callable[[], None] = lambda: None) -> NoReturn:
    """Run ``gfn``. Exit codes: 0 success, 1 broken DAG, 2 wrong flag, id or value, 130 interrupted.

    Args:
        argv: the words after ``gfn``. Default: those of the process.
        loaded: called once the modules of the command are loaded.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        code = run(arguments, loaded)
        sys.stdout.flush()
        sys.exit(code)
    except BrokenPipeError:
        # The reader, such as head, has closed the pipe. Without this, Python would write to it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except FAILURES as error:
        text = file_message(error, arguments) if isinstance(error, OSError) else str(error)
        print(f"error: {' '.join(text.split())}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        hints = {"train": "; continue with --resume", "sweep": "; the same command continues it"}
        print(f"interrupted{hints.get(arguments[0], '') if arguments else ''}", file=sys.stderr)
        sys.exit(130)


def run(arguments: list[str], loaded: Callable[[], None] = lambda: None) -> int:
    """Run one command line, and call ``loaded`` once its modules are loaded. Returns the exit code."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0
    command, *rest = arguments
    if command == "--version":
        print(f"gfn-envs {importlib.import_module('gfn_envs').__version__}")
        return 0
    if command not in COMMANDS:
        raise UsageError(f"unknown command {command!r}{nearest(command, COMMANDS)}")
    function = load(command)
    loaded()
    importlib.import_module("gfn_envs.named").search_working_directory()
    show_log_lines()
    # NaN and infinity raise FloatingPointError where they matter. NumPy would print warnings before that line.
    with importlib.import_module("numpy").errstate(over="ignore", invalid="ignore"):
        try:
            return function(rest) if command in AGENT_COMMANDS else function(rest, prog=f"gfn {command}")
        except importlib.import_module("gfn_envs.reward_errors").BudgetSpent as error:
            raise UsageError(f"{error}; their values are in its log; --oracle.budget allows more") from None


class LogLines(logging.Handler):
    """Prints log records of gfn_envs on stderr, above a progress bar if there is one.

    Lines on enumerations of fewer than LONG states, which take no time, are left out.
    """

    LONG = 100_000

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING or getattr(record, "states", self.LONG) >= self.LONG:
            bar = getattr(sys.modules.get("tqdm"), "tqdm", None)
            write = functools.partial(print if bar is None else bar.write, file=sys.stderr)
            write(self.format(record))


def show_log_lines() -> None:
    """Print what environments log: long enumerations, rewards that fail."""
    logger = logging.getLogger("gfn_envs")
    if not any(isinstance(handler, LogLines) for handler in logger.handlers):
        logger.addHandler(LogLines())
        logger.setLevel(logging.INFO)


def load(command: str) -> Callable[..., int]:
    """The function of a command.

    Raises:
        UsageError: a package that it needs is not installed.
    """
    module, _, function = COMMANDS[command].partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except ImportError as error:
        needed = 'all but gfn data, gfn check and gfn envs need: pip install "gfn-envs[agents]"'
        raise UsageError(f"{error}; {needed}") from None
