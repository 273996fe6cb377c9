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
from hypothesis import given, settings
from hypothesis import strategies as st

from gfn_envs import BayesNet
from gfn_envs.envs.bayes_net import csv_table
from gfn_envs.envs.bayes_net.data_table import read_table

TABLE = np.array([[1.0, 2.0], [2.0, 5.0], [3.0, 1.0]])
FRAME = pandas.DataFrame(TABLE, columns=["a", "b"])


def read(tmp_path: Path, text: str, name: str = "data.csv") -> tuple[tuple[str, ...], list[list[float]]]:
    (tmp_path / name).write_bytes(text.encode())
    table = read_table(tmp_path / name, "BayesNet")
    return table.names, table.values.tolist()


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2\n2,5\n3,1\n",
        "a;b\n1;2\n2;5\n3;1",
        "a\tb\r\n1\t2\r\n2\t5\r\n3\t1\r\n\r\n\r\n",
        '"a", "b"\n"1", 2\n2.0e0 ,5\n\n   \n3,1\n',
        "\ufeffa,b\n1,2\n2,5\n3,1\n,\n",
        "a|b\n1|2\n2|5\n3|1\n",
        '"a" "b"\n1   2\n 2.0 5\n3 1\n',
        "a;b\n1,0;2,00\n2;5,0\n3;1e0\n",
        'a,b\n"1,0",2\n2,5\n3,1\n',
    ],
)
def test_dialects(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == (("a", "b"), TABLE.tolist())
    (tmp_path / "data.csv.gz").write_bytes(gzip.compress(text.encode()))
    assert read_table(tmp_path / "data.csv.gz", "BayesNet").names == ("a", "b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1.0,2.0\n2.0,1.0\n0.5,0.1\n", r"line 1: numbers instead of names: 1\.0, 2\.0.*numpy\.loadtxt"),
        ("\n\nNA,2.0\n2.0,1.0\n0.5,0.1\n", "line 3: numbers instead of names: NA, 2.0"),
        (FRAME.to_csv(), r"column 1 of data has no name \(''\).*row\.names=FALSE, index=False"),
        ('"","a","b"\n"1",1,2\n"2",2,5\n', "column 1 of data has no name"),
        (FRAME.reset_index(names="Unnamed: 0").to_csv(index=False), r"column 1 of data has no name \('Unnamed: 0'\)"),
        ("a,b,\n1,2,\n3,1,\n", "column 3 of data has no name"),
        ('"a" "b"\n"1" 1 2\n"2" 2 5\n', "line 2: 3 entries, expected 2. Its first entry may be a row name"),
        ("a\tb\n1\t1\t2\n2\t2\t5\n", "line 2: 3 entries, expected 2. Its first entry may be a row name"),
        ("a,b\n1,2\n3\n", "line 3: 1 entries, expected 2$"),
        ("a;b\n1,5;2.5\n2;3\n", "line 2, column 'a': '1,5' has a decimal comma"),
        ("a;b\n1,234;2\n2,345;3\n", "'1,234' may have a decimal comma or a separator of thousands: set decimal=','"),
        ("a;b\n1.234,5;2,5\n2;3\n", "line 2, column 'a': '1.234,5' has a point, but numbers .* have a decimal comma"),
        ("a,b\nlow,2\n3,3\n", "line 2, column 'a': 'low' is not a number"),
        ("a,b\nlow,2\nNA,3\n", r"line 3, column 'a': a missing value \('NA'\); .*missing='drop'"),
        ("a,b\nlow,2\nlow,3\n", "column 'a' is constant: every row has 'low'"),
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
    table = read_table(data, "BayesNet")
    assert (table.names, table.labels) == (names, (None, None))
    np.testing.assert_array_equal(table.values, TABLE)


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
        (lambda: FRAME.assign(b=pandas.to_datetime(["2020", "2021", "2022"])), r"data\['b'\].*got dates"),
        (lambda: FRAME.assign(b=["x", "y", 1.0]), r"data\['b'\]\[0\] is text"),
        (lambda: FRAME.assign(b=["x", "y", None]), "data row 2, column 'b' is nan.*missing='drop'"),
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
        (lambda: [[1, 2], [2]], "different lengths"),
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


# ---------------------------------------------------------------------- labels, missing values, marks


@pytest.mark.parametrize(
    "data",
    [
        {"a": ["x", "y", "x"], "b": [True, False, False]},
        pandas.DataFrame({"a": pandas.Categorical(["x", "y", "x"]), "b": [True, False, False]}),
        pandas.DataFrame({"a": ["x", "y", "x"], "b": pandas.array([True, False, False], dtype="boolean")}),
        np.rec.fromarrays([["x", "y", "x"], [True, False, False]], names="a,b"),
    ],
)
def test_labels(data: Any, tmp_path: Path) -> None:
    table = read_table(data, "BayesNet")
    assert table.labels == (("x", "y"), ("False", "True"))
    assert table.values.tolist() == [[0, 1], [1, 0], [0, 0]]
    (tmp_path / "data.csv").write_text("a;b\nx;True\ny;False\nx;False\n")
    read = read_table(tmp_path / "data.csv", "BayesNet")
    assert read.as_columns() == table.as_columns() == {"a": ["x", "y", "x"], "b": ["True", "False", "False"]}


def test_arrays_of_labels() -> None:
    for data in (np.array([["x", "u"], ["y", "v"], ["y", "u"]]), [["x", True], ["y", False], ["y", True]]):
        assert read_table(data, "BayesNet").values[:, 0].tolist() == [0, 1, 1]
    mixed = read_table([["x", 2.5], ["y", 1.0], ["y", 0.0]], "BayesNet")
    assert (mixed.labels, mixed.values[:, 1].tolist()) == ((("x", "y"), None), [2.5, 1.0, 0.0])


def test_the_dag_keeps_labels_in_its_arguments() -> None:
    data = {"a": ["x", "y", "x", "x"] * 5, "b": ["u", "u", "v", "u"] * 5}
    dag = BayesNet(data=data)
    assert dag.arguments["data"] == data
    assert dag.labels == (("x", "y"), ("u", "v"))
    again = BayesNet(**dag.arguments)
    np.testing.assert_array_equal(again.log_reward(again.terminal_states()), dag.log_reward(dag.terminal_states()))


GAPS = "a,b,c\n1,2,x\nNA,3,y\n2,,y\n3,1,?\n4,0,y\n5,7,x\n"


def test_rows_with_missing_values_are_dropped_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "data.csv").write_text(GAPS)
    frame = pandas.read_csv(tmp_path / "data.csv", na_values=["?"])
    lists = {name: [None if pandas.isna(v) else v for v in frame[name]] for name in frame}
    masked = {**lists, "a": np.ma.masked_invalid(frame["a"].to_numpy())}
    nullable = frame.convert_dtypes()
    for data in (tmp_path / "data.csv", frame, lists, masked, nullable, frame.to_numpy()):
        table = read_table(data, "BayesNet", missing="drop")
        assert table.dropped == 3
        assert table.values.tolist() == [[1, 2, 0], [4, 0, 1], [5, 7, 0]]
        with pytest.raises((TypeError, ValueError), match=r"missing|masked|nan|NA"):
            read_table(data, "BayesNet")
    assert "dropped 3 rows with missing values, 3 are left" in caplog.text
    with pytest.raises(ValueError, match="at least 2 rows, got 1: the other rows have missing values"):
        read_table({"a": [1.0, np.nan], "b": [2.0, 3.0]}, "BayesNet", missing="drop")


def test_separator_and_decimal_can_be_set(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("a;b,c\n1,234;x\n2,345;y\n")
    table = read_table(path, "BayesNet", separator=";", decimal=",")
    assert (table.names, table.values.tolist()) == (("a", "b,c"), [[1.234, 0], [2.345, 1]])
    with pytest.raises(ValueError, match=r"separator must be one of .*'tab', ';', ',', '\|', 'space'\), got ':'"):
        BayesNet(data=path, separator=":")
    with pytest.raises(ValueError, match=r"decimal must be one of \('auto', '\.', ','\), got ';'"):
        BayesNet(data=path, decimal=";")
    for name in ("separator", "decimal"):
        with pytest.raises(ValueError, match=f"{name} is for text files, got ',' for a DataFrame"):
            BayesNet(data=FRAME, **{name: ","})
        with pytest.raises(ValueError, match=f"{name} is for the file of data, but data is None"):
            BayesNet(3, **{name: ","})
    with pytest.raises(ValueError, match=r"missing must be one of \('raise', 'drop'\), got 'mean'"):
        BayesNet(3, missing="mean")


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6).map(lambda x: x + 0.5), st.integers(-9, 9)), min_size=3, unique=True),
    st.sampled_from([("tab", "\t"), (";", ";"), ("|", "|"), ("space", " ")]),
    st.sampled_from(".,"),
)
def test_files_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, int]], separator: tuple[str, str], decimal: str
) -> None:
    """Numbers, in every separator and decimal mark, detected or given."""
    path = tmp_path_factory.getbasetemp() / "written.csv"
    numbers = [[x, float(k + 10 * i)] for i, (x, k) in enumerate(rows)]
    text = "\n".join(separator[1].join(repr(v).replace(".", decimal) for v in row) for row in numbers)
    path.write_text(f"a{separator[1]}b\n{text}\n")
    assert read_table(path, "BayesNet", separator=separator[0], decimal=decimal).values.tolist() == numbers
    if decimal == "." or any(
        not csv_table.GROUPED.fullmatch(repr(v).replace(".", ",")) for row in numbers for v in row
    ):
        assert read_table(path, "BayesNet").values.tolist() == numbers
