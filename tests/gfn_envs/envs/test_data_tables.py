"""Data tables of BayesNet: names, row names, missing values and labels are used or refused, never dropped."""

from __future__ import annotations

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

from gfn_envs import BayesNet
from gfn_envs.envs.bayes_net.data_table import read_table

TABLE = np.array([[1.0, 2.0], [2.0, 5.0], [3.0, 1.0]])
FRAME = pandas.DataFrame(TABLE, columns=["a", "b"])


def read(tmp_path: Path, text: str, name: str = "data.csv") -> tuple[tuple[str, ...], list[list[float]]]:
    (tmp_path / name).write_bytes(text.encode())
    names, values = read_table(tmp_path / name, "BayesNet")
    return names, values.tolist()


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2\n2,5\n3,1\n",
        "a;b\n1;2\n2;5\n3;1",
        "a\tb\r\n1\t2\r\n2\t5\r\n3\t1\r\n\r\n\r\n",
        '"a", "b"\n"1", 2\n2.0e0 ,5\n\n   \n3,1\n',
        "\ufeffa,b\n1,2\n2,5\n3,1\n,\n",
    ],
)
def test_dialects(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == (("a", "b"), TABLE.tolist())
    (tmp_path / "data.csv.gz").write_bytes(gzip.compress(text.encode()))
    assert read_table(tmp_path / "data.csv.gz", "BayesNet")[0] == ("a", "b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1.0,2.0\n2.0,1.0\n0.5,0.1\n", r"line 1: numbers instead of names: 1\.0, 2\.0.*numpy\.loadtxt"),
        ("\n\nNA,2.0\n2.0,1.0\n0.5,0.1\n", "line 3: numbers instead of names: NA, 2.0"),
        (FRAME.to_csv(), r"column 1 of data has no name \(''\).*row\.names=FALSE, index=False"),
        ('"","a","b"\n"1",1,2\n"2",2,5\n', "column 1 of data has no name"),
        (FRAME.reset_index(names="Unnamed: 0").to_csv(index=False), r"column 1 of data has no name \('Unnamed: 0'\)"),
        ("a,b,\n1,2,\n3,1,\n", "column 3 of data has no name"),
        ('"a" "b"\n"1" 1 2\n"2" 2 5\n', "line 1"),
        ("a\tb\n1\t1\t2\n2\t2\t5\n", "line 2: 3 entries, expected 2. Its first entry may be a row name"),
        ("a,b\n1,2\n3\n", "line 3: 1 entries, expected 2$"),
        ("a;b\n1,5;2\n2;3\n", "line 2, column 'a': '1,5' has a decimal comma"),
        ('a,b\n"1,234.5",2\n2,3\n', "'1,234.5' has a decimal comma or a separator"),
        ("a,b\n1_000,2\n2,3\n", "'1_000' is not a number"),
        ("a,b\n1,2\nNA,3\n", r"line 3, column 'a': a missing value \('NA'\)"),
        ("a,b\n1,2\n,3\n", r"line 3, column 'a': a missing value \(''\)"),
        ("a,b\n1,2\ninf,3\n", "data row 1, column 'a' is inf"),
        ("a,b\n1,2\nTRUE,3\n", "'TRUE' is not a number"),
        ("a,a\n1,2\n2,3\n", "several columns with the name 'a'"),
        ("a,b\n1,2\n1,3\n", "column 'a' is constant: every row has 1"),
        ('a,b\n"1,2\n3,4\n', "line 3: unexpected end of data"),
        ("a,b\n", "at least 2 rows, got 0"),
        ("\n \n", "is empty"),
    ],
)
def test_files_that_raise(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"(?s)^BayesNet: .*{message}"):
        read(tmp_path, text)


@pytest.mark.parametrize("encoded", ["été,b\n1,1\n2,5\n".encode("latin-1"), "a,b\n1,1\n2,5\n".encode("utf-16")])
def test_other_encodings_raise(tmp_path: Path, encoded: bytes) -> None:
    (tmp_path / "data.csv").write_bytes(encoded)
    with pytest.raises(ValueError, match=r"BayesNet: .*data\.csv.* is not UTF-8"):
        BayesNet(data=tmp_path / "data.csv")


def test_a_quoted_line_break_does_not_shift_line_numbers(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="line 4, column 'b'"):
        read(tmp_path, '"a\nc",b\n1,2\n3,x\n')


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (FRAME, ("a", "b")),
        (FRAME.set_axis([7, 7, 1]), ("a", "b")),  # rows have no order, so their labels have no effect
        (FRAME.convert_dtypes(), ("a", "b")),
        (pandas.DataFrame(TABLE), ("0", "1")),
        (dict(FRAME), ("a", "b")),
        ({2001: TABLE[:, 0], 2002: TABLE[:, 1].tolist()}, ("2001", "2002")),
        (np.rec.fromarrays(TABLE.T, names="a,b"), ("a", "b")),
        (np.ma.array(TABLE), ("X0", "X1")),
        (TABLE.astype(object), ("X0", "X1")),
        (torch.tensor(TABLE), ("X0", "X1")),
        (TABLE.tolist(), ("X0", "X1")),
        (tuple(map(tuple, TABLE.astype(int))), ("X0", "X1")),
    ],
)
def test_containers(data: Any, names: tuple[str, ...]) -> None:
    found, values = read_table(data, "BayesNet")
    assert found == names
    np.testing.assert_array_equal(values, TABLE)


def masked() -> Any:
    return np.ma.array(TABLE, mask=[[0, 0], [0, 1], [0, 0]])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (masked, r"data\[1, 1\] is masked"),
        (lambda: list(masked()), r"data\[1\]\[1\] is masked"),
        (lambda: {"a": masked()[:, 0], "b": masked()[:, 1]}, r"data\['b'\]\[1\] is masked"),
        (lambda: TABLE + 1j, "complex numbers"),
        (lambda: TABLE.astype(str), "got text"),
        (lambda: TABLE.astype(str).tolist(), r"data\[0\]\[0\] is text, not a number: '1.0'"),
        (lambda: FRAME.astype(str), r"data\['a'\].* text"),
        (lambda: TABLE > 1, "got booleans"),
        (lambda: FRAME > 1, r"data\['a'\] must be an array of real numbers, got booleans"),
        (lambda: FRAME.assign(b=pandas.to_datetime(["2020", "2021", "2022"])), r"data\['b'\].*got dates"),
        (lambda: FRAME.assign(b=pandas.Categorical(["x", "y", "z"])), r"data\['b'\]\[0\] is text"),
        (lambda: FRAME.assign(b=[1.0, np.nan, 2.0]), "data row 1, column 'b' is nan"),
        (
            lambda: FRAME.assign(b=pandas.array([1, None, 2], dtype="Int64")),
            r"row 1, column 'b' is nan|data\['b'\]\[1\]",
        ),
        (lambda: FRAME.set_axis(["a", "a"], axis=1), "several columns with the name 'a'"),
        (lambda: FRAME.set_axis([1, "1"], axis=1), "several columns with the name '1'"),
        (
            lambda: FRAME.set_axis([("a", 1), ("a", 2)], axis=1),
            r"names of columns must be text or integers, got \('a', 1\)",
        ),
        (lambda: FRAME.set_axis(["a", np.nan], axis=1), "names of columns must be text or integers, got nan"),
        (lambda: {True: [1, 2], False: [2, 3]}, "names of columns must be text or integers, got True"),
        (lambda: {"a": FRAME.a, "b": FRAME.b[::-1]}, "column 'b' has other row labels than column 'a'"),
        (lambda: {"a": 1.0, "b": 2.0}, r"data\['a'\] must have one dimension, got shape \(\)"),
        (lambda: {"a": {1, 2}, "b": {3, 4}}, r"data\['a'\] is a set, which has no order"),
        (lambda: {"a": {0: 1, 1: 2}, "b": {0: 3, 1: 4}}, r"data\['a'\] is a mapping"),
        (lambda: {"a": iter([1, 2]), "b": [3, 4]}, "can be read only once"),
        (lambda: {"a": "12", "b": "34"}, r"data\['a'\] must be an array or a list, got the text '12'"),
        (lambda: (row for row in TABLE), "data is a generator, which can be read only once"),
        (lambda: {(1.0, 2.0), (2.0, 1.0)}, "data is a set, which has no order"),
        (lambda: [[1, 2], [2]], "rows of data have different lengths"),
        (lambda: [[1, None], [2, 3]], r"data\[0\]\[1\] is missing"),
        (lambda: {}, "at least 2 rows"),
        (lambda: 3, "two dimensions"),
    ],
)
def test_containers_that_raise(make: Callable[[], Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^BayesNet: .*{message}"):
        BayesNet(data=make())


@given(st.permutations(range(3)), st.permutations(["a", "b"]))
def test_the_order_of_rows_and_columns_has_no_effect(rows: list[int], columns: list[str]) -> None:
    """The score of one graph, named by its columns, for every order of rows and columns and every container."""
    import networkx

    frame = FRAME.iloc[rows][columns]
    expected = BayesNet(data=FRAME)
    for data in (frame, dict(frame), frame.to_records(index=False), frame.to_dict("list")):
        dag = BayesNet(data=data)
        for edges in ([], [("a", "b")], [("b", "a")]):
            graph = networkx.DiGraph(edges)
            found = dag.log_score(dag.from_digraph(graph))
            np.testing.assert_allclose(found, expected.log_score(expected.from_digraph(graph)), rtol=1e-12)
