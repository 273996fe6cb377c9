"""The objectives of the multi-objective grid: published extrema of the test functions, and the reward made of them."""

import numpy as np
import pytest

import gfn_envs
from gfn_envs.envs.hypergrid.surfaces import SURFACES, beale, branin, currin, shubert
from gfn_envs.exact import log_rewards

AXIS = np.linspace(-1, 1, 601)
X, Y = np.meshgrid(AXIS, AXIS, indexing="ij")


def test_known_values() -> None:
    """Minima and maxima from the Virtual Library of Simulation Experiments (Surjanovic and Bingham)."""
    for a, b in [(-np.pi, 12.275), (np.pi, 2.275), (9.42478, 2.475)]:
        here = branin(np.array([(a + 5) / 7.5 - 1]), np.array([b / 7.5 - 1]))
        assert here[0] == pytest.approx(1 - 0.397887 / 308.13, abs=1e-7)
    assert branin(X, Y).max() == pytest.approx(1 - 0.397887 / 308.13, abs=1e-4)
    assert currin(X, Y).max() == pytest.approx(13.7987 / 13.77, abs=2e-3)
    a, b = np.array([0.3]), np.array([0.7])  # By hand, with the formulas of the library.
    top = (1 - np.exp(-1 / (2 * 0.7))) * (2300 * 0.027 + 1900 * 0.09 + 2092 * 0.3 + 60)
    assert currin(2 * a - 1, 2 * b - 1)[0] == pytest.approx(top / (100 * 0.027 + 500 * 0.09 + 4 * 0.3 + 20) / 13.77)
    assert beale(np.array([1.0]), np.array([-1.0]))[0] == pytest.approx((0.5**2 + 2.25**2 + 0.625**2) / 38.8)
    x, y = -1.5 * np.array([0.4]), -1.5 * np.array([-0.2])
    sums = [sum(i * np.cos((i + 1) * z + i) for i in range(1, 6)) for z in (x, y)]
    assert shubert(np.array([0.4]), np.array([-0.2]))[0] == pytest.approx(((sums[0] * sums[1] + 186.8) / 397)[0])


@pytest.mark.parametrize("name", SURFACES)
def test_heights_lie_in_the_unit_interval(name: str) -> None:
    values = SURFACES[name](X, Y)
    assert -1e-3 <= values.min() <= 0.35
    assert 0.8 <= values.max() <= 1.01


def test_the_reward_is_the_mean_of_the_objectives() -> None:
    names = ["branin", "currin", "shubert", "beale"]
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=8, reward=names)
    found = dag.reward_components(dag.terminal_states())
    assert list(found) == names
    np.testing.assert_allclose(np.exp(log_rewards(dag)), np.maximum(np.mean(list(found.values()), axis=0), 1e-4))
    alone = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=8, reward="currin")
    np.testing.assert_allclose(np.exp(log_rewards(alone)), np.maximum(found["currin"], 1e-4))
    assert not dag.defines_modes
    gfn_envs.check_dag(alone)
    assert gfn_envs.make_dag("GFN/HyperGrid-v0").reward_components(dag.source(2)) == {}


def test_mistakes() -> None:
    with pytest.raises(ValueError, match=r"needs ndim 2 and no reward_kwargs, got ndim 3"):
        gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=3, reward="branin")
    with pytest.raises(
        ValueError, match=r"distinct names of branin, currin, shubert, beale, got \['branin', 'rosen'\]"
    ):
        gfn_envs.make_dag("GFN/HyperGrid-v0", reward=["branin", "rosen"])
