"""SEHStr: molecules as strings of six building blocks, rewarded by a proxy for binding to sEH."""

from __future__ import annotations

import functools

import numpy as np

from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.data import registry as datasets
from gfn_envs.envs.molecules.block_chains import BlockChains, published
from gfn_envs.envs.strings.boosted_trees import BoostedTrees, arrays_from_pickle
from gfn_envs.envs.strings.modes import fraction_count, top
from gfn_envs.envs.strings.string_trees import StringTrees
from gfn_envs.envs.strings.tabulated import Table, TabulatedSequence
from gfn_envs.validation import checked_log_reward

ALPHABET = "0123456789abcdefgh"
LENGTH = 6


class SEHStr(TabulatedSequence):
    """Build a molecule as a string of six blocks; the reward is a proxy for how strongly it binds to sEH (sEHstr).

    ## Description
    Strings of 6 letters 0..9, a..h. They stand for 18 building blocks with two attachment points each, which are bonded
    in a line. The target sEH is soluble epoxide hydrolase. ``block_chains`` turns strings into molecules; it needs
    RDKit and the data set sehstr-blocks.

    ## Action Space
    As in :class:`gfn_envs.Sequence`: 36 actions for prepend_append, 18 for append, 108 for insert and fill.

    ## Backward actions
    As in :class:`gfn_envs.Sequence`: 2 for prepend_append, 1 for append, 6 for insert and fill.

    ## Observation Space
    ``MultiDiscrete([19] * 6)``: the block at each position, or 18 if the position is empty.

    ## Starting State
    The empty string.

    ## Rewards
    R = scale r / max r with r = max(prediction, floor)^exponent, where 100 gradient-boosted trees predict from the
    one-hot blocks. The modes are the best 0.1%.

    The trees are read when the environment is made, from the data set sehstr-model. It is downloaded, or read from the
    directory in the environment variable GFN_ENVS_DATA. At the first reward, all 34 million strings are scored to find
    max r and the modes, which are cached on disk.

    ## Episode End
    After 6 blocks.

    ## Number of states
    34,012,224 objects; 36,012,943 states, 47,045,881 with fill.

    ## Arguments
    * ``construction``: "prepend_append" (Shen et al. 2023), "append", "insert" or "fill".
    * ``exponent``: power beta of the prediction, > 0.
    * ``scale``: the largest reward, > 0.
    * ``floor``: lower bound of the prediction, > 0; None: all predictions must be > 0.
    * ``mode_fraction``: fraction of all strings that are modes, in (0, 1]; None: no modes.
    * ``table``: predictions that replace those of the trees: a mapping, a list in alphabetical order, or the path of a
      text file with a string and its value per line.
    * ``length``: number of blocks; other values than 6 need a ``table``.

    ## References
    Bengio et al. 2021 (the proxy on which the trees were trained); Shen et al. 2023 (section 6)

    ## Version History
    * v0: initial version.
    """

    alphabet, published_length = ALPHABET, LENGTH

    def __init__(
        self,
        construction: str = "prepend_append",
        exponent: float = 6.0,
        scale: float = 10.0,
        floor: float | None = 1e-3,
        mode_fraction: float | None = 0.001,
        table: Table | None = None,
        length: int = LENGTH,
    ):
        super().__init__(construction, exponent, scale, floor, mode_fraction, table, length)
        if table is None:
            self.trees  # noqa: B018  # Missing data raise here, not at the first terminal state.

    @functools.cached_property
    def reward_table(self) -> FloatArray | None:
        """R of every string in alphabetical order, float64 (18^length,); None without a table."""
        given = self._table_values()
        if given is None:
            return None
        y = self._floored(given)
        return self._scaled(y, y.max())

    @functools.cached_property
    def block_chains(self) -> BlockChains:
        """The molecules: ``block_chains.mols(states[:, :-1])`` are RDKit's, and ``smiles`` and ``distances`` as well.

        Raises:
            DatasetError: the data set sehstr-blocks is not available.
            ImportError: RDKit is not installed.
        """
        return published("sehstr-blocks", datasets.dataset("sehstr-blocks").checksum, self.length)

    @functools.cached_property
    def trees(self) -> StringTrees:
        """The published model.

        Raises:
            DatasetError: its file is not available.
        """
        return _published(datasets.dataset("sehstr-model").checksum)

    def values(self, tokens: IntArray) -> FloatArray:
        """Predictions of the trees, float64 (n,), for the tokens (n, 6) of finished strings."""
        return super().values(tokens) if self._table is not None else self.trees.score(tokens)

    @functools.cached_property
    def _summary(self) -> dict[str, FloatArray]:
        """The largest of all predictions, and the positions of the modes; cached on disk."""
        fraction = self.mode_fraction or 0.0
        digest = datasets.dataset("sehstr-model").checksum[:16]
        return datasets.cached(f"sehstr-best-{fraction!r}-{digest}", lambda: best_strings(self.trees, fraction))

    def log_reward(self, states: IntArray) -> FloatArray:
        if self.reward_table is not None:
            return super().log_reward(states)
        tokens = states[:, :-1]
        y, largest = self._floored(self.values(tokens)), float(self._floored(self._summary["best"]))
        return checked_log_reward(self._scaled(y, largest), states, "SEHStr", self.object_names)

    @functools.cached_property
    def mode_strings(self) -> IntArray | None:
        if self.reward_table is not None:
            return super().mode_strings
        return None if self.mode_fraction is None else self._summary["modes"]


@functools.lru_cache(maxsize=1)
def _published(checksum: str) -> StringTrees:
    """The published model, read once per process."""
    arrays = datasets.converted("sehstr-model", arrays_from_pickle)
    return StringTrees(BoostedTrees(arrays), len(ALPHABET), LENGTH)


def best_strings(trees: StringTrees, fraction: float) -> dict[str, FloatArray]:
    """The largest prediction, and the positions of the best ``fraction`` of all strings, including ties with the last.

    All strings are scored in chunks, and only those that can still be among the best are kept.
    """
    count = max(1, fraction_count(fraction, trees.num_letters**trees.length))
    values, positions, start = np.zeros(0), np.zeros(0, dtype=np.int64), 0
    for scores in trees.score_all():
        threshold = np.partition(values, -count)[-count] if len(values) >= count else -np.inf
        good = np.flatnonzero(scores >= threshold)
        values, positions = np.concatenate([values, scores[good]]), np.concatenate([positions, good + start])
        start += len(scores)
        best = top(values, min(count, len(values)))
        values, positions = values[best], positions[best]
    return {"best": values.max(), "modes": positions}
