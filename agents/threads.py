"""The number of working threads: one for matrix products, unless a caller asks for more, and one per part of a batch.

A second thread hardly helps the small matrix products of most policies. Thread pools of libraries wait by spinning, so
an iteration takes up to 100 times as long if another process needs a core. Parts of a large batch, in contrast, are
independent, and Python's threads wait without spinning (:func:`map_on_threads`).
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

import torch
from threadpoolctl import ThreadpoolController

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

#: Of each Python thread: ``number``, threads of the innermost context; ``limit``, the number that a caller asked for.
_context = threading.local()


@contextlib.contextmanager
def working_threads(number: int | None = None) -> Iterator[None]:
    """Within this context, torch and the BLAS of NumPy and SciPy work on ``number`` threads. It restores their numbers.

    Args:
        number: number of threads. Default: that of the enclosing context, otherwise 1.

    Raises:
        ValueError: ``number`` is below 1.
    """
    if number is not None and number < 1:
        raise ValueError(f"threads must be at least 1, got {number}")
    outer, limit = getattr(_context, "number", None), getattr(_context, "limit", None)
    chosen = number or outer or 1
    _context.limit = number or limit
    if chosen == outer:
        _blas.follow(chosen)
        try:
            yield
        finally:
            _context.limit = limit
        return
    before, _context.number = torch.get_num_threads(), chosen
    if before != chosen:
        torch.set_num_threads(chosen)
    _blas.enter(chosen)
    try:
        yield
    finally:
        _context.number, _context.limit = outer, limit
        _blas.leave(outer)
        if before != chosen:
            torch.set_num_threads(before)


def on_working_threads(function: Callable[P, R]) -> Callable[P, R]:
    """A function that runs in :func:`working_threads`."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with working_threads():
            return function(*args, **kwargs)

    return wrapped


def map_on_threads(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """``function`` of each item, in order, on at most :func:`thread_limit` Python threads; in turn if there is one.

    They help functions that release the GIL.
    """
    number = min(len(items), thread_limit())
    if number < 2:
        return list(map(function, items))
    left, found = iter(range(len(items))), {}

    def work() -> None:
        for i in left:  # A step of this iterator is atomic.
            found[i] = function(items[i])

    # The calling thread works too: it has a core, and the others have had theirs.
    _blas.enter(1)  # Matrix products of several Python threads wait for each other if they have threads themselves.
    others = [_pool(number - 1).submit(work) for _ in range(number - 1)]
    try:
        work()
    finally:
        errors = [other.exception() for other in others]
        _blas.leave(getattr(_context, "number", None))
    for error in errors:
        if error is not None:
            raise error
    return [found[i] for i in range(len(items))]


def thread_limit() -> int:
    """The number that :func:`working_threads` was given, or the cores of the process, at most OMP_NUM_THREADS."""
    if (asked := getattr(_context, "limit", None)) is not None:
        return int(asked)
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return min(own, int(limit)) if limit.isdecimal() and int(limit) else own


@functools.lru_cache
def _pool(number: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(number, thread_name_prefix="gfn-part")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # Threads do not survive a fork.


class Blas:
    """Pools of the BLAS libraries of the process, whose sizes all its Python threads share.

    The first context in keeps the sizes that it finds, the last one out restores them.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.before: dict[str, tuple[Any, int]] = {}
        self.seen: list[Any] = []

    def enter(self, number: int) -> None:
        """Set the sizes."""
        with self.lock:
            self.users += 1
            self._set(number)

    def follow(self, number: int) -> None:
        """Set the size of a library that was loaded since, as Numba loads SciPy's with its first matrix product."""
        if self.seen is not libraries(_scipy_is_loaded()):
            with self.lock:
                self._set(number)

    def leave(self, outer: int | None) -> None:
        """Restore the sizes, or set those of the enclosing context."""
        with self.lock:
            self.users -= 1
            if outer is not None:
                self._set(outer)
            elif not self.users:
                for library, number in self.before.values():
                    resize(library, number)
                self.before.clear()

    def _set(self, number: int) -> None:
        self.seen = libraries(_scipy_is_loaded())
        for library in self.seen:
            if (before := library.num_threads) != number:
                self.before.setdefault(library.filepath, (library, before))
                resize(library, number)


_blas = Blas()


def resize(library: Any, number: int) -> None:
    """Set the number of threads of a library."""
    # threadpoolctl lets one Python thread alone change OpenBLAS, until that ends. Here a lock admits one at a time.
    release = getattr(library, "clear_controlling_thread", None)
    if release is not None:
        release(force=True)
    library.set_num_threads(number)
    if release is not None:
        release(force=True)


def _scipy_is_loaded() -> bool:
    return "scipy.linalg.cython_blas" in sys.modules


@functools.lru_cache
def libraries(scipy: bool) -> list[Any]:
    """Controllers of the BLAS libraries of the process.

    Args:
        scipy: whether SciPy's BLAS is loaded: the list is made again when that changes.
    """
    return ThreadpoolController().select(user_api="blas").lib_controllers
