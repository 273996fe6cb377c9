"""GFP: green fluorescent proteins, scored by a model that was fitted to measured brightness."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from collections.abc import Sequence as Letters

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.data.packaged import packaged
from gfn_envs.envs.proteins.gfp_brightness import AVGFP, BRIGHTEST, DARKEST, Brightness
from gfn_envs.envs.proteins.peptide_classifier import AMINO_ACIDS
from gfn_envs.envs.strings import reward_table as string_table
from gfn_envs.envs.strings.constructions import CONSTRUCTIONS
from gfn_envs.envs.strings.motifs import plain_motifs
from gfn_envs.envs.strings.mutation import Mutation
from gfn_envs.envs.strings.sites import wild_type_of
from gfn_envs.validation import one_of, positive_int, shown


@functools.cache
def brightness_model() -> Brightness:
    """The packaged model, loaded once in a process."""
    return Brightness(packaged("gfp_proxy"))


class GFP(Mutation):
    """Mutate a green fluorescent protein, or build one from scratch; the reward rises with its predicted brightness.

    ## Description
    Sequences of 237 residues, over the 20 amino acids in the order ACDEFGHIKLMNPQRSTVWY. The wild type is avGFP without
    its first methionine, as in Design-Bench. The construction "mutate" starts at the wild type and changes up to
    ``max_mutations`` residues; the other constructions build the whole protein. A model predicts the brightness. It was
    fitted to 51,715 measured genotypes with up to 15 mutations. Nothing was measured far from the wild type; the model
    predicts that such sequences are dark.

    ## Action Space
    mutate: 4,741 actions. Action position * 20 + residue mutates a position that still has the wild type's residue. The
    last action stops. Other constructions are as in :class:`gfn_envs.Sequence`: 20 actions for append, 40 for
    prepend_append, 4,740 for insert and fill.

    ## Backward actions
    mutate: 238, which revert one position each; the last one undoes the stop. Other constructions: 1 for append, 2 for
    prepend_append, 237 for insert and fill.

    ## Observation Space
    ``MultiDiscrete([21] * 237)``: the residue at each position that may mutate, or 20 if it is empty.

    ## Starting State
    mutate: the wild type. Other constructions: the empty string.

    ## Rewards
    R = max(y, floor)^exponent, where y is the predicted log10 brightness, scaled such that the smallest and the largest
    measured values become 0 and 1. gfp_brightness.py defines the model. The package includes its weights, and
    gfn_envs/data/README.md reports how well it ranks held-out genotypes.

    ## Episode End
    mutate: at the stop action, which is always legal and the only legal action after ``max_mutations``. Other
    constructions: after 237 residues.

    ## Number of states
    mutate: sum of C(237, t) 19^t for t = 0..max_mutations objects, and twice as many states. Other constructions:
    20^237 objects.

    ## Arguments
    * ``construction``: "mutate", "append", "prepend_append", "insert" or "fill".
    * ``max_mutations``: largest number of mutations with "mutate".
    * ``exponent``: power beta of y, > 0.
    * ``floor``: lower bound of y, > 0.
    * ``wild_type``: sequence of the wild type, or a FASTA file of it; other sequences than avGFP need a ``table``.
    * ``table``: values of y that replace the model, for short proteins: a mapping from sequences to values, a list of
      values in alphabetical order, or the path of a text file with a sequence and its value per line.
    * ``positions``: positions that may mutate, such as "64-66,200"; None: all, or those in ``letters``. They count from
      0, as in the published genotypes: residue numbers less 2.
    * ``letters``: amino acids that positions may mutate to: one text for all, or a mapping from positions to texts.
    * ``forbidden``: motifs of no sequence, as a list or separated by commas, such as "N[^P][ST]".
    * ``required``: motifs of every sequence, in the same form.

    ## References
    Sarkisyan et al. 2016 (the data); Trabucco et al. 2022, Design-Bench; Madan et al. 2023 (SubTB)

    ## Version History
    * v0: initial version.
    """

    def __init__(
        self,
        construction: str = "mutate",
        max_mutations: int = 10,
        exponent: float = 3.0,
        floor: float = 1e-3,
        wild_type: str = AVGFP,
        table: Mapping[str, float] | Letters[float] | str | os.PathLike[str] | None = None,
        positions: str | Letters[int] | None = None,
        letters: str | Mapping[int, str] | None = None,
        forbidden: str | Letters[str] | None = None,
        required: str | Letters[str] | None = None,
    ):
        one_of("construction", construction, ("mutate", *CONSTRUCTIONS), "GFP")
        wild_type = wild_type_of(wild_type, AMINO_ACIDS, "GFP")
        if table is None and wild_type != AVGFP:
            raise ValueError(f"GFP: wild_type must be avGFP unless table is given, got {shown(wild_type)}")
        self.mutates = construction == "mutate"
        limits = {"positions": positions, "letters": letters, "forbidden": forbidden, "required": required}
        if self.mutates:
            # The published genotypes count from 0, as the first methionine is missing.
            self._use_mutations(wild_type, max_mutations, positions, letters, 0, AMINO_ACIDS, (forbidden, required))
            self._set_reward(None, "tokens", exponent, floor)
        else:
            for name in ("positions", "letters"):
                if limits[name] is not None:
                    raise ValueError(f"GFP: {name} is for construction 'mutate', got {shown(limits[name])}")
            super(Mutation, self).__init__(
                AMINO_ACIDS, len(wild_type), construction, None, exponent, floor, forbidden=forbidden, required=required
            )
            self.max_mutations = positive_int("max_mutations", max_mutations, "GFP")
        self._table = table
        limits |= {"forbidden": plain_motifs(forbidden), "required": plain_motifs(required)}
        if positions is not None:
            limits["positions"] = self.sites.tolist()
        self.arguments = {
            "construction": construction,
            "max_mutations": self.max_mutations,
            "exponent": exponent,
            "floor": floor,
            "wild_type": wild_type,
            "table": table,
            **{name: value for name, value in limits.items() if value is not None},
        }
        # Errors of a table come before the first episode ends.
        _ = self.reward_table

    # ------------------------------------------------------------------ reward

    @functools.cached_property
    def reward_table(self) -> FloatArray | None:
        """R of every sequence in alphabetical order, float64 (objects,); None without ``table``."""
        if self._table is None:
            return None
        length = len(self.arguments["wild_type"])
        return self._shaped(string_table.table_values(self._table, self.letters, length, length, "GFP"))

    @property
    def proxy(self) -> Brightness:
        """The model: log10 brightness float64 (n,) from tokens (n, 237)."""
        return brightness_model()

    def values(self, tokens: IntArray) -> FloatArray:
        """y of finished sequences, float64 (n,), from tokens int64 (n, length)."""
        return (self.proxy(tokens) - DARKEST) / (BRIGHTEST - DARKEST)

    def string_index(self, states: IntArray) -> IntArray:
        """Position of finished sequences in alphabetical order, int64 (n,)."""
        if not self.mutates:
            return super().string_index(states)
        whole = self.whole_tokens(states)
        if whole.shape[1] > 14:  # 20^15 is above 2^62
            raise ValueError(f"{self!r} has too many strings to number them")
        return whole @ 20 ** np.arange(whole.shape[1])[::-1]
