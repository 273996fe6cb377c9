"""Replay by rank of the loss, and of objects that are apart from each other."""

import numpy as np
import pytest

import agents
from agents.replay.objects import ReplayBuffer
from agents.replay.schemes import Diverse, LossPrioritized, Stored, scheme_named
from agents.runs import directory as runs
from tests.helpers import GRID, small_dag


def grid(side=8):
    return small_dag(GRID, {"ndim": 2, "side": side})


def test_draws_follow_the_ranks_of_the_losses():
    losses, k, n = np.array([0.3, 7.0, np.inf, 1.0, 0.0]), 0.2, 40_000
    drawn = LossPrioritized(k).draw(Stored(*3 * [np.empty(5)], losses), n, np.random.default_rng(0))
    weight = 1 / (k * 5 + np.array([3, 1, 0, 2, 4]))
    np.testing.assert_allclose(np.bincount(drawn) / n, weight / weight.sum(), atol=0.01)


def test_losses_that_were_replayed_decide_what_comes_next():
    dag = grid()
    buffer, rng = ReplayBuffer(dag, scheme="loss(k=1e-9)"), np.random.default_rng(0)
    buffer.add(dag.terminal_states()[:6], np.zeros(6))
    assert len(buffer.sample(50, rng)[0]) == 50
    for _ in range(8):  # Every new object comes first once.
        objects, _ = buffer.sample(1, rng)
        buffer.set_losses(objects[:, 0] + 10.0 * objects[:, 1])
    expected = max(dag.terminal_states()[:6].tolist(), key=lambda row: row[0] + 10 * row[1])
    assert (buffer.sample(9, rng)[0] == expected).all()


@pytest.mark.parametrize("distance", [0, 1, 2.5])
def test_what_enters_a_full_buffer_is_apart(distance):
    """Against the rule, one pair at a time."""
    dag, rng = grid(), np.random.default_rng(1)
    objects, log_reward = dag.terminal_states(), rng.normal(size=64).round(1)
    order = rng.permutation(64)
    first, then = order[:5], order[5:30]
    buffer = ReplayBuffer(dag, 5, Diverse(distance))
    buffer.add(objects[first], log_reward[first])
    lowest, taken = log_reward[first].min(), list(first)
    for i in sorted(then, key=lambda i: -log_reward[i]):
        gaps = [abs(objects[i].astype(int) - objects[j]).sum() for j in taken]
        taken += [i] if log_reward[i] >= lowest and min(gaps) > distance else []
    admitted = buffer.scheme.admits(buffer.stored, objects[then], log_reward[then])
    assert set(then[admitted]) == set(taken[5:])
    buffer.add(objects[then], log_reward[then])
    assert sorted(buffer.log_reward) == sorted(log_reward[taken])[-5:]


@pytest.mark.parametrize("scheme", ["loss(k=0.5)", "diverse(distance=2)"])
def test_resuming_is_exact(tmp_path, scheme):
    settings = {"replay": scheme, "replay_capacity": 6, "hidden": (8,), "batch_size": 6}
    whole, parts = (agents.make_agent("tb", grid(4), **settings) for _ in range(2))
    infos = [whole.update() for _ in range(8)]
    assert [parts.update() for _ in range(5)] == infos[:5]
    runs.save_checkpoint(tmp_path, parts, {})
    resumed = agents.make_agent("tb", grid(4), seed=2, **settings)
    runs.load_checkpoint(tmp_path, resumed)
    assert [resumed.update() for _ in range(3)] == infos[5:]
    assert resumed.replay.scheme.name == scheme


@pytest.mark.parametrize(
    ("scheme", "message"),
    [
        ("loss(k=0)", r"replay loss\(k=0\): k must be finite and > 0, got 0"),
        ("diverse(far=1)", r"replay diverse\(far=1\): .*unexpected keyword argument 'far'"),
        ("diverse(2)", r"replay 'diverse\(2\)': expected keywords such as \(distance=2\)"),
        ("nearest(distance=1)", r"unknown scheme 'nearest\(distance=1\)'"),
    ],
)
def test_bad_schemes_raise(scheme, message):
    for make in (scheme_named, lambda text: agents.make_agent("tb", grid(4), replay=text)):
        with pytest.raises(ValueError, match=message):
            make(scheme)
