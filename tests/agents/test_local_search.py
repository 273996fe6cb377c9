"""Local search: its Markov chain is the one it claims to be, and keeps the target."""

from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from agents.local_search import Path, backtrack, local_search, log_move, reconstruct, step_range
from gfn_envs import exact
from gfn_envs.envs.bag import Bag
from gfn_envs.envs.hypergrid.hypergrid import HyperGrid
from tests.agents.test_rollout import softmax
from tests.helpers import TINY, UNEVEN_EDGES, TableDag, small_dag

#: Paths of lengths 1, 2 and 3 lead to state 3; two edges lead from 2 to 5. Objects 4 and 5.
UNEVEN = TableDag(UNEVEN_EDGES)
CASES = {
    "uneven, K = 1": (UNEVEN, 1, None),
    "uneven, K = 2": (UNEVEN, 2, None),
    "uneven, K = 1..2": (UNEVEN, 2, 1),
    "uneven, K = 2..3": (UNEVEN, 3, 2),
    "uneven, K = 1..9": (UNEVEN, 9, 1),
    "grid, K = 2": (HyperGrid(ndim=2, side=3), 2, None),
    "grid, K = 1..3": (HyperGrid(ndim=2, side=3), 3, 1),
    "grid, K = 5": (HyperGrid(ndim=2, side=3), 5, None),
    "bag, K = 2": (Bag(num_letters=3, capacity=3, repeats=2), 2, None),
}


def policies(dag):
    """Fixed arbitrary policies in double precision: logits that depend on the state and the action."""
    rng = np.random.default_rng(7)
    forward, backward = (rng.normal(size=(dag.state_width, n)) for n in (dag.num_actions, dag.num_backward_actions))
    return lambda states: 2 * np.sin(states @ forward), lambda states: 2 * np.sin(states @ backward)


def walks(dag, state, direction, going):
    """Every (probability, edges, end) of a walk from ``state``, taken while ``going(state, number of edges)``."""
    forward, backward = policies(dag)
    found = []

    def extend(probability, edges, state):
        row = state[None]
        mask = (dag.forward_mask if direction == "forward" else dag.backward_mask)(row)
        if not mask.any() or not going(state, len(edges)):
            found.append((probability, edges, state))
            return
        chances = softmax((forward if direction == "forward" else backward)(row), mask)[0]
        for action in np.flatnonzero(mask[0]):
            other = (dag.step if direction == "forward" else dag.undo)(row, np.array([action]))[0]
            if direction == "forward":
                edge = (state, action, other, dag.backward_action(row, np.array([action]))[0])
            else:
                edge = (other, dag.forward_action(row, np.array([action]))[0], state, action)
            extend(probability * chances[action], [*edges, edge], other)

    extend(1.0, [], state)
    return found


def path(edges):
    sources, actions, targets, back = zip(*edges, strict=True)
    return Path(np.zeros(len(edges), int), np.stack(sources), np.array(actions), np.stack(targets), np.array(back))


def transition_matrix(dag, low, high, metropolis):
    """Of one round, by enumeration of every K, every way back and every way forth."""
    objects, log_reward = dag.terminal_states(), exact.log_rewards(dag)
    matrix = np.zeros((len(objects), len(objects)))
    for start, state in enumerate(objects):
        for k in range(low, high + 1):
            for p_back, undone, reached in walks(dag, state, "backward", lambda state, length, k=k: length < k):
                for p_forth, built, end in walks(dag, reached, "forward", lambda state, length: True):
                    stop = dag.terminal_index(end[None])[0]
                    probability = p_back * p_forth / (high - low + 1)
                    accept = float(log_reward[stop] > log_reward[start])
                    if metropolis:
                        at_source = ~dag.backward_mask(reached[None]).any(1)
                        d, r = path(undone), path(built)
                        forth = log_move(dag, d, r, at_source, *policies(dag), low, high)
                        back = log_move(dag, r, d, at_source, *policies(dag), low, high)
                        accept = min(1.0, np.exp(log_reward[stop] - log_reward[start] + back - forth)[0])
                    matrix[start, stop] += probability * accept
                    matrix[start, start] += probability * (1 - accept)
    return matrix


@pytest.mark.parametrize("case", CASES)
def test_metropolis_is_in_detailed_balance_with_the_reward(case):
    dag, steps, min_steps = CASES[case]
    matrix = transition_matrix(dag, *step_range(dag, steps, min_steps), metropolis=True)
    np.testing.assert_allclose(matrix.sum(1), 1, rtol=0, atol=1e-12)
    flow = exact.target_distribution(dag)[:, None] * matrix
    np.testing.assert_allclose(flow, flow.T, rtol=0, atol=1e-13)
    # It moves, and with a range of K (or K that reaches s0 from everywhere) it gets everywhere.
    if min_steps == 1 or dag.max_length <= steps:
        assert (np.linalg.matrix_power(matrix, len(matrix)) > 0).all()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("accept", ["metropolis", "greedy"])
def test_the_search_follows_its_transition_matrix(case, accept):
    dag, steps, min_steps = CASES[case]
    matrix = transition_matrix(dag, *step_range(dag, steps, min_steps), accept == "metropolis")
    objects, rng, each = dag.terminal_states(), np.random.default_rng(0), 20_000
    starts = np.repeat(np.arange(len(objects)), each)
    found = local_search(
        dag, objects[starts], dag.log_reward(objects[starts]), *policies(dag), rng, steps, min_steps, accept=accept
    )
    counts = np.zeros(matrix.shape)
    np.add.at(counts, (starts, dag.terminal_index(found.objects)), 1)
    assert counts[matrix < 1e-14].sum() == 0
    common = matrix * each >= 5
    expected, observed = matrix[common] * each, counts[common]
    statistic = ((observed - expected) ** 2 / expected).sum()
    freedom = max(common.sum() - len(objects), 1)
    assert stats.chi2.sf(statistic, freedom) > 1e-4


@pytest.mark.parametrize("accept", ["metropolis", "greedy"])
def test_transitions_are_the_steps_undone_and_built(monkeypatch, accept):
    dag, taken = HyperGrid(ndim=2, side=4), []
    objects = dag.terminal_states()

    def counted(move):
        return lambda states, actions: taken.append(len(states)) or move(states, actions)

    monkeypatch.setattr(dag, "step", counted(dag.step))
    monkeypatch.setattr(dag, "undo", counted(dag.undo))
    found = local_search(dag, objects, dag.log_reward(objects), None, None, np.random.default_rng(0), accept=accept)
    assert found.transitions == sum(taken) > len(objects)


@pytest.mark.parametrize("case", ["uneven, K = 1..2", "grid, K = 1..3", "bag, K = 2"])
def test_samples_of_the_target_stay_samples_of_the_target(case):
    dag, steps, min_steps = CASES[case]
    target, rng = exact.target_distribution(dag), np.random.default_rng(0)
    objects = dag.terminal_states()[rng.choice(len(target), p=target, size=60_000)]
    found = local_search(
        dag, objects, dag.log_reward(objects), *policies(dag), rng, steps, min_steps, rounds=3, accept="metropolis"
    )
    assert found.accepted.mean() > 0.2
    counts = np.bincount(dag.terminal_index(found.objects), minlength=len(target))
    assert stats.chisquare(counts, target * counts.sum()).pvalue > 1e-4


@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
@pytest.mark.parametrize("accept", ["greedy", "metropolis"])
def test_what_is_returned(env_id, kwargs, accept):
    dag, rng = small_dag(env_id, kwargs), np.random.default_rng(0)
    objects = dag.terminal_states()[rng.integers(dag.num_terminal_states, size=30)]
    before, log_reward = objects.copy(), dag.log_reward(objects)
    found = local_search(dag, objects, log_reward, *policies(dag), rng, rounds=5, accept=accept)
    np.testing.assert_array_equal(objects, before)
    np.testing.assert_array_equal(found.log_reward, dag.log_reward(found.objects))
    np.testing.assert_array_equal(found.proposals_log_reward, dag.log_reward(found.proposals))
    assert found.objects.dtype == dag.state_dtype
    assert len(found.proposals) == 150
    np.testing.assert_array_equal(found.objects[found.accepted == 0], before[found.accepted == 0])
    if accept == "greedy":
        # Never worse, strictly better at each acceptance, and the best of everything met.
        assert ((found.log_reward > log_reward) == (found.accepted > 0)).all()
        met = np.maximum(found.proposals_log_reward.reshape(5, 30).max(0), log_reward)
        np.testing.assert_array_equal(found.log_reward, met)


@pytest.mark.parametrize("accept", ["greedy", "metropolis"])
def test_one_seed_one_search(accept):
    dag = HyperGrid(ndim=2, side=8)

    def run(seed):
        found = local_search(
            dag,
            dag.terminal_states(),
            exact.log_rewards(dag),
            *policies(dag),
            np.random.default_rng(seed),
            4,
            1,
            3,
            accept,
        )
        return [np.asarray(part).tolist() for part in found]

    assert run(0) == run(0)
    assert run(0) != run(1)


def test_backtracking_stops_at_the_source_and_paths_are_walks():
    dag, rng = UNEVEN, np.random.default_rng(0)
    objects = np.array([[4], [5]] * 500, dtype=np.int16)
    k = rng.integers(1, 5, size=1000)
    states, undone = backtrack(dag, objects, k, None, rng)
    found, built = reconstruct(dag, states, None, rng)
    for edges in (undone, built):
        np.testing.assert_array_equal(dag.step(edges.sources, edges.actions), edges.targets)
        np.testing.assert_array_equal(dag.undo(edges.targets, edges.backward_actions), edges.sources)
    lengths = np.bincount(undone.rows, minlength=1000)
    at_source = states[:, 0] == 0
    assert (lengths[~at_source] == k[~at_source]).all()
    assert (lengths[at_source] <= k[at_source]).all()
    assert (lengths < k).any()
    per_row = defaultdict(list)
    for row, source, target in zip(built.rows, built.sources[:, 0], built.targets[:, 0], strict=True):
        per_row[row].append((source, target))
    for row, edges in per_row.items():
        assert edges[0][0] == states[row, 0]
        assert edges[-1][1] == found[row, 0]
        assert all(a[1] == b[0] for a, b in pairwise(edges))
    assert dag.is_terminal(found).all()


def test_settings():
    dag = HyperGrid(ndim=2, side=3)
    assert step_range(dag, 3) == (3, 3)
    assert step_range(dag, 0.5, 1) == (1, 3)
    assert step_range(dag, 1.0) == (5, 5)
    objects = dag.terminal_states()[:2]
    rng, log_reward = np.random.default_rng(0), dag.log_reward(objects)
    for bad in (0, -1, 1.5, 0.0, float("nan"), True - 1):
        with pytest.raises(ValueError, match="steps must be an integer"):
            local_search(dag, objects, log_reward, None, None, rng, steps=bad)
    with pytest.raises(ValueError, match="min_steps"):
        local_search(dag, objects, log_reward, None, None, rng, steps=2, min_steps=3)
    with pytest.raises(ValueError, match="accept must be"):
        local_search(dag, objects, log_reward, None, None, rng, accept="always")
    with pytest.raises(ValueError, match="rounds"):
        local_search(dag, objects, log_reward, None, None, rng, rounds=0)
    with pytest.raises(ValueError, match="not a terminal state"):
        local_search(dag, dag.source(1), np.zeros(1), None, None, rng)
    assert len(local_search(dag, objects[:0], log_reward[:0], None, None, rng).objects) == 0
