"""Models of substitution with equal frequencies of A, C, G and T: JC69 and K80."""

from __future__ import annotations

import numpy as np

from gfn_envs.arrays import FloatArray

#: Eigenvectors of both models, one per column: the mean, purine or pyrimidine, and two contrasts within these.
#: The matrix is orthogonal and symmetric, so that it is its own inverse.
SPECTRUM = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2.0

MODELS = ("jc69", "k80")


def rates(model: str, kappa: float) -> FloatArray:
    """Eigenvalues of the rate matrix, float64 (4,): P(b) = SPECTRUM diag(exp(rates b)) SPECTRUM.

    A branch of length b has b expected substitutions per site.

    Args:
        model: "jc69", all substitutions have the same rate (Jukes and Cantor 1969); "k80", a transition (A-G, C-T) has
            ``kappa`` times the rate of a transversion (Kimura 1980).
        kappa: that ratio of rates. It is 1 in JC69, whatever is given.
    """
    kappa = 1.0 if model == "jc69" else kappa
    within = -2 * (kappa + 1) / (kappa + 2)
    return np.array([0.0, -4 / (kappa + 2), within, within])
