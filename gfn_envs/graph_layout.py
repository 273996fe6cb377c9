"""Layout of states as labeled graphs, for graph networks: sizes, and the nodes or pairs that actions refer to."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy.typing as npt

IntArray = npt.NDArray[Any]


class NodeActions(NamedTuple):
    """Actions on nodes: each node has ``per_node`` logits. Actions beyond those in ``place`` concern the whole graph.

    Attributes:
        per_node: number of logits per node.
        place: position node * per_node + k of the logit of each of the first actions, int64 (at most num_actions,).
    """

    per_node: int
    place: IntArray


class PairActions(NamedTuple):
    """Actions on ordered pairs of nodes, one logit per pair. Actions beyond those in ``place`` concern the whole graph.

    Attributes:
        place: position i * num_nodes + j of the logit of each of the first actions, int64 (at most num_actions,).
    """

    place: IntArray


class GraphLayout(NamedTuple):
    """Sizes of :meth:`gfn_envs.Dag.labelled_graphs`, and the nodes or pairs of nodes of actions.

    Attributes:
        num_nodes: number of nodes of every graph, absent nodes included.
        num_labels: labels of nodes are 0..num_labels - 1; 0 marks an absent node.
        num_relations: relations are 0..num_relations - 1; 0 marks no relation.
        forward: positions of forward actions.
        backward: positions of backward actions.
    """

    num_nodes: int
    num_labels: int
    num_relations: int
    forward: NodeActions | PairActions
    backward: NodeActions | PairActions
