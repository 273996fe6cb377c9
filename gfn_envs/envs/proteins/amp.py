"""AMP: antimicrobial peptides, scored by a classifier that was trained on known ones."""

from __future__ import annotations

import functools
from collections.abc import Sequence as Letters

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.data.packaged import packaged
from gfn_envs.envs.proteins.peptide_classifier import AMINO_ACIDS, PeptideClassifier
from gfn_envs.envs.strings.motifs import plain_motifs
from gfn_envs.envs.strings.sequence import Sequence
from gfn_envs.row_cache import RowCache


@functools.cache
def classifier() -> PeptideClassifier:
    """The packaged classifier, loaded once in a process."""
    return PeptideClassifier(packaged("amp_proxy"))


def probabilities(tokens: IntArray) -> FloatArray:
    """Probabilities that peptides are antimicrobial, float64 (n,), from tokens (n, length)."""
    return classifier()(tokens)


class AMP(Sequence):
    """Build a peptide of up to 60 residues; the reward rises with a classifier's probability that it is antimicrobial.

    ## Description
    Peptides over the 20 amino acids, of any length from ``min_length`` to ``length``. The classifier is a small
    ensemble of convolutional networks. It was trained for this package on 2,348 antimicrobial and 2,080 other peptides;
    the package includes its weights. Jain et al. trained their classifier on other data (DBAASP), so these rewards are
    not comparable with theirs.

    ## Action Space
    As in :class:`gfn_envs.Sequence`: ``Discrete(21)`` for append, which are the residues in the order
    ACDEFGHIKLMNPQRSTVWY and then stop; 41 actions for prepend_append, 20 ``length`` + 1 for insert.

    ## Backward actions
    As in :class:`gfn_envs.Sequence`: 2 for append, 3 for prepend_append, ``length`` + 1 for insert. The last one undoes
    the stop.

    ## Observation Space
    ``MultiDiscrete([21] * length)``: the residue at each position, or 20 if the position is empty.

    ## Starting State
    The empty peptide.

    ## Rewards
    R = max(p, floor)^exponent, where p is the probability by the classifier. On peptides without homologs in the
    training data, its AUROC is 0.89 and its expected calibration error 0.03; data/README.md has more. The classifier is
    not reliable on peptides much shorter than 10 residues or unlike all natural ones, which its training data lack.

    ## Episode End
    At the stop action, which is legal from ``min_length`` residues on and the only legal action after ``length``.

    ## Number of states
    sum of 20^t for t = min_length..length objects, about 10^78; about twice as many states.

    ## Arguments
    * ``construction``: "append" (Jain et al. 2022), "prepend_append" or "insert".
    * ``length``: largest number of residues.
    * ``min_length``: smallest number of residues.
    * ``exponent``: power beta of the probability, > 0.
    * ``floor``: lower bound of the probability, > 0.
    * ``forbidden``: motifs of no peptide, as a list or separated by commas, such as "C,N[^P][ST]".
    * ``required``: motifs of every peptide, in the same form.

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
        forbidden: str | Letters[str] | None = None,
        required: str | Letters[str] | None = None,
    ):
        super().__init__(
            AMINO_ACIDS,
            length,
            construction,
            exponent=exponent,
            floor=floor,
            min_length=min_length,
            forbidden=forbidden,
            required=required,
        )
        motifs = {"forbidden": plain_motifs(forbidden), "required": plain_motifs(required)}
        self.arguments = {
            "construction": construction,
            "length": self.length,
            "min_length": self.min_length,
            "exponent": exponent,
            "floor": floor,
            **{name: value for name, value in motifs.items() if value is not None},
        }

    @functools.cached_property
    def proxy(self) -> RowCache:
        """The classifier, with a cache: probabilities float64 (n,) from tokens (n, length)."""
        # A function is copied and pickled by its name, so copies of the environment share the weights.
        return RowCache(probabilities, np.uint8)

    def values(self, tokens: IntArray) -> FloatArray:
        """Probabilities that peptides are antimicrobial, float64 (n,), from tokens int64 (n, length)."""
        return self.proxy(tokens)
