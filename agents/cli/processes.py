"""gfn train with several processes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from agents.cli.errors import UsageError
from agents.distributed import launch
from agents.distributed.engine import check
from agents.distributed.group import TORCHRUN, join
from agents.runs import files

#: The command line in another process, with the same modules and scripts within reach.
PROGRAM = "import sys; sys.path[:] = {path!r}; sys.argv[0] = 'gfn'; from gfn_command import main; main()"


def join_others(agent: Any, processes: int) -> bool:
    """Connect to the other processes of this training. Returns False without others.

    Raises:
        UsageError: they cannot share the batches of this agent, or both torchrun and ``--processes`` are used.
    """
    started = launch.started_here()
    if started:
        launch.end_with_parent()
    elif processes > 1 and all(name in os.environ for name in TORCHRUN):
        raise UsageError("torchrun sets the number of processes: leave out --processes")
    shared = join()
    if shared or processes > 1:
        size = int(os.environ["WORLD_SIZE"]) if shared else processes
        try:
            check(agent, size)
        except ValueError as error:
            raise UsageError(str(error)) from None
    return shared


def train_in_processes(arguments: list[str], processes: int, out: Path) -> int:
    """Run ``gfn train`` with these arguments in several processes. Returns the exit code."""

    def hint() -> str:
        if (out / files.CHECKPOINT).exists():
            return f"the last checkpoint in {out} is intact: continue with --resume"
        return f"{out} has no checkpoint yet"

    path = [os.path.abspath(entry) for entry in sys.path]
    return launch.launch([sys.executable, "-c", PROGRAM.format(path=path), "train", *arguments], processes, hint)
