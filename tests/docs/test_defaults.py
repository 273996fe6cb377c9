"""The benchmark of default settings: which cases it has, what it measures, and its page."""

from __future__ import annotations

import numpy as np
import pytest

import gfn_envs
from benchmarks import default_cases, defaults


def test_every_environment_has_a_case_at_its_default_and_at_a_users_size():
    found = [case.name for case in default_cases.cases()]
    assert len(found) == len(set(found))
    for id in gfn_envs.ENVIRONMENTS:
        env = id.removeprefix("GFN/").removesuffix("-v0")
        assert f"{env}, default" in found
        assert (f"{env}, user" in found) != (env in default_cases.FIXED)


def test_the_fitness_of_variants_is_a_sum_over_sites_and_pairs():
    fitness = default_cases.epistasis(2)
    rng = np.random.default_rng(0)
    single, pair = rng.normal(0, 1, (2, 20)), rng.normal(0, 0.5, (20, 20))
    assert fitness(np.array([[3, 7]]))[0] == pytest.approx(np.exp(single[0, 3] + single[1, 7] + pair[3, 7]))


def test_neighbors_in_a_helix_are_as_far_apart_as_in_proteins():
    distances = np.array(default_cases.helix(6))
    np.testing.assert_allclose(np.diagonal(distances, 1), 3.8, atol=0.1)
    np.testing.assert_array_equal(distances, distances.T)


def test_a_run_has_the_measures_of_its_environment():
    grid = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=1, side=4)
    learned = defaults.run(grid, "tb", 0, 0.0)
    assert 0 < learned["tv"] < 1
    assert learned["iterations"] == 1
    assert "edge_error" not in learned
    chains = defaults.run(grid, "mcmc", 0, 0.0)
    assert chains["tv"] is None
    assert defaults.measure(chains) == chains["empirical_tv"]
    large = defaults.run(gfn_envs.make_dag("GFN/Set-v0", num_items=40, size=20), "random", 0, 0.0)
    assert large["tv"] is None
    assert large["elbo"] < large["exact_log_z"]
    network = defaults.run(gfn_envs.make_dag("GFN/BayesNet-v0", num_nodes=2), "random", 0, 0.0)
    assert 0 <= network["edge_error"] <= 1


def cell(**runs):
    """A cell whose agents have these TVs, one per seed."""
    common = {"empirical_tv": None, "elbo": None, "best": 0.0, "seconds": 4.0}
    return {name: {str(i): common | {"tv": tv} for i, tv in enumerate(tvs)} for name, tvs in runs.items()}


def test_the_verdict_names_the_rivals_that_are_ahead_or_level():
    assert defaults.verdict(cell(tb=[0.1, 0.3], db=[0.4], mcmc=[0.5], random=[0.9]), True) == "tb, ahead"
    assert defaults.verdict(cell(tb=[0.3], db=[0.2], mcmc=[0.1], random=[0.9]), True) == "db, behind mcmc"
    assert defaults.verdict(cell(tb=[0.0005], mcmc=[0.1], random=[0.0]), True) == "tb, level with random"


def test_results_of_two_processes_are_merged_and_the_page_lists_them(tmp_path, monkeypatch):
    monkeypatch.setattr(defaults, "PATH", tmp_path / "defaults.json")
    [run] = cell(tb=[0.25])["tb"].values()
    defaults.merged("Bag, default", "tb", 0, run)
    defaults.merged("HyperGrid, user", "tb", 1, run)
    found = defaults.merged("Bag, default", "random", 0, run)
    assert list(found["Bag, default"]["agents"]) == ["tb", "random"]
    rows = [line for line in defaults.section(found).splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows[2:]] == ["| HyperGrid, user", "| Bag, default"]
    assert "| tb, level with random |" in rows[3]
