"""FragmentMolecule: molecules built from fragments, with common rewards of drug discovery."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gfn_envs.envs.molecules.bonds import plain
from gfn_envs.envs.molecules.fragment_dag import FragmentDag


class FragmentMolecule(FragmentDag):
    """Build a molecule as a tree of building blocks; the reward is QED, SA, sEH, a product of scores, or your function.

    ## Description
    A state is a tree of bonded blocks, with its open stems: the atoms at which another block can be bonded. A state
    does not depend on the order of construction or on the numbering of equivalent stems: two trees are the same state
    if a symmetry maps the blocks, bonds and open stems of one to those of the other. A molecule that can be cut into
    blocks in two ways is two states.

    ## Action Space
    ``Discrete((max_blocks - 1) * S * E + 1)``: each action (stem, arm) bonds one of the E arms to an open stem; the
    last action stops. A stem is given by the index of a block in the row and a position 0..S-1 among the stem atoms of
    that block. An arm is a new block and the stem by which it is bonded; its other stems are then open. The first block
    uses stem 0. If a symmetry exchanges stems, only the first of them is legal; the same holds for arms.

    ## Backward actions
    ``max_blocks + 1``: remove one block, given by its index, which must be a leaf of the tree; the last one undoes the
    stop. If a symmetry exchanges leaves, only the first of them is legal. A leaf can be removed if an arm of the
    vocabulary can add it again. Every leaf can be removed if every stem is an arm, as in all vocabularies but "pdb105".

    ## Observation Space
    ``MultiDiscrete``: the state row, which has four runs of ``max_blocks`` numbers. They give, for each block in
    canonical order: 1 + its kind, or 0 if there is no block; the index of the block that it is bonded to; the position
    of the bond on that block; and the position of the bond on the block itself. The last entry is 1 if the molecule is
    finished. The network features are the one-hot vectors of all entries, the number of open stems, and the number of
    blocks.

    ## Starting State
    The empty molecule, without blocks.

    ## Rewards
    R = max(score, floor)^exponent. ``reward`` selects the score:

    * "qed": quantitative estimate of drug-likeness, in (0, 1).
    * "sa": (10 - SA) / 9, in [0, 1], with the synthetic accessibility score SA from 1 (easy) to 10 (hard).
    * "penalized_logp": exp(logP - SA - max(0, atoms in the largest ring - 6)).
    * "similarity": largest Tanimoto similarity to a ``target``, by Morgan fingerprints (radius 2, 2048 bits).
    * "alerts": 2^-n, where n is the number of structural alerts in RDKit's catalogs PAINS and Brenk.
    * "seh": p / 8, where p is a proxy for binding to soluble epoxide hydrolase (data set seh-proxy); the exponent is 10
      and the floor 0.1 / 8. The open stems are an input of the proxy.
    * a mapping from these names to powers, and from properties to windows, such as ``{"qed": 1, "logp": (1, 3)}``: the
      product of max(score, floor)^power, each with its own default floor. The score of a window (low, high) is 1
      inside and exp(-distance / scale) outside. Properties and their scales: logp 1, tpsa 20, weight 50, hbd, hba,
      rotatable_bonds and rings 1. The factors are the components of the reward.
    * a callable from an RDKit Mol, or from its SMILES with ``reward_of="smiles"``, to a number > 0.

    Open stems carry hydrogens. A cache holds the scores of recent molecules. The intermediate log reward of an
    unfinished molecule is the same formula (Pan et al. 2023).

    With ``mode_threshold``, the modes are the Bemis-Murcko scaffolds of molecules with at least this score (Bengio et
    al. 2021: 7 / 8 for "seh"). Their number is not known in advance.

    ## Episode End
    At the stop action, which is legal from ``min_blocks`` blocks on; after ``max_blocks`` blocks; or when no block can
    be bonded to an open stem.

    ## Number of states
    Computed exactly from the symmetries of the blocks (Polya's theorem and Otter's dissymmetry theorem).

    ## Arguments
    * ``blocks``: None for the packaged vocabulary of 55 blocks; "pdb105" for the 105 blocks of Bengio et al. 2021 (data
      set fragment-blocks); a list of SMILES with attachment points, such as ``"*c1ccc(*)cc1"``; or the path of a file
      (.smi, .csv, .txt, with or without a header), such as ``gfn-envs blocks`` makes from a library of molecules.
      Blocks keep stereochemistry that does not involve an attachment point; other marks raise. Attachment points at
      double bonds, as in ``"*=CC"``, bond to each other, by double bonds without stereochemistry.
    * ``max_blocks``: largest number of blocks in a molecule, >= 2.
    * ``min_blocks``: smallest number of blocks in a molecule at which the stop action is legal.
    * ``reward``: a name, a mapping from names to powers or windows, or a callable; see Rewards.
    * ``target``: SMILES of the target of "similarity", a list of several, or the path of a file of them.
    * ``reward_of``: "mol" or "smiles", the input of a callable reward.
    * ``exponent``: power of the score, > 0; None: 1, or 10 for "seh".
    * ``floor``: lower bound of the score, >= 0; None: 1e-3, 1e-6 for "penalized_logp", 0.1 / 8 for "seh", or 0 for a
      mapping and for a callable, which must then be > 0.
    * ``mode_threshold``: smallest score of a mode; None: no modes.
    * ``rules``: which labels of attachment points may bond. A label is an isotope, as in ``"[16*]c1ccccc1"``, or an
      atom map number. "brics" (Degen et al. 2008), "same" (equal labels), "any", or the path of a text file with one
      pair of labels per line. None: there are no labels.
    * ``forbidden_bonds``: bonds between blocks that are not made, as a list of pairs of elements or as text with commas
      ("N-N,N-O"); "chemist": N-N, N-O, O-O, O-S, S-S, bonds of halogens to N, O, S, P and halogens; None: none.

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
        reward: str | Mapping[str, float | tuple[float, float]] | Callable[[Any], float] = "qed",
        target: str | os.PathLike[str] | Sequence[str] | None = None,
        reward_of: str = "mol",
        exponent: float | None = None,
        floor: float | None = None,
        mode_threshold: float | None = None,
        rules: str | os.PathLike[str] | None = None,
        forbidden_bonds: str | Sequence[str] | None = None,
    ):
        super().__init__(blocks, max_blocks, min_blocks, rules, forbidden_bonds)
        self.arguments = {
            "blocks": plain(blocks),
            "max_blocks": self.max_blocks,
            "min_blocks": self.min_blocks,
            "reward": reward,
            "target": plain(target),
            "reward_of": reward_of,
            "exponent": exponent,
            "floor": floor,
            "mode_threshold": mode_threshold,
            "rules": plain(rules),
            "forbidden_bonds": plain(forbidden_bonds),
        }
        self._set_score(reward, target, reward_of, exponent, floor, mode_threshold)
