"""Tables of rewards for strings: every container gives each string its own value, or raises."""

from __future__ import annotations

import collections
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gfn_envs import Sequence, TFBind8
from gfn_envs.envs.strings.reward_table import table_values

PAIRS = {"AA": 1.0, "AC": 2.0, "CA": 3.0, "CC": 4.0}
SERIES = pandas.Series(PAIRS)
FRAME = pandas.DataFrame({"seq": list(PAIRS), "score": list(PAIRS.values())})


def values(table: Any, alphabet: str = "AC") -> list[float]:
    return table_values(table, alphabet, 2, 2, "Sequence").tolist()


#: Every way to hand in pairs of strings and values. Those without the strings are right in one order only.
CONTAINERS: dict[str, Callable[[dict[str, float]], Any]] = {
    "dict": dict,
    "OrderedDict": collections.OrderedDict,
    "Series": pandas.Series,
    "Series of objects": lambda pairs: pandas.Series(pairs, dtype=object),
    "Series with a categorical index": lambda pairs: pandas.Series(
        list(pairs.values()), index=pandas.CategoricalIndex(list(pairs))
    ),
    "Series of integers": lambda pairs: pandas.Series(pairs).astype(int),
    "column of a frame with an index": lambda pairs: pandas.DataFrame({"score": pairs})["score"],
    "column of a frame": lambda pairs: FRAME.set_index("seq").loc[list(pairs)].reset_index()["score"],
    "filtered column": lambda pairs: FRAME.iloc[[list(PAIRS).index(name) for name in pairs]]["score"],
    "sorted column": lambda pairs: FRAME.sort_values("score", ascending=next(iter(pairs)) == "AA")["score"],
    "frame": lambda pairs: pandas.DataFrame({"seq": list(pairs), "score": list(pairs.values())}),
    "frame with an index": lambda pairs: pandas.DataFrame({"score": pairs}),
    "pairs": lambda pairs: list(pairs.items()),
    "items": lambda pairs: pairs.items(),
    "set": lambda pairs: set(pairs.items()),
    "values of a dict": lambda pairs: pairs.values(),
    "set of values": lambda pairs: set(pairs.values()),
    "generator": lambda pairs: (value for value in pairs.values()),
    "structured array": lambda pairs: np.array(list(pairs.items()), dtype=[("s", "U2"), ("y", float)]),
    "array of pairs": lambda pairs: np.array(list(pairs.items())),
    "text of numbers": lambda pairs: [str(value) for value in pairs.values()],
    "complex": lambda pairs: np.array(list(pairs.values())) + 0j,
    "masked": lambda pairs: np.ma.array(list(pairs.values()), mask=[0, 0, 1, 0]),
    "keys that are bytes": lambda pairs: {name.encode(): value for name, value in pairs.items()},
    "keys that are tuples": lambda pairs: {tuple(name): value for name, value in pairs.items()},
    "index of two levels": lambda pairs: pandas.Series(
        list(pairs.values()), index=pandas.MultiIndex.from_tuples([tuple(name) for name in pairs])
    ),
    "values that are text": lambda pairs: {name: str(value) for name, value in pairs.items()},
    "values that are booleans": lambda pairs: {name: value > 1 for name, value in pairs.items()},
    "dates": lambda pairs: pandas.Series(pandas.to_datetime(["2020-01-01"] * 4), index=list(pairs)),
}
ORDERED = {
    "list": list,
    "tuple": tuple,
    "array": np.array,
    "float32": lambda values: np.array(values, dtype=np.float32),
    "array of objects": lambda values: np.array(values, dtype=object),
    "masked array without a mask": np.ma.array,
    "numbered Series": pandas.Series,
    "tensor": torch.tensor,
    "deque": collections.deque,
}


@given(st.permutations(list(PAIRS.items())), st.sampled_from(list(CONTAINERS)))
def test_any_container_of_the_same_pairs_gives_the_same_rewards_or_raises(pairs: list[Any], kind: str) -> None:
    container = CONTAINERS[kind](dict(pairs))
    try:
        found = values(container)
    except (TypeError, ValueError):
        return
    # The one exception: rows numbered 0, 1, 2, ... in the order of the frame are values in the order of strings.
    numbered = isinstance(container, pandas.Series) and container.index.tolist() == [0, 1, 2, 3]
    assert found == (container.tolist() if numbered else list(PAIRS.values()))


@pytest.mark.parametrize("kind", ["dict", "OrderedDict", *[kind for kind in CONTAINERS if kind.startswith("Series")]])
def test_labeled_containers_are_accepted_in_any_order(kind: str) -> None:
    for order in (list(PAIRS), list(PAIRS)[::-1], ["CA", "AA", "CC", "AC"]):
        assert values(CONTAINERS[kind]({name: PAIRS[name] for name in order})) == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("kind", ORDERED)
def test_ordered_containers_are_accepted(kind: str) -> None:
    assert values(ORDERED[kind]([1.0, 2.5, 3.0, 4.0])) == [1.0, 2.5, 3.0, 4.0]
    assert values(range(4)) == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("table", "alphabet", "message"),
    [
        (FRAME.sort_values("score", ascending=False).score, "AC", "the label 3 in the table is not a string"),
        (pandas.Series([4.0, 3.0, 2.0, 1.0], index=[11, 10, 1, 0]), "01", "the label 11.*read it as text, dtype=str"),
        ({0: 1.0, 1: 2.0, 10: 3.0, 11: 4.0}, "01", "the label 0 in the table is not a string"),
        (SERIES.rename({"AA": np.nan}), "AC", "the label nan in the table is not a string"),
        (SERIES.iloc[[0, 1, 2, 3, 3]], "AC", "has 'CC' 2 times"),
        (SERIES.iloc[:3], "AC", r"has 'CC' 0 times \(1 are missing"),
        (SERIES.rename({"AA": "aa"}), "AC", "'aa' is not a string of 2 letters of 'AC'"),
        ({**PAIRS, "CC": None}, "AC", "the value of 'CC' in the table is missing: None"),
        ({**PAIRS, "CC": "4.0"}, "AC", "the value of 'CC' in the table is text, not a number: '4.0'"),
        ({**PAIRS, "CC": np.array([4.0])}, "AC", "the value of 'CC' in the table is not a number"),
        ({**PAIRS, "CC": np.inf}, "AC", "the value of 'CC' in the table is inf; allowed: finite numbers"),
        (FRAME, "AC", r"give a Series whose labels are the strings, such as frame\.set_index"),
        (pandas.Series([1.0, 2.0, pandas.NA, 4.0], index=list(PAIRS), dtype="Float64"), "AC", "'CA'"),
        (5, "AC", r"one value for each of 4 strings, got shape \(\)"),
    ],
)
def test_tables_that_raise(table: Any, alphabet: str, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^Sequence: .*{message}"):
        Sequence(alphabet, 2, reward=table)


# ---------------------------------------------------------------------- files


@pytest.mark.parametrize(
    "text",
    [
        "AA,1\nAC,2\nCA,3\nCC,4\n",
        "seq,score\nCC,4\nAA,1\n\nAC,2\nCA,3\n\n \n",
        '"seq";"score"\r\n"CC";4\r\n"AA";1\r\n"AC";2\r\n"CA";3\r\n',
        "AA 1\n AC   2\nCA\t3\nCC, 4",
        FRAME.to_csv(index=False, sep="\t"),
        SERIES.to_csv(header=False),
    ],
)
def test_dialects(text: str, tmp_path: Path) -> None:
    plain = text.encode()
    for name, content in (("t.txt", plain), ("t.txt", b"\xef\xbb\xbf" + plain), ("t.txt.gz", gzip.compress(plain))):
        (tmp_path / name).write_bytes(content)
        assert values(tmp_path / name) == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FRAME.to_csv(), "line 1: expected a string and a number, got ',seq,score': 3 entries"),
        ("AA,1\nAC,2\nCA,3\nCC,4\nAA,1\n", "has 'AA' 2 times"),
        ("AA;1,5\nAC;2\n", "line 1.*'1,5' has a decimal comma"),
        ("AA,1,5\nAC,2\n", "line 1.*3 entries"),
        ("AA,1\nAC,\n", r"line 2.*a missing value \(''\)"),
        ("AA,1\nAC,NA\n", r"line 2.*a missing value \('NA'\)"),
        ("AA,x\nAC,1\n", "line 1.*'x' is not a number"),
        ("AA,1\nAC,1_0\n", "line 2.*'1_0' is not a number"),
        ("AA,1\nseq,score\n", "line 2.*'score' is not a number"),
        ("AA,1\nAC\n", "line 2.*1 entries"),
        ("AA,1\nAG,1\n", "'AG' is not a string of 2 letters of 'AC'"),
        ("", "has 'AA' 0 times"),
    ],
)
def test_files_that_raise(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"^Sequence: .*{message}"):
        values(path)


def test_the_name_of_the_environment_begins_every_message() -> None:
    with pytest.raises(TypeError, match=r"^TFBind8: the label 0"):
        TFBind8(table={0: 1.0}, length=1)


@pytest.mark.parametrize(
    "alphabet", [{"A", "C"}, {"A": 1, "C": 2}, 10, 10.0, None, ["A", 1], [["A"], ["C"]], "A", "AA"]
)
def test_alphabets_that_raise(alphabet: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="Sequence: alphabet"):
        Sequence(alphabet, 2)
    with pytest.raises(TypeError, match="can be read only once"):
        Sequence(iter("AC"), 2)  # type: ignore[arg-type]


def test_arguments_are_plain_values() -> None:
    dag = Sequence(np.array(["A", "C"]), np.int64(2), min_length=1.0)  # type: ignore[arg-type]
    assert dag.arguments["alphabet"] == ["A", "C"]
    assert [type(dag.arguments[name]) for name in ("length", "min_length")] == [int, int]
