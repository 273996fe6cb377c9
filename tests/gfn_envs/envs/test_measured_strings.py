"""Partly measured tables: stated values, models of scikit-learn; functions of strings as rewards."""

from __future__ import annotations

import itertools
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.svm import SVR

import gfn_envs
from gfn_envs import Sequence

NAMES = ["".join(s) for s in itertools.product("ACG", repeat=3)]
#: Values of 20 of the 27 strings, additive in their letters.
ADDITIVE = {name: 2.0 + 0.5 * name.count("A") - 0.25 * (name[0] == "G") for name in NAMES[:20]}


def values(dag: Sequence, names: list[str] = NAMES) -> list[float]:
    return np.exp(dag.log_reward(dag.from_text(names))).tolist()


def test_a_stated_value_for_missing_strings(tmp_path: Path) -> None:
    (tmp_path / "some.csv").write_text("string,value\n" + "".join(f"{s},{v}\n" for s, v in ADDITIVE.items()))
    expected = [ADDITIVE.get(name, 0.125) for name in NAMES]
    for table in (ADDITIVE, tmp_path / "some.csv", pandas.Series(ADDITIVE)):
        dag = Sequence("ACG", 3, reward=table, missing=0.125, mode_fraction=0.1)
        assert values(dag) == pytest.approx(expected)
        assert dag.num_modes == sum(value >= sorted(expected)[-3] for value in expected)
        assert dag.cross_validation is None
    assert gfn_envs.make_dag("GFN/Sequence-v0", **dag.arguments).log_reward(dag.terminal_states()).shape == (27,)


def test_a_whole_table_needs_nothing_for_missing_strings() -> None:
    table = {name: 1.0 + i for i, name in enumerate(NAMES)}
    assert values(Sequence("ACG", 3, reward=table, missing=7.0)) == pytest.approx(list(table.values()))


@pytest.mark.parametrize(
    ("missing", "model"),
    [("ridge", RidgeCV(np.logspace(-3, 3, 13))), (Ridge, Ridge()), (SVR, SVR())],
    ids=str,
)
def test_models_predict_missing_strings(missing: Any, model: Any, caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(0)
    table = {name: value + rng.normal() / 10 for name, value in ADDITIVE.items()}
    dag = Sequence("ACG", 3, reward=table, missing=missing)
    x = np.array([[letter == name[i] for i in range(3) for letter in "ACG"] for name in NAMES], dtype=float)
    y = np.array(list(table.values()))
    scaled = (y - y.mean()) / y.std()
    predicted = y.mean() + y.std() * model.fit(x[:20], scaled).predict(x[20:])
    assert values(dag) == pytest.approx([*y, *predicted], rel=1e-6)
    error = y.std() * (cross_val_predict(model, x[:20], scaled, cv=KFold(5, shuffle=True, random_state=0)) - scaled)
    found = dag.cross_validation
    assert found.rmse == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-6)
    assert found.r2 == pytest.approx(1 - np.mean(error**2) / y.var(), rel=1e-6)
    assert f"fitted to 20; cross-validated on 5 folds: R2 {found.r2:.2f}, error" in caplog.text
    # Independent of what else is in the batch.
    again = Sequence("ACG", 3, reward=table, missing=missing)
    assert [values(again, [name])[0] for name in NAMES[::-1]] == values(dag)[::-1]


def test_forests_and_long_strings() -> None:
    rng = np.random.default_rng(0)
    strings = ["".join(row) for row in rng.choice(list("ACGT"), size=(40, 60))]
    table = {s: 1.0 + s.count("G") / 10 for s in strings}
    dag = Sequence("ACGT", 60, reward=table, missing="forest")
    assert values(dag, strings[:5]) == pytest.approx([table[s] for s in strings[:5]])
    assert dag.cross_validation.strings == 40


def test_variable_length() -> None:
    table = {name: 1.0 + len(name) for k in (1, 2) for name in map("".join, itertools.product("AB", repeat=k))}
    dag = Sequence("AB", 3, reward=table, min_length=1, missing=9.0)
    assert values(dag, ["A", "BB", "ABB"]) == pytest.approx([2.0, 3.0, 9.0])


def test_strings_outside_the_limits_are_told_and_train_the_model(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        dag = Sequence("ACG", 3, reward=ADDITIVE, missing="ridge", forbidden="AA")
    assert "5 of 20 strings are outside the limits and only train the model" in caplog.text
    assert dag.cross_validation.strings == 20
    whole = {name: 1.0 for name in NAMES if "AA" not in name}
    assert values(Sequence("ACG", 3, reward={**whole, "AAA": 2.0}, forbidden="AA"), ["ACA"]) == [1.0]
    assert "1 of 23 strings are outside the limits and are not used" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"missing": "raise"}, r"has 'GAG' 0 times \(7 are missing"),
        (
            {"missing": "raise", "forbidden": "GG"},
            "values of 18 of 22 objects; give missing=NUMBER, or a",
        ),
        ({"missing": "lasso"}, "missing must be a number, 'raise', 'ridge', 'forest', or a function that makes"),
        ({"missing": float("nan")}, "missing must be finite"),
        ({"missing": 1.0, "reward": [1.0] * 27}, "a table must be labeled by strings"),
        ({"missing": 1.0, "reward": None}, "missing is for a reward that is a table"),
        ({"missing": 1.0, "reward": {"AAX": 1.0}}, "'AAX' is not a string of 3 letters of 'ACG'"),
        ({"missing": 1.0, "reward": {"AAA": float("inf")}}, "the value of 'AAA' in the table is inf"),
        ({"missing": "ridge", "reward": {"AAA": 1.0}}, "a model needs at least 10 measured strings, got 1"),
        ({"missing": dict}, "missing must make a regressor with fit and predict, got dict"),
    ],
)
def test_wrong_tables_raise(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        Sequence("ACG", 3, **{"reward": ADDITIVE, **arguments})


def test_repeated_strings_raise(tmp_path: Path) -> None:
    (tmp_path / "twice.csv").write_text("AC,1\nAC,2\n")
    with pytest.raises(ValueError, match=r"twice.csv: the table has 'AC' 2 times"):
        Sequence("AC", 2, reward=tmp_path / "twice.csv", missing=1.0)


def test_predictions_below_zero_name_their_string() -> None:
    dag = Sequence("ACG", 3, reward={**ADDITIVE, "AAA": -50.0}, missing="ridge")
    with pytest.raises(ValueError, match=r"the reward of object G.. is -"):
        values(dag, NAMES[20:])


def test_models_need_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r"need scikit-learn: pip install 'gfn-envs\[acquire\]'"):
        Sequence("ACG", 3, reward=ADDITIVE, missing="ridge")


@pytest.mark.parametrize(("reward_of", "batched"), [("string", False), ("strings", True)])
def test_functions_of_strings(reward_of: str, batched: bool) -> None:
    calls: list[Any] = []

    def value(given: Any) -> Any:
        calls.append(given)
        return [1.0 + s.count("A") for s in given] if batched else 1.0 + given.count("A")

    dag = Sequence("ACG", 3, reward=value, reward_of=reward_of)
    assert values(dag) == pytest.approx([1.0 + name.count("A") for name in NAMES])
    assert calls == ([NAMES] if batched else NAMES)


def test_wrong_values_of_functions_of_strings_raise() -> None:
    dag = Sequence("AC", 2, reward=lambda strings: [1.0], reward_of="strings")
    with pytest.raises(ValueError, match=r"rewards must have shape \(2,\), got \(1,\)"):
        values(dag, ["AA", "AC"])
    dag = Sequence("AC", 2, reward=lambda strings: [1.0, "x"], reward_of="strings")
    with pytest.raises(ValueError, match="the reward of object AC"):
        values(dag, ["AA", "AC"])


def test_an_oracle_takes_lists_of_strings() -> None:
    oracle = gfn_envs.Oracle(lambda strings: [1.0 + s.count("A") for s in strings], batch_size=2)
    dag = Sequence("AC", 2, reward=oracle, reward_of="strings")
    assert values(dag, ["AA", "AC", "CC"]) == pytest.approx([3.0, 2.0, 1.0])
    dag = Sequence("AC", 2, reward=lambda strings: [1.0 + s.count("A") for s in strings], reward_of="strings")
    wrapped = gfn_envs.Oracle.of(dag, batch_size=8)
    assert values(dag, ["AA", "AC", "CC"]) == pytest.approx([3.0, 2.0, 1.0])
    assert wrapped.used == 3
