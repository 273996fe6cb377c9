"""Policy forms and networks: relative edge flows against a slow evaluation, transformers, and every combination."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import agents
import gfn_envs
from agents import policies
from agents.config import NetworkSettings
from agents.log_probs import log_probs
from agents.policies.attention import attend
from agents.policies.backward import BACKWARD_POLICIES
from agents.policies.build import make_policy
from agents.registry import GFLOWNETS
from gfn_envs import exact
from tests.agents.tabular import all_paths, packed
from tests.helpers import TINY, UNEVEN_EDGES, TableDag, all_states, small_dag

#: Parallel edges forward and backward, three and two of them.
PARALLEL = [*UNEVEN_EDGES, (0, 3, 1), (0, 4, 1), (4, 0, 6), (4, 1, 6), (4, 2, 7)]
GRID = {"ndim": 2, "side": 3}


def dags():
    yield "parallel", TableDag(PARALLEL)
    for case in TINY:
        yield case.id, small_dag(*case.values)


DAGS = dict(dags())
SETTINGS = {"hidden": (12, 8), "width": 8, "layers": 1, "heads": 2}


def policy_on(dag, form="ssr", network="mlp", backward=True, flow=True, seed=0, **settings):
    torch.manual_seed(seed)
    made = make_policy(dag, NetworkSettings(form=form, network=network, **SETTINGS | settings), backward, flow)
    return made.double()


def some_states(dag, n=60):
    states = all_states(dag)
    return states[np.random.default_rng(0).permutation(len(states))[:n]]


def slow_logits(policy, dag, state, direction):
    """log P of each action at one state: a softmax of g([E(s); E(s')]) over distinct neighbors, one at a time."""
    which = 0 if direction == "forward" else 1
    encoder, scorer = policy.encoders[which], policy.scorers[which]
    if direction == "forward":
        actions = np.flatnonzero(dag.forward_mask(state[None])[0])
        neighbors = [dag.step(state[None], np.array([a]))[0] for a in actions]
    else:
        actions = np.flatnonzero(dag.backward_mask(state[None])[0])
        neighbors = [dag.undo(state[None], np.array([a]))[0] for a in actions]
    embedding = lambda s: encoder(policy.read(s[None]))[0].relu()  # noqa: E731
    score, edges = {}, {}
    for action, neighbor in zip(actions.tolist(), neighbors, strict=True):
        key = tuple(neighbor.tolist())
        score[key] = scorer(torch.cat([embedding(state), embedding(neighbor)])[None])[0, 0].item()
        edges.setdefault(key, []).append(action)
    total = np.logaddexp.reduce(list(score.values()))
    return {a: score[key] - total - np.log(len(group)) for key, group in edges.items() for a in group}


@pytest.mark.parametrize("network", ["mlp", "transformer"])
@pytest.mark.parametrize("which", DAGS)
def test_relative_edge_flows_equal_one_pair_at_a_time(which, network):
    dag = DAGS[which]
    policy = policy_on(dag, network=network)
    states = some_states(dag)
    with torch.inference_mode():
        heads = policy(states)
        tables = {"forward": heads.forward_logits.numpy(), "backward": heads.backward_logits.numpy()}
        lean = {name: policy.head(name)(states).numpy() for name in tables}
        for direction, mask in (("forward", dag.forward_mask(states)), ("backward", dag.backward_mask(states))):
            for row in np.flatnonzero(mask.any(1)):
                slow = slow_logits(policy, dag, states[row], direction)
                assert sorted(slow) == np.flatnonzero(mask[row]).tolist()
                logits = tables[direction][row][mask[row]]
                log_p = logits - np.logaddexp.reduce(logits)
                np.testing.assert_allclose(log_p, [slow[a] for a in sorted(slow)], rtol=1e-9, atol=1e-9)
                assert np.exp(log_p).sum() == pytest.approx(1, abs=1e-12)
            np.testing.assert_allclose(lean[direction], tables[direction], rtol=1e-10, atol=1e-10)
            for few in range(0, len(states), 40):  # NumPy evaluates so few.
                rows = slice(few, few + 40)
                logits = policy.logits(direction)(states[rows])
                np.testing.assert_allclose(logits, tables[direction][rows], rtol=1e-10, atol=1e-10)


def test_parallel_edges_share_equally_and_their_shares_cancel():
    dag = TableDag(PARALLEL)
    policy = policy_on(dag)
    # State 0 reaches state 1 by three actions, and state 1 has three backward actions.
    with torch.no_grad():
        forward = policy(dag.source(1)).forward_logits[0].softmax(0).numpy()
    to_one = dag.child[0] == 1
    assert to_one.sum() == 3
    assert np.ptp(forward[to_one]) < 1e-15
    # In log P_F - log P_B of every edge the number of parallel edges is gone: parallel edges have the same.
    batch = packed(dag, all_paths(dag))
    with torch.no_grad():
        terms = log_probs(dag, policy, batch)
    ratio, pairs = (terms.log_pf - terms.log_pb).numpy(), {}
    sources, targets = batch.states[batch.sources, 0], batch.states[batch.targets, 0]
    for pair, value in zip(zip(sources, targets, strict=True), ratio, strict=True):
        pairs.setdefault(pair, []).append(value)
    assert max(np.ptp(values) for values in pairs.values()) < 1e-12
    merged = TableDag(sorted({(s, int(t), int(t)) for s, t in pairs}))
    twin = policy_on(merged)
    twin.load_state_dict(policy.state_dict())
    simple = packed(merged, all_paths(merged))
    with torch.no_grad():
        terms = log_probs(merged, twin, simple)
    for edge, value in enumerate((terms.log_pf - terms.log_pb).tolist()):
        pair = simple.states[simple.sources[edge], 0], simple.states[simple.targets[edge], 0]
        assert value == pytest.approx(pairs[pair][0], abs=1e-12)


@pytest.mark.parametrize("which", DAGS)
def test_all_children_of_a_batch_are_encoded_in_one_call_and_no_state_twice(which):
    dag = DAGS[which]
    policy, calls = policy_on(dag), {0: [], 1: []}
    for i, encoder in enumerate(policy.encoders):
        encoder.register_forward_hook(lambda _, inputs, __, i=i: calls[i].append(len(inputs[0])))
    states = np.repeat(some_states(dag, 20), 3, axis=0)
    with torch.no_grad():
        policy(states)
    around = np.unique(np.concatenate([states, dag.children(states)[1]]), axis=0)
    behind = np.unique(np.concatenate([states, dag.parents(states)[1]]), axis=0)
    assert calls == {0: [len(around)], 1: [len(behind)]}
    with torch.no_grad():
        policy.head("forward")(states)
    assert calls[0] == [len(around)] * 2
    assert len(calls[1]) == 1


@pytest.mark.parametrize(
    ("form", "network"), [("sa", "mlp"), ("sa", "transformer"), ("ssr", "mlp"), ("ssr", "transformer")]
)
@pytest.mark.parametrize("shared", [True, False])
def test_rollouts_see_the_logits_of_the_loss(form, network, shared):
    dag = small_dag("GFN/HyperGrid-v0", {"ndim": 2, "side": 4})
    policy = policy_on(dag, form, network, shared=shared)
    states = dag.source(1) + 0
    states = np.concatenate([states, all_states(dag)])
    for rows in (states, np.repeat(states, 4, axis=0)):  # Few rows are evaluated by NumPy, many by torch.
        with torch.inference_mode():
            heads = policy(rows)
            for name, expected in (("forward", heads.forward_logits), ("backward", heads.backward_logits)):
                np.testing.assert_allclose(policy.head(name)(rows), expected, rtol=1e-10, atol=1e-12)
                np.testing.assert_allclose(policy.logits(name)(rows), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
def test_transformers_read_integer_tokens(env_id, kwargs):
    dag = small_dag(env_id, kwargs)
    policy = policy_on(dag, "sa", "transformer")
    states, seen = some_states(dag, 30), []
    policy.networks[0].embedding.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    heads = policy(states)
    assert seen[0].dtype == torch.int64
    if dag.token_order is None:  # Otherwise prefixes are left out: see test_causal_transformer.py.
        np.testing.assert_array_equal(seen[0], dag.tokens(states))
    # Each row on its own: attention is within a state.
    for row in range(len(states)):
        alone = policy(states[row : row + 1])
        torch.testing.assert_close(alone.forward_logits[0], heads.forward_logits[row], rtol=1e-9, atol=1e-11)
        torch.testing.assert_close(alone.log_flow[0], heads.log_flow[row], rtol=1e-9, atol=1e-11)


def test_transformers_are_those_of_torch():
    torch.manual_seed(0)
    network, tokens = policies.Transformer(5, 7, 3, 8, 2, 2).double(), torch.randint(5, (6, 7))
    encoded = network.encoder(network.embedding(tokens) + network.position)
    expected = network.out(encoded.flatten(1))
    torch.testing.assert_close(network(tokens), expected, rtol=1e-10, atol=1e-12)
    grads = [torch.autograd.grad(f.sin().sum(), list(network.parameters())) for f in (network(tokens), expected)]
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(network(tokens[:0]), expected[:0])


def test_attention_of_large_scores_and_hidden_keys():
    """exp of these scores is infinite; hidden keys get no weight."""
    query = torch.tensor([[[[40.0, 0.0]]]])
    key = torch.tensor([[[[40.0, 1.0], [38.0, 0.0], [90.0, 0.0]]]])
    value = torch.eye(3)[None, None]
    bias = torch.tensor([0.0, 0.0, -math.inf])
    expected = (query @ key.transpose(2, 3) / math.sqrt(2) + bias).softmax(3)
    torch.testing.assert_close(attend(query, key, value, bias), expected)
    assert expected[0, 0, 0, 0] > 0.9999


class Untold(TableDag):
    """An environment without tokens."""

    def __init__(self):
        super().__init__(UNEVEN_EDGES)
        self.num_tokens = self.num_positions = None


@pytest.mark.parametrize("form", ["sa", "ssr"])
@pytest.mark.parametrize("name", ["tb", "fm", "subtb", "rl-u", "rl-b"])
def test_transformers_are_refused_where_there_are_no_tokens(name, form):
    with pytest.raises(ValueError, match=r"network 'transformer' needs tokens, but Untold\(.*use network 'mlp'"):
        agents.make_agent(name, Untold(), network="transformer", form=form)


#: The backward policies by name.
BACKWARD = ["learned", "uniform", "distinct", "maxent", "pessimistic", "tlm"]


def test_these_are_the_backward_policies():
    ours = [name for name, policy in BACKWARD_POLICIES.items() if type(policy).__module__ == "agents.policies.backward"]
    assert sorted(ours) == sorted(BACKWARD)


def fixed_backward(name):
    """The backward policy of agents whose method leaves no choice, otherwise None."""
    fixed = {"gtb": "learned"} | dict.fromkeys(("fm", "rl-u", "rl-t", "rl-eb", "rl-ppo"), "uniform")
    return fixed.get(name, "learned" if name in ("rl-b", "rl-g") else None)


@pytest.mark.parametrize("network", ["mlp", "transformer"])
@pytest.mark.parametrize("form", ["sa", "ssr"])
@pytest.mark.parametrize("backward", BACKWARD)
@pytest.mark.parametrize("name", GFLOWNETS)
def test_every_combination_learns_or_is_refused_with_the_reason(name, backward, form, network):
    dag = small_dag("GFN/HyperGrid-v0", GRID)
    make = lambda: agents.make_agent(  # noqa: E731
        name, dag, backward=backward, form=form, network=network, batch_size=4, **SETTINGS
    )
    if fixed := fixed_backward(name):
        with pytest.raises(TypeError, match=f"agent '{name}' has no setting backward"):
            make()
        if backward != fixed:
            return
        agent = agents.make_agent(name, dag, form=form, network=network, batch_size=4, **SETTINGS)
        assert agent.backward.name == fixed
    else:
        agent = make()
    before = [p.detach().clone() for p in agent.policy.parameters()]
    assert np.isfinite(agent.update()["loss"])
    assert agent.update()["transitions"] > 0
    assert all(torch.isfinite(p).all() for p in agent.policy.parameters())
    changed = [not torch.equal(a, b) for a, b in zip(before, agent.policy.parameters(), strict=True)]
    # Every weight has moved, but those behind a ReLU that no state of this small grid switches on.
    assert np.mean(changed) > 0.7
    distribution = agents.exact_distribution(agent)
    assert distribution.sum() == pytest.approx(1, abs=1e-9)
    assert agent.policy.learns_backward == (backward not in ("uniform", "distinct", "maxent"))
    assert isinstance(agent.policy, policies.RelativeEdgeFlowPolicy) == (form == "ssr")


@pytest.mark.parametrize(("form", "network"), [("ssr", "mlp"), ("sa", "transformer"), ("ssr", "transformer")])
def test_other_forms_learn_too(form, network):
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=4)
    agent = agents.make_agent(
        "tb", dag, form=form, network=network, width=16, layers=1, heads=2, hidden=(32, 32), lr="5e-3,1e-4,250"
    )
    before = exact.total_variation(agents.exact_distribution(agent), exact.target_distribution(dag))
    agents.train(agent, 250, progress=False)
    after = exact.total_variation(agents.exact_distribution(agent), exact.target_distribution(dag))
    assert after < 0.5 * before


@pytest.mark.parametrize("name", ["tb", "db", "rl-b"])
def test_relative_edge_flows_where_every_trajectory_is_one_step(name):
    """No pair of states is left for P_B to score."""
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=1, side=2)
    agent = agents.make_agent(name, dag, form="ssr", batch_size=1, hidden=(8,), shared=name != "rl-b")
    lengths = []
    for _ in range(20):
        lengths.append(agent.update()["transitions"])
    assert 1 in lengths


def weights_of(agent):
    return [p.detach().clone() for p in agent.policy.parameters()]


@pytest.mark.parametrize("network", ["mlp", "transformer"])
@pytest.mark.parametrize("form", ["sa", "ssr"])
def test_weights_depend_on_the_seed_alone(form, network):
    """Not on what other threads make meanwhile, nor on the global generator, which stays as it was."""
    dag = small_dag("GFN/HyperGrid-v0", GRID)
    make = lambda seed: agents.make_agent(  # noqa: E731
        "db", dag, seed=seed, form=form, network=network, backward="learned", engine="torch", **SETTINGS
    )
    alone = [weights_of(make(seed)) for seed in range(12)]
    assert not all(map(torch.equal, alone[0], alone[1]))
    torch.manual_seed(5)
    before = torch.get_rng_state()
    with ThreadPoolExecutor(6) as pool:
        together = [weights_of(agent) for agent in pool.map(make, range(12))]
    assert torch.equal(torch.get_rng_state(), before)
    for mine, other in zip(alone, together, strict=True):
        assert all(map(torch.equal, mine, other))
    make(0).update()
    assert torch.equal(torch.get_rng_state(), before)
