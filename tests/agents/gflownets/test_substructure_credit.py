"""Substructure credit assignment (Shen et al. 2023, section 5 and appendix C), exactly, on strings.

Strings of n letters are built by prepending and appending. x and x' have equal rewards and share one substring s* of k
letters. Every trajectory to x passes through exactly one of its substrings of k letters, so the flow through s*,
against that through the others, says how much credit s* gets.
"""

from __future__ import annotations

import itertools
from math import comb, e, pi, sqrt

import numpy as np
import pytest
from scipy import stats

import gfn_envs
from agents.gflownets.guided.guide import guide_actions, log_phi_of
from agents.policies.backward import Distinct, MaxEnt, Uniform

LETTERS = "ABCDEFGHIJKLMNOP"
REWARD = 3.0
CASES = [(4, 2), (5, 2), (6, 3)]


def strings(n: int) -> gfn_envs.Dag:
    arguments = {"alphabet": LETTERS, "length": n, "construction": "prepend_append"}
    return gfn_envs.make_dag("GFN/Sequence-v0", **arguments)


def pair(n: int, k: int, before: int, before_other: int) -> list[str]:
    """x and x' around s* = the first k letters, which start after ``before`` and ``before_other`` letters."""
    shared, rest = LETTERS[:k], iter(LETTERS[k:])
    made = []
    for first in (before, before_other):
        own = "".join(itertools.islice(rest, n - k))
        made.append(own[:first] + shared + own[first:])
    return made


def passed(dag, x: str, k: int, log_pb) -> dict[str, float]:
    """Probability that a trajectory to x passes through each substring of k letters, under P_B."""
    states, weight = dag.from_text([x]), np.ones(1)
    for _ in range(dag.length - k):
        row, actions = np.nonzero(dag.backward_mask(states))
        scores = np.where(dag.backward_mask(states), log_pb(dag, states).astype(float), -np.inf)
        p = np.exp(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))
        states, where = np.unique(dag.undo(states[row], actions), axis=0, return_inverse=True)
        weight = np.bincount(where.ravel(), weight[row] * p[row, actions])
    return dict(zip(dag.to_text(states), weight.tolist(), strict=True))


@pytest.mark.parametrize(("n", "k"), CASES)
@pytest.mark.parametrize("backward", [Uniform(), Distinct(), MaxEnt()], ids=["uniform", "distinct", "maxent"])
def test_maximum_entropy_dilutes_credit(n: int, k: int, backward) -> None:
    """Proposition 5.2: E F(s*) / E F(others) = 2 / (n - k), over uniformly random places of s* in x and x'."""
    dag, shared = strings(n), LETTERS[:k]
    of_shared, of_others = [], []
    for places in itertools.product(range(n - k + 1), repeat=2):
        x, other = pair(n, k, *places)
        flows = [{s: REWARD * p for s, p in passed(dag, each, k, backward.logits).items()} for each in (x, other)]
        assert set(flows[0]) & set(flows[1]) == {shared}
        # Property 2: C(n - k, a) 2^(k - 1) of the 2^(n - 1) trajectories pass s* behind a letters.
        assert flows[0][shared] == pytest.approx(REWARD * comb(n - k, places[0]) / 2 ** (n - k), rel=1e-6)
        assert sum(flows[0].values()) == pytest.approx(REWARD, rel=1e-6)
        of_shared.append(flows[0][shared] + flows[1][shared])
        of_others.append(REWARD - flows[0][shared])
    assert np.mean(of_shared) / np.mean(of_others) == pytest.approx(2 / (n - k), rel=1e-6)
    assert np.mean(of_shared) == pytest.approx(2 * REWARD / (n - k + 1), rel=1e-6)


@pytest.mark.parametrize(("n", "k"), CASES)
def test_the_substructure_guide_gives_full_credit(n: int, k: int) -> None:
    """Theorem C.9: F(s*) = R(x) + R(x'), and nothing through the others, up to the floor of 1e-5."""
    dag, shared = strings(n), LETTERS[:k]
    for places in itertools.product(range(n - k + 1), repeat=2):
        seen = dag.from_text(pair(n, k, *places))
        log_reward = np.full(2, np.log(REWARD))

        def log_phi(states, ends, end, seen=seen, log_reward=log_reward):
            return log_phi_of(dag, seen, log_reward, states, ends, end)

        credit = 0.0
        for x in seen:
            states, weight = dag.source(1), np.ones(1)
            for _ in range(k):
                row, actions, log_p = guide_actions(
                    dag, states, x[None], np.zeros(len(states), dtype=int), log_phi, temperature=1.0
                )
                states, where = np.unique(dag.step(states[row], actions), axis=0, return_inverse=True)
                weight = np.bincount(where.ravel(), weight[row] * np.exp(log_p))
            credit += REWARD * dict(zip(dag.to_text(states), weight, strict=True))[shared]
        assert credit == pytest.approx(2 * REWARD, rel=1e-4)


@pytest.mark.parametrize(("n", "k"), [(6, 3), (7, 3)])
def test_trajectory_balance_makes_the_rich_richer(n: int, k: int) -> None:
    """Theorems C.6 and C.7, in the model of the proof: a table of trajectory flows, all epsilon at first; a trajectory
    is sampled in proportion to its flow, which then grows by delta. The share of s* is that of a Polya urn."""
    epsilon, delta, steps = 0.5, 2.0, 6
    for before in range(n - k + 1):
        through, total = comb(n - k, before) * 2 ** (k - 1), 2 ** (n - 1)
        chance = {0: 1.0}  # Number of times that s* was sampled -> probability.
        for t in range(steps):
            following: dict[int, float] = {}
            for count, p in chance.items():
                flow = through * epsilon + count * delta
                share = flow / (total * epsilon + t * delta)
                # Below one half of the flow, s* is expected to gain less than the others together.
                assert (share < 0.5) == (delta * share < delta * (1 - share))
                following[count + 1] = following.get(count + 1, 0.0) + p * share
                following[count] = following.get(count, 0.0) + p * (1 - share)
            chance = following
        alpha, both = through * epsilon / delta, total * epsilon / delta
        expected = stats.betabinom(steps, alpha, both - alpha).pmf(np.arange(steps + 1))
        np.testing.assert_allclose([chance[count] for count in range(steps + 1)], expected, rtol=1e-9)


def test_the_largest_first_share_is_below_the_bound_of_the_paper() -> None:
    for rest in range(3, 200):  # n - k
        assert max(comb(rest, a) for a in range(rest + 1)) / 2**rest <= e / (pi * sqrt(rest))
