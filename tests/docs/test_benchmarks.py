"""The benchmarks run, and the libraries that they compare get the same task."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

import agents
import gfn_envs
from benchmarks import (
    all_agents,
    bayes_net,
    environments,
    forward_looking,
    matmul_peak,
    papers,
    recipes,
    replay,
    report,
    sequences,
    structures,
)
from benchmarks.peers import quality, speed, trained
from benchmarks.peers.libraries import HERE, Worker
from benchmarks.peers.report import section
from gfn_envs import exact


@pytest.fixture
def grid(monkeypatch):
    """NumPy module that the processes of the peers import."""
    monkeypatch.syspath_prepend(str(HERE / "workers"))
    import grid

    return grid


def test_peers_distribution_is_the_exact_one(grid):
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=3, side=4)
    cells = grid.cells(3, 4)
    going = np.concatenate([cells, np.zeros((len(cells), 1), int)], axis=1).astype(dag.state_dtype)
    probabilities = np.random.default_rng(0).random((len(cells), 4)) * dag.forward_mask(going)
    probabilities /= probabilities.sum(1, keepdims=True)

    def policy(states):
        return probabilities[states[:, :3] @ [16, 4, 1]]

    found = grid.terminal_distribution(probabilities, 3, 4)
    expected = exact.terminal_distribution(dag, policy)
    np.testing.assert_allclose(found[dag.terminal_states()[:, :3] @ [16, 4, 1]], expected, atol=1e-15)
    assert found.sum() == pytest.approx(1)


def test_our_worker_trains_and_evaluates():
    with speed.training_worker("ours", speed.our_task(2, 4, 8, lr=[1e-3, 1e-4, 10])) as worker:
        assert worker.ask(iterations=3)["iterations"] == 3
        answer = worker.ask(seconds=0.05, exact=True, flops=True)
    assert 0 <= answer["tv"] <= 1
    assert answer["mass"] == pytest.approx(1)
    # Six operations per product of a distinct state. How many states of a batch are distinct depends on the policy.
    products = 256 * 256 + 256 * 6
    assert 6 * products / answer["transitions"] < answer["flops_per_transition"] <= 6 * products


def test_error_of_a_worker_is_shown():
    with pytest.raises(RuntimeError, match="side"):
        speed.training_worker("ours", speed.our_task(2, 1, 8))


def test_different_rewards_are_noticed():
    quality.check_same_target([1.0, 1.00001])
    with pytest.raises(RuntimeError, match="different rewards"):
        quality.check_same_target([1.0, 1.1])


def test_random_rollouts_end_in_objects():
    dag = gfn_envs.make_dag("GFN/Bag-v0")
    transitions, objects = environments.sample_dropped(dag, environments.generator(0), 10)
    assert transitions == 10 * dag.max_length
    assert len(objects) == 10
    assert dag.is_terminal(objects).all()


def test_environments_command(tmp_path):
    written = tmp_path / "speed.json"
    command = [
        "-m",
        "benchmarks.environments",
        "--only",
        "bag",
        "--blocks",
        "1",
        "--seconds",
        "0.01",
        "--json",
        written,
    ]
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, cwd=HERE.parents[1])
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("| Bag-v0 |") == 6
    assert written.exists()


def test_matmul_peak_is_positive():
    assert matmul_peak.peak(blocks=1, seconds=0.001) > 0


def test_report_of_peers_shows_targets():
    machine = {"processor": "p", "cores": 2, "torch": "2"}
    facts = {"quick": True, "date": "today", "machine": machine}
    times = {
        name: {"best_ms": ms, "median_ms": ms, "mean_length": 5.0}
        for name, ms in zip(speed.NAMES, (2, 4, 6, 30), strict=True)
    }
    ratios = {name: {"best": t["best_ms"] / 2, "median": 3.5, "aim": 4.0} for name, t in times.items()}
    record = {"times": times, "ratios": ratios, "threads": [1], "matmul_peak_gflops": 100.0}
    title = speed.CASES[0].title
    text = section({"speed": {title: {**record, "fraction_of_peak": {"ours": 0.5, "torch": 0.25}, **facts}}})
    row = "| 2.00 (2.00) | 4.00 (4.00) | 6.00 (6.00) | 30.00 (30.00) | 3.0x (medians 3.5x); target 4x missed |"
    assert f"| {title} {row} 15.0x (medians 3.5x); target 4x met | 5.0 / 5.0 / 5.0 / 5.0 | 50% / 25% |" in text
    assert "bound to 1 core; the" in text
    assert "p, 2 cores, torch 2, today; a short run" in text
    result = [{"batch": 16, "best": {"ours": 2e6, "gfnx": 1e6}, "median": {"ours": 2e6, "gfnx": 1e6}, "ratio": 2.0}]
    assert "| 4-D side 20, batch 16 | 2.00 (2.00) | 1.00 (1.00) | 2.0x |" in section(
        {"rollout": {"result": result, **facts}}
    )


@pytest.mark.parametrize("engine", ["torch", "numba"])
def test_a_saved_policy_is_that_of_every_agent_that_loads_it(tmp_path, engine):
    """The agents of all objectives then have the P_F and P_B of the agent that was saved; only flows are their own."""
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=3)
    states = np.concatenate(list(dag.levels()))
    states = states[~dag.is_terminal(states)]
    saved = agents.make_agent("tb", dag, seed=1, hidden=(8, 4))
    trained.save(saved, tmp_path / "policy.npz")
    for name in ("tb", "subtb"):
        agent = agents.make_agent(name, dag, hidden=(8, 4), engine=engine)
        trained.load(agent, tmp_path / "policy.npz")
        np.testing.assert_array_equal(agent.probabilities(states), saved.probabilities(states))
        mask = dag.backward_mask(states)
        with torch.inference_mode():
            mine, theirs = (a.backward_logits()(states)[mask] for a in (agent, saved))
        np.testing.assert_array_equal(mine, theirs)


def test_every_timed_objective_trains():
    for name in ("tb", "db", "subtb"):
        task = speed.our_task(2, 4, 8, objective=name, **speed.STILL)
        dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=task["ndim"], side=task["side"], reward=task["reward"])
        agent = agents.make_agent(task["objective"], dag, seed=task["seed"], **task["agent"])
        before = agent.probabilities(dag.source(1))
        assert agent.update()["transitions"] >= 8
        np.testing.assert_allclose(agent.probabilities(dag.source(1)), before, rtol=1e-5)


def test_all_agents_trains_merges_and_reports_unsupported_agents(tmp_path, monkeypatch):
    def sweep(*arguments):
        page, results = tmp_path / "results.md", tmp_path / "all_agents.json"
        command = ["all_agents", "--page", page, "--results", results, "--limit", "0.05", *arguments]
        monkeypatch.setattr(sys, "argv", [*map(str, command)])
        all_agents.main()
        return page.read_text(), report.load(results)

    sweep("--env", "bag", "--agents", "tb,mdb", "--seeds", "1")
    page, results = sweep("--env", "bag", "--agents", "db", "--seeds", "2")
    assert {"tb", "db", "mdb"} <= set(results["bag"])
    assert len(results["bag"]["db"]["runs"]) == 2
    assert "`mdb` does not support this environment: agent 'mdb' needs" in page
    assert page.count("<!-- all_agents:begin -->") == 1


def test_every_registered_agent_is_included():
    assert {r.agent for r in recipes.recipes("hypergrid").values()} == set(agents.AGENTS)
    with pytest.raises(ValueError, match="nobody"):
        recipes.recipes("bag", ["nobody"])


def test_a_new_recipe_drops_old_runs():
    old = {"agent": "tb", "iterations": 5, "settings": {"hidden": [8]}, "unsupported": None, "runs": {"0": {}}}
    assert all_agents.merged(old, recipes.Recipe("tb", 5, {"hidden": (8,)}))["runs"] == {"0": {}}
    assert all_agents.merged(old, recipes.Recipe("tb", 6, {"hidden": (8,)}))["runs"] == {}


def test_sections_keep_other_sections(tmp_path):
    page = tmp_path / "page.md"
    for name, text in [("a", "one"), ("b", "two"), ("a", "three")]:
        report.write_section(name, text, page)
    assert "one" not in page.read_text()
    assert page.read_text().index("three") < page.read_text().index("two")
    page.write_text("<!-- a:end --><!-- a:begin -->")
    with pytest.raises(ValueError, match="once each"):
        report.write_section("a", "four", page)


def test_objects_needed_first_and_kept():
    curve = {"objects": [0, 10, 20, 30], "mean_reward_error": [0.5, 0.1, 0.3, 0.1]}
    assert replay.first_and_for_good(curve, 0.2) == (10, 30)
    assert replay.first_and_for_good(curve, 0.5) == (0, 0)
    assert replay.first_and_for_good(curve, 0.05) == (None, None)
    assert replay.first_and_for_good(curve | {"mean_reward_error": [0.5, 0.1, 0.1, 0.3]}, 0.2) == (10, None)


def test_report_of_strings():
    best = {
        "compiled": {"best_ms": 1.0, "median_ms": 1.25},
        "ours": {"best_ms": 2.0, "median_ms": 2.5},
        "gfnx": {"best_ms": 3.0, "median_ms": 4.0},
    }
    ratios = {"compiled": {"best": 3.0, "median": 3.2}, "ours": {"best": 1.5, "median": 1.6}}
    machine = {"processor": "p", "cores": 2, "torch": "2"}
    case = {"env": "QM9Str", "construction": "append", "best": best, "ratios": ratios}
    result = {"quick": True, "date": "today", "machine": machine, **case}
    text = sequences.markdown({"QM9Str-append": result})
    row = "| QM9Str, append | 1.00 (1.25) | 2.00 (2.50) | 3.00 (4.00) | 3.0x (medians 3.2x); target 2x met |"
    assert f"{row} 1.5x (medians 1.6x) |" in text
    assert "* QM9Str-append: p, 2 cores, torch 2, today, a short run." in text


def test_our_string_worker_trains(tmp_path):
    np.save(tmp_path / "rewards.npy", np.linspace(0.1, 1, 4**8))
    with sequences.Worker(
        "ours",
        "ours_strings.py",
        sequences.task("ours", 1, "TFBind8", "prepend_append", tmp_path / "rewards.npy"),
        sys.executable,
    ) as worker:
        assert worker.ask(iterations=3)["transitions"] == 3 * 16 * 8


def test_published_values_of_earlier_runs_stand_only_beside_the_same_quantity():
    row = {"rounds": 7, "seconds": 7, "percent_of_target": 7, "modes": 7, "num_modes": 7, "tv": 0.25, "changes": {}}
    row |= {"published": "98.0%", "percent": {"500": 51.0, "1000": 151.0}}
    wide = {**row, "changes": {"hidden": (128,)}}
    results = {"tfbind8": {"tb": row, "tb+prt": wide}, "qm9str": {"tb": row}, "date": "today"}
    text = papers.section({**results, "machine": {"processor": "p", "cores": 2, "torch": "2"}})
    assert "| tb | 98.0% | 7 | 7 | 7.0 | 0.250 | 7 of 7 | 51.0 | 151.0 |" in text
    assert "| tb+prt | - | 7 |" in text
    assert "* `tb+prt` differs from the paper's settings: hidden (128,)." in text
    assert "| tb | - | 7 |" in text.split("### QM9str")[1]


def test_verdict_on_quality_compares_the_difference_with_its_standard_error():
    assert quality.verdict([0.05, 0.06], [0.06, 0.07]) == "no worse"
    assert quality.verdict([0.05, 0.07], [0.04, 0.07]) == "higher by 0.0050, within 2 standard errors (0.0361)"
    assert quality.verdict([0.050, 0.051], [0.040, 0.041]) == "higher by 0.0100, beyond 2 standard errors (0.0014)"


def test_our_worker_on_structures(tmp_path):
    case = structures.Case("BayesNet", "3 nodes", "mdb", 4, 2, structures.CASES["BayesNet"].settings)
    task = structures.task("ours", 1, case, tmp_path)
    with Worker("ours", "ours_structures.py", task, sys.executable) as worker:
        assert worker.ask(iterations=2)["transitions"] >= 8
        assert np.isfinite(worker.ask(iterations=2, random=True)["mean_log_reward"])


def test_report_of_structures():
    times = {"gfnx": (6.0, 8.0, 1e5), "ours": (2.0, 4.0, 3e5)}
    contestants = [
        {
            "library": name,
            "threads": 1,
            "best_ms": ms,
            "median_ms": median,
            "cpu_ms": ms,
            "best_rate": rate,
            "median_rate": rate,
        }
        for name, (ms, median, rate) in times.items()
    ]
    slower = {**contestants[1], "threads": 2, "best_ms": 9.0}
    case = {"env": "Ising", "what": "w", "agent": "tb", "batch": 16, "contestants": [*contestants, slower]}
    text = structures.section({"Ising": {**case, "machine": "m"}})
    assert "| TB iteration, ms | 2.0 (4.0) | 6.0 (8.0) | 3.0x (2.0x) |" in text
    assert "| random transitions, thousands per second | 300 (300) | 100 (100) | 3.0x (3.0x) |" in text


def test_forward_looking_gap_is_the_divergence_of_trajectories():
    """log Z - ELBO of the uniform policy has its exact value, and a run records the estimate."""
    case = forward_looking.Case("GFN/Ising-v0", {"side": 2, "sigma": 0.2})
    found = forward_looking.run(case, "fldb", 0, iterations=20, every=10)
    assert found["iterations"] == [10, 20]
    dag = gfn_envs.make_dag(case.env, **case.arguments)
    uniform = agents.make_agent("random", dag)
    policy = agents.evaluate(uniform, 4000)["elbo"]
    # Uniform actions build every grid with equal probability: KL = log Z - E log R - log 2^4, with E log R = 0 here.
    assert forward_looking.log_partition(dag) - policy == pytest.approx(
        exact.log_partition(dag) - 4 * np.log(2), abs=0.1
    )
    assert 0 < found["gap"][-1] < 1
    assert 0 <= found["tv"] <= 1


def test_posteriors_over_bayesian_networks(tmp_path):
    dag = gfn_envs.make_dag("GFN/BayesNet-v0", num_nodes=3)
    agent = agents.make_agent("tb", dag, hidden=(8,))
    found = bayes_net.errors(agent)
    learned, truth = agents.exact_distribution(agent), exact.target_distribution(dag)
    edge = dag.features(dag.terminal_states())["edge"]
    expected = np.abs(np.einsum("g,gij->ij", learned - truth, edge)).max()
    assert found["edge"] == pytest.approx(expected, abs=1e-12)
    assert found["tv"] == pytest.approx(0.5 * np.abs(learned - truth).sum(), abs=1e-12)
    runs = {str(n): {"mdb": {"0": {**found, "iterations": 10, "seconds": 1.0}}} for n in (4, 5)}
    met = "met" if found["edge"] <= 0.05 else "missed"
    assert f"edge at most 0.05: {met}" in bayes_net.section({"runs": runs, "machine": "m"})


def test_engines_command(tmp_path, monkeypatch, capsys):
    from benchmarks import engines

    arguments = ["engines", "--only", "Set", "--blocks", "1", "--seconds", "0.01"]
    files = ["--results", str(tmp_path / "e.json"), "--page", str(tmp_path / "page.md")]
    monkeypatch.setattr("sys.argv", [*arguments, *files])
    engines.main()
    (record,) = json.loads((tmp_path / "e.json").read_text())["cases"].values()
    assert set(record["ms"]) == {"torch", "numba"}
    assert all(len(ms) == 1 and ms[0] > 0 for ms in record["ms"].values())
    assert "| Set | subtb | 16 |" in (tmp_path / "page.md").read_text()
    monkeypatch.setattr("sys.argv", ["engines", "--only", "nosuch"])
    with pytest.raises(SystemExit):
        engines.main()
    assert "--only: no case contains 'nosuch'" in capsys.readouterr().err
