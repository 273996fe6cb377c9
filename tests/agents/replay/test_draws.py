"""Draws of the replay schemes, against enumerated probabilities."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from agents.replay.objects import ReplayBuffer
from agents.replay.schemes import Prioritized, Stored, draw_in_proportion, kth_largest
from tests.agents.replay.cells import GRID, cells, numbers


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
    places = np.arange(len(log_reward))
    stored = Stored(places[:, None], log_reward, places, np.full(len(places), np.inf))
    assert sum(expected.values()) == pytest.approx(1)
    counts = dict.fromkeys(expected, 0)
    top = int(np.ceil(len(log_reward) / 10))
    for _ in range(draws):
        batch = Prioritized().draw(stored, n, rng).tolist()
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
