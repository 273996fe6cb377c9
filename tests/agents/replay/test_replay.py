"""Replay buffers: kept objects, exact continuation, and errors."""

import numpy as np
import pytest

from agents.replay.objects import ReplayBuffer
from agents.replay.schemes import SCHEMES
from agents.rollout import sample_forward
from gfn_envs.envs.bag import Bag
from gfn_envs.envs.hypergrid.hypergrid import HyperGrid
from tests.agents.replay.cells import GRID, cells, numbers, through_a_file
from tests.helpers import UNEVEN_EDGES, TableDag

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


# Of diverse, in test_more_schemes.py, what is kept depends on distances too.
@pytest.mark.parametrize("scheme", [scheme for scheme in SCHEMES if scheme != "diverse"])
@pytest.mark.parametrize("batch", [1, 7, 60])
def test_what_a_full_buffer_keeps(scheme, batch):
    rng = np.random.default_rng(0)
    key = {
        "fifo": lambda number, value: 0,
        "loss": lambda number, value: 0,
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
    with pytest.raises(ValueError, match="saved buffer differs"):
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
        ("objects", lambda x: x[:1].repeat(len(x), 1), "duplicate object"),
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
    with pytest.raises(ValueError, match=r"object \(0, 7\) is nan"):
        buffer.add(cells([6, 7]), np.array([0.0, np.nan]))
    with pytest.raises(ValueError, match="must have shape"):
        buffer.add(cells([6, 7]), np.zeros(3))
    with pytest.raises(ValueError, match="capacity must be an integer >= 1, got 0"):
        ReplayBuffer(GRID, 0)
    with pytest.raises(ValueError, match=r"unknown scheme 'best'.*prioritized"):
        ReplayBuffer(GRID, 5, "best")
    assert len(buffer) == 0
