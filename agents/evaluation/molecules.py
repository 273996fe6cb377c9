"""Metrics of sampled molecules, by RDKit, after MOSES (Polykovskiy et al. 2020)."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray


def molecule_metrics(smiles: Sequence[str], counts: IntArray, known: Sequence[str] | None = None) -> dict[str, Any]:
    """Validity, uniqueness, diversity and scaffolds of samples, and their novelty if molecules are known.

    Fingerprints are those of MOSES: Morgan, radius 2, 1024 bits. Scaffolds are those of Bemis and Murcko; scaffolds
    without a ring are left out. Samples of the same molecule count as often as they were drawn, as in MOSES.

    Args:
        smiles: SMILES of n molecules, possibly with repetitions.
        counts: number of samples of each (n,).
        known: SMILES of known molecules, such as a training set; None: none are known.

    Returns:
        * ``validity``: share of the samples that RDKit reads and sanitizes.
        * ``uniqueness``: distinct molecules / valid samples.
        * ``internal_diversity``: 1 - mean Tanimoto similarity of two valid samples (IntDiv_1).
        * ``distinct_scaffolds``: number of distinct scaffolds among the samples.
        * With ``known``: ``novelty``, the share of the distinct molecules that are not known; ``nearest_known``, the
          mean Tanimoto similarity of a sample to its nearest known molecule (SNN); and ``scaffold_similarity``, the
          cosine of the frequencies of scaffolds among samples and known molecules (Scaf).

        A metric is None if no sample is valid.

    Raises:
        ImportError: RDKit is not installed.
        ValueError: a known SMILES is invalid.
    """
    samples: Counter[str] = Counter()
    for text, count in zip(smiles, counts.tolist(), strict=True):
        if (canonical := _canonical(text)) is not None:
            samples[canonical] += count
    valid, every = samples.total(), int(counts.sum())
    found: dict[str, Any] = {"validity": valid / every, **dict.fromkeys(("uniqueness", "internal_diversity"))}
    found |= {"distinct_scaffolds": None}
    if not valid:
        return found
    prints, weights = [_fingerprint(text) for text in samples], np.array(list(samples.values())) / valid
    scaffolds = _scaffolds(samples)
    found["uniqueness"] = len(samples) / valid
    found["internal_diversity"] = 1.0 - sum(float(w * (s @ weights)) for w, s in _weighted(weights, prints, prints))
    found["distinct_scaffolds"] = len(scaffolds)
    if known is not None:
        reference = Counter(canonical_smiles(text) for text in known)
        found["novelty"] = sum(text not in reference for text in samples) / len(samples)
        nearest = _weighted(weights, prints, [_fingerprint(text) for text in reference])
        found["nearest_known"] = sum(float(w * s.max(initial=0.0)) for w, s in nearest)
        found["scaffold_similarity"] = _cosine(scaffolds, _scaffolds(reference))
    return found


def _weighted(weights: FloatArray, prints: Sequence[Any], others: Sequence[Any]) -> Any:
    """(weight, similarities to ``others``) of each fingerprint."""
    from rdkit import DataStructs

    for weight, one in zip(weights.tolist(), prints, strict=True):
        yield weight, np.array(DataStructs.BulkTanimotoSimilarity(one, list(others)))


def _mol(smiles: str) -> Any:
    try:
        from rdkit import Chem, rdBase
    except ImportError:
        raise ImportError('metrics of molecules need RDKit: pip install "gfn-envs[mols]"') from None
    with rdBase.BlockLogs():
        return Chem.MolFromSmiles(smiles)


def _canonical(smiles: str) -> str | None:
    """Canonical SMILES; None if RDKit cannot read it, or it has no atoms."""
    from rdkit import Chem

    mol = _mol(smiles)
    return Chem.MolToSmiles(mol) if mol is not None and mol.GetNumAtoms() else None


def canonical_smiles(smiles: str) -> str:
    """Canonical SMILES of a known molecule. Raises ValueError if it is invalid."""
    canonical = _canonical(smiles)
    if canonical is None:
        raise ValueError(f"known molecules: {smiles[:100]!r} is not a valid SMILES")
    return canonical


@functools.cache
def _generator() -> Any:
    from rdkit.Chem import rdFingerprintGenerator

    return rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=1024)


def _fingerprint(smiles: str) -> Any:
    return _generator().GetFingerprint(_mol(smiles))


def _scaffolds(molecules: Counter[str]) -> Counter[str]:
    """Number of samples of each scaffold with a ring."""
    from rdkit.Chem.Scaffolds import MurckoScaffold

    found: Counter[str] = Counter()
    for smiles, count in molecules.items():
        if scaffold := MurckoScaffold.MurckoScaffoldSmiles(smiles):
            found[scaffold] += count
    return found


def _cosine(one: Counter[str], other: Counter[str]) -> float | None:
    """Cosine of two vectors of frequencies; None if one of them is 0."""
    dot = sum(count * other[scaffold] for scaffold, count in one.items())
    length = sum(c * c for c in one.values()) * sum(c * c for c in other.values())
    return dot / float(np.sqrt(length)) if length else None
