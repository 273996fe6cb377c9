"""AMP: antimicrobial peptides, rewarded by a classifier trained on real ones."""

from __future__ import annotations

import functools

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.data import registry as datasets
from gfn_envs.envs.proteins.peptide_classifier import AMINO_ACIDS, PeptideClassifier
from gfn_envs.envs.strings.sequence import Sequence
from gfn_envs.row_cache import RowCache


class AMP(Sequence):
    """Build a peptide of up to 60 residues; the reward is how likely a classifier holds it to be antimicrobial.

    ## Description
    Peptides over the 20 amino acids, of any length from ``min_length`` to ``length``. The classifier, a small
    mean of convolutional networks, was trained for this package on 2,348 antimicrobial and 2,080 other peptides; its
    weights come with it. Jain et al.'s classifier saw other data (DBAASP): rewards are not comparable with theirs.

    ## Action Space
    As :class:`gfn_envs.Sequence`, by ``construction``: append ``Discrete(21)``, a residue, in the order
    ACDEFGHIKLMNPQRSTVWY, or stop; prepend_append 41 actions, insert 20 ``length`` + 1.

    ## Backward actions
    append 2, prepend_append 3, insert ``length`` + 1; the last undoes the stop.

    ## Observation Space
    ``MultiDiscrete([21] * length)``: the residues, 20 where there is none.

    ## Starting State
    The empty peptide.

    ## Rewards
    R = max(p, floor)^exponent, with the classifier's probability p. On peptides without a relative among those trained
    on, its AUROC is 0.89 and its expected calibration error 0.03 (data/README.md has more). Peptides much shorter than
    10 residues or unlike all natural ones are beyond what it has seen.

    ## Episode End
    At the stop action, legal from ``min_length`` residues on and forced after ``length``.

    ## Number of states
    sum of 20^t for t = min_length..length objects: about 10^78; and as many states again.

    ## Arguments
    * ``construction``: "append" (Jain et al. 2022), "prepend_append" or "insert".
    * ``length``: most residues.
    * ``min_length``: fewest residues.
    * ``exponent``: beta.
    * ``floor``: of the probability.

    ## References
    Jain et al. 2022, Biological Sequence Design with GFlowNets; Madan et al. 2023 (SubTB)

    ## Version History
    * v0: initial version.
    """

    def __init__(
        self,
        construction: str = "append",
        length: int = 60,
        min_length: int = 1,
        exponent: float = 3.0,
        floor: float = 1e-3,
    ):
        super().__init__(AMINO_ACIDS, length, construction, exponent=exponent, floor=floor, min_length=min_length)
        self.arguments = {
            "construction": construction,
            "length": length,
            "min_length": min_length,
            "exponent": exponent,
            "floor": floor,
        }

    @functools.cached_property
    def proxy(self) -> RowCache:
        """The classifier: probabilities float64 (n,) of tokens (n, length)."""
        return RowCache(PeptideClassifier(datasets.packaged("amp_proxy")), np.uint8)

    def values(self, tokens: IntArray) -> FloatArray:
        """Probabilities float64 (n,) that peptides are antimicrobial, of tokens int64 (n, length)."""
        return self.proxy(tokens)
