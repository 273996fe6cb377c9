"""The published proxy of binding to soluble epoxide hydrolase (Bengio et al. 2021), evaluated with NumPy.

The proxy is a message-passing network over atoms (Gilmer et al. 2017): twelve rounds of NNConv with mean aggregation
and a GRU, then Set2Set. A message depends on an atom and on the type of a bond. There are four types, so the edge
network is evaluated four times only. Molecules are padded to multiples of 16 atoms, and each has its own matrix
products, so the value of a molecule is the same to the bit in every batch.
"""

from __future__ import annotations

import functools
import gzip
from collections.abc import Sequence
from typing import Any

import numpy as np

from gfn_envs.arrays import FloatArray
from gfn_envs.data import registry as datasets
from gfn_envs.data.safe_pickle import read_pickle

ROUNDS, STEPS, WIDTH, NUM_FEATURES, STEM = 12, 3, 64, 71, 70
#: The published code divides the proxy by this number (reward_norm).
NORM = 8.0
#: Multiple of the number of atoms to which molecules are padded; largest number of molecules per chunk.
PADDING, CHUNK = 16, 64

#: Shapes of the arrays of the published file, in order.
SHAPES = (
    *((64, 71), (64,), (64, 64), (64,), (128, 4), (128,), (4096, 128), (4096,)),
    *((192, 64), (192, 64), (192,), (192,), (512, 64), (512,), (105, 512), (105,)),
    *((256, 128), (256, 64), (256,), (256,), (1, 128), (1,)),
)


def published_parameters() -> tuple[FloatArray, ...]:
    """The 22 arrays of the published file (data set seh-proxy), float32.

    Raises:
        DatasetError: the file is not available.
        ValueError: the arrays have other shapes, or numbers are non-finite.
    """
    arrays = tuple(np.asarray(a, dtype=np.float32) for a in read_pickle(gzip.decompress(datasets.read("seh-proxy"))))
    if tuple(a.shape for a in arrays) != SHAPES or not all(np.isfinite(a).all() for a in arrays):
        raise ValueError(f"seh-proxy: expected finite arrays of shapes {SHAPES}, got {[a.shape for a in arrays]}")
    return arrays


def seh_scores(mols: Sequence[Any], stems: Sequence[Sequence[int]]) -> FloatArray:
    """p / 8 of each RDKit Mol, float64 (n,), given the atoms with open stems of each Mol."""
    return published_proxy(datasets.dataset("seh-proxy").checksum)(mols, stems) / NORM


@functools.lru_cache(maxsize=1)
def published_proxy(checksum: str) -> SEHProxy:
    """The published proxy, read once per process for the checksum of its file."""
    return SEHProxy(published_parameters())


class SEHProxy:
    """The message-passing network of the published proxy.

    Args:
        parameters: as :func:`published_parameters` returns them.
    """

    def __init__(self, parameters: Sequence[FloatArray]):
        lin_w, self.lin_b, root, self.conv_b, edge1_w, edge1_b, edge2_w, edge2_b = parameters[:8]
        gru_i, gru_h, self.gru_bi, self.gru_bh = parameters[
            8:12
        ]  # Parameters 12 to 15 are a head for stems, which the proxy does not use.
        lstm_i, lstm_h, lstm_bi, lstm_bh, out_w, self.out_b = parameters[16:]
        # The edge network maps the one-hot vector of each bond type to a matrix, (4, 64, 64).
        hidden = _leaky(np.eye(4, dtype=np.float32) @ edge1_w.T + edge1_b)
        matrices = (hidden @ edge2_w.T + edge2_b).reshape(4, WIDTH, WIDTH)
        #: Matrices of the messages of each bond type, and of the atom itself, (64, 5 * 64).
        self.send = np.concatenate([*matrices, root.T], axis=1)
        self.lin, self.gru_i, self.gru_h, self.out = (np.ascontiguousarray(w.T) for w in (lin_w, gru_i, gru_h, out_w))
        self.lstm = np.ascontiguousarray(np.concatenate([lstm_i, lstm_h], axis=1).T)
        self.lstm_b = lstm_bi + lstm_bh

    def __call__(self, mols: Sequence[Any], stems: Sequence[Sequence[int]]) -> FloatArray:
        """The proxy p of each Mol, float64 (n,).

        Raises:
            ValueError: a Mol has no atoms, or has an element beyond barium.
        """
        result = np.zeros(len(mols))
        sizes = [-(-mol.GetNumAtoms() // PADDING) * PADDING for mol in mols]
        for size in sorted(set(sizes)):
            same_size = [i for i, s in enumerate(sizes) if s == size]
            for start in range(0, len(same_size), CHUNK):
                part = same_size[start : start + CHUNK]
                graphs = [_graph(mols[i], stems[i], size) for i in part]
                features, bonds, present = (np.stack(arrays) for arrays in zip(*graphs, strict=True))
                result[part] = self._forward(features, bonds, present)
        return result

    def _forward(self, features: FloatArray, bonds: FloatArray, present: FloatArray) -> FloatArray:
        """The proxy, float32 (b,), from features (b, p, 71), bonds (b, p, 4p) and present (b, p), all float32."""
        b, p, _ = features.shape
        state = _leaky(features @ self.lin + self.lin_b)
        for _ in range(ROUNDS):
            sent = state @ self.send
            # The rows of (b, 4 * p, 64) are in the order of the columns of ``bonds``.
            messages = sent[..., : 4 * WIDTH].reshape(b, p * 4, WIDTH)
            update = _leaky(bonds @ messages + sent[..., 4 * WIDTH :] + self.conv_b)
            state = self._gru(update, state)
        return self._set2set(state, present)

    def _gru(self, update: FloatArray, state: FloatArray) -> FloatArray:
        """A GRU cell in PyTorch's order of gates: r, z, n."""
        given, held = update @ self.gru_i + self.gru_bi, state @ self.gru_h + self.gru_bh
        gates = _sigmoid(given[..., : 2 * WIDTH] + held[..., : 2 * WIDTH])
        reset, keep = gates[..., :WIDTH], gates[..., WIDTH:]
        new = np.tanh(given[..., 2 * WIDTH :] + reset * held[..., 2 * WIDTH :])
        return new + keep * (state - new)

    def _set2set(self, state: FloatArray, present: FloatArray) -> FloatArray:
        """Set2Set (Vinyals et al. 2016) and the last layer; (b,)."""
        b = len(state)
        query, cell = np.zeros((b, 1, 3 * WIDTH), dtype=np.float32), np.zeros((b, 1, WIDTH), dtype=np.float32)
        absent = np.where(present[:, None, :] > 0, 0, -np.inf).astype(np.float32)
        for _ in range(STEPS):
            # ``query`` holds the input (q, r) of the LSTM and its hidden state q.
            i, f, g, o = np.split(query @ self.lstm + self.lstm_b, 4, axis=2)
            cell = _sigmoid(f) * cell + _sigmoid(i) * np.tanh(g)
            q = _sigmoid(o) * np.tanh(cell)
            energy = q @ state.transpose(0, 2, 1) + absent
            weight = np.exp(energy - energy.max(2, keepdims=True))
            total = weight @ present[:, :, None]
            query = np.concatenate([q, (weight @ state) / total, q], axis=2)
        return (query[..., : 2 * WIDTH] @ self.out + self.out_b)[:, 0, 0]


def _leaky(x: FloatArray) -> FloatArray:
    return np.maximum(x, np.float32(0.01) * x)


def _sigmoid(x: FloatArray) -> FloatArray:
    # This form of the sigmoid does not overflow.
    return np.float32(0.5) * np.tanh(np.float32(0.5) * x) + np.float32(0.5)


def _graph(mol: Any, stems: Sequence[int], size: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Padded inputs of the network for one Mol, float32.

    Returns:
        Features of the atoms (size, 71), a matrix (size, 4 * size) that averages over the bonds of each atom, and 1 for
        each atom that is present (size,).
    """
    features = atom_features(mol, stems)
    n = len(features)
    padded, present = np.zeros((size, NUM_FEATURES), dtype=np.float32), np.zeros(size, dtype=np.float32)
    padded[:n], present[:n] = features, 1
    ends, types = bond_arrays(mol)
    bonds = np.zeros((size, size, 4), dtype=np.float32)
    degree = np.maximum(np.bincount(ends.ravel(), minlength=size), 1)
    for to, source in (ends.T, ends.T[::-1]):
        bonds[to, source, types] = 1 / degree[to]
    return padded, bonds.reshape(size, 4 * size), present


def bond_arrays(mol: Any) -> tuple[FloatArray, FloatArray]:
    """Atoms (m, 2) and types (m,) of the bonds of a Mol. Types: 0 single, 1 double, 2 triple, 3 aromatic."""
    order = {"SINGLE": 0, "DOUBLE": 1, "TRIPLE": 2, "AROMATIC": 3}
    bonds = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), order[bond.GetBondType().name]) for bond in mol.GetBonds()]
    table = np.array(bonds, dtype=np.int64).reshape(-1, 3)
    return table[:, :2], table[:, 2]


def atom_features(mol: Any, stems: Sequence[int]) -> FloatArray:
    """Features float32 (atoms, 71).

    0-4 one-hot H, C, N, O, F, and 5 any other element; 9 aromatic; 10-12 hybridization SP, SP2, SP3; 13 number of
    hydrogens; 14-69 one-hot atomic number; 70 open stem, or the first atom if no stem is open.

    Raises:
        ValueError: the Mol has no atoms, or has an element beyond barium.
    """
    if not mol.GetNumAtoms():
        raise ValueError("the sEH proxy is not defined for a molecule without atoms")
    features = np.zeros((mol.GetNumAtoms(), NUM_FEATURES), dtype=np.float32)
    slot, orbital = {1: 0, 6: 1, 7: 2, 8: 3, 9: 4}, {"SP": 10, "SP2": 11, "SP3": 12}
    for i, atom in enumerate(mol.GetAtoms()):
        number = atom.GetAtomicNum()
        if not 1 <= number <= 56:
            raise ValueError(f"the sEH proxy supports elements 1 to 56, got {atom.GetSymbol()}")
        features[i, [slot.get(number, 5), 13 + number]] = 1
        features[i, 9] = atom.GetIsAromatic()
        features[i, 13] = atom.GetTotalNumHs(includeNeighbors=True)
        if (column := orbital.get(atom.GetHybridization().name)) is not None:
            features[i, column] = 1
    features[list(stems) or [0], STEM] = 1
    return features
