"""Support of clades by counts in closed form and by DendroPy, and consensus trees."""

from __future__ import annotations

import math

import numpy as np
import pytest

from agents.evaluation.tree_support import CladeSupport, clade_support, consensus_newick, majority_rule, support_of
from gfn_envs import PhyloTree, exact


def num_rooted(taxa: int) -> int:
    return math.prod(range(1, 2 * taxa - 2, 2))


@pytest.mark.parametrize("rooted", [True, False])
def test_support_if_all_trees_are_equally_probable(rooted: bool) -> None:
    dag = PhyloTree(num_taxa=6, num_sites=5, rooted=rooted)
    trees = dag.terminal_states()
    found = clade_support(dag.clades(trees), np.ones(len(trees)))
    # A rooted tree with a clade of k taxa: a tree of these, and a tree of the others and the clade. Without a root, the
    # last taxon takes the place of the root.
    taxa = 6 if rooted else 5
    sizes = found.members.sum(1)
    expected = [num_rooted(k) * num_rooted(taxa - k + 1) / num_rooted(taxa) for k in sizes.tolist()]
    np.testing.assert_allclose(found.support, expected, rtol=1e-12)
    assert len(found.support) == 2**taxa - taxa - 2
    assert rooted or not found.members[:, -1].any()


def test_exact_support_is_that_of_the_target() -> None:
    dag = PhyloTree(num_taxa=5, temperature=0.7)
    trees, target = dag.terminal_states(), exact.target_distribution(dag)
    found = clade_support(dag.clades(trees), target)
    names = dag.object_names(trees)
    pair = np.array([True, True, False, False, False])
    expected = sum(p for name, p in zip(names, target, strict=True) if "(taxon0,taxon1)" in name)
    assert support_of(pair[None], found) == pytest.approx([expected])
    assert found.support.sum() == pytest.approx(3)  # Each tree has n - 2 clades besides the root and the taxa.
    assert (np.diff(found.support) <= 1e-12).all()
    assert support_of(~pair[None] & False, found).tolist() == [0.0]


@pytest.mark.parametrize("rooted", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_consensus_is_that_of_dendropy(rooted: bool, seed: int) -> None:
    dendropy = pytest.importorskip("dendropy")
    dag = PhyloTree(num_taxa=7, temperature=2.0, rooted=rooted, seed=seed)
    trees = dag.terminal_states()
    drawn = trees[np.random.default_rng(seed).choice(len(trees), 40, p=exact.target_distribution(dag))]
    text = "".join(f"[&{'R' if rooted else 'U'}] {name}" for name in dag.object_names(drawn))
    theirs = dendropy.TreeList.get(data=text, schema="newick")
    consensus = theirs.consensus(min_freq=0.5 + 1e-6)
    chosen = majority_rule(clade_support(dag.clades(drawn), np.ones(40)))
    assert 0 < len(chosen.support) <= 5
    newick = f"[&{'R' if rooted else 'U'}] {consensus_newick(list(dag.taxa), chosen)}"
    ours = dendropy.Tree.get(data=newick, schema="newick", taxon_namespace=theirs.taxon_namespace)
    consensus.encode_bipartitions()
    ours.encode_bipartitions()
    assert dendropy.calculate.treecompare.symmetric_difference(ours, consensus, is_bipartitions_updated=True) == 0
    labels = np.array(dag.taxa)
    for members, support in zip(*chosen, strict=True):
        frequency = theirs.frequency_of_bipartition(labels=labels[members].tolist(), is_bipartitions_updated=False)
        assert frequency == pytest.approx(support)
    inner = [node.label for node in ours.internal_nodes() if node.label]
    assert sorted(inner) == sorted(f"{support:.3f}" for support in chosen.support)


def test_weights_count_and_nested_clades_are_written() -> None:
    one = np.array([[[1, 1, 0, 0], [1, 1, 1, 0]], [[0, 1, 1, 0], [1, 1, 1, 0]]], dtype=bool)
    found = clade_support(one, np.array([3.0, 1.0]))
    assert found.support.tolist() == [1.0, 0.75, 0.25]
    assert consensus_newick(list("abcd"), majority_rule(found)) == "(((a,b)0.750,c)1.000,d);"
    assert consensus_newick(list("abcd"), majority_rule(found, 0.8), digits=1) == "((a,b,c)1.0,d);"
    half = clade_support(one, np.array([1.0, 1.0]))
    assert majority_rule(half).support.tolist() == [1.0]
    assert consensus_newick(list("ab"), CladeSupport(np.zeros((0, 2), bool), np.zeros(0))) == "(a,b);"


def test_bad_weights_and_thresholds() -> None:
    clades = np.zeros((2, 1, 3), dtype=bool)
    for weights in ([0.0, 0.0], [1.0, -1.0]):
        with pytest.raises(ValueError, match="support needs trees with weights >= 0"):
            clade_support(clades, np.array(weights))
    with pytest.raises(ValueError, match="got 0 trees"):
        clade_support(clades[:0], np.zeros(0))
    for threshold in (0.4, 1.0):
        with pytest.raises(ValueError, match=r"must be in \[0.5, 1\)"):
            majority_rule(clade_support(clades, np.ones(2)), threshold)
