"""Python programs that start quickly, as forks of a process that has imported the packages: see server.py."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
#: Environment variable with :func:`python` of the process that started the test processes.
SHARED = "GFN_TESTS_PYTHON"


@cache
def python() -> str:
    """Path of a program that does what ``sys.executable`` does with -m, -c or a script. ``gfn`` lies beside it.

    Starts the server of this process, which ends with it, unless the parent shares its own. Where processes have no
    file descriptors (macOS), it is ``sys.executable``.
    """
    if shared := os.environ.get(SHARED):
        return shared
    if not hasattr(os, "pidfd_open"):
        return sys.executable
    folder = Path(tempfile.mkdtemp(prefix="forks"))  # Paths of sockets are short: not in a test's folder.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    subprocess.Popen([sys.executable, FOLDER / "server.py", folder / "socket"], stdin=subprocess.DEVNULL)
    for name in ("python", "gfn"):
        (folder / name).symlink_to(FOLDER / "client.py")
    return str(folder / "python")
