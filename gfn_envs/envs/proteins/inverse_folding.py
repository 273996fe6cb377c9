"""InverseFolding: a sequence for a given backbone, rewarded by the energy of its contacts."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence as Letters
from pathlib import Path
from typing import Any

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.data import registry as datasets
from gfn_envs.envs.proteins import contacts
from gfn_envs.envs.proteins.gfp_brightness import AVGFP
from gfn_envs.envs.proteins.peptide_classifier import AMINO_ACIDS
from gfn_envs.envs.strings.sequence import Sequence
from gfn_envs.validation import positive, positive_int

#: Residues of avGFP's published distances: 2 to 231 without 65 and 66, two of the three of the chromophore.
AVGFP_RESIDUES = [number for number in range(2, 232) if number not in (65, 66)]
#: How often each amino acid occurs in proteins, in percent, in the order of AMINO_ACIDS (UniProtKB/Swiss-Prot).
ABUNDANCE = np.array(
    [8.25, 1.38, 5.46, 6.72, 3.86, 7.07, 2.27, 5.91, 5.80, 9.65]
    + [2.41, 4.06, 4.74, 3.93, 5.53, 6.65, 5.36, 6.86, 1.10, 2.92]
)  # fmt: skip


class InverseFolding(Sequence):
    """Choose a residue for every position of a given backbone; the reward is the Boltzmann weight of its contacts.

    ## Description
    Residues in contact (nearer than ``cutoff``, and ``min_separation`` or more apart in the chain) have the contact
    energy of Miyazawa and Jernigan, in units of RT. The backbone is avGFP's (228 residues), or the user's: a matrix of
    distances, or a file. The definition is ours: Madan et al.'s was not published.

    ## Action Space
    fill: position * q + letter, for positions that are empty, with q letters in the alphabet. append: the q letters.

    ## Backward actions
    fill: empty a position. append: drop the last.

    ## Observation Space
    ``MultiDiscrete([q + 1] * n)``: the residues, q where there is none.

    ## Starting State
    All positions empty.

    ## Rewards
    log R(x) = -E(x) / temperature with E(x) = sum of e(x_i, x_j) over contacts + ``composition`` * n KL(f, b), where f
    are the frequencies of the amino acids in x and b those in natural proteins. Without the second term, the best
    sequence consists of the few most hydrophobic residues.

    The intermediate log reward of a partial sequence is the same over contacts with both ends filled, and over the
    residues there are.

    ``native_energy`` is E of the native sequence, to compare with.

    ## Episode End
    When every position is filled.

    ## Number of states
    q^n objects; (q + 1)^n states with fill.

    ## Arguments
    * ``distances``: a square matrix of distances between residues in angstrom; a square matrix of booleans, True for
      residues in contact, to which ``cutoff`` means nothing (contacts as 0 and 1 are refused: they would be distances);
      the path of a PDB file (CB atoms, CA of glycine; the first model); or that of a CSV file of distances, whose first
      line and first column hold the residues' numbers. None: avGFP (the data set gfp-distances of ``gfn data``, read at
      first use: smallest distances between atoms, which make more contacts than CB atoms do).
    * ``construction``: "fill" or "append".
    * ``temperature``: in units of the energy. With the default no sequence of avGFP has a reward beyond the range of
      floating-point numbers; at 1, the temperature of the energies themselves, log R is in the thousands.
    * ``cutoff``: contacts are nearer, in angstrom.
    * ``min_separation``: contacts are of residues whose numbers differ by as much.
    * ``composition``: weight of the composition term.
    * ``alphabet``: the amino acids allowed.
    * ``native``: the native sequence, where ``distances`` is a matrix or a CSV file.
    * ``chain``: of the PDB file; None: the first.

    ## References
    Miyazawa and Jernigan 1996 (J. Mol. Biol.); Madan et al. 2023 (SubTB)

    ## Version History
    * v0: initial version.
    """

    def __init__(
        self,
        distances: Letters[Letters[float]] | str | os.PathLike[str] | None = None,
        construction: str = "fill",
        temperature: float = 50.0,
        cutoff: float = 8.0,
        min_separation: int = 3,
        composition: float = 0.0,
        alphabet: str = AMINO_ACIDS,
        native: str | None = None,
        chain: str | None = None,
    ):
        where = "InverseFolding"
        if construction not in ("fill", "append"):
            raise ValueError(f"{where}: construction must be 'fill' or 'append', got {construction!r}")
        if unknown := set(alphabet) - set(AMINO_ACIDS):
            raise ValueError(f"{where}: alphabet must be letters of {AMINO_ACIDS}, got {''.join(sorted(unknown))!r}")
        if not 0 <= composition < np.inf:
            raise ValueError(f"{where}: composition must be finite and >= 0, got {composition}")
        if chain is not None and not isinstance(distances, str | os.PathLike):
            raise ValueError(f"{where}: chain is for a PDB file, got {chain!r}")
        self.temperature, self.cutoff = positive("temperature", temperature, where), positive("cutoff", cutoff, where)
        self.min_separation = positive_int("min_separation", min_separation, where)
        self.composition = float(composition)
        self._given: tuple[FloatArray, IntArray] | None = None
        sequence: str | None = None
        if distances is None:
            sequence, length = "".join(AVGFP[number - 2] for number in AVGFP_RESIDUES), len(AVGFP_RESIDUES)
        elif isinstance(distances, str | os.PathLike):
            matrix, numbers, sequence = contacts.read_backbone(Path(distances), chain, where)
            self._given, length = (matrix, numbers), len(matrix)
        else:
            matrix = contacts.distance_matrix(distances, where)
            distances = np.array(distances).tolist()  # which can be printed and read again, where an array cannot
            self._given, length = (matrix, np.arange(len(matrix))), len(matrix)
        if native is not None and sequence is not None:
            raise ValueError(
                f"{where}: native is for a matrix or a CSV file, got {native!r} with distances {distances}"
            )
        self.native = sequence if native is None else native
        if self.native is not None and (len(self.native) != length or set(self.native) - set(AMINO_ACIDS)):
            raise ValueError(f"{where}: native must be {length} letters of {AMINO_ACIDS}, got {native!r}")
        super().__init__(alphabet, length, construction)
        self.arguments: dict[str, Any] = {
            "distances": distances,
            "construction": construction,
            "temperature": temperature,
            "cutoff": cutoff,
            "min_separation": min_separation,
            "composition": composition,
            "alphabet": alphabet,
            "native": native,
            "chain": chain,
        }
        self._amino = np.array([AMINO_ACIDS.index(letter) for letter in self.letters])

    @functools.cached_property
    def contacts(self) -> IntArray:
        """Pairs of positions in contact, i < j, int64 (2, c). Raises DatasetError without avGFP's distances."""
        if self._given is None:
            # Two of the chromophore's residues are not there; positions are places in the file.
            matrix, numbers = contacts.read_distances(datasets.read("gfp-distances"), "InverseFolding")
        else:
            matrix, numbers = self._given
        return contacts.contact_pairs(matrix, self.cutoff, numbers, self.min_separation)

    @functools.cached_property
    def _pair_energies(self) -> IntArray:
        """Energies of pairs of tokens in hundredths, 0 where one is empty, int64 ((q + 1)^2,)."""
        table = contacts.miyazawa_jernigan()[np.ix_(self._amino, self._amino)]
        return np.pad(table, ((0, 1), (0, 1))).ravel()

    def energy(self, tokens: IntArray) -> FloatArray:
        """E of tokens (n, length), of what is filled, float64 (n,)."""
        tokens = tokens.astype(np.int64)
        first, second = self.contacts
        total = np.zeros(len(tokens), dtype=np.int64)
        # A piece of the contacts at a time, so that the arrays stay small.
        for start in range(0, len(first), 256):
            i, j = first[start : start + 256], second[start : start + 256]
            total += self._pair_energies.take(tokens[:, i] * (self.num_letters + 1) + tokens[:, j]).sum(1)
        energy: FloatArray = total / 100
        if self.composition:
            energy = energy + self.composition * self._divergence(tokens)
        return energy

    def _divergence(self, tokens: IntArray) -> FloatArray:
        """k KL(f, b) of the k residues there are: sum over amino acids a of k_a log(k_a / (k b_a)), float64 (n,)."""
        counts = np.stack([(tokens == letter).sum(1) for letter in range(self.num_letters)], axis=1)
        background = (ABUNDANCE / ABUNDANCE.sum())[self._amino]
        expected = counts.sum(1, keepdims=True) * background
        return (counts * np.log(np.maximum(counts, 1) / np.maximum(expected, 1e-300))).sum(1)

    @property
    def native_energy(self) -> float:
        """E of the native sequence.

        Raises:
            ValueError: the native sequence is not known, or has letters that are not in the alphabet.
        """
        if self.native is None:
            raise ValueError("InverseFolding: the native sequence of these distances is not known; give native=")
        if missing := set(self.native) - set(self.letters):
            raise ValueError(
                f"InverseFolding: the native sequence has {sorted(missing)}, which are not in the alphabet"
            )
        return float(self.energy(self.from_text([self.native])[:, :-1])[0])

    def log_reward(self, states: IntArray) -> FloatArray:
        return self.partial_log_reward(states)

    def partial_log_reward(self, states: IntArray) -> FloatArray:
        """-E / temperature of what is filled, float64 (n,). Raises ValueError where it is not finite."""
        tokens = states[:, :-1]
        with np.errstate(over="ignore"):
            log_reward: FloatArray = 0.0 - self.energy(tokens) / self.temperature
        finite = np.isfinite(log_reward)
        if not finite.all():
            bad = int(np.argmin(finite))
            raise ValueError(
                f"InverseFolding: log R of object {tokens[bad].tolist()} is {log_reward[bad]}; allowed: finite "
                "(give a larger temperature, or a smaller composition)"
            )
        return log_reward
