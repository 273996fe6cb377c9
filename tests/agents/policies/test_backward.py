"""Backward policies: maximum entropy exactly, and the two that are fitted by likelihood to trajectories of P_F."""

from collections import Counter

import numpy as np
import pytest
import torch
from scipy import stats

import agents
from agents.evaluation import estimates
from agents.log_probs import log_probs
from agents.policies import backward as backward_policies
from agents.policies.backward import TLM, BackwardPolicy, Distinct, MaxEnt, Uniform
from agents.registry import GFLOWNETS
from agents.replay.trajectories import TrajectoryMemory, vars_of
from gfn_envs import exact
from gfn_envs.arrays import distinct
from tests.agents.tabular import ExactFlows, Table, all_paths, packed, tabular_agent, tensor
from tests.helpers import TINY, UNEVEN_EDGES, TableDag, agent_or_skip, all_states, small_dag

SETTINGS = {"hidden": (16,), "batch_size": 6}
FITTED = ["tlm", "pessimistic"]
#: The agents that leave the backward policy open.
OPEN = [name for name in GFLOWNETS if name not in ("fm", "gtb") and not name.startswith("rl-")]
GRID = ("GFN/HyperGrid-v0", {"ndim": 2, "side": 3})
DAGS = {
    "uneven": TableDag(UNEVEN_EDGES),
    "parallel": TableDag([*UNEVEN_EDGES, (0, 3, 1), (0, 4, 1)]),
    **{case.id: small_dag(*case.values) for case in TINY if case.id != "BitSequence-v0-8-2-non_autoregressive-2"},
    "any order": small_dag(
        "GFN/BitSequence-v0", {"n": 8, "word_size": 4, "construction": "non_autoregressive", "num_modes": 2}
    ),
}


def own_loss(agent, batch):
    """The separate loss of a fitted P_B."""
    return agent.backward.loss(agent.log_pb, batch, agent.rng)


@pytest.mark.parametrize("which", DAGS)
def test_under_maximum_entropy_all_trajectories_to_an_object_are_equally_likely(which):
    dag = DAGS[which]
    states = all_states(dag)[1:]
    mask, logits = dag.backward_mask(states), MaxEnt().logits(dag, states)
    assert (logits[~mask] == 0).all()
    # The logits are normalized as they are.
    np.testing.assert_allclose(np.where(mask, np.exp(logits), 0).sum(1), 1, rtol=1e-6)
    batch = packed(dag, all_paths(dag))
    log_pb = MaxEnt().log_probs(dag, batch)
    np.testing.assert_allclose(
        log_pb, MaxEnt().logits(dag, batch.states[batch.targets])[np.arange(batch.num_edges), batch.backward_actions],
        rtol=1e-6, atol=1e-6,
    )  # fmt: skip
    total = np.add.reduceat(log_pb, batch.edge_offsets[:-1])
    _, ends = distinct(batch.terminal_states)
    np.testing.assert_allclose(total, -np.log(np.bincount(ends)[ends]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("which", ["uneven", "parallel"])
def test_it_is_not_the_uniform_policy_where_parents_differ(which):
    dag = DAGS[which]
    batch = packed(dag, all_paths(dag))
    uniform = dag.uniform_log_pb(batch.states[batch.targets])
    assert np.abs(MaxEnt().log_probs(dag, batch) - uniform).max() > 0.1


@pytest.mark.parametrize("name", [name for name in OPEN if name != "mdb"])
def test_agents_sample_and_learn_with_maximum_entropy(name):
    dag = DAGS["uneven"]
    agent = agents.make_agent(name, dag, backward="maxent", **SETTINGS)
    x = dag.terminal_states()[-1:]
    batch = agent.sample_backward(np.repeat(x, 8000, axis=0))
    paths = [tuple(batch.actions[a:b]) for a, b in zip(batch.edge_offsets[:-1], batch.edge_offsets[1:], strict=True)]
    counts = list(Counter(paths).values())
    assert len(counts) == round(np.exp(dag.log_num_paths(x)[0])) > 4
    assert stats.chisquare(counts).pvalue > 1e-4
    np.testing.assert_allclose(agent.log_probs(batch).log_pb, MaxEnt().log_probs(dag, batch), rtol=1e-6)
    # What is estimated from such trajectories weighs them by the same P_B.
    log_p, error = estimates.sampled_log_p(agent, x, np.random.default_rng(0), num_trajectories=4000)
    exactly = np.log(agents.exact_distribution(agent)[dag.terminal_index(x)])
    assert abs(log_p - exactly) < 5 * error


def test_exact_flows_with_maximum_entropy_have_no_loss():
    dag = DAGS["uneven"]
    flows = ExactFlows(dag)
    graph = flows.graph
    log_n = dag.log_num_paths(graph.states)
    flows.log_pb = log_n[graph.source] - log_n[graph.target]
    flows.log_flow = exact.log_flows(dag, flows.log_pb)
    flows.log_pf = exact.optimal_edge_log_probabilities(dag, flows.log_pb)
    for name in ("tb", "db", "subtb", "vargrad", "fldb", "flsubtb"):
        table = flows.table(name)
        table.learns_backward = False
        agent = tabular_agent(name, dag, table, flows.log_z, backward="maxent")
        assert agent.loss(packed(dag, all_paths(dag))).item() < 1e-20


@pytest.mark.parametrize("backward", FITTED)
@pytest.mark.parametrize("name", OPEN)
def test_the_objective_leaves_a_fitted_backward_policy_alone(name, backward):
    dag = small_dag(*GRID)
    agent = agent_or_skip(name, dag, backward=backward, shared=False, **SETTINGS)
    own = list(agent.policy.networks[1].parameters())
    others = [p for i in range(len(agent.policy.networks)) if i != 1 for p in agent.policy.networks[i].parameters()]
    batch = agent.sample_trajectories(20)
    agent.loss(batch).backward()
    assert all(p.grad is None or not p.grad.any() for p in own)
    assert any(p.grad is not None and p.grad.any() for p in others)
    agent.policy.zero_grad()
    # And its own loss leaves the others alone.
    own_loss(agent, batch).backward()
    assert all(p.grad is None or not p.grad.any() for p in others)
    assert any(p.grad.any() for p in own)
    # With "learned" the objective does reach P_B.
    learned = agents.make_agent(name, dag, backward="learned", shared=False, **SETTINGS)
    learned.loss(batch).backward()
    assert any(p.grad.any() for p in learned.policy.networks[1].parameters())


@pytest.mark.parametrize("backward", FITTED)
@pytest.mark.parametrize("which", DAGS)
def test_the_likelihood_and_its_gradient_by_hand(which, backward):
    dag = DAGS[which]
    table, rng = Table(dag), np.random.default_rng(0)
    with torch.no_grad():
        table.backward_table.copy_(tensor(rng.normal(size=table.backward_table.shape)))
    agent = tabular_agent("tb", dag, table, backward=backward, batch_size=8)
    batch = agent.sample_trajectories(8)
    loss = own_loss(agent, batch)
    loss.backward()
    expected, gradient = 0.0, torch.zeros_like(table.backward_table)
    children = batch.states[batch.targets]
    for child, action in zip(children, batch.backward_actions, strict=True):
        legal = np.flatnonzero(dag.backward_mask(child[None])[0])
        row = dag.state_index(child[None])[0]
        p = table.backward_table[row, legal].detach().softmax(0)
        taken = legal.tolist().index(action)
        expected -= p[taken].log().item() / 8
        # d(-log p_a) / d logit_b = p_b - [a = b].
        gradient[row, legal] += p / 8
        gradient[row, action] -= 1 / 8
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    torch.testing.assert_close(table.backward_table.grad, gradient, rtol=1e-10, atol=1e-12)
    two = packed(dag, all_paths(dag)[:2])
    by_hand = TLM().loss(lambda _: torch.full((two.num_edges,), -1.5), two, rng)
    assert by_hand.item() == pytest.approx(1.5 * two.num_edges / 2)


@pytest.mark.parametrize("backward", FITTED)
def test_fitting_raises_the_likelihood(backward):
    dag = small_dag(*GRID)
    agent = agents.make_agent("tb", dag, backward=backward, shared=False, lr=1e-3, **SETTINGS)
    batch = agent.sample_trajectories(40)

    def likelihood():
        with torch.no_grad():
            return agent.log_probs(batch).log_pb.sum().item()

    values = [likelihood()]
    for _ in range(30):
        agent.engine.step(batch, sampled=batch)
        values.append(likelihood())
    assert (np.diff(values) > 0).all()


def test_a_fitted_backward_policy_becomes_the_posterior_of_the_forward_policy():
    """The most likely P_B(s|s') is the share of s among the visits of s' (Gritsaev et al. 2025)."""
    dag = DAGS["uneven"]
    flows = ExactFlows(dag)
    table = flows.table("tb")
    with torch.no_grad():
        table.backward_table.zero_()
    batch = packed(dag, all_paths(dag))
    agent = tabular_agent("tb", dag, table, flows.log_z, backward="tlm")
    probability = np.exp(np.add.reduceat(agent.log_probs(batch).log_pf.detach().numpy(), batch.edge_offsets[:-1]))
    weights = tensor(np.repeat(probability, batch.lengths))
    optimizer = torch.optim.LBFGS([table.backward_table], max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        weighted = lambda paths: weights * log_probs(dag, table, paths).log_pb * len(paths)  # noqa: E731
        value = TLM().loss(weighted, batch, agent.rng)
        value.backward()
        return value

    optimizer.step(closure)
    # Where P_F is exact for some P_B, that P_B is the posterior.
    graph = flows.graph
    mask = dag.backward_mask(graph.states)
    logits = table.backward_table.detach().numpy()
    fitted = np.where(mask, np.exp(logits - logits.max(1, keepdims=True)), 0)
    fitted = fitted[graph.target, flows.backward_action] / fitted.sum(1)[graph.target]
    np.testing.assert_allclose(fitted, np.exp(flows.log_pb), atol=1e-4)


def test_the_memory_keeps_the_last_batches_and_draws_among_them():
    dag = small_dag(*GRID)
    agent = agents.make_agent("tb", dag, backward="pessimistic", **SETTINGS)
    memory, batches = TrajectoryMemory(capacity=3), [agent.sample_trajectories(4) for _ in range(5)]
    for batch in batches:
        memory.add(batch)
    assert list(memory.batches) == batches[2:]
    rng = np.random.default_rng(0)
    counts = [sum(memory.sample(rng) is batch for _ in range(900)) for batch in batches[2:]]
    assert min(counts) > 230
    for _ in range(25):
        agent.update()
    assert len(agent.backward.memory.batches) == 20
    other = agents.make_agent("tb", dag, seed=5, backward="pessimistic", **SETTINGS)
    other.load_state_dict(agent.state_dict())
    for kept, saved in zip(other.backward.memory.batches, agent.backward.memory.batches, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(vars_of(kept).values(), vars_of(saved).values(), strict=True))


@pytest.mark.parametrize("backward", ["learned", "tlm", "uniform", "maxent"])
def test_nothing_is_remembered_that_is_not_asked_for(backward):
    agent = agents.make_agent("tb", small_dag(*GRID), backward=backward, **SETTINGS)
    agent.update()
    assert not hasattr(agent.backward, "memory")
    assert agent.state_dict()["memory"] == []


@pytest.mark.parametrize("policy", [Uniform(), MaxEnt()], ids=["uniform", "maxent"])
@pytest.mark.parametrize("which", DAGS)
def test_formulas_of_fixed_policies_are_what_follows_from_their_logits(which, policy):
    dag = DAGS[which]
    batch = packed(dag, all_paths(dag))
    derived = BackwardPolicy.log_probs(policy, dag, batch)
    assert derived.dtype == np.float64
    np.testing.assert_allclose(derived, policy.log_probs(dag, batch), rtol=1e-6, atol=1e-6)


class LargestFirst(BackwardPolicy):
    """Prefer to undo the action with the largest number."""

    name = "largest-first"

    def logits(self, dag, states):
        return np.tile(np.arange(dag.num_backward_actions, dtype=np.float32), (len(states), 1))


@pytest.fixture
def own_policy(monkeypatch):
    monkeypatch.setattr(backward_policies, "BACKWARD_POLICIES", dict(backward_policies.BACKWARD_POLICIES))
    return LargestFirst()


@pytest.mark.parametrize("engine", ["torch", "numba"])
@pytest.mark.parametrize("name", ["tb", "db", "subtb", "vargrad"])
def test_a_policy_of_ones_own_trains_and_samples(name, engine, own_policy):
    if engine == "numba":
        pytest.importorskip("numba")
    dag = small_dag(*GRID)
    settings = SETTINGS | {"hidden": (64,), "batch_size": 16, "lr": "1e-2,1e-4,600", "epsilon": "0.2,0,300"}
    agent = agents.make_agent(name, dag, backward=own_policy, engine=engine, **settings)
    assert agent.config.backward == "largest-first"
    assert not agent.policy.learns_backward
    # It samples by its logits: e^j / (sum of e^k over the legal actions k).
    batch = packed(dag, all_paths(dag))
    targets = batch.states[batch.targets]
    weights = np.where(dag.backward_mask(targets), np.exp(np.arange(dag.num_backward_actions)), 0)
    expected = np.log(weights[np.arange(len(targets)), batch.backward_actions] / weights.sum(1))
    np.testing.assert_allclose(agent.log_probs(batch).log_pb, expected, rtol=1e-5, atol=1e-6)
    x = dag.terminal_states()[np.argmax(dag.log_num_paths(dag.terminal_states()))]
    to_x = (batch.terminal_states == x).all(1)
    probability = np.exp(np.add.reduceat(expected, batch.edge_offsets[:-1]))[to_x]
    assert probability.sum() == pytest.approx(1)
    key = lambda b, i: tuple(b.actions[b.edge_offsets[i] : b.edge_offsets[i + 1]])  # noqa: E731
    drawn = agent.sample_backward(np.repeat(x[None], 4000, axis=0))
    counts = Counter(key(drawn, i) for i in range(len(drawn)))
    found = [counts[key(batch, i)] for i in np.flatnonzero(to_x)]
    assert stats.chisquare(found, 4000 * probability).pvalue > 1e-4
    # And P_F comes to fit it.
    before = agents.evaluate(agent)["tv"]
    for _ in range(600):
        agent.update()
    assert agents.evaluate(agent)["tv"] < min(0.03, before / 2)
    with torch.no_grad():
        found = agent.log_probs(batch)
    total = np.add.reduceat((found.log_pf.double().numpy() - expected), batch.edge_offsets[:-1])
    np.testing.assert_allclose(total, batch.log_reward - exact.log_partition(dag), atol=0.5)


def test_the_name_of_another_policy_is_refused(own_policy):
    class Mine(LargestFirst):
        name = "uniform"

    with pytest.raises(ValueError, match="a backward policy named 'uniform' already"):
        agents.make_agent("tb", small_dag(*GRID), backward=Mine(), **SETTINGS)


@pytest.mark.parametrize("which", DAGS)
def test_distinct_parents_are_equally_likely(which):
    """Shen et al. 2023, "MaxEnt": by one state at a time. On strings it differs from maxent, on bags from it too."""
    dag = DAGS[which]
    states = all_states(dag)[1:]
    mask, logits = dag.backward_mask(states), Distinct().logits(dag, states)
    for state, legal, row in zip(states, mask, logits, strict=True):
        actions = np.flatnonzero(legal)
        parents = [parent.tobytes() for parent in dag.undo(np.repeat(state[None], len(actions), axis=0), actions)]
        expected = [1 / len(set(parents)) / parents.count(parent) for parent in parents]
        found = np.exp(row[actions])
        np.testing.assert_allclose(found / found.sum(), expected, rtol=1e-6)


def test_distinct_parents_of_a_bag_and_of_a_string():
    bag = small_dag("GFN/Bag-v0", {"num_letters": 2, "capacity": 8, "repeats": 7})
    agent = agents.make_agent("tb", bag, backward="distinct", **SETTINGS)
    state = np.array([[7, 1]], dtype=bag.state_dtype)
    assert np.exp(Distinct().logits(bag, state)).tolist() == [[1.0, 1.0]]
    np.testing.assert_allclose(np.exp(MaxEnt().logits(bag, state)), [[0.875, 0.125]], rtol=1e-6)
    assert agent.update()["loss"] > 0
