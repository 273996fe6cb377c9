"""Calls on a Ray cluster, a real one."""

from __future__ import annotations

import builtins
import socket
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from gfn_envs.oracle import Oracle
from gfn_envs.reward_errors import OracleError, RewardError
from tests.gfn_envs.oracle import rewards


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    module = pytest.importorskip("ray")
    module.init(num_cpus=4, include_dashboard=False, log_to_driver=False, configure_logging=False)
    yield module
    module.shutdown()


def test_actors_run_calls_and_die_alone(ray: Any) -> None:
    oracle = Oracle(rewards.by_name, workers=4, address="auto", timeout=1.0)
    np.testing.assert_array_equal(oracle([f"clocked {i}" for i in range(20)]), np.arange(20) ** 2)
    spans = [(call.components["begin"], call.components["end"]) for call in oracle.log]
    at_once = [sum(begin <= moment < end for begin, end in spans) for moment, _ in spans]
    assert max(at_once) == 4
    asked = [f"deaf {i}" for i in range(4)] + [f"unreliable {i}" for i in range(4, 12, 3)]
    with pytest.raises(RewardError, match="deaf 1: the reward gave no answer within 1 s"):
        oracle(asked)
    found = Counter(call.status for call in oracle.log if call.name in asked)
    assert found == {"ok": 2, "timeout": 2, "died": 1, "error": 1, "nan": 1}
    oracle.close()


def test_an_address_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *arguments: Any) -> Any:
        if name == "ray":
            raise ImportError("No module named 'ray'")
        return original(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"the address 'auto' of an oracle needs Ray: pip install 'gfn-envs\[ray\]'"):
        Oracle(rewards.square, workers=1, address="auto")(["object 1"])


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}"])
def test_an_address_where_nothing_answers(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pytest.importorskip("ray"), "is_initialized", lambda: False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = form.format(free.getsockname()[1])
    start = time.perf_counter()
    oracle = Oracle(rewards.square, workers=1, address=address)
    with pytest.raises(OracleError, match=f"no Ray cluster answers at '{address}'"):
        oracle(["object 1"])
    assert time.perf_counter() - start < 10
    assert oracle.used == 0
