"""Runs with an oracle: the budget, a process that is killed, reopening, and sampling without rewards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agents
from gfn_envs import Oracle, make_dag
from gfn_envs.reward_errors import OracleError
from tests import forks
from tests.helpers import GRID

pytestmark = pytest.mark.filterwarnings("ignore:.*cannot be imported")
ROOT = Path(__file__).resolve().parents[3]


class Calls:
    """A reward of cells that counts the cells it is called with."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, cells: np.ndarray) -> np.ndarray:
        self.number += len(cells)
        return 1.0 + cells.sum(1)


def agent_with(calls: Calls, agent: str = "tb", **settings: Any) -> Any:
    dag = make_dag(GRID, ndim=2, side=16, reward=calls)
    Oracle.of(dag, **settings)
    return agents.make_agent(agent, dag, seed=0, **({} if agent == "mcmc" else {"hidden": (8,)}))


@pytest.mark.parametrize("name", ["tb", "mcmc", "soft-dqn"])
def test_the_budget_ends_training_cleanly(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    calls = Calls()
    agent = agent_with(calls, name, budget=60, log=tmp_path / "calls.sqlite")
    history = agents.train(agent, 1000, tmp_path / "run", eval_every=100, progress=False)
    assert calls.number == agent.dag.oracle.used == 60
    assert 0 < agent.iteration < 1000
    row = history[-1]
    assert (row["iteration"], row["oracle_calls"]) == (agent.iteration, 60)
    assert row["oracle_saved"] > 0
    final = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert "the budget of 60 calls" in final["stopped"]
    assert f"training ended at iteration {agent.iteration}: the budget of 60 calls" in capfd.readouterr().err
    assert calls.number == 60


def test_a_larger_budget_continues_as_if_it_had_been_the_first(tmp_path: Path) -> None:
    calls = Calls()
    for budget in (40, 100):
        agent = agent_with(calls, budget=budget, log=tmp_path / "run" / "calls.sqlite", name="calls")
        agents.train(agent, 1000, tmp_path / "run", eval_every=0, progress=False, resume=True)
    assert calls.number == 100
    whole = agent_with(Calls(), budget=100)
    history = agents.train(whole, 1000, eval_every=0, progress=False)
    assert whole.iteration == agent.iteration
    assert history[-1]["loss"] == json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])["loss"]
    for a, b in zip(whole.policy.parameters(), agent.policy.parameters(), strict=True):
        assert (a == b).all()


def test_a_budget_smaller_than_a_batch(tmp_path: Path) -> None:
    calls = Calls()
    agent = agent_with(calls, budget=3)
    agents.train(agent, 100, tmp_path / "run", progress=False)
    assert calls.number == 3
    assert agent.iteration == 0
    assert "stopped" in json.loads((tmp_path / "run" / "metrics.json").read_text())


def test_a_reopened_run_takes_rewards_from_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its environment is made again, with the oracle."""
    monkeypatch.chdir(tmp_path)
    dag = make_dag("GFN/Bag-v0")
    Oracle.of(dag, budget=30, log="run/calls.sqlite", retries=2)
    agent = agents.make_agent("tb", dag, seed=0, hidden=(8,))
    agents.train(agent, 100, "run", eval_every=0, progress=False)
    Path("run").rename("moved")
    opened = agents.load_agent("moved")
    oracle = opened.dag.oracle
    assert (oracle.used, oracle.budget, oracle.retries) == (30, 30, 2)
    assert opened.dag.expensive_reward
    known = [call.value for call in oracle.log]
    rows = np.array([json.loads(call.object) for call in oracle.log], dtype=dag.state_dtype)
    np.testing.assert_array_equal(opened.dag.log_reward(rows), known)


def fate(string: str) -> str:
    """The outcome of the call of a string: of 100, 5 raise, 5 give NaN and 2 hang."""
    kind = zlib.crc32(string.encode()) % 100
    return "error" if kind < 5 else "nan" if kind < 10 else "timeout" if kind < 12 else "ok"


def unreliable(string: str) -> float:
    if (kind := fate(string)) == "error":
        raise RuntimeError(f"no licence for {string}")
    if kind == "timeout":
        time.sleep(600)
    return float("nan") if kind == "nan" else 1.0 + string.count("A")


def test_a_thousand_unreliable_calls_are_accounted_for(tmp_path: Path) -> None:
    dag = make_dag("GFN/Sequence-v0", length=8, reward=unreliable, reward_of="string", on_error=0.1)
    oracle = Oracle.of(dag, workers=4, timeout=0.4, budget=1000, log=tmp_path / "calls.sqlite")
    agent = agents.make_agent("tb", dag, seed=0, hidden=(16,), batch_size=64, engine="torch")
    history = agents.train(agent, 10**6, eval_every=0, progress=False)
    oracle.close()
    calls = list(oracle.log)
    assert len(calls) == oracle.used == len({call.name for call in calls}) == 1000
    assert [call.status for call in calls] == [fate(call.name) for call in calls]
    assert 5 <= sum(call.status == "timeout" for call in calls) <= 40
    assert [call.value for call in calls if call.status == "ok"] == [
        1.0 + call.name.count("A") for call in calls if call.status == "ok"
    ]
    assert all(np.isfinite(row["loss"]) and np.isfinite(row["log_z"]) for row in history)
    assert all(parameter.isfinite().all() for parameter in agent.policy.parameters())
    assert history[-1]["failed_rewards"] > 0


SCRIPT = """
import time
import numpy as np
from gfn_envs import make_dag, Oracle
from gfn_envs.border import log_rewards
from gfn_envs.reward_errors import BudgetSpent

def reward(cells):
    with open("calls.txt", "a") as file:
        file.writelines(f"{cell}\\n" for cell in cells.tolist())
    time.sleep(0.002)
    return 1.0 + cells.sum(1)

dag = make_dag("GFN/HyperGrid-v0", ndim=2, side=32, reward=reward)
oracle, rng = Oracle.of(dag, budget=300, log="run/oracle.sqlite"), np.random.default_rng(0)
try:
    while True:
        log_rewards(dag, np.column_stack([rng.integers(32, size=(16, 2)), np.ones(16)]).astype(dag.state_dtype))
except BudgetSpent as spent:
    print(spent)
"""


def test_killed_and_begun_again_it_makes_no_more_calls_than_its_budget(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    start: dict[str, Any] = {"cwd": tmp_path, "env": environment, "stdout": subprocess.PIPE, "text": True}
    calls = tmp_path / "calls.txt"
    for seen in (100, 200):
        process = subprocess.Popen([forks.python(), "mine.py"], **start)
        while process.poll() is None and (not calls.exists() or len(calls.read_text().splitlines()) < seen):
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    done = subprocess.run([forks.python(), "mine.py"], **start, check=True)
    assert "the budget of 300 calls" in done.stdout
    made = calls.read_text().splitlines()
    assert 298 <= len(made) <= 300  # A call that a kill interrupts before its first line is paid, too.
    assert len(made) - len(set(made)) <= 2  # Only calls that a kill interrupted are made again.


@pytest.mark.parametrize("engine", ["torch", "numba"])
def test_sampling_calls_no_reward(engine: str) -> None:
    calls = Calls()
    dag = make_dag(GRID, ndim=2, side=8, reward=calls)
    agent = agents.make_agent("tb", dag, seed=0, hidden=(8,), engine=engine)
    objects = agent.sample(50, rng=np.random.default_rng(1))
    assert dag.is_terminal(objects).all()
    assert calls.number == 0
    assert np.isnan(agent.sample_trajectories(5, rewards=False).log_reward).all()
    np.testing.assert_array_equal(agent.sample_trajectories(50, rng=np.random.default_rng(1)).terminal_states, objects)
    assert calls.number > 0


@pytest.mark.parametrize("name", ["mcmc", "random", "sac", "rl-t", "ppo", "sb3-ppo"])
def test_sampling_calls_no_reward_whatever_the_agent(name: str) -> None:
    if name.startswith("sb3"):
        pytest.importorskip("sb3_contrib")
    calls = Calls()
    dag = make_dag(GRID, ndim=2, side=8, reward=calls)
    agent = agents.make_agent(name, dag, seed=0)
    before = calls.number
    assert len(agent.sample(20)) == 20
    assert calls.number == before


def test_a_log_that_cannot_be_written_ends_the_run_with_one_line(tmp_path: Path) -> None:
    agent = agent_with(Calls(), log=tmp_path / "calls.sqlite")
    agents.train(agent, 3, tmp_path / "run", eval_every=0, progress=False)
    connection = agent.dag.oracle.log.connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(
        OracleError, match=r"calls.sqlite: the log of calls cannot be written: database or disk is full"
    ):
        agents.train(agent, 10**6, tmp_path / "run", eval_every=0, progress=False, resume=True)
    opened = agents.load_agent(tmp_path / "run", dag=agent.dag)  # The last checkpoint stays.
    assert opened.iteration >= 3
