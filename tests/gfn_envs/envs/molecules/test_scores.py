"""Windows, alerts, several targets, and components of products."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import Crippen, Descriptors, Lipinski, rdMolDescriptors
from rdkit.Chem.FilterCatalog import FilterCatalog, FilterCatalogParams

from gfn_envs import FragmentMolecule, make_dag
from gfn_envs.envs.molecules.properties import WINDOWS, alerts, desirability
from gfn_envs.envs.molecules.scores import fingerprint, similarities

BLOCKS = ["*c1ccc(*)cc1", "*C(=O)N*", "*C", "*N=N*", "*OO*"]
SMILES = ["CC(=O)Nc1ccc(O)cc1", "c1ccccc1N=Nc1ccccc1", "CCCCCCCCCC", "O=CC=O"]
#: RDKit's own functions, by another path than the environment's.
REFERENCE = {
    "logp": Crippen.MolLogP,
    "tpsa": rdMolDescriptors.CalcTPSA,
    "weight": Descriptors.ExactMolWt,
    "hbd": Lipinski.NumHDonors,
    "hba": Lipinski.NumHAcceptors,
    "rotatable_bonds": Lipinski.NumRotatableBonds,
    "rings": Lipinski.RingCount,
}


def test_windows_are_1_inside_and_fall_outside() -> None:
    assert set(REFERENCE) == set(WINDOWS)
    for name, (function, scale) in WINDOWS.items():
        for smiles in SMILES:
            mol = Chem.MolFromSmiles(smiles)
            value = REFERENCE[name](mol)
            assert function(mol) == pytest.approx(value)
            assert desirability(name, value - 1, value + 1, mol) == 1
            assert desirability(name, value + scale, value + 9 * scale, mol) == pytest.approx(np.exp(-1))
            assert desirability(name, value - 9 * scale, value - 2 * scale, mol) == pytest.approx(np.exp(-2))


def test_alerts_are_entries_of_the_catalogs() -> None:
    known = FilterCatalogParams.FilterCatalogs
    chosen = [FilterCatalogParams(known.names[name]) for name in ("PAINS_A", "PAINS_B", "PAINS_C", "BRENK")]
    mols = [Chem.MolFromSmiles(smiles) for smiles in (*SMILES, "Cc1ccccc1")]
    found = [alerts(mol) for mol in mols]
    assert found == [sum(len(FilterCatalog(each).GetMatches(mol)) for each in chosen) for mol in mols]
    assert found[-1] == 0
    assert all(found[1:-1])  # azo group, long chain, dialdehyde


def test_the_reward_is_the_product_of_its_components() -> None:
    reward = {"qed": 2.0, "sa": 1, "logp": (1, 2), "weight": [150, 250], "alerts": 1, "similarity": 0.5}
    dag = FragmentMolecule(BLOCKS, max_blocks=3, reward=reward, target=["CC(=O)Nc1ccccc1", "CC"])
    objects = dag.terminal_states()
    parts = dag.reward_components(objects)
    assert list(parts) == ["qed", "sa", "logp_window", "weight_window", "alerts", "similarity"]
    powers = [2.0, 1, 1, 1, 1, 0.5]
    product = np.prod([np.maximum(v, 1e-3) ** p for v, p in zip(parts.values(), powers, strict=True)], axis=0)
    np.testing.assert_allclose(np.exp(dag.log_reward(objects)), product, rtol=1e-12)
    assert set(np.unique(parts["alerts"])) <= {2.0**-k for k in range(20)}
    prints = [fingerprint(mol) for mol in dag.molecules(objects)]
    targets = [fingerprint(Chem.MolFromSmiles(smiles)) for smiles in ("CC(=O)Nc1ccccc1", "CC")]
    np.testing.assert_allclose(parts["similarity"], similarities(prints, targets).max(1))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(dag)).log_reward(objects), dag.log_reward(objects))


def test_targets_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "known.csv").write_text("name,smiles\na,CC(=O)NC\nb,CCO\n")
    one, other = (
        make_dag("GFN/AtomMolecule-v0", max_atoms=3, reward="similarity", target=target)
        for target in (tmp_path / "known.csv", ["CC(=O)NC", "CCO"])
    )
    objects = one.terminal_states()
    np.testing.assert_array_equal(one.log_reward(objects), other.log_reward(objects))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reward": "logp"}, r"logp needs a window, such as reward={'logp': \(low, high\)}"),
        ({"reward": {"logp": 1.0}}, r"logp needs a window \(low, high\), got 1.0"),
        ({"reward": {"logp": (3, 1)}}, r"a window is \(low, high\), for logp, .* got logp: \(3, 1\)"),
        ({"reward": {"qed": (0, 1)}}, r"a window is \(low, high\), for logp, .* got qed: \(0, 1\)"),
        ({"reward": {"logp": (1, "2")}}, "the window of logp must be finite, got '2'"),
        ({"reward": {"qed": "1"}}, "the power of qed must be finite, got '1'"),
        ({"reward": "similarity", "target": []}, "target must have at least one SMILES"),
        ({"reward": "similarity", "target": ["CC", "C("]}, r"target 'C\(' is not a valid SMILES"),
    ],
)
def test_rewards_that_raise(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^FragmentMolecule: {message}"):
        FragmentMolecule(BLOCKS, **arguments)
