"""``python -m gfn_envs.checker`` and ``gfn check``."""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Sequence
from typing import Any

from gfn_envs.checker.calls import DagError
from gfn_envs.checker.check import check_dag
from gfn_envs.registration import make_dag


def parse_arguments(pairs: Sequence[str]) -> dict[str, Any]:
    """``["ndim=2", "reward=easy"]`` as keyword arguments: Python literals, anything else a string."""
    arguments: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"expected name=value, got {pair!r}")
        try:
            arguments[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            arguments[name] = value
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: exit code 0 well formed, 1 a broken invariant, 2 a bad id or argument."""
    parser = argparse.ArgumentParser(
        prog="python -m gfn_envs.checker",
        description="Check that an environment is a well-formed DAG.",
        epilog="example: python -m gfn_envs.checker GFN/HyperGrid-v0 ndim=2 side=4",
    )
    parser.add_argument("id", help="a registered environment, such as GFN/HyperGrid-v0")
    parser.add_argument("arguments", nargs="*", metavar="name=value", help="arguments of the environment")
    parser.add_argument("--max-states", type=int, default=20_000, help="visit every state up to this many")
    parser.add_argument("--num-walks", type=int, default=200, help="random walks on larger DAGs (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the walks (%(default)s)")
    options = parser.parse_args(argv)
    if options.max_states < 0 or options.num_walks < 1:
        given = f"got {options.max_states} and {options.num_walks}"
        parser.error(f"--max-states must be at least 0 and --num-walks at least 1, {given}")
    try:
        dag = make_dag(options.id, **parse_arguments(options.arguments))
    except (ValueError, TypeError, OSError, ImportError) as error:
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
