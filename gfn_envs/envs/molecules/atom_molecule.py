"""AtomMolecule: small molecules, atom by atom and bond by bond."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from gfn_envs import rendering
from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.envs.molecules.atom_counting import count_acyclic
from gfn_envs.envs.molecules.atom_moves import BACKWARD, DTYPE, FORWARD, ORDERS, AtomMoves
from gfn_envs.envs.molecules.atom_rules import Rules, symbols
from gfn_envs.envs.molecules.bonds import BondPairs, plain
from gfn_envs.envs.molecules.scored import ScoredMolecules
from gfn_envs.graph_layout import GraphLayout, NodeActions
from gfn_envs.validation import positive_int, shown

#: Largest allowed ``max_atoms``. RDKit makes every move, which takes about a millisecond per new molecule.
MAX_ATOMS = 16


class AtomMolecule(ScoredMolecules):
    """Build a small molecule atom by atom, with rings and double and triple bonds; the reward is QED or your function.

    ## Description
    A state is a molecule: atoms of a few elements, connected by single, double and triple bonds. Hydrogens fill the
    free valence, given RDKit's default valence of the element (C 4, N 3, O 2, F 1), so every state is a molecule
    without charges and radicals. Equal molecules are equal states, also if their Kekule structures differ: rows follow
    RDKit's canonical SMILES. The molecules have no stereochemistry.

    ## Action Space
    ``Discrete((max_atoms - 1) * A + 3 * max_atoms * (max_atoms - 1) / 2 + 1)``: bond a new atom to an atom of the
    molecule, by one of the A arms (element, bond order); close a ring by a bond of order 1, 2 or 3 between two atoms;
    or stop. The first atom uses the arms of order 1 at atom 0. Each larger molecule has one legal action: the first of
    those that lead to it.

    ## Backward actions
    ``max_atoms + 3 * max_atoms * (max_atoms - 1) / 2 + 1``: remove an atom with a single neighbor; remove a bond of
    order 1, 2 or 3 in a ring; undo the stop. Each smaller molecule has one legal action.

    ## Observation Space
    ``MultiDiscrete``: the state row, which has the element of each atom, 1 + its index in ``elements``, or 0 if absent;
    then the bond order of each pair of atoms (0, 1), (0, 2), ...; then 1 if the molecule is finished. Aromatic bonds
    are 1 and 2 in turn. The network features are the one-hot vectors of all entries, the numbers of atoms and rings
    divided by ``max_atoms``, and the free valence of each atom.

    ## Starting State
    No atoms.

    ## Rewards
    As in :class:`gfn_envs.FragmentMolecule`: R = max(score, floor)^exponent.

    ## Episode End
    At the stop action, which is legal from ``min_atoms`` atoms on, and if no other action is legal (N#N).

    ## Number of states
    1 + 2 * objects if ``min_atoms`` is 1. Acyclic molecules (``max_rings=0``) are counted by a formula (Polya's theorem
    and Otter's dissymmetry theorem), others by enumeration.

    ## Arguments
    * ``max_atoms``: largest number of atoms, hydrogens apart, from 2 to 16; 9 as in QM9.
    * ``elements``: symbols of the elements, as a list or as text with commas.
    * ``min_atoms``: smallest number of atoms at which the stop action is legal.
    * ``max_rings``: largest number of rings (bonds - atoms + 1); None: any.
    * ``min_ring_size``: smallest number of atoms in a ring, >= 3.
    * ``strained``: whether triple bonds and cumulated double bonds may be part of a ring.
    * ``forbidden_bonds``: pairs of elements that are not bonded, as in FragmentMolecule; None: any may be.
    * ``reward``: a name, a mapping from names to powers or windows, or a callable, as in FragmentMolecule.
    * ``target``: SMILES of the targets of "similarity".
    * ``reward_of``: "mol" or "smiles", the input of a callable reward.
    * ``exponent``: power of the score, > 0; None: 1, or 10 for "seh".
    * ``floor``: lower bound of the score, >= 0; None: that of the score.
    * ``mode_threshold``: smallest score of a mode, a Bemis-Murcko scaffold; None: no modes.

    ## References
    Ramakrishnan et al. 2014, Quantum chemistry structures and properties of 134 kilo molecules (QM9); Jain et al. 2023,
    Multi-Objective GFlowNets (QM9)

    ## Version History
    * v0: initial version.
    """

    def __init__(
        self,
        max_atoms: int = 9,
        elements: str | Sequence[str] = "C,N,O,F",
        min_atoms: int = 1,
        max_rings: int | None = None,
        min_ring_size: int = 3,
        strained: bool = False,
        forbidden_bonds: str | Sequence[str] | None = "O-O,O-F,N-F,F-F",
        reward: str | Mapping[str, float | tuple[float, float]] | Callable[[Any], float] = "qed",
        target: str | os.PathLike[str] | Sequence[str] | None = None,
        reward_of: str = "mol",
        exponent: float | None = None,
        floor: float | None = None,
        mode_threshold: float | None = None,
    ):
        where = "AtomMolecule"
        self.max_atoms = n = positive_int("max_atoms", max_atoms, where, at_least=2, at_most=MAX_ATOMS)
        self.min_atoms = positive_int("min_atoms", min_atoms, where, at_most=n)
        rings = None if max_rings is None else positive_int("max_rings", max_rings, where, at_least=0)
        if not isinstance(strained, bool):
            raise ValueError(f"{where}: strained must be True or False, got {shown(strained)}")
        size = positive_int("min_ring_size", min_ring_size, where, at_least=3)
        rules = Rules(BondPairs(forbidden_bonds, where), rings, size, strained)
        self._moves = moves = AtomMoves(symbols(elements, where), n, rules)
        self.num_actions, self.num_backward_actions = moves.num_forward + 1, moves.num_backward + 1
        self._last = {FORWARD: moves.num_forward, BACKWARD: moves.num_backward}
        limits = [len(moves.pairs), n * max(moves.valence) // 2] + ([] if rings is None else [n - 1 + rings])
        # One action per bond, one for the first atom, and the stop.
        self.max_length, self.max_length_is_bound = min(limits) + 2, True
        self.state_width, self.state_dtype = moves.width + 1, DTYPE
        sizes = [len(moves.numbers)] * n + [ORDERS + 1] * len(moves.pairs) + [2]
        self.observation_space = spaces.MultiDiscrete(sizes)
        self._sizes = np.array(sizes)
        self._feature_start = np.cumsum([0, *sizes])[:-1]
        self.num_features = sum(sizes) + 2 + n
        self.num_tokens, self.num_positions = len(moves.numbers) + ORDERS + 1, moves.width
        arms = NodeActions(len(moves.arms), np.arange(moves.num_additions))
        self.graph_layout = GraphLayout(n, len(moves.numbers), ORDERS + 1, arms, NodeActions(1, np.arange(n)))
        self._valence = np.array(moves.valence)
        self._first, self._second = (np.array(end) for end in zip(*moves.pairs, strict=True))
        acyclic = count_acyclic(moves.valence[1:], moves.bonded, n, ORDERS)[1:]
        #: At least so many states have no rings; all states if ``max_rings`` is 0 and ``min_atoms`` 1.
        self._acyclic = 1 + sum(acyclic) + sum(acyclic[self.min_atoms - 1 :])
        if rings == 0 and self.min_atoms == 1:
            self.declared_num_states = self._acyclic
            self.declared_num_terminal_states = sum(acyclic)
        self.arguments = {"max_atoms": n, "elements": plain(elements), "min_atoms": self.min_atoms, "max_rings": rings}
        self.arguments |= {"min_ring_size": size, "strained": strained, "forbidden_bonds": plain(forbidden_bonds)}
        self.arguments |= {"reward": reward, "target": plain(target), "reward_of": reward_of, "exponent": exponent}
        self.arguments |= {"floor": floor, "mode_threshold": mode_threshold}
        self._set_score(reward, target, reward_of, exponent, floor, mode_threshold)

    def has_at_most(self, num_states: int) -> bool:
        # The formula saves the enumeration of environments that are too large anyway.
        return self._acyclic <= num_states and super().has_at_most(num_states)

    # ------------------------------------------------------------------ the contract

    def source(self, n: int) -> IntArray:
        return np.zeros((n, self.state_width), dtype=self.state_dtype)

    def is_terminal(self, states: IntArray) -> BoolArray:
        return states[:, -1] == 1

    def forward_mask(self, states: IntArray) -> BoolArray:
        mask, going = self._mask(states, FORWARD)
        mask[:, -1] = going & ((self._num_atoms(states) >= self.min_atoms) | ~mask.any(1))
        return mask

    def backward_mask(self, states: IntArray) -> BoolArray:
        mask, _ = self._mask(states, BACKWARD)
        mask[:, -1] = self.is_terminal(states)
        return mask

    def _mask(self, states: IntArray, way: str) -> tuple[BoolArray, BoolArray]:
        """The moves of each state without the stop, and whether it is an unfinished molecule."""
        # False for rows that are not states: a reset to an arbitrary row computes their masks.
        going = ~self.is_terminal(states) & ((states >= 0) & (states < self._sizes)).all(1)
        mask = np.zeros((len(states), self._last[way] + 1), dtype=bool)
        for row, key in zip(np.flatnonzero(going).tolist(), self._keys(states[going]), strict=True):
            mask[row, self._moves.neighbors(way, key).actions] = True
        return mask, going

    def step(self, states: IntArray, actions: IntArray) -> IntArray:
        return self._moved(states, actions, FORWARD)

    def undo(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        return self._moved(states, backward_actions, BACKWARD)

    def backward_action(self, states: IntArray, actions: IntArray) -> IntArray:
        return self._reverse(states, actions, FORWARD, BACKWARD)

    def forward_action(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        return self._reverse(states, backward_actions, BACKWARD, FORWARD)

    def _moved(self, states: IntArray, actions: IntArray, way: str) -> IntArray:
        """The states that ``actions`` lead to; the last action only sets the flag."""
        result, stops = np.array(states), np.asarray(actions) == self._last[way]
        moves = zip(self._keys(states[~stops]), np.asarray(actions)[~stops].tolist(), strict=True)
        found = b"".join(self._moves.neighbors(way, key).row[action] for key, action in moves)
        result[~stops, :-1] = np.frombuffer(found, dtype=DTYPE).reshape(-1, self._moves.width)
        result[:, -1] = stops & (way == FORWARD)
        return result

    def _reverse(self, states: IntArray, actions: IntArray, way: str, back: str) -> IntArray:
        """The actions that lead back."""

        def reverse(key: bytes, action: int) -> int:
            if action == self._last[way]:
                return self._last[back]
            return self._moves.neighbors(back, self._moves.neighbors(way, key).row[action]).action[key]

        return np.array(list(map(reverse, self._keys(states), np.asarray(actions).tolist())), dtype=np.int64)

    def _keys(self, states: IntArray) -> list[bytes]:
        data = np.ascontiguousarray(states[:, : self._moves.width], dtype=DTYPE).tobytes()
        size = self._moves.width * DTYPE.itemsize
        return [data[start : start + size] for start in range(0, len(data), size)]

    # ------------------------------------------------------------------ encodings

    def _num_atoms(self, states: IntArray) -> IntArray:
        return np.count_nonzero(states[:, : self.max_atoms], axis=1)

    def _free_valence(self, states: IntArray) -> IntArray:
        """Hydrogens of each atom, (n, max_atoms)."""
        orders = states[:, self.max_atoms : -1].astype(np.int64)
        free = self._valence[states[:, : self.max_atoms]]
        for pair in range(orders.shape[1]):
            free[:, self._first[pair]] -= orders[:, pair]
            free[:, self._second[pair]] -= orders[:, pair]
        return free

    def encode(self, states: IntArray) -> FloatArray:
        """One-hot vectors of the row, atoms / max_atoms, rings / max_atoms, and the hydrogens of each atom."""
        features = np.zeros((len(states), self.num_features), dtype=np.float32)
        np.put_along_axis(features, self._feature_start + states.astype(np.int64), 1.0, axis=1)
        n, atoms = self.max_atoms, self._num_atoms(states)
        bonds = np.count_nonzero(states[:, n:-1], axis=1)
        features[:, -n - 2] = atoms / n
        features[:, -n - 1] = np.maximum(bonds - atoms + 1, 0) * (atoms > 0) / n
        features[:, -n:] = self._free_valence(states)
        return features

    def observe(self, states: IntArray) -> IntArray:
        return states.astype(np.int64)

    def tokens(self, states: IntArray) -> IntArray:
        """The row without its last entry; elements and bond orders have separate tokens."""
        tokens = states[:, :-1].astype(np.int64)
        tokens[:, self.max_atoms :] += len(self._moves.numbers)
        return tokens

    def labelled_graphs(self, states: IntArray) -> IntArray:
        """Atoms with their element as label, and bond orders as relations."""
        graphs = np.zeros((len(states), self.max_atoms, self.max_atoms), dtype=np.int64)
        np.einsum("nii->ni", graphs)[:] = states[:, : self.max_atoms]
        graphs[:, self._first, self._second] = graphs[:, self._second, self._first] = states[:, self.max_atoms : -1]
        return graphs

    # ------------------------------------------------------------------ molecules

    def to_mol(self, state: IntArray) -> Any:
        """The sanitized RDKit Mol of one state (state_width,). s0 gives the empty Mol."""
        return self._moves.mol(self._keys(np.asarray(state)[None])[0])

    def stem_atoms(self, state: IntArray) -> list[int]:
        return []

    def from_smiles(self, smiles: Sequence[str]) -> IntArray:
        """Finished states (n, state_width) of molecules, such as those of a data set.

        Raises:
            ValueError: a SMILES is invalid, or not a molecule of this environment: another element, a charge, too many
                atoms, more than one part, or a forbidden bond or ring.
        """
        rows = np.zeros((len(smiles), self.state_width), dtype=self.state_dtype)
        for i, text in enumerate(smiles):
            try:
                rows[i, :-1] = np.frombuffer(self._moves.row_of_any(text), dtype=DTYPE)
            except ValueError as error:
                raise ValueError(f"AtomMolecule: {shown(text)} {error}") from None
        rows[:, -1] = 1
        return rows

    # ------------------------------------------------------------------ labels and rendering

    def action_label(self, action: int) -> str:
        moves, marks = self._moves, "-=#"
        if action == self.num_actions - 1:
            return "stop"
        if action < moves.num_additions:
            atom, arm = divmod(action, len(moves.arms))
            element, order = moves.arms[arm]
            return f"{marks[order - 1]}{moves.elements[element - 1]} to atom {atom}"
        pair, order = divmod(action - moves.num_additions, ORDERS)
        return f"bond {marks[order]} of atoms {moves.pairs[pair][0]}, {moves.pairs[pair][1]}"

    def render_image(self, state: IntArray, path: IntArray | None = None) -> rendering.Image:
        """The structural formula, 300 by 300 pixels, in a frame if the molecule is finished."""
        image = super().render_image(state)
        if state[-1]:
            for edge in (image[:3], image[-3:], image[:, :3], image[:, -3:]):
                edge[:] = rendering.BLUE
        return image

    def render_text(self, state: IntArray) -> str:
        """The SMILES, and "..." behind it if the molecule is not finished."""
        smiles = self.to_smiles(state[None])[0] or "(empty)"
        return smiles if state[-1] else f"{smiles} ..."
