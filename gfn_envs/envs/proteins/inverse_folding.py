"""InverseFolding: sequences for a given protein backbone, scored by the energy of their contacts."""

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
from gfn_envs.envs.proteins.distances import distance_matrix, read_backbone, read_distances
from gfn_envs.envs.proteins.gfp_brightness import AVGFP
from gfn_envs.envs.proteins.peptide_classifier import AMINO_ACIDS
from gfn_envs.envs.strings.numbering import tokens_of
from gfn_envs.envs.strings.substitution import Substitution
from gfn_envs.validation import one_of, positive, positive_int, real, shown

#: Residue numbers in the published distances of avGFP: 2 to 231, without two of the three residues of the chromophore.
AVGFP_RESIDUES = [number for number in range(2, 232) if number not in (65, 66)]
#: Frequency of each amino acid in proteins, in percent, in the order of AMINO_ACIDS (UniProtKB/Swiss-Prot).
ABUNDANCE = np.array(
    [8.25, 1.38, 5.46, 6.72, 3.86, 7.07, 2.27, 5.91, 5.80, 9.65]
    + [2.41, 4.06, 4.74, 3.93, 5.53, 6.65, 5.36, 6.86, 1.10, 2.92]
)  # fmt: skip


@functools.cache
def avgfp() -> tuple[FloatArray, IntArray]:
    """Distances (228, 228) and residue numbers of avGFP, read once in a process.

    Raises:
        DatasetError: the data set gfp-distances is not available.
    """
    text = datasets.read("gfp-distances").decode("utf-8-sig")
    return read_distances(text, "InverseFolding: data set gfp-distances")


def _backbone(distances: Any, chain: str | None, model: int | None) -> tuple[FloatArray, IntArray, str | None]:
    """Distances (n, n), residue numbers (n,) and native sequence, if it is known."""
    if distances is None:
        # The file lacks two residues of the chromophore, so positions are not residue numbers.
        return *avgfp(), "".join(AVGFP[number - 2] for number in AVGFP_RESIDUES)
    if isinstance(distances, str | os.PathLike):
        return read_backbone(Path(distances), chain, model, "InverseFolding")
    matrix = distance_matrix(distances, "InverseFolding")
    return matrix, np.arange(len(matrix)), None


class InverseFolding(Substitution):
    """Choose a residue for each position of a protein backbone; the reward is the Boltzmann weight of its contacts.

    ## Description
    Two residues are in contact if their distance is below ``cutoff`` and they are at least ``min_separation`` apart in
    the chain. Each contact has the energy of Miyazawa and Jernigan, in units of RT. The backbone is that of avGFP (228
    residues) or comes from a matrix of distances or a file. Madan et al. change 40 residues by 40 substitutions
    (appendix F), which is ``construction="substitute"``; their reward was not published, and this one is our own.

    ## Action Space
    fill: position * q + letter, for empty positions, where q is the number of letters in the alphabet. append: q
    actions, one per letter. substitute: position * q + letter, for all positions and letters, also the one in place.

    ## Backward actions
    fill: n, each of which empties a position, where n is the length of the chain. append: 1, which removes the last
    residue. substitute: position * q + the letter that the position had before; legal if the sequence can then be
    reached in one step less. After n steps, all n q backward actions are legal.

    ## Observation Space
    ``MultiDiscrete([q + 1] * n)``: the residue at each position, or q if the position is empty. substitute:
    ``MultiDiscrete([q + 1] * n + [steps + 1])``: the residues, and the number of substitutions.

    ## Starting State
    The chain with all positions empty; substitute: the sequence ``start``.

    ## Rewards
    log R(x) = -E(x) / temperature with E(x) = sum of e(x_i, x_j) over contacts + ``composition`` * n KL(f, b), where f
    are the frequencies of the amino acids in x and b those in natural proteins. Without the second term, the best
    sequences consist of the few most hydrophobic residues.

    The intermediate log reward of a partial sequence is the same formula for the filled positions: the contacts between
    them, and the composition of their residues. substitute: after t of N substitutions, it is log R of the sequence,
    reduced by (1 - t / N) times that of the start.

    ``native_energy`` is E of the native sequence, for comparison.

    ## Episode End
    When all positions are filled; substitute: after ``steps`` substitutions.

    ## Number of states
    q^n objects; (q + 1)^n states with fill, sum of q^t for t = 0..n states with append. substitute: N(steps) objects
    and the sum of N(t) for t = 0..steps states, where N(t) is the sum of C(n, h) (q - 1)^h for h = 0..min(t, n).

    ## Arguments
    * ``distances``: a square matrix of distances between residues in angstrom; a square matrix of booleans, True for
      residues in contact, which makes ``cutoff`` irrelevant (contacts as 0 and 1 raise ``ValueError``, as they could be
      distances); the path of a PDB file (CB atoms, or CA for residues without CB); or the path of a CSV file of
      distances, whose first line and first column hold the residue numbers. Files can be compressed with gzip; mmCIF
      is not read. None: avGFP, from the data set gfp-distances. Its distances are the smallest between any two atoms
      and give more contacts than distances between CB atoms.
    * ``construction``: "fill", "append" or "substitute".
    * ``temperature``: in units of the energy, > 0. With the default, the rewards of all sequences of avGFP are within
      the range of floating-point numbers; with 1, the temperature of the energies themselves, log R is in the
      thousands.
    * ``cutoff``: distance in angstrom below which two residues are in contact, > 0.
    * ``min_separation``: smallest difference between the residue numbers of a contact, >= 1.
    * ``composition``: weight of the composition term, >= 0.
    * ``alphabet``: the allowed amino acids.
    * ``length``: only the first ``length`` residues of the chain; None: all.
    * ``start``: sequence before the first substitution; None: the native sequence.
    * ``steps``: number of substitutions, >= 1; None: as many as residues.
    * ``native``: the native sequence of the whole chain, if ``distances`` is a matrix or a CSV file.
    * ``chain``: identifier of the chain in the PDB file; None: the first chain with an amino acid. HETATM residues
      belong to it up to its TER record. Protonated residues (HIE, CYX, HSD, ASH ...), MSE, and residues with a MODRES
      record are read as their amino acid; others raise ``ValueError``. Of alternate locations, the first is used.
    * ``model``: place of the model in the PDB file, from 1; None: the first.

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
        model: int | None = None,
        length: int | None = None,
        start: str | None = None,
        steps: int | None = None,
    ):
        where = "InverseFolding"
        one_of("construction", construction, ("fill", "append", "substitute"), where)
        if not isinstance(alphabet, str) or set(alphabet) - set(AMINO_ACIDS):
            raise ValueError(f"{where}: alphabet must be letters of {AMINO_ACIDS}, got {shown(alphabet)}")
        for name, value in (("chain", chain), ("model", model)):
            if value is not None and not isinstance(distances, str | os.PathLike):
                raise ValueError(f"{where}: {name} is only for PDB files, got {shown(value)}")
        for name, value in (("start", start), ("steps", steps)):
            if value is not None and construction != "substitute":
                raise ValueError(f"{where}: {name} is only for construction 'substitute', got {shown(value)}")
        if model is not None:
            model = positive_int("model", model, where)
        self.temperature, self.cutoff = positive("temperature", temperature, where), positive("cutoff", cutoff, where)
        self.min_separation = positive_int("min_separation", min_separation, where)
        self.composition = real("composition", composition, where, at_least=0.0)
        only = f"{where}: native is only for a matrix or a CSV file, got {shown(native)} with distances"
        if native is not None and distances is None:  # Before the data set is read, which may be missing.
            raise ValueError(f"{only} None")
        matrix, numbers, sequence = _backbone(distances, chain, model)
        whole = len(matrix)
        if not isinstance(distances, str | os.PathLike | None):
            distances = np.array(distances).tolist()  # a list can be stored as JSON, an array cannot
        if native is not None and sequence is not None:
            raise ValueError(f"{only} {distances}")
        self.native = sequence if native is None else native
        if self.native is not None and (
            not isinstance(self.native, str) or len(self.native) != whole or set(self.native) - set(AMINO_ACIDS)
        ):
            raise ValueError(f"{where}: native must be {whole} letters of {AMINO_ACIDS}, got {shown(native)}")
        residues = whole if length is None else positive_int("length", length, where)
        if residues > whole:
            raise ValueError(f"{where}: length must be at most {whole}, got {shown(length)}")
        self.native = self.native and self.native[:residues]
        matrix, numbers = matrix[:residues, :residues], numbers[:residues]
        #: Pairs of positions in contact, i < j, int64 (2, c).
        self.contacts = contacts.contact_pairs(matrix, self.cutoff, numbers, self.min_separation)
        if construction == "substitute":
            self._use_substitutions(alphabet, self._start(start, residues), steps)
        else:
            super().__init__(alphabet, residues, construction)
        optional = {"length": length and residues, "start": start, "steps": steps and self.steps}
        self.arguments: dict[str, Any] = {
            "distances": distances,
            "construction": construction,
            "temperature": temperature,
            "cutoff": cutoff,
            "min_separation": self.min_separation,
            "composition": composition,
            "alphabet": alphabet,
            "native": native,
            "chain": chain,
            "model": model,
            **{name: value for name, value in optional.items() if value is not None},
        }
        self._amino = np.array([AMINO_ACIDS.index(letter) for letter in self.letters])

    def _start(self, start: str | None, residues: int) -> str:
        """The sequence before the first substitution."""
        if start is None and self.native is None:
            raise ValueError("InverseFolding: the native sequence of these distances is unknown; give start or native")
        start = self.native if start is None else start
        if not isinstance(start, str) or len(start) != residues:
            raise ValueError(f"InverseFolding: start must be {residues} amino acids, got {shown(start)}")
        return start

    @functools.cached_property
    def _pair_energies(self) -> IntArray:
        """Energies of pairs of tokens in hundredths of RT, 0 if one is empty, int64 ((q + 1)^2,)."""
        table = contacts.miyazawa_jernigan()[np.ix_(self._amino, self._amino)]
        return np.pad(table, ((0, 1), (0, 1))).ravel()

    def energy(self, tokens: IntArray) -> FloatArray:
        """E of the filled positions of tokens (n, length), float64 (n,)."""
        tokens = tokens.astype(np.int64)
        first, second = self.contacts
        total = np.zeros(len(tokens), dtype=np.int64)
        # Chunks of contacts keep the arrays small.
        for start in range(0, len(first), 256):
            i, j = first[start : start + 256], second[start : start + 256]
            total += self._pair_energies.take(tokens[:, i] * (self.num_letters + 1) + tokens[:, j]).sum(1)
        energy: FloatArray = total / 100
        if self.composition:
            energy = energy + self.composition * self._divergence(tokens)
        return energy

    def _divergence(self, tokens: IntArray) -> FloatArray:
        """k KL(f, b) of the k filled positions: sum over amino acids a of k_a log(k_a / (k b_a)), float64 (n,)."""
        counts = np.stack([(tokens == letter).sum(1) for letter in range(self.num_letters)], axis=1)
        background = (ABUNDANCE / ABUNDANCE.sum())[self._amino]
        expected = counts.sum(1, keepdims=True) * background
        return (counts * np.log(np.maximum(counts, 1) / np.maximum(expected, 1e-300))).sum(1)

    @property
    def native_energy(self) -> float:
        """E of the native sequence. Raises ValueError as :attr:`native_tokens`."""
        return float(self.energy(self.native_tokens[None])[0])

    @property
    def native_tokens(self) -> IntArray:
        """The native sequence, int64 (length,).

        Raises:
            ValueError: it is unknown, or has letters that are not in the alphabet.
        """
        if self.native is None:
            raise ValueError(
                "InverseFolding: the native sequence of these distances is unknown; give the argument native"
            )
        if missing := set(self.native) - set(self.letters):
            raise ValueError(
                f"InverseFolding: the native sequence has {sorted(missing)}, which are not in the alphabet"
            )
        return tokens_of([self.native], self.letters, self.length, self.length, "InverseFolding: native")[0]

    def log_reward(self, states: IntArray) -> FloatArray:
        """-E / temperature, float64 (n,).

        Raises:
            ValueError: a value is not finite; the message names the first such object.
        """
        return self._log_reward(states[:, :-1])

    def partial_log_reward(self, states: IntArray) -> FloatArray:
        """-E / temperature of the filled positions, float64 (n,).

        substitute: after t of N steps, it is reduced by (1 - t / N) times that of the start.

        Raises:
            ValueError: a value is not finite; the message names the first such object.
        """
        log_reward = self._log_reward(states[:, :-1])
        if self._substitute is None:
            return log_reward
        first: FloatArray = self._log_reward(self._substitute.start[None])
        return log_reward - (1.0 - states[:, -1] / self.steps) * first

    def _log_reward(self, tokens: IntArray) -> FloatArray:
        """-E / temperature of the filled positions of tokens (n, length), float64 (n,)."""
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
