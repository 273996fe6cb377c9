"""Axes, seeds and run directories of a sweep, from text."""

from __future__ import annotations

import pytest

from agents.sweeps.grid import Axis, Range, Run, flag, parse_axis, parse_grid, parse_seeds, plan, showing_each_value


@pytest.mark.parametrize(
    ("text", "key", "values"),
    [
        ("agent.lr=1e-3,3e-3", "agent.lr", ("1e-3", "3e-3")),
        ("--agent.lr-log-z=0.1", "agent.lr_log_z", ("0.1",)),
        ("agent.epsilon=(0.1,0,1000),0.05", "agent.epsilon", ("0.1,0,1000", "0.05")),
        ("env.shape=[2,3],[4,5]", "env.shape", ("[2,3]", "[4,5]")),
        ("env.reward_kwargs={'R0': 0.5, 'R1': 1},None", "env.reward_kwargs", ("{'R0': 0.5, 'R1': 1}", "None")),
        ("agent.hidden=64 64,128", "agent.hidden", ("64 64", "128")),
        ("iterations=100,200", "iterations", ("100", "200")),
        ("env.reward=mine:score,mine:other", "env.reward", ("mine:score", "mine:other")),
    ],
)
def test_values_are_read_as_written(text, key, values):
    assert parse_axis(text) == Axis(key, values)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("agent.lr=1e-4:1e-1:log", Range(1e-4, 1e-1, True, False)),
        ("env.side=4:16", Range(4, 16, False, True)),
        ("agent.lamda=0.5:1", Range(0.5, 1.0, False, False)),
    ],
)
def test_ranges(text, found):
    assert parse_axis(text).range == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("agent.lr", ["agent.lr", "NAME=VALUE,VALUE"]),
        ("=1", ["NAME=VALUE,VALUE"]),
        ("agent.lr=", ["empty"]),
        ("agent.lr=1,,2", ["empty"]),
        ("agent.lr=1,2,1", ["agent.lr=1,2,1", "1 occurs twice"]),
        ("agent.epsilon=(0.1,0", ["bracket"]),
        ("agent.epsilon=0.1),(0", ["bracket"]),
        ("seed=0,1", ["seed", "--seeds"]),
        ("out=a,b", ["out"]),
        ("agent.lr=1:0", ["below"]),
        ("agent.lr=0:1:log", ["above 0"]),
        ("agent.lr=1:2:lin", ["LOW:HIGH:log"]),
        ("a.b.c=1", ["NAME=VALUE"]),
    ],
)
def test_an_axis_that_is_none(text, words):
    with pytest.raises(ValueError, match="--grid") as error:
        parse_axis(text)
    assert all(word in str(error.value) for word in words), error.value


def test_an_axis_twice():
    with pytest.raises(ValueError, match=r"agent\.lr occurs twice"):
        parse_grid(["agent.lr=1", "agent.lr=2"])


@pytest.mark.parametrize(("text", "seeds"), [("0:5", (0, 1, 2, 3, 4)), ("7", (7,)), ("0,2,10:12", (0, 2, 10, 11))])
def test_seeds(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "5:5", "3:1", "0,0", "0:3,2", "-1", "1.5", "0:", "0:2:1"])
def test_seeds_that_are_none(text):
    with pytest.raises(ValueError, match="--seeds"):
        parse_seeds(text)


def test_every_combination_with_every_seed_has_a_directory_of_its_own():
    axes = parse_grid(["agent.lr=1e-3,3e-3", "env.side=8,16", "agent.epsilon=(1,0,9),1 0 9"])
    runs = plan({"tb": axes, "subtb": axes[:1]}, (0, 1))
    assert len(runs) == len({run.name for run in runs}) == 2 * 2 * 2 * 2 + 2 * 2
    assert runs[-1] == Run("subtb", (("agent.lr", "3e-3"),), 1)
    assert runs[-1].name == "subtb-agent.lr=3e-3-s1"
    assert all("/" not in run.name and " " not in run.name for run in runs)


def test_names_stay_if_a_sweep_grows():
    few = plan({"tb": parse_grid(["agent.lr=1e-3"])}, (0,))
    many = plan({"tb": parse_grid(["agent.lr=1e-4,1e-3"]), "subtb": ()}, (0, 1))
    assert few[0] in many


def test_long_and_odd_values_have_names_too():
    odd = [Run("mine:A", (("env.reward", value),), 0) for value in ("a/b", "a:b", "x" * 300, "x" * 299, "..")]
    assert len({run.name for run in odd}) == 5
    assert all(len(run.name) < 140 and not {"/", ":"} & set(run.name) for run in odd)


def test_flags():
    assert flag("agent.hidden", "64 64") == ["--agent.hidden", "64", "64"]
    assert flag("env.alphabet", "A B") == ["--env.alphabet", "A B"]
    assert flag("agent.fast", "False") == ["--agent.no-fast"]
    assert flag("figures", "True") == ["--figures"]
    assert flag("env.fast", "False") == ["--env.fast", "False"]
    assert Run("tb", (("agent.lr", "1"),), 3).flags() == ["--agent.lr", "1", "--seed", "3"]


def test_few_runs_show_each_value():
    axes = parse_grid(["agent.lr=1,2,3", "env.side=4,8"])
    chosen = showing_each_value(plan({"tb": axes, "db": ()}, range(5)))
    shown = {(run.agent, *pair) for run in chosen for pair in run.values}
    assert shown == {("tb", axis.key, value) for axis in axes for value in axis.values}
    assert "db" in {run.agent for run in chosen}
    assert len(chosen) == 5
