"""The comparison with the authors' code: its settings, the policy that it reads from a file, and its table."""

import json

import numpy as np
import pytest

import agents
import gfn_envs
from agents.evaluation.evaluate import evaluate
from benchmarks.authors import __main__ as authors
from benchmarks.authors.comparisons import COMPARISONS
from gfn_envs.enumeration import state_graph


def test_settings_are_those_of_our_agents_and_every_worker_is_there():
    for found in COMPARISONS.values():
        agents.AGENTS[found.agent].config_class(**found.settings)
        json.dumps(dict(found.theirs))
        assert (authors.WORKERS / found.worker).exists()


def test_a_policy_from_a_file_has_the_total_variation_of_the_agent():
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=3, reward="niu")
    agent = agents.make_agent("tb", dag, seed=0, hidden=(4,), engine="torch")
    states = state_graph(dag).states
    inner = states[~dag.is_terminal(states)]
    policy = authors.table_policy(inner, agent.probabilities(inner))
    assert authors.total_variation(dag, policy) == pytest.approx(evaluate(agent, num_samples=2)["tv"], abs=1e-12)
    with pytest.raises(KeyError):
        policy(states[dag.is_terminal(states)])


def test_the_section_has_both_sides_and_a_verdict():
    def runs(name, side, values, seconds):
        found = COMPARISONS[name]
        shared = {"comparison": name, "side": side, "iterations": found.iterations, "engine": "numba"}
        return [shared | {"seed": i, "tv": tv, "seconds": seconds} for i, tv in enumerate(values)]

    rows = runs("Sub-EB", "theirs", [0.1, 0.12, 0.11], 10.0) + runs("Sub-EB", "ours", [0.11, 0.1, 0.12], 2.0)
    rows += runs("RL-U", "theirs", [0.3, 0.3, 0.31], 10.0) + runs("RL-U", "ours", [0.1, 0.1, 0.1], 5.0)
    rows += runs("Ent-PPO", "ours", [0.1, 0.1, 0.1], 5.0)
    text = authors.section(rows)
    (line,) = [line for line in text.splitlines() if line.startswith("| Sub-EB")]
    assert "equal within error" in line
    per_second = COMPARISONS["Sub-EB"].iterations
    assert line.endswith(f"| {per_second / 10:.3g} | {per_second / 2:.3g} (numba) | 5 | - |")
    assert "| ours is closer |" in text
    assert "Ent-PPO" not in text
    assert "over 3 seeds" in text
    assert "over 2 to 3 seeds" in authors.section(rows[1:])
    assert "HyperGrid(ndim=2, side=16, reward=niu)" in line
    assert np.char.count(text, "\n- ") == 2
