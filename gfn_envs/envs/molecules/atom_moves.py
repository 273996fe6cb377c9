"""Moves on molecules of single atoms: canonical rows by RDKit, and the molecules one atom or one ring bond away.

A row holds the elements of ``max_atoms`` atoms (1, 2, ...; 0 if absent), in the order of RDKit's canonical SMILES, and
the bond orders (0 to 3) of all pairs of atoms i < j. Aromatic bonds are written as single and double bonds, as RDKit
kekulizes the canonical SMILES, so equal molecules are equal rows.

Two molecules are neighbors if some of their Kekule structures differ by one atom with its bond, or by one ring bond.
This holds in both directions by definition, also where a move destroys an aromatic ring. Each pair of neighbors is one
edge: of the actions that symmetries or Kekule structures exchange, only the first is legal.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from gfn_envs.arrays import IntArray
from gfn_envs.envs.molecules.atom_rules import Rules, check_molecule
from gfn_envs.envs.molecules.canonical_smiles import automorphisms, canonical_smiles
from gfn_envs.envs.molecules.kinds import bond_type, chemistry, parsed, without_log

#: Largest order of a bond.
ORDERS = 3
#: Molecules whose moves are kept, in each direction.
KEPT = 100_000
DTYPE = np.dtype(np.int16)
FORWARD, BACKWARD = "forward", "backward"


class Moves(NamedTuple):
    """Neighbors of one molecule in one direction.

    Attributes:
        actions: legal actions, ascending, int64 (k,).
        row: the row to which each leads.
        action: the action that leads to each row.
    """

    actions: IntArray
    row: dict[int, bytes]
    action: dict[bytes, int]


NO_MOVES = Moves(np.zeros(0, dtype=np.int64), {}, {})


class AtomMoves:
    """The moves of :class:`gfn_envs.AtomMolecule`, without the stop action.

    A forward action is location * num_arms + arm, which bonds a new atom, or num_additions + pair * 3 + order - 1,
    which closes a ring. A backward action is the index of an atom, or max_atoms + pair * 3 + order - 1.

    Args:
        elements: symbols of the elements.
        max_atoms: largest number of atoms n.
        rules: what molecules may contain.
    """

    def __init__(self, elements: Sequence[str], max_atoms: int, rules: Rules):
        table = chemistry().GetPeriodicTable()
        self.elements, self.max_atoms, self.rules = tuple(elements), max_atoms, rules
        self.numbers = [0, *(table.GetAtomicNumber(symbol) for symbol in elements)]
        self.valence = [0, *(table.GetDefaultValence(symbol) for symbol in elements)]
        #: (element, order) of each arm.
        self.arms = [(e, o) for e in range(1, len(self.numbers)) for o in range(1, min(ORDERS, self.valence[e]) + 1)]
        self.pairs = [(i, j) for i in range(max_atoms) for j in range(i + 1, max_atoms)]
        self._pairs_of = [np.triu_indices(n, 1) for n in range(max_atoms + 1)]
        self._pair = np.zeros((max_atoms, max_atoms), dtype=np.int64)
        for k, (i, j) in enumerate(self.pairs):
            self._pair[i, j] = self._pair[j, i] = k
        self.num_additions = max(1, max_atoms - 1) * len(self.arms)
        self.num_forward = self.num_additions + ORDERS * len(self.pairs)
        self.num_backward = max_atoms + ORDERS * len(self.pairs)
        self.width = max_atoms + len(self.pairs)
        self.empty = np.zeros(self.width, dtype=DTYPE).tobytes()
        #: Whether elements a and b may be bonded, at [a - 1][b - 1].
        self.bonded = [[not rules.forbidden_bonds.has(a, b) for b in elements] for a in elements]
        self._keep_results()

    def _keep_results(self) -> None:
        self.children = functools.lru_cache(KEPT)(self._children)
        self.parents = functools.lru_cache(KEPT)(self._parents)
        self.row_of = functools.lru_cache(KEPT)(self._row_of)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("children", "parents", "row_of")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._keep_results()

    # ------------------------------------------------------------------ rows and Mols

    def mol(self, row: bytes) -> Any:
        """The sanitized Mol of a row; atoms have the indices of the row."""
        mol = self._kekule_mol(*self._read(row))
        chemistry().SanitizeMol(mol)
        return mol.GetMol()

    def _mol_of_state(self, row: bytes) -> Any:
        """:meth:`mol` of a row, or None if the row is not that of a molecule."""
        values = np.frombuffer(row, DTYPE)
        atoms, orders = values[: self.max_atoms], values[self.max_atoms :]
        in_range = atoms.min() >= 0 and atoms.max() < len(self.numbers) and orders.min() >= 0 and orders.max() <= ORDERS
        if not in_range or not atoms[: np.count_nonzero(atoms)].all():
            return None
        try:
            with without_log():
                mol = self.mol(row)
                return mol if self.row_of(chemistry().MolToSmiles(mol)) == row else None
        except (ValueError, RuntimeError):  # of RDKit, on valences and atoms that do not exist
            return None

    def _read(self, row: bytes) -> tuple[list[int], dict[tuple[int, int], int]]:
        """Elements of the atoms, and the order of each bond."""
        values = np.frombuffer(row, DTYPE).tolist()
        atoms = [element for element in values[: self.max_atoms] if element]
        return atoms, {pair: o for pair, o in zip(self.pairs, values[self.max_atoms :], strict=True) if o}

    def _kekule_mol(self, atoms: Sequence[int], orders: dict[tuple[int, int], int]) -> Any:
        chem = chemistry()
        mol = chem.RWMol()
        for element in atoms:
            mol.AddAtom(chem.Atom(self.numbers[element]))
        for (i, j), order in orders.items():
            mol.AddBond(i, j, bond_type(order))
        return mol

    def _canonical(self, mol: Any) -> bytes | None:
        """The row of an RWMol, which is sanitized; None if it breaks a rule."""
        chem = chemistry()
        chem.SanitizeMol(mol)
        return self.row_of(chem.MolToSmiles(mol))

    def _row_of(self, smiles: str) -> bytes | None:
        """The row of a SMILES without charges; None if it breaks a rule."""
        chem = chemistry()
        mol = chem.MolFromSmiles(smiles)
        if (canonical := canonical_smiles(mol)) != smiles:
            mol = chem.MolFromSmiles(canonical)
        if not self.rules.allow_rings(mol):
            return None
        chem.Kekulize(mol, clearAromaticFlags=True)
        row = np.zeros(self.width, dtype=DTYPE)
        for i, atom in enumerate(mol.GetAtoms()):
            row[i] = self.numbers.index(atom.GetAtomicNum())
        for bond in mol.GetBonds():
            pair = self._pair[bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()]
            row[self.max_atoms + pair] = int(bond.GetBondTypeAsDouble())
        return row.tobytes()

    def row_of_any(self, smiles: str) -> bytes:
        """The row of a SMILES from a user. Raises ValueError, with the reason, if it is not a molecule of this kind."""
        mol = parsed(smiles)
        if mol.GetNumAtoms() > self.max_atoms:
            raise ValueError(f"has {mol.GetNumAtoms()} atoms; allowed: 1 to {self.max_atoms}")
        check_molecule(mol, dict(zip(self.elements, self.valence[1:], strict=True)), self.rules)
        row = self.row_of(chemistry().MolToSmiles(mol))
        if row is None:
            raise ValueError("has rings that max_rings, min_ring_size or strained exclude")
        return row

    # ------------------------------------------------------------------ moves

    def neighbors(self, way: str, row: bytes) -> Moves:
        """The larger molecules ("forward") or the smaller ones ("backward")."""
        return self.children(row) if way == FORWARD else self.parents(row)

    def _children(self, row: bytes) -> Moves:
        if row == self.empty:
            first = [(k, self._kekule_mol([element], {})) for k, (element, order) in enumerate(self.arms) if order == 1]
            return self._moves(first)
        mol = self._mol_of_state(row)
        return NO_MOVES if mol is None else self._moves(self._grown(row, mol))

    def _parents(self, row: bytes) -> Moves:
        if row == self.empty:
            return NO_MOVES
        mol = self._mol_of_state(row)
        if mol is None:
            return NO_MOVES
        if mol.GetNumAtoms() == 1:
            return Moves(np.zeros(1, np.int64), {0: self.empty}, {self.empty: 0})
        return self._moves(self._shrunk(row, mol))

    def _moves(self, proposals: Any) -> Moves:
        """One action for each row: the first that leads to it, or the first free one if another row has that action."""
        found: dict[int, bytes] = {}
        action: dict[bytes, int] = {}
        waiting: dict[bytes, None] = {}
        for proposed, mol in proposals:
            row = self._canonical(mol)
            if row is None or row in action:
                continue
            if proposed in found:
                waiting[row] = None
            else:
                found[proposed], action[row] = row, proposed
        for row in waiting:
            if row not in action:
                free = next(k for k in range(len(found) + 1) if k not in found)
                found[free], action[row] = row, free
        return Moves(np.array(sorted(found), dtype=np.int64), found, action)

    def _grown(self, row: bytes, mol: Any) -> Iterator[tuple[int, Any]]:
        """(action, RWMol) of every larger molecule, at least once."""
        chem = chemistry()
        atoms, orders = self._read(row)
        left = [self.valence[element] for element in atoms]
        for (i, j), order in orders.items():
            left[i] -= order
            left[j] -= order
        first_atom, first_pair = self._first_of_orbits(mol)
        for form in self._kekule_structures(mol, orders):
            base = self._kekule_mol(atoms, form)
            if len(atoms) < self.max_atoms:
                for i in first_atom:
                    for k, (element, order) in enumerate(self.arms):
                        if order <= left[i] and self.bonded[atoms[i] - 1][element - 1]:
                            grown = chem.RWMol(base)
                            grown.AddBond(i, grown.AddAtom(chem.Atom(self.numbers[element])), bond_type(order))
                            yield i * len(self.arms) + k, grown
            if self.rules.max_rings is not None and len(orders) - len(atoms) + 1 >= self.rules.max_rings:
                continue
            for i, j in first_pair:
                if (i, j) not in orders and self.bonded[atoms[i] - 1][atoms[j] - 1]:
                    for order in range(1, min(ORDERS, left[i], left[j]) + 1):
                        grown = chem.RWMol(base)
                        grown.AddBond(i, j, bond_type(order))
                        yield self.num_additions + int(self._pair[i, j]) * ORDERS + order - 1, grown

    def _shrunk(self, row: bytes, mol: Any) -> Iterator[tuple[int, Any]]:
        """(backward action, RWMol) of every smaller molecule, at least once."""
        chem = chemistry()
        atoms, orders = self._read(row)
        first_atom, first_pair = self._first_of_orbits(mol)
        for form in self._kekule_structures(mol, orders):
            base = self._kekule_mol(atoms, form)
            for i in first_atom:
                if mol.GetAtomWithIdx(i).GetDegree() == 1:
                    smaller = chem.RWMol(base)
                    smaller.RemoveAtom(i)
                    yield i, smaller
            for i, j in first_pair:
                if (i, j) in orders and mol.GetBondBetweenAtoms(i, j).IsInRing():
                    smaller = chem.RWMol(base)
                    smaller.RemoveBond(i, j)
                    yield self.max_atoms + int(self._pair[i, j]) * ORDERS + form[i, j] - 1, smaller

    def _first_of_orbits(self, mol: Any) -> tuple[list[int], list[tuple[int, int]]]:
        """The first of the atoms, and of the pairs of atoms, that symmetries of a Mol exchange."""
        images = automorphisms(mol)
        n = images.shape[1]
        first_atom = np.flatnonzero(images.min(0) == np.arange(n)).tolist()
        i, j = self._pairs_of[n]
        first = self._pair[images[:, i], images[:, j]].min(0) == self._pair[i, j]
        return first_atom, list(zip(i[first].tolist(), j[first].tolist(), strict=True))

    def _kekule_structures(self, mol: Any, orders: dict[tuple[int, int], int]) -> list[dict[tuple[int, int], int]]:
        """The bond orders of every Kekule structure of a sanitized Mol, of which ``orders`` is one."""
        # RDKit calls a triple bond in an aromatic ring (benzyne) aromatic too; its order stays.
        aromatic = [p for p, order in orders.items() if order < 3 and mol.GetBondBetweenAtoms(*p).GetIsAromatic()]
        if not aromatic:
            return [orders]
        needed = [0] * mol.GetNumAtoms()
        for pair in aromatic:
            for atom in pair:
                needed[atom] += orders[pair] - 1
        forms = [{**orders, **form} for form in _matchings(aromatic, needed)]
        smiles = canonical_smiles(mol)
        return [form for form in forms if form == orders or self._smiles(mol, form) == smiles]

    def _smiles(self, mol: Any, orders: dict[tuple[int, int], int]) -> str:
        other = self._kekule_mol([self.numbers.index(atom.GetAtomicNum()) for atom in mol.GetAtoms()], orders)
        chemistry().SanitizeMol(other)
        return canonical_smiles(other)


def _matchings(bonds: Sequence[tuple[int, int]], needed: Sequence[int]) -> Iterator[dict[tuple[int, int], int]]:
    """Orders 1 or 2 of ``bonds`` such that each atom has the ``needed`` number of double bonds."""
    if not bonds:
        if not any(needed):
            yield {}
        return
    (i, j), rest = bonds[0], bonds[1:]
    for order in (1, 2):
        left = list(needed)
        left[i] -= order - 1
        left[j] -= order - 1
        if min(left) >= 0:
            for form in _matchings(rest, left):
                yield {(i, j): order, **form}
