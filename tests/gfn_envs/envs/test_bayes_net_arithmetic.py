"""Scores of Bayesian networks against exact arithmetic, on columns of any scale, offset and dependence."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from gfn_envs import BayesNet
from gfn_envs.envs.bayes_net.gram_pivots import GramPivots
from gfn_envs.envs.bayes_net.scores import BGe, LinearGaussian

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(60, 3))
Z[:, 1] += Z[:, 0]
START = 1.7e9 + np.sort(RNG.uniform(0, 86400, 60))
REVENUE, COST = 1e7 * RNG.lognormal(size=(2, 60))
TINY, HUGE = np.array([1e-200, 1.0, 1.0]), np.array([1.0, 1e200, 1.0])

DATA = {
    "ordinary": Z,
    "a million away": Z + 1e6,
    "3e8 away": Z + 3e8,
    "milliseconds since 1970": Z + 1.7e12,
    "one column away": Z + [0, 1e15, 0],
    "start and end in seconds": np.c_[START, START + RNG.exponential(60, 60), Z[:, 0]],
    "profit = revenue - cost": np.c_[REVENUE, COST, REVENUE - COST],
    "profit, in tiny money": np.c_[REVENUE, COST, REVENUE - COST] * 1e20,
    "the same column twice": np.c_[Z[:, 0], Z[:, 0], Z[:, 1]],
    "nearly the same": np.c_[Z[:, 0], Z[:, 0] + 1e-9 * Z[:, 2], Z[:, 1]],
    "tiny": Z * TINY,
    "huge": Z * HUGE,
    "one outlier": np.r_[Z, [[1e14, -1e14, 3.0]]],
    "integers": np.round(Z * 3),
}


def determinant(matrix: list[list[Fraction]]) -> Fraction:
    if not matrix:
        return Fraction(1)
    minors = ([row[:j] + row[j + 1 :] for row in matrix[1:]] for j in range(len(matrix)))
    return sum((-1) ** j * matrix[0][j] * determinant(minor) for j, minor in enumerate(minors))  # type: ignore[return-value]


def log(value: Fraction) -> float:
    shift = value.numerator.bit_length() - value.denominator.bit_length()
    return math.log(float(value / Fraction(2) ** shift)) + shift * math.log(2)


def families(d: int) -> list[tuple[int, list[int]]]:
    others = ([k for k in range(d) if k != j] for j in range(d))
    return [
        (j, list(parents))
        for j, rest in enumerate(others)
        for p in range(d)
        for parents in itertools.combinations(rest, p)
    ]


def scores_of(score, d: int) -> list[float]:
    masks = [np.isin(np.arange(d), parents) for _, parents in families(d)]
    return score(np.array([j for j, _ in families(d)]), np.array(masks)).tolist()


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("name", DATA)
def test_bge_is_exact(name: str, center: bool) -> None:
    data = DATA[name]
    n, d = data.shape
    x = [[Fraction(v) for v in row] for row in data.tolist()]
    mean = [sum(column) / n for column in zip(*x, strict=True)]
    R = [
        [
            sum((row[i] - mean[i]) * (row[j] - mean[j]) for row in x)
            + (0 if center else Fraction(n, n + 1) * mean[i] * mean[j])
            + Fraction(i == j, 2)
            for j in range(d)
        ]
        for i in range(d)
    ]

    def block(index: list[int]) -> float:
        return log(determinant([[R[a][b] for b in index] for a in index]))

    score = BGe(data, center=center)
    for (node, parents), found in zip(families(d), scores_of(score, d), strict=True):
        freedom, constant = score._freedom[len(parents)], score._constant[len(parents)]
        expected = constant + freedom / 2 * block(parents) - (freedom + 1) / 2 * block([*parents, node])
        assert found == pytest.approx(expected, abs=1e-6, rel=1e-13), (node, parents)
    # Markov-equivalent graphs have equal scores.
    dag = BayesNet(data=data, score="bge", score_kwargs={"center": center})
    graphs = np.array([[0, 1, 0, 1], [2, 0, 0, 1], [0, 1, 3, 1], [6, 4, 0, 1]])
    one, other, three, reversed_ = dag.log_score(graphs)
    assert one == pytest.approx(other, abs=2e-6, rel=1e-13)
    assert three == pytest.approx(reversed_, abs=2e-6, rel=1e-13)


SMALL = [name for name in DATA if np.abs(DATA[name]).max() < 1e3]


@pytest.mark.parametrize("variance", [0.1, 1e-3, 10.0])
@pytest.mark.parametrize("name", SMALL)
def test_the_linear_gaussian_score_is_exact(name: str, variance: float) -> None:
    data = DATA[name]
    n, d = data.shape
    columns = [[Fraction(v) for v in column] for column in data.T.tolist()]
    v = Fraction(variance)

    def dot(i: int, j: int) -> Fraction:
        return sum(a * b for a, b in zip(columns[i], columns[j], strict=True))  # type: ignore[return-value]

    score = LinearGaussian(data, variance)
    for (node, parents), found in zip(families(d), scores_of(score, d), strict=True):
        S = [[dot(i, j) + v * (i == j) for j in parents] for i in parents]
        bordered = [[*row, dot(i, node)] for row, i in zip(S, parents, strict=True)]
        bordered.append([dot(node, j) for j in [*parents, node]])
        misfit = float(determinant(bordered) / determinant(S) / v)
        log_det = log(determinant(S) / v ** len(parents))
        expected = -0.5 * (n * math.log(2 * math.pi * variance) + log_det + misfit)
        assert found == pytest.approx(expected, abs=1e-6, rel=1e-15), (node, parents)


@pytest.mark.parametrize("name", ["3e8 away", "huge", "profit = revenue - cost", "one column away"])
def test_a_score_that_double_precision_cannot_hold_raises_and_names_the_column(name: str) -> None:
    with pytest.raises(ValueError, match=r"LinearGaussian: column \d has values up to .*: center and scale the data"):
        BayesNet(data=DATA[name], score="linear_gaussian")


def test_ordinary_data_never_takes_the_slow_exact_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GramPivots, "_exact", lambda *_: pytest.fail("exact arithmetic"))
    data = np.random.default_rng(1).normal(size=(100, 8)) @ np.random.default_rng(2).normal(size=(8, 8)) + 1e12
    for score in (BGe(data), BGe(data, center=False), LinearGaussian(data - 1e12)):
        assert np.isfinite(scores_of(score, 8)).all()
