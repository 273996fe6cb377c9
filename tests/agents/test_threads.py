"""One rule for threads: one, unless asked for more; what the process had is restored."""

import threading

import pytest
import torch

import agents
from agents import threads
from agents.threads import working_threads
from tests.agents.small_agents import make


def blas_threads():
    return [library.num_threads for library in threads.libraries(threads._scipy_is_loaded())]


@pytest.fixture(autouse=True)
def two_threads():
    """A process that has two threads."""
    before = torch.get_num_threads()
    libraries = threads.libraries(threads._scipy_is_loaded())
    pools = [library.num_threads for library in libraries]
    torch.set_num_threads(2)
    for library in libraries:
        threads.resize(library, 2)
    yield
    torch.set_num_threads(before)
    for library, number in zip(libraries, pools, strict=True):
        threads.resize(library, number)


def assert_as_before():
    assert torch.get_num_threads() == 2
    assert set(blas_threads()) == {2}


def test_contexts_nest_and_restore():
    with working_threads():
        assert (torch.get_num_threads(), set(blas_threads())) == (1, {1})
        with working_threads(2):
            assert (torch.get_num_threads(), set(blas_threads())) == (2, {2})
            with working_threads():
                assert torch.get_num_threads() == 2
        assert (torch.get_num_threads(), set(blas_threads())) == (1, {1})
    assert_as_before()
    with pytest.raises(ValueError, match="threads must be at least 1, got 0"), working_threads(0):
        pass
    with pytest.raises(ZeroDivisionError), working_threads():
        raise ZeroDivisionError
    assert_as_before()


def test_the_last_context_of_several_python_threads_restores():
    inside, leave = threading.Event(), threading.Event()

    def other():
        with working_threads():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with working_threads():
        thread.start()
        assert inside.wait(10)
    assert set(blas_threads()) == {1}
    leave.set()
    thread.join()
    assert_as_before()


@pytest.mark.parametrize("engine", ["torch", "numba"])
def test_engines_and_evaluations_work_on_one_thread(engine, monkeypatch):
    agent = make("tb", engine=engine)
    agent.update()
    seen = []
    rewards = agent.dag.log_reward
    monkeypatch.setattr(
        agent.dag, "log_reward", lambda s: seen.append((torch.get_num_threads(), *blas_threads())) or rewards(s)
    )
    agent.update()
    agent.sample_trajectories(3)
    agents.evaluate(agent, 4)
    assert len(seen) >= 3
    assert {number for row in seen for number in row} == {1}
    assert_as_before()
