"""Provenance of a run: versions, commit, machine, date, command line."""

from __future__ import annotations

import datetime
import functools
import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import gfn_envs

PACKAGES = ("torch", "numpy", "numba", "gymnasium", "scipy")


def provenance() -> dict[str, Any]:
    """Versions, commit of the package's checkout, platform, date (UTC) and command line, as JSON."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": sys.argv,
        "versions": {
            "gfn_envs": gfn_envs.__version__,
            "python": platform.python_version(),
            **{name: version for name in PACKAGES if (version := _version(name))},
        },
        "commit": commit(Path(gfn_envs.__file__).parents[1]),
        "platform": platform.platform(),
    }


@functools.cache
def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@functools.cache
def commit(checkout: Path) -> str | None:
    """The commit of a git checkout at the first call, with "+" if tracked files were changed; None without a
    checkout."""
    if not (checkout / ".git").exists():
        return None
    try:
        head = _git(checkout, "rev-parse", "HEAD")
        return head + ("+" if _git(checkout, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(checkout: Path, *arguments: str) -> str:
    command = ["git", "--no-optional-locks", "-C", str(checkout), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
