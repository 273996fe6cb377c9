"""The substructure guide against its definition, one edge at a time."""

import functools

import numpy as np
import pytest

import agents
from agents.gflownets.guided import guide
from agents.gflownets.guided.guide import log_guide, log_guide_of_scores, log_mean_reward
from agents.gflownets.guided.substructures import Substructures, TooManyPartsError
from agents.rollout import sample_backward, sample_forward
from gfn_envs import make_dag
from gfn_envs.envs.assignments.bit_sequence import BitSequence
from gfn_envs.envs.bag import Bag
from gfn_envs.envs.hypergrid.hypergrid import HyperGrid
from tests.agents.test_rollout import hashed_logits
from tests.helpers import UNEVEN_EDGES, TableDag, all_states


class GuidedBag(Bag):
    def contains(self, states, objects):
        return (states[:, None] <= objects).all(2)


class GuidedGrid(HyperGrid):
    def contains(self, states, objects):
        stopped = states[:, None, -1] == 1
        return np.where(stopped, (states[:, None] == objects).all(2), (states[:, None] <= objects).all(2))


class GuidedBits(BitSequence):
    def contains(self, states, objects):
        return ((states[:, None] == objects) | (states[:, None] == self.num_words)).all(2)


class GuidedTable(TableDag):
    """States 2 and 5 are joined by two edges."""

    def contains(self, states, objects):
        reach = np.eye(len(self.child), dtype=bool)
        for state in reversed(range(len(self.child))):
            for child in self.child[state]:
                if child >= 0:
                    reach[state] |= reach[child]
        return reach[states[:, 0]][:, objects[:, 0]]


DAGS = {
    "bag": GuidedBag(num_letters=3, capacity=4, repeats=3),
    "grid": GuidedGrid(ndim=2, side=5),
    "bits": GuidedBits(n=8, word_size=4, construction="non_autoregressive", num_modes=2),
    "prefix": GuidedBits(n=8, word_size=4, construction="autoregressive", num_modes=2),
    "table": GuidedTable(UNEVEN_EDGES),
}


def slow_guide(dag, batch, objects, log_reward, temperature):
    """The definition: for each edge, each child, each object; containment by a search for paths."""
    rewards = {tuple(x): np.exp(value) for x, value in zip(objects.tolist(), log_reward, strict=True)}

    children_of = {tuple(state): {tuple(c) for c in dag.children(state[None])[1].tolist()} for state in all_states(dag)}

    @functools.cache
    def reaches(state, end):
        return state == end or any(reaches(child, end) for child in children_of[state])

    result = []
    for i, x in enumerate(map(tuple, batch.terminal_states.tolist())):
        for place in range(batch.offsets[i], batch.offsets[i + 1] - 1):
            _, children, _ = dag.children(batch.states[[place]])
            children = [tuple(c) for c in children.tolist()]
            phi = {}
            for c in set(children):
                if reaches(c, x):
                    with_c = [r for other, r in rewards.items() if other != x and reaches(c, other)]
                    phi[c] = np.mean(with_c) if with_c else 0.0
            score = {c: max(value, 1e-5) ** temperature for c, value in phi.items()}
            taken = tuple(batch.states[place + 1].tolist())
            p = 1 / len(phi) if not any(phi.values()) else score[taken] / sum(score.values())
            result.append(np.log(p / children.count(taken)))
    return np.array(result)


@pytest.mark.parametrize("name", DAGS)
@pytest.mark.parametrize("temperature", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("seen", ["none", "own", "some", "all"])
def test_the_guide_equals_its_definition(name, temperature, seen, monkeypatch):
    dag, rng = DAGS[name], np.random.default_rng(0)
    terminal = dag.terminal_states()
    ends = terminal[rng.integers(len(terminal), size=5)]
    backward = sample_backward(dag, ends, None, rng)
    forward = sample_forward(dag, hashed_logits(dag, "forward"), 5, rng)
    for batch in (backward, forward):
        objects = {
            "none": terminal[:0],
            "own": np.unique(batch.terminal_states[:1], axis=0),
            "some": terminal[rng.permutation(len(terminal))[: len(terminal) // 2]],
            "all": terminal,
        }[seen]
        # Rewards over many scales, among them some below the floor.
        log_reward = rng.normal(size=len(objects)) * 8
        expected = slow_guide(dag, batch, objects, log_reward, temperature)
        np.testing.assert_allclose(
            log_guide(dag, batch, objects, log_reward, temperature), expected, rtol=0, atol=1e-10
        )
        # In small pieces, the same.
        with monkeypatch.context() as patch:
            patch.setattr(guide, "BLOCK", 300)
            np.testing.assert_allclose(
                log_guide(dag, batch, objects, log_reward, temperature), expected, rtol=0, atol=1e-10
            )


@pytest.mark.parametrize("name", DAGS)
def test_the_guide_is_a_distribution_over_trajectories_to_x(name):
    """Summed over all trajectories to x, the product of the edges' probabilities is 1."""
    dag, rng = DAGS[name], np.random.default_rng(1)
    terminal = dag.terminal_states()
    x = terminal[[len(terminal) // 2]]
    seen = {}
    batch = sample_backward(dag, np.repeat(x, 500, axis=0), None, rng)
    log_p = log_guide(dag, batch, terminal, rng.normal(size=len(terminal)), 1.5)
    for i in range(len(batch)):
        edges = slice(batch.edge_offsets[i], batch.edge_offsets[i + 1])
        seen[tuple(batch.actions[edges].tolist())] = log_p[edges].sum()
    assert np.exp(list(seen.values())).sum() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("name", sorted(DAGS))
def test_agreement_by_one_child_at_a_time(name):
    """log_agreement: each distinct child by the mean reward of the objects that it can still become."""
    dag, rng = DAGS[name], np.random.default_rng(1)
    terminal, states = dag.terminal_states(), all_states(dag)
    states = states[~dag.is_terminal(states)]
    objects = terminal[rng.random(len(terminal)) < 0.5]
    log_reward = rng.normal(size=len(objects))
    found = guide.log_agreement(dag, states, objects, log_reward)
    for state, row in zip(states, found, strict=True):
        _, children, actions = dag.children(state[None])
        keys = [child.tobytes() for child in children]
        weight = {}
        for key, child in zip(keys, children, strict=True):
            inside = dag.contains(child[None], objects)[0]
            weight[key] = max(np.exp(log_reward[inside]).mean() if inside.any() else 0.0, guide.FLOOR)
        expected = [weight[key] / keys.count(key) / sum(weight.values()) for key in keys]
        np.testing.assert_allclose(np.exp(row[actions]), expected, rtol=1e-9)
        assert np.isneginf(np.delete(row, actions)).all()


def test_rewards_of_any_scale():
    dag, rng = DAGS["bag"], np.random.default_rng(0)
    terminal = dag.terminal_states()
    batch = sample_backward(dag, terminal, None, rng)
    log_reward = rng.normal(size=len(terminal))
    plain = log_guide(dag, batch, terminal, log_reward)
    # Above the floor, the scale of the rewards makes no difference, even beyond the range of floating point.
    np.testing.assert_allclose(log_guide(dag, batch, terminal, log_reward + 2000), plain, atol=1e-9)
    # Far below the floor, the guide is uniform over the children inside x.
    np.testing.assert_allclose(
        log_guide(dag, batch, terminal, log_reward - 2000), log_guide(dag, batch, terminal[:0], log_reward[:0])
    )


def test_an_object_of_huge_reward_leaves_no_trace_when_it_is_left_out():
    dag = DAGS["bag"]
    terminal = dag.terminal_states()
    log_reward = np.zeros(len(terminal))
    log_reward[3] = 80.0
    log_phi = log_mean_reward(dag, dag.source(2), terminal, log_reward, left_out=(terminal[[3, 4]], np.array([0, 1])))
    m = len(terminal)
    np.testing.assert_allclose(log_phi, [0.0, 80 - np.log(m - 1)], atol=1e-12)


def test_bad_input_is_refused(monkeypatch):
    dag, rng = DAGS["bag"], np.random.default_rng(0)
    terminal = dag.terminal_states()
    batch = sample_backward(dag, terminal, None, rng)
    for temperature in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="temperature must be finite"):
            log_guide(dag, batch, terminal, dag.log_reward(terminal), temperature)
    with pytest.raises(ValueError, match="log rewards"):
        log_guide(dag, batch, terminal, np.zeros(3))
    monkeypatch.setattr(dag, "contains", lambda states, objects: (states[:, None] < objects).all(2))
    with pytest.raises(ValueError, match="cannot be built from"):
        log_guide(dag, batch, terminal, dag.log_reward(terminal))


@pytest.mark.parametrize("name", DAGS)
@pytest.mark.parametrize("seen", ["own", "some", "all"])
def test_sums_over_substructures_give_the_same_guide(name, seen):
    dag, rng = DAGS[name], np.random.default_rng(2)
    terminal = dag.terminal_states()
    batch = sample_forward(dag, hashed_logits(dag, "forward"), 6, rng)
    objects = {"own": np.unique(batch.terminal_states[:2], axis=0), "some": terminal[::2], "all": terminal}[seen]
    log_reward = rng.normal(size=len(objects)) * 3
    sums, times = Substructures(dag), np.r_[np.arange(len(objects)), rng.integers(len(objects), size=5)]
    for some in np.array_split(times, 3):  # In pieces, and some objects again.
        sums.add(objects[some], log_reward[some])
    found = log_guide_of_scores(dag, batch, sums.log_mean_reward, 1.5)
    np.testing.assert_allclose(found, slow_guide(dag, batch, objects, log_reward, 1.5), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", sorted(set(DAGS) - {"table"}))  # It has two objects only.
def test_what_is_forgotten_leaves_the_sums(name):
    dag, rng = DAGS[name], np.random.default_rng(3)
    terminal = rng.permutation(dag.terminal_states())
    log_reward = rng.normal(size=len(terminal))
    few, states = Substructures(dag, max_remembered=12), all_states(dag)
    for x, value in zip(terminal, log_reward, strict=True):
        few.add(x[None], np.array([value]))
    kept = len(few)
    assert 0 < kept < len(terminal)
    rest = Substructures(dag)
    rest.add(terminal[-kept:], log_reward[-kept:])
    nobody = (terminal[:1], np.zeros(len(states), dtype=np.int64))  # Forgotten, so nothing is left out.
    np.testing.assert_allclose(
        few.log_mean_reward(states, *nobody), rest.log_mean_reward(states, *nobody), rtol=0, atol=1e-9
    )
    again = Substructures(dag)
    again.load_state_dict(few.state_dict())
    assert again.state_dict().keys() == few.state_dict().keys()
    for key, value in few.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[key], value)


def test_objects_of_too_many_parts_are_refused():
    dag = GuidedBits(n=56, word_size=4, construction="non_autoregressive", num_modes=2)
    objects = sample_forward(dag, hashed_logits(dag, "forward"), 2, np.random.default_rng(0)).terminal_states
    sums = Substructures(dag)
    with pytest.raises(TooManyPartsError, match="4,096"):
        sums.add(objects, np.zeros(2))
    with pytest.raises(TooManyPartsError, match=r"e\^600"):
        sums.add(objects, np.full(2, 601.0))
    assert len(sums) == 0


STRINGS = {"length": 5, "table": [float((i * 7919) % 1024) for i in range(1024)]}


def test_guided_tb_looks_at_all_objects_seen():
    """More than it would draw: its guide is that of the definition, on everything that it has seen."""
    agent = agents.make_agent("gtb", make_dag("GFN/TFBind8-v0", **STRINGS), guide_objects=4, hidden=(8,), batch_size=8)
    for _ in range(10):
        agent.update()
    batch = agent.sample_trajectories(8)
    found, seen = agent.log_guide(batch), agent.seen
    assert len(seen) > 40
    np.testing.assert_allclose(found, log_guide(agent.dag, batch, seen.objects, seen.log_reward), rtol=0, atol=1e-9)
