"""The breaks that scripts/mutation_check.py tries are still in their files."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.mutation_check import BREAKS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("change", BREAKS, ids=lambda change: f"{change.file}: {change.old}")
def test_the_line_to_break_exists(change):
    assert change.old in (ROOT / change.file).read_text("utf-8")
    assert change.new != change.old
    for path in change.tests.split():
        assert path.startswith("-") or (ROOT / path.split("::")[0]).exists(), path
