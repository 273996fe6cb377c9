"""Entry point of ``gfn``: commands that need the environments alone run without torch, which comes with the agents."""

from __future__ import annotations

import sys
from typing import NoReturn

from gfn_envs.checker.command import main as check
from gfn_envs.data import registry as datasets

WITHOUT_TORCH = {"data": datasets.main, "check": check}


def main() -> NoReturn:
    """``gfn COMMAND ...``; exit code 2 where it needs packages that are not installed (:mod:`agents.cli.main`)."""
    command, *rest = sys.argv[1:] or [""]
    if command in WITHOUT_TORCH:
        try:
            sys.exit(WITHOUT_TORCH[command](rest))
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            sys.exit(130)
    try:
        from agents.cli import main as cli
    except ImportError as error:
        print(f'error: {error}; all but gfn data and gfn check need: pip install "gfn-envs[agents]"', file=sys.stderr)
        sys.exit(2)
    cli.main()
