"""A model of the brightness of avGFP mutants: a sigmoid of additive mutation effects ("global epistasis").

    z = threshold + sum over mutated positions i of effect[i, x_i];    log10 brightness = low + span * sigmoid(z)

Sarkisyan et al. 2016 found this shape: the effects of mutations add up until the protein no longer folds. The effect of
residue a at position i is mean + site[i] + exchange[wild type of i, a] + own[i, a]. All terms but the mean are shrunk
to 0, so the estimate of an unmeasured mutation comes from its site and its exchange of residues.
scripts/train_gfp_proxy.py fits the model to the measured genotypes in seconds and writes data/gfp_proxy.npz.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.envs.proteins.peptide_classifier import AMINO_ACIDS

#: The 237 residues of avGFP after the first methionine, which was never mutated.
AVGFP = (
    "SKGEELFTGVVPILVELDGDVNGHKFSVSGEGEGDATYGKLTLKFICTTGKLPVPWPTLVTTLSYGVQCFSRYPDHMKQHDFFKSAMPEGYVQERTIFFKDDGNYKTRAEVKFEGDTL"
    "VNRIELKGIDFKEDGNILGHKLEYNYNSHNVYIMADKQKNGIKVNFKIRHNIEDGSVQLADHYQQNTPIGDGPVLLPDNHYLSTQSALSKDPNEKRDHMVLLEFVTAAGITHGMDELYK"
)
#: Smallest and largest measured log10 brightness.
DARKEST, BRIGHTEST = 1.28341923933, 4.12310906338
#: Weights of the squared effects in the loss: site and exchange effects, own effects.
SHRINK_SHARED, SHRINK_OWN = 0.1, 0.3
STEPS, LEARNING_RATE = 400, 0.05


class Genotypes(NamedTuple):
    """Measured genotypes. Mutation k puts residue ``letter[k]`` at ``position[k]`` of genotype ``row[k]``."""

    row: IntArray
    position: IntArray
    letter: IntArray
    brightness: FloatArray  # log10, (genotypes,)

    @property
    def num_mutations(self) -> IntArray:
        return np.bincount(self.row, minlength=len(self.brightness))

    def select(self, chosen: IntArray) -> Genotypes:
        """The genotypes at ``chosen`` (m,), ascending."""
        new = np.full(len(self.brightness), -1)
        new[chosen] = np.arange(len(chosen))
        kept = new[self.row] >= 0
        return Genotypes(new[self.row[kept]], self.position[kept], self.letter[kept], self.brightness[chosen])


def read_genotypes(data: bytes) -> Genotypes:
    """Genotypes of the published table, which has one genotype per line, such as ``SA108D:SK2R`` or ``wt``.

    Genotypes with a stop codon (*) are omitted.

    Raises:
        ValueError: a line is not a genotype of avGFP; the message has its number.
    """
    rows, positions, letters = [], [], []
    brightness: list[float] = []
    for number, line in enumerate(data.decode("ascii").splitlines()[1:], 2):
        cells = line.split("\t")
        mutations = [] if cells[0] == "wt" else cells[0].split(":")
        if any(mutation.endswith("*") for mutation in mutations):
            continue
        for mutation in mutations:
            match = re.fullmatch(f"S([{AMINO_ACIDS}])([0-9]+)([{AMINO_ACIDS}])", mutation)
            if not match or AVGFP[int(match[2]) : int(match[2]) + 1] != match[1]:
                raise ValueError(f"avGFP genotypes, line {number}: {mutation!r} is not a mutation of avGFP")
            rows.append(len(brightness))
            positions.append(int(match[2]))
            letters.append(AMINO_ACIDS.index(match[3]))
        brightness.append(float(cells[2]))
    return Genotypes(np.array(rows), np.array(positions), np.array(letters), np.array(brightness))


def fit(genotypes: Genotypes, wild_type: str = AVGFP) -> dict[str, np.ndarray]:
    """Parameters of the least-squares fit to all genotypes, by deterministic full-batch Adam.

    Returns:
        ``effect`` float64 (length, 20), 0 for the residues of the wild type; ``threshold``, ``low`` and ``span`` ().
    """
    row, position, letter, y = genotypes
    wild = np.array([AMINO_ACIDS.index(a) for a in wild_type])
    length = len(wild)
    shapes = {"mean": (), "site": (length,), "exchange": (20, 20), "own": (length, 20)}
    shapes |= {"threshold": (), "low": (), "span": ()}
    p = {name: np.zeros(shape) for name, shape in shapes.items()}
    p["mean"], p["threshold"] = np.array(-0.5), np.array(3.0)
    p["low"], p["span"] = np.array(y.min()), np.array(np.ptp(y))
    first, second = ({name: np.zeros(shape) for name, shape in shapes.items()} for _ in range(2))
    exchange, own = wild[position] * 20 + letter, position * 20 + letter
    for step in range(1, STEPS + 1):
        effect = p["mean"] + p["site"][position] + p["exchange"].ravel()[exchange] + p["own"].ravel()[own]
        s = 1 / (1 + np.exp(-(p["threshold"] + np.bincount(row, effect, len(y)))))
        error = p["low"] + p["span"] * s - y
        dz = error * p["span"] * s * (1 - s)
        deffect = dz[row]
        gradient = {
            "mean": deffect.sum(),
            "site": np.bincount(position, deffect, length) + SHRINK_SHARED * p["site"],
            "exchange": np.bincount(exchange, deffect, 400).reshape(20, 20) + SHRINK_SHARED * p["exchange"],
            "own": np.bincount(own, deffect, length * 20).reshape(length, 20) + SHRINK_OWN * p["own"],
            "threshold": dz.sum(),
            "low": error.sum(),
            "span": (error * s).sum(),
        }
        rate = LEARNING_RATE * (1 - step / (STEPS + 1))
        for name, g in gradient.items():
            first[name] = 0.9 * first[name] + 0.1 * g
            second[name] = 0.999 * second[name] + 0.001 * g**2
            scale = np.sqrt(second[name] / (1 - 0.999**step)) + 1e-8
            p[name] = p[name] - rate * first[name] / (1 - 0.9**step) / scale
    effect = p["mean"] + p["site"][:, None] + p["exchange"][wild] + p["own"]
    effect[np.arange(length), wild] = 0.0
    return {"effect": effect, **{name: p[name] for name in ("threshold", "low", "span")}}


class Brightness:
    """log10 brightness float64 (n,) from tokens (n, length), with the parameters that :func:`fit` returns."""

    def __init__(self, weights: Mapping[str, np.ndarray]):
        self.effect = np.asarray(weights["effect"], dtype=np.float64)
        self._flat, self._offsets = self.effect.ravel(), np.arange(len(self.effect)) * 20
        self.threshold, self.low, self.span = (float(weights[name]) for name in ("threshold", "low", "span"))

    def __call__(self, tokens: IntArray) -> FloatArray:
        z = self.threshold + self._flat.take(tokens + self._offsets).sum(1)
        # This equals 1 / (1 + exp(-z)), without overflow.
        return self.low + self.span * 0.5 * (1.0 + np.tanh(0.5 * z))
