"""Scores of molecules, mostly from RDKit; fingerprints, scaffolds and drawings."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gfn_envs.arrays import FloatArray
from gfn_envs.data import registry as datasets
from gfn_envs.envs.molecules.kinds import chemistry
from gfn_envs.envs.molecules.qed import properties
from gfn_envs.oracle import Oracle
from gfn_envs.reward_errors import RewardError
from gfn_envs.user_arrays import problem_of
from gfn_envs.validation import checked_reward_function, one_of, real, shown

#: Function from Mols (n) and the atoms with open stems of each Mol to scores (n,).
Scorer = Callable[[Sequence[Any], Sequence[Sequence[int]]], FloatArray]

#: Default (floor, exponent) of each named score.
DEFAULTS: dict[str, tuple[float, float]] = {
    "qed": (1e-3, 1.0),
    "sa": (1e-3, 1.0),
    "penalized_logp": (1e-6, 1.0),
    "similarity": (1e-3, 1.0),
    "seh": (0.1 / 8, 10.0),
}


@dataclass(frozen=True)
class Score:
    """A score of Mols, with the floor and the exponent that make it a reward.

    Attributes:
        scorer: the function that computes the scores.
        floor: lower bound of the scores, >= 0.
        exponent: power of the scores, > 0.
        needs_stems: True if the scores depend on the atoms with open stems.
        parts: the named scores that the score is made of, in the order of the user.
    """

    scorer: Scorer
    floor: float
    exponent: float
    needs_stems: bool
    parts: tuple[tuple[str, Scorer], ...] = ()

    def __call__(self, mols: Sequence[Any], stems: Sequence[Sequence[int]]) -> FloatArray:
        """max(score, floor) of each Mol, float64 (n,)."""
        scores = np.asarray(self.scorer(mols, stems), dtype=np.float64)
        return np.maximum(scores, self.floor)  # NaN stays, so that checked_log_reward raises.


def make_score(
    reward: str | Mapping[str, float] | Callable[[Any], float],
    target: str | None,
    reward_of: str,
    exponent: float | None,
    floor: float | None,
) -> Score:
    """The score for these arguments of :class:`gfn_envs.FragmentMolecule`.

    Raises:
        ValueError: a name is unknown; a power, the exponent or the floor is out of range; or the target is missing,
            invalid, or given for another reward.
    """
    where = "FragmentMolecule"
    one_of("reward_of", reward_of, ("mol", "smiles"), where)
    for name, value, limit in (("exponent", exponent, {"above": 0.0}), ("floor", floor, {"at_least": 0.0})):
        if value is not None:
            real(name, value, where, **limit)
    names = [reward] if isinstance(reward, str) else list(reward) if isinstance(reward, Mapping) else []
    for name in names:
        if name not in DEFAULTS:
            raise ValueError(f"{where}: unknown reward {shown(name)}; allowed: {', '.join(DEFAULTS)}, or a callable")
    if ("similarity" in names) != (target is not None):
        raise ValueError(
            f"{where}: target, a SMILES, must be given if and only if the reward is 'similarity', "
            f"got target={shown(target)}, reward={shown(reward)}"
        )
    default_floor, default_exponent = 0.0, 1.0
    parts = {name: named(name, target) for name in names}
    if isinstance(reward, str):
        scorer = parts[reward]
        default_floor, default_exponent = DEFAULTS[reward]
    elif isinstance(reward, Mapping):
        if not reward or not all(np.isfinite(power) for power in reward.values()):
            raise ValueError(
                f"{where}: a product of scores needs at least one name, and finite powers, got {dict(reward)}"
            )
        factors = [(parts[name], DEFAULTS[name][0], float(reward[name])) for name in names]
        scorer = functools.partial(_product, factors)
    elif isinstance(reward, Oracle):
        scorer = functools.partial(_by_oracle, reward, reward_of == "smiles")
    elif callable(reward):
        checked_reward_function(reward, where, "a SMILES" if reward_of == "smiles" else "an RDKit Mol")
        scorer = functools.partial(_each, functools.partial(_of_smiles, reward) if reward_of == "smiles" else reward)
    else:
        raise ValueError(
            f"{where}: reward must be a name, a mapping from names to powers, or a callable, got {shown(reward)}"
        )
    return Score(
        scorer,
        default_floor if floor is None else float(floor),
        default_exponent if exponent is None else float(exponent),
        "seh" in names,
        tuple(parts.items()),
    )


def named(name: str, target: str | None = None) -> Scorer:
    """The scorer of a name in :data:`DEFAULTS`.

    Raises:
        ValueError: ``target`` is not a valid SMILES.
    """
    if name == "seh":
        from gfn_envs.envs.molecules.seh_proxy import published_proxy, seh_scores

        published_proxy(datasets.dataset("seh-proxy").checksum)  # Missing data raise when the environment is made.
        return seh_scores
    if name == "similarity":
        chem = chemistry()
        mol = chem.MolFromSmiles(target)
        if mol is None or not mol.GetNumAtoms():
            raise ValueError(f"FragmentMolecule: target {target!r} is not a valid SMILES")
        # A SMILES gives smaller pickles than a fingerprint.
        return functools.partial(_similarity, chem.MolToSmiles(mol))
    return functools.partial(_each, {"qed": qed, "sa": normalized_sa, "penalized_logp": exp_penalized_logp}[name])


def _each(function: Callable[[Any], float], mols: Sequence[Any], stems: Sequence[Sequence[int]]) -> FloatArray:
    return np.array([_score_of(function, mol) for mol in mols], dtype=np.float64)


def _score_of(function: Callable[[Any], float], mol: Any) -> float:
    """The score of one Mol. Raises RewardError, with its SMILES, if the function does not return a number."""
    value = function(mol)
    if problem := problem_of(value):
        smiles = chemistry().MolToSmiles(mol)
        problem = f"an array of shape {np.shape(value)}" if np.ndim(value) else problem
        message = f"FragmentMolecule: the reward of object {smiles} is {problem}: {shown(value)}; allowed: a number"
        raise RewardError(message, smiles, value)
    return float(value)


def _by_oracle(oracle: Oracle, of_smiles: bool, mols: Sequence[Any], stems: Sequence[Sequence[int]]) -> FloatArray:
    smiles = [chemistry().MolToSmiles(mol) for mol in mols]
    return oracle(smiles if of_smiles else list(mols), smiles)


def _of_smiles(function: Callable[[str], float], mol: Any) -> float:
    return function(chemistry().MolToSmiles(mol))


def _product(
    factors: Sequence[tuple[Scorer, float, float]], mols: Sequence[Any], stems: Sequence[Sequence[int]]
) -> FloatArray:
    """The product of max(score, floor)^power over (scorer, floor, power)."""
    powers = [np.maximum(scorer(mols, stems), floor) ** power for scorer, floor, power in factors]
    return np.prod(powers, axis=0)


# ---------------------------------------------------------------------- scores of one Mol


def qed(mol: Any) -> float:
    """Quantitative estimate of drug-likeness, in (0, 1) (Bickerton et al. 2012)."""
    from rdkit.Chem import QED

    return float(QED.qed(mol, qedProperties=properties(mol)))


def synthetic_accessibility(mol: Any) -> float:
    """SA score from 1 (easy to synthesize) to 10 (Ertl and Schuffenhauer 2009), by RDKit's contributed module."""
    from rdkit.Contrib.SA_Score import sascorer

    return float(sascorer.calculateScore(mol))


def normalized_sa(mol: Any) -> float:
    """(10 - SA) / 9, in [0, 1]: 1 for molecules that are easy to synthesize."""
    return (10.0 - synthetic_accessibility(mol)) / 9.0


def penalized_logp(mol: Any) -> float:
    """logP - SA - max(0, atoms of the largest ring - 6) (Gomez-Bombarelli et al. 2018), not standardized."""
    from rdkit.Chem import rdMolDescriptors

    largest = max((len(ring) for ring in mol.GetRingInfo().AtomRings()), default=0)
    return rdMolDescriptors.CalcCrippenDescriptors(mol)[0] - synthetic_accessibility(mol) - max(0, largest - 6)


def exp_penalized_logp(mol: Any) -> float:
    """exp of :func:`penalized_logp`, > 0."""
    return float(np.exp(penalized_logp(mol)))


# ---------------------------------------------------------------------- fingerprints, scaffolds, drawings


@functools.cache
def _fingerprint_generator() -> Any:
    from rdkit.Chem import rdFingerprintGenerator

    return rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)


def fingerprint(mol: Any) -> Any:
    """Morgan fingerprint, radius 2, 2048 bits."""
    return _fingerprint_generator().GetFingerprint(mol)


def similarities(prints: Sequence[Any], others: Sequence[Any]) -> FloatArray:
    """Tanimoto similarities of fingerprints, float64 (n, m)."""
    from rdkit import DataStructs

    table = [DataStructs.BulkTanimotoSimilarity(one, list(others)) for one in prints]
    return np.array(table, dtype=np.float64).reshape(len(prints), len(others))


def _similarity(target: str, mols: Sequence[Any], stems: Sequence[Sequence[int]]) -> FloatArray:
    return similarities([fingerprint(mol) for mol in mols], [fingerprint(chemistry().MolFromSmiles(target))])[:, 0]


def scaffold_number(mol: Any) -> int:
    """A number in [0, 2^63) for the Bemis-Murcko scaffold of a Mol: a hash of its canonical SMILES."""
    from rdkit.Chem.Scaffolds import MurckoScaffold

    smiles = MurckoScaffold.MurckoScaffoldSmiles(mol=mol)
    return int.from_bytes(hashlib.blake2b(smiles.encode(), digest_size=8).digest(), "big") >> 1


def draw(mol: Any, size: int = 300) -> npt.NDArray[np.uint8]:
    """The structural formula as RGB, uint8 (size, size, 3)."""
    from rdkit.Chem import Draw

    if not mol.GetNumAtoms():
        return np.full((size, size, 3), 255, dtype=np.uint8)
    return np.asarray(Draw.MolToImage(mol, size=(size, size)).convert("RGB"), dtype=np.uint8).copy()


def draw_grid(
    mols: Sequence[Any], captions: Sequence[str], per_row: int, cell: tuple[int, int]
) -> npt.NDArray[np.uint8]:
    """Structural formulas with captions, uint8 (H, W, 3): ``per_row`` cells of (width, height) pixels per row."""
    from rdkit.Chem import Draw

    image = Draw.MolsToGridImage(mols, molsPerRow=per_row, subImgSize=cell, legends=captions, returnPNG=False)
    return np.asarray(image.convert("RGB"), dtype=np.uint8)
