"""Files of trees: NEXUS for DendroPy and Biopython, consensus trees, and tables of clades."""

from __future__ import annotations

import csv

import numpy as np
import pytest

import agents
from agents.cli import main as cli
from agents.export import trees
from agents.export.formats import write_samples
from agents.export.samples import draw_samples, select
from gfn_envs import PhyloTree

ALIGNMENT = {"ape": "ACGTA", "b_ee": "ACCTA", "cat": "GCTAA", "d e": "GCTAC", "e-f": "GCTTC", "it's": "ACTTC"}


@pytest.fixture(scope="module", params=[True, False], ids=["rooted", "unrooted"])
def sampled(request):
    dag = PhyloTree(ALIGNMENT, rooted=request.param)
    agent = agents.make_agent("tb", dag, hidden=(8,))
    return dag, select(draw_samples(agent, 200), unique=True)


def test_nexus_is_read_back_by_dendropy(sampled, tmp_path):
    dendropy = pytest.importorskip("dendropy")
    dag, samples = sampled
    write_samples(tmp_path / "a.nex", samples, dag)
    read = dendropy.TreeList.get(
        path=tmp_path / "a.nex", schema="nexus", preserve_underscores=True, store_tree_weights=True
    )
    assert [taxon.label for taxon in read.taxon_namespace] == list(ALIGNMENT)
    assert len(read) == len(samples)
    assert [tree.is_rooted for tree in read] == [dag.rooted] * len(samples)
    np.testing.assert_allclose([tree.weight for tree in read], samples.samples / 200, rtol=1e-6)
    found = [{frozenset(leaf.taxon.label for leaf in node.leaf_iter()) for node in tree} for tree in read]
    for tree, clades in zip(found, dag.clades(samples.states), strict=True):
        assert {frozenset(np.array(dag.taxa)[members].tolist()) for members in clades} <= tree


def test_nexus_is_read_back_by_biopython(sampled, tmp_path):
    phylo = pytest.importorskip("Bio.Phylo")
    dag, samples = sampled
    write_samples(tmp_path / "a.nex", samples, dag)
    read = list(phylo.parse(tmp_path / "a.nex", "nexus"))
    assert len(read) == len(samples)
    assert len(read[0].get_terminals()) == 6
    np.testing.assert_allclose([tree.weight for tree in read], samples.samples / 200, rtol=1e-6)


def test_consensus_and_clades_agree(sampled, tmp_path):
    dendropy = pytest.importorskip("dendropy")
    dag, samples = sampled
    for name in ("a.contree", "a.clades.csv"):
        write_samples(tmp_path / name, samples, dag)
    rows = list(csv.DictReader((tmp_path / "a.clades.csv").open(encoding="utf-8")))
    assert list(rows[0]) == ["clade", "taxa", "support", "standard_error", "target"]
    support = [float(row["support"]) for row in rows]
    of_tree = [{" ".join(np.array(dag.taxa)[members]) for members in tree} for tree in dag.clades(samples.states)]
    for row in rows:
        times = samples.samples[[row["clade"].replace("'d e'", "d e").replace("'it''s'", "it's") in t for t in of_tree]]
        assert float(row["support"]) == times.sum() / 200
    inner = 4 if dag.rooted else 3
    assert sum(support) == pytest.approx(inner)
    assert support == sorted(support, reverse=True)
    share = support[1]
    assert float(rows[1]["standard_error"]) == pytest.approx((share * (1 - share) / 200) ** 0.5)
    assert 0 < sum(float(row["target"]) for row in rows) <= inner + 1e-9
    tree = dendropy.Tree.get(path=tmp_path / "a.contree", schema="newick", preserve_underscores=True)
    assert tree.is_rooted is dag.rooted
    labels = sorted(node.label for node in tree.internal_nodes() if node.label)
    assert labels == sorted(f"{value:.3f}" for value in support if value > 0.5 + 1e-9)
    assert {leaf.taxon.label for leaf in tree.leaf_node_iter()} == set(ALIGNMENT)


def test_exact_support_needs_few_trees_and_cheap_rewards(sampled, monkeypatch):
    dag, _ = sampled
    assert trees.target_support(dag).support.sum() == pytest.approx(4 if dag.rooted else 3)
    monkeypatch.setattr(trees, "MAX_EXACT_TREES", 10)
    assert trees.target_support(dag) is None


def test_from_the_shell(tmp_path, capsys):
    dag = PhyloTree(ALIGNMENT, rooted=False)
    agents.train(agents.make_agent("tb", dag, hidden=(8,)), 3, tmp_path / "run", progress=False)
    files = [str(tmp_path / name) for name in ("a.nwk", "a.nex", "a.contree", "a.clades.csv")]
    with pytest.raises(SystemExit) as stop:
        cli.main(["sample", str(tmp_path / "run"), "--num", "50", "--no-progress", "--out", *files])
    assert stop.value.code == 0
    assert capsys.readouterr().out.count("saved") == 4
