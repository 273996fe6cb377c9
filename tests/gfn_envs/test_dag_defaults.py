"""Optional parts of an environment: observations, images, an exact max_length, and log Z."""

from __future__ import annotations

import copy

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from scipy import stats

import gfn_envs
from gfn_envs import (
    BayesNet,
    BitSequence,
    Dag,
    DagError,
    FactorGraph,
    GFNEnv,
    HyperGrid,
    Ising,
    Permutation,
    Set,
    check_dag,
    exact,
)


class Plain(HyperGrid):
    """A grid without its own observations and images, which only bounds the length of its trajectories."""

    observe, render_image = Dag.observe, Dag.render_image
    max_length_is_bound = True

    def __init__(self, ndim: int = 2, side: int = 3, bound: int = 50):
        super().__init__(ndim, side)
        self.arguments = {**self.arguments, "bound": bound}
        self.max_length = bound
        del self.observation_space


def test_observations_and_images_have_defaults() -> None:
    dag = Plain()
    assert dag.observation_space == gym.spaces.Box(0.0, 1.0, (6,), np.float32)
    states = dag.step(dag.source(2), np.array([0, 1]))
    np.testing.assert_array_equal(dag.observe(states), dag.encode(states))
    images = [dag.render_image(state) for state in (*states, dag.source(1)[0])]
    assert {image.shape for image in images} == {(16, 96, 3)}
    assert not np.array_equal(images[0], images[1])
    check_env(GFNEnv(dag, reward_mode="log_reward"), skip_render_check=True)


def test_features_without_bounds_have_an_image() -> None:
    dag = Plain()
    dag.feature_bounds = (-np.inf, np.inf)
    assert dag.observation_space.low.min() == -np.inf
    first, last = (dag.render_image(s) for s in (dag.source(1)[0], np.array([2, 2, 1], dtype=np.int16)))
    assert not np.array_equal(first, last)


def test_a_bound_may_be_too_large_and_not_too_small() -> None:
    assert check_dag(Plain()).longest_path == 5
    with pytest.raises(DagError, match="the longest path has 5 actions, declared max_length = 4"):
        check_dag(Plain(bound=4))
    dag = Plain()
    dag.max_length_is_bound = False
    with pytest.raises(DagError, match="declared max_length = 50"):
        check_dag(dag)


@pytest.mark.parametrize(
    ("graph", "variables", "values"),
    [
        ("chain", 5, 3),
        ("permuted_chain", 5, 3),
        ("factor_graph_1", 7, 2),
        ("factor_graph_2", 8, 2),
        ([([1], [0.5, -1.0]), ([2, 0], [[0.0, 1.0], [2.0, 0.25]])], 4, 2),
    ],
)
def test_elimination_equals_enumeration(graph: object, variables: int, values: int) -> None:
    dag = FactorGraph(graph, variables, values, construction="autoregressive")  # type: ignore[arg-type]
    assert dag.exact_log_z() == pytest.approx(np.logaddexp.reduce(exact.log_rewards(dag)), abs=1e-9)
    assert draws_from_target(dag)


def draws_from_target(dag: Dag, draws: int = 4000) -> bool:
    """Whether the frequencies of ``sample_target`` are those of R / Z, by a chi-square test."""
    drawn = dag.sample_target(draws, np.random.default_rng(1))
    assert drawn.dtype == dag.state_dtype
    log_reward = exact.log_rewards(dag)
    counts = np.bincount(dag.terminal_index(drawn), minlength=len(log_reward))
    expected = draws * np.exp(log_reward - np.logaddexp.reduce(log_reward))
    often = expected > 5
    found, wanted = np.append(counts[often], counts[~often].sum()), np.append(expected[often], expected[~often].sum())
    keep = wanted > 0
    return bool(stats.chisquare(found[keep], wanted[keep] * found.sum() / wanted.sum()).pvalue > 1e-4)


@pytest.mark.parametrize(("side", "sigma"), [(2, 0.1), (2, -0.2), (3, 0.2), (3, -0.3), (4, 0.3), (4, 3.0)])
def test_samples_of_the_torus_have_exact_frequencies(side: int, sigma: float) -> None:
    assert draws_from_target(Ising(side, sigma, construction="autoregressive"), 20_000)


def test_samples_of_a_large_torus_have_the_exact_mean() -> None:
    dag, h = Ising(side=8, sigma=0.2), 1e-4
    exact_mean = (Ising(8, 0.2 + h).exact_log_z() - Ising(8, 0.2 - h).exact_log_z()) / (2 * h)  # of log R / sigma
    bonds = dag.log_reward(dag.sample_target(4000, np.random.default_rng(0))) / 0.2
    assert abs(bonds.mean() - exact_mean) < 4 * bonds.std() / np.sqrt(4000)
    with pytest.raises(NotImplementedError, match="at most 10, got 11"):
        Ising(side=11).sample_target(1, np.random.default_rng(0))


def test_samples_of_bits_have_exact_frequencies() -> None:
    assert draws_from_target(BitSequence(8, 4, beta=3.0, num_modes=3))
    assert len(BitSequence(16, 4, beta=0.0, num_modes=3).sample_target(7, np.random.default_rng(0))) == 7
    with pytest.raises(NotImplementedError, match="accepted too rarely with beta = 100"):
        BitSequence(beta=100.0).sample_target(10, np.random.default_rng(0))


def test_long_chains_are_exact_and_dense_graphs_say_why_not() -> None:
    dag = FactorGraph("permuted_chain", 200, 4)
    assert dag.exact_log_z() == pytest.approx(np.log(4.0))  # conditional probabilities add up to 1 for each first value
    assert dag.is_terminal(dag.sample_target(3, np.random.default_rng(0))).all()
    pairs = [((i, j), [[0.0] * 9] * 9) for i in range(12) for j in range(i)]
    with pytest.raises(NotImplementedError, match="elimination needs a table over"):
        FactorGraph(pairs, 12, 9).exact_log_z()


def test_ising_knows_its_log_z() -> None:
    assert Ising(side=3, sigma=0.3).exact_log_z() == pytest.approx(exact.log_partition(Ising(side=3, sigma=0.3)))
    assert not HyperGrid().has("exact_log_z")
    assert gfn_envs.make_dag("GFN/FactorGraph-v0").has("sample_target")


@pytest.mark.parametrize(
    "dag",
    [Ising(3), BitSequence(8, 4, num_modes=3), FactorGraph("chain", 3, 2), Permutation(4), Set(), BayesNet(3)],
    ids=lambda dag: type(dag).__name__,
)
@pytest.mark.parametrize("method", ["log_reward", "partial_log_reward"])
def test_another_reward_has_neither_the_log_z_nor_the_samples_of_its_base_class(dag: Dag, method: str) -> None:
    names = [name for name in ("exact_log_z", "sample_target") if dag.has(name)]
    whole = getattr(type(dag), method)
    other = type("Other", (type(dag),), {method: lambda self, states: 2 * whole(self, states)})
    changed = object.__new__(other)
    changed.__dict__.update(dag.__dict__)
    assert names
    assert not any(changed.has(name) for name in names)
    own = type("Own", (other,), {name: getattr(type(dag), name) for name in names})
    again = object.__new__(own)
    again.__dict__.update(dag.__dict__)
    assert all(again.has(name) for name in names)  # Defined anew, for the new reward.
    replaced = copy.copy(dag)
    setattr(replaced, method, getattr(dag, method))
    assert not any(replaced.has(name) for name in names)
