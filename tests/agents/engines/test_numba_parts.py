"""Parts of large batches, one per thread: the same result as whole batches up to rounding."""

import os
import threading

import numpy as np
import pytest

import agents
from agents.engines.numba import engine as compiled
from agents.engines.numba import parts
from agents.rollout import Exploration
from agents.threads import libraries, working_threads
from gfn_envs import BayesNet, HyperGrid

pytest.importorskip("numba")


def make(name="tb", **settings):
    return agents.make_agent(
        name, HyperGrid(3, 8), seed=0, **{"hidden": (16, 8), "batch_size": 300, "engine": "numba"} | settings
    )


def parameters(agent):
    own = [*agent.policy.parameters(), *([] if agent.log_z_parameter is None else [agent.log_z_parameter])]
    return np.concatenate([p.detach().numpy().ravel() for p in own])


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("n", [1, 127, 128, 300, 319, 320, 10**6])
def test_parts_cover_a_batch_and_are_large(n, threads):
    with working_threads(threads):
        found = parts.bounds(n)
    assert [i for part in found for i in part] == sorted([0, *[last for _, last in found] * 2][:-1])
    sizes = [last - first for first, last in found]
    assert sum(sizes) == n
    assert max(sizes) - min(sizes) <= 1
    assert len(found) == max(1, min(threads, n // 64))


@pytest.mark.parametrize("exploring", [False, True])
@pytest.mark.parametrize("settings", [{}, {"backward": "uniform"}, {"max_grad_norm": 0.1}, {"loss": "huber"}])
@pytest.mark.parametrize("name", ["tb", "db", "subtb", "mdb"])
def test_a_step_in_parts_is_that_of_the_whole_batch(name, settings, exploring):
    """Sampled with or without departures from P_F; the second step has no hidden layers of a rollout."""
    exploration = Exploration(epsilon=0.3, delay_stop=0.2) if exploring else Exploration()
    found = []
    for threads in (2, 1):
        agent = make(name, **settings)
        with working_threads(threads):
            batch = agent.engine.sample(300, np.random.default_rng(1), exploration)
            assert len(agent.engine.parts(batch)) == threads
            ratio = agent.engine.log_ratio(batch)
            losses = [agent.engine.step(batch), agent.engine.step(batch)]
        found.append((batch, ratio, losses, parameters(agent)))
    (first, ratio, in_parts, moved), (second, expected_ratio, whole, expected) = found
    np.testing.assert_allclose(ratio, expected_ratio, atol=1e-4)
    np.testing.assert_array_equal(first.states, second.states)
    np.testing.assert_allclose(in_parts, whole, rtol=1e-5)
    np.testing.assert_allclose(moved, expected, atol=2e-5)


def test_the_same_number_of_threads_gives_the_same_result():
    found = []
    for _ in range(2):
        agent = make()
        with working_threads(3):
            for _ in range(3):
                agent.update()
            sample = agent.sample_trajectories(800)
        found.append((parameters(agent), sample.states))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])


def test_another_batch_in_between_takes_the_memory_of_a_rollout():
    """The hidden layers of the first rollout are gone then, and are computed again."""
    agent, other = make(), make()
    first = agent.sample_trajectories(40)
    replayed = other.engine.sample(60, np.random.default_rng(5))
    expected = other.engine.log_ratio(first)
    agent.engine.log_ratio(replayed)
    np.testing.assert_allclose(agent.engine.log_ratio(first), expected, atol=1e-5)
    agent.engine.step(first)
    other.engine.step(first)
    np.testing.assert_allclose(parameters(agent), parameters(other), atol=1e-6)


@pytest.mark.parametrize("settings", [{}, {"backward": "maxent"}])
@pytest.mark.parametrize("name", ["tb", "vargrad", "subtb", "fldb", "mdb"])
def test_only_sums_over_trajectories_are_divided(name, settings):
    """Centered losses are no sums, and rewards and P_B of the environment are not called by several threads."""
    dag = BayesNet(num_nodes=3) if name == "mdb" else HyperGrid(3, 8)
    agent = agents.make_agent(name, dag, engine="numba", hidden=(8,), batch_size=200, **settings)
    with working_threads(2):
        batch = agent.sample_trajectories(200)
        found = len(agent.engine.parts(batch))
    whole = bool(settings) or name in ("vargrad", "fldb")
    assert found == (1 if whole else 2)


def test_one_thread_evaluates_the_rewards_of_stopping():
    seen = set()

    class Watched(HyperGrid):
        def log_reward(self, states):
            seen.add(threading.get_ident())
            return super().log_reward(states)

    agent = agents.make_agent("mdb", Watched(3, 8), engine="numba", hidden=(8,), batch_size=200)
    with working_threads(2):
        agent.update()
        assert len(agent.engine.parts(agent.last_batch)) == 2
    assert seen == {threading.get_ident()}


def test_a_target_network_keeps_the_batch_whole():
    with working_threads(2):
        assert len(make("mdb", target_every=5).engine.bounds(300)) == 1


def test_subtb_with_weights_over_the_batch_is_not_divided():
    with working_threads(2):
        assert len(make("subtb", weighting="batch").engine.bounds(300)) == 1


def test_an_error_in_a_part_changes_nothing():
    agent = make()
    batch = agent.sample_trajectories(300)
    before = parameters(agent)
    batch.log_reward[-1] = np.nan  # In the second part.
    with working_threads(2), pytest.raises(FloatingPointError, match="the loss is nan"):
        agent.engine.step(batch)
    np.testing.assert_array_equal(parameters(agent), before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_has_threads_of_its_own():
    agent = make()
    with working_threads(2):
        agent.update()
        child = os.fork()
        if child == 0:
            agent.update()  # It would wait forever for the threads of its parent.
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_a_target_network_does_not_take_the_memory_of_the_gradient():
    """After a step the two networks differ, so hidden layers of the target would give another gradient."""
    dag, found = BayesNet(num_nodes=3), []
    for engine in ("numba", "torch"):
        agent = agents.make_agent(
            "mdb", dag, seed=0, engine=engine, hidden=(16, 8), batch_size=20, lr=0.05, target_every=1000
        )
        batch = agents.make_agent("mdb", dag, seed=1, engine="torch", hidden=(8,)).sample_trajectories(20)
        for _ in range(3):
            agent.engine.step(batch)
        assert agent.target is not None
        found.append(parameters(agent))
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)


def test_optimizers_work_on_one_thread(monkeypatch):
    """Their products are small: BLAS threads that come and go cost more than they gain."""
    seen = []
    monkeypatch.setattr(compiled, "step_group", lambda *_: seen.extend(lib.num_threads for lib in libraries(True)))
    with working_threads(2):
        make(optimizer="muon").update()
    assert seen
    assert set(seen) == {1}
