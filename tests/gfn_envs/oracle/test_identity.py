"""Names of functions in a log of calls."""

import functools
import subprocess
import sys
import threading

import numpy as np
import pytest

from gfn_envs.oracle import Oracle
from gfn_envs.oracle.identity import function_version


def with_default(weight):
    def reward(text, weight=weight):
        return float(weight)

    return reward


def with_keyword(weight):
    def reward(text, *, weight=weight):
        return float(weight)

    return reward


def enclosed(weight):
    def reward(text):
        return float(weight)

    return reward


class Holder:
    """A callable object with cyclic state."""

    def __init__(self, weight):
        self.weight, self.me = weight, self

    def __call__(self, text):
        return float(np.sum(self.weight))

    def method(self, text):
        return float(np.sum(self.weight))


def bound(weight):
    return Holder(weight).method


def partial(weight):
    return functools.partial(lambda text, weight: float(weight), weight=weight)


HOLDERS = [with_default, with_keyword, enclosed, Holder, bound, partial]


@pytest.mark.parametrize("make", HOLDERS)
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1.0, 5.0),
        (True, 1),
        ("a", "b"),
        ([1, [2]], [1, [3]]),
        ({1, 2}, {1, 3}),
        ({"a": 1}, {"a": 2}),
        (np.arange(3), np.ones(3)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_versions_differ_with_the_values_that_a_function_holds(make, one, other):
    assert function_version(make(one)) == function_version(make(one)) != function_version(make(other))


def test_lambdas_on_one_line_differ():
    functions = [lambda text: 1.0, lambda text: 2.0, lambda text: {"a", "b"}]
    assert len(set(map(function_version, functions))) == 3


def test_functions_without_values_are_known_by_their_source():
    def one(text):
        return 1.0

    first = one

    def one(text):
        return 2.0

    assert function_version(first) != function_version(one)


def test_a_value_that_cannot_be_kept_is_named():
    with pytest.raises(ValueError, match=r"cannot tell .*enclosed.* from other versions"):
        function_version(enclosed(threading.Lock()))


def test_a_log_never_answers_for_another_default(tmp_path):
    log = tmp_path / "calls.sqlite"
    assert Oracle(with_default(1.0), log=log)(["a"]).tolist() == [1.0]
    assert Oracle(with_default(5.0), log=log)(["a"]).tolist() == [5.0]
    assert Oracle(with_default(1.0), log=log)(["a"]).tolist() == [1.0]


PROGRAM = """
from gfn_envs.oracle.identity import function_version
words = {"CC", "CO", "CN", "CCC"}
def make():
    def reward(text):
        return float(text in words or text in {"a", "b", "c"})
    words = frozenset({"CC", "CO", "CN", "CCC"})
    return reward
print(function_version(make()), function_version(lambda text: text in {"x", "y", "z"}))
"""


def test_every_process_finds_the_same_version(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    found = {
        subprocess.run(
            [sys.executable, path], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1
