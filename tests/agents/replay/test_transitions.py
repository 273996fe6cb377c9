"""Prioritized replay of transitions: what it keeps and draws, and that it continues exactly."""

import numpy as np
import pytest

from agents.replay.transitions import PrioritizedTransitions, Transitions, transitions
from agents.rollout import sample_forward
from tests.agents.replay.cells import GRID, cells, through_a_file
from tests.helpers import UNEVEN_EDGES, TableDag


def numbered(start, n):
    """n transitions, distinguished by log_pb."""
    states = np.repeat(cells([1]), n, axis=0)
    return Transitions(
        states, np.zeros(n, int), states, np.arange(start, start + n, dtype=float), np.zeros(n), np.ones(n, bool)
    )


def test_transitions_of_trajectories():
    dag = TableDag(UNEVEN_EDGES)
    batch = sample_forward(dag, lambda s: np.zeros((len(s), 3), np.float32), 30, np.random.default_rng(0))
    steps = transitions(batch, np.arange(batch.num_edges))
    np.testing.assert_array_equal(dag.step(steps.states, steps.actions), steps.next_states)
    np.testing.assert_array_equal(steps.terminal, dag.is_terminal(steps.next_states))
    rewards = np.where(steps.terminal, dag.log_reward(steps.next_states), 0)
    np.testing.assert_array_equal(steps.log_reward, rewards)
    np.testing.assert_array_equal(steps.log_pb, np.arange(batch.num_edges))


@pytest.mark.parametrize("batch", [1, 7, 23, 60])
def test_the_ring_keeps_the_last(batch):
    ring = PrioritizedTransitions(GRID, 23)
    for start in range(0, 200, batch):
        ring.add(numbered(start, batch))
        end = start + batch
        drawn, _, _ = ring.sample(2000, np.random.default_rng(0), beta=0.0)
        assert sorted(set(drawn.log_pb)) == list(range(max(0, end - 23), end))


def test_priorities_probabilities_and_weights():
    ring, rng = PrioritizedTransitions(GRID, 300, alpha=0.7), np.random.default_rng(0)
    ring.add(numbered(0, 200))
    errors = rng.normal(size=200) ** 3
    ring.update_priorities(np.arange(200), errors)
    p = (np.abs(errors) + 1e-6) ** 0.7
    p /= p.sum()
    drawn, weights, indices = ring.sample(50_000, rng, beta=0.4)
    np.testing.assert_array_equal(drawn.log_pb, indices)
    # Stratified: the count of an entry differs from n P(i) by less than 2.
    assert np.abs(np.bincount(indices, minlength=200) - 50_000 * p).max() < 2
    expected = (200 * p) ** -0.4
    np.testing.assert_allclose(weights, (expected / expected.max())[indices], rtol=1e-9)
    # Small batches have the same probabilities.
    counts = np.zeros(200)
    for _ in range(20_000):
        np.add.at(counts, ring.sample(3, rng, 1.0)[2], 1)
    assert np.abs(counts - 60_000 * p).max() < 5 * np.sqrt(60_000 * p.max())
    # New ones come with the largest priority so far.
    ring.add(numbered(200, 100))
    assert ring.max_priority == max(1.0, np.abs(errors).max() + 1e-6)
    counts = np.bincount(ring.sample(100_000, rng, 0.0)[2], minlength=300)
    assert counts[200:].min() >= counts[:200].max() - 2


def test_full_weights_undo_the_preference():
    ring, rng = PrioritizedTransitions(GRID, 64), np.random.default_rng(0)
    ring.add(numbered(0, 50))
    ring.update_priorities(np.arange(50), np.arange(1.0, 51.0))
    drawn, weights, _ = ring.sample(200_000, rng, beta=1.0)
    assert (weights * drawn.log_pb).sum() / weights.sum() == pytest.approx(24.5, rel=1e-3)


def test_a_restored_ring_continues_exactly():
    def step(ring, rng):
        ring.add(numbered(int(rng.integers(1000)), 9))
        batch, weights, indices = ring.sample(8, rng, 0.5)
        ring.update_priorities(indices, rng.normal(size=8))
        return batch.log_pb.tolist(), weights.tolist(), indices.tolist()

    for steps in (5, 40):
        first, rng = PrioritizedTransitions(GRID, 100), np.random.default_rng(0)
        for _ in range(steps):
            step(first, rng)
        second = PrioritizedTransitions(GRID, 100)
        second.add(numbered(0, 99))
        second.load_state_dict(through_a_file(first.state_dict()))
        other = np.random.default_rng()
        other.bit_generator.state = rng.bit_generator.state
        assert [step(first, rng) for _ in range(30)] == [step(second, other) for _ in range(30)]


def test_bad_input_to_the_ring_is_refused():
    ring, rng = PrioritizedTransitions(GRID, 10), np.random.default_rng(0)
    with pytest.raises(ValueError, match="from 0 transitions"):
        ring.sample(3, rng, 1.0)
    ring.add(numbered(0, 4))
    with pytest.raises(ValueError, match=r"beta must lie in \[0, 1\], got 1.5"):
        ring.sample(3, rng, 1.5)
    with pytest.raises(ValueError, match=r"indices must lie in \[0, 4\)"):
        ring.update_priorities(np.array([4]), np.array([1.0]))
    with pytest.raises(ValueError, match="errors must be finite, got nan"):
        ring.update_priorities(np.array([0, 1]), np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match="log_pb must have shape"):
        ring.add(numbered(0, 4)._replace(log_pb=np.zeros(3)))
    with pytest.raises(ValueError, match="alpha"):
        PrioritizedTransitions(GRID, 10, alpha=-1.0)
    state = ring.state_dict()
    for change in [
        {"weight": state["weight"] * 0},
        {"weight": state["weight"][1:]},
        {"next": 5},
        {"max_priority": float("nan")},
        {"alpha": 0.6},
        {"environment": "GFN/Other"},
        {"states": state["states"][:, 1:]},
    ]:
        with pytest.raises(ValueError, match=r"saved buffer (is|differs)"):
            PrioritizedTransitions(GRID, 10).load_state_dict({**state, **change})
