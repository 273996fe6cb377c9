"""Layers of a multi-layer perceptron, compiled.

A network is ``weights`` and ``biases``, one a layer: (in, out) but for the last, which is (out, in), as
:class:`agents.policies.mlp.MLP` stores them. Its outputs are the forward logits, ``num_backward`` backward logits and,
where there is a flow head, log F. ReLU follows each layer but the last.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

#: Compiled code is kept beside the file, and made anew when that file changes, but not when another that it calls does.
#: Sums may be reordered, but NaN and infinity keep their meaning: they are looked for.
compiled: Any = njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp"})

#: Products of so few multiplications have a kernel of their own in OpenBLAS, twice as fast and on one thread.
SMALL_PRODUCT = 1_000_000
#: It pays for batches of up to so many rows, which are multiplied by as many at a time as it takes.
FEW_ROWS = 48


@compiled
def product(x, weight, out):
    """``out = x @ weight``."""
    piece = SMALL_PRODUCT // weight.size // 4 * 4
    if piece == 0 or len(x) > FEW_ROWS:
        np.dot(x, weight, out)
    else:
        for i in range(0, len(x), piece):
            np.dot(x[i : i + piece], weight, out[i : i + piece])


@compiled
def first_layer(tables, states, weight, bias, out):
    """The first hidden layer of ``states``, from the rows of its weight that belong to features that are not 0."""
    width = weight.shape[1]
    for i in range(len(states)):
        s = states[i]
        for j in range(width):
            out[i, j] = bias[j]
        for k in range(tables.feature.shape[1]):
            value, row = tables.value[s, k], tables.feature[s, k]
            if value != 0:
                for j in range(width):
                    out[i, j] += value * weight[row, j]
        for j in range(width):
            out[i, j] = max(out[i, j], np.float32(0))


@compiled
def add_bias_and_rectify(x, bias):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            x[i, j] = max(x[i, j] + bias[j], np.float32(0))


@compiled
def width_of_hidden(weights):
    """Units in all hidden layers."""
    total = 0
    for i in range(len(weights) - 1):
        total += weights[i].shape[1]
    return total


@compiled
def hidden_layers(weights, memory, n):
    """Matrices (n, width), one a hidden layer, that lie in ``memory`` one after another; as a list."""
    layers, start = [memory[: n * weights[0].shape[1]].reshape(n, weights[0].shape[1])], n * weights[0].shape[1]
    for i in range(1, len(weights) - 1):
        width = weights[i].shape[1]
        layers.append(memory[start : start + n * width].reshape(n, width))
        start += n * width
    return layers
