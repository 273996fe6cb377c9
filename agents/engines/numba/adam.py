"""Adam, compiled. Torch's Adam would start torch's threads, which compete with those of the matrix products."""

from __future__ import annotations

import numpy as np

from agents.jit import compiled


@compiled
def clip(gradients, cap):
    """Scale gradients down to the Euclidean norm ``cap``, in place, as ``torch.nn.utils.clip_grad_norm_`` does."""
    total = 0.0
    for gradient in gradients:
        for g in gradient:
            total += g * g
    scale = np.float32(cap / (np.sqrt(total) + 1e-6))
    if scale < 1:
        for gradient in gradients:
            gradient *= scale


@compiled
def adam(p, g, m, v, steps, lr, beta1, beta2, eps):
    """Adam's step on a flat array, in place (Kingma and Ba 2015, algorithm 1). Increments ``steps`` (1,).

    Args:
        p, g, m, v: parameters, gradient, and its first and second moment.
    """
    steps[0] += np.float32(1)
    step = float(steps[0])
    one_minus_beta1, one_minus_beta2 = np.float32(1 - beta1), np.float32(1 - beta2)
    decay, epsilon = np.float32(beta2), np.float32(eps)
    size, scale = np.float32(lr / (1 - beta1**step)), np.float32(1 / np.sqrt(1 - beta2**step))
    for j in range(len(p)):
        m[j] += one_minus_beta1 * (g[j] - m[j])
        v[j] = decay * v[j] + one_minus_beta2 * g[j] * g[j]
        p[j] -= size * m[j] / (np.sqrt(v[j]) * scale + epsilon)
