"""benchmarks.iterations times two source trees in separate processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import iterations
from benchmarks.iterations import Case

ROOT = Path(__file__).resolve().parents[2]
TINY = Case("tb", "HyperGrid", {"ndim": 2, "side": 4}, 4, False, 2)


def test_two_trees_are_timed_from_the_same_weights() -> None:
    result = iterations.compare(TINY, ROOT, ROOT, blocks=2, seconds=0.01)
    for tree in ("before", "after"):
        assert len(result[tree]["blocks"]) == 2
        assert 0 < result[tree]["best"] <= result[tree]["median"]
    assert result["ratio"]["best"] == pytest.approx(result["after"]["best"] / result["before"]["best"])
    assert iterations.row(TINY.name, result)[0] == "tb HyperGrid, batch 4, trained policy, torch"


def test_names_of_cases_are_distinct() -> None:
    names = [case.name for case in iterations.all_cases(trained=500)]
    assert len(set(names)) == len(names) == 27


def test_a_worker_must_import_its_own_tree(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="was imported from"):
        iterations.compare(TINY, tmp_path, ROOT, blocks=1, seconds=0.01)
