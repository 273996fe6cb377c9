"""The benchmark of exact evaluation measures what it says."""

from __future__ import annotations

import pytest

from benchmarks import exact


def test_exact_evaluation_of_a_small_grid_is_measured(monkeypatch):
    monkeypatch.setitem(exact.GRIDS, (2, 4), (1.0, 1e9))
    monkeypatch.setattr(exact, "peak", lambda threads: 1e11)
    record = exact.measure(2, 4, iterations=2, repeats=1)
    assert record["mass"] == pytest.approx(1, abs=1e-12)
    assert 0 < record["tv"] < 1
    assert record["network_flop"] == 2 * (8 * 256 + 256 * 256 + 256 * 3) * 16
    assert record["cpu_seconds"] > 0
    assert record["peak_bytes"] > 10**7
    assert "| 2-D side 4 | 16 |" in exact.section([record])
