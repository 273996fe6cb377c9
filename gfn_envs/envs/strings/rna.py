"""RNA: short strands, rewarded by how strongly they bind to one or two targets by ViennaRNA."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence as Letters

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.envs.strings import vienna
from gfn_envs.envs.strings.motifs import listed, plain_motifs
from gfn_envs.envs.strings.sequence import Sequence
from gfn_envs.row_cache import RowCache
from gfn_envs.validation import shown

#: Targets of the tasks of FLEXS (Sinai et al. 2020).
TARGETS = {
    "RNA1": "GAACGAGGCACAUUCCGGCUCGCCCGGCCCAUGUGAGCAUGGGCCGGACCCCGUCCGCGCGGGGCCCCCGCGCGGACGGGGGCGAGCCGGAAUGUGCCUC",
    "RNA2": "GAGGCACAUUCCGGCUCGCCCCCGUCCGCGCGGGGGCCCCGCGCGGACGGGGUCCGGCCCGCGCGGGGCCCCCGCGCGGGAGCCGGAAUGUGCCUCGUUC",
    "RNA3": "CCGGUGAUACUGUUAGUGGUCACGGUGCAUUUAUAGCGCUAAAGUACAGUCUUCCCCUGUUGAACGGCGCCAUUGCAUACAGGGCCAGCCGCGUAACGCC",
    "RNA4": "UAAGAGAGCGUAAAAAUAGAGAUAUGUUCUUGGGUCAGGGCUAUGCGUACCCCAUGAGAGUAAAUCAUACCCCCAAUGGGCUUCGGCGGAAAUUCACUUA",
}


class RNA(Sequence):
    """Build a strand of RNA; the reward is how strongly it binds to a target by ViennaRNA (L14-RNA1 to L14-RNA3).

    ## Description
    Strands of letters A, C, G, U. With ``length`` 14 and the targets "RNA1", "RNA2" and "RNA3", these are the tasks
    L14-RNA1 to L14-RNA3 of FLEXS, which papers on GFlowNets use. ViennaRNA is optional: pip install 'gfn-envs[rna]'.

    ## Action Space
    As in :class:`gfn_envs.Sequence`: 8 actions for prepend_append, 4 for append, 4 ``length`` for insert and fill.

    ## Backward actions
    As in :class:`gfn_envs.Sequence`: 2 for prepend_append, 1 for append, ``length`` for insert and fill.

    ## Observation Space
    ``MultiDiscrete([5] * length)``: the letter at each position, or 4 if the position is empty.

    ## Starting State
    The empty string.

    ## Rewards
    R(x) = max(y, floor)^exponent. y is the energy of the duplex of x and the target (RNAduplex), divided by the energy
    per base of the target with its reverse complement times ``length``; with several targets, the mean. y is below 1
    for nearly all strands, and <= 0 for strands that do not bind.

    ## Episode End
    After ``length`` letters, or at the stop action with ``min_length``; see :class:`gfn_envs.Sequence`.

    ## Number of states
    4^length objects and (4^(length + 1) - 1) / 3 states, 5^length with fill.

    ## Arguments
    * ``target``: "RNA1", "RNA2", "RNA3" or "RNA4" (or "L14_RNA1"), a text of letters A, C, G, U, or a list of these.
    * ``length``: number of letters, or the largest number if ``min_length`` is given.
    * ``construction``: "prepend_append", "append", "insert" or "fill".
    * ``exponent``: power beta of y, > 0.
    * ``floor``: lower bound of y, > 0.
    * ``min_length``: smallest number of letters; None: all strands have ``length`` letters.
    * ``mode_fraction``: fraction of all strands that are modes, in (0, 1]; None: no modes.
    * ``fixed``, ``forbidden``, ``required``: letters of each position and motifs, as in :class:`gfn_envs.Sequence`.

    ## References
    Sinai et al. 2020, AdaLead (FLEXS); Lorenz et al. 2011, ViennaRNA Package 2.0; Kim et al. 2024, Local Search
    GFlowNets

    ## Version History
    * v0: initial version.
    """

    def __init__(
        self,
        target: str | Letters[str] = "RNA1",
        length: int = 14,
        construction: str = "prepend_append",
        exponent: float = 3.0,
        floor: float = 1e-3,
        min_length: int | None = None,
        mode_fraction: float | None = None,
        fixed: str | None = None,
        forbidden: str | Letters[str] | None = None,
        required: str | Letters[str] | None = None,
    ):
        given = [target] if isinstance(target, str) else listed(target, "RNA", "target")
        self.targets = tuple(_target(each, length) for each in given)
        if not self.targets:
            raise ValueError("RNA: target must have at least one target")
        # Without ViennaRNA, this raises before anything is trained.
        self._lowest = [vienna.best_energy(text) for text in self.targets]
        if unbound := [text for text, energy in zip(self.targets, self._lowest, strict=True) if energy >= 0]:
            raise ValueError(f"RNA: target {shown(unbound[0])} does not bind to its reverse complement")
        limits = {"fixed": fixed, "forbidden": forbidden, "required": required}
        super().__init__(
            "ACGU",
            length,
            construction,
            None,
            exponent,
            floor,
            min_length,
            mode_fraction,
            **limits,  # type: ignore[arg-type]
        )
        self.arguments = {
            "target": target if isinstance(target, str) else list(map(str, target)),
            "length": self.length,
            "construction": construction,
            "exponent": exponent,
            "floor": floor,
            "min_length": None if min_length is None else self.min_length,
            "mode_fraction": mode_fraction,
            **{name: plain_motifs(value) for name, value in limits.items() if value is not None},
        }

    def values(self, tokens: IntArray) -> FloatArray:
        """y of finished strands, float64 (n,), from tokens int64 (n, length). Each strand is folded once."""
        return self._binding(tokens)

    @functools.cached_property
    def _binding(self) -> RowCache:
        return RowCache(self._fold, np.uint8)

    def _fold(self, tokens: IntArray) -> FloatArray:
        return vienna.binding(self._token_names(tokens), self.targets, self._lowest, self.length)


def _target(given: str, length: int) -> str:
    """A target by name or letters. Raises ValueError or TypeError if it is neither, or of a task of another length."""
    if not isinstance(given, str):
        raise TypeError(f"RNA: target must be a text or a list of texts, got {shown(given)}")
    if match := re.fullmatch(r"(?:L(\d+)[-_])?(RNA[1-4])", given):
        if match[1] is not None and int(match[1]) != length:
            raise ValueError(f"RNA: target {given} needs length {match[1]}, got {shown(length)}")
        return TARGETS[match[2]]
    if not given or set(given) - set("ACGU"):
        raise ValueError(f"RNA: target must be one of {', '.join(TARGETS)} or letters A, C, G, U, got {shown(given)}")
    return given
