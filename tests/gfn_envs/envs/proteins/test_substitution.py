"""Substitutions of inverse folding: states and paths by brute force, exact training, arguments."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from math import factorial
from typing import Any

import numpy as np
import pytest

import agents
from gfn_envs import InverseFolding, check_dag
from gfn_envs.envs.strings.substitute import log_path_counts
from tests.helpers import RING, all_states


def fold(start: str = "CKWCC", **arguments: Any) -> InverseFolding:
    return InverseFolding(RING, "substitute", 2.5, 5.9, 1, 0.7, alphabet="WKC", start=start, **arguments)


def walks(start: str, alphabet: str, steps: int) -> Counter[str]:
    """Number of ways to reach each string by ``steps`` settings of a position to a letter."""
    reached = Counter({start: 1})
    for _ in range(steps):
        after: Counter[str] = Counter()
        for text, ways in reached.items():
            for i, letter in itertools.product(range(len(start)), alphabet):
                after[text[:i] + letter + text[i + 1 :]] += ways
        reached = after
    return reached


@pytest.mark.parametrize("length", [2, 3])
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_states_and_paths_by_brute_force(length: int, steps: int) -> None:
    start = "CKWCC"[:length]
    dag = InverseFolding(np.zeros((length, length)) + 20.0, "substitute", alphabet="WKC", start=start, steps=steps)
    assert check_dag(dag).exhaustive
    states, texts = all_states(dag), dag.to_text(all_states(dag))
    assert len(states) == dag.declared_num_states
    assert sorted(texts) == sorted(text for t in range(steps + 1) for text in walks(start, "WKC", t))
    expected = [walks(start, "WKC", int(t))[text] for text, t in zip(texts, states[:, -1], strict=True)]
    np.testing.assert_allclose(np.exp(dag.log_num_paths(states)), expected, rtol=1e-12)
    objects = dag.terminal_states()
    assert len(objects) == dag.num_terminal_states
    assert dag.from_text(dag.to_text(objects)).tolist() == objects.tolist()
    assert dag.max_length == steps


def test_paths_of_forty_steps_to_forty_changes() -> None:
    """All positions change, so each step sets another one: 40! orders."""
    paths = log_path_counts(20, 40, 40)
    assert paths[40, 40] == pytest.approx(float(np.log(np.longdouble(factorial(40)))))
    # All settings of positions together.
    changes = np.arange(41)
    log_strings = [float(np.log(float(factorial(40) // factorial(h) // factorial(40 - h)))) for h in changes]
    total = np.logaddexp.reduce(paths[40] + log_strings + changes * np.log(19))
    assert total == pytest.approx(40 * np.log(800))


def test_all_settings_can_be_undone_if_all_changes_fit() -> None:
    """P_B is uniform over all n q settings (appendix F of Madan et al. 2023) but for the first steps."""
    dag = fold(steps=7)
    states = all_states(dag)
    changes = np.array([sum(a != b for a, b in zip(text, "CKWCC", strict=True)) for text in dag.to_text(states)])
    one_more = np.minimum(changes + 1, dag.length)
    assert dag.backward_mask(states).all(1).tolist() == (one_more < states[:, -1]).tolist()
    assert dag.backward_mask(states[states[:, -1] > dag.length]).all()


def test_rewards_are_those_of_the_same_sequences_filled() -> None:
    dag, filled = fold(), InverseFolding(RING, "fill", 2.5, 5.9, 1, 0.7, alphabet="WKC")
    objects = dag.terminal_states()
    np.testing.assert_allclose(dag.log_reward(objects), filled.log_reward(filled.from_text(dag.to_text(objects))))
    half = dag.source(1)
    half[:, -1] = 2  # two steps that change nothing: 2 / 5 of log R of the start
    expected = 0.4 * filled.log_reward(filled.from_text(["CKWCC"]))
    np.testing.assert_allclose(dag.partial_log_reward(half), expected)


@pytest.mark.parametrize("agent", ["tb", "db", "subtb", "fm", "flsubtb"])
@pytest.mark.parametrize("network", ["mlp", "transformer"])
def test_agents_learn_the_target(agent: str, network: str) -> None:
    dag = InverseFolding(RING, "substitute", 2.5, alphabet="WKC", native="CKWCC", length=3, steps=3)
    small = {"network": "transformer", "width": 32, "layers": 1, "heads": 2} if network == "transformer" else {}
    trained = agents.make_agent(agent, dag, seed=0, batch_size=32, lr=3e-3, **small)
    for _ in range(400):
        trained.update()
    assert agents.evaluate(trained)["tv"] < 0.05


def test_arguments_round_trip_and_take_a_part_of_the_chain() -> None:
    dag = InverseFolding(RING, "substitute", alphabet="WKC", native="CKWCC", length=3, steps=2)
    assert dag.native == "CKW"
    assert dag.to_text(dag.source(1)) == ["CKW"]
    assert dag.steps == dag.max_length == 2
    again = InverseFolding(**json.loads(json.dumps(dag.arguments)))
    assert again.arguments == dag.arguments
    assert again.terminal_states().tolist() == dag.terminal_states().tolist()
    assert set(dag.contacts.ravel().tolist()) <= {0, 1, 2}
    assert "after 0 of 2 steps" in dag.render_text(dag.source(1)[0])
    assert dag.action_label(4) == "2K"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"construction": "fill", "steps": 3}, "steps is only for construction 'substitute', got 3"),
        ({"construction": "append", "start": "CKWCC"}, "start is only for construction 'substitute', got 'CKWCC'"),
        ({"start": None}, "the native sequence of these distances is unknown; give start or native"),
        ({"start": "CKW"}, "start must be 5 amino acids, got 'CKW'"),
        ({"start": "CKWCA"}, "start: 'CKWCA' is not a string of 5 letters of 'WKC'"),
        ({"steps": 0}, "steps must be"),
        ({"length": 6}, "length must be at most 5, got 6"),
        ({"length": 0}, "length must be"),
        ({"steps": 10**9}, "steps = 1,000,000,000"),
    ],
)
def test_odd_arguments(arguments: dict[str, Any], message: str) -> None:
    given = {"construction": "substitute", "alphabet": "WKC", "start": "CKWCC", **arguments}
    if given["construction"] != "substitute" and "start" not in arguments:
        del given["start"]
    with pytest.raises(ValueError, match=message):
        InverseFolding(RING, **given)


def test_a_string_with_too_many_changes() -> None:
    with pytest.raises(ValueError, match="'WWKWW' differs from start at more than 2 positions"):
        fold(steps=2).from_text(["WWKWW"])


def test_the_native_energy_does_not_depend_on_the_steps() -> None:
    far = InverseFolding(RING, "substitute", alphabet="WKC", start="WWWWW", native="CKWCC", steps=2)
    assert far.native_energy == InverseFolding(RING, alphabet="WKC", native="CKWCC").native_energy


def test_counts_of_many_steps_are_fast_and_right() -> None:
    dag = fold(steps=5000)
    assert dag.num_terminal_states == 3**5
    assert dag.declared_num_states == sum(
        sum(math.comb(5, h) * 2**h for h in range(min(t, 5) + 1)) for t in range(5001)
    )
