"""Numbers of small molecules: AtomMolecule beside lists that do not use it.

The programs geng and multig of nauty (McKay and Piperno 2014; Debian package nauty) list all connected multigraphs with
bonds of order 1 to 3 and at most four bonds per atom, up to isomorphism. Their atoms become elements in every way that
valences allow; RDKit's canonical SMILES of the results are counted, by the rules of the case. Results are stored in
benchmarks/results/molecule_counts.json.

    python -m benchmarks.molecule_counts             # all cases, about an hour, most of it for 9 carbon atoms
    python -m benchmarks.molecule_counts --most 7    # those of at most 7 atoms, minutes
    python -m benchmarks.molecule_counts --table     # the table of all stored results
"""

from __future__ import annotations

import argparse
import itertools
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from rdkit import Chem, RDLogger

import gfn_envs
from benchmarks import report

FILE = report.RESULTS / "molecule_counts.json"
VALENCE = {"C": 4, "N": 3, "O": 2, "F": 1}
ANY: dict[str, Any] = {"strained": True, "forbidden_bonds": None}
Bonds = list[tuple[int, int, int]]

#: name -> elements, largest number of atoms, settings of AtomMolecule.
CASES: dict[str, tuple[str, int, dict[str, Any]]] = {
    "C": ("C", 9, {}),
    "C, anything allowed": ("C", 9, ANY),
    "C, rings of 6 or more atoms": ("C", 8, {"min_ring_size": 6}),
    "C, at most one ring": ("C", 8, {"max_rings": 1}),
    "C, O": ("CO", 7, {}),
    "C, N, O": ("CNO", 6, {}),
    "C, N, O, F": ("CNOF", 5, {}),
}


def multigraphs(atoms: int) -> Iterator[Bonds]:
    """The bonds (i, j, order) of each connected multigraph.

    Raises:
        FileNotFoundError: the programs of nauty are missing.
    """
    if atoms == 1:
        yield []
        return
    programs = [shutil.which(name) or shutil.which(f"nauty-{name}") for name in ("geng", "multig")]
    if None in programs:
        raise FileNotFoundError("geng and multig of nauty are missing: apt install nauty")
    geng, multig = programs
    graphs = subprocess.run([str(geng), "-cq", "-D4", str(atoms)], capture_output=True, check=True)
    lines = subprocess.run(
        [str(multig), "-q", "-m3", "-D4", "-T"], input=graphs.stdout, capture_output=True, check=True
    )
    for line in lines.stdout.splitlines():
        numbers = list(map(int, line.split()))[2:]
        yield [(i, j, order) for i, j, order in zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True)]


def colored(bonds: Bonds, atoms: int, elements: str) -> Iterator[tuple[str, ...]]:
    """Elements of the atoms, in every way that valences allow."""
    degree = [sum(order for *ends, order in bonds if atom in ends) for atom in range(atoms)]
    return itertools.product(*([e for e in elements if VALENCE[e] >= d] for d in degree))


def canonical_smiles(letters: Sequence[str], bonds: Bonds) -> str:
    """RDKit's canonical SMILES, the same for all Kekule structures."""
    mol = Chem.RWMol()
    for letter in letters:
        mol.AddAtom(Chem.Atom(letter))
    for i, j, order in bonds:
        mol.AddBond(i, j, Chem.BondType.values[order])
    Chem.SanitizeMol(mol)
    return Chem.MolToSmiles(mol)


def shortest_rings(bonds: Bonds, atoms: int) -> dict[tuple[int, int], int]:
    """Number of atoms in the smallest ring of each bond, 0 if it is in no ring, by breadth-first search."""
    near: list[set[int]] = [set() for _ in range(atoms)]
    for i, j, _ in bonds:
        near[i].add(j)
        near[j].add(i)
    found = {}
    for i, j, _ in bonds:
        reached, new, steps = {i}, {i}, 0
        while new and j not in reached:  # the shortest way from i to j without their bond
            new = {b for a in new for b in near[a] if {a, b} != {i, j}} - reached
            reached |= new
            steps += 1
        found[i, j] = steps + 1 if j in reached else 0
    return found


def allowed(
    bonds: Bonds, atoms: int, min_ring_size: int = 3, max_rings: int = 99, strained: bool = False, **_: Any
) -> bool:
    """The rules of AtomMolecule on rings, for a multigraph."""
    rings = shortest_rings(bonds, atoms)
    if len(bonds) - atoms + 1 > max_rings or any(0 < size < min_ring_size for size in rings.values()):
        return False
    inside = [bond for bond in bonds if rings[bond[:2]]]
    doubles = [sum(order == 2 for *ends, order in inside if atom in ends) for atom in range(atoms)]
    return strained or (max(doubles, default=0) < 2 and all(order < 3 for *_, order in inside))


def brute_force(elements: str, atoms: int, forbidden_bonds: Any = "O-O,O-F,N-F,F-F", **rules: Any) -> set[str]:
    """SMILES of all molecules of ``atoms`` atoms."""
    pairs = [set(pair.split("-")) for pair in (forbidden_bonds or "").split(",")]
    found = set()
    for bonds in multigraphs(atoms):
        if allowed(bonds, atoms, **rules):
            for letters in colored(bonds, atoms, elements):
                if not any({letters[i], letters[j]} in pairs for i, j, _ in bonds):
                    found.add(canonical_smiles(letters, bonds))
    return found


def by_environment(elements: str, most: int, **settings: Any) -> list[set[str]]:
    """SMILES of all objects of the environment, by number of atoms from 1."""
    dag = gfn_envs.make_dag("GFN/AtomMolecule-v0", max_atoms=most, elements=",".join(elements), reward=_one, **settings)
    objects = dag.terminal_states()
    found: list[set[str]] = [set() for _ in range(most)]
    for atoms, name in zip((objects[:, :most] > 0).sum(1).tolist(), dag.object_names(objects), strict=True):
        found[atoms - 1].add(name)
    return found


def _one(mol: Any) -> float:
    return 1.0


def same_molecules(left: set[str], right: set[str]) -> bool:
    """Whether two sets of SMILES stand for the same molecules. RDKit writes a few cages in two ways, depending on the
    order of atoms, so what differs is compared by the first of many ways."""

    def first(smiles: str) -> str:
        mol, rng = Chem.MolFromSmiles(smiles), random.Random(0)
        orders = (rng.sample(range(mol.GetNumAtoms()), mol.GetNumAtoms()) for _ in range(50))
        return min(Chem.MolToSmiles(Chem.RenumberAtoms(mol, order)) for order in orders)

    return len(left) == len(right) and set(map(first, left - right)) == set(map(first, right - left))


def run(elements: str, most: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Numbers by atoms from 1, and CPU seconds, of brute force and of the environment."""
    start = time.process_time()
    listed = [brute_force(elements, atoms, **settings) for atoms in range(1, most + 1)]
    middle = time.process_time()
    made = by_environment(elements, most, **settings)
    same = all(map(same_molecules, listed, made))
    if not same:
        print(f"{elements} {settings}: the sets of molecules differ", file=sys.stderr)
    return {
        "brute_force": [len(found) for found in listed],
        "environment": [len(found) for found in made],
        "same": same,
        "seconds": [middle - start, time.process_time() - middle],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=9, help="largest number of atoms; default: %(default)s")
    parser.add_argument("--only", nargs="+", default=list(CASES), choices=CASES, metavar="NAME", help="names of cases")
    parser.add_argument("--table", action="store_true", help="run nothing")
    options = parser.parse_args()
    RDLogger.DisableLog("rdApp.*")
    for most, (name, (elements, largest, settings)) in itertools.product(range(5, options.most + 1), CASES.items()):
        if name not in options.only:
            continue
        stored = report.load(FILE)
        if not options.table and most <= largest and len(stored.get(name, {}).get("environment", [])) < most:
            stored[name] = run(elements, most, settings)
            report.save(FILE, stored)
            print(name, stored[name], flush=True)
    print(report.table(["molecules of", *map(str, range(1, 10)), "the same molecules"], rows(report.load(FILE))))


def rows(stored: dict[str, Any]) -> list[list[str]]:
    """A line per case: the number of molecules of exactly so many atoms."""
    return [
        [name, *(f"{n:,}" for n in found["environment"]), *[""] * (9 - len(found["environment"])), str(found["same"])]
        for name, found in stored.items()
    ]


if __name__ == "__main__":
    main()
