"""Multi-layer perceptron."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gfn_envs.arrays import FloatArray

#: Slope of leaky ReLU at negative inputs, torch's default.
LEAKY_SLOPE = 0.01
#: Penalty of squared weights in :meth:`MLP.add_to_last_output`.
RIDGE = 0.1


class MLP(nn.Module):
    """Linear layers with ReLU between them; sizes (in, hidden..., out); initialized as ``nn.Linear``.

    Inputs are features (n, in), or the columns of those that are 1, int64 (n, k), if all others are 0; -1 stands for no
    column. ``slope``, in [0, 1), is that of the ReLU at negative inputs.

    Weights are stored (in, out), which makes products of small batches in rollouts 1.5 times as fast. Those of the last
    layer are stored (out, in), because products with few columns are slow. Layers are plain function calls, because a
    module call costs more than a small matrix product.
    """

    #: Whether outputs have second derivatives also if inputs are lists of columns, which takes longer.
    twice_differentiable = False

    def __init__(self, sizes: Sequence[int], slope: float = 0.0):
        super().__init__()
        self.slope = slope
        self.layers: list[tuple[nn.Parameter, nn.Parameter]] = []
        for i, (a, b) in enumerate(itertools.pairwise(sizes)):
            layer, last = nn.Linear(a, b), i == len(sizes) - 2
            weight = layer.weight.detach()
            self.layers.append((nn.Parameter(weight if last else weight.t().contiguous()), layer.bias))
            # Iterating over a ParameterList at every call costs as much as a matrix product.
            self.register_parameter(f"weight{i}", self.layers[-1][0])
            self.register_parameter(f"bias{i}", self.layers[-1][1])

    def sum_of_rows(self, weight: Tensor, rows: Tensor) -> Tensor:
        """The first layer, without its bias, of lists of active features."""
        return (sum_of_rows_twice_differentiable if self.twice_differentiable else sum_of_rows)(weight, rows)

    @property
    def last_bias(self) -> nn.Parameter:
        """The bias of the outputs."""
        return self.layers[-1][1]

    def forward(self, x: Tensor) -> Tensor:
        return self.columns(0, len(self.last_bias))(x)

    def activate(self, x: Tensor) -> Tensor:
        """ReLU, in place."""
        return functional.leaky_relu_(x, self.slope) if self.slope else x.relu_()

    def numpy_activate(self, x: FloatArray) -> FloatArray:
        """:func:`activate` for an array."""
        return np.maximum(x, self.slope * x if self.slope else 0, out=x)

    def columns(self, first: int, last: int) -> Callable[[Tensor], Tensor]:
        """A fast function for rollouts, inside ``torch.inference_mode()``, that returns outputs ``first:last`` only."""
        weight, bias = self.layers[-1]
        head, head_bias = weight[first:last].t(), bias[first:last]
        return lambda x: torch.addmm(head_bias, self.hidden(x), head)

    def hidden(self, x: Tensor) -> Tensor:
        """The last hidden layer."""
        for w, b in self.layers[:-1]:
            x = self.activate(torch.addmm(b, x, w) if x.is_floating_point() else self.sum_of_rows(w, x).add_(b))
        return x

    @torch.no_grad()
    def add_to_last_output(self, x: Tensor, change: FloatArray) -> None:
        """Change the last output by about ``change`` (n,) at inputs x, by ridge regression on the last hidden layer."""
        hidden, wanted = self.hidden(x).cpu().double(), torch.from_numpy(change)
        center, mean = hidden.mean(0), wanted.mean()
        hidden = hidden - center
        penalty = RIDGE * torch.eye(hidden.shape[1], dtype=hidden.dtype)
        slope = torch.linalg.solve(hidden.t() @ hidden + penalty, hidden.t() @ (wanted - mean))
        weight, bias = self.layers[-1]
        weight[-1] += slope.to(weight)
        bias[-1] += (mean - center @ slope).to(bias)

    def numpy_columns(self, first: int, last: int) -> Callable[[FloatArray], FloatArray]:
        """:meth:`columns` in NumPy, on the CPU, for forms of policies whose other operations are NumPy's."""
        *hidden, (weight, bias) = [(w.detach().numpy(), b.detach().numpy()) for w, b in self.layers]
        head, head_bias = np.ascontiguousarray(weight[first:last].T), bias[first:last]

        def run(x: FloatArray) -> FloatArray:
            for w, b in hidden:
                x = x @ w
                self.numpy_activate(np.add(x, b, out=x))
            return x @ head + head_bias

        return run


def sum_of_rows(weight: Tensor, rows: Tensor) -> Tensor:
    """The sum of the rows (n, k) of ``weight`` (m, width), without those that are -1; (n, width).

    It is the product of the weights with vectors of zeros and ones, without the zeros.
    """
    if len(rows) and int(rows.min()) >= 0:
        return functional.embedding_bag(rows, weight, mode="sum")
    there = rows >= 0
    counts = there.sum(1)
    return functional.embedding_bag(rows[there], weight, counts.cumsum(0) - counts, mode="sum")


def sum_of_rows_twice_differentiable(weight: Tensor, rows: Tensor) -> Tensor:
    """:func:`sum_of_rows` with second derivatives, which embedding_bag does not have."""
    return functional.embedding(rows + 1, functional.pad(weight, (0, 0, 1, 0))).sum(1)
