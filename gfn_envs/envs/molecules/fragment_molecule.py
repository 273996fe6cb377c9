"""FragmentMolecule: molecules as trees of building blocks, with rewards that chemists use."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces

from gfn_envs import rendering
from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.dag import Dag
from gfn_envs.envs.molecules import counting as fragment_counts
from gfn_envs.envs.molecules import scores as molecules
from gfn_envs.envs.molecules.canonical_trees import Trees
from gfn_envs.envs.molecules.moves import BlockMoves
from gfn_envs.envs.molecules.rdkit_builder import MoleculeBuilder
from gfn_envs.envs.molecules.vocabulary import chemistry, load_vocabulary, with_asterisks
from gfn_envs.graph_layout import GraphLayout, NodeActions
from gfn_envs.row_cache import RowCache
from gfn_envs.validation import checked_log_reward, positive_int

#: Rows whose codes are computed at once: their tables stay small.
CHUNK = 2048


class FragmentMolecule(Dag):
    """Build a molecule by bonding building blocks, in a tree; the reward is QED, SA, sEH or whatever a chemist asks.

    ## Description
    A state is a set of blocks bonded in a tree, and its open stems: atoms at which a block may still be bonded. The
    order of construction leaves no trace, nor does the numbering of equivalent stems: two states are one where a
    symmetry maps the blocks, bonds and open stems of one to those of the other. Blocks stay what they are: a molecule
    that can be cut into blocks in two ways is two states.

    ## Action Space
    ``Discrete((max_blocks - 1) * S * E + 1)``: (stem, arm), that is, bond one of the E arms to an open stem; or stop,
    the last. A stem is a block's index in the row and the position (0..S-1) among the block's stem atoms. An arm is a
    block and the stem by which it is bonded; its other stems open. The first block goes to stem 0. Of stems that a
    symmetry exchanges, only the first is legal, and of arms likewise.

    ## Backward actions
    ``max_blocks + 1``: take off one block, a leaf of the tree, by its index (of leaves that a symmetry exchanges, the
    first), or undo the stop, the last. A leaf can be taken off where an arm of the vocabulary puts it back; where every
    stem is an arm, as in all vocabularies but "pdb105", that is every leaf.

    ## Observation Space
    ``MultiDiscrete``: the state row. For each block, in canonical order: 1 + its kind (0 where there is none), the
    index of the block it is bonded to, the position of the bond there, and the position on itself: four runs of
    ``max_blocks`` numbers; then 1 if the molecule is finished. Network features are the one-hot vectors of all these,
    and the numbers of open stems and of blocks.

    ## Starting State
    No blocks.

    ## Rewards
    R = max(score, floor)^exponent. ``reward`` is the score:

    * "qed": quantitative estimate of drug-likeness, in (0, 1).
    * "sa": (10 - SA) / 9 with the synthetic accessibility score SA of 1 (easy) to 10, in [0, 1].
    * "penalized_logp": exp(logP - SA - max(0, largest ring - 6)).
    * "similarity": Tanimoto similarity to ``target``, of Morgan fingerprints (radius 2, 2048 bits).
    * "seh": p / 8 with the proxy p of binding to soluble epoxide hydrolase (data set seh-proxy); exponent 10, floor
      0.1 / 8. The proxy sees which atoms have open stems.
    * a mapping from these names to powers: the product of their scores, each floored, to these powers.
    * a callable from an RDKit Mol, or its SMILES (``reward_of="smiles"``), to a number > 0.

    Open stems carry hydrogens. Scores are kept for the molecules met last. ``partial_log_reward`` is the same reward of
    unfinished molecules (Pan et al. 2023).

    With ``mode_threshold``, the modes are the Bemis-Murcko scaffolds of molecules whose score is at least that (Bengio
    et al. 2021: 7 / 8 for "seh"); they are not counted in advance.

    ## Episode End
    On stop, legal from ``min_blocks`` blocks on; with ``max_blocks`` blocks; or when no stem is open.

    ## Number of states
    Counted exactly from the symmetries of the blocks (Polya's theorem and Otter's dissymmetry theorem).

    ## Arguments
    * ``blocks``: None for the packaged vocabulary of 55 blocks; "pdb105" for the 105 of Bengio et al. 2021 (data set
      fragment-blocks); a list of SMILES with attachment points such as ``"*c1ccc(*)cc1"``; or a text file of them.
    * ``max_blocks``, ``min_blocks``: blocks in a molecule.
    * ``reward``, ``target`` (a SMILES), ``reward_of``: see Rewards.
    * ``exponent``, ``floor``: None for those of the reward: 1 and 1e-3, but for "seh", and for "penalized_logp" a floor
      of 1e-6; the floor of a callable is 0, so that it has to be > 0 itself.
    * ``mode_threshold``: see Rewards.

    ## References
    Bengio et al. 2021, Flow Network based Generative Models (section 4.2); Madan et al. 2023

    ## Version History
    * v0: initial version.
    """

    def __init__(
        self,
        blocks: str | os.PathLike[str] | Sequence[str] | None = None,
        max_blocks: int = 8,
        min_blocks: int = 2,
        reward: str | Mapping[str, float] | Callable[[Any], float] = "qed",
        target: str | None = None,
        reward_of: str = "mol",
        exponent: float | None = None,
        floor: float | None = None,
        mode_threshold: float | None = None,
    ):
        self.max_blocks = m = positive_int("max_blocks", max_blocks, "FragmentMolecule", at_least=2)
        self.min_blocks = positive_int("min_blocks", min_blocks, "FragmentMolecule")
        if self.min_blocks > m:
            raise ValueError(
                f"FragmentMolecule: min_blocks must be at most max_blocks, got {min_blocks=}, {max_blocks=}"
            )
        self.arguments = {
            "blocks": blocks if blocks is None or isinstance(blocks, str) else _plain(blocks),
            "max_blocks": max_blocks,
            "min_blocks": min_blocks,
            "reward": reward,
            "target": target,
            "reward_of": reward_of,
            "exponent": exponent,
            "floor": floor,
            "mode_threshold": mode_threshold,
        }
        self.vocabulary = vocabulary = load_vocabulary(blocks)
        self.score = molecules.make_score(reward, target, reward_of, exponent, floor)
        self.mode_threshold = mode_threshold
        self._moves = moves = BlockMoves(vocabulary, m)
        self.num_kinds, self.num_arms, self.num_stems = moves.num_kinds, moves.num_arms, moves.num_stems
        self.num_actions = moves.num_locations * self.num_arms + 1
        self.num_backward_actions = m + 1
        # Only blocks with two stems or more make trees of more than two blocks.
        self.max_length = m if moves.capacity.sum(1).max() > 1 else 2
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
        self.declared_num_states, self.declared_num_terminal_states = fragment_counts.count_states(
            vocabulary, m, self.min_blocks
        )
        self._builder = MoleculeBuilder(vocabulary.kinds)
        self._score_of = RowCache(self._log_scores, self.state_dtype)

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
        for part in _chunks(len(states)):
            trees, going = self._tree(states[part]), states[part, -1] == 0
            mask[part, :-1] = self._moves.additions(trees) & going[:, None]
            mask[part, -1] = ((trees.kind > 0).sum(1) >= self.min_blocks) & going
        return mask

    def backward_mask(self, states: IntArray) -> BoolArray:
        mask = np.zeros((len(states), self.num_backward_actions), dtype=bool)
        for part in _chunks(len(states)):
            trees = self._tree(states[part])
            # Finished by the stop action, not for want of stems or room.
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
        return self._back(states, np.asarray(backward_actions))[1]

    def parents(self, states: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        # As in the base class, with one canonical form for both the parent and the action.
        row, leaves = np.nonzero(self.backward_mask(states))
        return row, *self._back(states[row], leaves)

    def _back(self, states: IntArray, leaves: IntArray) -> tuple[IntArray, IntArray]:
        """Parents, and the forward actions that lead back."""
        parents, forth = np.array(states), np.full(len(states), self.num_actions - 1)
        parents[:, -1] = 0
        for rows in _chunks_of(leaves != self.max_blocks):
            smaller, forth[rows] = self._moves.removed_and_action(self._tree(states[rows]), leaves[rows])
            parents[rows] = self._row(smaller, False)
        return parents, forth

    # ------------------------------------------------------------------ what networks and users see

    def encode(self, states: IntArray) -> FloatArray:
        """One-hot vectors of the numbers of the row; the numbers of open stems and of blocks over ``max_blocks``."""
        features = np.zeros((len(states), self.num_features), dtype=np.float32)
        np.put_along_axis(features, self._feature_start + states.astype(np.int64), 1.0, axis=1)
        trees = self._tree(states)
        features[:, -2] = self._moves.open_stems(trees).sum((1, 2)) / self.max_blocks
        features[:, -1] = (trees.kind > 0).sum(1) / self.max_blocks
        return features

    def observe(self, states: IntArray) -> IntArray:
        return states.astype(np.int64)

    def tokens(self, states: IntArray) -> IntArray:
        """The row without its flag; kinds, blocks, and positions at either end of a bond have tokens of their own."""
        return states[:, :-1].astype(np.int64) + self._token_start

    def labelled_graphs(self, states: IntArray) -> IntArray:
        """Blocks with their kinds; two that are bonded at positions p and q have the relations 1 + p S + q and back."""
        trees, s = self._tree(states), self.num_stems
        graphs = np.zeros((len(states), self.max_blocks, self.max_blocks), dtype=np.int64)
        np.einsum("nii->ni", graphs)[:] = trees.kind
        row, block = np.nonzero(trees.kind[:, 1:])
        block += 1
        parent, port, entry = (array[row, block] for array in trees[1:])
        graphs[row, parent, block], graphs[row, block, parent] = 1 + port * s + entry, 1 + entry * s + port
        return graphs

    # ------------------------------------------------------------------ molecules and rewards

    def to_mol(self, state: IntArray) -> Any:
        """The sanitised RDKit Mol of one state (state_width,); open stems carry hydrogens. s0 is the empty Mol."""
        return self._builder.mol(*self._lists(state))

    def stem_atoms(self, state: IntArray) -> list[int]:
        """Atoms of :meth:`to_mol` with an open stem, each as often as it has one."""
        return self._builder.stem_atoms(self._lists(state)[0], self._moves.open_stems(self._tree(state[None]))[0])

    def molecules(self, states: IntArray) -> list[Any]:
        """:meth:`to_mol` of each state."""
        return [self.to_mol(state) for state in states]

    def to_smiles(self, states: IntArray, asterisks: bool = False) -> list[str]:
        """Canonical SMILES of each state, with hydrogens, or asterisks, at open stems."""
        chem = chemistry()
        if asterisks:
            return [chem.MolToSmiles(with_asterisks(self.to_mol(s), self.stem_atoms(s))) for s in states]
        return [chem.MolToSmiles(self.to_mol(state)) for state in states]

    def _lists(self, state: IntArray) -> tuple[list[int], ...]:
        m = self.max_blocks
        return tuple(state[i * m : (i + 1) * m].tolist() for i in range(4))

    def log_score(self, states: IntArray) -> FloatArray:
        """log of the score, floored, of any states but s0, float64 (n,): from the cache, or computed in one batch."""
        return self._score_of(np.asarray(states)[:, :-1])

    def _log_scores(self, rows: IntArray) -> FloatArray:
        mols = [self.to_mol(row) for row in rows]
        stems = [self.stem_atoms(row) for row in rows] if self.score.needs_stems else []
        return checked_log_reward(self.score(mols, stems), rows, "FragmentMolecule")

    def log_reward(self, states: IntArray) -> FloatArray:
        return self.score.exponent * self.log_score(states)

    def partial_log_reward(self, states: IntArray) -> FloatArray:
        """The log reward of any molecule, unfinished ones included; 0 at s0."""
        some = states[:, 0] > 0
        result = np.zeros(len(states))
        result[some] = self.log_reward(states[some])
        return result

    def mode_index(self, states: IntArray) -> IntArray:
        """A number for each Bemis-Murcko scaffold of molecules with a score of ``mode_threshold`` or more; else -1."""
        index = np.full(len(states), -1, dtype=np.int64)
        if self.mode_threshold is not None and len(states):
            good = np.flatnonzero(np.exp(self.log_score(states)) >= self.mode_threshold * (1 - 1e-12))
            index[good] = [molecules.scaffold_number(self.to_mol(state)) for state in states[good]]
        return index

    distance_name = "tanimoto"

    def distance(self, states: IntArray, others: IntArray) -> FloatArray:
        """Tanimoto distances, 1 - similarity of Morgan fingerprints (radius 2, 2048 bits), float64 (n, m)."""
        prints, other_prints = ([molecules.fingerprint(self.to_mol(s)) for s in rows] for rows in (states, others))
        return 1.0 - molecules.similarities(prints, other_prints)

    # ------------------------------------------------------------------ for people

    def action_label(self, action: int) -> str:
        if action == self.num_actions - 1:
            return "stop"
        location, arm = divmod(action, self.num_arms)
        block, position = divmod(location, self.num_stems)
        return f"{self.vocabulary.names[arm]} to block {block}, stem {position}"

    def render_text(self, state: IntArray) -> str:
        """SMILES, with asterisks at open stems; of a molecule stopped with open stems, with and without these."""
        opened = self.to_smiles(state[None], asterisks=True)[0]
        if not self.is_terminal(state[None])[0]:
            return opened or "(empty)"
        plain = self.to_smiles(state[None])[0]
        return plain if plain == opened else f"{plain} (stopped: {opened})"

    def draw_molecules(self, states: IntArray, per_row: int, cell: tuple[int, int]) -> rendering.Image:
        """A grid of structural formulas. Captions give the score, and the reward if it differs from the score."""
        reward = self.arguments["reward"]
        name = reward if isinstance(reward, str) else "score"
        scores, rewards = np.exp(self.log_score(states)), np.exp(self.log_reward(states))
        differ = self.score.exponent != 1
        captions = [f"{name} {s:.3f}" + f",  R {r:.3g}" * differ for s, r in zip(scores, rewards, strict=True)]
        return molecules.draw_grid(self.molecules(states), captions, per_row, cell)

    def render_image(self, state: IntArray, path: IntArray | None = None) -> rendering.Image:
        """The structural formula, 300 by 300."""
        return molecules.draw(self.to_mol(state))


def _plain(blocks: Any) -> Any:
    return str(blocks) if isinstance(blocks, os.PathLike) else list(blocks)


def _chunks(n: int) -> Iterator[slice]:
    return (slice(start, start + CHUNK) for start in range(0, n, CHUNK))


def _chunks_of(chosen: BoolArray) -> Iterator[IntArray]:
    """Indices of rows where ``chosen`` (n,) is True, a chunk at a time."""
    rows = np.flatnonzero(chosen)
    return (rows[part] for part in _chunks(len(rows)))
