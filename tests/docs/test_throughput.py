"""benchmarks/throughput.py runs in one process, and its table has the right ratios."""

from __future__ import annotations

import gfn_envs
from benchmarks import throughput


def test_cases_exist_and_run():
    found = throughput.cases()
    assert {f"make_vec {env_id[4:-3]}" for env_id in gfn_envs.ENVIRONMENTS} <= set(found)
    assert throughput.stepping("Bag", {})(0.01) > 1000
    assert 0 < throughput.iterating("BitSequence", {"n": 16, "num_modes": 4}, "tb", {"hidden": (8,)})(0.01) < 1000
    assert throughput.evaluating("HyperGrid", {"ndim": 1, "side": 2}, "tb", {"hidden": (8,)})(0.0) > 0
    assert throughput.stepping("FragmentMolecule", {"reward": "one", "max_blocks": 2})(0.01) > 100


def test_ratios_say_how_much_faster():
    cases = {
        "make_vec X": {"unit": "transitions/s", "values": {"now": [3e4, 1e4], "before": [1e4, 1e4]}, "machine": "m"},
        "Y": {"unit": "ms", "values": {"now": [2.0, 4.0, 3.0], "before": [9.0]}, "machine": "m"},
        "Z": {"unit": "ms", "values": {"now": [250.0]}, "machine": "m"},
    }
    text = throughput.section(cases)
    assert "| make_vec X | transitions/s | 20,000 | 10,000 | 2.0x |" in text
    assert "| Y | ms | 3.0 | 9.0 | 3.0x |" in text
    assert "| Z | ms | 250 |  |  |" in text
