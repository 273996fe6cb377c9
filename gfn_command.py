"""Entry point of ``gfn``, outside of the packages: it answers even if they cannot be imported, or not yet."""

from __future__ import annotations

import gc
import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

#: How agents/__init__.py begins. A later installation of another package may replace that file, at the same place.
FIRST_WORDS = '"""GFlowNet agents'


def main() -> NoReturn:
    """Run ``gfn``. Ctrl-C ends it without a traceback from the first import on, with exit code 130."""
    # An ignored SIGINT stays ignored, as in background jobs of a shell script.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, end)
    if found := foreign_agents():
        remedy = "install gfn-envs in a virtual environment of its own"
        print(f"error: the package agents in {found} is not that of gfn-envs; {remedy}", file=sys.stderr)
        sys.exit(2)
    gc.disable()  # Imports make hundreds of thousands of objects that stay. See `loaded`.
    from agents.cli.main import main as run

    try:
        run(loaded=loaded)
    finally:
        gc.freeze()  # At its end, Python would search all that was imported for cycles: a quarter of a short command.


def end(*_: Any) -> None:
    """Handle SIGINT while modules are loaded. Extension modules turn a KeyboardInterrupt into other errors."""
    sys.stderr.write("interrupted\n")
    sys.stderr.flush()
    os._exit(130)


def loaded() -> None:
    """Collect garbage from here on, except imported objects. Let SIGINT raise KeyboardInterrupt again."""
    gc.freeze()
    gc.enable()
    if signal.getsignal(signal.SIGINT) is end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def foreign_agents() -> str | None:
    """Where the package ``agents`` lies if it is another project's, such as openai-agents. Does not import it."""
    spec = find_spec("agents")
    if spec is None or spec.origin is None:
        return ", ".join(spec.submodule_search_locations or []) if spec else "no place"
    init = Path(spec.origin)
    return None if init.read_text("utf-8").startswith(FIRST_WORDS) else str(init.parent)


if __name__ == "__main__":
    main()
