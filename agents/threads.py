"""The number of working threads: one, unless a caller asks for more.

A second thread hardly helps the small matrix products of most policies. Thread pools wait by spinning, so an iteration
takes up to 100 times as long if another process needs a core. To use more cores, use more processes
(:mod:`agents.distributed`).
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

import torch
from threadpoolctl import ThreadpoolController

P = ParamSpec("P")
R = TypeVar("R")

#: ``number``: threads of the innermost context of each Python thread.
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
    outer = getattr(_context, "number", None)
    chosen = number or outer or 1
    if chosen == outer:
        _blas.follow(chosen)
        yield
        return
    before, _context.number = torch.get_num_threads(), chosen
    if before != chosen:
        torch.set_num_threads(chosen)
    _blas.enter(chosen)
    try:
        yield
    finally:
        _context.number = outer
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
