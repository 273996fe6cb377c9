"""BDeu and BIC against independent computations, and scores that fit the kind of the data."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gfn_envs import BayesNet, check_dag
from gfn_envs.envs.bayes_net import bitmask_graphs as digraphs
from gfn_envs.envs.bayes_net import discrete_scores
from gfn_envs.envs.bayes_net.discrete_scores import BDeu
from gfn_envs.envs.bayes_net.families import LocalScore
from gfn_envs.envs.bayes_net.gaussian_scores import GaussianBIC

RNG = np.random.default_rng(3)
X = RNG.integers(0, 2, 40)
DISCRETE = np.stack([X, (X + (RNG.random(40) < 0.3)) % 2 + 5, RNG.integers(0, 3, 40) - X], axis=1).astype(float)
GAUSSIAN = RNG.normal(size=(30, 3)) @ RNG.normal(size=(3, 3)) + [0, 5, -100]
LABELS = {name: [str(v) + "x" for v in column] for name, column in zip("abc", DISCRETE.T, strict=True)}


def families(d: int) -> list[tuple[int, list[int]]]:
    return [
        (j, list(parents))
        for j in range(d)
        for p in range(d)
        for parents in itertools.combinations([k for k in range(d) if k != j], p)
    ]


def predictive(data: np.ndarray, node: int, parents: list[int], size: float) -> float:
    """log p(column | parents), row by row: each value is predicted from the rows before it (Dirichlet-multinomial)."""
    r = len(np.unique(data[:, node]))
    q = math.prod(len(np.unique(data[:, k])) for k in parents)
    total = 0.0
    for i, row in enumerate(data):
        same = (data[:i, parents] == row[parents]).all(1)
        hits = (same & (data[:i, node] == row[node])).sum()
        total += math.log((hits + size / (q * r)) / (same.sum() + size / q))
    return total


@pytest.mark.parametrize("chunk", [2**20, 100])
def test_bdeu_is_a_product_of_predictions(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discrete_scores, "CHUNK", chunk)
    score, all_families = BDeu(DISCRETE, equivalent_sample_size=2.5), families(3)
    nodes = np.array([node for node, _ in all_families])
    parents = np.array([np.isin(np.arange(3), each) for _, each in all_families])
    expected = [predictive(DISCRETE, node, each, 2.5) for node, each in all_families]
    np.testing.assert_allclose(score(nodes, parents), expected, rtol=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=2, max_size=12), st.floats(0.01, 50))
def test_bdeu_on_any_table(rows: list[tuple[int, int, int]], size: float) -> None:
    data = np.array(rows, dtype=float)
    for node, parents in families(3)[::3]:
        found = BDeu(data, size)(np.array([node]), np.isin(np.arange(3), parents)[None])[0]
        assert math.isclose(found, predictive(data, node, parents, size), rel_tol=1e-9, abs_tol=1e-9)


#: Values of ``pgmpy.structure_score`` (1.1.2): BDeu(DISCRETE, equivalent_sample_size=10) and BICGauss(GAUSSIAN).
PGMPY_BDEU = {
    (0, (1,)): -26.613697924303057,
    (0, (1, 2)): -24.979560602783998,
    (1, (0,)): -26.613697924303057,
    (1, (0, 2)): -29.760549768078477,
    (2, (0,)): -51.90616971236453,
    (2, (0, 1)): -55.05302155613994,
}
PGMPY_BIC = {
    (0, (1,)): -53.080046818269736,
    (0, (1, 2)): -40.5168906410256,
    (1, (0,)): -70.77431788121301,
    (1, (0, 2)): -70.50773244157993,
    (2, (0,)): -31.682839521750832,
    (2, (0, 1)): -31.41625408211776,
}


@pytest.mark.parametrize(
    ("score", "expected"), [(BDeu(DISCRETE, 10.0), PGMPY_BDEU), (GaussianBIC(GAUSSIAN), PGMPY_BIC)]
)
def test_scores_equal_those_of_pgmpy(score: LocalScore, expected: dict[tuple[int, tuple[int, ...]], float]) -> None:
    for (node, parents), value in expected.items():
        found = score(np.array([node]), np.isin(np.arange(3), parents)[None])[0]
        assert found == pytest.approx(value, rel=1e-10)


def test_bdeu_with_more_configurations_than_integers() -> None:
    """The number of configurations of 30 parents with 5 values exceeds 64 bits; every row has its own one."""
    data = np.c_[np.arange(20) % 2, RNG.permuted(np.arange(20)[:, None].repeat(30, 1) % 5, axis=0)].astype(float)
    found = BDeu(data, 1.0)(np.array([0]), (np.arange(31) > 0)[None])[0]
    assert found == pytest.approx(20 * math.log(0.5))


@pytest.mark.parametrize("score", ["bdeu", "gaussian_bic"])
def test_scores_are_equal_on_markov_equivalent_graphs(score: str) -> None:
    """The three orientations of a chain a - b - c without collider have one score; the collider has another."""
    dag = BayesNet(data=DISCRETE if score == "bdeu" else GAUSSIAN, score=score)
    graphs = [[0, 1, 2], [2, 4, 0], [2, 0, 2], [0, 5, 0]]
    first, second, third, collider = dag.log_score(np.array([[*g, 1] for g in graphs]))
    assert first == pytest.approx(second, rel=1e-12)
    assert first == pytest.approx(third, rel=1e-12)
    assert abs(first - collider) > 1e-3


@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_bic_is_that_of_least_squares(offset: float) -> None:
    data = np.round((GAUSSIAN + offset) * 2**20) / 2**20
    score, n = GaussianBIC(data), len(data)
    for node, parents in families(3):
        # Shifted back without rounding.
        design = np.c_[np.ones(n), data[:, parents] - offset]
        residual = data[:, node] - offset - design @ np.linalg.lstsq(design, data[:, node] - offset, rcond=None)[0]
        log_likelihood = stats.norm.logpdf(residual, scale=residual.std()).sum()
        expected = log_likelihood - (len(parents) + 2) / 2 * math.log(n)
        assert score(np.array([node]), np.isin(np.arange(3), parents)[None])[0] == pytest.approx(expected, abs=1e-6)


def test_bic_of_dependent_columns_raises() -> None:
    data = np.c_[GAUSSIAN[:, :2], np.round(GAUSSIAN[:, 0], 3) * 2]
    data[:, 0] = data[:, 2] / 2
    message = r"GaussianBIC: columns \[0\] predict column 2 without error in 30 rows"
    with pytest.raises(ValueError, match=message):
        BayesNet(data=data, score="gaussian_bic").log_reward(np.array([[0, 0, 1, 1]]))
    with pytest.raises(ValueError, match="without error in 3 rows"):
        BayesNet(data=GAUSSIAN[:3], score="gaussian_bic").log_reward(np.array([[0, 1, 3, 1]]))


# ---------------------------------------------------------------------- the kind of the data


def test_the_kind_of_the_data_chooses_the_score() -> None:
    for data, score in ((DISCRETE, "bdeu"), (LABELS, "bdeu"), (GAUSSIAN, "bge")):
        states = BayesNet(data=data).terminal_states()
        chosen, given_by_name = BayesNet(data=data), BayesNet(data=data, score=score)
        np.testing.assert_array_equal(chosen.log_reward(states), given_by_name.log_reward(states))
    # Labels and the numbers they stand for are the same data.
    np.testing.assert_allclose(BayesNet(data=LABELS).log_reward(states), BayesNet(data=DISCRETE).log_reward(states))


@pytest.mark.parametrize(
    ("data", "score", "message"),
    [
        (
            np.c_[DISCRETE[:30, :1], GAUSSIAN],
            "auto",
            r"column 'X0' is discrete \(the values 0, 1\) and column 'X1' is continuous \(30 different values\)",
        ),
        (GAUSSIAN, "bdeu", "score 'bdeu' is for discrete columns, but column 'X0' has 30 different values in 30 rows"),
        (
            {**LABELS, "id": [f"person {i}" for i in range(40)]},
            "auto",
            "score 'bdeu' is for discrete columns, but column 'id' has 40 different labels in 40 rows",
        ),
        (LABELS, "bge", "score 'bge' is for numbers, but column 'a' has the labels '0.0x', '1.0x': use score 'bdeu'"),
        (LABELS, "gaussian_bic", "score 'gaussian_bic' is for numbers, but column 'a'"),
    ],
)
def test_scores_that_do_not_fit_the_data_raise(data: Any, score: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"BayesNet: {message}"):
        BayesNet(data=data, score=score)


def test_a_gaussian_score_of_binary_columns_warns() -> None:
    mixed = np.c_[DISCRETE[:30, :1], GAUSSIAN]
    with pytest.warns(
        UserWarning, match=r"score 'bge' takes column 'X0' \(the values 0, 1\) as Gaussian; score 'bdeu'"
    ):
        BayesNet(data=mixed, score="bge")


def test_simulated_discrete_data() -> None:
    dag = BayesNet(4, score="bdeu", num_samples=5000, seed=1, score_kwargs={"equivalent_sample_size": 4})
    assert set(np.unique(dag.data)) == {0.0, 1.0}
    assert dag.true_graph is not None
    assert digraphs.unpack(dag.true_graph, 4).any()
    # The true graph has the largest posterior up to Markov equivalence.
    states = dag.terminal_states()
    truth = dag.log_reward(np.append(dag.true_graph, 1)[None])[0]
    assert truth == pytest.approx(dag.log_reward(states).max(), abs=1e-6)
    assert check_dag(BayesNet(3, score="bdeu", num_samples=20)).exhaustive
    assert (np.ptp(BayesNet(5, score="bdeu", num_samples=2).data, axis=0) > 0).all()


@pytest.mark.parametrize("size", [0.0, -1.0, math.inf, math.nan])
def test_bad_sample_sizes(size: float) -> None:
    with pytest.raises(ValueError, match="equivalent_sample_size must be finite and > 0, got"):
        BDeu(DISCRETE, size)
