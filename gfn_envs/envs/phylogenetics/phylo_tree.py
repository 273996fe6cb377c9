"""PhyloTree: rooted or unrooted binary phylogenetic trees, scored by parsimony."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Mapping

import numpy as np
from gymnasium import spaces

from gfn_envs import rendering
from gfn_envs.arrays import BoolArray, FloatArray, IntArray, log_factorials
from gfn_envs.dag import Dag
from gfn_envs.envs.phylogenetics import alignments, forests
from gfn_envs.envs.phylogenetics.newick import newick_trees
from gfn_envs.envs.phylogenetics.parsimony import Parsimony
from gfn_envs.envs.phylogenetics.simulation import simulate_alignment
from gfn_envs.validation import check_size, checked_seed, positive, positive_int, real

#: Largest number of taxa.
MAX_TAXA = 2**13


#: Number of forests whose features are computed at once: their subtrees fit in the cache of a processor.
CHUNK = 128


class PhyloTree(Dag):
    """Join taxa into a binary tree, two subtrees at a time; the reward is higher for trees with fewer mutations.

    ## Description
    A state is a forest of rooted binary trees over n taxa; an object is one tree with all taxa. The label of a tree is
    the index of its first taxon. If two trees are joined, the result keeps the smaller label, and the larger one
    disappears. Each taxon but the first thus stands for one inner node: the join at which it disappears as a label.

    A state row has two entries for each taxon j = 1..n - 1. The first run of n - 1 entries holds the label i < j of the
    tree that tree j joined, plus 1, or 0 if j is still a label. The second run holds k if tree j was the k-th to join
    tree i, or 0. The row does not depend on the order of joins in different trees.

    Parsimony is the same for every root of a tree. With ``rooted=False`` each unrooted tree is one object: the last
    taxon takes no part in joins, and n above and below counts the others. It hangs at the root of their tree, so that
    rooted trees of the others and unrooted trees of all are one to one.

    ## Action Space
    ``Discrete(n (n - 1) / 2)``: join the trees with labels i < j, with the pairs in the order (0, 1), (0, 2), ...,
    (1, 2), ... An action is legal if both i and j are labels.

    ## Backward actions
    n - 1: split the tree with label i = 0..n - 2 at its root, if it has more than one taxon.

    ## Observation Space
    ``MultiDiscrete([n] * 2 (n - 1))``: the state row. The network features are, for each pair of taxa, the number of
    taxa in the smallest subtree with both, divided by n, or 0 if the two are in different trees.

    ## Starting State
    The forest of n trees with one taxon each.

    ## Rewards
    log R(x) = (C - M(x)) / temperature, where M is the smallest number of mutations that explains the alignment on the
    tree (Fitch parsimony). A gap counts as a fifth nucleotide, and an unknown letter matches all of them.

    The intermediate log reward of a forest with m joins is (C m / (n - 1) - M) / temperature.

    ## Episode End
    After n - 1 joins, when one tree is left. There is no stop action.

    ## Number of states
    (2 n - 3)!! objects, or (2 N - 5)!! unrooted trees of N = n + 1 taxa; sum over k of
    (n - 1 + k)! / ((n - 1 - k)! k! 2^k) states.

    ## Arguments
    * ``alignment``: "DS1" to "DS8", benchmark alignments that are downloaded at first use; the path of a FASTA, NEXUS
      or PHYLIP file of nucleotides, plain or gzip; or a mapping from taxa to sequences. None simulates sequences that
      evolve along a random tree.
    * ``num_taxa``: number of taxa of the simulated alignment, >= 2.
    * ``num_sites``: number of sites of the simulated alignment.
    * ``mutation_probability``: probability that a site changes on an edge of the random tree, in [0, 1].
    * ``constant``: C. None: the value of Zhou et al. 2024 for DS1 to DS8 (5800, 8000, 8800, 3500, 2300, 2300, 12500,
      2800), or the number of mutations of a greedily built tree, which keeps log R of good trees near 0.
    * ``temperature``: temperature of the reward, > 0.
    * ``seed``: seed of the simulated alignment.
    * ``rooted``: True: an object is a rooted tree. False: an unrooted tree, of at least 3 taxa.

    ## References
    Zhou et al. 2024, PhyloGFN; Deleu et al. 2024, Discrete Probabilistic Inference as Control in Multi-path
    Environments

    ## Version History
    * v0: initial version.
    """

    feature_bounds = (0.0, 1.0)

    object_formats = ("nwk",)

    def __init__(
        self,
        alignment: str | os.PathLike[str] | Mapping[str, str] | None = None,
        num_taxa: int = 7,
        num_sites: int = 100,
        mutation_probability: float = 0.1,
        constant: float | None = None,
        temperature: float = 4.0,
        seed: int = 0,
        rooted: bool = True,
    ):
        where = "PhyloTree"
        self.temperature = positive("temperature", temperature, where)
        if constant is not None:
            constant = real("constant", constant, where)
        if not 0 <= real("mutation_probability", mutation_probability, where) <= 1:
            raise ValueError(f"{where}: mutation_probability must be in [0, 1], got {mutation_probability}")
        num_taxa = positive_int("num_taxa", num_taxa, where, at_least=2, at_most=MAX_TAXA)
        num_sites = positive_int("num_sites", num_sites, where)
        seed = checked_seed(seed, where)
        if alignment is None:
            check_size("num_sites", num_taxa * num_sites, where)
            rng = np.random.default_rng(seed)
            self.sequences = simulate_alignment(num_taxa, num_sites, mutation_probability, rng)
        else:
            self.sequences = alignments.load_alignment(alignment, where)
        self.taxa = tuple(self.sequences)
        self.parsimony = Parsimony(*alignments.site_patterns(alignments.encode_alignment(self.sequences, where)))
        self.num_taxa, self.rooted = len(self.taxa), rooted
        if self.num_taxa > MAX_TAXA:
            raise ValueError(f"{where}: an alignment must have at most {MAX_TAXA} taxa, got {self.num_taxa}")
        if not isinstance(rooted, bool):
            raise TypeError(f"{where}: rooted must be True or False, got {rooted!r}")
        if not rooted and self.num_taxa < 3:
            raise ValueError(f"{where}: an unrooted tree (rooted=False) must have at least 3 taxa, got {self.num_taxa}")
        #: Number of taxa that actions join: all, or all but the last.
        self.num_labels = n = self.num_taxa if rooted else self.num_taxa - 1
        self.arguments = {
            "alignment": str(alignment) if isinstance(alignment, os.PathLike) else alignment,
            "num_taxa": num_taxa,
            "num_sites": num_sites,
            "mutation_probability": mutation_probability,
            "constant": constant,
            "temperature": temperature,
            "seed": seed,
            "rooted": rooted,
        }
        # The labels i < j of each action.
        self._first, self._second = np.triu_indices(n, 1)
        self._one_per_taxon = np.ones((n, 1), dtype=np.float32)
        self.num_actions, self.num_backward_actions = len(self._first), n - 1
        self.max_length, self.state_width = n - 1, 2 * (n - 1)
        self.state_dtype = np.dtype(np.int8 if n < 127 else np.int16)
        self.num_features = len(self._first)
        self.num_tokens, self.num_positions = n, 2 * (n - 1)
        self.observation_space = spaces.MultiDiscrete([n] * (2 * (n - 1)))
        self.declared_num_terminal_states = math.prod(range(1, 2 * n - 2, 2))
        # The sum over k of (n - 1 + k)! / ((n - 1 - k)! k! 2^k), each from the one before.
        with_joins = self.declared_num_states = 1
        for k in range(n - 1):
            with_joins = with_joins * (n + k) * (n - 1 - k) // (2 * (k + 1))
            self.declared_num_states += with_joins
        if constant is None:
            constant = alignments.CONSTANTS.get(alignment) if isinstance(alignment, str) else None
        self.constant = self._greedy_mutations() if constant is None else float(constant)

    def _greedy_mutations(self) -> float:
        merges = np.array(self.parsimony.greedy(), dtype=np.int64)
        return float(self.parsimony(merges[None, :, 0], merges[None, :, 1])[0])

    def merges(self, states: IntArray) -> tuple[IntArray, IntArray]:
        """Joins of each state from the leaves up: tree ``merged`` joins tree ``into``; -1 after the last join.

        That of the last taxon of an unrooted tree, which comes last, is among them.

        Returns:
            ``(into, merged)``, each int64 (n, num_taxa - 1).
        """
        into, merged = forests.merges(states)
        if self.rooted:
            return into, merged
        complete = self.is_terminal(states)[:, None]
        last = np.where(complete, 0, -1), np.where(complete, self.num_taxa - 1, -1)
        return np.concatenate([into, last[0]], axis=1), np.concatenate([merged, last[1]], axis=1)

    # ------------------------------------------------------------------ the contract

    def source(self, n: int) -> IntArray:
        return np.zeros((n, self.state_width), dtype=self.state_dtype)

    def is_terminal(self, states: IntArray) -> BoolArray:
        return (states[:, : self.num_labels - 1] != 0).all(1)

    def forward_mask(self, states: IntArray) -> BoolArray:
        is_label = forests.is_label(states)
        return is_label[:, self._first] & is_label[:, self._second]

    def backward_mask(self, states: IntArray) -> BoolArray:
        into, _ = forests.joined(states)
        has_joins = np.zeros((len(states), self.num_labels), dtype=bool)
        row, column = np.nonzero(into >= 0)
        has_joins[row, into[row, column]] = True
        return (has_joins & forests.is_label(states))[:, :-1]

    def step(self, states: IntArray, actions: IntArray) -> IntArray:
        label, other = self._first.take(actions), self._second.take(actions)
        row, out = np.arange(len(states)), states.copy()
        out[row, other - 1] = label + 1
        out[row, self.num_labels - 2 + other] = forests.num_joined(states, label) + 1
        return out

    def undo(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        other = forests.last_joined(states, np.asarray(backward_actions))
        row, out = np.arange(len(states)), states.copy()
        out[row, other - 1] = out[row, self.num_labels - 2 + other] = 0
        return out

    def backward_action(self, states: IntArray, actions: IntArray) -> IntArray:
        return self._first.take(actions).astype(np.int64)

    def forward_action(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        label = np.asarray(backward_actions, dtype=np.int64)
        # (n - 1) + (n - 2) + ... + (n - i) pairs come before those of label i.
        before = label * (2 * self.num_labels - label - 1) // 2
        return before + forests.last_joined(states, label) - label - 1

    def mutations(self, states: IntArray) -> FloatArray:
        """The smallest number of mutations that explains the alignment on each forest, float64 (n,)."""
        return self.parsimony(*self.merges(states))

    def log_reward(self, states: IntArray) -> FloatArray:
        return (self.constant - self.mutations(states)) / self.temperature

    def encode(self, states: IntArray) -> FloatArray:
        features = np.empty((len(states), self.num_features), dtype=np.float32)
        # Forests with similar numbers of joins share a chunk, because a chunk costs as much as its longest.
        order = forests.num_joins(states).argsort(kind="stable")
        for start in range(0, len(states), CHUNK):
            rows = order[start : start + CHUNK]
            features[rows] = self._common_subtrees(states[rows])
        return features

    def _common_subtrees(self, states: IntArray) -> FloatArray:
        """Share of the taxa in the smallest common subtree of each pair of taxa, 0 if there is none, (n, pairs)."""
        left, right = (side.astype(np.float32) for side in forests.subtrees(states))
        size = (left + right) @ self._one_per_taxon
        left *= size / np.float32(self.num_labels)
        # At most one join has one taxon of a pair on its left and the other on its right.
        together = left.transpose(0, 2, 1) @ right
        together = (together + together.transpose(0, 2, 1)).reshape(len(states), self.num_labels**2)
        return together.take(self._first * self.num_labels + self._second, axis=1)

    def observe(self, states: IntArray) -> IntArray:
        return states.astype(np.int64)

    # ------------------------------------------------------------------ optional capabilities

    def partial_log_reward(self, states: IntArray) -> FloatArray:
        joins = forests.num_joins(states)
        return (self.constant * joins / (self.num_labels - 1) - self.mutations(states)) / self.temperature

    def tokens(self, states: IntArray) -> IntArray:
        """The state row, int64 (n, 2 (num_taxa - 1))."""
        return states.astype(np.int64)

    def contains(self, states: IntArray, objects: IntArray) -> BoolArray:
        """True if each subtree of the forest has the same taxa as some subtree of the object."""
        state_clades, object_clades = forests.clades(states), forests.clades(objects)
        ids = np.unique(np.concatenate([state_clades, object_clades]).ravel(), return_inverse=True)[1]
        mine = ids[: state_clades.size].reshape(state_clades.shape)
        theirs = ids[state_clades.size :].reshape(object_clades.shape)
        result = np.ones((len(states), len(objects)), dtype=bool)
        joins = forests.num_joins(states)
        for k in range(self.num_labels - 1):
            result &= (mine[:, k, None, None] == theirs).any(2) | (joins <= k)[:, None]
        return result

    @functools.cached_property
    def _log_factorials(self) -> FloatArray:
        return log_factorials(self.num_taxa)

    def log_num_paths(self, states: IntArray) -> FloatArray:
        """log of the number of orders of the m joins, by the hook length formula.

        The number is m! divided by the product, over all inner nodes, of the number of inner nodes of the subtree.
        """
        joins = forests.num_joins(states)
        left, right = forests.subtrees(states)
        inner = np.maximum(left.sum(2) + right.sum(2) - 1, 1)
        # Summed from left to right: NumPy's sum depends on the padding, and so on the other rows.
        logs = np.concatenate([np.zeros((len(states), 1)), np.log(inner)], axis=1).cumsum(1)
        return self._log_factorials[joins] - logs[:, -1]

    # ------------------------------------------------------------------ labels and rendering

    def _newick(self, state: IntArray) -> list[str]:
        into, merged = self.merges(state[None])
        return newick_trees(self.taxa, into[0], merged[0], self.rooted)

    def to_newick(self, state: IntArray) -> str:
        """One state (state_width,) in Newick notation, with one line per tree. Unrooted trees have three subtrees."""
        return "\n".join(f"{tree};" for tree in self._newick(state))

    def action_label(self, action: int) -> str:
        return f"{self.taxa[self._first[action]]} + {self.taxa[self._second[action]]}"

    def object_names(self, states: IntArray) -> list[str]:
        """Trees in Newick notation, those of a forest separated by spaces."""
        return [" ".join(f"{tree};" for tree in self._newick(state)) for state in states]

    def render_text(self, state: IntArray) -> str:
        return " ".join(self._newick(state))

    def render_image(self, state: IntArray, path: IntArray | None = None) -> rendering.Image:
        """One tile per pair of taxa: brighter for a smaller common subtree, gray if there is none."""
        size = np.zeros((self.num_labels, self.num_labels))
        size[self._first, self._second] = self.encode(state[None])[0]
        size += size.T
        colors = rendering.colormap(1 - size)
        colors[size == 0] = rendering.GREY
        colors[np.arange(self.num_labels), np.arange(self.num_labels)] = rendering.WHITE
        return rendering.tiles(colors, tile=max(4, 192 // self.num_labels))
