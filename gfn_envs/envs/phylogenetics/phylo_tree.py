"""PhyloTree: rooted or unrooted binary phylogenetic trees, scored by parsimony or likelihood."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping

import numpy as np

from gfn_envs import rendering
from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.envs.phylogenetics import alignments, forests
from gfn_envs.envs.phylogenetics.forest_dag import ForestDag
from gfn_envs.envs.phylogenetics.newick import newick_trees
from gfn_envs.envs.phylogenetics.parsimony import Parsimony
from gfn_envs.envs.phylogenetics.scores import SCORES, greedy_joins, likelihood_score
from gfn_envs.envs.phylogenetics.simulation import simulate_alignment
from gfn_envs.row_cache import RowCache
from gfn_envs.validation import check_size, checked_seed, one_of, positive, positive_int, real, shown

#: Largest number of taxa.
MAX_TAXA = 2**13


class PhyloTree(ForestDag):
    """Join taxa into a phylogenetic tree, two subtrees at a time; parsimonious or likely trees have high rewards.

    ## Description
    A state is a forest of rooted binary trees over n taxa; an object is one tree with all taxa. The label of a tree is
    the index of its first taxon. If two trees are joined, the result keeps the smaller label, and the larger one
    disappears. Each taxon but the first thus stands for one inner node: the join at which it disappears as a label.

    A state row has two entries for each taxon j = 1..n - 1. The first run of n - 1 entries holds the label i < j of the
    tree that tree j joined, plus 1, or 0 if j is still a label. The second run holds k if tree j was the k-th to join
    tree i, or 0. The row does not depend on the order of joins in different trees.

    Parsimony and likelihoods are the same for every root of a tree. With ``rooted=False`` each unrooted tree is one
    object: the last taxon takes no part in joins, and n above and below counts the others. It hangs at the root of
    their tree, so that rooted trees of the others and unrooted trees of all are one to one.

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
    tree (Fitch parsimony). A gap counts as a fifth nucleotide, and an unknown letter matches all of them. The
    intermediate log reward of a forest with m joins is (C m / (n - 1) - M) / temperature.

    With ``score="jc69"`` or ``"k80"``, M(x) = -log p(alignment | x), and there is no intermediate reward. A gap is an
    unknown nucleotide. Branch lengths are integrated or optimized (:class:`likelihood.Likelihood`). If they are
    integrated and the temperature is 1, R / Z is the posterior of topologies that are equally probable a priori.

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
      2800) with parsimony; else M of a greedily built tree, which keeps log R of good trees near 0.
    * ``temperature``: temperature of the reward, > 0. None: 4 with parsimony, 1 with a likelihood.
    * ``seed``: seed of the simulated alignment.
    * ``rooted``: True: an object is a rooted tree. False: an unrooted tree, of at least 3 taxa. None: rooted with
      parsimony, as in Zhou et al. 2024; unrooted with a likelihood.
    * ``score``: "parsimony"; "jc69", the likelihood of Jukes and Cantor 1969; or "k80", that of Kimura 1980.
    * ``kappa``: K80's ratio of the rates of transitions and transversions. None: 2.
    * ``branch_lengths``: "integrated" or "optimized", for likelihoods. None: integrated.
    * ``branch_mean``: mean of the exponential prior of integrated branch lengths. None: 0.1.

    ## References
    Zhou et al. 2024, PhyloGFN; Deleu et al. 2024, Discrete Probabilistic Inference as Control in Multi-path
    Environments

    ## Version History
    * v0: initial version.
    """

    object_formats = ("nwk",)

    def __init__(
        self,
        alignment: str | os.PathLike[str] | Mapping[str, str] | None = None,
        num_taxa: int = 7,
        num_sites: int = 100,
        mutation_probability: float = 0.1,
        constant: float | None = None,
        temperature: float | None = None,
        seed: int = 0,
        rooted: bool | None = None,
        score: str = "parsimony",
        kappa: float | None = None,
        branch_lengths: str | None = None,
        branch_mean: float | None = None,
    ):
        where = "PhyloTree"
        by_parsimony = one_of("score", score, SCORES, where) == "parsimony"
        temperature = (4.0 if by_parsimony else 1.0) if temperature is None else temperature
        self.temperature = positive("temperature", temperature, where)
        rooted = by_parsimony if rooted is None else rooted
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
        encoded = alignments.encode_alignment(self.sequences, where)
        self.parsimony = Parsimony(*alignments.site_patterns(encoded))
        #: None: trees are scored by parsimony.
        self.likelihood = likelihood_score(encoded, score, kappa, branch_lengths, branch_mean, where)
        self.num_taxa, self.rooted = len(self.taxa), rooted
        if self.num_taxa > MAX_TAXA:
            raise ValueError(f"{where}: an alignment must have at most {MAX_TAXA} taxa, got {self.num_taxa}")
        if not isinstance(rooted, bool):
            raise TypeError(f"{where}: rooted must be True or False, got {shown(rooted)}")
        if not rooted and self.num_taxa < 3:
            raise ValueError(f"{where}: an unrooted tree (rooted=False) must have at least 3 taxa, got {self.num_taxa}")
        # All taxa, or all but the last.
        super().__init__(self.num_taxa if rooted else self.num_taxa - 1)
        self.arguments = {
            "alignment": str(alignment) if isinstance(alignment, os.PathLike) else alignment,
            "num_taxa": num_taxa,
            "num_sites": num_sites,
            "mutation_probability": mutation_probability,
            "constant": constant,
            "temperature": temperature,
            "seed": seed,
            "rooted": rooted,
            "score": score,
            "kappa": kappa,
            "branch_lengths": branch_lengths,
            "branch_mean": branch_mean,
        }
        self._costs = None if self.likelihood is None else RowCache(self._likelihood_costs, self.state_dtype)
        if constant is None and by_parsimony:
            constant = alignments.CONSTANTS.get(alignment) if isinstance(alignment, str) else None
        if constant is None:
            constant = (self.likelihood or self.parsimony)(*greedy_joins(self.parsimony.greedy()))[0]
        self.constant = float(constant)

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

    # ------------------------------------------------------------------ rewards

    def mutations(self, states: IntArray) -> FloatArray:
        """The smallest number of mutations that explains the alignment on each forest, float64 (n,)."""
        return self.parsimony(*self.merges(states))

    def costs(self, states: IntArray) -> FloatArray:
        """M of complete trees: mutations, or -log p(alignment | tree), float64 (n,)."""
        return self.mutations(states) if self._costs is None else self._costs(states)

    def _likelihood_costs(self, states: IntArray) -> FloatArray:
        """-log p of complete trees, 0 for other forests."""
        assert self.likelihood is not None
        costs, complete = np.zeros(len(states)), self.is_terminal(states)
        costs[complete] = self.likelihood(*self.merges(states[complete]))
        return costs

    def log_reward(self, states: IntArray) -> FloatArray:
        return (self.constant - self.costs(states)) / self.temperature

    def log_marginal_likelihood(self, log_z: float) -> float:
        """log p(alignment), the mean of p(alignment | tree) over all trees, from log Z of the reward.

        Raises:
            ValueError: the reward is not p(alignment | tree), up to a constant.
        """
        if self.likelihood is None or not self.likelihood.integrated or self.temperature != 1:
            raise ValueError("log p(alignment) needs a likelihood with integrated branch lengths and temperature 1")
        return log_z - self.constant - math.log(self.num_terminal_states)

    def partial_log_reward(self, states: IntArray) -> FloatArray:
        if self.likelihood is not None:
            raise NotImplementedError("PhyloTree has intermediate rewards (partial_log_reward) with parsimony alone")
        joins = forests.num_joins(states)
        return (self.constant * joins / (self.num_labels - 1) - self.mutations(states)) / self.temperature

    # ------------------------------------------------------------------ labels and rendering

    def clades(self, states: IntArray) -> BoolArray:
        left, right = forests.subtrees(states)
        members = (left | right)[:, : self.num_labels - 2]  # The last one is the root, with all labels.
        return np.pad(members, ((0, 0), (0, 0), (0, self.num_taxa - self.num_labels)))

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
