"""Replay buffers: what they keep, what they draw, and that they continue exactly."""

import io
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy import stats

from agents.replay.objects import ReplayBuffer
from agents.replay.schemes import SCHEMES, Prioritized, draw_in_proportion, kth_largest
from agents.replay.transitions import PrioritizedTransitions, Transitions, transitions
from agents.rollout import sample_forward
from gfn_envs.envs.bag import Bag
from gfn_envs.envs.hypergrid.hypergrid import HyperGrid
from tests.helpers import UNEVEN_EDGES, TableDag

GRID = HyperGrid(ndim=2, side=40)


def cells(numbers):
    """Stopped cells of GRID, by number."""
    numbers = np.asarray(numbers)
    return np.column_stack([numbers // 40, numbers % 40, np.ones_like(numbers)]).astype(np.int16)


def numbers(objects):
    return (objects[:, 0].astype(int) * 40 + objects[:, 1]).tolist()


def through_a_file(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


# ---------------------------------------------------------------------- what is kept


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_object_enters_once(scheme):
    buffer = ReplayBuffer(GRID, 100, scheme)
    assert buffer.add(cells([5, 3, 5, 7]), np.array([0.5, 0.3, 9.0, 0.7])) == 3
    assert buffer.add(cells([3, 8]), np.array([9.0, 0.8])) == 1
    assert dict(zip(numbers(buffer.objects), buffer.log_reward, strict=True)) == {5: 0.5, 3: 0.3, 7: 0.7, 8: 0.8}
    assert buffer.add(cells([]), np.array([])) == 0


class SlowBuffer:
    """The specification: a list, and a sort whenever it is too long."""

    def __init__(self, capacity, key):
        self.capacity, self.key, self.age, self.kept = capacity, key, 0, {}

    def add(self, objects, log_reward):
        known = set(self.kept)
        for number, value in zip(numbers(objects), log_reward, strict=True):
            if number not in self.kept and number not in known:
                self.kept[number] = (self.key(number, value), self.age, value)
                self.age += 1
        by_rank = sorted(self.kept, key=lambda number: self.kept[number][:2], reverse=True)
        self.kept = {number: self.kept[number] for number in by_rank[: self.capacity]}
        return len(set(self.kept) - known)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("batch", [1, 7, 60])
def test_what_a_full_buffer_keeps(scheme, batch):
    rng = np.random.default_rng(0)
    key = {
        "fifo": lambda number, value: 0,
        "uniform": lambda number, value: SCHEMES["uniform"].rank(cells([number]), np.zeros(1))[0],
    }.get(scheme, lambda number, value: value)
    buffer, slow = ReplayBuffer(GRID, 37, scheme), SlowBuffer(37, key)
    for _ in range(1000 // batch):
        objects = cells(rng.integers(0, 1600, size=batch))
        log_reward = (np.array(numbers(objects)) * 7919 % 10).astype(float)
        assert buffer.add(objects, log_reward) == slow.add(objects, log_reward)
        kept = dict(zip(numbers(buffer.objects), buffer.log_reward, strict=True))
        assert kept == {number: value for number, (_, _, value) in slow.kept.items()}
    assert len(buffer) == 37


def test_fifo_keeps_the_newest_and_prioritized_the_best():
    fifo, best = ReplayBuffer(GRID, 3, "fifo"), ReplayBuffer(GRID, 3, "prioritized")
    for number, value in [(1, 5.0), (2, 1.0), (3, 4.0), (4, 1.0), (5, 2.0), (6, 0.0)]:
        fifo.add(cells([number]), np.array([value]))
        best.add(cells([number]), np.array([value]))
    assert sorted(numbers(fifo.objects)) == [4, 5, 6]
    assert sorted(numbers(best.objects)) == [1, 3, 5]


def test_uniform_keeps_a_uniform_sample_however_often_an_object_is_seen():
    # 1600 objects, the low numbers seen far more often: of 400 kept, about 100 are among the first 400.
    buffer, rng = ReplayBuffer(GRID, 400, "uniform"), np.random.default_rng(0)
    for _ in range(300):
        buffer.add(cells(np.append(rng.integers(0, 400, size=50), rng.integers(0, 1600, size=30))), np.zeros(80))
    # Hypergeometric: the standard deviation is 7.5.
    assert abs((np.array(numbers(buffer.objects)) < 400).sum() - 100) < 4 * 7.5


# ---------------------------------------------------------------------- what is drawn


def prt_probabilities(log_reward, n):
    """P(batch) of prioritized replay as {sorted tuple: probability}, by enumeration of everything random in it."""
    m = len(log_reward)
    top = int(np.ceil(m / 10))
    ranked = np.sort(log_reward)[::-1]
    above = [i for i in range(m) if log_reward[i] > ranked[top - 1]]
    tied = [i for i in range(m) if log_reward[i] == ranked[top - 1]]
    result, choices = {}, list(combinations(tied, top - len(above)))
    for choice in choices:
        best = above + list(choice)
        rest = [i for i in range(m) if i not in best]
        from_top = min((n + 1) // 2, len(best))
        pairs = [a + b for a in combinations(best, from_top) for b in combinations(rest, min(n - from_top, len(rest)))]
        for pair in pairs:
            batch = tuple(sorted(pair))
            result[batch] = result.get(batch, 0) + 1 / len(pairs) / len(choices)
    return result


@pytest.mark.parametrize(
    ("log_reward", "n"),
    [
        ([3.0], 1),
        ([3.0], 4),
        ([1.0, 2.0], 1),
        ([0.0, 1.0, 1.0, 0.5], 2),
        ([0.0] * 5, 3),
        (list(range(9)), 4),
        (list(range(10)), 3),
        (list(range(20)), 2),
        (list(range(20)), 4),
        ([0.0] * 10 + [5.0], 3),
        ([0.0] * 6 + [2.0] * 6, 4),
        ([0.0] * 5 + [2.0] * 5 + [3.0], 3),
        ([0.0] * 18 + [1.0, 2.0, 2.0], 4),
        (list(range(8)), 30),
        (list(range(11)), 6),
    ],
)
def test_the_composition_of_prioritized_batches(log_reward, n):
    log_reward, rng = np.array(log_reward, dtype=float), np.random.default_rng(1)
    expected, draws = prt_probabilities(log_reward, n), 10_000
    assert sum(expected.values()) == pytest.approx(1)
    counts = dict.fromkeys(expected, 0)
    top = int(np.ceil(len(log_reward) / 10))
    for _ in range(draws):
        batch = Prioritized().draw(log_reward, n, rng).tolist()
        assert len(batch) == len(set(batch)) == min(n, len(log_reward))
        # Of every batch: half (or all of the part) from the top, in reward.
        from_top = min((n + 1) // 2, top)
        assert np.sort(log_reward[batch])[::-1][:from_top].min() >= np.sort(log_reward)[::-1][top - 1]
        counts[tuple(sorted(batch))] += 1
    if len(expected) > 1:
        wanted = np.array(list(expected.values())) * draws
        assert stats.chisquare(list(counts.values()), wanted).pvalue > 1e-4


def test_half_of_a_large_batch_is_from_the_top_tenth():
    buffer, rng = ReplayBuffer(GRID, 1600, "prioritized"), np.random.default_rng(0)
    buffer.add(cells(rng.permutation(1600)[:1000]), rng.permutation(1000).astype(float))
    for n, from_top in [(16, 8), (17, 9), (200, 100), (400, 100), (1000, 100), (1200, 100)]:
        objects, log_reward = buffer.sample(n, rng)
        assert len(set(numbers(objects))) == len(objects) == min(n, 1000)
        assert (log_reward >= 900).sum() == from_top


@pytest.mark.parametrize("scheme", ["fifo", "uniform"])
def test_uniform_draws(scheme):
    buffer, rng = ReplayBuffer(GRID, 50, scheme), np.random.default_rng(0)
    buffer.add(cells(np.arange(6)), np.arange(6.0) * 100)
    counts = dict.fromkeys(combinations(range(6), 2), 0)
    for _ in range(15_000):
        counts[tuple(sorted(numbers(buffer.sample(2, rng)[0])))] += 1
    assert stats.chisquare(list(counts.values())).pvalue > 1e-4
    assert sorted(numbers(buffer.sample(10, rng)[0])) == list(range(6))


def test_proportional_draws_and_rewards_far_apart():
    buffer, rng = ReplayBuffer(GRID, 500, "proportional"), np.random.default_rng(0)
    log_reward = 2000 + np.append(np.log(np.arange(1, 201)), [-3000.0])
    buffer.add(cells(np.arange(201)), log_reward)
    objects, values = buffer.sample(200_000, rng)
    counts = np.bincount(numbers(objects), minlength=201)
    assert counts[200] == 0
    assert stats.chisquare(counts[:200], 200_000 * np.arange(1, 201) / np.arange(1, 201).sum()).pvalue > 1e-4
    np.testing.assert_array_equal(values, log_reward[numbers(objects)])


@pytest.mark.parametrize("m", [1, 2, 63, 64, 65, 128, 1000])
def test_drawing_in_proportion_inverts_the_cumulative_sum(m):
    rng = np.random.default_rng(m)
    weights = rng.integers(0, 4, size=m).astype(float)
    weights[rng.integers(m)] = 3.0
    u = np.append(rng.random(5000), [0.0, 1 - 2**-53])
    expected = np.searchsorted(weights.cumsum(), u * weights.sum(), side="right")
    drawn = draw_in_proportion(weights, u)
    # With whole weights all sums are exact, but the very last point rounds up to the end.
    np.testing.assert_array_equal(drawn[:-1], expected[:-1])
    assert drawn[-1] == np.flatnonzero(weights)[-1]
    assert (weights[drawn] > 0).all()


@pytest.mark.parametrize("values", ["continuous", "ties", "constant", "sorted", "spike"])
@pytest.mark.parametrize("m", [1, 4095, 4096, 30_000])
def test_kth_largest(values, m):
    rng = np.random.default_rng(0)
    array = {
        "continuous": rng.normal(size=m),
        "ties": rng.integers(0, 4, size=m).astype(float),
        "constant": np.zeros(m),
        "sorted": np.arange(m, dtype=float),
        # The bounds miss: one value in `m // 1024` is large, and those are the ones looked at.
        "spike": np.where(np.arange(m) % max(m // 1024, 1) == 0, 1e9, rng.random(m)),
    }[values]
    ranked = np.sort(array)[::-1]
    for k in {1, m // 10 + 1, m // 2 + 1, m}:
        assert kth_largest(array, k) == ranked[k - 1]


# ---------------------------------------------------------------------- checkpoints and refusals


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("capacity", [40, 10_000])
def test_a_restored_buffer_continues_exactly(scheme, capacity):
    def step(buffer, rng):
        objects = cells(rng.integers(0, 1600, size=16))
        added = buffer.add(objects, np.array(numbers(objects)) % 11 * 0.5)
        return added, *(array.tolist() for array in buffer.sample(8, rng))

    first, rng = ReplayBuffer(GRID, capacity, scheme), np.random.default_rng(0)
    for _ in range(20):
        step(first, rng)
    second = ReplayBuffer(HyperGrid(ndim=2, side=40), capacity, scheme)
    second.add(cells([1, 2, 3]), np.zeros(3))
    second.load_state_dict(through_a_file(first.state_dict()))
    other = np.random.default_rng()
    other.bit_generator.state = rng.bit_generator.state
    assert [step(first, rng) for _ in range(30)] == [step(second, other) for _ in range(30)]


def square(cells):
    return cells.sum(1) + 1.0


def filled(dag, capacity=50, scheme="fifo"):
    buffer = ReplayBuffer(dag, capacity, scheme)
    batch = sample_forward(dag, lambda s: np.zeros((len(s), dag.num_actions), np.float32), 20, np.random.default_rng(0))
    buffer.add(batch.terminal_states, batch.log_reward)
    return buffer


@pytest.mark.parametrize(
    "other",
    [
        filled(HyperGrid(ndim=2, side=41)),
        filled(HyperGrid(ndim=2, side=40, reward="easy")),
        filled(HyperGrid(ndim=2, side=40, reward=square)),
        filled(HyperGrid(ndim=3, side=40)),
        filled(Bag(num_letters=3, capacity=4, repeats=2)),
        filled(TableDag(UNEVEN_EDGES)),
        filled(GRID, capacity=51),
        filled(GRID, scheme="uniform"),
    ],
)
def test_a_buffer_of_another_environment_is_refused(other):
    buffer = filled(GRID)
    before = buffer.objects.tolist()
    with pytest.raises(ValueError, match="saved buffer is another one"):
        buffer.load_state_dict(other.state_dict())
    assert buffer.objects.tolist() == before


def test_functions_among_the_arguments_are_told_apart_by_name():
    def make(reward):
        return filled(HyperGrid(ndim=2, side=40, reward=reward))

    make(square).load_state_dict(make(square).state_dict())
    with pytest.raises(ValueError, match="square"):
        make(square).load_state_dict(make(lambda cells: cells.sum(1) + 2.0).state_dict())


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("objects", lambda x: x[:, :2], "objects must be"),
        ("objects", lambda x: x.long(), "objects must be"),
        ("objects", lambda x: x[:1].repeat(len(x), 1), "there twice"),
        ("objects", lambda x: 3, "objects must be"),
        ("log_reward", lambda x: x[1:], "log_reward must be"),
        ("log_reward", lambda x: x * np.nan, "not finite"),
        ("log_reward", lambda x: None, "log_reward must be"),
        ("serial", lambda x: x * 0, "serial"),
        ("serial", lambda x: x + 1000, "serial"),
        ("next_serial", lambda x: "many", "serial"),
    ],
)
def test_a_damaged_buffer_is_refused(name, change, message):
    buffer = filled(GRID)
    state = buffer.state_dict()
    with pytest.raises(ValueError, match=message):
        ReplayBuffer(GRID, 50, "fifo").load_state_dict({**state, name: change(state[name])})


def test_bad_input_is_refused():
    buffer = ReplayBuffer(GRID, 5)
    with pytest.raises(ValueError, match="cannot draw 3 objects from a buffer of 0"):
        buffer.sample(3, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"\[0, 7, 1\] is nan"):
        buffer.add(cells([6, 7]), np.array([0.0, np.nan]))
    with pytest.raises(ValueError, match="must have shape"):
        buffer.add(cells([6, 7]), np.zeros(3))
    with pytest.raises(ValueError, match="capacity must be an integer >= 1, got 0"):
        ReplayBuffer(GRID, 0)
    with pytest.raises(ValueError, match=r"unknown scheme 'best'.*prioritized"):
        ReplayBuffer(GRID, 5, "best")
    assert len(buffer) == 0


# ---------------------------------------------------------------------- transitions


def numbered(start, n):
    """n transitions, told apart by log_pb."""
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
        with pytest.raises(ValueError, match="saved buffer is"):
            PrioritizedTransitions(GRID, 10).load_state_dict({**state, **change})
