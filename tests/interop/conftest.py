"""Tests that need the libraries of the extra "interop", in a separate virtual environment: ``make test-interop``.

The normal suite does not collect them (pyproject.toml). A missing library fails the tests instead of skipping them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str) -> str:
    """Run a Python command in the root folder. Returns its output, or fails with the end of its output."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def exact_means(out: str) -> list[tuple[float, float]]:
    """Every printed exact mean reward, with that under R(x) / Z."""
    return [(float(a), float(b)) for a, b in re.findall(r"exact mean reward (\S+); under R\(x\) / Z ([0-9.]+)", out)]


@pytest.fixture
def run_in_root():
    """:func:`run` as a fixture."""
    return run
