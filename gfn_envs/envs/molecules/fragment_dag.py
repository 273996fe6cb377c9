"""FragmentDag: base class of environments that bond building blocks; it defines the moves and encodings."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.envs.molecules.canonical_trees import Trees
from gfn_envs.envs.molecules.counting import count_states
from gfn_envs.envs.molecules.kinds import Stem, chemistry, with_asterisks
from gfn_envs.envs.molecules.moves import BlockMoves
from gfn_envs.envs.molecules.rdkit_builder import MoleculeBuilder
from gfn_envs.envs.molecules.scored import ScoredMolecules
from gfn_envs.envs.molecules.vocabulary import load_vocabulary
from gfn_envs.graph_layout import GraphLayout, NodeActions
from gfn_envs.validation import positive_int

#: Number of rows whose canonical forms are computed at once, which limits the memory for their codes.
CHUNK = 2048


#: Largest allowed ``max_blocks``: counting the states of 200 blocks takes a few seconds.
MAX_BLOCKS = 200


class FragmentDag(ScoredMolecules):
    """Molecules as trees of building blocks.

    A state row holds four runs of ``max_blocks`` integers, which are the fields of
    :class:`gfn_envs.envs.molecules.canonical_trees.Trees`, and then 1 if the molecule is finished. The tree is in
    canonical form, so that equal molecules are equal rows.

    Args:
        blocks, rules, forbidden_bonds: see :func:`gfn_envs.envs.molecules.vocabulary.load_vocabulary`.
        max_blocks: largest number of blocks in a molecule, >= 2.
        min_blocks: smallest number of blocks at which the stop action is legal, from 1 to ``max_blocks``.

    Raises:
        ValueError: an argument is out of range, or a block is invalid.
    """

    def __init__(
        self,
        blocks: str | os.PathLike[str] | Sequence[str] | None,
        max_blocks: int,
        min_blocks: int,
        rules: str | os.PathLike[str] | None = None,
        forbidden_bonds: str | Sequence[str] | None = None,
    ):
        where = type(self).__name__
        self.max_blocks = m = positive_int("max_blocks", max_blocks, where, at_least=2, at_most=MAX_BLOCKS)
        self.min_blocks = positive_int("min_blocks", min_blocks, where)
        if self.min_blocks > m:
            raise ValueError(f"{where}: min_blocks must be at most max_blocks, got {min_blocks=}, {max_blocks=}")
        self.vocabulary = vocabulary = load_vocabulary(blocks, rules, forbidden_bonds)
        self._moves = moves = BlockMoves(vocabulary, m)
        self.num_kinds, self.num_arms, self.num_stems = moves.num_kinds, moves.num_arms, moves.num_stems
        self.num_actions = moves.num_locations * self.num_arms + 1
        self.num_backward_actions = m + 1
        self.state_width = 4 * m + 1
        self.state_dtype = np.dtype(np.int16)
        sizes = [self.num_kinds + 1] * m + [m] * m + [self.num_stems] * (2 * m)
        self.observation_space = spaces.MultiDiscrete([*sizes, 2])
        starts = np.cumsum([0, self.num_kinds + 1, m, self.num_stems])
        self._token_start = np.repeat(starts, m)
        self.num_tokens, self.num_positions = int(starts[-1]) + self.num_stems, 4 * m
        self.graph_layout = GraphLayout(
            m,
            self.num_kinds + 1,
            1 + self.num_stems**2,
            NodeActions(self.num_stems * self.num_arms, np.arange(self.num_actions - 1)),
            NodeActions(1, np.arange(m)),
        )
        self._feature_start = np.cumsum([0, *sizes])
        self.num_features = sum(sizes) + 4
        # Trees of m blocks and trees without an open stem are terminal. Others stop.
        self.declared_num_states, self.declared_num_terminal_states, self.max_length = count_states(
            vocabulary, m, self.min_blocks
        )
        self._builder = MoleculeBuilder(vocabulary.kinds)

    # ------------------------------------------------------------------ rows and trees

    def _tree(self, states: IntArray) -> Trees:
        m = self.max_blocks
        return Trees(*(states[:, i * m : (i + 1) * m].astype(np.int64) for i in range(4)))

    def _row(self, trees: Trees, stopped: IntArray | bool) -> IntArray:
        flag = np.broadcast_to(np.asarray(stopped)[..., None], (len(trees.kind), 1))
        return np.concatenate([*trees, flag], axis=1).astype(self.state_dtype)

    # ------------------------------------------------------------------ the contract

    def source(self, n: int) -> IntArray:
        return np.zeros((n, self.state_width), dtype=self.state_dtype)

    def is_terminal(self, states: IntArray) -> BoolArray:
        return states[:, -1] == 1

    def forward_mask(self, states: IntArray) -> BoolArray:
        mask = np.zeros((len(states), self.num_actions), dtype=bool)
        for rows in _chunks_of(~self.is_terminal(states)):
            trees = self._tree(states[rows])
            self._moves.allow_additions(trees, mask[:, :-1], rows)
            mask[rows, -1] = np.count_nonzero(trees.kind, axis=1) >= self.min_blocks
        return mask

    def backward_mask(self, states: IntArray) -> BoolArray:
        mask = np.zeros((len(states), self.num_backward_actions), dtype=bool)
        for part in _chunks(len(states)):
            trees = self._tree(states[part])
            # True if the stop action finished the molecule, not a lack of open stems or of room.
            stopped = (states[part, -1] == 1) & ~self._moves.must_end(trees)
            mask[part, :-1] = self._moves.removals(trees) & ~stopped[:, None]
            mask[part, -1] = stopped
        return mask

    def step(self, states: IntArray, actions: IntArray) -> IntArray:
        children, actions = np.array(states), np.asarray(actions)
        stop = actions == self.num_actions - 1
        children[stop, -1] = 1
        for rows in _chunks_of(~stop):
            grown = self._moves.add(self._tree(states[rows]), actions[rows])
            children[rows] = self._row(grown, self._moves.must_end(grown))
        return children

    def backward_action(self, states: IntArray, actions: IntArray) -> IntArray:
        actions = np.asarray(actions)
        back = np.full(len(states), self.max_blocks)
        for rows in _chunks_of(actions != self.num_actions - 1):
            back[rows] = self._moves.added_leaf(self._tree(states[rows]), actions[rows])
        return back

    def undo(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        parents, leaves = np.array(states), np.asarray(backward_actions)
        parents[:, -1] = 0
        for rows in _chunks_of(leaves != self.max_blocks):
            parents[rows] = self._row(self._moves.remove(self._tree(states[rows]), leaves[rows]), False)
        return parents

    def forward_action(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        return self._parents_and_actions(states, np.asarray(backward_actions))[1]

    def parents(self, states: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        # The base class would compute the canonical form twice, for the parent and for the action.
        row, leaves = np.nonzero(self.backward_mask(states))
        return row, *self._parents_and_actions(states[row], leaves)

    def _parents_and_actions(self, states: IntArray, leaves: IntArray) -> tuple[IntArray, IntArray]:
        """Parents, and the forward actions that lead from them to ``states``."""
        parents, actions = np.array(states), np.full(len(states), self.num_actions - 1)
        parents[:, -1] = 0
        for rows in _chunks_of(leaves != self.max_blocks):
            smaller, actions[rows] = self._moves.removed_and_action(self._tree(states[rows]), leaves[rows])
            parents[rows] = self._row(smaller, False)
        return parents, actions

    # ------------------------------------------------------------------ encodings

    def encode(self, states: IntArray) -> FloatArray:
        """One-hot vectors of the entries of the row, then (open stems) / max_blocks and (blocks) / max_blocks."""
        features = np.zeros((len(states), self.num_features), dtype=np.float32)
        np.put_along_axis(features, self._feature_start + states.astype(np.int64), 1.0, axis=1)
        trees = self._tree(states)
        features[:, -2] = self._moves.open_stems(trees).sum((1, 2)) / self.max_blocks
        features[:, -1] = (trees.kind > 0).sum(1) / self.max_blocks
        return features

    def observe(self, states: IntArray) -> IntArray:
        return states.astype(np.int64)

    def tokens(self, states: IntArray) -> IntArray:
        """The row without its last entry. Kinds, indices of blocks, and positions have separate tokens."""
        return states[:, :-1].astype(np.int64) + self._token_start

    def labelled_graphs(self, states: IntArray) -> IntArray:
        """Blocks with label 1 + kind. Bonded blocks have relation 1 + p S + q.

        p is the position of the bond on the first block, q that on the second, and S the number of positions per block.
        """
        trees, s = self._tree(states), self.num_stems
        graphs = np.zeros((len(states), self.max_blocks, self.max_blocks), dtype=np.int64)
        np.einsum("nii->ni", graphs)[:] = trees.kind
        row, block = np.nonzero(trees.kind[:, 1:])
        block += 1
        parent, port, entry = (array[row, block] for array in trees[1:])
        graphs[row, parent, block], graphs[row, block, parent] = 1 + port * s + entry, 1 + entry * s + port
        return graphs

    # ------------------------------------------------------------------ molecules

    def to_mol(self, state: IntArray) -> Any:
        """The sanitized RDKit Mol of one state (state_width,); open stems carry hydrogens. s0 gives the empty Mol."""
        return self._builder.mol(*self._lists(state))

    def stem_atoms(self, state: IntArray) -> list[int]:
        """Indices of the atoms of :meth:`to_mol` with open stems, each repeated once per open stem."""
        return [stem.atom for stem in self._stems(state)]

    def _stems(self, state: IntArray) -> list[Stem]:
        return self._builder.stems(self._lists(state)[0], self._moves.open_stems(self._tree(state[None]))[0])

    def to_smiles(self, states: IntArray, asterisks: bool = False) -> list[str]:
        """Canonical SMILES of each state, with hydrogens or with asterisks at open stems."""
        if asterisks:
            chem = chemistry()
            return [chem.MolToSmiles(with_asterisks(self.to_mol(s), self._stems(s))) for s in states]
        return super().to_smiles(states)

    def _lists(self, state: IntArray) -> tuple[list[int], ...]:
        m = self.max_blocks
        return tuple(state[i * m : (i + 1) * m].tolist() for i in range(4))

    # ------------------------------------------------------------------ labels and rendering

    def action_label(self, action: int) -> str:
        if action == self.num_actions - 1:
            return "stop"
        location, arm = divmod(action, self.num_arms)
        block, position = divmod(location, self.num_stems)
        return f"{self.vocabulary.names[arm]} to block {block}, stem {position}"

    def render_text(self, state: IntArray) -> str:
        """SMILES with asterisks at open stems. After a stop with open stems, the SMILES of the molecule comes first."""
        with_stems = self.to_smiles(state[None], asterisks=True)[0]
        if not self.is_terminal(state[None])[0]:
            return with_stems or "(empty)"
        plain = self.to_smiles(state[None])[0]
        return plain if plain == with_stems else f"{plain} (stopped: {with_stems})"


def _chunks(n: int) -> Iterator[slice]:
    return (slice(start, start + CHUNK) for start in range(0, n, CHUNK))


def _chunks_of(chosen: BoolArray) -> Iterator[IntArray]:
    """Indices of the rows at which ``chosen`` (n,) is True, in chunks."""
    rows = np.flatnonzero(chosen)
    return (rows[part] for part in _chunks(len(rows)))
