"""The how-tos on phylogenetic trees: a consensus tree from an alignment, and estimates of log p(alignment)."""

from __future__ import annotations

import importlib.util
import math
import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import gfn_envs
from gfn_envs import exact
from gfn_envs.envs.phylogenetics import nested_trees
from gfn_envs.envs.phylogenetics.neighbor_joining import neighbor_joining

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def marginal_likelihood() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "marginal_likelihood", EXAMPLES / "phylogenetics_marginal_likelihood.py"
    )
    module = sys.modules["marginal_likelihood"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_consensus_of_the_alignment_in_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["consensus", "--quick", "--out", str(tmp_path)])
    runpy.run_path(str(EXAMPLES / "phylogenetics_consensus.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert "7 taxa, 945 unrooted trees" in printed
    assert float(re.search(r"total variation \(exact\): +([\d.]+)", printed)[1]) < 0.2
    learned, target = (float(value) for value in re.findall(r"log p\(alignment\), \w+: +(-[\d.]+)", printed))
    assert learned == pytest.approx(target, abs=0.5)
    rows = re.findall(r"^ +([\d.]+)  ([\d.]+)  (.*)$", printed, re.M)
    # The clades of the tree along which the sites were simulated.
    assert {"gull, tern", "gull, tern, auk", "crane, rail"} <= {clade for _, _, clade in rows}
    assert all(abs(float(support) - float(known)) < 0.2 for support, known, _ in rows)
    written = {"consensus.contree", "consensus.png", "support.clades.csv", "trees.nex"}
    assert {path.name for path in tmp_path.iterdir()} == written


def test_neighbor_joining_finds_the_tree_of_additive_distances() -> None:
    tree = ((0, (1, 4)), ((2, 5), 3))  # the seventh taxon hangs at the root
    _, _, clades = nested_trees.joins(tree, 7)
    sides = np.array([[mask >> taxon & 1 for taxon in range(7)] for mask in clades], dtype=bool)
    lengths = np.random.default_rng(0).uniform(0.1, 1.0, len(sides))
    distances = ((sides[:, :, None] != sides[:, None]) * lengths[:, None, None]).sum(0)
    assert neighbor_joining(distances) == tree


def test_each_inner_edge_has_two_interchanges_which_lead_to_every_tree() -> None:
    start = ((0, 1), (2, (3, 4)))
    assert len({changed for _, _, changed in nested_trees.neighbors(start)}) == 2 * (6 - 3)
    found, waiting = {start}, [start]
    while waiting:
        new = {changed for _, _, changed in nested_trees.neighbors(waiting.pop())} - found
        found |= new
        waiting += new
    assert len(found) == 105


def test_interchanges_are_combined_unless_they_exclude_each_other() -> None:
    def clades(tree: object) -> set[int]:
        return set(nested_trees.joins(tree, 7)[2][7:])

    start = (((0, 1), (2, 3)), (4, 5))
    every, together = [changed for _, _, changed in nested_trees.neighbors(start)], 0
    assert nested_trees.tree_of(clades(start), 7) == start
    for one in every:
        assert nested_trees.combined(start, [one], 7) == one
        for two in every:
            both = nested_trees.combined(start, [one, two], 7)
            assert clades(one) - clades(start) <= clades(both)
            assert both == one or clades(two) - clades(start) <= clades(both)
            together += both not in (one, two)
    assert together > 0


def test_values_of_interchanges_are_those_of_the_changed_trees(marginal_likelihood: ModuleType, tmp_path: Path) -> None:
    dag = gfn_envs.make_dag("GFN/PhyloTree-v0", num_taxa=8, num_sites=60, score="jc69")
    (tmp_path / "a.fasta").write_text("".join(f">{name}\n{letters}\n" for name, letters in dag.sequences.items()))
    search = marginal_likelihood.Search(str(tmp_path / "a.fasta"))
    start = neighbor_joining(marginal_likelihood.jukes_cantor_distances(search.sequences))
    search.waiting[start] = -np.inf, {}
    search.visit(start)
    known = {tree: (value, lengths) for tree, (value, lengths) in search.waiting.items() if len(lengths) > 2 * 8 - 2}
    assert set(known) == {changed for _, _, changed in nested_trees.neighbors(start)}
    for tree, (value, lengths) in known.items():
        trees, masks = search.trees(tree)
        logs = np.array([[lengths[mask] for mask in masks]])
        assert search.likelihood.value(trees, logs)[0] == pytest.approx(value, abs=1e-8)
        new = next(place for place, mask in enumerate(masks) if mask not in search.maxima[start][1])
        for factor in (0.5, 2.0):  # of the length, two steps of the grid
            other = logs + np.log(factor) * (np.arange(logs.shape[1]) == new)
            assert search.likelihood.value(trees, other)[0] < value + 1e-8


def times(number: int) -> Callable[[], bool]:
    """A condition that holds ``number`` times."""
    left = iter(range(number))
    return lambda: next(left, None) is not None


def test_estimates_of_small_alignments_are_exact(marginal_likelihood: ModuleType, tmp_path: Path) -> None:
    dag = gfn_envs.make_dag("GFN/PhyloTree-v0", num_taxa=6, num_sites=40, score="jc69")
    (tmp_path / "a.fasta").write_text("".join(f">{name}\n{letters}\n" for name, letters in dag.sequences.items()))
    search, rng = marginal_likelihood.Search(str(tmp_path / "a.fasta")), np.random.default_rng(0)
    # By steps instead of seconds, so that the estimate is the same on every machine.
    search.search(times(40), rng)
    distribution = search.fit(times(2), rng)
    for _ in range(10):
        search.weights += search.sample(distribution, rng)
    search.integrate(200, math.inf, rng)
    estimate, error = search.estimate()
    assert error < 0.05
    # The environment's rewards are Laplace's approximation.
    expected = dag.log_marginal_likelihood(exact.log_partition(dag))
    assert estimate + search.laplace_error() == pytest.approx(expected, abs=4 * error)


def test_an_estimate_without_time_knows_its_error(marginal_likelihood: ModuleType, tmp_path: Path) -> None:
    dag = gfn_envs.make_dag("GFN/PhyloTree-v0", num_taxa=6, num_sites=40, score="jc69")
    (tmp_path / "a.fasta").write_text("".join(f">{name}\n{letters}\n" for name, letters in dag.sequences.items()))
    search = marginal_likelihood.Search(str(tmp_path / "a.fasta"))
    search.run(0.0)
    assert len(search.integrals) == marginal_likelihood.FEWEST
    estimate, error = search.estimate()
    assert 0 < error < 1
    assert abs(estimate - dag.log_marginal_likelihood(exact.log_partition(dag))) < 3
