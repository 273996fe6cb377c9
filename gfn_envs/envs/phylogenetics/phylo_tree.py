"""PhyloTree: rooted binary trees over taxa, rewarded by parsimony."""

from __future__ import annotations

import functools
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from gymnasium import spaces

from gfn_envs import rendering
from gfn_envs.arrays import BoolArray, FloatArray, IntArray, log_factorials
from gfn_envs.dag import Dag
from gfn_envs.data import registry as datasets
from gfn_envs.envs.phylogenetics import alignments
from gfn_envs.envs.phylogenetics.parsimony import Parsimony
from gfn_envs.validation import positive_int

#: C of the benchmark alignments (Zhou et al. 2024).
CONSTANTS = dict(zip([f"DS{k}" for k in range(1, 9)], [5800, 8000, 8800, 3500, 2300, 2300, 12500, 2800], strict=True))


class PhyloTree(Dag):
    """Join taxa into one rooted binary tree, two trees at a time; trees that need few mutations are rewarded.

    ## Description
    A state is a forest of rooted binary trees over n taxa, and an object one tree with all of them. A tree is named by
    its first taxon. Of the two trees that are joined, the one whose first taxon comes later loses its name; so each
    taxon but the first stands for one inner node, the one where it ends as a name. The row holds, for taxon j = 1..n -
    1, the name i < j of the tree that it joined, plus 1, and 0 where it still is a name; and then, for each j, whether
    it was the first, second, ... to join i. The order of joins elsewhere leaves no trace.

    ## Action Space
    ``Discrete(n (n - 1) / 2)``: join the trees named i < j, pairs in the order (0, 1), (0, 2), ..., (1, 2), ...; legal
    where both are names.

    ## Backward actions
    n - 1: split the root of the tree named i = 0..n - 2, where it has more than one taxon.

    ## Observation Space
    ``MultiDiscrete([n] * 2 (n - 1))``: the state row. Network features: for each pair of taxa, the size of the smallest
    subtree that holds both, as a part of n; 0 where they are in different trees.

    ## Starting State
    n trees of one taxon.

    ## Rewards
    log R(x) = (C - M(x)) / temperature, where M is the least number of mutations that explains the alignment on the
    tree (Fitch parsimony; a gap is a fifth nucleotide, and unknown letters fit all).

    The intermediate log reward of a forest with m joins is (C m / (n - 1) - M) / temperature.

    ## Episode End
    When one tree is left: after n - 1 joins. There is no stop action.

    ## Number of states
    (2 n - 3)!! objects; sum over k of (n - 1 + k)! / ((n - 1 - k)! k! 2^k) states.

    ## Arguments
    * ``alignment``: "DS1" to "DS8", benchmark alignments that are downloaded at first use; the path of a FASTA or NEXUS
      file; a mapping from taxa to sequences. None simulates one.
    * ``num_taxa``, ``num_sites``, ``mutation_probability``, ``seed``: of the simulated alignment: sequences evolve
      along a random tree, where a site changes on each edge with ``mutation_probability``.
    * ``constant``: C; by default that of Zhou et al. 2024 for DS1 to DS8 (5800, 8000, 8800, 3500, 2300, 2300, 12500,
      2800), and the mutations of a greedily built tree elsewhere, which keeps log R of good trees near 0.
    * ``temperature``: > 0.

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
        elif alignment in CONSTANTS:
            self.sequences = _benchmark(str(alignment))
        else:
            self.sequences = alignments.read_alignment(Path(alignment), where)
        self.taxa = tuple(self.sequences)
        self.parsimony = Parsimony(*alignments.site_patterns(alignments.encode_alignment(self.sequences, where)))
        self.num_taxa = n = len(self.taxa)
        if n > 2**13:
            raise ValueError(f"{where}: at most {2**13} taxa, got {n}")
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
        self._first, self._second = np.triu_indices(n, 1)  # of the pair of each action
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
            constant = CONSTANTS.get(alignment) if isinstance(alignment, str) else None
        self.constant = self._greedy_mutations() if constant is None else float(constant)

    def _greedy_mutations(self) -> float:
        merges = np.array(self.parsimony.greedy(), dtype=np.int64)
        return float(self.parsimony(merges[None, :, 0], merges[None, :, 1])[0])

    # ------------------------------------------------------------------ the row

    def _joined(self, states: IntArray) -> tuple[IntArray, IntArray]:
        """For taxa j = 1..n - 1, each int64 (n, n - 1): the tree that j joined, -1 for none; its rank among those."""
        return states[:, : self.num_taxa - 1].astype(np.int64) - 1, states[:, self.num_taxa - 1 :].astype(np.int64)

    def _names(self, states: IntArray) -> BoolArray:
        """True where a taxon is the name of a tree, bool (n, num_taxa)."""
        return np.pad(states[:, : self.num_taxa - 1] == 0, ((0, 0), (1, 0)), constant_values=True)

    def _number_joined(self, states: IntArray, name: IntArray) -> IntArray:
        """How many trees have joined the tree ``name`` (n,)."""
        return (states[:, : self.num_taxa - 1] == name[:, None] + 1).sum(1)

    def _last_joined(self, states: IntArray, name: IntArray) -> IntArray:
        """The taxon that joined the tree ``name`` (n,) last; it stands for the root of that tree."""
        into, rank = self._joined(states)
        return np.where(into == name[:, None], rank, 0).argmax(1) + 1

    def merges(self, states: IntArray) -> tuple[IntArray, IntArray]:
        """Joins in an order from the leaves up: ``into`` and ``merged``, int64 (n, n - 1), -1 after the last.

        What joins i has a later name than i, so its own joins come first where those into later names do.
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
        names = self._names(states)
        return names[:, self._first] & names[:, self._second]

    def backward_mask(self, states: IntArray) -> BoolArray:
        into, _ = self._joined(states)
        has_joins = np.zeros((len(states), self.num_taxa), dtype=bool)
        row, column = np.nonzero(into >= 0)
        has_joins[row, into[row, column]] = True
        return (has_joins & self._names(states))[:, :-1]

    def step(self, states: IntArray, actions: IntArray) -> IntArray:
        name, other = self._first.take(actions), self._second.take(actions)
        row, out = np.arange(len(states)), states.copy()
        out[row, other - 1] = name + 1
        out[row, self.num_taxa - 2 + other] = self._number_joined(states, name) + 1
        return out

    def undo(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        other = self._last_joined(states, np.asarray(backward_actions))
        row, out = np.arange(len(states)), states.copy()
        out[row, other - 1] = out[row, self.num_taxa - 2 + other] = 0
        return out

    def backward_action(self, states: IntArray, actions: IntArray) -> IntArray:
        return self._first.take(actions).astype(np.int64)

    def forward_action(self, states: IntArray, backward_actions: IntArray) -> IntArray:
        name = np.asarray(backward_actions, dtype=np.int64)
        # Pairs before those of i: (n - 1) + (n - 2) + ... + (n - i).
        before = name * (2 * self.num_taxa - name - 1) // 2
        return before + self._last_joined(states, name) - name - 1

    def mutations(self, states: IntArray) -> FloatArray:
        """The least number of mutations of any forests, float64 (n,)."""
        return self.parsimony(*self.merges(states))

    def log_reward(self, states: IntArray) -> FloatArray:
        return (self.constant - self.mutations(states)) / self.temperature

    def encode(self, states: IntArray) -> FloatArray:
        left, right = (side.astype(np.float32) for side in self._subtrees(states))
        size = (left.sum(2) + right.sum(2)) / np.float32(self.num_taxa)
        # Of each pair of taxa, one is left and the other right of one join at most.
        together = ((left * size[:, :, None]).transpose(0, 2, 1) @ right).reshape(len(states), self.num_taxa**2)
        entry, mirrored = (i * self.num_taxa + j for i, j in [(self._first, self._second), (self._second, self._first)])
        return together.take(entry, axis=1) + together.take(mirrored, axis=1)

    def _subtrees(self, states: IntArray) -> tuple[BoolArray, BoolArray]:
        """The taxa of the two trees of each join, from the leaves up: two bool (n, joins, num_taxa), as many joins as a
        state has at most; no taxa where a state has fewer."""
        into, merged = self.merges(states)
        joins = int((into >= 0).sum(1).max(initial=0))
        # One more tree than there are names, without taxa: what does not happen happens to that one; -1 is its place.
        trees = np.zeros((len(states), self.num_taxa + 1, self.num_taxa), dtype=bool)
        trees[:, :-1] = np.eye(self.num_taxa, dtype=bool)
        left, right = np.empty((2, len(states), joins, self.num_taxa), dtype=bool)
        place = np.arange(len(states)) * (self.num_taxa + 1)
        into, merged = (place[:, None] + side[:, :joins] % (self.num_taxa + 1) for side in (into, merged))
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
        """The row, int64 (n, 2 (n - 1))."""
        return states.astype(np.int64)

    def contains(self, states: IntArray, objects: IntArray) -> BoolArray:
        """Every subtree of the forest has the taxa of a subtree of the object."""
        of_states, of_objects = self._clades(states), self._clades(objects)
        ids = np.unique(np.concatenate([of_states, of_objects]).ravel(), return_inverse=True)[1]
        mine = ids[: of_states.size].reshape(of_states.shape)
        theirs = ids[of_states.size :].reshape(of_objects.shape)
        result = np.ones((len(states), len(objects)), dtype=bool)
        joins = (states[:, : self.num_taxa - 1] != 0).sum(1)
        for k in range(self.num_taxa - 1):
            result &= (mine[:, k, None, None] == theirs).any(2) | (joins <= k)[:, None]
        return result

    def _clades(self, states: IntArray) -> IntArray:
        """The taxa below each inner node as bytes, (n, n - 1); empty where there is none."""
        width = -(-self.num_taxa // 8)
        clades = np.zeros((len(states), self.num_taxa - 1, width), dtype=np.uint8)
        left, right = self._subtrees(states)
        clades[:, : left.shape[1]] = np.packbits(left | right, axis=2)
        return clades.view(f"S{width}")[..., 0]

    @functools.cached_property
    def _log_factorials(self) -> FloatArray:
        return log_factorials(self.num_taxa)

    def log_num_paths(self, states: IntArray) -> FloatArray:
        """log of the orders of the m joins: m! over the product of the inner nodes of each subtree (hook lengths)."""
        joins = (states[:, : self.num_taxa - 1] != 0).sum(1)
        left, right = self._subtrees(states)
        inner = np.maximum(left.sum(2) + right.sum(2) - 1, 1)
        return self._log_factorials[joins] - np.log(inner).sum(1)

    # ------------------------------------------------------------------ for people

    def _texts(self, state: IntArray) -> list[str]:
        """The trees of a forest in Newick's notation, without the semicolons."""
        into, merged = (side[0].tolist() for side in self.merges(state[None]))
        trees = {i: _quoted(name) for i, name in enumerate(self.taxa)}
        for i, j in zip(into, merged, strict=True):
            if i >= 0:
                trees[i] = f"({trees[i]},{trees.pop(j)})"
        return list(trees.values())

    def to_newick(self, state: IntArray) -> str:
        """The tree of one finished state (state_width,) in Newick's notation, or a line for each tree of a forest."""
        return "\n".join(f"{tree};" for tree in self._texts(state))

    def action_label(self, action: int) -> str:
        return f"{self.taxa[self._first[action]]} + {self.taxa[self._second[action]]}"

    def render_text(self, state: IntArray) -> str:
        return " ".join(self._texts(state))

    def render_image(self, state: IntArray, path: IntArray | None = None) -> rendering.Image:
        """A tile for each pair of taxa: the brighter, the smaller the subtree that holds both; grey where none does."""
        size = np.zeros((self.num_taxa, self.num_taxa))
        size[self._first, self._second] = self.encode(state[None])[0]
        size += size.T
        colours = rendering.colormap(1 - size)
        colours[size == 0] = rendering.GREY
        colours[np.arange(self.num_taxa), np.arange(self.num_taxa)] = rendering.WHITE
        return rendering.tiles(colours, tile=max(4, 192 // self.num_taxa))


def _quoted(name: str) -> str:
    """A taxon's name as Newick has it: in quotes where it holds more than letters, digits and the like."""
    return name if all(c.isalnum() or c in "_.-|" for c in name) else "'" + name.replace("'", "''") + "'"


def _benchmark(name: str) -> dict[str, str]:
    """The alignment DS1..DS8. Raises DatasetError as :func:`gfn_envs.data.registry.read` does."""
    return dict(json.loads(datasets.read(f"phylo-{name.lower()}")))
