"""Processes that share batches, compared with one process; and one of them killed."""

import io
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import agents
from agents.distributed.engine import OwnNumbers, check
from agents.distributed.group import LostProcessError, join, leave
from agents.distributed.launch import LOST, cause
from agents.distributed.team import Team
from agents.errors import UnsupportedError
from agents.losses.balance import (
    COMPLETE,
    EDGES,
    EDGES_BEFORE_STOP,
    Balance,
    balance_loss,
    paths,
    share,
    sub_trajectories,
)
from tests.agents.small_agents import make

ITERATIONS = 6
#: One of each kind of normalizer: trajectories, edges that do not stop, weighted pairs over the batch; replay.
CASES = [
    ("tb", {"engine": "torch", "epsilon": 0.3, "max_grad_norm": 0.5, "track_log_z": False}),
    ("tb", {"engine": "numba", "epsilon": 0.3, "track_log_z": False}),
    ("mdb", {"engine": "numba"}),
    ("subtb", {"engine": "torch", "weighting": "batch", "lamda": 1.3}),
    ("db", {"engine": "torch", "replay": "uniform", "replay_mix": "joint", "replay_batch_size": 5}),
]


def results(agent, update, iterations=ITERATIONS):
    """Losses and learned numbers after some iterations, and the next random number."""
    losses = [update()["loss"] for _ in range(iterations)]
    learned = torch.cat([p.detach().reshape(-1) for p in agent.policy.parameters()]).numpy()
    return losses, learned, agent.rng.integers(1 << 30)


def shared(rank, size, folder, queue):
    os.environ.update(
        RANK=str(rank), WORLD_SIZE=str(size), GFN_PROCESS_STORE=f"{folder}/store", GLOO_SOCKET_IFNAME="lo"
    )
    join()
    found = []
    for name, settings in CASES:
        agent = make(name, **{"batch_size": 10} | settings)
        agent.rng = np.random.default_rng(1 + rank)  # Process 0 gives its state to the others.
        team = Team(agent, ITERATIONS)
        team.synchronize()
        found.append(results(agent, team.update))
    queue.put((rank, found))
    leave()


@pytest.mark.skipif(sys.platform != "linux", reason="forks, and names the loopback interface")
@pytest.mark.parametrize("size", [2, 4])
def test_the_result_is_that_of_one_process(size, tmp_path):
    fork = multiprocessing.get_context("fork")
    queue = fork.Queue()
    processes = [fork.Process(target=shared, args=(rank, size, tmp_path, queue)) for rank in range(size)]
    for process in processes:
        process.start()
    found = dict(queue.get(timeout=120) for _ in processes)
    for process in processes:
        process.join(timeout=60)
    for i, (name, settings) in enumerate(CASES):
        agent = make(name, **{"batch_size": 10} | settings)
        losses, learned, number = results(agent, agent.update)
        for rank in range(size):
            shared_losses, shared_learned, shared_number = found[rank][i]
            np.testing.assert_allclose(shared_losses, losses, rtol=1e-4, err_msg=name)
            # Adam divides by the size of a gradient, rounding included if that is nearly 0.
            np.testing.assert_allclose(shared_learned, learned, rtol=1e-3, atol=1e-4, err_msg=name)
            assert shared_number == number
            np.testing.assert_array_equal(shared_learned, found[0][i][1])


def lonely(rank, size, folder, queue):
    os.environ.update(
        RANK=str(rank), WORLD_SIZE=str(size), GFN_PROCESS_STORE=f"{folder}/store", GLOO_SOCKET_IFNAME="lo"
    )
    join()
    agent = make("tb", engine="torch")
    team = Team(agent, ITERATIONS)
    team.update()
    if rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        team.update()
    except LostProcessError as error:
        queue.put(str(error))


@pytest.mark.skipif(sys.platform != "linux", reason="forks, and names the loopback interface")
def test_a_lost_process_is_an_error_at_once(tmp_path):
    fork = multiprocessing.get_context("fork")
    queue = fork.Queue()
    processes = [fork.Process(target=lonely, args=(rank, 2, tmp_path, queue)) for rank in range(2)]
    for process in processes:
        process.start()
    assert "process 0 of 2 (counted from 0) has lost another one" in queue.get(timeout=60)
    for process in processes:
        process.join(timeout=60)


@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc")
def test_a_killed_process_leaves_a_checkpoint_to_resume_from(tmp_path):
    out = tmp_path / "run"
    flags = ["--env.ndim", "2", "--env.side", "4", "--agent.hidden", "12", "--agent.engine", "torch"]
    flags += ["--eval-every", "0", "--log-every", "10", "--checkpoint-every", "10", "--no-progress", "--no-figures"]
    line = [sys.executable, "-m", "agents", "train", "tb", "GFN/HyperGrid-v0", *flags, "--out", str(out)]
    line += ["--processes", "2", "--iterations", "1000000"]
    training = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    history = out / "metrics.jsonl"
    until = time.monotonic() + 120
    while not (history.exists() and history.read_text().count("\n") > 2):
        assert training.poll() is None, training.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.05)
    children = Path(f"/proc/{training.pid}/task/{training.pid}/children").read_text().split()
    os.kill(int(children[1]), signal.SIGKILL)
    _, errors = training.communicate(timeout=60)
    assert training.returncode == 1
    assert errors.splitlines() == [
        "error: process 1 of 2 (counted from 0) was killed (SIGKILL); "
        f"the last checkpoint in {out} is intact: continue with --resume"
    ]
    assert all(not Path(f"/proc/{child}").exists() for child in children)
    config = json.loads((out / "config.json").read_text())
    assert config["provenance"][0]["processes"] == 2
    # One process goes on with the run.
    agent = agents.make_agent("tb", make().dag, hidden=(12,), engine="torch", seed=0)
    state = torch.load(io.BytesIO((out / "checkpoint.pt").read_bytes()), weights_only=True)
    done = state["agent"]["iteration"]
    assert done >= 10
    agents.train(agent, done + 1, out, eval_every=0, progress=False, resume=True)
    assert agent.iteration == done + 1


def test_the_process_that_failed_first():
    assert cause([0, 0]) is None
    assert cause([LOST, -9]) == 1
    assert cause([-6, -9]) == 1  # The first has aborted because the second was killed.
    assert cause([LOST, 2, LOST]) == 1
    assert cause([2, 2]) == 0
    assert cause([LOST, None]) == 0


@pytest.mark.parametrize(
    "pairs",
    [
        COMPLETE,
        EDGES,
        EDGES_BEFORE_STOP,
        paths(2),
        sub_trajectories(0.7),
        sub_trajectories(1.4, "batch"),
    ],
)
def test_losses_of_parts_times_their_shares_add_up(pairs):
    rng = np.random.default_rng(0)
    offsets = np.array([0, 2, 7, 9, 15, 19])
    edges, states = offsets - np.arange(6), torch.from_numpy(rng.normal(size=19))
    log_pf, log_pb = torch.from_numpy(rng.normal(size=(2, 14)))
    balance = Balance(pairs, "network")

    def loss(first, last):
        edge, state = slice(edges[first], edges[last]), slice(offsets[first], offsets[last])
        part = offsets[first : last + 1] - offsets[first]
        return balance_loss(log_pf[edge], log_pb[edge], states[state], part, balance)[0].item()

    parts = [(0, 1), (1, 3), (3, 5)]
    assert sum(share(pairs, offsets, *part) for part in parts) == pytest.approx(1)
    assert sum(share(pairs, offsets, *part) * loss(*part) for part in parts) == pytest.approx(loss(0, 5))


def test_parts_of_random_numbers_are_those_of_the_batch():
    whole, rngs = np.random.default_rng(3), [np.random.default_rng(3) for _ in range(2)]
    parts = [OwnNumbers(rng, 5, *bounds) for rng, bounds in zip(rngs, [(0, 2), (2, 5)], strict=True)]
    sizes = [2, 3]
    for name, shape in (("standard_exponential", (4, 5, 3)), ("random", (4, 5))):
        drawn = [
            getattr(part, name)((shape[0], size, *shape[2:]), dtype=np.float32)
            for part, size in zip(parts, sizes, strict=True)
        ]
        np.testing.assert_array_equal(np.concatenate(drawn, axis=1), getattr(whole, name)(shape, dtype=np.float32))
    with pytest.raises(ValueError, match="too large to be shared"):
        parts[0].random((4, 3))


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("ppo", {}, ["balance objective", "ppo"]),
        ("fm", {}, ["balance objective", "fm"]),
        ("vargrad", {}, ["mean of the whole batch", "vargrad"]),
        ("tb", {"backward": "tlm"}, ["separate loss", "tlm"]),
        ("tb", {"local_search": 2}, ["local search", "local_search=2"]),
        ("tb", {"batch_size": 1}, ["batch_size of at least 2", "got 1"]),
    ],
)
def test_what_processes_cannot_share_is_named(name, settings, words):
    with pytest.raises(UnsupportedError) as caught:
        check(make(name, **settings), 2)
    assert all(word in str(caught.value) for word in [*words, "use one process"])


def test_processes_need_a_group():
    with pytest.raises(RuntimeError, match="init_process_group"):
        agents.train(make(), 1, progress=False, distributed=True)
