"""Molecules within a budget of oracle calls: rounds with a surrogate on fingerprints, and an oracle that keeps a log.

    python examples/acquire_molecules.py             # 5 rounds of 200 molecules
    python examples/acquire_molecules.py --quick

The reward, QED times the similarity to celecoxib, stands for an expensive one. Its calls go to ``--log``: if the
program is stopped and started again, it takes them from there.
"""

from __future__ import annotations

import argparse

import numpy as np
from rdkit import Chem
from rdkit.Chem import QED, DataStructs, rdFingerprintGenerator

import gfn_envs
from agents import acquire

CELECOXIB = Chem.MolFromSmiles("Cc1ccc(cc1)-c1cc(nn1-c1ccc(cc1)S(N)(=O)=O)C(F)(F)F")


def fingerprint(mol: Chem.Mol, size: int = 2048) -> object:
    return rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=size).GetFingerprint(mol)


def dock(smiles: str) -> dict[str, float]:
    """The expensive reward of a molecule: a value, and its components for the log."""
    mol = Chem.MolFromSmiles(smiles)
    qed, similarity = QED.qed(mol), DataStructs.TanimotoSimilarity(fingerprint(mol), fingerprint(CELECOXIB))
    return {"value": qed * similarity, "qed": qed, "similarity": similarity}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--batch", type=int, default=200, help="molecules per round (default: %(default)s)")
    parser.add_argument("--iterations", type=int, default=300, help="of the GFlowNet, per round (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--workers", type=int, default=0, help="processes that call the reward (default: %(default)s)")
    parser.add_argument("--log", default=None, help="SQLite file of the calls (default: none)")
    parser.add_argument("--quick", action="store_true", help="2 rounds of 30 molecules, 30 iterations")
    options = parser.parse_args()
    rounds, batch, iterations = (2, 30, 30) if options.quick else (options.rounds, options.batch, options.iterations)

    oracle = gfn_envs.Oracle(dock, workers=options.workers, log=options.log)
    dag = gfn_envs.make_dag("GFN/FragmentMolecule-v0", reward=oracle, reward_of="smiles", floor=1e-3, max_blocks=6)
    found = acquire.acquire(
        dag,
        rounds,
        batch,
        iterations=iterations,
        features=lambda states: np.array(
            [list(fingerprint(mol, 512)) for mol in dag.molecules(states)], dtype=np.float32
        ),
        seed=options.seed,
        epsilon=0.05,
        progress=True,
    )
    objects, rewards = found.best(5)
    for smiles, reward in zip(dag.to_smiles(objects), rewards, strict=True):
        print(f"{reward:.3f}  {smiles}")
    print(f"{oracle.text} (molecules that are two states are called once)")
    random = acquire.random_search(dag, rounds * batch, batch, options.seed)
    for name, result in (("GFlowNet", found), ("random", random)):
        print(f"{name:<8} mean reward of the {min(100, batch)} best: {result.best(min(100, batch))[1].mean():.4f}")
    oracle.close()


if __name__ == "__main__":
    main()
