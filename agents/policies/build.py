"""Build the policy that a config describes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from agents.config import NetworkSettings
from agents.policies.causal_transformer import CausalTransformer
from agents.policies.graph_network import GraphNetwork
from agents.policies.mlp import LEAKY_SLOPE, MLP
from agents.policies.policy import Policy
from agents.policies.relative_edge_flow import RelativeEdgeFlowPolicy
from agents.policies.state_action import StateActionPolicy
from agents.policies.transformer import Transformer
from gfn_envs.arrays import IntArray
from gfn_envs.dag import Dag

#: Features per one from which lists of ones are faster, both forward and backward.
SPARSE = 12


def make_policy(dag: Dag, config: NetworkSettings, backward: bool, flow: bool) -> Policy:
    """A policy sized for ``dag``.

    Args:
        dag: the environment.
        config: ``network`` and its sizes, ``form`` and ``shared``.
        backward: whether to learn P_B.
        flow: whether to learn log F(s).

    Raises:
        ValueError: a transformer for an environment without tokens, or a graph network for states that are not graphs.
    """
    build, inputs, width = _mlp, features_of(dag, config), (config.hidden or (64,))[-1]
    if config.network == "transformer":
        if dag.num_tokens is None:
            raise ValueError(f"network 'transformer' needs tokens, but {dag!r} defines none: use network 'mlp'")
        build, inputs, width = _transformer, dag.tokens, config.width
    elif config.network == "graph":
        if dag.graph_layout is None:
            raise ValueError(f"network 'graph' needs states that are graphs (labelled_graphs), but {dag!r} has none")
        build, inputs, width = _graph_network, dag.labelled_graphs, config.width
    make_network = functools.partial(build, dag, config)
    if config.form == "ssr":
        # An embedding, like a flow, describes the whole state.
        embed = lambda size: make_network([0, 0, size])  # noqa: E731
        return RelativeEdgeFlowPolicy(dag, inputs, embed, width, width, backward, flow, slope_of(config))
    num_backward = dag.num_backward_actions if backward else 0
    return StateActionPolicy(inputs, make_network, dag.num_actions, num_backward, flow, config.shared)


# Networks with the given numbers of outputs (sizes) for forward logits, backward logits and flows.


def _mlp(dag: Dag, config: NetworkSettings, sizes: Sequence[int]) -> nn.Module:
    # In ssr, the embedding replaces the last hidden layer.
    hidden = config.hidden[:-1] if config.form == "ssr" else config.hidden
    return MLP([dag.num_features, *hidden, sum(sizes)], slope_of(config))


def features_of(dag: Dag, config: NetworkSettings) -> Callable[[IntArray], Any]:
    """Input of a multi-layer perceptron: features, or the list of those that are 1 if most are 0."""
    # A subclass that defines encode alone has features of its own, which the lists of its base class do not describe.
    names = next(vars(base) for base in type(dag).__mro__ if {"encode", "active_features"} & vars(base).keys())
    described = "active_features" in names and "encode" not in vars(dag)
    ones = dag.active_features(dag.source(1)) if described and config.form == "sa" and config.hidden else None
    return dag.encode if ones is None or dag.num_features < SPARSE * ones.shape[1] else dag.active_features


def slope_of(config: NetworkSettings) -> float:
    """Slope of the activation at negative inputs."""
    return LEAKY_SLOPE if config.activation == "leaky_relu" else 0.0


def _transformer(dag: Dag, config: NetworkSettings, sizes: Sequence[int]) -> nn.Module:
    num_tokens, num_positions = int(dag.num_tokens or 0), int(dag.num_positions or 0)
    if dag.token_order is not None:
        return CausalTransformer(num_tokens, dag.token_order, sum(sizes), config.width, config.layers, config.heads)
    return Transformer(num_tokens, num_positions, sum(sizes), config.width, config.layers, config.heads)


def _graph_network(dag: Dag, config: NetworkSettings, sizes: Sequence[int]) -> nn.Module:
    layout = dag.graph_layout
    assert layout is not None
    actions = (layout.forward, layout.backward, None)
    readouts = [(size, of_head) for size, of_head in zip(sizes, actions, strict=True) if size]
    return GraphNetwork(layout, readouts, config.width, config.layers, config.heads)
