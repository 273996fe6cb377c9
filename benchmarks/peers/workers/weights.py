"""Layers of a trained policy in a file, for the workers of every library. NumPy only."""

import numpy as np


def layers(path):
    """Weights (inputs, outputs) and biases, one pair per layer. The outputs are those of P_F, then those of P_B."""
    with np.load(path, allow_pickle=False) as arrays:
        return [(arrays[f"weight{i}"], arrays[f"bias{i}"]) for i in range(len(arrays.files) // 2)]
