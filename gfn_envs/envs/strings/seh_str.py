"""SEHStr: molecules as strings of six building blocks, rewarded by a proxy of binding to sEH."""

from __future__ import annotations

import functools

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.data import registry as datasets
from gfn_envs.envs.strings import reward_table as string_table
from gfn_envs.envs.strings.boosted_trees import StringTrees, Trees, pickled_model
from gfn_envs.envs.strings.tabulated import PublishedStrings, Table
from gfn_envs.validation import checked_log_reward

ALPHABET = "0123456789abcdefgh"
LENGTH = 6


class SEHStr(PublishedStrings):
    """Build a molecule as a string of six blocks; the reward is a proxy of how well it binds to sEH (sEHstr).

    ## Description
    Strings of 6 letters 0..9, a..h, which stand for 18 building blocks with two stems, bonded in a line.

    ## Action Space
    As :class:`gfn_envs.Sequence`, by ``construction``: prepend_append 36 actions, append 18, insert and fill 108.

    ## Backward actions
    prepend_append 2, append 1, insert and fill 6.

    ## Observation Space
    ``MultiDiscrete([19] * 6)``: the blocks, 18 where there is none.

    ## Starting State
    The empty string.

    ## Rewards
    R = scale r / max r with r = max(prediction, floor)^exponent; the prediction is that of 100 gradient-boosted trees
    on the one-hot blocks. Modes: the best 0.1%. At first use the trees are read (the data set sehstr-model of ``gfn
    data``: downloaded, or in the mirror that GFN_ENVS_DATA names), and all 34 million strings are scored, for max r
    and the modes; both are kept in the cache.

    ## Episode End
    After 6 blocks.

    ## Number of states
    34,012,224 objects; 36,012,943 states, 47,045,881 with fill.

    ## Arguments
    * ``construction``: "prepend_append" (Shen et al. 2023), "append", "insert" or "fill".
    * ``exponent``: beta.
    * ``scale``: the largest reward.
    * ``floor``: of the prediction; None: predictions must be above 0.
    * ``mode_fraction``: modes among all strings, in (0, 1].
    * ``table``: predictions in place of the trees': a mapping, values in alphabetical order, or a text file with a
      string and its value a line.
    * ``length``: blocks, for another ``table``.

    ## References
    Bengio et al. 2021 (the proxy that the trees learned from); Shen et al. 2023 (section 6)

    ## Version History
    * v0: initial version.
    """

    def __init__(
        self,
        construction: str = "prepend_append",
        exponent: float = 6.0,
        scale: float = 10.0,
        floor: float | None = 1e-3,
        mode_fraction: float = 0.001,
        table: Table | None = None,
        length: int = LENGTH,
    ):
        super().__init__(ALPHABET, LENGTH, construction, exponent, scale, floor, mode_fraction, table, length)

    @functools.cached_property
    def reward_table(self) -> FloatArray | None:
        """R of every string in alphabetical order, where a table was given; None where the trees give it."""
        given = self._table_values()
        if given is None:
            return None
        y = self._raised(given)
        return self._scaled(y, y.max())

    @functools.cached_property
    def trees(self) -> StringTrees:
        """The published model. Raises DatasetError where its file cannot be had."""
        return StringTrees(Trees(datasets.converted("sehstr-model", pickled_model)), len(ALPHABET), LENGTH)

    def values(self, tokens: IntArray) -> FloatArray:
        """The trees' predictions for finished strings, float64 (n,), tokens (n, 6)."""
        return super().values(tokens) if self._table is not None else self.trees.score(tokens)

    @functools.cached_property
    def _summary(self) -> dict[str, FloatArray]:
        """Of all predictions: the largest, and the positions of the modes; from the cache, or the scoring of all."""
        fraction = self.mode_fraction or 0.0
        digest = datasets.dataset("sehstr-model").sha256[:16]
        return datasets.cached(f"sehstr-best-{fraction!r}-{digest}", lambda: best_strings(self.trees, fraction))

    def log_reward(self, states: IntArray) -> FloatArray:
        if self.reward_table is not None:
            return super().log_reward(states)
        tokens = states[:, :-1]
        y, largest = self._raised(self.values(tokens)), float(self._raised(self._summary["best"]))
        return checked_log_reward(self._scaled(y, largest), tokens, "SEHStr")

    @functools.cached_property
    def mode_strings(self) -> IntArray | None:
        if self.reward_table is not None:
            return super().mode_strings
        return None if self.mode_fraction is None else self._summary["modes"]


def best_strings(trees: StringTrees, fraction: float) -> dict[str, FloatArray]:
    """The largest prediction, and positions of the best ``fraction`` of all strings, ties with the last included.

    Scores all strings, in pieces; of what was seen it keeps what can still be among the best.
    """
    count = max(1, string_table.share(fraction, trees.num_letters**trees.length))
    values, where, start = np.zeros(0), np.zeros(0, dtype=np.int64), 0
    for scores in trees.score_all():
        threshold = np.partition(values, -count)[-count] if len(values) >= count else -np.inf
        good = np.flatnonzero(scores >= threshold)
        values, where = np.concatenate([values, scores[good]]), np.concatenate([where, good + start])
        start += len(scores)
        best = string_table.top(values, min(count, len(values)))
        values, where = values[best], where[best]
    return {"best": values.max(), "modes": where}
