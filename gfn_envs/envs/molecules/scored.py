"""Molecules with a score: the base of the environments of this folder, without moves."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gfn_envs import rendering
from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.border import known_log_rewards
from gfn_envs.dag import Dag
from gfn_envs.envs.molecules import scores
from gfn_envs.envs.molecules.kinds import chemistry
from gfn_envs.envs.molecules.rdkit_builder import mol_block
from gfn_envs.oracle import Oracle
from gfn_envs.row_cache import RowCache
from gfn_envs.validation import checked_log_reward, real


class ScoredMolecules(Dag, abc.ABC):
    """Base class of environments whose states are molecules, with R = max(score, floor)^exponent.

    The last entry of a state row is 1 if the molecule is finished; the score does not depend on it.
    """

    object_formats = ("smi",)
    score: scores.Score
    mode_threshold: float | None

    def _set_score(
        self,
        reward: str | Mapping[str, Any] | Callable[[Any], float],
        reference: Any,
        reward_of: str,
        exponent: float | None,
        floor: float | None,
        mode_threshold: float | None,
    ) -> None:
        """Set the score. The arguments are those of :class:`gfn_envs.FragmentMolecule`."""
        where = type(self).__name__
        self.score = scores.make_score(reward, reference, reward_of, exponent, floor, where)
        self.mode_threshold = None if mode_threshold is None else real("mode_threshold", mode_threshold, where)
        self._score_of = RowCache(self._log_scores, self.state_dtype)
        if callable(reward):
            other = {"mol": "an RDKit Mol, with reward_of='smiles' with a SMILES", "smiles": "a SMILES"}
            self.reward_input = other[reward_of]
            self.reward_of_one = not isinstance(reward, Oracle)
        if isinstance(reward, Oracle):
            reward.serve(self)

    # ------------------------------------------------------------------ molecules

    @abc.abstractmethod
    def to_mol(self, state: IntArray) -> Any:
        """The sanitized RDKit Mol of one state (state_width,). s0 gives the empty Mol."""

    @abc.abstractmethod
    def stem_atoms(self, state: IntArray) -> list[int]:
        """Indices of the atoms of :meth:`to_mol` at which the molecule can grow, an input of the score "seh"."""

    def molecules(self, states: IntArray) -> list[Any]:
        """:meth:`to_mol` of each state."""
        return [self.to_mol(state) for state in states]

    def mol_blocks(self, states: IntArray) -> list[str]:
        return [mol_block(mol) for mol in self.molecules(states)]

    def to_smiles(self, states: IntArray) -> list[str]:
        """Canonical SMILES of each state."""
        return [chemistry().MolToSmiles(mol) for mol in self.molecules(states)]

    def object_names(self, states: IntArray) -> list[str]:
        """SMILES."""
        return self.to_smiles(states)

    # ------------------------------------------------------------------ rewards

    def wrap_reward(self, wrap: Callable[..., Any]) -> None:
        given = self.arguments
        if callable(given["reward"]):
            # It takes one Mol or SMILES; the scorer gives the oracle the SMILES as names.
            self.score = scores.make_score(
                wrap(given["reward"], False),
                given["target"],
                given["reward_of"],
                given["exponent"],
                given["floor"],
                type(self).__name__,
            )
        else:
            super().wrap_reward(wrap)

    def log_score(self, states: IntArray) -> FloatArray:
        """log max(score, floor) of any states but s0, float64 (n,). Scores that are not cached share one batch."""
        return self._score_of(np.asarray(states)[:, :-1])

    def _log_scores(self, rows: IntArray) -> FloatArray:
        mols = [self.to_mol(row) for row in rows]
        stems = [self.stem_atoms(row) for row in rows] if self.score.needs_stems else []
        return checked_log_reward(self.score(mols, stems), rows, type(self).__name__, self.object_names)

    def log_reward(self, states: IntArray) -> FloatArray:
        return self.score.exponent * self.log_score(states)

    def reward_components(self, states: IntArray) -> dict[str, FloatArray]:
        """The named scores, without floors and powers; those of windows end in ``_window``; {} if R is a callable."""
        mols = self.molecules(states) if self.score.parts else []
        stems = [self.stem_atoms(state) for state in states] if self.score.needs_stems else []
        return {name: np.asarray(scorer(mols, stems), np.float64) for name, scorer in self.score.parts}

    def partial_log_reward(self, states: IntArray) -> FloatArray:
        """The log reward of finished and unfinished molecules, float64 (n,); 0 at s0."""
        nonempty = states[:, 0] > 0
        result = np.zeros(len(states))
        result[nonempty] = self.log_reward(states[nonempty])
        return result

    @property
    def defines_modes(self) -> bool:
        return self.mode_threshold is not None

    def mode_index(self, states: IntArray) -> IntArray:
        """A number that identifies the Bemis-Murcko scaffold if the score is at least ``mode_threshold``; else -1."""
        index = np.full(len(states), -1, dtype=np.int64)
        if self.mode_threshold is not None and len(states):
            scored = np.exp(known_log_rewards(self, states) / self.score.exponent)  # NaN is not good.
            good = np.flatnonzero(scored >= self.mode_threshold * (1 - 1e-12))
            index[good] = [scores.scaffold_number(self.to_mol(state)) for state in states[good]]
        return index

    distance_name = "tanimoto"

    def distance(self, states: IntArray, others: IntArray) -> FloatArray:
        """Tanimoto distances, 1 - similarity of Morgan fingerprints (radius 2, 2048 bits), float64 (n, m)."""
        prints, other_prints = ([scores.fingerprint(self.to_mol(s)) for s in rows] for rows in (states, others))
        return 1.0 - scores.similarities(prints, other_prints)

    # ------------------------------------------------------------------ rendering

    def draw_molecules(self, states: IntArray, per_row: int, cell: tuple[int, int]) -> rendering.Image:
        """A grid of structural formulas. Captions give the score, and the reward if it differs from the score."""
        reward = self.arguments["reward"]
        name = reward if isinstance(reward, str) else "score"
        log_rewards = known_log_rewards(self, states)
        values, rewards = np.exp(log_rewards / self.score.exponent), np.exp(log_rewards)
        differ = self.score.exponent != 1
        captions = [f"{name} {v:.3f}" + f",  R {r:.3g}" * differ for v, r in zip(values, rewards, strict=True)]
        return scores.draw_grid(self.molecules(states), captions, per_row, cell)

    def render_image(self, state: IntArray, path: IntArray | None = None) -> rendering.Image:
        """The structural formula, 300 by 300 pixels."""
        return scores.draw(self.to_mol(state))
