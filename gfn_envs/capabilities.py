"""Optional capabilities of an environment. Agents, figures and the checker ask for them with :meth:`Dag.has`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from gfn_envs.arrays import BoolArray, FloatArray, IntArray
from gfn_envs.closed_levels import ClosedLevels
from gfn_envs.graph_layout import GraphLayout


class Capabilities:
    """Base class of :class:`gfn_envs.Dag`: every optional method raises NotImplementedError unless it is overridden.

    Attributes:
        num_tokens, num_positions: sizes of :meth:`tokens`; None if it is not defined.
        token_order: positions of :meth:`tokens` in the order in which actions fill them, int64 (num_positions,), if
            each action fills the next one or changes no token (stop), and an empty one has the token num_tokens - 1.
            Transformers then evaluate each token once per trajectory. None makes no claim.
        graph_layout: sizes of :meth:`labelled_graphs`; None if it is not defined.
        grid_shape: sizes of the grid of :meth:`grid_cells`, one per dimension; None if it is not defined.
        distance_name: name of :meth:`distance`.
        reward_floor: the lowest level R0 of the reward, which a terminal state without any bonus receives; None if the
            reward has no such level.
        feature_bounds: lowest and largest value of :meth:`gfn_envs.Dag.encode`, such as (0, 1) for one-hot vectors.
        object_formats: file formats of its field in which :meth:`gfn_envs.Dag.object_names` writes objects, for
            ``gfn sample``: "smi" (SMILES), "fasta" (nucleotides or amino acids), "nwk" (trees in Newick notation).
        can_stop_anywhere: True if the last action is a stop action that is legal in every non-terminal state and is the
            only edge into the terminal state it leads to. Modified detailed balance (Deleu et al. 2022) requires it.
            False makes no claim.
        names: names of the nodes of :meth:`marginals`.
        true_graph: the parents of each of these nodes in the true graph as bit masks, int64 (nodes,), if it is known.
        taxa: names of the taxa of trees that :meth:`clades` describes; () if it is not defined.
        rooted: False: :meth:`clades` describes unrooted trees.
        closed_levels: all states in closed form (:mod:`gfn_envs.closed_levels`), which needs ``declared_num_states``.
            Exact evaluation then holds no table of states. None: the states are enumerated.
    """

    num_tokens: int | None = None
    num_positions: int | None = None
    token_order: IntArray | None = None
    graph_layout: GraphLayout | None = None
    grid_shape: tuple[int, ...] | None = None
    distance_name: str = "the environment's own"
    reward_floor: float | None = None
    feature_bounds: tuple[float, float] = (-np.inf, np.inf)
    object_formats: tuple[str, ...] = ()
    can_stop_anywhere: bool = False
    taxa: tuple[str, ...] = ()
    rooted: bool = True
    closed_levels: ClosedLevels | None = None
    names: tuple[str, ...] = ()
    true_graph: IntArray | None = None

    def partial_log_reward(self, states: IntArray) -> FloatArray:
        """Intermediate log reward of any state (n,): 0 at s0, :meth:`log_reward` on terminal states.

        Raises:
            NotImplementedError: the environment does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no intermediate reward (partial_log_reward)")

    def contains(self, states: IntArray, objects: IntArray) -> BoolArray:
        """True at [i, j] if a path leads from state i to object j, bool (n, m).

        Substructure guides use this relation (Shen et al. 2023, section 5).

        Args:
            states: any states (n, state_width).
            objects: terminal states (m, state_width).

        Raises:
            NotImplementedError: the environment does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define which objects a state contains (contains)")

    def tokens(self, states: IntArray) -> IntArray:
        """States as sequences for transformers, int64 (n, num_positions), with tokens 0..num_tokens - 1.

        Different non-terminal states have different tokens.

        Raises:
            NotImplementedError: the environment does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define states as sequences (tokens)")

    def labelled_graphs(self, states: IntArray) -> IntArray:
        """States as graphs for graph networks, int64 (n, num_nodes, num_nodes), of the sizes in ``graph_layout``.

        Entry [i, i] is the label of node i, 0 if the node is absent. Entry [i, j] is the relation of node i to node j,
        0 if there is none. Different non-terminal states have different graphs.

        Raises:
            NotImplementedError: the environment does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define states as graphs (labelled_graphs)")

    def distance(self, states: IntArray, others: IntArray) -> FloatArray:
        """Distances between terminal states (n, state_width) and (m, state_width), float64 (n, m).

        Raises:
            NotImplementedError: the environment does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define a distance between objects (distance)")

    def exact_log_z(self) -> float:
        """log Z, the log of the sum of the rewards of all objects, without listing them.

        Raises:
            NotImplementedError: the environment does not know it, or not with these arguments.
        """
        raise NotImplementedError(f"{type(self).__name__} does not know its log Z without enumeration (exact_log_z)")

    def sample_target(self, n: int, rng: np.random.Generator) -> IntArray:
        """n independent objects x, each with probability R(x) / Z: terminal states (n, state_width).

        Evaluations then have the upper bound of log Z (EUBO) on DAGs that are too large to enumerate.

        Raises:
            NotImplementedError: the environment cannot draw them, or not with these arguments.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot draw from R(x) / Z (sample_target)")

    def grid_cells(self, states: IntArray) -> IntArray:
        """Terminal states as cells of a grid of shape ``grid_shape``, int64 (n, len(grid_shape)).

        Different terminal states have different cells.

        Raises:
            NotImplementedError: the environment does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define objects as cells of a grid (grid_cells)")

    def clades(self, states: IntArray) -> BoolArray:
        """The inner nodes of terminal states that are trees of ``taxa``, bool (n, num_nodes, num_taxa).

        True for each taxon below the node. The root and single taxa are left out. The nodes of an unrooted tree are its
        inner edges, with the taxa on the side without the last taxon. `gfn sample` writes them as NEXUS, with support,
        and as consensus trees.

        Raises:
            NotImplementedError: the environment does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define objects as trees of taxa (clades)")

    def molecules(self, states: IntArray) -> list[Any]:
        """States as a list of n RDKit Mols. An environment that defines it also defines the two methods below.

        Raises:
            NotImplementedError: the environment does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define objects as molecules (molecules)")

    def to_smiles(self, states: IntArray) -> list[str]:
        """Canonical SMILES of :meth:`molecules`; raises as it does."""
        raise NotImplementedError(f"{type(self).__name__} does not define objects as molecules (to_smiles)")

    def draw_molecules(self, states: IntArray, per_row: int, cell: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """Structural formulas of terminal states with their rewards, as one RGB image, uint8 (H, W, 3).

        Args:
            states: terminal states (n, state_width).
            per_row: molecules in each row of the image.
            cell: width and height of each molecule in pixels.

        Raises:
            NotImplementedError: the environment does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define objects as molecules (draw_molecules)")

    def mol_blocks(self, states: IntArray) -> list[str]:
        """Terminal states as MDL mol blocks, with an empty title line. `gfn sample` writes them to .sdf files.

        Raises:
            NotImplementedError: the environment does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define objects as mol blocks (mol_blocks)")

    def reward_components(self, states: IntArray) -> Mapping[str, FloatArray]:
        """Components of the reward of terminal states (n, state_width): name -> float64 (n,).

        It may evaluate the reward of objects that are new.

        Raises:
            NotImplementedError: the environment does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no components of its reward (reward_components)")

    def marginals(self, states: IntArray, weights: FloatArray | None = None) -> dict[str, FloatArray]:
        """Weighted shares of the graphs that have a relation, such as ``edge``: name -> float64 (nodes, nodes).

        Entry [i, j] is the share of the graphs where node i has the relation to node j. An environment that defines it
        also defines ``names``, the relation ``edge``, and the two methods below.

        Args:
            states: terminal states (n, state_width).
            weights: of the graphs (n,), normalized here; None weights all equally.

        Raises:
            NotImplementedError: the environment does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define objects as directed graphs (marginals)")

    def exact_marginals(self) -> dict[str, FloatArray]:
        """Those of :meth:`marginals` that can be computed for all objects in proportion to their rewards.

        Raises:
            NotImplementedError: the environment does not define it.
            EnumerationError: there are too many graphs for any.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define objects as directed graphs (exact_marginals)")

    def equivalence_classes(self, states: IntArray) -> list[str]:
        """The Markov equivalence class of each terminal state, such as ``a -> b, b - c``; raises as it does."""
        raise NotImplementedError(f"{type(self).__name__} does not define equivalent graphs (equivalence_classes)")
