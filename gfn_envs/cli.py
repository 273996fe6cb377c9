"""The command ``gfn-envs check | envs | data | blocks``. It needs neither torch nor :mod:`agents`."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from gfn_envs import named
from gfn_envs.checker import DagError, check_dag
from gfn_envs.data import command as data_command
from gfn_envs.envs.molecules import blocks_command
from gfn_envs.registration import (
    environment_parameters,
    environment_summary,
    known_ids,
    make_dag,
    parse_value,
)
from gfn_envs.validation import did_you_mean

USAGE = """usage: gfn-envs COMMAND ...

  gfn-envs check ENV [--env.ARG VALUE ...]   check that an environment is a well-formed DAG
  gfn-envs envs [ENV]                        list the environments, or the arguments of one
  gfn-envs data list | fetch NAME | path     data sets that are not part of the package
  gfn-envs blocks LIBRARY --out FILE         building blocks of your molecules, for GFN/FragmentMolecule-v0
  gfn-envs --version                         print the version

example: gfn-envs check GFN/HyperGrid-v0 --env.ndim 2 --env.side 4
`gfn-envs COMMAND --help` explains a command."""

#: Errors of the user's input or installation, reported in one line.
FAILURES = (ValueError, TypeError, OSError, ImportError)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Entry point of ``gfn-envs``. Exit codes: 0 success, 1 broken DAG, 2 bad id, argument or data, 130 interrupted."""
    command, *rest = (sys.argv[1:] if argv is None else list(argv)) or ["--help"]
    named.search_working_directory()
    try:
        if command in ("-h", "--help"):
            print(USAGE)
            sys.exit(0)
        if command == "--version":
            from gfn_envs import __version__

            print(f"gfn-envs {__version__}")
            sys.exit(0)
        if command not in COMMANDS:
            print(f"error: unknown command {command!r}{did_you_mean(command, COMMANDS)}", file=sys.stderr)
            sys.exit(2)
        sys.exit(COMMANDS[command](rest))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


# ---------------------------------------------------------------------- check


def check(argv: Sequence[str] | None = None, prog: str = "gfn-envs check") -> int:
    """Check an environment. Exit codes: 0 well formed, 1 a broken invariant, 2 a bad id, argument or data."""
    words, given = _split_environment_arguments(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog=prog,
        usage=f"{prog} ENV [--env.ARG VALUE ...] [--exact-states N] [--num-walks N] [--seed S]",
        description="Check that an environment is a well-formed DAG.",
        epilog=f"example: {prog} GFN/HyperGrid-v0 --env.ndim 2 --env.side 4; `gfn-envs envs ENV` lists the arguments",
        allow_abbrev=False,
    )
    parser.add_argument("id", metavar="ENV", help="an environment: GFN/HyperGrid-v0, mine:Mine/MIS-v0")
    parser.add_argument("--env.ARG", metavar="VALUE", help="an argument of the environment", dest="shown_only")
    parser.add_argument(
        "--exact-states",
        "--max-states",
        type=int,
        default=20_000,
        dest="max_states",
        metavar="N",
        help="check all states up to this many (%(default)s)",
    )
    parser.add_argument("--num-walks", type=int, default=200, help="random walks on larger DAGs (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the walks (%(default)s)")
    parser.add_argument("pairs", nargs="*", metavar="NAME=VALUE", help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.max_states < 0 or options.num_walks < 1:
        numbers = f"got {options.max_states} and {options.num_walks}"
        parser.error(f"--exact-states must be at least 0 and --num-walks at least 1, {numbers}")
    try:
        given += [_old_pair(pair) for pair in options.pairs]
        dag = make_dag(options.id, **_environment_arguments(options.id, given))
    except FAILURES as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        report = check_dag(dag, options.max_states, options.num_walks, options.seed)
    except (OSError, ImportError) as error:  # data or a library that the environment needs
        print(f"error: {error}", file=sys.stderr)
        return 2
    except DagError as error:
        print(f"{dag!r} is broken: {error}", file=sys.stderr)
        return 1
    print(f"{dag!r} is {report}")
    return 0


def _split_environment_arguments(argv: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """The words other than ``--env.NAME VALUE``, ``--env.NAME=VALUE`` and ``--env.NAME``, and (NAME, VALUE) of those.

    VALUE is "" for a flag without one.
    """
    waiting, given = deque(argv), []
    others = []
    while waiting:
        word = waiting.popleft()
        if not word.startswith("--env."):
            others.append(word)
            continue
        name, equals, value = word.removeprefix("--env.").partition("=")
        # argparse would not accept a value that begins with "-", such as a negative number.
        if not equals and waiting and not waiting[0].startswith("--"):
            value = waiting.popleft()
        given.append((name.replace("-", "_"), value))
    return others, given


def _old_pair(pair: str) -> tuple[str, str]:
    """(name, value) of ``name=value``."""
    name, equals, value = pair.partition("=")
    if not equals or not name.isidentifier():
        raise ValueError(f"unexpected {pair!r}: arguments of the environment are given as --env.NAME VALUE")
    print(f"DeprecationWarning: {pair} is deprecated, use --env.{name} {value}", file=sys.stderr)
    return name, value


def _environment_arguments(id: str, given: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Keyword arguments of environment ``id`` from texts by name. Unknown names are left to make_dag."""
    parameters = environment_parameters(id)
    values = {}
    for name, text in given:
        positive = name.removeprefix("no_")
        if text == "" and positive in parameters and parameters[positive].annotation is bool:
            values[positive] = positive == name
            continue
        try:
            values[name] = parse_value(text, parameters[name].annotation if name in parameters else Any)
        except ValueError as error:
            raise ValueError(f"--env.{name}: {error}") from None
    return values


# ---------------------------------------------------------------------- envs


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {self.prog}: {message}\n")


def envs(argv: Sequence[str] | None = None, prog: str = "gfn-envs envs") -> int:
    """List the registered environments, or the arguments of one. Exit codes: 0 success, 2 a bad id."""
    parser = OneLineParser(
        prog=prog,
        description="List the environments, or the arguments of one.",
        epilog=f"example: {prog} GFN/HyperGrid-v0",
    )
    parser.add_argument("id", nargs="?", metavar="ENV", help="an environment: GFN/HyperGrid-v0, mine:Mine/MIS-v0")
    options, unknown = parser.parse_known_args(argv)
    if unknown:
        print(f"error: {prog}: unknown argument {unknown[0]}", file=sys.stderr)
        return 2
    try:
        if options.id is None:
            for id in known_ids():
                print(f"{id}\n    {_described(id)}")
        else:
            print(f"{options.id}\n    {environment_summary(options.id)}\n")
            for name, parameter in environment_parameters(options.id).items():
                default = "" if parameter.default is inspect.Parameter.empty else f" (default {parameter.default!r})"
                print(f"  --env.{name}{default}\n      {parameter.help}".rstrip())
    except FAILURES as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _described(id: str) -> str:
    try:
        return f"{environment_summary(id)}\n    defaults: {_defaults_of(id)}"
    except FAILURES as error:  # an installed package that cannot be imported
        return str(error)


def _defaults_of(id: str) -> str:
    return ", ".join(
        f"{name}={parameter.default!r}"
        for name, parameter in environment_parameters(id).items()
        if parameter.default is not inspect.Parameter.empty
    )


# ---------------------------------------------------------------------- data


def data(argv: Sequence[str] | None = None, prog: str = "gfn-envs data") -> int:
    """List or download data sets. Exit codes: 0 success, 2 a data set or directory is not available."""
    return data_command.main(argv, prog)


# ---------------------------------------------------------------------- blocks


def blocks(argv: Sequence[str] | None = None, prog: str = "gfn-envs blocks") -> int:
    """Cut molecules into blocks. Exit codes: 0 success, 2 a bad file or argument."""
    return blocks_command.main(argv, prog)


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {"check": check, "envs": envs, "data": data, "blocks": blocks}

if __name__ == "__main__":
    main()
