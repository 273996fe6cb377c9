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
from gfn_envs.envs.molecules.bonds import texts
from gfn_envs.envs.molecules.kinds import chemistry, parse_quietly
from gfn_envs.envs.molecules.properties import (
    WINDOWS,
    alert_score,
    desirability,
    exp_penalized_logp,
    normalized_sa,
    qed,
)
from gfn_envs.oracle import Oracle
from gfn_envs.reward_errors import RewardError
from gfn_envs.smiles_files import is_file, read_smiles
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
    "alerts": (1e-3, 1.0),
}
#: Lower bound of the scores of windows.
WINDOW_FLOOR = 1e-3


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
    reward: str | Mapping[str, Any] | Callable[[Any], float],
    target: str | Sequence[str] | None,
    reward_of: str,
    exponent: float | None,
    floor: float | None,
    where: str,
) -> Score:
    """The score for these arguments of :class:`gfn_envs.FragmentMolecule`.

    Args:
        reward, target, reward_of, exponent, floor: see there.
        where: the environment, for messages.

    Raises:
        ValueError: a name is unknown; a power, a window, the exponent or the floor is out of range; or the target is
            missing, invalid, or given for another reward.
    """
    one_of("reward_of", reward_of, ("mol", "smiles"), where)
    for name, value, limit in (("exponent", exponent, {"above": 0.0}), ("floor", floor, {"at_least": 0.0})):
        if value is not None:
            real(name, value, where, **limit)
    names = [reward] if isinstance(reward, str) else list(reward) if isinstance(reward, Mapping) else []
    for name in names:
        if name not in DEFAULTS and name not in WINDOWS:
            known = ", ".join((*DEFAULTS, *WINDOWS))
            raise ValueError(f"{where}: unknown reward {shown(name)}; allowed: {known}, or a callable")
    if ("similarity" in names) != (target is not None):
        raise ValueError(
            f"{where}: target, a SMILES, must be given if and only if the reward is 'similarity', "
            f"got target={shown(target)}, reward={shown(reward)}"
        )
    default_floor, default_exponent = 0.0, 1.0
    parts: dict[str, Scorer] = {}
    if isinstance(reward, str):
        if reward in WINDOWS:
            raise ValueError(f"{where}: {reward} needs a window, such as reward={{{reward!r}: (low, high)}}")
        scorer = parts[reward] = named(reward, target, where)
        default_floor, default_exponent = DEFAULTS[reward]
    elif isinstance(reward, Mapping):
        if not reward:
            raise ValueError(f"{where}: a product of scores needs at least one name, got {dict(reward)}")
        factors = []
        for name, value in reward.items():
            scorer, default, power = _factor(name, value, target, where)
            factors.append((scorer, default, power))
            parts[f"{name}_window" if name in WINDOWS else name] = scorer
        scorer = functools.partial(_product, factors)
    elif isinstance(reward, Oracle):
        scorer = functools.partial(_by_oracle, reward, reward_of == "smiles")
    elif callable(reward):
        checked_reward_function(reward, where, "a SMILES" if reward_of == "smiles" else "an RDKit Mol")
        function = functools.partial(_of_smiles, reward) if reward_of == "smiles" else reward
        scorer = functools.partial(_each, where, function)
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


def _factor(name: str, value: Any, target: Any, where: str) -> tuple[Scorer, float, float]:
    """(scorer, floor, power) of one entry of a product."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        bounds = [real(f"the window of {name}", bound, where) for bound in value]
        if name not in WINDOWS or len(bounds) != 2 or bounds[0] > bounds[1]:
            given = f"got {name}: {shown(value)}"
            raise ValueError(f"{where}: a window is (low, high), for {', '.join(WINDOWS)}; {given}")
        return functools.partial(_each, where, functools.partial(desirability, name, *bounds)), WINDOW_FLOOR, 1.0
    if name in WINDOWS:
        raise ValueError(f"{where}: {name} needs a window (low, high), got {shown(value)}")
    return named(name, target, where), DEFAULTS[name][0], real(f"the power of {name}", value, where)


def named(name: str, target: Any, where: str) -> Scorer:
    """The scorer of a name in :data:`DEFAULTS`.

    Raises:
        ValueError: ``target`` is not a valid SMILES.
    """
    if name == "seh":
        from gfn_envs.envs.molecules.seh_proxy import published_proxy, seh_scores

        published_proxy(datasets.dataset("seh-proxy").checksum)  # Missing data raise when the environment is made.
        return seh_scores
    if name == "similarity":
        return functools.partial(_similarity, targets(target, where))
    functions = {"qed": qed, "sa": normalized_sa, "penalized_logp": exp_penalized_logp, "alerts": alert_score}
    return functools.partial(_each, where, functions[name])


def targets(target: Any, where: str) -> tuple[str, ...]:
    """Canonical SMILES of the targets: one SMILES, several, or a file of them."""
    if is_file(target):
        given = [row.smiles for row in read_smiles(target, where)]
    else:
        given = [target] if isinstance(target, str) else texts(target, where, "target")
    mols = [parse_quietly(smiles) for smiles in given]
    for smiles, mol in zip(given, mols, strict=True):
        if mol is None or not mol.GetNumAtoms():
            raise ValueError(f"{where}: target {smiles!r} is not a valid SMILES")
    if not mols:
        raise ValueError(f"{where}: target must have at least one SMILES, got {shown(target)}")
    # SMILES give smaller pickles than fingerprints.
    return tuple(chemistry().MolToSmiles(mol) for mol in mols)


def _each(
    where: str, function: Callable[[Any], float], mols: Sequence[Any], stems: Sequence[Sequence[int]]
) -> FloatArray:
    return np.array([_score_of(where, function, mol) for mol in mols], dtype=np.float64)


def _score_of(where: str, function: Callable[[Any], float], mol: Any) -> float:
    """The score of one Mol. Raises RewardError, with its SMILES, if the function does not return a number."""
    value = function(mol)
    if problem := problem_of(value):
        smiles = chemistry().MolToSmiles(mol)
        problem = f"an array of shape {np.shape(value)}" if np.ndim(value) else problem
        message = f"{where}: the reward of object {smiles} is {problem}: {shown(value)}; allowed: a number"
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


# ---------------------------------------------------------------------- fingerprints, scaffolds, drawings


@functools.cache
def _fingerprint_generator(bits: int) -> Any:
    from rdkit.Chem import rdFingerprintGenerator

    return rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=bits)


def fingerprint(mol: Any, bits: int = 2048) -> Any:
    """Morgan fingerprint, radius 2."""
    return _fingerprint_generator(bits).GetFingerprint(mol)


def similarities(prints: Sequence[Any], others: Sequence[Any]) -> FloatArray:
    """Tanimoto similarities of fingerprints, float64 (n, m)."""
    from rdkit import DataStructs

    table = [DataStructs.BulkTanimotoSimilarity(one, list(others)) for one in prints]
    return np.array(table, dtype=np.float64).reshape(len(prints), len(others))


@functools.lru_cache(maxsize=16)
def _target_prints(target: tuple[str, ...]) -> list[Any]:
    return [fingerprint(chemistry().MolFromSmiles(smiles)) for smiles in target]


def _similarity(target: tuple[str, ...], mols: Sequence[Any], stems: Sequence[Sequence[int]]) -> FloatArray:
    """The largest similarity to one of the targets."""
    return similarities([fingerprint(mol) for mol in mols], _target_prints(target)).max(1, initial=0.0)


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
