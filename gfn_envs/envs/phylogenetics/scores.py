"""Scores of PhyloTree: parsimony, or the likelihood under JC69 or K80."""

from __future__ import annotations

from typing import Any

import numpy as np

from gfn_envs.arrays import IntArray
from gfn_envs.envs.phylogenetics.alignments import all_patterns
from gfn_envs.envs.phylogenetics.likelihood import Likelihood
from gfn_envs.envs.phylogenetics.pruning import Pruning
from gfn_envs.envs.phylogenetics.substitution import MODELS, rates
from gfn_envs.validation import one_of, positive, shown

#: Ratio of rates of K80, and mean of the exponential prior of branch lengths, unless they are given.
KAPPA, BRANCH_MEAN = 2.0, 0.1

#: Names of scores.
SCORES = ("parsimony", *MODELS)


def likelihood_score(
    encoded: IntArray, score: str, kappa: Any, branch_lengths: Any, branch_mean: Any, where: str
) -> Likelihood | None:
    """The likelihood that the arguments of PhyloTree name; None for parsimony.

    Args:
        encoded: sets of possible nucleotides as bits, uint8 (taxa, sites).
        score, kappa, branch_lengths, branch_mean: arguments of :class:`PhyloTree`.
        where: beginning of messages.

    Raises:
        ValueError: an argument is not allowed, or has no meaning with this score.
    """
    if score == "parsimony":
        given = {"kappa": kappa, "branch_lengths": branch_lengths, "branch_mean": branch_mean}
        for name, value in given.items():
            if value is not None:
                raise ValueError(f"{where}: {name} needs score='jc69' or 'k80'; parsimony has none, got {shown(value)}")
        return None
    if score == "jc69" and kappa is not None:
        raise ValueError(f"{where}: kappa needs score='k80'; it is 1 in jc69, got {shown(kappa)}")
    branch_lengths = "integrated" if branch_lengths is None else branch_lengths
    one_of("branch_lengths", branch_lengths, ("integrated", "optimized"), where)
    if branch_lengths == "optimized" and branch_mean is not None:
        raise ValueError(f"{where}: branch_mean needs branch_lengths='integrated', got {shown(branch_mean)}")
    kappa = positive("kappa", KAPPA if kappa is None else kappa, where)
    branch_mean = positive("branch_mean", BRANCH_MEAN if branch_mean is None else branch_mean, where)
    pruning = Pruning(rates(score, kappa), *all_patterns(encoded))
    return Likelihood(pruning, branch_lengths, branch_mean)


def greedy_joins(joins: list[tuple[int, int]]) -> tuple[IntArray, IntArray]:
    """The joins of one tree as a batch, two arrays int64 (1, m)."""
    pairs = np.array(joins, dtype=np.int64)
    return pairs[None, :, 0], pairs[None, :, 1]
