"""Pickles of data: read without executing anything."""

from __future__ import annotations

import collections
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gfn_envs.data import safe_pickle as unpickling
from gfn_envs.data.safe_pickle import UnsafePickleError, read_pickle

PLAIN = [
    None,
    3,
    2**80,
    -1.5,
    "text",
    b"bytes",
    [1, [2, (3, "x")], {}],
    {"a": {1, 2}, (1, "b"): [None, True]},
    frozenset({1}),
]


ARRAYS = [
    np.arange(6).reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.array([True, False]),
    np.array(["a", "bcd"]),
    np.array([b"x"]),
    np.zeros((0, 3), dtype=np.float32),
    np.arange(3, dtype=">i2"),
    np.array([(1, 2.5), (3, 4.5)], dtype=[("i", "u1"), ("x", "<f8")]),
    np.array([(1, 2.5)], dtype=np.dtype([("i", "u1"), ("x", "<f8")], align=True)),
]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_containers_and_arrays_are_read(protocol: int) -> None:
    plain = PLAIN if protocol > 3 else [value for value in PLAIN if not isinstance(value, frozenset | dict)]
    assert read_pickle(pickle.dumps(plain, protocol)) == plain
    for array in ARRAYS:
        found = read_pickle(pickle.dumps({"x": [array, array]}, protocol))["x"]
        assert found[0] is found[1]
        assert found[0].dtype == array.dtype
        np.testing.assert_array_equal(found[0], array)
        assert found[0].flags.f_contiguous == array.flags.f_contiguous
    for scalar in (np.float32(0.1), np.int64(-7), np.bool_(True)):
        assert read_pickle(pickle.dumps(scalar, protocol)) == scalar.item()


class Runs:
    """Writes a file when it is loaded by a plain unpickler."""

    def __init__(self, function: Any, *arguments: Any):
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


class Holder:
    pass


def hostile(path: Path) -> list[Any]:
    return [
        Runs(os.system, f"touch {path}"),
        Runs(open, str(path), "w"),
        Runs(eval, f"open({str(path)!r}, 'w')"),
        Runs(exec, f"open({str(path)!r}, 'w')"),
        Runs(getattr, os, "system"),
        Runs(np.fromfile, str(path)),
        Runs(np.load, str(path)),
        Runs(np.memmap, str(path), "uint8", "w+", 0, (4,)),
        Runs(np.ndarray, (1,), "O", b"\x00" * 8),
        Runs(bytearray, 10**12),
        Runs(collections.defaultdict, list),
        np.array([Holder()], dtype=object),
        np.zeros(2, dtype="datetime64[s]"),
        np.random.default_rng(0),
        Holder(),
        Holder,
        print,
        np.dtype("f8"),
        np.ndarray,
        np.ma.masked_array([1.0]),
    ]


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("case", range(len(hostile(Path("x")))))
def test_malicious_pickles_raise_and_are_not_run(case: int, protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "touched"
    value = hostile(path)[case]
    for wrapped in (value, [value], {"x": (1, value)}):
        try:
            data = pickle.dumps(wrapped, protocol)
        except TypeError:  # Modules cannot be pickled.
            continue
        with pytest.raises(UnsafePickleError):
            read_pickle(data)
        assert not path.exists()


def test_the_test_is_hostile(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Runs(os.system, f"touch {tmp_path / 'touched'}")))
    assert (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cannot be read"),
        (b"\x80\x04", "cannot be read"),
        (b"\x80\x63.", "cannot be read"),
        (b"\xff" * 40, "cannot be read"),
        (pickle.dumps([1]) + b"x", "1 bytes after the end"),
        (b"Pxyz\n.", "outside itself"),
        (b"\x8c\x02os\x8c\x06system\x93.", r"names os\.system"),
        (b"cposix\nsystem\n(S'true'\ntR.", r"names posix\.system"),
        (b"(S'true'\niposix\nsystem\n.", r"names posix\.system"),
        (b"]\x94h\x00a.", "contains itself"),
        (b"]" + b"]a" * 0 + b"(" * 10 + b".", "unsafe|cannot be read"),
        (b"]" * 30_000 + b"a" * 29_999 + b".", "nested too deeply|cannot be read"),
        # State for a class of ours: (None, {"__new__": ...}) must not reach it.
        (b"c_codecs\nencode\n(N(S'x'\nI1\ndtb.", "cannot be read|unsafe"),
        (b"cnumpy\ndtype\n(N(S'x'\nI1\ndtb.", "cannot be read|unsafe"),
    ],
)
def test_damaged_and_forged_pickles_raise(data: bytes, message: str) -> None:
    before = {name: dict(vars(stand_in)) for name, stand_in in unpickling._STAND_INS.items()}
    with pytest.raises(UnsafePickleError, match=message):
        read_pickle(data)
    assert before == {name: dict(vars(stand_in)) for name, stand_in in unpickling._STAND_INS.items()}


@pytest.mark.parametrize("keep", range(1, 60, 3))
def test_truncated_arrays_raise(keep: int) -> None:
    data = pickle.dumps({"x": np.arange(9)}, 4)
    with pytest.raises(UnsafePickleError):
        read_pickle(data[:-keep])


def test_shapes_and_bytes_must_agree() -> None:
    data = pickle.dumps(np.arange(3, dtype="<i8"), 4)
    at = data.index(b"K\x03\x85")  # the shape (3,)
    with pytest.raises(UnsafePickleError, match=r"24 bytes whose shape \(200,\) needs 1600"):
        read_pickle(data[: at + 1] + struct.pack("B", 200) + data[at + 2 :])


def test_records_are_attributes_of_allowed_classes() -> None:
    holder = Holder()
    holder.weights, holder.name = [np.ones(2)], "n"
    name = f"{Holder.__module__}.Holder"
    record = read_pickle(pickle.dumps(holder), [name])
    assert type(record) is unpickling.Record
    assert record["name"] == "n"
    np.testing.assert_array_equal(record["weights"][0], np.ones(2))
    with pytest.raises(UnsafePickleError, match="has no 'bias'; it has: name, weights"):
        record["bias"]
    with pytest.raises(UnsafePickleError, match="an object made with arguments"):
        read_pickle(pickle.dumps(Runs(Holder, 1)).replace(b"Runs", b"Runs"), [name])
