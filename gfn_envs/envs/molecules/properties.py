"""Scores and properties of one RDKit Mol."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from gfn_envs.envs.molecules.qed import properties


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


def logp(mol: Any) -> float:
    """Octanol-water partition coefficient (Wildman and Crippen 1999)."""
    return float(_descriptors().CalcCrippenDescriptors(mol)[0])


def penalized_logp(mol: Any) -> float:
    """logP - SA - max(0, atoms of the largest ring - 6) (Gomez-Bombarelli et al. 2018), not standardized."""
    largest = max((len(ring) for ring in mol.GetRingInfo().AtomRings()), default=0)
    return logp(mol) - synthetic_accessibility(mol) - max(0, largest - 6)


def exp_penalized_logp(mol: Any) -> float:
    """exp of :func:`penalized_logp`, > 0."""
    return float(np.exp(penalized_logp(mol)))


def alerts(mol: Any) -> float:
    """Number of structural alerts in RDKit's catalogs PAINS (Baell and Holloway 2010) and Brenk (et al. 2008)."""
    return float(len(_alert_catalog().GetMatches(mol)))


def alert_score(mol: Any) -> float:
    """2^-alerts, in (0, 1]: 1 for molecules without alerts."""
    return float(0.5 ** alerts(mol))


@functools.cache
def _alert_catalog() -> Any:
    from rdkit.Chem.FilterCatalog import FilterCatalog, FilterCatalogParams

    chosen = FilterCatalogParams()
    for catalog in ("PAINS", "BRENK"):
        chosen.AddCatalog(getattr(FilterCatalogParams.FilterCatalogs, catalog))
    return FilterCatalog(chosen)


def _descriptors() -> Any:
    from rdkit.Chem import rdMolDescriptors

    return rdMolDescriptors


#: Properties that a window can limit: the function, and the distance from the window at which the score is 1 / e.
WINDOWS: dict[str, tuple[Callable[[Any], float], float]] = {
    "logp": (logp, 1.0),
    "tpsa": (lambda mol: float(_descriptors().CalcTPSA(mol)), 20.0),
    "weight": (lambda mol: float(_descriptors().CalcExactMolWt(mol)), 50.0),
    "hbd": (lambda mol: float(_descriptors().CalcNumHBD(mol)), 1.0),
    "hba": (lambda mol: float(_descriptors().CalcNumHBA(mol)), 1.0),
    "rotatable_bonds": (lambda mol: float(_descriptors().CalcNumRotatableBonds(mol)), 1.0),
    "rings": (lambda mol: float(_descriptors().CalcNumRings(mol)), 1.0),
}


def desirability(name: str, low: float, high: float, mol: Any) -> float:
    """1 if the property ``name`` of :data:`WINDOWS` is in [low, high]; exp(-distance / scale) outside."""
    function, scale = WINDOWS[name]
    value = function(mol)
    return float(np.exp(-max(low - value, value - high, 0.0) / scale))
