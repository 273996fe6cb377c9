"""Binding energies of RNA by ViennaRNA (the extra ``rna``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gfn_envs.arrays import FloatArray

PAIR = str.maketrans("ACGU", "UGCA")


def duplex_energy(strand: str, other: str) -> float:
    """Minimum free energy of the duplex of two strands, in kcal/mol, by RNAduplex.

    Raises:
        ImportError: ViennaRNA is not installed.
    """
    return float(_vienna().duplexfold(strand, other).energy)


def best_energy(target: str) -> float:
    """Energy of a target with its reverse complement, in kcal/mol: the lowest that a strand of its length can have."""
    return duplex_energy(target.translate(PAIR)[::-1], target)


def binding(strings: Sequence[str], targets: Sequence[str], lowest: Sequence[float], length: int) -> FloatArray:
    """Binding strength of strings to targets: the mean of energy / (length * lowest energy per base), float64 (n,).

    Args:
        strings: the strands (n).
        targets: the targets.
        lowest: :func:`best_energy` of each target.
        length: number of bases that a strand is compared with: one of this length that binds as well per base as the
            reverse complement of the target has the value 1.
    """
    scale = [energy * length / len(target) for energy, target in zip(lowest, targets, strict=True)]
    energies = [[duplex_energy(target, string) for target in targets] for string in strings]
    return (np.array(energies, dtype=np.float64).reshape(-1, len(targets)) / scale).mean(1)


def _vienna() -> Any:
    """The module of ViennaRNA. Raises ImportError if it is not installed."""
    try:
        import RNA
    except ImportError:
        raise ImportError("RNA: binding energies need ViennaRNA: pip install 'gfn-envs[rna]'") from None
    return RNA
