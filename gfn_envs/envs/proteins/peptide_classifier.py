"""A classifier of antimicrobial peptides in NumPy: an ensemble of small convolutional networks.

scripts/train_amp_proxy.py trains it on a data set of antimicrobial and other peptides and writes the weights to
data/amp_proxy.npz. With one-hot residues, zero padding at both ends, and m members:

    h_t = relu(b + sum_j W_j x_{t + j - (k - 1) // 2})     at each residue t, j = 0..k - 1
    f = (max_t h_t, mean_t h_t, length / 60)
    logit = mean over members of (v . relu(U f + c) + d);    p = sigmoid(scale * logit + shift)
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray

#: The 20 amino acids in the order of their tokens; token 20 is an empty position.
AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
#: Number of peptides per chunk. The arrays of a chunk fit in the CPU cache, and they are small enough that the
#: allocator reuses their memory instead of returning it to the operating system.
CHUNK = 8


class PeptideClassifier:
    """The probability that a peptide is antimicrobial.

    The code avoids matrix products because their last digits depend on the number of rows, and the reward of a peptide
    must not depend on its batch.

    Args:
        weights: float arrays for m members, C channels, kernels of k residues (even), H hidden units: ``kernel`` (m, k,
            20, C), ``bias`` (m, C), ``hidden`` (m, 2 C + 1, H), ``hidden_bias`` (m, H), ``out`` (m, H), ``out_bias``
            (m,), ``scale`` () and ``shift`` ().
    """

    def __init__(self, weights: Mapping[str, np.ndarray]):
        w = {name: np.asarray(value, dtype=np.float32) for name, value in weights.items()}
        self.members, self.width, _, self.channels = w["kernel"].shape
        self._before = (self.width - 1) // 2
        self._tables = self._pair_tables(w["kernel"], w["bias"])
        self._hidden = np.ascontiguousarray(w["hidden"].transpose(1, 0, 2)[:, None])  # (2 C + 1, 1, m, H)
        self._hidden_bias = w["hidden_bias"]
        self._out, self._out_bias = w["out"], w["out_bias"]
        self._scale, self._shift = float(w["scale"]), float(w["shift"])

    def _pair_tables(self, kernel: FloatArray, bias: FloatArray) -> FloatArray:
        """Contribution of each pair of adjacent tokens to all channels, per place in the kernel, (k / 2, 441, m C).

        An empty position contributes 0, except at the center of the kernel. There it contributes a large negative
        number, so that h is 0 at empty positions.
        """
        single = kernel.transpose(1, 2, 0, 3).reshape(self.width, 20, -1)
        single = np.pad(single, ((0, 0), (0, 1), (0, 0)))
        single[self._before] += bias.reshape(-1)
        single[self._before, 20] = -1e9
        pairs = single[::2, :, None] + single[1::2, None, :]
        return pairs.reshape(self.width // 2, 441, -1)

    def __call__(self, tokens: IntArray) -> FloatArray:
        """Probabilities float64 (n,) from tokens (n, length): residues 0..19, then 20 after the end of the peptide."""
        logits = self.logits(tokens)
        return 1.0 / (1.0 + np.exp(-(self._scale * logits + self._shift)))

    def logits(self, tokens: IntArray) -> FloatArray:
        """Mean logit of the members before calibration, float64 (n,)."""
        chunks = [self._logits(tokens[start : start + CHUNK]) for start in range(0, len(tokens), CHUNK)]
        return np.concatenate(chunks) if chunks else np.zeros(0)

    def _logits(self, tokens: IntArray) -> FloatArray:
        n, size = len(tokens), (tokens != 20).sum(1)
        length = int(size.max())
        # Positions are the first axis because sums and maxima over the first axis are several times faster.
        padded = np.full((length + self.width - 1, n), 20, dtype=np.intp)
        padded[self._before : self._before + length] = tokens[:, :length].T
        pairs = 21 * padded[:-1] + padded[1:]
        h = self._tables[0].take(pairs[:length], axis=0)
        for j in range(1, self.width // 2):
            h += self._tables[j].take(pairs[2 * j : 2 * j + length], axis=0)
        np.maximum(h, 0.0, out=h)
        size = size.astype(np.float32)
        features = np.empty((2 * self.channels + 1, n, self.members), dtype=np.float32)
        shape = (n, self.members, self.channels)
        features[: self.channels] = h.max(0).reshape(shape).transpose(2, 0, 1)
        features[self.channels : -1] = (h.sum(0) / size[:, None]).reshape(shape).transpose(2, 0, 1)
        features[-1] = size[:, None] / 60
        hidden = (features[..., None] * self._hidden).sum(0) + self._hidden_bias
        np.maximum(hidden, 0.0, out=hidden)
        return ((hidden * self._out).sum(2) + self._out_bias).mean(1).astype(np.float64)
