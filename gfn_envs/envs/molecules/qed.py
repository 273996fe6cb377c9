"""The properties of QED (Bickerton et al. 2012): the numbers of rdkit.Chem.QED, without work that changes none."""

from __future__ import annotations

import functools
from typing import Any

from gfn_envs.envs.molecules.kinds import chemistry


@functools.cache
def _alerts() -> Any:
    """RDKit's structural alerts as one catalog. A call per alert would take longer than its search."""
    from rdkit.Chem import QED, FilterCatalog

    catalog = FilterCatalog.FilterCatalog()
    for i, smarts in enumerate(QED.StructuralAlertSmarts):
        catalog.AddEntry(FilterCatalog.FilterCatalogEntry(str(i), FilterCatalog.SmartsMatcher(str(i), smarts)))
    return catalog


def properties(mol: Any) -> Any:
    """``rdkit.Chem.QED.properties(mol)`` of a sanitized Mol, to the bit."""
    from rdkit.Chem import QED, rdMolDescriptors

    chem = chemistry()
    if mol.GetNumHeavyAtoms() < mol.GetNumAtoms():
        return QED.properties(mol)  # Hydrogens that are atoms are removed there.
    aromatic = chem.Mol(mol)  # A copy, because the search for rings below writes to the Mol.
    if mol.HasSubstructMatch(QED.AliphaticRings):
        aromatic = chem.DeleteSubstructs(aromatic, QED.AliphaticRings)
    return QED.QEDproperties(
        MW=rdMolDescriptors._CalcMolWt(mol),
        ALOGP=rdMolDescriptors.CalcCrippenDescriptors(mol)[0],
        HBA=sum(len(mol.GetSubstructMatches(pattern)) for pattern in QED.Acceptors),
        HBD=rdMolDescriptors.CalcNumHBD(mol),
        PSA=rdMolDescriptors.CalcTPSA(mol),
        ROTB=rdMolDescriptors.CalcNumRotatableBonds(mol, rdMolDescriptors.NumRotatableBondsOptions.Strict),
        AROM=len(chem.GetSSSR(aromatic)),
        ALERTS=len(_alerts().GetMatches(mol)),
    )
