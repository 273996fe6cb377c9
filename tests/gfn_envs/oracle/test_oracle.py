"""An oracle calls each object once, retries, stays within its budget, and forgets nothing that was paid for."""

from __future__ import annotations

import copy
import pickle
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gfn_envs.oracle import Oracle
from gfn_envs.oracle.store import CallLog
from gfn_envs.reward_errors import BudgetSpent, OracleError, RewardError
from tests.gfn_envs.oracle import rewards


def names(n: int, first: int = 0) -> list[str]:
    return [f"object {i}" for i in range(first, first + n)]


class Counting:
    """Counts its calls. Fails for objects as often as ``fails`` says."""

    def __init__(self, fails: dict[int, int] | None = None):
        self.seen: list[Any] = []
        self.fails = dict(fails or {})

    def __call__(self, given: Any) -> Any:
        self.seen.append(given)
        for name in [given] if isinstance(given, str) else given:
            if self.fails.get(k := rewards.number(name), 0):
                self.fails[k] -= 1
                raise TimeoutError("busy")
        return rewards.square(given) if isinstance(given, str) else rewards.squares(given)


def statuses(oracle: Oracle) -> list[tuple[str, int, str]]:
    return [(call.name, call.attempt, call.status) for call in oracle.log]


def test_an_object_is_called_once() -> None:
    function = Counting()
    oracle = Oracle(function)
    np.testing.assert_array_equal(oracle(names(3) + names(3)), [0, 1, 4, 0, 1, 4])
    np.testing.assert_array_equal(oracle(names(4)), [0, 1, 4, 9])
    assert function.seen == names(4)
    assert (oracle.used, oracle.saved) == (4, 6)
    assert oracle([]).shape == (0,)


def test_batches() -> None:
    function = Counting()
    oracle = Oracle(function, batch_size=3)
    np.testing.assert_array_equal(oracle(names(8)), np.arange(8) ** 2)
    assert function.seen == [names(3), names(3, 3), names(2, 6)]
    assert oracle.used == 8


def test_rows_of_arrays_are_objects() -> None:
    rows = np.array([[1, 2], [3, 4], [1, 2]])
    single, batched = Oracle(lambda row: row.sum()), Oracle(lambda rows: rows.sum(1), batch_size=2)
    for oracle in (single, batched):
        np.testing.assert_array_equal(oracle(rows), [3, 7, 3])
        assert [(call.object, call.name) for call in oracle.log] == [("[1,2]", "[1, 2]"), ("[3,4]", "[3, 4]")]
    np.testing.assert_array_equal(single(rows.astype(float) + 0.5), [4, 8, 4])


def test_a_later_process_reuses_the_log(tmp_path: Path) -> None:
    log = tmp_path / "calls.sqlite"
    first = Oracle(rewards.with_parts, log=log)
    first(names(3))
    again = Oracle(rewards.with_parts, log=log)
    np.testing.assert_array_equal(again(names(5)), np.arange(5) ** 2)
    assert (again.used, again.saved) == (5, 3)
    assert again.log.of("object 4")[0].components == {"twice": 8.0}
    assert again.log.of("object 4")[0].seconds >= 0
    # Values are the same to the bit.
    value = Oracle(lambda name: 0.1 + 0.2, log=log, name="sum")(["x"])
    assert Oracle(lambda name: 0.0, log=log, name="sum")(["x"])[0] == value[0] == 0.1 + 0.2


def test_rewards_and_runs_stay_apart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = tmp_path / "calls.sqlite"
    Oracle(rewards.square, log=log, run="a")(names(3))
    other = Oracle(rewards.counted, log=log)
    assert not list(other.log)
    mine = Oracle(rewards.square, log=log, run="b", budget=2)
    mine(names(5))
    assert mine.used == 2
    assert not caplog.records
    scale = 2.0
    assert Oracle(lambda name: scale * rewards.square(name), log=log)(["object 3"])[0] == 18
    scale = 3.0
    assert Oracle(lambda name: scale * rewards.square(name), log=log)(["object 3"])[0] == 27
    assert "1 calls of another version" in caplog.text


def test_retries() -> None:
    function = Counting({1: 2, 2: 3})
    oracle = Oracle(function, retries=2)
    with pytest.raises(RewardError, match="object 2: the reward raised TimeoutError: busy"):
        oracle(names(4))
    assert statuses(oracle) == [
        ("object 0", 1, "ok"),
        ("object 1", 1, "error"),
        ("object 2", 1, "error"),
        ("object 3", 1, "ok"),
        ("object 1", 2, "error"),
        ("object 2", 2, "error"),
        ("object 1", 3, "ok"),
        ("object 2", 3, "error"),
    ]
    # A failure is final. It costs no further call, and the others are known.
    with pytest.raises(RewardError, match="object 2"):
        oracle(names(4))
    np.testing.assert_array_equal(oracle(names(2)), [0, 1])
    assert oracle.used == 8


def test_the_objects_of_a_batch_that_fails_are_called_one_by_one() -> None:
    function = Counting({1: 2})
    oracle = Oracle(function, batch_size=3)
    with pytest.raises(RewardError, match="object 1"):
        oracle(names(3))
    assert function.seen == [names(3), ["object 0"], ["object 1"], ["object 2"]]
    assert [attempt for _, attempt, _ in statuses(oracle)] == [0, 0, 0, 1, 1, 1]
    np.testing.assert_array_equal(oracle(["object 0", "object 2"]), [0, 4])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "the reward is nan"),
        ("3", "the reward is text, not a number: '3'"),
        (None, "the reward is missing"),
        (True, "a boolean"),
        ({"score": 1.0}, "a mapping with a number as 'value'"),
        ({"value": 1.0, "energy": "low"}, "component 'energy' is text"),
    ],
)
def test_values_that_are_no_numbers_fail(value: Any, message: str) -> None:
    with pytest.raises(RewardError, match=message):
        Oracle(lambda name: value)(["x"])


@pytest.mark.parametrize("values", [np.zeros(3), np.zeros((2, 1)), [1.0], "ab", 1.0])
def test_batches_of_another_size_fail(values: Any) -> None:
    with pytest.raises(RewardError, match="allowed: "):
        Oracle(lambda batch: values if len(batch) == 2 else "none", batch_size=2)(names(2))


def test_the_budget() -> None:
    function = Counting({0: 1})
    oracle = Oracle(function, budget=5, retries=1, batch_size=2)
    with pytest.raises(BudgetSpent, match=r"the budget of 5 calls of tests\S+test_oracle:Counting is spent"):
        oracle(names(9))
    assert oracle.used == sum(len(batch) for batch in function.seen) == 5
    np.testing.assert_array_equal(oracle(names(3, 2)), [4, 9, 16])  # what was paid is known
    with pytest.raises(BudgetSpent):
        oracle(names(1, 50))
    assert oracle.used == 5
    assert oracle.text == "5/5 calls, 3 saved"


def test_a_process_that_was_killed_has_spent_its_calls(tmp_path: Path) -> None:
    log = tmp_path / "calls.sqlite"
    oracle = Oracle(rewards.square, log=log, budget=3)
    oracle.log.begin([("object 0", "object 0", 1)])  # ... and the process is killed.
    again = Oracle(rewards.square, log=log, budget=3)
    np.testing.assert_array_equal(again(names(2)), [0, 1])
    assert [(name, status) for name, _, status in statuses(again)] == [
        ("object 0", "started"),
        ("object 0", "ok"),
        ("object 1", "ok"),
    ]
    with pytest.raises(BudgetSpent):
        again(names(3))


def test_every_call_is_written_before_the_next(tmp_path: Path) -> None:
    """Another connection reads, in the middle of a batch, what a crash would leave."""
    log, seen = tmp_path / "calls.sqlite", []

    def reward(name: str) -> float:
        with sqlite3.connect(log) as other:
            seen.append(other.execute("SELECT name, status, value FROM calls ORDER BY id").fetchall())
        return rewards.square(name)

    Oracle(reward, log=log, name="reward")(names(2))
    assert seen[1] == [("object 0", "ok", 0.0), ("object 1", "started", None)]


def test_errors_that_concern_no_object() -> None:
    oracle = Oracle(rewards.needs_a_library)
    with pytest.raises(ImportError, match="no_such_library"):
        oracle(names(3))
    assert oracle.used == 1
    with pytest.raises(RewardError, match="object 0: the reward raised SystemExit: out of tokens"):
        Oracle(rewards.leaves)(names(1))


def test_copies_and_pickles(tmp_path: Path) -> None:
    oracle = Oracle(rewards.square, log=tmp_path / "calls.sqlite")
    oracle(names(2))
    for other in (copy.deepcopy(oracle), pickle.loads(pickle.dumps(oracle))):
        np.testing.assert_array_equal(other(names(2)), [0, 1])
        assert other.used == 2


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"function": rewards.two}, TypeError, r"must take one argument, an object, but two\(name.*missing a required"),
        ({"function": 3}, TypeError, "the reward must be a function, got 3"),
        ({"workers": -1}, ValueError, "workers must be an integer >= 0"),
        ({"timeout": 0, "workers": 1}, ValueError, "timeout must be finite and > 0"),
        ({"timeout": 3}, ValueError, "timeout needs workers >= 1"),
        ({"address": "auto"}, ValueError, "address needs workers >= 1"),
        ({"retries": 1.5}, ValueError, "retries must be an integer"),
        ({"budget": "many"}, ValueError, "budget must be an integer"),
        ({"batch_size": 0}, ValueError, "batch_size must be an integer >= 1"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Oracle(**{"function": rewards.square, **arguments})


# ---------------------------------------------------------------------- the file


def test_files_that_are_no_logs(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("CCO,1.0\n" * 1000)
    with pytest.raises(ValueError, match=r"notes.txt is not a log of calls: file is not a database"):
        CallLog(text, "reward")
    assert text.read_text().startswith("CCO")
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE mine(x)")
    with pytest.raises(ValueError, match="another SQLite file"):
        CallLog(other, "reward")
    with pytest.raises(OracleError, match="is a directory"):
        CallLog(tmp_path, "reward")


def test_a_full_disk_loses_no_value(tmp_path: Path) -> None:
    """The size of the file is limited, as by a full disk."""
    log = tmp_path / "calls.sqlite"
    oracle = Oracle(Counting(), log=log, name="reward", batch_size=50)
    oracle(names(3))
    pages = oracle.log.connection.execute("PRAGMA page_count").fetchone()[0]
    oracle.log.connection.execute(f"PRAGMA max_page_count = {pages}")
    message = r"calls.sqlite: the log of calls cannot be written: database or disk is full"
    with pytest.raises(OracleError, match=message) as raised:
        oracle(names(150))
    seen = [name for batch in oracle.function.seen for name in batch]
    assert len(seen) == oracle.used < 150  # No call was made that the log does not have ...
    for name in seen:  # ... and no value was lost.
        known = any(call.status == "ok" for call in oracle.log.of(name))
        assert known or f"{name} = {rewards.square(name)}" in str(raised.value)
    oracle.log.connection.execute("PRAGMA max_page_count = 1000000")
    np.testing.assert_array_equal(oracle(names(150)), np.arange(150) ** 2)


def test_a_value_that_cannot_be_written_is_in_the_message(tmp_path: Path) -> None:
    log = tmp_path / "calls.sqlite"

    def fills_the_disk(name: str) -> dict[str, float]:
        pages = oracle.log.connection.execute("PRAGMA page_count").fetchone()[0]
        oracle.log.connection.execute(f"PRAGMA max_page_count = {pages}")
        return {"value": 0.125, **{f"component {i}": 1.0 for i in range(1000)}}

    oracle = Oracle(fills_the_disk, log=log, name="reward")
    with pytest.raises(OracleError, match=r"disk is full; not in the log: object 0 = 0.125"):
        oracle(names(2))
    assert oracle.used == 1


# ---------------------------------------------------------------------- workers


@pytest.fixture(scope="module")
def four() -> Iterator[Oracle]:
    """Four workers, which take a while to start."""
    oracle = Oracle(rewards.by_name, workers=4, timeout=1.0)
    oracle([f"square {i}" for i in range(4)])
    yield oracle
    oracle.close()


def test_four_workers_make_the_calls_of_four(four: Oracle) -> None:
    """Calls of 0.2 s, one after the other, and at the same time; the best of three tries, as other work takes time."""
    gains = []
    for first in (0, 50, 100):
        start = time.perf_counter()
        for i in range(first, first + 6):
            four([f"waits {i}"])
        one = 6 / (time.perf_counter() - start)
        start = time.perf_counter()
        numbers = np.arange(first + 6, first + 46)
        np.testing.assert_array_equal(four([f"waits {i}" for i in numbers]), numbers**2)
        gains.append(40 / (time.perf_counter() - start) / one)
        if gains[-1] >= 3.5:
            return
    raise AssertionError(f"four workers make {gains} times as many calls as one")


def test_every_call_is_accounted_for(four: Oracle) -> None:
    asked = [f"unreliable {i}" for i in range(100)]
    with pytest.raises(RewardError):
        four(asked)
    found = Counter(call.status for call in four.log if call.name in asked)
    assert found == {"ok": 88, "error": 5, "nan": 5, "timeout": 2}
    assert all(call.seconds >= 1 for call in four.log if call.status == "timeout")


def test_calls_that_hang_or_die_fail_alone(four: Oracle) -> None:
    """Object 1 hears no alarm, so that its process must be killed; object 2 ends its process."""
    asked = [f"deaf {i}" for i in range(6)]
    with pytest.raises(RewardError, match="deaf 1: the reward gave no answer within 1 s"):
        four(asked)
    found = {call.name: call.status for call in four.log if call.name in asked}
    assert found == dict.fromkeys(asked, "ok") | {"deaf 1": "timeout", "deaf 2": "died"}
    with pytest.raises(RewardError, match=r"deaf 2: the reward failed: its process died \(EXIT\(3\)\)"):
        four(["deaf 2"])
    np.testing.assert_array_equal(four(["deaf 5", "square 9"]), [25, 81])


def test_functions_that_cannot_be_sent() -> None:
    lock = threading.Lock()
    with pytest.raises(OracleError, match="the reward cannot be sent to worker processes: TypeError: cannot pickle"):
        Oracle(lambda name: lock and 1.0, workers=1)(["x"])
