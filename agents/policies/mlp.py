"""Multi-layer perceptron."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from gfn_envs.arrays import FloatArray

#: Up to so many multiplications OpenBLAS has a kernel for small matrices, half again as fast as its general one.
SMALL_PRODUCT = 10**6


def product(x: FloatArray, weight: FloatArray) -> FloatArray:
    """``x @ weight`` (n, out), by as many rows at a time as make a small product."""
    pieces = -(-len(x) * weight.size // SMALL_PRODUCT)
    if pieces <= 1:
        return x @ weight
    rows, out = -(-len(x) // pieces), np.empty((len(x), weight.shape[1]), np.result_type(x, weight))
    for first in range(0, len(x), rows):
        np.matmul(x[first : first + rows], weight, out=out[first : first + rows])
    return out


class MLP(nn.Module):
    """Linear layers with ReLU between them; sizes (in, hidden..., out); first weights drawn as ``nn.Linear`` does.

    Weights are stored (in, out) rather than (out, in): the products of small batches in rollouts are then half again as
    fast. Only those of the last layer are stored (out, in), as products with a handful of columns are slow. Layers are
    plain function calls, because a module call costs more than a small matrix product.
    """

    def __init__(self, sizes: Sequence[int]):
        super().__init__()
        self.layers: list[tuple[nn.Parameter, nn.Parameter]] = []
        for i, (a, b) in enumerate(itertools.pairwise(sizes)):
            layer, last = nn.Linear(a, b), i == len(sizes) - 2
            weight = layer.weight.detach()
            self.layers.append((nn.Parameter(weight if last else weight.t().contiguous()), layer.bias))
            # A ParameterList would be walked at every call, at the price of a matrix product.
            self.register_parameter(f"weight{i}", self.layers[-1][0])
            self.register_parameter(f"bias{i}", self.layers[-1][1])

    def forward(self, x: Tensor) -> Tensor:
        *hidden, (weight, bias) = self.layers
        for w, b in hidden:
            x = torch.addmm(b, x, w).relu_()
        return torch.addmm(bias, x, weight.t())

    def columns(self, first: int, last: int) -> Callable[[Tensor], Tensor]:
        """A lean function for rollouts, inside ``torch.inference_mode()``, that gives outputs ``first:last`` only."""
        *hidden, (weight, bias) = self.layers
        head, head_bias = weight[first:last].t(), bias[first:last]

        def run(x: Tensor) -> Tensor:
            for w, b in hidden:
                x = torch.addmm(b, x, w).relu_()
            return torch.addmm(head_bias, x, head)

        return run

    def numpy_columns(self, first: int, last: int) -> Callable[[FloatArray], FloatArray]:
        """The same in NumPy, on the CPU: for a handful of rows its matrix product costs half as much."""
        *hidden, (weight, bias) = [(w.detach().numpy(), b.detach().numpy()) for w, b in self.layers]
        head, head_bias = np.ascontiguousarray(weight[first:last].T), bias[first:last]

        def run(x: FloatArray) -> FloatArray:
            for w, b in hidden:
                x = product(x, w)
                np.maximum(np.add(x, b, out=x), 0, out=x)
            return x @ head + head_bias

        return run
