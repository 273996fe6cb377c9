"""PhyloTree: rooted binary phylogenetic trees, scored by parsimony."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from gymnasium import spaces

from gfn_envs import rendering
from gfn_envs.arrays import BoolArray, FloatArray, IntArray, log_factorials
from gfn_envs.dag import Dag
from gfn_envs.envs.phylogenetics import alignments
from gfn_envs.envs.phylogenetics.newick import newick_trees
from gfn_envs.envs.phylogenetics.parsimony import Parsimony
from gfn_envs.validation import positive_int


class PhyloTree(Dag):
    """Join taxa into a rooted binary tree, two subtrees at a time; the reward is higher for trees with fewer mutations.

    ## Description
    A state is a forest of rooted binary trees over n taxa; an object is one tree with all taxa. The label of a tree is
    the index of its first taxon. If two trees are joined, the result keeps the smaller label, and the larger one
    disappears. Each taxon but the first thus stands for one inner node: the join at which it disappears as a label.

    A state row has two entries for each taxon j = 1..n - 1. The first run of n - 1 entries holds the label i < j of the
    tree that tree j joined, plus 1, or 0 if j is still a label. The second run holds k if tree j was the k-th to join
    tree i, or 0. The row does not depend on the order of joins in different trees.

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
    (2 n - 3)!! objects; sum over k of (n - 1 + k)! / ((n - 1 - k)! k! 2^k) states.

    ## Arguments
    * ``alignment``: "DS1" to "DS8", benchmark alignments that are downloaded at first use; the path of a FASTA or NEXUS
      file; or a mapping from taxa to sequences. None simulates sequences that evolve along a random tree.
    * ``num_taxa``: number of taxa of the simulated alignment, >= 2.
    * ``num_sites``: number of sites of the simulated alignment.
    * ``mutation_probability``: probability that a site changes on an edge of the random tree, in [0, 1].
    * ``constant``: C. None: the value of Zhou et al. 2024 for DS1 to DS8 (5800, 8000, 8800, 3500, 2300, 2300, 12500,
      2800), or the number of mutations of a greedily built tree, which keeps log R of good trees near 0.
    * ``temperature``: temperature of the reward, > 0.
    * ``seed``: seed of the simulated alignment.

    ## References
    Zhou et al. 2024, PhyloGFN; Deleu et al. 2024, Discrete Probabilistic Inference as Control in Multi-path
    Environments

    ## Version History
    * v0: initial version.
    """

    def __init__(
        self,
        alignment: str | os.PathLike[str] | Mapping[str, str] | None = None,
        num_taxa: int = 7,
        num_sites: int = 100,
        mutation_probability: float = 0.1,
        constant: float | None = None,
        temperature: float = 4.0,
        seed: int = 0,
    ):
        where = "PhyloTree"
        if not 0 < temperature < math.inf or not (constant is None or math.isfinite(constant)):
            raise ValueError(f"{where}: temperature must be > 0 and constant finite, got {temperature=}, {constant=}")
        if not 0 <= mutation_probability <= 1:
            raise ValueError(f"{where}: mutation_probability must be in [0, 1], got {mutation_probability}")
        if alignment is None:
            taxa = positive_int("num_taxa", num_taxa, where, at_least=2)
            sites = positive_int("num_sites", num_sites, where)
            rng = np.random.default_rng(seed)
            self.sequences = alignments.simulate_alignment(taxa, sites, mutation_probability, rng)
        elif isinstance(alignment, Mapping):
            self.sequences = dict(alignment)
        elif alignment in alignments.CONSTANTS:
            self.sequences = alignments.benchmark_alignment(str(alignment))
        else:
            self.sequences = alignments.read_alignment(Path(alignment), where)
        self.taxa = tuple(self.sequences)
        self.parsimony = Parsimony(*alignments.site_patterns(alignments.encode_alignment(self.sequences, where)))
        self.num_taxa = n = len(self.taxa)
        if n > 2**13:
            raise ValueError(f"{where}: an alignment must have at most {2**13} taxa, got {n}")
        self.arguments = {
            "alignment": str(alignment) if isinstance(alignment, os.PathLike) else alignment,
            "num_taxa": num_taxa,
            "num_sites": num_sites,
            "mutation_probability": mutation_probability,
            "constant": constant,
            "temperature": temperature,
            "seed": seed,
        }
        self.temperature = float(temperature)
        # The labels i < j of each action.
        self._first, self._second = np.triu_indices(n, 1)
        self.num_actions, self.num_backward_actions = len(self._first), n - 1
        self.max_length, self.state_width = n - 1, 2 * (n - 1)
        self.state_dtype = np.dtype(np.int8 if n < 127 else np.int16)
        self.num_features = len(self._first)
        self.num_tokens, self.num_positions = n, 2 * (n - 1)
        self.observation_space = spaces.MultiDiscrete([n] * (2 * (n - 1)))
        self.declared_num_terminal_states = math.prod(range(1, 2 * n - 2, 2))
        factorial = math.factorial
        self.declared_num_states = sum(
            factorial(n - 1 + k) // (factorial(n - 1 - k) * factorial(k) * 2**k) for k in range(n)
        )
        if constant is None:
            constant = alignments.CONSTANTS.get(alignment) if isinstance(alignment, str) else None
        self.constant = self._greedy_mutations() if constant is None else float(constant)

    def _greedy_mutations(self) -> float:
        merges = np.array(self.parsimony.greedy(), dtype=np.int64)
        return float(self.parsimony(merges[None, :, 0], merges[None, :, 1])[0])

    # ------------------------------------------------------------------ reading rows

    def _joined(self, states: IntArray) -> tuple[IntArray, IntArray]:
        """The tree that each taxon but the first joined, or -1, and its rank among those, int64 (n, num_taxa - 1)."""
        return states[:, : self.num_taxa - 1].astype(np.int64) - 1, states[:, self.num_taxa - 1 :].astype(np.int64)

    def _is_label(self, states: IntArray) -> BoolArray:
        """True if a taxon is the label of a tree, bool (n, num_taxa)."""
        return np.pad(states[:, : self.num_taxa - 1] == 0, ((0, 0), (1, 0)), constant_values=True)

    def _num_joined(self, states: IntArray, label: IntArray) -> IntArray:
        """Number of trees that have joined the tree ``label`` (n,)."""
        return (states[:, : self.num_taxa - 1] == label[:, None] + 1).sum(1)

    def _last_joined(self, states: IntArray, label: IntArray) -> IntArray:
        """The taxon that joined the tree ``label`` (n,) last. It stands for the root of that tree."""
        into, rank = self._joined(states)
        return np.where(into == label[:, None], rank, 0).argmax(1) + 1

    def merges(self, states: IntArray) -> tuple[IntArray, IntArray]:
        """Joins of each state from the leaves up: tree ``merged`` joins tree ``into``; -1 after the last join.

        A tree that joins i has a label larger than i, so joins into larger labels come first.

        Returns:
            ``(into, merged)``, each int64 (n, num_taxa - 1).
        """
        into, rank = self._joined(states)
        order = np.lexsort((rank, -into), axis=1)
        into = np.take_along_axis(into, order, axis=1)
        return into, np.where(into >= 0, order + 1, -1)

    # ------------------------------------------------------------------ the contract

    def source(self, n: int) -> IntArray:
        return np.zeros((n, self.state_width), dtype=self.state_dtype)

    def is_terminal(self, states: IntArray) -> BoolArray:
        return (states[:, : self.num_taxa - 1] != 0).all(1)

    def forward_mask(self, states: IntArray) -> BoolArray:
        is_label = self._is_label(states)
        return is_label[:, self._first] & is_label[:, self._second]

    def backward_mask(self, states: IntArray) -> BoolArray:
        into, _ = self._joined(states)
        has_joins = np.zeros((len(states), self.num_taxa), dtype=bool)
        row, column = np.nonzero(into >= 0)
        has_joins[row, into[row, column]] = True
        return (has_joins & self._is_label(states))[:, :-1]

    def step(self, states: IntArray, actions: IntArray) -> IntArray:
        label, other = self._first.take(actions), self._second.take(actions)
        row, out = np.arange(len(states)), states.copy()
        out[row, other - 1] = label + 1
        out[row, self.num_taxa - 2 + other] = self._num_joined(states, label) + 1
        return out

    def undo(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        other = self._last_joined(states, np.asarray(backward_actions))
        row, out = np.arange(len(states)), states.copy()
        out[row, other - 1] = out[row, self.num_taxa - 2 + other] = 0
        return out

    def backward_action(self, states: IntArray, actions: IntArray) -> IntArray:
        return self._first.take(actions).astype(np.int64)

    def forward_action(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        label = np.asarray(backward_actions, dtype=np.int64)
        # (n - 1) + (n - 2) + ... + (n - i) pairs come before those of label i.
        before = label * (2 * self.num_taxa - label - 1) // 2
        return before + self._last_joined(states, label) - label - 1

    def mutations(self, states: IntArray) -> FloatArray:
        """The smallest number of mutations that explains the alignment on each forest, float64 (n,)."""
        return self.parsimony(*self.merges(states))

    def log_reward(self, states: IntArray) -> FloatArray:
        return (self.constant - self.mutations(states)) / self.temperature

    def encode(self, states: IntArray) -> FloatArray:
        left, right = (side.astype(np.float32) for side in self._subtrees(states))
        size = (left.sum(2) + right.sum(2)) / np.float32(self.num_taxa)
        # At most one join has one taxon of a pair on its left and the other on its right.
        together = ((left * size[:, :, None]).transpose(0, 2, 1) @ right).reshape(len(states), self.num_taxa**2)
        entry, mirrored = (i * self.num_taxa + j for i, j in [(self._first, self._second), (self._second, self._first)])
        return together.take(entry, axis=1) + together.take(mirrored, axis=1)

    def _subtrees(self, states: IntArray) -> tuple[BoolArray, BoolArray]:
        """Taxa of the two trees of each join, from the leaves up, two arrays bool (n, joins, num_taxa).

        ``joins`` is the largest number of joins of a state. Absent joins have no taxa.
        """
        into, merged = self.merges(states)
        joins = int((into >= 0).sum(1).max(initial=0))
        # Absent joins, which are -1, refer to an additional tree without taxa at the last index.
        trees = np.zeros((len(states), self.num_taxa + 1, self.num_taxa), dtype=bool)
        trees[:, :-1] = np.eye(self.num_taxa, dtype=bool)
        left, right = np.empty((2, len(states), joins, self.num_taxa), dtype=bool)
        start = np.arange(len(states)) * (self.num_taxa + 1)
        into, merged = (start[:, None] + side[:, :joins] % (self.num_taxa + 1) for side in (into, merged))
        members = trees.reshape(-1, self.num_taxa)
        for k in range(joins):
            left[:, k], right[:, k] = members.take(into[:, k], axis=0), members.take(merged[:, k], axis=0)
            members[into[:, k]] = left[:, k] | right[:, k]
        return left, right

    def observe(self, states: IntArray) -> IntArray:
        return states.astype(np.int64)

    # ------------------------------------------------------------------ optional capabilities

    def partial_log_reward(self, states: IntArray) -> FloatArray:
        joins = (states[:, : self.num_taxa - 1] != 0).sum(1)
        return (self.constant * joins / (self.num_taxa - 1) - self.mutations(states)) / self.temperature

    def tokens(self, states: IntArray) -> IntArray:
        """The state row, int64 (n, 2 (num_taxa - 1))."""
        return states.astype(np.int64)

    def contains(self, states: IntArray, objects: IntArray) -> BoolArray:
        """True if each subtree of the forest has the same taxa as some subtree of the object."""
        state_clades, object_clades = self._clades(states), self._clades(objects)
        ids = np.unique(np.concatenate([state_clades, object_clades]).ravel(), return_inverse=True)[1]
        mine = ids[: state_clades.size].reshape(state_clades.shape)
        theirs = ids[state_clades.size :].reshape(object_clades.shape)
        result = np.ones((len(states), len(objects)), dtype=bool)
        joins = (states[:, : self.num_taxa - 1] != 0).sum(1)
        for k in range(self.num_taxa - 1):
            result &= (mine[:, k, None, None] == theirs).any(2) | (joins <= k)[:, None]
        return result

    def _clades(self, states: IntArray) -> IntArray:
        """The taxa below each inner node as bytes, (n, num_taxa - 1); empty for absent nodes."""
        width = -(-self.num_taxa // 8)
        clades = np.zeros((len(states), self.num_taxa - 1, width), dtype=np.uint8)
        left, right = self._subtrees(states)
        clades[:, : left.shape[1]] = np.packbits(left | right, axis=2)
        return clades.view(f"S{width}")[..., 0]

    @functools.cached_property
    def _log_factorials(self) -> FloatArray:
        return log_factorials(self.num_taxa)

    def log_num_paths(self, states: IntArray) -> FloatArray:
        """log of the number of orders of the m joins, by the hook length formula.

        The number is m! divided by the product, over all inner nodes, of the number of inner nodes of the subtree.
        """
        joins = (states[:, : self.num_taxa - 1] != 0).sum(1)
        left, right = self._subtrees(states)
        inner = np.maximum(left.sum(2) + right.sum(2) - 1, 1)
        return self._log_factorials[joins] - np.log(inner).sum(1)

    # ------------------------------------------------------------------ labels and rendering

    def _newick(self, state: IntArray) -> list[str]:
        into, merged = self.merges(state[None])
        return newick_trees(self.taxa, into[0], merged[0])

    def to_newick(self, state: IntArray) -> str:
        """One state (state_width,) in Newick notation, with one line per tree."""
        return "\n".join(f"{tree};" for tree in self._newick(state))

    def action_label(self, action: int) -> str:
        return f"{self.taxa[self._first[action]]} + {self.taxa[self._second[action]]}"

    def render_text(self, state: IntArray) -> str:
        return " ".join(self._newick(state))

    def render_image(self, state: IntArray, path: IntArray | None = None) -> rendering.Image:
        """One tile per pair of taxa: brighter for a smaller common subtree, gray if there is none."""
        size = np.zeros((self.num_taxa, self.num_taxa))
        size[self._first, self._second] = self.encode(state[None])[0]
        size += size.T
        colors = rendering.colormap(1 - size)
        colors[size == 0] = rendering.GREY
        colors[np.arange(self.num_taxa), np.arange(self.num_taxa)] = rendering.WHITE
        return rendering.tiles(colors, tile=max(4, 192 // self.num_taxa))
