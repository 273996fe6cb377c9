"""Markov chain Monte Carlo: its stationary distribution, by enumeration of every move."""

import numpy as np
import pytest
from scipy import stats

import agents
from agents.baselines.mcmc import log_proposal_ratio, log_swap, metropolis_hastings
from agents.cli import main as cli
from gfn_envs import exact
from gfn_envs.envs.bag import Bag
from gfn_envs.envs.hypergrid.hypergrid import HyperGrid
from tests.agents import test_local_search
from tests.agents.baselines.uneven import UNEVEN
from tests.helpers import GRID, small_dag

CHAINS = {
    "uneven, K = 1..2": (UNEVEN, 1, 2),
    "uneven, K = 1..9": (UNEVEN, 1, 9),
    "grid, K = 1..3": (HyperGrid(ndim=2, side=3), 1, 3),
    "bag, K = 1..2": (Bag(num_letters=3, capacity=3, repeats=2), 1, 2),
}


def uniform(dag):
    return (
        lambda states: np.zeros((len(states), dag.num_actions)),
        lambda states: np.zeros((len(states), dag.num_backward_actions)),
    )


def transition_matrix(dag, low, high, inverse_temperature):
    """Of one move, by enumeration of every K, every way back and every way forth."""
    walks, path = test_local_search.walks, test_local_search.path
    objects, log_reward = dag.terminal_states(), exact.log_rewards(dag)
    matrix = np.zeros((len(objects), len(objects)))
    for start, state in enumerate(objects):
        for k in range(low, high + 1):
            for p_back, undone, reached in walks(dag, state, "backward", lambda state, length, k=k: length < k):
                at_source = ~dag.backward_mask(reached[None]).any(1)
                for p_forth, built, end in walks(dag, reached, "forward", lambda state, length: True):
                    stop = dag.terminal_index(end[None])[0]
                    ratio = log_proposal_ratio(dag, path(undone), path(built), at_source, low, high)[0]
                    gain = inverse_temperature * (log_reward[stop] - log_reward[start])
                    probability, accept = p_back * p_forth / (high - low + 1), min(1.0, np.exp(gain + ratio))
                    matrix[start, stop] += probability * accept
                    matrix[start, start] += probability * (1 - accept)
    return matrix


def tempered_target(dag, inverse_temperature):
    weight = np.exp(inverse_temperature * exact.log_rewards(dag))
    return weight / weight.sum()


def stationary(matrix):
    """The one distribution that ``matrix`` keeps, by linear equations."""
    n = len(matrix)
    equations = np.vstack([matrix.T - np.eye(n), np.ones(n)])
    found, _, rank, _ = np.linalg.lstsq(equations, np.append(np.zeros(n), 1.0), rcond=None)
    assert rank == n
    return found


@pytest.mark.parametrize("inverse_temperature", [1.0, 0.25])
@pytest.mark.parametrize("case", CHAINS)
def test_the_chain_has_the_target_as_stationary_distribution(monkeypatch, case, inverse_temperature):
    monkeypatch.setattr(test_local_search, "policies", uniform)
    dag, low, high = CHAINS[case]
    matrix, target = transition_matrix(dag, low, high, inverse_temperature), tempered_target(dag, inverse_temperature)
    np.testing.assert_allclose(matrix.sum(1), 1, rtol=0, atol=1e-12)
    flow = target[:, None] * matrix
    np.testing.assert_allclose(flow, flow.T, rtol=0, atol=1e-13)
    np.testing.assert_allclose(stationary(matrix), target, rtol=0, atol=1e-10)
    # And the kernel that the agent runs is this matrix.
    objects, each = dag.terminal_states(), 10_000
    starts = np.repeat(np.arange(len(objects)), each)
    moved, log_reward, accepted, edges = metropolis_hastings(
        dag,
        objects[starts],
        dag.log_reward(objects[starts]),
        np.full(len(starts), inverse_temperature),
        low,
        high,
        np.random.default_rng(0),
    )
    np.testing.assert_array_equal(log_reward, dag.log_reward(moved))
    assert (moved[~accepted] == objects[starts][~accepted]).all()
    assert edges >= 2 * len(starts)
    counts = np.zeros(matrix.shape)
    np.add.at(counts, (starts, dag.terminal_index(moved)), 1)
    assert counts[matrix < 1e-14].sum() == 0
    common = matrix * each >= 5
    statistic = ((counts[common] - matrix[common] * each) ** 2 / (matrix[common] * each)).sum()
    assert stats.chi2.sf(statistic, max(common.sum() - len(objects), 1)) > 1e-4


def test_swaps_keep_the_joint_target_of_replicas(monkeypatch):
    """Two replicas: a move of each and a swap, as one matrix on pairs of objects."""
    monkeypatch.setattr(test_local_search, "policies", uniform)
    dag, low, high = CHAINS["grid, K = 1..3"]
    n, log_reward, betas = dag.num_terminal_states, exact.log_rewards(dag), (1.0, 0.25)
    moves = np.kron(*(transition_matrix(dag, low, high, beta) for beta in betas))
    cold, hot = np.repeat(np.arange(n), n), np.tile(np.arange(n), n)
    accept = np.minimum(1, np.exp(log_swap(log_reward[cold], log_reward[hot], *betas)))
    swap = np.diag(1 - accept)
    np.add.at(swap, (cold * n + hot, hot * n + cold), accept)
    joint = np.kron(*(tempered_target(dag, beta) for beta in betas))
    flow = joint[:, None] * swap
    np.testing.assert_allclose(flow, flow.T, rtol=0, atol=1e-14)
    found = stationary(moves @ swap)
    np.testing.assert_allclose(found, joint, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.reshape(n, n).sum(1), exact.target_distribution(dag), rtol=0, atol=1e-10)


@pytest.mark.parametrize("temperatures", [(1.0,), (1.0, 2.0, 5.0)])
def test_many_chains_end_in_samples_of_the_target(temperatures):
    dag = HyperGrid(ndim=2, side=3)
    agent = agents.make_agent("mcmc", dag, batch_size=4000, temperatures=temperatures, steps=5)
    for _ in range(30):
        info = agent.update()
    assert 0 < info["acceptance"] < 1
    np.testing.assert_array_equal(agent.log_reward, dag.log_reward(agent.objects))
    target = exact.target_distribution(dag)
    for i, temperature in enumerate(temperatures):
        states = agent.objects[i * 4000 : (i + 1) * 4000]
        expected = tempered_target(dag, 1 / temperature) if i else target
        counts = np.bincount(dag.terminal_index(states), minlength=len(target))
        assert stats.chisquare(counts, expected * 4000).pvalue > 1e-4


def test_a_chain_is_evaluated_by_what_it_recorded(tmp_path, capsys):
    dag = small_dag(GRID, {"ndim": 2, "side": 4})
    agent = agents.make_agent("mcmc", dag, batch_size=8, memory=100)
    for _ in range(20):
        agent.update()
    assert agent.recorded.shape == (100, dag.state_width)
    found = agents.evaluate(agent)
    frequencies = np.bincount(dag.terminal_index(agent.recorded), minlength=dag.num_terminal_states) / 100
    assert found["empirical_tv"] == pytest.approx(exact.total_variation(frequencies, exact.target_distribution(dag)))
    assert [found[key] for key in ("tv", "log_z", "log_z_error", "elbo", "sampled_mean_reward_se")] == [None] * 5
    with pytest.raises(ValueError, match="without a policy, so its objects have no exact distribution"):
        agents.exact_distribution(agent)
    flags = ["--env.side", "4", "--agent.batch-size", "4", "--iterations", "20", "--no-progress", "--out"]
    for command in (["train", "mcmc", GRID, *flags, str(tmp_path)], ["evaluate", str(tmp_path)]):
        with pytest.raises(SystemExit) as stop:
            cli.main(command)
        assert stop.value.code == 0
    assert "frequencies" in capsys.readouterr().out
    assert (tmp_path / "figures" / "learned_against_target.png").exists()
