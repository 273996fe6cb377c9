"""The published string tasks: all rewards and modes by the formulas of the papers; trees against scikit-learn."""

from __future__ import annotations

import dataclasses
import gzip
import itertools
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from gfn_envs import PHO4, FragmentMolecule, QM9Str, SEHStr, Sequence, TFBind8
from gfn_envs.data import packaged
from gfn_envs.data import registry as datasets
from gfn_envs.data.safe_pickle import UnsafePickleError, read_pickle
from gfn_envs.envs.strings.boosted_trees import BoostedTrees, arrays_from_pickle, node_arrays
from gfn_envs.envs.strings.modes import fraction_count, separated_top, top_fraction
from gfn_envs.envs.strings.pho4 import values_of_pickle
from gfn_envs.envs.strings.seh_str import best_strings
from gfn_envs.envs.strings.string_trees import StringTrees


def strings(alphabet: str, length: int) -> list[str]:
    return ["".join(letters) for letters in itertools.product(alphabet, repeat=length)]


def rewards(dag: Any, names: list[str]) -> np.ndarray:
    return np.exp(dag.log_reward(dag.from_text(names)))


def modes(dag: Any, names: list[str]) -> set[str]:
    found = dag.mode_index(dag.from_text(names))
    assert len(set(found[found >= 0].tolist())) == (found >= 0).sum() == dag.num_modes
    return {name for name, mode in zip(names, found, strict=True) if mode >= 0}


# ---------------------------------------------------------------------- TFBind8


@pytest.mark.data("tfbind8")
def test_tfbind8_rewards_are_the_published_scores() -> None:
    """All 65,536 strings, of both strands, from the lines of the published file."""
    lines = [line.split("\t") for line in datasets.read("tfbind8").decode().splitlines()[1:]]
    score = {strand: float(line[2]) for line in lines for strand in line[:2]}
    low, high = min(score.values()), max(score.values())
    names = strings("ACGT", 8)
    assert set(names) == set(score)
    for arguments, formula in [
        ({}, lambda y: max(10 * y**3, 1e-3)),
        ({"exponent": 1.0, "scale": 1.0, "floor": 1e-9}, lambda y: max(y, 1e-9)),
    ]:
        expected = [formula((score[name] - low) / (high - low)) for name in names]
        np.testing.assert_allclose(rewards(TFBind8(**arguments), names), expected, rtol=1e-12)


def test_tfbind8_needs_no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "fetch", lambda name: pytest.fail(f"asked for {name}"))
    dag = TFBind8()
    assert dag.num_modes == 328
    # The strongest binder and its reverse complement; the weakest; y = 0.50907 / 0.97012 of AAAAAAAA.
    found = rewards(dag, ["AGGTATCA", "TGATACCT", "AAAAAAAA"])
    np.testing.assert_allclose(found, [10, 10, 10 * (0.50907 / 0.97012) ** 3], rtol=1e-12)
    assert np.isclose(np.exp(dag.log_reward(dag.terminal_states())).min(), 1e-3)


@pytest.mark.data("tfbind8-modes")
def test_tfbind8_modes_are_those_of_the_file() -> None:
    published = read_pickle(datasets.read("tfbind8-modes"))
    names = {"".join("ACGT"[int(digit)] for digit in mode) for mode in published}
    assert len(names) == 328
    assert modes(TFBind8(), strings("ACGT", 8)) == names


def test_fractions_are_decimal_numbers() -> None:
    for percent in range(1, 101):
        assert len(top_fraction(np.arange(100.0), percent / 100)) == percent
    assert fraction_count(0.005, 65_536) == 328  # 327.68


@pytest.mark.parametrize(("make", "letters"), [(TFBind8, 4), (QM9Str, 11), (SEHStr, 18), (PHO4, 4)])
def test_tables_without_modes(make: Any, letters: int) -> None:
    dag = make(table=np.linspace(0.1, 1.0, letters**2).tolist(), length=2, mode_fraction=None)
    assert dag.mode_strings is None
    assert dag.num_modes is None
    objects = dag.terminal_states()
    assert (dag.mode_index(objects) == -1).all()
    with pytest.raises(TypeError, match="values of a table are in reward_table"):
        dag.values(dag.tokens(objects))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("make", [QM9Str, SEHStr])
def test_without_a_floor_values_must_be_above_zero(make: Any) -> None:
    """An even exponent would turn negative values into valid rewards."""
    count = len(make().letters)
    for table in (np.linspace(-2.0, 1.0, count), np.linspace(-2.0, -1.0, count), np.linspace(-1.0, 0.0, count)):
        dag = make(table=table, length=1, floor=None, exponent=2.0)
        with pytest.raises(
            ValueError, match=rf"{make.__name__}: the reward of '0' is {table[0]}; allowed: finite, > 0"
        ):
            dag.log_reward(dag.from_text(["a"]))
    assert make(table=np.linspace(-2.0, 1.0, count), length=1, exponent=2.0).reward_table.argmax() == count - 1


@pytest.mark.filterwarnings("error")
def test_predictions_of_trees_without_a_floor_must_be_above_zero() -> None:
    class Predictions:
        def score(self, tokens: np.ndarray) -> np.ndarray:
            return tokens[:, 0] - 1.0

    dag = SEHStr(floor=None)
    dag.__dict__.update(trees=Predictions(), _summary={"best": np.array(4.0), "modes": np.array([0])})
    states = dag.from_text(["500000", "300000", "000000"])
    np.testing.assert_allclose(np.exp(dag.log_reward(states[:2])), [10.0, 10 / 2**6])
    with pytest.raises(ValueError, match=r"SEHStr: the reward of object 000000 is -1\.0; allowed: .* > 0"):
        dag.log_reward(states)


def test_separated_top_by_hand() -> None:
    # AA 9, AB 8 (next to AA), BB 7, BA 6 (next to both): two of four.
    values = np.array([9.0, 8.0, 6.0, 7.0])
    assert separated_top(values, 2, 2, 0.5).tolist() == [0, 3]
    assert separated_top(values, 2, 2, 0.25).tolist() == [0]
    assert separated_top(np.ones(27), 3, 3, 1.0).tolist()[:2] == [0, 4]


# ---------------------------------------------------------------------- PHO4


def test_pho4_on_a_small_table(tmp_path: Any) -> None:
    names = strings("ACGT", 3)
    e = dict(zip(names, np.random.default_rng(0).normal(size=64).tolist(), strict=True))
    (tmp_path / "pho4.csv").write_text("sequence,e\n" + "".join(f"{name},{value!r}\n" for name, value in e.items()))
    y = {name: 1 / (1 + math.exp(-3 * value)) for name, value in e.items()}
    expected = [10 * y[name] ** 3 / max(y.values()) ** 3 for name in names]
    dag = PHO4(length=3, table=tmp_path / "pho4.csv", mode_fraction=0.1)
    np.testing.assert_allclose(rewards(dag, names), expected, rtol=1e-12)
    assert modes(dag, names) == set(sorted(names, key=e.__getitem__)[-7:])
    far = PHO4(length=1, table=[-200.0, 0.0, 1.0, 200.0], scale=1.0, exponent=1.0)
    np.testing.assert_allclose(
        far.log_reward(far.terminal_states()), [-600, -math.log(2), -math.log1p(math.exp(-3)), 0], atol=1e-12
    )


def pho4_file(x: Any, y: Any) -> bytes:
    return gzip.compress(pickle.dumps({"x": x, "y": y}))


def test_pho4_reads_the_published_file_by_its_digits() -> None:
    rng = np.random.default_rng(0)
    x = np.array(list(itertools.product(range(4), repeat=3)))
    y = rng.normal(size=64)
    order = rng.permutation(64)
    for columns, rows in ((y[order], x[order]), (y[order, None].astype(np.float32), x[order].astype(np.int8).tolist())):
        found = values_of_pickle(pho4_file(rows, columns), 3)["e"]
        np.testing.assert_allclose(found, y, rtol=1e-6)
    # The last value of a repeated string counts.
    again = pho4_file(np.concatenate([x, x[5:6]]), np.append(y, 7.0))
    assert values_of_pickle(again, 3)["e"].tolist() == [*y[:5], 7.0, *y[6:]]
    assert values_of_pickle(gzip.decompress(again), 3)["e"][5] == 7.0


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pho4_file(np.zeros((3, 3), dtype=int), np.zeros(3)), "63 of 64 strings have no finite value"),
        (pho4_file(np.full((1, 3), 4), np.zeros(1)), r"digits 0\.\.3"),
        (pho4_file(np.full((1, 3), 0.5), np.zeros(1)), r"digits 0\.\.3"),
        (pho4_file(np.zeros((2, 3), dtype=int), np.zeros(1)), "one per value of y"),
        (pho4_file(np.zeros((2, 4), dtype=int), np.zeros(2)), "rows of 3 digits"),
        (pickle.dumps({"x": 1}), "dict with x and y, got dict"),
        (pickle.dumps([1, 2]), "dict with x and y, got list"),
        (pickle.dumps(pandas.DataFrame({"x": [1], "y": [2]})), "unsafe: the pickle names pandas"),
        (pickle.dumps(print), "unsafe"),
        (gzip.compress(b"x", mtime=0)[:-5], "damaged gzip"),
        (b"no pickle", "cannot be read"),
    ],
)
def test_other_files_of_pho4_raise(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        values_of_pickle(data, 3)


# ---------------------------------------------------------------------- missing data


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (PHO4, "pho4"),
        (QM9Str, "qm9str"),
        (SEHStr, "sehstr-model"),
        (lambda: FragmentMolecule(reward="seh"), "seh-proxy"),
        (lambda: FragmentMolecule(reward={"qed": 1.0, "seh": 2.0}), "seh-proxy"),
        (lambda: FragmentMolecule("pdb105"), "fragment-blocks"),
    ],
)
def test_missing_data_raise_when_the_environment_is_made(
    make: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(datasets.MIRROR, str(tmp_path))
    monkeypatch.setattr(datasets, "cache_dir", lambda: tmp_path / "cache")
    # Another checksum, so that data that this process has already read are not used.
    entry = datasets.dataset(name)
    monkeypatch.setitem(datasets.DATASETS, name, dataclasses.replace(entry, sha256=None, git_sha1="0" * 40))
    with pytest.raises(datasets.DatasetError, match=f"gfn-envs data fetch {name}, without GFN_ENVS_DATA.*{entry.url}"):
        make()


@pytest.mark.data("qm9str", "sehstr-model")
@pytest.mark.parametrize("make", [QM9Str, SEHStr, TFBind8])
def test_data_are_read_once_per_process(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make()
    monkeypatch.setattr(datasets, "converted", lambda *args: pytest.fail("read again"))
    monkeypatch.setattr(packaged, "packaged", lambda *args: pytest.fail("read again"))
    second = make()
    if make is SEHStr:
        assert second.trees is first.trees
    else:
        np.testing.assert_array_equal(second.reward_table, first.reward_table)


def test_wrong_tables_raise_when_the_environment_is_made(tmp_path: Path) -> None:
    for table in (tmp_path / "none.txt", [1.0], {"A": 1.0}, 7):
        for make in (TFBind8, PHO4, QM9Str, SEHStr, lambda table, length: Sequence("AC", 1, reward=table)):
            with pytest.raises((TypeError, ValueError, FileNotFoundError)):
                make(table=table, length=1)


# ---------------------------------------------------------------------- QM9Str


@pytest.mark.data("qm9str")
def test_qm9str_rewards_are_the_published_table() -> None:
    """All 161,051 strings."""
    table = read_pickle(datasets.read("qm9str"))
    names = strings("0123456789a", 5)
    assert set(names) == set(table)
    r = np.array([max(table[name], 1e-3) ** 5 for name in names])
    dag = QM9Str()
    np.testing.assert_allclose(rewards(dag, names), 100 * r / r.max(), rtol=1e-12)
    threshold = np.sort(r)[-806]  # 0.5% of 161,051 are 805.3
    assert modes(dag, names) == {name for name, value in zip(names, r, strict=True) if value >= threshold}


# ---------------------------------------------------------------------- trees and SEHStr


def fitted(features: np.ndarray, seed: int = 0, **settings: Any) -> tuple[Any, BoostedTrees]:
    rng = np.random.default_rng(seed)
    target = np.sin(features @ rng.normal(size=features.shape[1])) + features[:, 0] * features[:, -1]
    model = HistGradientBoostingRegressor(random_state=0, **settings).fit(features, target)
    nodes = [tree.nodes for (tree,) in model._predictors]
    return model, BoostedTrees(node_arrays(nodes, model._baseline_prediction.item(), features.shape[1]))


@pytest.mark.parametrize("settings", [{"max_iter": 30}, {"max_iter": 5, "max_leaf_nodes": 3}, {"max_iter": 1}], ids=str)
def test_trees_agree_with_scikit_learn(settings: dict[str, Any]) -> None:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(2000, 7)).round(1)
    model, mine = fitted(features, **settings)
    fresh = np.concatenate([features[:500], rng.normal(size=(500, 7)), np.full((1, 7), 1e9)])
    np.testing.assert_allclose(mine.predict(fresh, chunk=300), model.predict(fresh), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("letters", "length"), [(3, 4), (2, 5), (5, 1)])
def test_string_trees_agree_with_scikit_learn(letters: int, length: int) -> None:
    tokens = np.array(list(itertools.product(range(letters), repeat=length)))
    features = np.eye(letters)[tokens].reshape(len(tokens), -1)
    # Repeated, as each leaf must hold twenty samples.
    model, mine = fitted(np.tile(features, (20, 1)), max_iter=20)
    strings = StringTrees(mine, letters, length)
    np.testing.assert_allclose(strings.score(tokens), model.predict(features), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(np.concatenate(list(strings.score_all(chunk=10))), strings.score(tokens))
    np.testing.assert_array_equal(strings.score(tokens), mine.predict(features))


def test_inconsistent_trees_raise() -> None:
    _, mine = fitted(np.random.default_rng(0).normal(size=(200, 3)), max_iter=2)
    with pytest.raises(ValueError, match=r"expected finite features of shape \(n, 3\), got \(1, 4\)"):
        mine.predict(np.zeros((1, 4)))
    with pytest.raises(ValueError, match="expected finite features"):
        mine.predict(np.full((1, 3), np.nan))
    model = HistGradientBoostingRegressor(max_iter=1).fit(np.arange(200.0)[:, None], np.arange(200.0))
    good = model._predictors[0][0].nodes
    for field, value, message in [
        ("left", 0, "comes before its parent"),
        ("right", 10**6, "child that does not exist"),
        ("feature_idx", 1, "beyond the 1"),
        ("num_threshold", np.inf, "non-finite"),
        ("is_categorical", 1, "categories"),
    ]:
        bad = good.copy()
        bad[field][0] = value
        with pytest.raises(ValueError, match=message):
            node_arrays([good, bad], 0.0, 1)


def test_only_models_are_read_from_a_pickle() -> None:
    with pytest.raises(ValueError, match="expected a pickled HistGradientBoostingRegressor, got dict"):
        arrays_from_pickle(pickle.dumps({"_predictors": []}))
    with pytest.raises(UnsafePickleError, match="unsafe"):
        arrays_from_pickle(pickle.dumps(HistGradientBoostingRegressor()._get_param_names))


@pytest.mark.data("sehstr-model")
def test_sehstr_rewards_on_a_part_of_all_strings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "cached", lambda key, make: dict(make()))
    dag = SEHStr()
    rng = np.random.default_rng(0)
    tokens = rng.integers(18, size=(2000, 6))
    walked = dag.trees.trees.predict(np.eye(18)[tokens].reshape(2000, -1))
    np.testing.assert_array_equal(dag.trees.score(tokens), walked)
    # Instead of scoring all 34 million strings, which takes about fifteen seconds.
    dag.__dict__["_summary"] = {"best": np.array(walked.max()), "modes": np.array([1, 5])}
    names = ["".join("0123456789abcdefgh"[t] for t in row) for row in tokens]
    expected = 10 * np.maximum(walked, 1e-3) ** 6 / walked.max() ** 6
    np.testing.assert_allclose(rewards(dag, names), expected, rtol=1e-12)
    assert dag.mode_index(dag.from_text(["000005", "000004", "000001"])).tolist() == [1, -1, 0]
    first = next(dag.trees.score_all())
    some = np.arange(0, len(first), 99_991)
    letters = np.array(np.unravel_index(some, (18,) * 6)).T
    np.testing.assert_array_equal(first[some], dag.trees.score(letters))


def test_the_best_strings_are_found_in_chunks() -> None:
    tokens = np.array(list(itertools.product(range(3), repeat=4)))
    features = np.eye(3)[tokens].reshape(len(tokens), -1)
    _, mine = fitted(np.tile(features, (20, 1)), max_iter=10)
    scored = StringTrees(mine, 3, 4)
    every, whole = scored.score(tokens), scored.score_all
    for chunk in (9, 27, 81):
        scored.score_all = lambda chunk=chunk: whole(chunk)  # type: ignore[method-assign]
        for fraction in (0.01, 0.1, 0.5, 1.0):
            best = best_strings(scored, fraction)
            assert best["best"] == every.max()
            np.testing.assert_array_equal(best["modes"], top_fraction(every, fraction))


def test_strings_whose_reward_fails_are_no_modes() -> None:
    dag = Sequence(
        length=2, alphabet="AB", reward=lambda tokens: np.where(tokens[:, 0] == 0, 0.0, 1.0), mode_fraction=0.75
    )
    dag.on_error = 1e-3
    objects = dag.terminal_states()
    modes = [name for name, mode in zip(dag.object_names(objects), dag.mode_index(objects), strict=True) if mode >= 0]
    assert sorted(modes) == ["BA", "BB"]
    assert dag.num_modes == 2
