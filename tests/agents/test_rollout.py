"""Sampling and packing of trajectories, and their evaluation by a network."""

import numpy as np
import pytest
import torch
from scipy import stats

import gfn_envs
from agents import rollout
from agents.config import NetworkSettings
from agents.errors import NoLegalActionError
from agents.log_probs import log_probs
from agents.policies import build
from agents.rollout import sample_actions, sample_backward, sample_forward
from gfn_envs import exact
from gfn_envs.arrays import distinct
from tests.helpers import SMALL, TINY, small_dag


def hashed_logits(dag, head):
    """A fixed arbitrary policy: logits that depend on the state and the action."""
    width = dag.num_actions if head == "forward" else dag.num_backward_actions
    table = np.random.default_rng(7).normal(size=(dag.state_width, width)).astype(np.float32)
    return lambda states: (np.sin(states.astype(np.float32) @ table) * 2).astype(np.float32)


def softmax(logits, mask):
    weights = np.where(mask, np.exp(logits), 0)
    return weights / weights.sum(1, keepdims=True)


def make_policy(dag, learned=True, form="sa", **kwargs):
    """A small policy in double precision, so that evaluations can be compared to rounding."""
    torch.manual_seed(3)
    config = NetworkSettings(hidden=(16,), form=form, **kwargs)
    return build.make_policy(dag, config, backward=learned, flow=True).double()


@pytest.mark.parametrize(("env_id", "kwargs"), SMALL)
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_trajectories_are_consistent(env_id, kwargs, direction):
    dag, rng = small_dag(env_id, kwargs), np.random.default_rng(0)
    if direction == "forward":
        batch = sample_forward(dag, hashed_logits(dag, "forward"), 50, rng)
    else:
        objects = dag.terminal_states()[rng.integers(dag.num_terminal_states, size=50)]
        batch = sample_backward(dag, objects, hashed_logits(dag, "backward"), rng)
        np.testing.assert_array_equal(batch.terminal_states, objects)
    before, after = batch.states[batch.sources], batch.states[batch.targets]
    rows = np.arange(batch.num_edges)
    assert dag.forward_mask(before)[rows, batch.actions].all()
    assert dag.backward_mask(after)[rows, batch.backward_actions].all()
    np.testing.assert_array_equal(dag.step(before, batch.actions), after)
    np.testing.assert_array_equal(dag.undo(after, batch.backward_actions), before)
    np.testing.assert_array_equal(batch.states[batch.offsets[:-1]], dag.source(50))
    assert dag.is_terminal(batch.terminal_states).all()
    assert not dag.is_terminal(before).any()
    np.testing.assert_array_equal(batch.log_reward, dag.log_reward(batch.terminal_states))
    assert batch.lengths.max() <= dag.max_length
    assert batch.edge_offsets[-1] == batch.num_edges == len(batch.states) - 50


@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
def test_forward_samples_follow_the_policy(env_id, kwargs):
    dag, rng = small_dag(env_id, kwargs), np.random.default_rng(1)
    logits = hashed_logits(dag, "forward")
    expected = exact.terminal_distribution(dag, lambda states: softmax(logits(states), dag.forward_mask(states)))
    batch = sample_forward(dag, logits, 100_000, rng)
    counts = np.bincount(dag.terminal_index(batch.terminal_states), minlength=dag.num_terminal_states)
    common = expected * counts.sum() >= 5
    observed = np.append(counts[common], counts[~common].sum())
    wanted = np.append(expected[common], expected[~common].sum()) * counts.sum()
    keep = wanted > 0
    assert stats.chisquare(observed[keep], wanted[keep] * observed[keep].sum() / wanted[keep].sum()).pvalue > 1e-4


@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
def test_backward_samples_follow_the_uniform_policy(env_id, kwargs):
    dag, rng = small_dag(env_id, kwargs), np.random.default_rng(2)
    target = dag.terminal_states()[[-1]]
    batch = sample_backward(dag, np.repeat(target, 40_000, axis=0), None, rng)
    last_edge = batch.edge_offsets[1:] - 1
    legal = np.flatnonzero(dag.backward_mask(target)[0])
    counts = np.bincount(batch.backward_actions[last_edge], minlength=dag.num_backward_actions)
    assert counts.sum() == counts[legal].sum() == 40_000
    if len(legal) > 1:
        assert stats.chisquare(counts[legal]).pvalue > 1e-4


def test_sample_actions_matches_softmax_temperature_and_epsilon():
    rng = np.random.default_rng(0)
    logits = np.array([[0.0, 1.0, 2.0, 5.0]], dtype=np.float32).repeat(200_000, axis=0)
    mask = np.array([[True, True, True, False]]).repeat(200_000, axis=0)
    for epsilon, temperature in [(0.0, 1.0), (0.0, 2.0), (0.3, 1.0), (1.0, 1.0)]:
        actions = sample_actions(logits, mask, rng, epsilon, temperature)
        weights = np.exp(np.arange(3) / temperature)
        expected = (1 - epsilon) * weights / weights.sum() + epsilon / 3
        counts = np.bincount(actions, minlength=4)
        assert counts[3] == 0
        assert stats.chisquare(counts[:3], expected * 200_000).pvalue > 1e-4


def test_no_legal_action_and_nan_are_refused():
    rng, legal = np.random.default_rng(0), np.array([[True, False], [False, False]])
    with pytest.raises(NoLegalActionError, match="row 1"):
        sample_actions(np.zeros((2, 2), np.float32), legal, rng)
    with pytest.raises(FloatingPointError, match="nan"):
        sample_actions(np.array([[np.nan, 0.0]], np.float32), legal[:1], rng)
    # A NaN among illegal actions has no consequence.
    assert sample_actions(np.array([[0.0, np.nan]], np.float32), legal[:1], rng) == 0


@pytest.mark.parametrize("value", [-np.inf, np.nan, np.inf])
@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
def test_logits_that_are_no_numbers_are_named_whatever_action_they_choose(env_id, kwargs, value):
    dag, rng = small_dag(env_id, kwargs), np.random.default_rng(0)
    with pytest.raises(FloatingPointError, match="the policy gave NaN or infinite logits"):
        sample_forward(dag, lambda states: np.full((len(states), dag.num_actions), value, np.float32), 5, rng)


@pytest.mark.parametrize("held", [0, 60, 2**22])
@pytest.mark.parametrize("step", [0, 3])
def test_a_nan_on_the_way_is_refused_however_many_scores_are_held(held, step, monkeypatch):
    monkeypatch.setattr(rollout, "HELD_SCORES", held)
    dag, calls = small_dag("GFN/TFBind8-v0", {"length": 5, "table": list(range(1024))}), iter(range(99))

    def logits(states):
        return np.full((len(states), dag.num_actions), np.nan if next(calls) == step else 0.0, np.float32)

    with pytest.raises(FloatingPointError, match="nan"):
        sample_forward(dag, logits, 4, np.random.default_rng(0))


def test_distinct_is_exact_even_when_hashes_collide(monkeypatch):
    states = np.random.default_rng(0).integers(0, 3, size=(500, 4)).astype(np.int16)
    for collide in (False, True):
        if collide:
            monkeypatch.setattr("gfn_envs.arrays._hash_weights", lambda width: np.zeros(width, dtype=np.int64))
        unique, inverse = distinct(states)
        np.testing.assert_array_equal(unique[inverse], states)
        assert len(unique) == len(np.unique(states, axis=0))


@pytest.mark.parametrize(("env_id", "kwargs"), SMALL)
@pytest.mark.parametrize("form", ["shared", "separate", "ssr"])
@pytest.mark.parametrize("learned", [True, False])
def test_edge_terms_equal_one_edge_at_a_time(env_id, kwargs, form, learned):
    dag = small_dag(env_id, kwargs)
    policy = make_policy(dag, learned, "ssr" if form == "ssr" else "sa", shared=form == "shared")
    batch = sample_forward(dag, hashed_logits(dag, "forward"), 6, np.random.default_rng(0))
    terms = log_probs(dag, policy, batch)
    with torch.no_grad():
        heads = policy(batch.states)
    for edge in range(batch.num_edges):
        source, target = batch.sources[edge], batch.targets[edge]
        legal = dag.forward_mask(batch.states[[source]])[0]
        expected = heads.forward_logits[source][torch.from_numpy(legal)].log_softmax(0)
        position = legal[: batch.actions[edge]].sum()
        assert terms.log_pf[edge].item() == pytest.approx(expected[position].item(), abs=1e-12)
        back = dag.backward_mask(batch.states[[target]])[0]
        expected = torch.full((int(back.sum()),), -np.log(back.sum()), dtype=torch.float64)
        if learned:
            expected = heads.backward_logits[target][torch.from_numpy(back)].log_softmax(0)
        position = back[: batch.backward_actions[edge]].sum()
        assert terms.log_pb[edge].item() == pytest.approx(expected[position].item(), abs=1e-12)
        assert terms.log_flow[source].item() == pytest.approx(heads.log_flow[source].item(), abs=1e-12)
    np.testing.assert_allclose(terms.log_flow.detach()[batch.last], batch.log_reward, atol=1e-12)


@pytest.mark.parametrize("repeats", [1, 2])
@pytest.mark.parametrize("form", ["shared", "separate", "ssr"])
def test_heads_for_rollouts_equal_forward(form, repeats):
    """32 states are evaluated by NumPy, 64 by torch."""
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=4)
    policy = make_policy(dag, form="ssr" if form == "ssr" else "sa", shared=form == "shared")
    states = np.concatenate(list(dag.levels()) * repeats)
    heads = policy(states)
    with torch.inference_mode():
        for head, logits in (("forward", heads.forward_logits), ("backward", heads.backward_logits)):
            np.testing.assert_allclose(policy.logits(head)(states), logits.detach().numpy(), atol=1e-12)


def test_no_trajectories_are_an_empty_batch():
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=4)
    logits = hashed_logits(dag, "forward")
    for batch in (
        sample_forward(dag, logits, 0, np.random.default_rng(0)),
        sample_backward(dag, dag.terminal_states()[:0], None, np.random.default_rng(0)),
    ):
        assert len(batch) == batch.num_edges == len(batch.log_reward) == 0
        assert batch.states.shape == (0, dag.state_width)
