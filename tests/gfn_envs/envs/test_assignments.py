"""Ising models and factor graphs: rewards in plain Python, log Z by variable elimination."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy import special

from gfn_envs import BitSequence, FactorGraph, Ising, check_dag, exact
from gfn_envs.envs.assignments.factors import FAMILIES, maximal_cliques
from tests.helpers import ORDERS

Factors = list[tuple[tuple[int, ...], np.ndarray]]


def eliminated_log_z(factors: Factors, num_variables: int) -> float:
    """log of the sum over all assignments of exp(sum of log potentials), summing out one variable after another.

    A factor is (variables, log potentials of shape (K,) * len(variables)).
    """
    for variable in range(num_variables):
        touching = [factor for factor in factors if variable in factor[0]]
        factors = [factor for factor in factors if variable not in factor[0]]
        scope = sorted({v for variables, _ in touching for v in variables})
        total: Any = 0.0
        for variables, table in touching:
            ordered = table.transpose(np.argsort(variables))
            total = total + ordered.reshape([table.shape[0] if v in variables else 1 for v in scope])
        axis = scope.index(variable)
        factors.append((tuple(v for v in scope if v != variable), np.logaddexp.reduce(total, axis=axis)))
    return float(sum(table for _, table in factors))


def test_variable_elimination_by_hand() -> None:
    table = np.log([[1.0, 2.0], [3.0, 4.0]])
    assert math.isclose(eliminated_log_z([((0, 1), table)], 2), math.log(10))
    # x1 then x0 in the second factor: sum over x0, x1 of t[x0, x1] t[x1, x0] = 1 + 6 + 6 + 16.
    assert math.isclose(eliminated_log_z([((0, 1), table), ((1, 0), table)], 2), math.log(29))


def ising_factors(side: int, sigma: float) -> Factors:
    agree = np.array([[1.0, -1.0], [-1.0, 1.0]])
    factors: Factors = []
    for i, j in itertools.product(range(side), repeat=2):
        for k, m in (((i + 1) % side, j), (i, (j + 1) % side)):
            factors.append(((i * side + j, k * side + m), 2 * sigma * agree))
    return factors


@pytest.mark.parametrize("construction", ORDERS)
@pytest.mark.parametrize(("side", "sigma"), [(2, 0.5), (3, 0.2), (3, -0.1)])
def test_ising_log_z_agrees_with_variable_elimination(side: int, sigma: float, construction: str) -> None:
    dag = Ising(side, sigma, construction)
    expected = eliminated_log_z(ising_factors(side, sigma), side**2)
    assert math.isclose(exact.log_partition(dag), expected, rel_tol=1e-12)
    assert math.isclose(exact.log_flows(dag)[0], expected, rel_tol=1e-12)
    assert math.isclose(dag.log_partition(), expected, rel_tol=1e-12)


@pytest.mark.parametrize("side", [2, 3, 4, 10])
def test_ising_reward_is_the_quadratic_form(side: int) -> None:
    """sigma x'Jx, with J filled site by site."""
    J = np.zeros((side**2, side**2))
    for i, j in itertools.product(range(side), repeat=2):
        for di, dj in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            J[i * side + j, (i + di) % side * side + (j + dj) % side] += 1
    states = np.random.default_rng(0).integers(3, size=(50, side**2)).astype(np.int8)
    x = np.array([-1.0, 1.0, 0.0])[states]
    dag = Ising(side, 0.3)
    expected = 0.3 * np.einsum("ni,ij,nj->n", x, J, x)
    np.testing.assert_allclose(dag.partial_log_reward(states), expected, rtol=1e-12, atol=1e-12)
    up = np.ones((1, side**2), dtype=np.int8)
    assert math.isclose(dag.log_reward(up)[0], 0.3 * 4 * side**2)


def log_partition_by_rows(side: int, sigma: float) -> float:
    """log of the trace of the transfer matrix to the power ``side``, in logs: no term of a sum is negative."""
    row = 1 - 2 * (np.arange(2**side)[:, None] >> np.arange(side) & 1)
    within = (row * np.roll(row, 1, axis=1)).sum(1)
    log_weight = 2 * sigma * ((within[:, None] + within) / 2 + row @ row.T)
    log_power = log_weight
    for _ in range(side - 1):
        log_power = special.logsumexp(log_power[:, :, None] + log_weight[None], axis=1)
    return float(special.logsumexp(np.diag(log_power)))


@pytest.mark.parametrize("side", [2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("sigma", [-5.0, -2.0, -1.0, -0.3, -0.01, 0.0, 0.2, 0.2203, 0.2204, 1.0, 5.0])
def test_log_partition_of_ising_models_of_either_sign(side: int, sigma: float) -> None:
    """Odd sides with sigma < 0 are frustrated: the terms of the closed form cancel."""
    assert math.isclose(Ising(side, sigma).log_partition(), log_partition_by_rows(side, sigma), rel_tol=1e-12)


def test_log_partition_of_large_ising_models() -> None:
    # Without coupling, every grid has weight 1; with strong coupling, only the grids of lowest energy matter.
    assert math.isclose(Ising(10, 0.0).log_partition(), 100 * math.log(2), rel_tol=1e-15)
    assert math.isclose(Ising(8, 5.0).log_partition(), math.log(2) + 2 * 5.0 * 128, rel_tol=1e-15)
    assert math.isclose(Ising(8, -500.0).log_partition(), math.log(2) + 2 * 500.0 * 128, rel_tol=1e-15)
    assert math.isclose(Ising(3, 1e4).log_partition(), math.log(2) + 2e4 * 18, rel_tol=1e-15)
    # The free energy per spin of the infinite lattice (Onsager 1944) at K = 0.2: 0.735...
    theta = (np.arange(2000) + 0.5) * np.pi / 2000
    k = 2 * np.sinh(0.4) / np.cosh(0.4) ** 2
    onsager = np.log(2 * np.cosh(0.4)) + np.log((1 + np.sqrt(1 - (k * np.sin(theta)) ** 2)) / 2).mean() / 2
    assert math.isclose(Ising(60, 0.1).log_partition() / 3600, onsager, rel_tol=1e-12)
    # 9 x 9 with sigma = -20: each row and column has one pair of equal spins at least.
    gap = Ising(9, -20.0).log_partition() - Ising(9, -19.0).log_partition()
    assert math.isclose(gap, 2 * (162 - 2 * 18), rel_tol=1e-12)
    with pytest.raises(ValueError, match="log Z of a 9 x 9 torus with coupling -20000 needs over 5000 digits"):
        Ising(9, -1e4).log_partition()


def test_ising_by_hand() -> None:
    dag = Ising(3, 1.0)
    state = np.array([[1, 1, 2, 0, 2, 2, 2, 2, 2]], dtype=np.int8)
    assert dag.render_text(state[0]) == "++. -.. ..."
    assert dag.encode(state).tolist() == [[1, 1, 0, -1, 0, 0, 0, 0, 0]]
    assert dag.partial_log_reward(state).tolist() == [0.0]  # One bond agrees, one differs.
    assert dag.action_label(7) == "(1, 0) +1"


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"side": 1}, "side must be an integer >= 2, got 1"),
        ({"sigma": float("nan")}, "sigma must be finite"),
        ({"construction": "fill"}, "construction must be one of"),
    ],
)
def test_bad_arguments_of_ising(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Ising(**kwargs)


def test_large_ising_models_are_well_formed() -> None:
    assert not check_dag(Ising(), num_walks=20).exhaustive


# ---------------------------------------------------------------------- factor graphs


def potential_sum(dag: FactorGraph, state: list[int]) -> float:
    """The sum of the factors whose variables are all assigned, in plain Python."""
    total = 0.0
    for variables, table in dag.factors:
        values = tuple(state[v] for v in variables)
        if max(values) < dag.num_values:
            total += float(table[values])
    return total


@pytest.mark.parametrize("construction", ORDERS)
@pytest.mark.parametrize(
    ("graph", "num_variables", "num_values"),
    [("chain", 5, 4), ("permuted_chain", 6, 3), ("factor_graph_1", 6, 3), ("factor_graph_2", 8, 2)],
)
def test_factor_graph_log_z_agrees_with_variable_elimination(
    graph: str, num_variables: int, num_values: int, construction: str
) -> None:
    dag = FactorGraph(graph, num_variables, num_values, construction, seed=1)
    expected = eliminated_log_z(list(dag.factors), num_variables)
    assert math.isclose(exact.log_partition(dag), expected, rel_tol=1e-12)
    assert math.isclose(exact.log_flows(dag)[0], expected, rel_tol=1e-12)


@pytest.mark.parametrize("graph", FAMILIES)
def test_factors_count_once_all_their_variables_are_assigned(graph: str) -> None:
    dag = FactorGraph(graph, 6, 2, seed=2)
    states = np.random.default_rng(0).integers(3, size=(80, 6)).astype(np.int8)
    expected = [potential_sum(dag, state) for state in states.tolist()]
    np.testing.assert_allclose(dag.partial_log_reward(states), expected, rtol=1e-12, atol=1e-12)


def test_the_families_by_definition() -> None:
    chain = FactorGraph("chain", 5, 4)
    assert [f.variables for f in chain.factors] == [(i,) for i in range(5)] + [(i, i + 1) for i in range(4)]
    # A difference of 3, between the first and the last of 4 values, counts as 1.
    assert chain.factors[-1].table.tolist()[0] == [0.0, 2.5, 5.0, 2.5]
    permuted = FactorGraph("permuted_chain", 9, 3)
    np.testing.assert_allclose([np.exp(f.table).sum(1) for f in permuted.factors], 1.0)
    assert sorted(permuted.order) == list(range(9)) != permuted.order.tolist()
    for seed in range(5):
        random = FactorGraph("factor_graph_1", 9, 2, seed=seed)
        assert max(len(f.variables) for f in random.factors) <= 4
        assert {v for f in random.factors for v in f.variables} == set(range(9))
    pairs = FactorGraph("factor_graph_2", 8, 2)
    assert [f.variables for f in pairs.factors[-4:]] == [(0, 1), (2, 3), (4, 5), (6, 7)]
    assert FactorGraph("factor_graph_1", 9, 2, seed=0).factors[0].variables != random.factors[0].variables or (
        not np.array_equal(FactorGraph("factor_graph_1", 9, 2, seed=0).factors[0].table, random.factors[0].table)
    )


def test_maximal_cliques_by_hand() -> None:
    adjacency = np.zeros((5, 5), dtype=bool)
    for i, j in ((0, 1), (0, 2), (1, 2), (2, 3)):
        adjacency[i, j] = adjacency[j, i] = True
    assert sorted(maximal_cliques(adjacency)) == [(0, 1, 2), (2, 3), (4,)]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"graph": "ring"}, "graph must be one of"),
        ({"num_variables": 1}, "num_variables must be an integer >= 2, got 1"),
        ({"graph": "factor_graph_2", "num_variables": 5, "num_values": 2}, "an even number of variables"),
        ({"graph": "factor_graph_2", "num_variables": 6, "num_values": 3}, "2 values each, got 6 with 3"),
        ({"graph": [([0, 0], np.zeros((5, 5)))]}, "factor 0: variables must be distinct and in 0..5"),
        ({"graph": [([0], np.zeros(5)), ([6], np.zeros(5))]}, "factor 1: variables"),
        ({"graph": [([0, 1], np.zeros(5))]}, r"factor 0: the table must have shape \(5, 5\), got \(5,\)"),
        ({"graph": [([0], [0, 0, 0, 0, np.inf])]}, "factor 0: log potentials must be finite, got inf"),
    ],
)
def test_bad_arguments_of_factor_graphs(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FactorGraph(**kwargs)


def test_samples_of_no_configuration() -> None:
    assert Ising(3).sample_target(0, np.random.default_rng(0)).shape == (0, 9)


def test_many_values_are_encoded_without_a_table() -> None:
    """The table of one-hot vectors of 65,536 values would take 16 GiB."""
    dag = BitSequence(n=32, word_size=16, num_modes=2)
    state = np.array([[65_535, 65_536], [7, 0], [65_536, 65_536]], dtype=dag.state_dtype)
    features = dag.encode(state)
    assert (features.shape, features.dtype) == ((3, 2 * 65_536), np.float32)
    assert np.argwhere(features).tolist() == [[0, 65_535], [1, 7], [1, 65_536]]
    small = BitSequence(n=8, word_size=4, num_modes=2)
    rows = small.terminal_states()[::97]
    table = small.encode(rows)
    small.__dict__["_one_hot"] = None
    np.testing.assert_array_equal(small.encode(rows), table)
