"""Distributions in which clades split independently: exact over all trees of five taxa."""

from __future__ import annotations

import numpy as np
import pytest

from gfn_envs.envs.phylogenetics.clade_distribution import CladeDistribution, count_splits, mix, shares
from gfn_envs.envs.phylogenetics.nested_trees import Tree, neighbors, splits, tree_of, tree_of_splits


def all_trees(start: Tree) -> list[Tree]:
    found, waiting = {start}, [start]
    while waiting:
        new = {changed for _, _, changed in neighbors(waiting.pop())} - found
        found |= new
        waiting += new
    return sorted(found, key=str)


TREES = all_trees((((0, 1), 2), (3, 4)))


def test_splits_give_the_tree_back() -> None:
    assert len(TREES) == 105
    for tree in TREES:
        assert tree_of_splits(splits(tree)) == tree == tree_of({clade for clade, _ in splits(tree)}, 6)


def test_probabilities_are_a_distribution_that_fits_itself_and_single_trees() -> None:
    every = [splits(tree) for tree in TREES]
    fitted = CladeDistribution(count_splits(every, np.random.default_rng(0).exponential(1, 105) ** 3))
    probabilities = np.exp([fitted.log_prob(of_tree) for of_tree in every])
    assert probabilities.sum() == pytest.approx(1, abs=1e-12)
    again = CladeDistribution(count_splits(every, 7 * probabilities))
    np.testing.assert_allclose(np.exp([again.log_prob(of_tree) for of_tree in every]), probabilities, rtol=1e-10)
    alone = CladeDistribution(count_splits(every[:1], [2.0]))
    assert [alone.log_prob(of_tree) for of_tree in every[:2]] == [0.0, -np.inf]


def test_a_fit_combines_parts_of_trees() -> None:
    one, other = (((0, 1), 2), ((3, 4), 5)), ((0, (1, 2)), (3, (4, 5)))
    fitted = CladeDistribution(count_splits(map(splits, [one, other]), [1.0, 3.0]))
    both = (((0, 1), 2), (3, (4, 5)))
    assert fitted.log_prob(splits(both)) == pytest.approx(np.log(1 / 4 * 3 / 4))
    parts = [(0.25, count_splits([splits(one)], [1.0])), (0.75, count_splits([splits(other)], [1.0]))]
    assert CladeDistribution(mix(parts)).log_prob(splits(both)) == pytest.approx(np.log(1 / 4 * 3 / 4))
    assert shares(map(splits, [one, other]), np.log([2.0, 6.0])) == pytest.approx(mix(parts))
    # A tree of weight 0 takes no part.
    assert CladeDistribution(count_splits(map(splits, [one, other]), [1.0, 0.0])).log_prob(splits(both)) == -np.inf


@pytest.mark.parametrize("weights", [[0.0], [-1.0], [np.nan], [np.inf]])
def test_weights_must_be_positive_and_finite(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="no split has a weight > 0" if weights == [0.0] else "finite and >= 0"):
        CladeDistribution(count_splits([splits(TREES[0])], weights))


def test_samples_have_their_probabilities() -> None:
    rng = np.random.default_rng(1)
    fitted = CladeDistribution(count_splits(map(splits, TREES), rng.exponential(1, 105)))
    counts = dict.fromkeys(TREES, 0)
    for _ in range(4000):
        found, log_prob = fitted.sample(rng)
        counts[tree_of_splits(found)] += 1
        assert log_prob == pytest.approx(fitted.log_prob(found), abs=1e-12)
    expected = 4000 * np.exp([fitted.log_prob(splits(tree)) for tree in TREES])
    chi_squared = ((np.array(list(counts.values())) - expected) ** 2 / expected).sum()
    assert 104 - 5 * np.sqrt(208) < chi_squared < 104 + 5 * np.sqrt(208)
