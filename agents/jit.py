"""Numba's decorator with the options of all compiled loops. Importing this module imports Numba, which is optional."""

from __future__ import annotations

from typing import Any

from numba import njit

jit: Any = njit
compiled = jit(
    cache=True,
    nogil=True,
    error_model="numpy",
    # Sums may be reordered, but NaN and infinity keep their meaning: the code tests for them.
    fastmath={"reassoc", "contract", "nsz", "arcp"},
    no_cfunc_wrapper=True,  # A wrapper that nothing calls took an eighth of the time to compile.
)
