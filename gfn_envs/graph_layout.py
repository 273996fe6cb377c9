"""What a graph network has to know of an environment whose states are labelled graphs: sizes, and where actions are."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy.typing as npt

IntArray = npt.NDArray[Any]


class NodeActions(NamedTuple):
    """Actions on nodes: each node has ``per_node`` logits. Actions beyond ``place`` are of the graph as a whole.

    Attributes:
        per_node: logits of a node.
        place: node * per_node + k of the first actions, int64 (len <= number of actions,).
    """

    per_node: int
    place: IntArray


class PairActions(NamedTuple):
    """Actions on ordered pairs of nodes: each has one logit. Actions beyond ``place`` are of the graph as a whole.

    Attributes:
        place: i * num_nodes + j of the first actions, int64 (len <= number of actions,).
    """

    place: IntArray


class GraphLayout(NamedTuple):
    """Sizes of :meth:`gfn_envs.Dag.labelled_graphs`, and which nodes or pairs of nodes actions are about.

    Attributes:
        num_nodes: of every graph, absent ones included.
        num_labels: labels of nodes are 0..num_labels - 1, 0 where a node is absent.
        num_relations: relations are 0..num_relations - 1, 0 where there is none.
        forward: where forward actions are.
        backward: where backward actions are.
    """

    num_nodes: int
    num_labels: int
    num_relations: int
    forward: NodeActions | PairActions
    backward: NodeActions | PairActions
