"""The likelihood of trees: sums over all ancestors, closed forms, quadrature, and numbers of another program."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import integrate, linalg, optimize

from gfn_envs import PhyloTree, exact
from gfn_envs.envs.phylogenetics.branch_sampling import log_importance_weights
from gfn_envs.envs.phylogenetics.likelihood import Likelihood
from gfn_envs.envs.phylogenetics.nested_trees import joins, neighbors, regrafted
from gfn_envs.envs.phylogenetics.pruning import Pruning, trees_of
from gfn_envs.envs.phylogenetics.substitution import rates


def rate_matrix(kappa: float) -> np.ndarray:
    """Of K80, from its definition: A-G and C-T at kappa times the rate of the others, one substitution per unit."""
    matrix = np.ones((4, 4))
    matrix[[0, 2, 1, 3], [2, 0, 3, 1]] = kappa
    np.fill_diagonal(matrix, 0)
    matrix /= matrix[0].sum()
    np.fill_diagonal(matrix, -1)
    return matrix


def pruning(sites: np.ndarray, model: str = "jc69", kappa: float = 1.0) -> Pruning:
    """Sites (taxa, patterns) of nucleotides 0..3, or -1 for a gap, once each."""
    possible = np.array([[(sites == letter) | (sites < 0) for letter in range(4)]], dtype=float)[0].swapaxes(0, 1)
    return Pruning(rates(model, kappa), possible, np.ones(sites.shape[1]))


def random_joins(taxa: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    labels, into, merged = list(range(taxa)), [], []
    while len(labels) > 1:
        i, j = sorted(rng.choice(labels, 2, replace=False).tolist())
        labels.remove(j)
        into.append(i)
        merged.append(j)
    return np.array([into]), np.array([merged])


def brute_force(sites: np.ndarray, trees, lengths: np.ndarray, kappa: float) -> float:
    """The log of the sum over the nucleotides of all inner nodes, with matrix exponentials."""
    taxa, joins = len(sites), trees.left.shape[1]
    change = [linalg.expm(rate_matrix(kappa) * length) for length in lengths]
    total = 0.0
    for column in sites.T:
        tips = [range(4) if letter < 0 else [letter] for letter in column.tolist()]
        likelihood = 0.0
        for letters in itertools.product(*tips, *[range(4)] * joins):
            term = 0.25
            for k, children in enumerate(zip(trees.left[0], trees.right[0], strict=True)):
                for child in children:
                    term *= change[child][letters[taxa + k], letters[child]]
            likelihood += term
        total += math.log(likelihood)
    return total


@pytest.mark.parametrize(("model", "kappa"), [("jc69", 1.0), ("k80", 3.5)])
def test_pruning_equals_the_sum_over_all_ancestors(model: str, kappa: float) -> None:
    rng = np.random.default_rng(0)
    sites = rng.integers(-1, 4, (4, 3))
    trees = trees_of(*random_joins(4, rng))
    lengths = rng.exponential(0.5, (1, trees.num_branches))
    found = pruning(sites, model, kappa).log_likelihood(trees, lengths)
    assert found[0] == pytest.approx(brute_force(sites, trees, lengths[0], kappa), rel=1e-12)


def test_derivatives_are_those_of_differences() -> None:
    rng = np.random.default_rng(1)
    model, step = pruning(rng.integers(0, 4, (5, 8)), "k80", 2.0), 1e-4
    trees = trees_of(*random_joins(5, rng))
    lengths = rng.exponential(0.3, (1, trees.num_branches))
    value, slope, bend = model.derivatives(trees, lengths)
    coefficients, _ = model.by_branch(trees, lengths)
    along = model.along_branches(coefficients, lengths[:, :, None] * [1.0, 1.5])
    for branch in range(trees.num_branches):
        ways = lengths.repeat(4, axis=0)
        ways[:, branch] += [-step, step, 0, lengths[0, branch] / 2]
        low, high, same, longer = model.log_likelihood(trees.take(np.zeros(4, dtype=int)), ways)
        assert same == value[0]
        assert slope[0, branch] == pytest.approx((high - low) / (2 * step), rel=1e-5, abs=1e-6)
        assert bend[0, branch] == pytest.approx((high - 2 * same + low) / step**2, rel=1e-3, abs=1e-4)
        assert along[0, branch, 1] - along[0, branch, 0] == pytest.approx(longer - same, abs=1e-9)


def test_values_of_moved_subtrees_are_those_of_the_changed_trees() -> None:
    """All subtrees into the middle of all branches, of which those at the old place are joined."""
    rng, taxa = np.random.default_rng(6), 7
    model, tree = pruning(rng.integers(0, 4, (taxa, 12))), ((0, (1, 4)), ((2, 5), 3))
    into, merged, masks = joins(tree, taxa)
    trees, lengths = trees_of(np.array([into]), np.array([merged])), rng.exponential(0.3, (1, 2 * taxa - 2))
    lengths[0, trees.no_branch] = 0.0
    before = model.log_likelihood(trees, lengths)[0]
    nodes = np.array([k for k in range(len(masks)) if k not in (trees.left[0, -1], trees.right[0, -1])])
    gains, seen = model.regrafts(trees, lengths, nodes), set()
    for row, node in enumerate(nodes.tolist()):
        moved = masks[node]
        rest: dict[int, float] = {}  # lengths of the branches without the subtree
        for mask, length in zip(masks, lengths[0].tolist(), strict=True):
            if mask & ~moved:
                rest[mask & ~moved] = rest.get(mask & ~moved, 0.0) + length
        for column, target in enumerate(masks):
            changed = None if target & ~moved == 0 or target == 1 << taxa - 1 else regrafted(tree, moved, target)
            if changed in (None, tree):
                continue
            into, merged, after = joins(changed, taxa)
            half = {target & ~moved: 0.5}
            new = [
                rest[mask & ~moved] * half.get(mask & ~moved, 1.0) if mask & ~moved else lengths[0, masks.index(mask)]
                for mask in after
            ]
            there = model.log_likelihood(trees_of(np.array([into]), np.array([merged])), np.array([new]))[0]
            assert gains[row, column] == pytest.approx(there - before, abs=1e-9)
            seen.add(changed)
    assert {changed for _, _, changed in neighbors(tree)} < seen


def test_hundreds_of_taxa_do_not_underflow() -> None:
    rng = np.random.default_rng(2)
    model, trees = pruning(rng.integers(0, 4, (900, 2))), trees_of(*random_joins(900, rng))
    value, slope, bend = model.derivatives(trees, np.full((1, trees.num_branches), 1e-3))
    assert value[0] < -math.log(4) * 900
    assert np.isfinite(slope).all() & np.isfinite(bend).all()


def test_two_taxa_have_the_distances_of_jukes_and_cantor_and_of_kimura() -> None:
    sites = np.array([[0] * 20, [0] * 13 + [2] * 4 + [1] * 2 + [3]])  # 4 transitions, 3 transversions
    trees = trees_of(np.array([[0]]), np.array([[1]]))
    score = Likelihood(pruning(sites), "optimized")
    log_lengths, error = score.log_lengths(trees)
    assert error[0] < 1e-8
    assert math.exp(log_lengths[0, 0]) == pytest.approx(-0.75 * math.log(1 - 4 / 3 * 7 / 20), rel=1e-4)
    # At the most likely kappa, each class of sites has its own frequency.
    p, q = 4 / 20, 3 / 20
    one, two = math.log(1 - 2 * p - q), math.log(1 - 2 * q)
    kappa = (2 * one - two) / two
    found = Likelihood(pruning(sites, "k80", kappa), "optimized")(np.array([[0]]), np.array([[1]]))
    expected = 20 * math.log(0.25) + 13 * math.log(1 - p - q) + 4 * math.log(p) + 3 * math.log(q / 2)
    assert -found[0] == pytest.approx(expected, abs=1e-7)


def test_the_root_does_not_matter_and_neither_does_the_rest_of_the_batch() -> None:
    rng = np.random.default_rng(3)
    sites = rng.integers(0, 4, (4, 1)).repeat(9, axis=1)
    sites[rng.random(sites.shape) < 0.3] = 0
    # ((0,1),(2,3)) with its root on each of five edges.
    into = np.array([[0, 2, 0], [0, 0, 0], [0, 0, 0], [2, 1, 0], [2, 0, 0]])
    merged = np.array([[1, 3, 2], [1, 2, 3], [1, 3, 2], [3, 2, 1], [3, 2, 1]])
    for how in ("optimized", "integrated"):
        score = Likelihood(pruning(sites, "k80", 2.0), how)
        found = score(into, merged)
        np.testing.assert_allclose(found, found[0], atol=1e-6)
        np.testing.assert_array_equal(found, [score(into[k : k + 1], merged[k : k + 1])[0] for k in range(5)])


def test_optimized_lengths_are_those_of_scipy() -> None:
    rng = np.random.default_rng(4)
    sites = np.where(rng.random((6, 60)) < 0.25, rng.integers(0, 4, (6, 60)), rng.integers(0, 4, 60))
    model = pruning(sites, "k80", 2.0)
    for seed in range(3):
        into, merged = random_joins(6, np.random.default_rng(seed))
        trees = trees_of(into, merged)

        def loss(log_lengths, trees=trees):
            lengths = np.exp(log_lengths[None])
            value, slope, _ = model.derivatives(trees, lengths)
            return -value[0], -(slope * lengths)[0]

        best = optimize.minimize(loss, np.full(10, -2.0), jac=True, bounds=[(-20, 4)] * 10, tol=1e-10).fun
        assert Likelihood(model, "optimized")(into, merged)[0] == pytest.approx(best, abs=1e-4)


def log_integral(model: Pruning, mean: float, places: int) -> float:
    """Over the branch lengths of the tree of three taxa, on a grid of the logs of the lengths."""
    into, merged = np.array([[0, 0]]), np.array([[1, 2]])
    y = np.linspace(math.log(mean) - 12, math.log(mean) + 3, places)
    grid = np.stack(np.meshgrid(y, y, y, indexing="ij"), -1).reshape(-1, 3)
    lengths = np.zeros((len(grid), 4))
    lengths[:, [0, 1, 3]] = np.exp(grid)
    parts = []
    for part in np.array_split(lengths, 40):
        trees = trees_of(into.repeat(len(part), 0), merged.repeat(len(part), 0))
        parts.append(model.log_likelihood(trees, part))
    logs = np.concatenate(parts) + (grid - np.exp(grid) / mean - math.log(mean)).sum(1)
    return float(np.logaddexp.reduce(logs) + 3 * math.log(y[1] - y[0]))


@pytest.mark.parametrize(("number", "change", "error"), [(1, 0.0, 0.02), (5, 0.5, 0.1), (40, 0.1, 0.05)])
def test_integrals_over_branch_lengths_are_those_of_a_grid(number: int, change: float, error: float) -> None:
    """A few sites, which determine little, and many."""
    rng = np.random.default_rng(5)
    sites = np.where(rng.random((3, number)) < change, rng.integers(0, 4, (3, number)), rng.integers(0, 4, number))
    model = pruning(sites)
    found = -Likelihood(model, "integrated", 0.1)(np.array([[0, 0]]), np.array([[1, 2]]))[0]
    assert found == pytest.approx(log_integral(model, 0.1, 41), abs=error)


@pytest.mark.parametrize(("number", "change"), [(1, 0.0), (5, 0.5)])
def test_importance_sampling_of_branch_lengths_is_unbiased(number: int, change: float) -> None:
    """Within four standard errors of a grid, in alignments where Laplace's approximation is off by up to 0.1."""
    rng = np.random.default_rng(5)
    sites = np.where(rng.random((3, number)) < change, rng.integers(0, 4, (3, number)), rng.integers(0, 4, number))
    likelihood, trees = Likelihood(pruning(sites), "integrated", 0.1), trees_of(np.array([[0, 0]]), np.array([[1, 2]]))
    logs = likelihood.log_lengths(trees)[0]
    weights = log_importance_weights(likelihood, trees, logs, likelihood.hessian(trees, logs), 4000, rng)
    shares = np.exp(weights - log_integral(likelihood.pruning, 0.1, 41))
    assert shares.std() < 1.5
    assert shares.mean() == pytest.approx(1, abs=4 * shares.std() / math.sqrt(len(shares)))


def test_the_integral_over_one_branch_is_exact() -> None:
    sites = np.array([[0] * 12, [0] * 10 + [2, 1]])
    model, trees = pruning(sites, "k80", 2.0), trees_of(np.array([[0]]), np.array([[1]]))

    def density(length: float) -> float:
        value = model.log_likelihood(trees, np.array([[length, 0.0]]))[0]
        return math.exp(value - length / 0.2) / 0.2

    exact = math.log(integrate.quad(density, 0, 20, points=[0.1, 1], epsabs=0, epsrel=1e-10)[0])
    found = -Likelihood(model, "integrated", 0.2)(np.array([[0]]), np.array([[1]]))[0]
    assert found == pytest.approx(exact, abs=1e-4)


# ---------------------------------------------------------------------- the environment

SEQUENCES = {
    "a": "AATCGGGGAACTACGATTTCACAACATCTTCTCGCGTTTGTTAACGTTGCTGGAGTTTCAACGCACTCCGAAAGAGGCTA",
    "b": "AATCGGGAGA---AGATTTGTCATCGTCTACCAGCGTTAGTTAACGTCTCTTGACGATTCTCGCAATTCCAATGATTTTC",
    "c": "AATCAGGTAACTGAGATTTGTCAACGTCTCTTAGCGGATGATAACGTGTTTGGCGTTTTATCGCAATGATAATGAAGTTA",
    "d": "AATCGGGACACTGAAATTTATCGGCGACTARNAGCGTTTGTTAACATCTCTGGAGTTTTATCGCTATGAGAATGAAGTTA",
    "e": "AATCAGGACACTGATATTTGGCAGCGTCCACAAGCGCTTATTAACGTCTCTGCCGTTTTATCGACATTCGAACGAAGTTA",
    "f": "AATCGAGACACAGAGATTGGGCAGCGTCGACTAGCGTTTGTTAACGAATCTGGAATATTATCGCAATTCCAATGAAGTTA",
}


@pytest.mark.parametrize(
    ("model", "kappa", "expected"),
    [("jc69", None, (-403.39091126, -404.40235603)), ("k80", 3.0, (-412.70350232, -414.61095012))],
)
def test_maximum_likelihoods_are_those_of_cogent3(model: str, kappa: float | None, expected: tuple[float, ...]) -> None:
    """Of cogent3 2026.10.22, which optimizes branch lengths by other means, with gaps and ambiguous letters."""
    dag = PhyloTree(SEQUENCES, score=model, kappa=kappa, branch_lengths="optimized")
    objects = dag.terminal_states()
    assert (len(objects), dag.rooted, dag.temperature) == (105, False, 1.0)
    clades = [{"".join(np.array(dag.taxa)[node]) for node in tree} for tree in dag.clades(objects)]
    for tree, log_likelihood in zip(({"ab", "cd", "abcd"}, {"ac", "be", "abce"}), expected, strict=True):
        found = -dag.costs(objects[[clades.index(tree)]])[0]
        assert found == pytest.approx(log_likelihood, abs=1e-5)
        assert dag.log_reward(objects[[clades.index(tree)]])[0] == pytest.approx(dag.constant + found)


def test_the_marginal_likelihood_is_the_mean_over_trees_and_the_root_does_not_matter() -> None:
    found = []
    for rooted in (True, False):
        dag = PhyloTree(num_taxa=5, num_sites=30, score="jc69", rooted=rooted)
        mean = np.logaddexp.reduce(-dag.costs(dag.terminal_states())) - math.log(dag.num_terminal_states)
        found.append(dag.log_marginal_likelihood(exact.log_partition(dag)))
        assert found[-1] == pytest.approx(mean, abs=1e-9)
    assert found[0] == pytest.approx(found[1], abs=1e-5)


def test_forward_looking_needs_parsimony() -> None:
    dag = PhyloTree(num_taxa=4, score="jc69")
    assert not dag.has("partial_log_reward")
    with pytest.raises(NotImplementedError, match="with parsimony alone"):
        dag.partial_log_reward(dag.source(1))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"score": "hky"}, r"score must be one of \('parsimony', 'jc69', 'k80'\), got 'hky'"),
        ({"kappa": 2.0}, "kappa needs score='jc69' or 'k80'; parsimony has none, got 2.0"),
        ({"branch_lengths": "optimized"}, "branch_lengths needs score"),
        ({"branch_mean": 0.1}, "branch_mean needs score"),
        ({"score": "jc69", "kappa": 2.0}, "kappa needs score='k80'"),
        ({"score": "k80", "kappa": 0}, "kappa must be finite and > 0"),
        ({"score": "jc69", "branch_lengths": "fixed"}, "branch_lengths must be one of"),
        ({"score": "jc69", "branch_lengths": "optimized", "branch_mean": 0.1}, "branch_mean needs branch_lengths"),
    ],
)
def test_bad_arguments(kwargs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PhyloTree(num_taxa=4, **kwargs)


@pytest.mark.parametrize("kwargs", [{}, {"score": "jc69", "temperature": 2.0}])
def test_other_rewards_have_no_marginal_likelihood(kwargs: dict) -> None:
    with pytest.raises(ValueError, match="integrated branch lengths and temperature 1"):
        PhyloTree(num_taxa=4, **kwargs).log_marginal_likelihood(0.0)


@pytest.mark.parametrize("how", ["integrated", "optimized"])
@pytest.mark.parametrize(
    "sequences",
    [["ACGT"] * 5, ["----"] * 5, ["A", "C", "G", "T", "N"], ["A" * 99, "C" * 99, "G" * 99, "T" * 99, "A" * 99]],
)
def test_alignments_without_information_or_without_similarity(sequences: list[str], how: str) -> None:
    """Most likely lengths are then 0, arbitrary or infinite."""
    dag = PhyloTree({f"t{i}": s for i, s in enumerate(sequences)}, score="k80", branch_lengths=how, constant=0.0)
    costs = dag.costs(dag.terminal_states())
    assert np.isfinite(costs).all()
    if sequences[0] == "----":
        np.testing.assert_allclose(costs, 0, atol=0.05)
    if sequences[0] == "ACGT" and how == "optimized":
        np.testing.assert_allclose(costs, 4 * math.log(4), atol=1e-5)
