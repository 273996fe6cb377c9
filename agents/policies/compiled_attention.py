"""Causal attention with its gradient, and a step of a causal transformer at the last token of each row, compiled by
Numba in single precision.

Heads are a few numbers wide. Loops over tokens are the inner ones, because they can work on many numbers at a time.
"""

from __future__ import annotations

import numpy as np

from agents.jit import compiled


@compiled
def normalize(x, weight, bias, out):
    """Layer normalization of each row, with torch's epsilon."""
    n, width = x.shape
    for i in range(n):
        mean = np.float32(0)
        for j in range(width):
            mean += x[i, j]
        mean /= width
        variance = np.float32(0)
        for j in range(width):
            variance += (x[i, j] - mean) ** 2
        scale = 1 / np.sqrt(variance / width + np.float32(1e-5))
        for j in range(width):
            out[i, j] = (x[i, j] - mean) * scale * weight[j] + bias[j]


@compiled
def softmax(scores, size, highest, bits):
    """Replace the first ``size`` scores by exp(score - highest), and return their sum.

    exp(x) is 2^n exp(r) with an integer n and |r| <= log(2) / 2, where a polynomial of degree 6 is exact to rounding.
    Such a loop takes a tenth of the time of the library's function. Nothing is below exp(-60), and NaN stays NaN.

    Args:
        scores: float32, at least ``size``; none above ``highest``.
        size: number of scores.
        highest: subtracted from the scores.
        bits: room for as many int32.
    """
    for t in range(size):
        x = scores[t] - highest
        if x < np.float32(-60):  # Products with smaller numbers could be denormal, which are slow.
            x = np.float32(-60)
        n = np.floor(x * np.float32(1.442695041) + np.float32(0.5))
        r = x - n * np.float32(0.693359375) + n * np.float32(2.12194440e-4)
        p = np.float32(1.3888889e-3)
        p = p * r + np.float32(8.3333333e-3)
        p = p * r + np.float32(4.1666667e-2)
        p = p * r + np.float32(1.6666667e-1)
        p = p * r + np.float32(0.5)
        p = p * r + np.float32(1)
        scores[t] = p * r + np.float32(1)
        bits[t] = (np.int32(n) + np.int32(127)) << np.int32(23)
    power, total = bits.view(np.float32), np.float32(0)
    for t in range(size):
        scores[t] *= power[t]
        total += scores[t]
    return total


@compiled
def scores_of(queries, i, keys, size, scale, scores):
    """``scores[t]`` = scale * queries[i]' keys[:, t] for the first ``size`` tokens.

    Four rows of keys at a time, so that the scores are read and written less often.
    """
    wide = queries.shape[1]
    for t in range(size):
        scores[t] = 0
    for j in range(0, wide - 3, 4):
        a, b, c, d = (
            queries[i, j] * scale,
            queries[i, j + 1] * scale,
            queries[i, j + 2] * scale,
            queries[i, j + 3] * scale,
        )
        for t in range(size):
            scores[t] += (a * keys[j, t] + b * keys[j + 1, t]) + (c * keys[j + 2, t] + d * keys[j + 3, t])
    for j in range(wide - wide % 4, wide):
        a = queries[i, j] * scale
        for t in range(size):
            scores[t] += a * keys[j, t]


@compiled
def mean_of(weights, size, scale, values, out, i):
    """``out[i, j]`` = scale times the sum of weights[t] * values[j, t] over the first ``size`` tokens."""
    wide = out.shape[1]
    for j in range(0, wide - 3, 4):
        a = b = c = d = np.float32(0)
        for t in range(size):
            a += weights[t] * values[j, t]
            b += weights[t] * values[j + 1, t]
            c += weights[t] * values[j + 2, t]
            d += weights[t] * values[j + 3, t]
        out[i, j], out[i, j + 1], out[i, j + 2], out[i, j + 3] = a * scale, b * scale, c * scale, d * scale
    for j in range(wide - wide % 4, wide):
        a = np.float32(0)
        for t in range(size):
            a += weights[t] * values[j, t]
        out[i, j] = a * scale


@compiled
def add_products(weights, size, rows, i, out):
    """Add weights[t] * rows[i, j] to ``out[j, t]`` for the first ``size`` tokens."""
    wide = rows.shape[1]
    for j in range(0, wide - 3, 4):
        a, b, c, d = rows[i, j], rows[i, j + 1], rows[i, j + 2], rows[i, j + 3]
        for t in range(size):
            weight = weights[t]
            out[j, t] += weight * a
            out[j + 1, t] += weight * b
            out[j + 2, t] += weight * c
            out[j + 3, t] += weight * d
    for j in range(wide - wide % 4, wide):
        for t in range(size):
            out[j, t] += weights[t] * rows[i, j]


@compiled
def transpose(rows, out):
    for t in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            out[j, t] = rows[t, j]


@compiled
def copy(rows, out):
    for t in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            out[t, j] = rows[t, j]


@compiled
def highest_of(scores, size):
    highest = scores[0]
    for t in range(1, size):
        highest = max(highest, scores[t])
    return highest


@compiled
def padded(size):
    """The next multiple of 16. Loops work on 16 numbers at a time, and on a rest one by one."""
    return (size + 15) // 16 * 16


@compiled
def causal(projected, heads, first, last):
    """Attention of tokens to themselves and the tokens before them.

    Args:
        projected: query, key and value of each token, next to each other (n, k, 3 * width).
        heads: number of heads.
        first, last: the tokens of each row whose attention is requested (n,).

    Returns:
        The attention (n, k, width), 0 for the other tokens, and the logarithm of the sum of exponentials of each query
        (n, heads, k).
    """
    n, k, width = projected.shape[0], projected.shape[1], projected.shape[2] // 3
    wide = width // heads
    scale = np.float32(1 / np.sqrt(wide))
    out, log_sums = np.zeros((n, k, width), np.float32), np.empty((n, heads, k), np.float32)
    keys, values = np.zeros((wide, padded(k)), np.float32), np.zeros((wide, padded(k)), np.float32)
    queries, found = np.empty((k, wide), np.float32), np.empty((k, wide), np.float32)
    weights, bits = np.empty(padded(k), np.float32), np.empty(padded(k), np.int32)
    for i in range(n):
        for h in range(heads):
            begin, end = h * wide, (h + 1) * wide
            copy(projected[i, :, begin:end], queries)
            transpose(projected[i, :, width + begin : width + end], keys)
            transpose(projected[i, :, 2 * width + begin : 2 * width + end], values)
            for t in range(first[i], last[i] + 1):
                size = padded(t + 1)
                scores_of(queries, t, keys, size, scale, weights)
                for u in range(t + 1, size):
                    weights[u] = -np.inf
                highest = highest_of(weights, t + 1)
                total = softmax(weights, size, highest, bits)
                mean_of(weights, size, 1 / total, values, found, t)
                log_sums[i, h, t] = highest + np.log(total)
            copy(found[first[i] : last[i] + 1], out[i, first[i] : last[i] + 1, begin:end])
    return out, log_sums


@compiled
def causal_gradient(projected, heads, first, last, out, log_sums, gradient):
    """Gradient of ``projected`` in :func:`causal`, from its arguments and results and the gradient of its attention."""
    n, k, width = out.shape
    wide, capacity = width // heads, padded(k)
    scale = np.float32(1 / np.sqrt(wide))
    result, room = np.zeros(projected.shape, np.float32), np.zeros((4, wide, capacity), np.float32)
    keys, values, d_keys, d_values = room[0], room[1], room[2], room[3]
    rows = np.empty((3, k, wide), np.float32)
    queries, d_out, found = rows[0], rows[1], rows[2]
    weights, slopes, bits = np.empty(capacity, np.float32), np.empty(capacity, np.float32), np.empty(capacity, np.int32)
    for i in range(n):
        for h in range(heads):
            begin, end = h * wide, (h + 1) * wide
            key, value = slice(width + begin, width + end), slice(2 * width + begin, 2 * width + end)
            copy(projected[i, :, begin:end], queries)
            copy(gradient[i, :, begin:end], d_out)
            transpose(projected[i, :, key], keys)
            transpose(projected[i, :, value], values)
            for j in range(wide):
                for t in range(capacity):
                    d_keys[j, t] = d_values[j, t] = 0
            for t in range(first[i], last[i] + 1):
                size = padded(t + 1)
                scores_of(queries, t, keys, size, scale, weights)
                for u in range(t + 1, size):
                    weights[u] = -np.inf
                softmax(weights, size, log_sums[i, h, t], bits)
                scores_of(d_out, t, values, size, scale, slopes)
                mean = np.float32(0)
                for j in range(wide):
                    mean += d_out[t, j] * out[i, t, begin + j] * scale
                for u in range(size):
                    slopes[u] = weights[u] * (slopes[u] - mean)
                mean_of(slopes, size, np.float32(1), keys, found, t)
                add_products(slopes, size, queries, t, d_keys)
                add_products(weights, size, d_out, t, d_values)
            copy(found[first[i] : last[i] + 1], result[i, first[i] : last[i] + 1, begin:end])
            transpose(d_keys[:, :k], result[i, :, key])
            transpose(d_values[:, :k], result[i, :, value])
    return result


@compiled
def attend(projected, slots, size, past, out):
    """Attention of the last token of each row to itself and the ``size`` tokens before it.

    Args:
        projected: query, key and value of the last tokens, next to each other (n, 3 * width).
        slots: the rows of ``past`` (n,).
        size: number of tokens before the last ones.
        past: keys and values of one layer (2, slots, heads, width per head, capacity); those of the last tokens are
            written into it.
        out: (n, width).
    """
    heads, wide = past.shape[2], past.shape[3]
    scale = np.float32(1 / np.sqrt(wide))
    split, found = projected.reshape(3 * heads * len(slots), wide), out.reshape(heads * len(slots), wide)
    weights, bits = np.empty(size + 1, np.float32), np.empty(size + 1, np.int32)
    for i in range(len(slots)):
        for h in range(heads):
            keys, values, row = past[0, slots[i], h], past[1, slots[i], h], 3 * heads * i + h
            for j in range(wide):
                keys[j, size] = split[row + heads, j]
                values[j, size] = split[row + 2 * heads, j]
            scores_of(split, row, keys, size + 1, scale, weights)
            total = softmax(weights, size + 1, highest_of(weights, size + 1), bits)
            mean_of(weights, size + 1, 1 / total, values, found, heads * i + h)


@compiled
def append(x, slots, size, past, norms, project, merge, widen, narrow):
    """All layers of :meth:`agents.policies.attention.AttentionLayer.append`, which this equals up to rounding.

    Args:
        x: embedding of the last tokens (n, width), replaced by the output of the last layer.
        slots: the row of each in ``past`` (n,).
        size: number of tokens before them.
        past: (layers, 2, slots, heads, width per head, capacity), as in :func:`attend`.
        norms: weight and bias of the normalizations before and between (layers, 4, width).
        project, merge, widen, narrow: weights (layers, in + 1, out) of the linear maps; the last rows are the biases.
    """
    n, width = x.shape
    normed, other = np.empty_like(x), np.empty_like(x)
    projected = np.empty((n, 3 * width), np.float32)
    hidden = np.empty((n, widen.shape[2]), np.float32)
    for layer in range(len(norms)):
        normalize(x, norms[layer, 0], norms[layer, 1], normed)
        np.dot(normed, project[layer, :-1], projected)
        projected += project[layer, -1]
        attend(projected, slots, size, past[layer], normed)
        np.dot(normed, merge[layer, :-1], other)
        x += other + merge[layer, -1]
        normalize(x, norms[layer, 2], norms[layer, 3], normed)
        np.dot(normed, widen[layer, :-1], hidden)
        np.maximum(hidden + widen[layer, -1], np.float32(0), hidden)
        np.dot(hidden, narrow[layer, :-1], other)
        x += other + narrow[layer, -1]
