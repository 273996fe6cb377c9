"""The baselines: targets, returns and chains against their definitions, and what they learn."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

import agents
from agents.baselines.a2c_er import corrected_returns
from agents.baselines.actor_critic import edge_rewards
from agents.baselines.mcmc import log_proposal_ratio, log_swap, metropolis_hastings
from agents.baselines.ppo import clipped_objective
from agents.cli import main as cli
from agents.log_probs import log_probs
from agents.losses import policy_gradient as pg
from agents.losses.balance import balance_loss
from agents.losses.soft_rl import entropy, expected_soft_value, soft_value
from agents.registry import BASELINES
from agents.replay.transitions import Transitions
from gfn_envs import exact
from gfn_envs.enumeration import state_graph
from gfn_envs.envs.bag import Bag
from gfn_envs.envs.hypergrid.hypergrid import HyperGrid
from gfn_envs.gym import Stepper
from tests.agents import test_local_search
from tests.agents.losses import papers
from tests.helpers import BAYES_NET, GRID, TINY, UNEVEN_EDGES, TableDag, agent_or_skip, small_dag

UNEVEN = TableDag(UNEVEN_EDGES)
SOFT = ["soft-dqn", "munchausen-dqn", "sac", "pcl"]
RETURN = ["ppo", "a2c-er", "reinforce"]

# ---------------------------------------------------------------------- Markov chain Monte Carlo

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


# ---------------------------------------------------------------------- soft values


def every_edge(dag):
    """All edges of a DAG as transitions, with the graph they are from."""
    graph = state_graph(dag)
    children = graph.states[graph.target]
    terminal = dag.is_terminal(children)
    log_reward = np.zeros(len(children))
    log_reward[terminal] = dag.log_reward(children[terminal])
    edges = Transitions(
        graph.states[graph.source], graph.action, children, dag.uniform_log_pb(children), log_reward, terminal
    )
    return edges, graph


def tabular(agent, q, slow):
    """``agent`` with tables in place of its networks: Q of each state, (s, num_actions), and that of the slow copy."""
    dag = agent.dag
    tables = {id(agent.policy): torch.from_numpy(q), id(agent.target): torch.from_numpy(slow)}
    agent.q_values = lambda network, states: (
        tables[id(network)][dag.state_index(states)],
        torch.from_numpy(dag.forward_mask(states)),
    )
    return agent


@pytest.mark.parametrize("alpha", [None, 0.0, 0.15, 0.6])
def test_targets_of_transitions_by_hand(alpha):
    settings = {} if alpha is None else {"munchausen_alpha": alpha, "munchausen_lowest": -1.0}
    agent = agents.make_agent("soft-dqn" if alpha is None else "munchausen-dqn", UNEVEN, hidden=(4,), **settings)
    q, slow = np.random.default_rng(0).normal(size=(2, 6, 3)) * 2
    edges, _ = every_edge(UNEVEN)
    found = tabular(agent, q, slow).errors(edges)
    coefficient = 1 / (1 - (alpha or 0.0))

    def value(state):
        legal = UNEVEN.forward_mask(np.array([[state]]))[0]
        return coefficient * math.log(sum(math.exp(slow[state, a] / coefficient) for a in np.flatnonzero(legal)))

    for i, (state, action, child) in enumerate(UNEVEN_EDGES):
        parents = sum(edge[2] == child for edge in UNEVEN_EDGES)
        target = math.log(1 / parents)
        target += UNEVEN.log_rewards[child] if child in (4, 5) else value(child)
        target += (alpha or 0.0) * min(0.0, max(-1.0, slow[state, action] - value(state)))
        at = np.flatnonzero((edges.states[:, 0] == state) & (edges.actions == action))
        assert found[at].item() == pytest.approx(q[state, action] - target, abs=1e-12), i


def test_munchausen_without_bonus_is_soft_dqn():
    q, slow = np.random.default_rng(1).normal(size=(2, 6, 3))
    edges, _ = every_edge(UNEVEN)
    soft = tabular(agents.make_agent("soft-dqn", UNEVEN, hidden=(4,)), q, slow)
    other = tabular(agents.make_agent("munchausen-dqn", UNEVEN, hidden=(4,), munchausen_alpha=0.0), q, slow)
    assert torch.equal(soft.errors(edges), other.errors(edges))


@pytest.mark.parametrize("name", ["soft-dqn", "munchausen-dqn"])
@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
def test_the_fixed_point_is_the_soft_optimum(name, env_id, kwargs):
    dag = small_dag(env_id, kwargs)
    edges, graph = every_edge(dag)
    value, reward = exact.soft_values(dag), exact.soft_edge_rewards(dag)
    log_policy = reward + value[graph.target] - value[graph.source]
    agent = agents.make_agent(name, dag, hidden=(4,))
    optimum = np.zeros((len(graph.states), dag.num_actions))
    optimum[graph.source, graph.action] = value[graph.source] + agent.coefficient * log_policy
    assert tabular(agent, optimum, optimum).errors(edges).abs().max() < 1e-10
    assert agent.log_z == pytest.approx(exact.log_partition(dag), abs=1e-9)
    # Value iteration with the agent's own targets gets there.
    q = np.zeros_like(optimum)
    for _ in range(dag.max_length + (0 if name == "soft-dqn" else 60)):
        tabular(agent, np.zeros_like(q), q)
        new = np.zeros_like(q)
        new[graph.source, graph.action] = -agent.errors(edges).numpy()
        q = new
    np.testing.assert_allclose(q, optimum, rtol=0, atol=1e-9)


def test_soft_values_of_policies():
    rng = np.random.default_rng(0)
    q, legal = torch.from_numpy(rng.normal(size=(5, 4))), torch.from_numpy(rng.random((5, 4)) < 0.6)
    legal[:, 0] = True
    lowest = torch.finfo(torch.float64).min
    for coefficient in (1.0, 0.3):
        best = (q / coefficient).masked_fill(~legal, lowest).log_softmax(1)
        value = expected_soft_value(q, best, coefficient)
        torch.testing.assert_close(value, soft_value(q, legal, coefficient), rtol=1e-12, atol=1e-12)
        other = torch.from_numpy(rng.normal(size=(5, 4))).masked_fill(~legal, lowest).log_softmax(1)
        assert (expected_soft_value(q, other, coefficient) <= value + 1e-12).all()
        by_hand = [-sum(p * math.log(p) for p in row.exp().tolist() if p > 0) for row in best]
        np.testing.assert_allclose(entropy(best), by_hand, rtol=1e-12)


def test_a_tuned_coefficient_follows_the_entropy():
    dag = small_dag(GRID, {"ndim": 2, "side": 4})
    for aim, above in ((0.999, True), (0.05, False)):
        agent = agents.make_agent("sac", dag, hidden=(16,), tuned=True, target_entropy=aim, lr_coefficient=0.01)
        found = [agent.update() for _ in range(20)][-1]
        assert (found["coefficient"] > 1) == above
        assert agent.log_z is None


def path_consistency(log_pf, log_pb, value, offsets, steps=None):
    """Residual of the path from each state that is not terminal, (e,): those that enter the loss of the agent."""
    declared, residuals = agents.make_agent("pcl", UNEVEN, hidden=(8,), steps=steps).balance, []
    loss, _ = balance_loss(
        log_pf, log_pb, value, offsets, declared, lambda residual: residuals.append(residual) or residual.square()
    )
    assert loss.item() == pytest.approx(residuals[0].square().mean().item(), rel=1e-12)
    assert residuals[0].shape == log_pf.shape
    return residuals[0]


def test_path_consistency_is_subtrajectory_balance():
    agent = agents.make_agent("pcl", UNEVEN, hidden=(8,))
    batch = agent.sample_trajectories(20)
    with torch.no_grad():
        log_pf, log_pb, value = (term.double() for term in log_probs(UNEVEN, agent.policy, batch)[:3])
    offsets = batch.offsets
    whole = path_consistency(log_pf, log_pb, value, offsets)
    first = whole[torch.from_numpy(batch.edge_offsets[:-1])]
    limit = papers.subtrajectory_balance(
        log_pf, log_pb, value, torch.from_numpy(offsets), lamda=1e14, weighting="trajectory"
    )
    assert first.square().mean().item() == pytest.approx(limit.item(), rel=1e-9)
    sources, targets = torch.from_numpy(batch.sources), torch.from_numpy(batch.targets)
    single = papers.detailed_balance(log_pf, log_pb, value[sources], value[targets])
    torch.testing.assert_close(path_consistency(log_pf, log_pb, value, offsets, 1), single)
    expected = []
    for start, stop, edge in zip(batch.offsets[:-1], batch.offsets[1:], batch.edge_offsets[:-1], strict=True):
        for i in range(stop - start - 1):
            j = min(i + 2, stop - start - 1)
            steps = sum((log_pf - log_pb)[edge + t].item() for t in range(i, j))
            expected.append(value[start + i].item() + steps - value[start + j].item())
    np.testing.assert_allclose(path_consistency(log_pf, log_pb, value, offsets, 2), expected, atol=1e-12)


# ---------------------------------------------------------------------- returns


@pytest.mark.parametrize("reward_mode", ["reward", "log_reward", "soft"])
@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
def test_rewards_are_those_of_the_gymnasium_environment(reward_mode, env_id, kwargs):
    dag = small_dag(env_id, kwargs)
    batch = agent_or_skip("random", dag).sample_trajectories(10)
    states = batch.states[batch.sources]
    paid = Stepper(dag, reward_mode).advance(states, dag.forward_mask(states), batch.actions)[2]
    np.testing.assert_array_equal(edge_rewards(dag, batch, reward_mode), paid)


def test_the_clipped_objective_by_hand():
    ratio, gain = torch.tensor([0.5, 1.1, 2.0, 0.5, 2.0]), torch.tensor([1.0, 1.0, 1.0, -1.0, -1.0])
    found = clipped_objective(ratio.log(), torch.zeros(5), gain, 0.2)
    torch.testing.assert_close(found, torch.tensor([0.5, 1.1, 1.2, -0.8, -2.0]))


@pytest.mark.parametrize("lamda", [0.0, 0.7, 1.0])
def test_corrected_returns_one_step_at_a_time(lamda):
    rng = np.random.default_rng(0)
    offsets = np.array([0, 3, 4, 9])
    rewards, values, weights = rng.normal(size=(3, 9))
    weights = np.minimum(np.exp(weights), 1.0)
    expected = np.zeros(9)
    for first, last in ((0, 2), (3, 3), (4, 8)):
        for t in range(last, first - 1, -1):
            after, better = (0.0, 0.0) if t == last else (values[t + 1], expected[t + 1])
            expected[t] = values[t] + weights[t] * (rewards[t] + after - values[t] + lamda * (better - after))
    np.testing.assert_allclose(corrected_returns(rewards, values, weights, offsets, lamda), expected, atol=1e-12)
    advantages = pg.generalized_advantages(*map(torch.from_numpy, (rewards, values, offsets)), lamda)
    on_policy = corrected_returns(rewards, values, np.ones(9), offsets, lamda)
    np.testing.assert_allclose(on_policy, advantages.numpy() + values, atol=1e-12)


# ---------------------------------------------------------------------- what they learn


@pytest.mark.parametrize("name", SOFT)
def test_soft_agents_learn_the_target(name):
    dag = small_dag(GRID, {"ndim": 2, "side": 5})
    iterations = 400 if name == "sac" else 250  # Its policy follows critics that must be right first.
    agent = agents.make_agent(name, dag, hidden=(128, 128), lr=f"3e-3,1e-4,{iterations}")
    for _ in range(iterations):
        agent.update()
    found = agents.evaluate(agent)
    assert found["tv"] <= 0.05
    assert found["log_z_error"] < 0.15


@pytest.mark.parametrize("name", RETURN)
def test_agents_that_maximize_reward_collapse(name):
    dag = small_dag(GRID, {"ndim": 2, "side": 6})
    agent = agents.make_agent(name, dag, hidden=(64, 64), lr=3e-3, batch_size=32)
    for _ in range(40 if name == "ppo" else 100):  # An iteration of ppo is sixteen gradient steps.
        agent.update()
    found = agents.evaluate(agent)
    assert found["mean_reward"] > 0.95 * np.exp(exact.log_rewards(dag)).max()
    assert found["tv"] > 0.5
    assert found["log_z"] is None
    assert found["log_z_error"] is None


def test_the_random_agent_is_uniform_and_estimates_log_z():
    dag = small_dag(GRID, {"ndim": 2, "side": 4})
    agent = agents.make_agent("random", dag, batch_size=5000)
    assert agent.log_z is None
    agent.update()
    uniform_distribution = exact.terminal_distribution(dag, exact.uniform_policy(dag))
    np.testing.assert_allclose(agents.exact_distribution(agent), uniform_distribution, rtol=1e-12)
    batch = agent.sample_trajectories(5000)
    log_pf = -np.log(dag.forward_mask(batch.states[batch.sources]).sum(1))
    log_pb = dag.uniform_log_pb(batch.states[batch.targets])
    weights = np.exp(batch.log_reward + np.add.reduceat(log_pb - log_pf, batch.edge_offsets[:-1]))
    error = weights.std() / np.sqrt(5000)
    assert abs(np.exp(agent.log_z) - np.exp(exact.log_partition(dag))) < 5 * error


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_no_illegal_action_is_taken(name):
    dag = small_dag("GFN/Bag-v0", {"num_letters": 3, "capacity": 4, "repeats": 2})
    agent = agent_or_skip(name, dag, hidden=(8,), batch_size=4)
    info = [agent.update() for _ in range(3)][-1]
    states = state_graph(dag).states
    states = states[~dag.is_terminal(states)]
    mask, found = dag.forward_mask(states), agent.probabilities(states)
    assert (found[~mask] == 0).all()
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-12)
    batch = agent.sample_trajectories(50)
    assert dag.forward_mask(batch.states[batch.sources])[np.arange(batch.num_edges), batch.actions].all()
    assert info.get("illegal_actions", 0) == 0 or name in ("sb3-dqn", "sb3-a2c")


LOG_Z = ("lr_log_z", "init_log_z")
OBJECTS = ("replay", "replay_mix", "local_search", "search_fraction", "search_accept")
BUFFER = ("replay_batch_size", "replay_capacity")
PENALTY = ("loss", "clamp_loss")
ARCHITECTURE = ("network", "width", "layers", "heads", "shared", "form")
LIBRARY = (*LOG_Z, *OBJECTS, *BUFFER, *PENALTY, *ARCHITECTURE, "max_grad_norm", "temperature")
NOTHING_LEARNED = (*LIBRARY, "hidden", "lr", "epsilon")
#: Settings of other agents that mean nothing to these.
MEANINGLESS = {
    **dict.fromkeys(("soft-dqn", "munchausen-dqn", "sac"), (*LOG_Z, *OBJECTS)),
    "pcl": LOG_Z,
    **dict.fromkeys(RETURN, (*LOG_Z, *OBJECTS, *PENALTY)),
    **dict.fromkeys(("mcmc", "random"), NOTHING_LEARNED),
    **dict.fromkeys(("sb3-ppo", "sb3-a2c"), (*LIBRARY, "epsilon")),
    "sb3-dqn": LIBRARY,
}


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_settings_that_mean_nothing_are_refused(name):
    others = {"search_fraction": 0.25, "search_accept": "metropolis"}
    others |= {"replay": "fifo", "replay_mix": "joint", "loss": "log-cosh", "shared": False, "form": "ssr"}
    others |= {"network": "transformer", "hidden": (17,), "width": 64 + 8, "heads": 4, "epsilon": 0.5}
    for setting in MEANINGLESS[name]:
        with pytest.raises(TypeError, match=rf"agent '{name}' has no setting {setting}\b"):
            agents.make_agent(name, UNEVEN, **{setting: others.get(setting, 17)})
    with pytest.raises(TypeError, match="no setting backward"):
        agents.make_agent(name, UNEVEN, backward="learned")


@pytest.mark.parametrize("name", ["sb3-ppo", "sb3-dqn", "sb3-a2c"])
def test_library_agents_leave_global_random_streams_alone(name):
    agent = agent_or_skip(name, small_dag(GRID, {"ndim": 2, "side": 4}), batch_size=4)
    before, numpy_before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    agent.update()
    assert torch.equal(before, torch.random.get_rng_state())
    np.testing.assert_array_equal(numpy_before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("name", ["soft-dqn", "sac", "mdb"])
def test_target_networks_share_the_environment(name):
    dag = small_dag(BAYES_NET, {"num_nodes": 3})
    agent = agents.make_agent(name, dag, hidden=(8,))
    targets = agent.targets if name == "sac" else [agent.target]
    assert all(target.inputs.__self__ is dag for target in targets)


@pytest.mark.parametrize(("epsilon", "temperature"), [(0.0, 1.0), (0.5, 1.0), (0.3, 2.0), (1.0, 1.0)])
def test_a2c_er_knows_how_likely_its_actions_were(epsilon, temperature):
    dag = small_dag(GRID, {"ndim": 2, "side": 4})
    agent = agents.make_agent("a2c-er", dag, hidden=(8,), epsilon=epsilon, temperature=temperature)
    batch = agent.sample_batch()
    states, found = batch.states[batch.sources], agent.log_behavior(batch).numpy()
    with torch.no_grad():
        logits = agent.policy(states).forward_logits.numpy() / temperature
    for state, action, logit, value in zip(states, batch.actions, logits, found, strict=True):
        legal = dag.forward_mask(state[None])[0]
        p = np.exp(logit) * legal / (np.exp(logit) * legal).sum()
        assert np.exp(value) == pytest.approx((1 - epsilon) * p[action] + epsilon / legal.sum(), rel=1e-5)
