"""Condition numbers as inputs of networks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gfn_envs.arrays import FloatArray
from gfn_envs.validation import one_of, positive_int

FEATURES = ("thermometer", "fourier", "plain")


class Features:
    """A function from numbers in ranges to float32 features.

    Each number x is scaled to t in [0, 1]. "thermometer": clip(bins t - i, 0, 1) for i < bins, as Jain et al. 2023
    encode conditions. "fourier": t and sin, cos of pi 2^i t for i < bins / 2. "plain": t. Numbers whose range is a
    single value have no features.

    Args:
        low, high: ranges of k numbers, each (k,).
        kind: one of ``FEATURES``.
        bins: features per number, for "thermometer" and "fourier".

    Raises:
        ValueError: an unknown kind, or ``bins`` is not an integer >= 1.
    """

    def __init__(self, low: FloatArray, high: FloatArray, kind: str = "thermometer", bins: int = 16):
        self.kind = one_of("features", kind, FEATURES, "conditions")
        self.bins = positive_int("bins", bins, "conditions")
        self._varies = np.flatnonzero(high > low)
        self._low, self._width = low[self._varies], (high - low)[self._varies]
        self.num_varying = len(self._varies)
        self.num_features = self.num_varying * {"thermometer": bins, "fourier": 1 + 2 * (bins // 2), "plain": 1}[kind]

    def scaled(self, conditions: npt.NDArray[np.float32]) -> FloatArray:
        """The numbers that vary, from [low, high] to [0, 1], float64 (n, k')."""
        return (conditions[:, self._varies].astype(np.float64) - self._low) / self._width

    def __call__(self, conditions: npt.NDArray[np.float32]) -> FloatArray:
        """Features of conditions (n, k), float32 (n, num_features)."""
        t = self.scaled(conditions)[:, :, None]
        if self.kind == "thermometer":
            t = np.clip(self.bins * t - np.arange(self.bins), 0, 1)
        elif self.kind == "fourier":
            waves = np.pi * 2.0 ** np.arange(self.bins // 2) * t
            t = np.concatenate([t, np.sin(waves), np.cos(waves)], axis=2)
        return t.reshape(len(conditions), self.num_features).astype(np.float32)
