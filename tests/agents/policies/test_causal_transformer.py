"""Transformers if actions append tokens: cached keys and values give the logits of each state alone."""

import numpy as np
import pytest
import torch

import agents
import gfn_envs
from agents import rollout
from agents.config import NetworkSettings
from agents.policies import CausalTransformer, Transformer, attention, causal_transformer, token_cache
from agents.policies.attention import CompiledAttention, attend_to_earlier
from agents.policies.build import make_policy
from agents.policies.prefixes import find_prefixes
from gfn_envs.envs.assignments.factor_graph import FactorGraph
from tests.helpers import all_states

SETTINGS = {"network": "transformer", "width": 8, "layers": 2, "heads": 2}
STOPS = {"alphabet": "ACG", "length": 4, "min_length": 1}
DAGS = {
    "bits": ("GFN/BitSequence-v0", {"n": 8, "word_size": 2, "num_modes": 3}),
    "strings that stop": ("GFN/Sequence-v0", STOPS),
    "another order": (
        "GFN/FactorGraph-v0",
        {"graph": "permuted_chain", "num_variables": 5, "num_values": 2, "construction": "autoregressive"},
    ),
}


@pytest.fixture(params=["compiled", "torch"])
def precise(request, monkeypatch):
    """Relative and absolute tolerance: compiled functions take single precision, and without them it is double."""
    if request.param == "compiled":
        return {"rtol": 2e-4, "atol": 2e-5}
    monkeypatch.setattr(attention, "kernels", lambda: None)
    return {"rtol": 1e-9, "atol": 1e-11}


def dag_of(which):
    env_id, arguments = DAGS[which]
    return gfn_envs.make_dag(env_id, **arguments)


def policy_on(dag, **settings):
    torch.manual_seed(0)
    made = make_policy(dag, NetworkSettings(**SETTINGS | settings), backward=True, flow=True)
    made = made if attention.kernels() else made.double()
    for parameter in made.parameters():  # Positions differ, and so do all tokens.
        torch.nn.init.normal_(parameter, std=0.5)
    return made


def alone(policy, states):
    """Forward logits of each state in a separate batch."""
    with torch.inference_mode():
        return np.concatenate([policy(state[None]).forward_logits.numpy() for state in states])


def test_environments_that_append_say_so():
    assert gfn_envs.BitSequence().token_order.tolist() == list(range(15))
    assert gfn_envs.BitSequence(construction="non_autoregressive").token_order is None
    assert gfn_envs.make_dag("GFN/Sequence-v0", construction="insert", **STOPS).token_order is None
    order = FactorGraph("permuted_chain", 5, 2, construction="autoregressive").token_order
    assert sorted(order.tolist()) == list(range(5)) != order.tolist()


@pytest.mark.parametrize("which", DAGS)
@pytest.mark.parametrize("form", ["sa", "ssr"])
def test_states_are_evaluated_together_as_alone(which, form, precise):
    dag = dag_of(which)
    policy = policy_on(dag, form=form)
    states = all_states(dag)
    states = states[np.random.default_rng(0).permutation(len(states))[:60]]
    expected = alone(policy, states)
    assert len(np.unique(expected.round(9), axis=0)) > 10
    with torch.inference_mode():
        for rows in (np.arange(len(states)), np.arange(len(states))[::-1], np.repeat(np.arange(9), 7)):
            found = policy(states[rows])
            np.testing.assert_allclose(found.forward_logits, expected[rows], **precise)
        assert policy(states[:0]).log_flow.shape == (0,)


@pytest.mark.parametrize("fused", [2, 99])
def test_gradients_are_those_of_states_alone(fused, precise, monkeypatch):
    monkeypatch.setattr(attention, "FUSED", fused)
    dag = dag_of("strings that stop")
    policy = policy_on(dag)
    states = all_states(dag)[:40]
    weight = torch.from_numpy(np.random.default_rng(0).normal(size=(len(states), dag.num_actions))).to(policy.anchor)
    (policy(states).forward_logits * weight).sum().backward()
    together = [p.grad.clone() for p in policy.parameters() if p.grad is not None]
    policy.zero_grad(set_to_none=True)
    sum((policy(s[None]).forward_logits * w).sum() for s, w in zip(states, weight, strict=True)).backward()
    for mine, other in zip(together, (p.grad for p in policy.parameters() if p.grad is not None), strict=True):
        torch.testing.assert_close(mine, other, **precise)


@pytest.mark.parametrize(("n", "tokens", "heads", "wide"), [(1, 1, 1, 1), (3, 2, 2, 5), (2, 17, 3, 8), (2, 40, 1, 6)])
def test_compiled_attention_and_its_gradient_are_those_of_torch(n, tokens, heads, wide):
    torch.manual_seed(1)
    projected = (2 * torch.randn(n, tokens, 3 * heads * wide)).requires_grad_()
    weight = torch.randn(n, tokens, heads * wide)
    ranges = np.sort(np.random.default_rng(2).integers(tokens, size=(2, n)), axis=0)
    for first, last in (((0,) * n, (tokens - 1,) * n), ranges):
        first, last = np.array(first), np.array(last)
        asked = torch.from_numpy((np.arange(tokens) >= first[:, None]) & (np.arange(tokens) <= last[:, None]))[
            ..., None
        ]
        found = CompiledAttention.apply(projected, heads, first, last)
        (gradient,) = torch.autograd.grad((found * weight).sum(), projected)
        exact = projected.detach().double().requires_grad_()
        split = exact.view(n, tokens, 3, heads, wide).permute(2, 0, 3, 1, 4)
        expected = attend_to_earlier(*split).transpose(1, 2).flatten(2) * asked
        (expected_gradient,) = torch.autograd.grad((expected * weight).sum(), exact)
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=2e-6)
        torch.testing.assert_close(gradient.double(), expected_gradient, rtol=1e-5, atol=2e-5)


def test_compiled_attention_of_large_scores_is_exact_and_of_nan_is_nan():
    """Weights below exp(-60) count as exp(-60)."""
    projected = torch.zeros(2, 3, 3)
    projected[..., 0], projected[..., 1], projected[..., 2] = (
        30,
        torch.tensor([-30.0, 0, 30]),
        torch.tensor([1.0, 2, 4]),
    )
    projected[1, 1, 1] = torch.nan
    found = CompiledAttention.apply(projected, 1, np.zeros(2, int), np.full(2, 2))[..., 0].tolist()
    assert found[0] == [1, 2, 4]
    assert found[1][0] == 1
    assert np.isnan(found[1][1:]).all()


def test_second_derivatives_through_long_sequences():
    """Trust regions need them; compiled attention has none."""
    dag = gfn_envs.make_dag("GFN/BitSequence-v0", n=24, word_size=1, num_modes=3)
    agent = agents.make_agent("rl-t", dag, batch_size=4, **SETTINGS)
    agents.train(agent, 2, progress=False)


def watched(policy, monkeypatch):
    """The number of states in each call that evaluated whole sequences."""
    calls, evaluate = [], CausalTransformer.evaluate
    monkeypatch.setattr(
        CausalTransformer, "evaluate", lambda self, rows: calls.append(len(rows)) or evaluate(self, rows)
    )
    return calls


@pytest.mark.parametrize("which", DAGS)
@pytest.mark.parametrize("fused", [2, 99])
@pytest.mark.parametrize("n", [3, 80])
def test_rollouts_evaluate_new_tokens_only_and_see_the_same_logits(which, n, fused, precise, monkeypatch):
    monkeypatch.setattr(attention, "FUSED", fused)
    dag = dag_of(which)
    policy, seen = policy_on(dag), []
    calls = watched(policy, monkeypatch)
    with torch.inference_mode():
        logits = policy.logits("forward")

        def noted(states):
            seen.append((states.copy(), logits(states)))
            return seen[-1][1]

        rollout.sample_forward(dag, noted, n, np.random.default_rng(0))
    assert calls == [1]  # s0
    assert len(seen) > 3
    for states, found in seen:
        np.testing.assert_allclose(found, alone(policy, states), **precise)


def test_any_calls_in_any_order_give_the_same_logits(precise):
    """Rows that are repeated, permuted, dropped, from elsewhere, of several sizes, or none."""
    dag, rng = dag_of("strings that stop"), np.random.default_rng(0)
    policy, states = policy_on(dag), all_states(dag)
    size = np.where(states[:, -1] > 4, -1, states[:, -1])
    with torch.inference_mode():
        logits = policy.head("forward")
        for step in range(60):
            of_size = states if step % 9 == 8 else states[size == step % 5]
            rows = of_size[rng.integers(len(of_size), size=rng.integers(0, 6))]
            np.testing.assert_allclose(logits(rows).numpy().reshape(-1, 4), _stacked(policy, rows), **precise)


def _stacked(policy, rows):
    return alone(policy, rows) if len(rows) else np.zeros((0, 4))


def test_large_batches_are_not_kept(monkeypatch):
    monkeypatch.setattr(causal_transformer, "MOST_CACHED", 1)
    dag = dag_of("bits")
    policy = policy_on(dag)
    calls = watched(policy, monkeypatch)
    with torch.inference_mode():
        rollout.sample_forward(dag, policy.logits("forward"), 3, np.random.default_rng(0))
    assert calls == [1, 3, 3, 3]


def test_the_compiled_cache_needs_the_cpu_single_precision_no_gradient_and_numba(monkeypatch):
    past = [torch.zeros(2, 1, 2, 4, 1)]
    with torch.inference_mode():
        assert isinstance(token_cache.token_cache([], past, 5), token_cache.CompiledTokenCache)
        elsewhere = token_cache.token_cache([], [past[0].to("meta")], 5)
        double = token_cache.token_cache([], [past[0].double()], 5)
        monkeypatch.setattr(attention, "kernels", lambda: None)
        without_numba = token_cache.token_cache([], past, 5)
    monkeypatch.undo()
    for made in (elsewhere, double, without_numba, token_cache.token_cache([], past, 5)):
        assert isinstance(made, token_cache.TokenCache)


def test_both_caches_sample_the_same_sequences(monkeypatch):
    """In single precision, with an early stop, and with new weights in every rollout."""
    agent = agents.make_agent("tb", dag_of("strings that stop"), seed=0, **SETTINGS)
    compiled = [agent.sample(50, np.random.default_rng(i)) for i in (1, 2) if agents.train(agent, 2, progress=False)]
    monkeypatch.setattr(attention, "kernels", lambda: None)
    agent = agents.make_agent("tb", dag_of("strings that stop"), seed=0, **SETTINGS)
    plain = [agent.sample(50, np.random.default_rng(i)) for i in (1, 2) if agents.train(agent, 2, progress=False)]
    np.testing.assert_array_equal(compiled, plain)


def test_a_batch_of_trajectories_costs_one_evaluation_of_each_token(monkeypatch):
    agent = agents.make_agent("tb", dag_of("bits"), engine="torch", batch_size=6, **SETTINGS)
    shapes = []
    layer = agent.policy.networks[0].layers[0]
    layer.before.register_forward_hook(lambda _, inputs, __: shapes.append(inputs[0].shape[:2]))
    batch = agent.sample_trajectories(6)
    shapes.clear()
    agent.loss(batch)
    distinct = len(np.unique(batch.states[batch.last - 1], axis=0))
    assert shapes == [(distinct, 4)]  # the start and three words; a full row has no action


def test_rows_of_a_group_are_of_similar_size():
    size = np.random.default_rng(0).permutation(64)
    groups = causal_transformer.groups_by_size(size)
    assert [sorted(size[group].tolist()) for group in groups] == [list(range(i, i + 16)) for i in range(0, 64, 16)]
    for rows in (np.full(64, 3), np.arange(20), np.arange(0)):
        (group,) = causal_transformer.groups_by_size(rows)
        assert sorted(group.tolist()) == list(range(len(rows)))


def test_prefixes_by_hand():
    rows = np.array([[1, 9, 9], [9, 9, 9], [1, 0, 9], [0, 1, 0], [1, 9, 9], [1, 0, 1], [1, 1, 9]])
    found = find_prefixes(rows, 9)
    assert found.rows.tolist() == [[0, 1, 0], [1, 0, 1], [1, 1, 9]]
    assert found.row.tolist() == [1, 0, 1, 0, 1, 1, 2]
    assert found.size.tolist() == [1, 0, 2, 3, 1, 3, 2]


def test_it_learns():
    dag = gfn_envs.make_dag("GFN/BitSequence-v0", n=8, word_size=2, num_modes=3)
    agent = agents.make_agent("tb", dag, lr="5e-3,1e-4,150", **SETTINGS)
    target = gfn_envs.exact.target_distribution(dag)
    before = gfn_envs.exact.total_variation(agents.exact_distribution(agent), target)
    agents.train(agent, 150, progress=False)
    assert gfn_envs.exact.total_variation(agents.exact_distribution(agent), target) < 0.5 * before


def test_weights_of_the_other_transformer_are_refused_with_the_reason():
    agent = agents.make_agent("tb", dag_of("bits"), **SETTINGS)
    state = agent.state_dict()
    agent.load_state_dict(state)
    older = Transformer(5, 4, 4, 8, 2, 2).state_dict()
    with pytest.raises(ValueError, match="these weights are of a transformer that is not causal"):
        agent.load_state_dict(state | {"policy": {f"networks.0.{name}": weight for name, weight in older.items()}})
