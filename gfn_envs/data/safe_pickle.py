"""Safe reading of untrusted pickles that hold only numbers, text, plain containers and arrays.

A pickle is a program that can call any function by name. Here each allowed name maps to a small class of this file that
only stores its arguments, and any other name raises. So the file cannot run any other code, not even NumPy's. Arrays
are created afterwards from bytes whose number was checked.
"""

from __future__ import annotations

import gzip
import io
import math
import pickle
import zlib
from collections.abc import Collection
from typing import Any

import numpy as np


class UnsafePickleError(ValueError):
    """The pickle is damaged, or holds something other than arrays and plain containers."""


class Record:
    """An object of a class that the caller allowed by name: its attributes without its methods."""

    def __init__(self, *arguments: Any) -> None:
        _require(not arguments, "an object made with arguments")
        self.attributes: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        _require(isinstance(state, dict) and all(isinstance(key, str) for key in state), "attributes without names")
        self.attributes = state

    def __getitem__(self, name: str) -> Any:
        """An attribute. Raises UnsafePickleError if the name is unknown."""
        if name not in self.attributes:
            raise UnsafePickleError(f"the pickled object has no {name!r}; it has: {', '.join(sorted(self.attributes))}")
        return self.attributes[name]


def read_pickle(data: bytes, records: Collection[str] = ()) -> Any:
    """The content of a pickle, read without running any code that it names.

    Args:
        data: the whole file.
        records: full names of classes, such as ``"sklearn.tree.Tree"``, whose objects are read as :class:`Record`.

    Returns:
        Numbers (NumPy scalars as plain ones), text, bytes, lists, tuples, dicts, sets, arrays and records.

    Raises:
        UnsafePickleError: the data is damaged or truncated, has bytes after its end, or holds anything else.
    """
    stream = io.BytesIO(data)
    try:
        value = _Reader(stream, frozenset(records)).load()
        if stream.tell() != len(data):
            raise UnsafePickleError(f"{len(data) - stream.tell()} bytes after the end of the pickle")
        return _plain(value, {})
    except UnsafePickleError:
        raise
    except RecursionError:
        raise UnsafePickleError("the pickle is nested too deeply") from None
    except Exception as error:  # A malicious pickle can raise anything.
        raise UnsafePickleError(f"the pickle cannot be read: {type(error).__name__}: {error}") from None


def decompressed(data: bytes) -> bytes:
    """The content of a file, decompressed if it is gzip.

    Raises:
        UnsafePickleError: it is damaged gzip.
    """
    try:
        return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    except (OSError, EOFError, zlib.error) as error:
        raise UnsafePickleError(f"damaged gzip: {error}") from None


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise UnsafePickleError(f"unsafe: the pickle holds {what}")


class _Reader(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, records: frozenset[str]):
        super().__init__(stream)
        self._records = records

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full in _STAND_INS:
            return _STAND_INS[full]
        if full in self._records:
            return Record
        raise UnsafePickleError(f"unsafe: the pickle names {full}, which is not an array or a plain container")

    def persistent_load(self, pid: Any) -> Any:
        raise UnsafePickleError("unsafe: the pickle refers to an object outside itself")


# ---------------------------------------------------------------------- stand-ins for NumPy's names


class _StandIn:
    """Base class. It accepts no state, so that a pickle cannot set attributes of stand-ins."""

    def __setstate__(self, state: Any) -> None:
        _require(False, "state of something that has none")


class _Dtype(_StandIn):
    """Stand-in for numpy.dtype: booleans, integers, floats, text and structures of them; never Python objects."""

    def __init__(self, code: str, *flags: Any) -> None:
        _require(isinstance(code, str) and code[:1] in tuple("biufcSUV"), f"an array of type {code!r}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        _, order, subarray, names, fields, size, *_ = state
        _require(subarray is None, "an array of subarrays")
        _require(order in ("<", ">", "=", "|"), f"the byte order {order!r}")
        if names is None:
            _require(self.dtype.kind != "V", "an array of raw memory")
            self.dtype = self.dtype.newbyteorder(order)
            return
        _require(all(type(fields[name][0]) is _Dtype for name in names), "a structure without types")
        formats, offsets = [fields[name][0].dtype for name in names], [fields[name][1] for name in names]
        # NumPy raises if fields exceed itemsize.
        self.dtype = np.dtype({"names": list(names), "formats": formats, "offsets": offsets, "itemsize": size})
        _require(not self.dtype.hasobject, "an array of objects")


class _Array(_StandIn):
    """Stand-in for an ndarray made by ``_reconstruct``; its state provides the content."""

    def __init__(self, kind: Any, shape: Any, code: Any) -> None:
        _require(kind is _NdarrayName, "an array of an unknown kind")
        self.value: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        self.value = _array(data, dtype, shape, "F" if fortran else "C")


class _NdarrayName(_StandIn):
    """Stand-in for the name numpy.ndarray, which is only used as an argument."""

    def __init__(self, *arguments: Any) -> None:
        _require(False, "a call of numpy.ndarray")


class _FromBuffer(_Array):
    """Stand-in for ``_frombuffer`` (protocol 5)."""

    def __init__(self, data: Any, dtype: Any, shape: Any, order: Any) -> None:
        _require(order in ("C", "F"), f"the memory order {order!r}")
        self.value = _array(data, dtype, shape, order)

    def __setstate__(self, state: Any) -> None:
        _require(False, "an array with two states")


class _Scalar(_StandIn):
    """Stand-in for NumPy's ``scalar``; creates a plain number."""

    def __new__(cls, dtype: Any, data: Any = b"") -> Any:
        return _array(data, dtype, (), "C").item()


class _Encode(_StandIn):
    """Stand-in for ``_codecs.encode``, which older protocols use for bytes."""

    def __new__(cls, text: Any, encoding: Any = "") -> Any:
        _require(isinstance(text, str) and encoding == "latin1", "a call of _codecs.encode on something else")
        return text.encode("latin1")


class _NoBytes(_StandIn):
    """Stand-in for ``bytes``, which older protocols call for b""."""

    def __new__(cls, *arguments: Any) -> Any:
        _require(not arguments, "a call of bytes with arguments")
        return b""


_STAND_INS: dict[str, Any] = {
    "__builtin__.bytes": _NoBytes,
    "numpy.dtype": _Dtype,
    "numpy.ndarray": _NdarrayName,
    "_codecs.encode": _Encode,
    **{f"numpy.{core}.multiarray._reconstruct": _Array for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": _Scalar for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _FromBuffer for core in ("core", "_core")},
}


def _array(data: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    """An array with its own memory. The number of bytes must match the shape and dtype."""
    _require(type(dtype) is _Dtype, "an array without a type")
    _require(isinstance(shape, tuple) and all(type(s) is int and s >= 0 for s in shape), f"the shape {shape!r}")
    _require(isinstance(data, bytes | bytearray), "an array without bytes")
    expected = math.prod(shape) * dtype.dtype.itemsize
    _require(len(data) == expected, f"an array of {len(data)} bytes whose shape {shape} needs {expected}")
    return np.frombuffer(bytes(data), dtype.dtype).reshape(shape, order=order).copy(order)


def _plain(value: Any, done: dict[int, Any]) -> Any:
    """``value`` with stand-ins replaced by arrays. Shared objects stay shared."""
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | bytearray):
        return value
    if id(value) in done:
        _require(done[id(value)] is not done, "an object that contains itself")
        return done[id(value)]
    done[id(value)] = done  # marks an object whose content is being read
    result: Any
    if isinstance(value, _Array):
        _require(value.value is not None, "an array without content")
        result = value.value
    elif isinstance(value, list | tuple):
        result = type(value)([_plain(item, done) for item in value])
    elif isinstance(value, dict):
        result = {_plain(key, done): _plain(item, done) for key, item in value.items()}
    elif isinstance(value, set | frozenset):
        result = type(value)(_plain(item, done) for item in value)
    elif type(value) is Record:
        result = Record()
        result.attributes = _plain(value.attributes, done)
    else:
        raise UnsafePickleError(f"unsafe: the pickle holds a bare {type(value).__name__.strip('_')}")
    done[id(value)] = result
    return result
