"""Contrastive balance, Sub-EB and Ent-PPO: identities with the objectives that they vary."""

import numpy as np
import pytest
import torch

import agents
import gfn_envs
from agents.gflownets.policy_gradient.rl_eb import evaluation_balance
from agents.losses import policy_gradient as pg
from gfn_envs import exact
from tests.agents.losses import papers
from tests.agents.tabular import ExactFlows, Table, all_paths, packed, tabular_agent, tensor
from tests.helpers import GRID, UNEVEN_EDGES, TableDag, small_dag


def make(name, **settings):
    settings = {"hidden": (8,), "batch_size": 6} | ({} if name == "cb" else {"value_hidden": (8,)}) | settings
    return agents.make_agent(name, small_dag(GRID, {"ndim": 2, "side": 4}), **settings)


def on_table(dag, **settings):
    """Ent-PPO whose P_F is a table with log R as logits of the first state."""
    table = Table(dag, backward=False, flow=False)
    with torch.no_grad():
        table.forward_table[0] = tensor(dag.log_reward(dag.terminal_states()))
    return tabular_agent("rl-ppo", dag, table, value_hidden=(8,), **settings)


def test_contrastive_balance_over_all_pairs_is_the_variance():
    dag = TableDag(UNEVEN_EDGES)
    flows, batch = ExactFlows(dag), packed(dag, all_paths(dag))
    n = len(batch)
    losses = []
    for name, settings in (("vargrad", {}), ("cb", {"pairs": "all"}), ("cb", {})):
        agent = flows.agent(name, **settings)
        with torch.no_grad():
            agent.policy.forward_table += tensor(
                np.random.default_rng(0).normal(size=(dag.num_states, dag.num_actions))
            )
            fit = agent.log_z_parameter.item()
            found = agent.log_probs(batch)
            score = [part.sum().item() for part in (found.log_pf - found.log_pb).split(batch.lengths.tolist())]
            score = np.array(score) - batch.log_reward
            losses.append(agent.loss(batch).item() - (fit + score.mean()) ** 2)
    assert losses[1] == pytest.approx(2 * n / (n - 1) * losses[0], rel=1e-12)
    assert losses[0] == pytest.approx(score.var(), rel=1e-12)
    half = n // 2
    assert losses[2] == pytest.approx(np.mean((score[:half] - score[half : 2 * half]) ** 2), rel=1e-12)


def test_a_pair_needs_two_trajectories():
    with pytest.raises(ValueError, match="a pair needs a batch_size of at least 2, got 1"):
        agents.make_agent("cb", small_dag(GRID, {"ndim": 2, "side": 4}), batch_size=1)
    agent = agents.make_agent("cb", small_dag(GRID, {"ndim": 2, "side": 4}), hidden=(8,), replay="loss")
    assert all(np.isfinite(agent.update()["loss"]) for _ in range(3))


@pytest.mark.parametrize("weighting", ["trajectory", "batch"])
def test_evaluation_balance_is_sub_trajectory_balance_of_values(weighting):
    dag = TableDag(UNEVEN_EDGES)
    flows, batch = ExactFlows(dag), packed(dag, all_paths(dag))
    agent = flows.agent("tb")
    found = agent.log_probs(batch)
    offsets, log_reward = torch.from_numpy(batch.edge_offsets), tensor(batch.log_reward)
    costs = pg.forward_costs(found.log_pf, found.log_pb, log_reward, tensor(flows.log_z), offsets)
    # Along exact flows, the remaining cost is log Z - log F(s).
    values = flows.log_z - tensor(flows.log_flow)[dag.state_index(batch.states[batch.sources])]
    assert evaluation_balance(values, costs, batch, 0.9, weighting).item() < 1e-20
    # Elsewhere it is the loss of Madan et al. with -V as log F, 0 at the end.
    values = tensor(np.random.default_rng(0).normal(size=batch.num_edges)).requires_grad_()
    at_states = torch.zeros(len(batch.states), dtype=torch.float64).index_copy(
        0, torch.from_numpy(batch.sources), -values
    )
    zeros = torch.zeros_like(costs)
    expected = papers.subtrajectory_balance(costs, zeros, at_states, torch.from_numpy(batch.offsets), 0.9, weighting)
    found = evaluation_balance(values, costs, batch, 0.9, weighting)
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)
    (gradient,) = torch.autograd.grad(found, values)
    assert gradient.abs().max() > 1e-3


def test_one_unclipped_step_of_ent_ppo_is_the_vanilla_policy_gradient():
    vanilla, entropic = make("rl-u", lamda=0.7), make("rl-ppo", clip=None, epochs=1, minibatches=1)
    for agent in (vanilla, entropic):
        agent.update()
    assert entropic.config.lamda == 0.7
    for a, b in zip(vanilla.policy.parameters(), entropic.policy.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-5)
    assert vanilla.log_z == pytest.approx(entropic.log_z, abs=1e-6)


def test_the_surrogate_of_ent_ppo_is_best_at_the_soft_policy_improvement():
    """From s0 to three objects, old uniform: with exact advantages, one improvement is R / Z."""
    dag = TableDag([(0, 0, 1), (0, 1, 2), (0, 2, 3)])
    agent = on_table(dag, clip=None)
    batch = packed(dag, all_paths(dag))
    old = torch.full((1, 3), 1 / 3, dtype=torch.float64).log()
    advantages = old[0, 0] - tensor(batch.log_reward)
    table = agent.policy.forward_table
    with torch.no_grad():
        table.zero_()
    optimizer = torch.optim.LBFGS([table], max_iter=100, tolerance_grad=1e-12, line_search_fn="strong_wolfe")
    zeros, edges = np.zeros(3, dtype=np.int64), np.arange(3)

    def closure():
        optimizer.zero_grad()
        loss = agent.surrogate(dag.source(1), zeros, batch.actions, old, advantages, edges)
        loss.backward()
        return loss

    optimizer.step(closure)
    np.testing.assert_allclose(agents.exact_distribution(agent), exact.target_distribution(dag), atol=1e-6)


def test_a_ratio_outside_the_clip_teaches_nothing_in_its_direction():
    dag = TableDag([(0, 0, 1), (0, 1, 2)])
    agent = on_table(dag, clip=0.2)
    old = torch.tensor([[0.2, 0.8]], dtype=torch.float64).log()
    new = agent.log_pf_table(dag.source(1)).exp()[0, 0].item()
    assert new / 0.2 > 1.2
    edge, action = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)

    def slope(cost):
        loss = agent.surrogate(dag.source(1), edge, action, old, tensor([cost]), edge)
        loss = loss - pg.kl_divergence(agent.log_pf_table(dag.source(1)), old, tensor([1.0]))
        return torch.autograd.grad(loss, agent.policy.forward_table)[0].abs().max().item()

    assert slope(-1.0) < 1e-15  # A gain, and the ratio is large already.
    assert slope(1.0) > 0.1


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("rl-eb", {}),
        ("rl-ppo", {"epochs": 2, "minibatches": 2}),
        ("rl-ppo", {"critic": "sub-eb", "epochs": 2, "minibatches": 2}),
    ],
)
def test_they_come_close_to_the_target(name, settings):
    iterations = 60 if settings else 150
    rates = {"lr": f"5e-3,1e-5,{iterations}", "lr_log_z": f"0.1,1e-3,{iterations}"}
    dag = gfn_envs.make_dag(GRID, ndim=2, side=6)
    agent = agents.make_agent(name, dag, hidden=(64, 64), value_hidden=(64, 64), **rates, **settings)
    agents.train(agent, iterations, progress=False)
    metrics = agents.evaluate(agent)
    assert metrics["tv"] < 0.06
    assert metrics["log_z_error"] < 0.06


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("rl-eb", {"eval_lamda": 0}, "eval_lamda must be finite and > 0, got 0"),
        ("rl-ppo", {"clip": 0.0}, "clip must be > 0 or None, got 0"),
        ("rl-ppo", {"epochs": 0}, "epochs must be at least 1"),
        ("rl-ppo", {"critic": "td"}, "critic must be 'gae' or 'monte-carlo' or 'sub-eb'"),
        ("cb", {"pairs": "some"}, "pairs must be 'halves' or 'all'"),
    ],
)
def test_bad_settings_raise(name, settings, message):
    with pytest.raises(ValueError, match=message):
        make(name, **settings)
