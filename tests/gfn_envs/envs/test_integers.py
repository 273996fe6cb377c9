"""Integers in the arguments of every environment: one rule for all, and huge values raise immediately."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import gfn_envs
from gfn_envs.registration import environment_parameters
from gfn_envs.validation import check_size, checked_seed, positive_int, real
from tests.helpers import TINY_ARGUMENTS

#: (environment, argument) of every argument that must be an integer.
INTEGERS = [
    (env_id, name)
    for env_id in gfn_envs.ENVIRONMENTS
    for name, parameter in environment_parameters(env_id).items()
    if parameter.annotation in (int, int | None) and name != "model"  # "model" is an argument of PDB files only
]
#: Arguments that others need.
NEEDED = {("GFN/InverseFolding-v0", "steps"): {"construction": "substitute", "start": "CKL"}}


def tiny_arguments(env_id: str, name: str) -> dict[str, Any]:
    return TINY_ARGUMENTS[env_id][0] | NEEDED.get((env_id, name), {})


def test_the_list_is_complete() -> None:
    names = {name for _, name in INTEGERS}
    assert {
        "ndim",
        "side",
        "n",
        "word_size",
        "num_modes",
        "capacity",
        "repeats",
        "length",
        "min_length",
        "seed",
    } <= names
    assert {"max_mutations", "min_separation", "max_blocks", "num_variables", "num_values", "num_taxa"} <= names
    assert len(INTEGERS) > 30


@pytest.mark.parametrize("value", ["2", "two", 2.5, True, np.True_, math.nan, math.inf, 2j, [2], np.array([2]), -3])
@pytest.mark.parametrize(("env_id", "name"), INTEGERS)
def test_what_is_no_integer_raises(env_id: str, name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"{name} must be an integer (>=|from) "):
        gfn_envs.make_dag(env_id, **{**tiny_arguments(env_id, name), name: value})


@pytest.mark.parametrize(("env_id", "name"), INTEGERS)
def test_integers_of_numpy_and_whole_floats_are_integers(env_id: str, name: str) -> None:
    """The environment is the same, and its arguments can be written as JSON."""
    arguments = tiny_arguments(env_id, name)
    default = environment_parameters(env_id)[name].default
    value = arguments.get(name, default)
    if value is None or (name in ("length", "max_mutations") and name not in arguments):
        value = 2
    if (env_id, name) == ("GFN/BayesNet-v0", "num_nodes"):
        value = 3
    expected = gfn_envs.make_dag(env_id, **{**arguments, name: value})
    for same in (np.int64(value), np.int8(value), float(value), np.float32(value)):
        dag = gfn_envs.make_dag(env_id, **{**arguments, name: same})
        assert repr(dag) == repr(expected)
        assert type(dag.arguments[name]) is int
        assert json.dumps(dag.arguments[name]) == str(value)


#: Values that would exhaust memory or time if they were used.
HUGE = [10**4 + 1, 10**9, 2**63, 10**400]

CODE = """
import json, resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, (6_000_000_000, 6_000_000_000))
import gfn_envs
cases = json.loads(sys.stdin.read())
for env_id, arguments in cases:
    start = time.monotonic()
    try:
        gfn_envs.make_dag(env_id, **arguments)
        result = "made"
    except (ValueError, TypeError) as error:
        result = f"{type(error).__name__}: {str(error)[:300]}"
    print(json.dumps([env_id, list(arguments)[-1], str(result), round(time.monotonic() - start, 2)]), flush=True)
"""


@pytest.mark.parametrize("defaults", ["tiny", "registered"])
def test_huge_integers_raise_at_once(defaults: str) -> None:
    """No huge value hangs, exhausts memory or ends in an error of Python or NumPy."""
    cases: list[Any] = []
    for env_id, name in INTEGERS:
        arguments = tiny_arguments(env_id, name) if defaults == "tiny" else {}
        if defaults == "tiny" or env_id not in (
            "GFN/PHO4-v0",
            "GFN/QM9Str-v0",
            "GFN/SEHStr-v0",
            "GFN/InverseFolding-v0",
        ):
            cases += [(env_id, {**arguments, name: value}) for value in HUGE]
    code = f"import sys; sys.set_int_max_str_digits(0)\n{CODE}"
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(cases), capture_output=True, text=True, timeout=300, check=False
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"{cases[len(found)]}\n{done.stderr[-2000:]}"
    slow = [case for case in found if case[3] > 10]
    assert not slow
    for env_id, name, result, _ in found:
        clear = result == "made" or result.split(": ")[1].startswith(env_id[4:-3])
        assert clear, (env_id, name, result)


def test_one_rule() -> None:
    assert [positive_int("n", value, "E") for value in (4, 4.0, np.int8(4), np.float32(4), np.uint64(4))] == [4] * 5
    assert type(positive_int("n", np.int64(4), "E")) is int
    for value in (0, 4.5, True, "4", None, math.nan, math.inf, -(10**400), np.array(4)):
        with pytest.raises(ValueError, match=r"^E: n must be an integer >= 1, got .{1,40}$"):
            positive_int("n", value, "E")
    with pytest.raises(ValueError, match=r"^E: n must be an integer from 1 to 9, got about 2\*\*1328$"):
        positive_int("n", 10**400, "E", at_most=9)
    assert checked_seed(0, "E") == 0
    for seed in (None, -1, 0.5, "0"):
        with pytest.raises(ValueError, match=r"^E: seed must be an integer >= 0, got"):
            checked_seed(seed, "E")
    assert real("x", np.float32(0.5), "E", at_least=0) == 0.5
    for bad in (True, "1", None, math.nan, 1j, 10**400, -1.0):
        with pytest.raises(ValueError, match=r"^E: x must be finite and >= 0, got"):
            real("x", bad, "E", at_least=0)
    with pytest.raises(ValueError, match=r"^E: n = 9 is too large: it needs arrays of 1000000000 entries"):
        check_size("n = 9", 10**9, "E")
