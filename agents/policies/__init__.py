"""Policy networks: forward logits, backward logits and state flows."""

from agents.policies.causal_transformer import CausalTransformer
from agents.policies.graph_network import GraphNetwork
from agents.policies.mlp import MLP
from agents.policies.policy import Heads, Policy
from agents.policies.relative_edge_flow import RelativeEdgeFlowPolicy
from agents.policies.state_action import StateActionPolicy
from agents.policies.transformer import Transformer

__all__ = [
    "MLP",
    "CausalTransformer",
    "GraphNetwork",
    "Heads",
    "Policy",
    "RelativeEdgeFlowPolicy",
    "StateActionPolicy",
    "Transformer",
]
