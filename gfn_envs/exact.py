"""Exact quantities on enumerable DAGs: target distribution, terminal distribution of a policy, flows, soft values.

A *policy* in this module is any function from states (n, state_width) to forward probabilities (n, num_actions). Arrays
over objects follow ``dag.terminal_states()``; arrays over states and edges (s,), (e,) follow
:class:`gfn_envs.enumeration.StateGraph`. Every function raises EnumerationError if the DAG has too many states.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gfn_envs import border
from gfn_envs.arrays import FloatArray, IntArray
from gfn_envs.dag import Dag
from gfn_envs.edge_blocks import Block, Countdown, edge_blocks, graph_blocks
from gfn_envs.enumeration import state_graph
from gfn_envs.reward_errors import RewardError

ForwardPolicy = Callable[[IntArray], FloatArray]

#: Largest number whose exp is finite in double precision.
LARGEST_LOG = float(np.log(np.finfo(np.float64).max))

#: States for which a policy is called at a time.
CHUNK = 8192

#: Objects whose rewards are evaluated at a time.
REWARDS = 10_000

#: Sums of products above this number have lost nothing that matters to underflow.
SMALLEST_EXACT = 1e-280


def log_rewards(dag: Dag) -> FloatArray:
    """log R of every object, float64 (num_terminal_states,); -inf if it fails and ``dag.on_error`` is "skip".

    Raises:
        RewardError: a reward fails and ``dag.on_error`` is "raise", or all rewards fail.
    """
    found = _log_rewards(dag, dag.terminal_states())
    if np.isneginf(found).all():
        raise RewardError(
            f"{dag!r}: the rewards of all {len(found):,} objects failed; {border.reward_record(dag).last}"
        )
    return found


def _log_rewards(dag: Dag, objects: IntArray) -> FloatArray:
    """log R of objects, a few at a time: rewards of molecules or trees need far more memory than their rows."""
    found, progress = np.empty(len(objects)), Countdown(dag, "rewards", "objects", len(objects))
    for start in range(0, len(objects), REWARDS):
        found[start : start + REWARDS] = border.log_rewards(dag, objects[start : start + REWARDS])
        progress.report(min(start + REWARDS, len(objects)))
    return np.where(np.isnan(found), -np.inf, found)


def log_partition(dag: Dag) -> float:
    """log Z = log sum_x R(x)."""
    return log_sum_exp(log_rewards(dag))


def target_distribution(dag: Dag) -> FloatArray:
    """R(x) / Z of every object, float64 (num_terminal_states,)."""
    return softmax(log_rewards(dag))


def log_sum_exp(values: FloatArray) -> float:
    """log of the sum of exp(values), for values (n,) of any size, n >= 1; -inf if all are."""
    largest = int(values.argmax())
    top = values[largest]
    if np.isinf(top):
        return float(top)
    others = np.exp(values - top)
    others[largest] = 0.0
    return float(top + np.log1p(others.sum()))


def softmax(values: FloatArray) -> FloatArray:
    """exp(values) / sum, float64 (n,). It sums to 1 however far the values are from 0."""
    weights = np.exp(values - values.max())
    return weights / weights.sum()


def edge_probabilities(dag: Dag, policy: ForwardPolicy, chunk: int = CHUNK) -> FloatArray:
    """P_F of every edge, float64 (e,). The policy is called on ``chunk`` states at a time."""
    return np.concatenate([_probabilities(policy, block) for block in graph_blocks(state_graph(dag), chunk)])


def state_probabilities(dag: Dag, edge_probability: FloatArray) -> FloatArray:
    """u(s), the probability that a trajectory passes through s, float64 (s,), from P_F of every edge (e,).

    u(s0) = 1, u(s') = sum over edges of u(s) P_F(s'|s), in topological order.
    """
    graph = state_graph(dag)
    reach = np.zeros(len(graph.states))
    reach[0] = 1.0
    for start, stop in zip(graph.edge_offsets[:-1], graph.edge_offsets[1:], strict=True):
        edges = slice(start, stop)
        np.add.at(reach, graph.target[edges], reach[graph.source[edges]] * edge_probability[edges])
    return reach


def terminal_distribution(dag: Dag, policy: ForwardPolicy, chunk: int = CHUNK) -> FloatArray:
    """P_T(x), the exact distribution of the objects that a policy samples, float64 (num_terminal_states,).

    Level after level, the probability of each state is passed on to its children. Memory is needed for one float per
    state, and for the states of one level if ``dag.closed_levels`` is defined.
    """
    return _passed_on(dag, policy, chunk, PROBABILITIES)


def log_terminal_distribution(dag: Dag, policy: ForwardPolicy, chunk: int = CHUNK) -> FloatArray:
    """log of :func:`terminal_distribution`, also if probabilities are below double precision (1e-308).

    -inf only if the policy never builds the object. If one probability underflows, all are computed in logs.
    """
    probability = terminal_distribution(dag, policy, chunk)
    with np.errstate(divide="ignore"):
        if probability.min() > SMALLEST_EXACT:
            return np.log(probability)

        def log_policy(states: IntArray) -> FloatArray:
            return np.log(policy(states))

        return _passed_on(dag, log_policy, chunk, LOGS)


class _Arithmetic(NamedTuple):
    """Sum, product, 0 and 1 of probabilities."""

    add: Any
    multiply: Any
    zero: float
    one: float


PROBABILITIES = _Arithmetic(np.add, np.multiply, 0.0, 1.0)
LOGS = _Arithmetic(np.logaddexp, np.add, -np.inf, 0.0)


def _passed_on(dag: Dag, policy: ForwardPolicy, chunk: int, use: _Arithmetic) -> FloatArray:
    """Probability of every object (x,), or its log if the policy returns logs."""
    blocks, terminal = edge_blocks(dag, chunk)
    reach = np.full(dag.num_states, use.zero)
    reach[0] = use.one
    progress = Countdown(dag, "terminal distribution", "states", len(reach))
    for block in blocks:
        probability = _probabilities(policy, block)
        # The states of a block can be on several levels.
        for start, stop in itertools.pairwise(block.cuts):
            arriving = use.multiply(reach[block.source[start:stop]], probability[start:stop])
            use.add.at(reach, block.target[start:stop], arriving)
        progress.report(int(block.source[-1]) + 1)
    return reach[terminal()]


def _probabilities(policy: ForwardPolicy, block: Block) -> FloatArray:
    return np.asarray(policy(block.states))[block.row, block.action].astype(np.float64)


def uniform_log_pb(dag: Dag) -> FloatArray:
    """log P_B of every edge under the uniform backward policy, float64 (e,)."""
    graph = state_graph(dag)
    return dag.uniform_log_pb(graph.states)[graph.target]


def log_flows(dag: Dag, log_pb: FloatArray | None = None) -> FloatArray:
    """log F(s) of every state, float64 (s,): F(x) = R(x), F(s) = sum over edges of F(s') P_B(s|s').

    Args:
        dag: an enumerable DAG.
        log_pb: log P_B of every edge (e,); the uniform backward policy by default.

    Returns:
        The flows consistent with this P_B. ``log_flows(dag)[0]`` is log Z.
    """
    graph = state_graph(dag)
    log_pb = uniform_log_pb(dag) if log_pb is None else log_pb
    flow = np.full(len(graph.states), -np.inf)
    flow[graph.terminal] = _log_rewards(dag, graph.states[graph.terminal])
    for level in range(graph.num_levels - 1, -1, -1):
        edges = slice(graph.edge_offsets[level], graph.edge_offsets[level + 1])
        np.logaddexp.at(flow, graph.source[edges], flow[graph.target[edges]] + log_pb[edges])
    return flow


def optimal_edge_log_probabilities(dag: Dag, log_pb: FloatArray | None = None) -> FloatArray:
    """log P_F of every edge (e,) of the policy that samples x exactly in proportion to R(x).

    P_F(s'|s) = F(s') P_B(s|s') / F(s) with the flows of :func:`log_flows` (Bengio et al. 2023, GFlowNet Foundations).
    """
    graph = state_graph(dag)
    log_pb = uniform_log_pb(dag) if log_pb is None else log_pb
    flow = log_flows(dag, log_pb)
    return flow[graph.target] + log_pb - flow[graph.source]


def soft_edge_rewards(dag: Dag) -> FloatArray:
    """Rewards of ``reward_mode="soft"``, float64 (e,): log P_B(s|s'), plus log R(x) if the edge ends in object x."""
    graph = state_graph(dag)
    reward = uniform_log_pb(dag)
    log_reward = np.zeros(len(graph.states))
    log_reward[graph.terminal] = _log_rewards(dag, graph.states[graph.terminal])
    return reward + log_reward[graph.target]


def soft_values(dag: Dag, edge_reward: FloatArray | None = None, coefficient: float = 1.0) -> FloatArray:
    """V(s) of the optimal maximum-entropy policy at discount 1, float64 (s,); 0 on terminal states.

    Solves the soft Bellman equation V(s) = c logsumexp_a [(r(s, a) + V(s')) / c] backwards through the levels
    (Haarnoja et al. 2017). With the rewards of :func:`soft_edge_rewards` and c = 1, V(s0) = log Z (Tiapkin et al. 2024,
    theorem 1).

    Args:
        dag: an enumerable DAG.
        edge_reward: r of every edge (e,); :func:`soft_edge_rewards` by default.
        coefficient: the entropy coefficient c > 0.

    Raises:
        ValueError: ``coefficient`` is not above 0.
    """
    if not coefficient > 0:
        raise ValueError(f"soft_values: the entropy coefficient must be > 0, got {coefficient}")
    graph = state_graph(dag)
    reward = soft_edge_rewards(dag) if edge_reward is None else edge_reward
    value = np.full(len(graph.states), -np.inf)
    value[graph.terminal] = 0.0
    for level in range(graph.num_levels - 1, -1, -1):
        edges = slice(graph.edge_offsets[level], graph.edge_offsets[level + 1])
        # In units of c, so that logaddexp accumulates the logsumexp over the edges of each state.
        np.logaddexp.at(value, graph.source[edges], (reward[edges] + value[graph.target[edges]]) / coefficient)
        value[np.unique(graph.source[edges])] *= coefficient
    return value


def soft_optimal_policy(dag: Dag, edge_reward: FloatArray | None = None, coefficient: float = 1.0) -> ForwardPolicy:
    """The optimal maximum-entropy policy, pi(a|s) = exp((r(s, a) + V(s') - V(s)) / c); see :func:`soft_values`.

    With the default rewards and c = 1 it samples x in proportion to R(x).
    """
    graph = state_graph(dag)
    reward = soft_edge_rewards(dag) if edge_reward is None else edge_reward
    value = soft_values(dag, reward, coefficient)
    return table_policy(dag, np.exp((reward + value[graph.target] - value[graph.source]) / coefficient))


def table_policy(dag: Dag, edge_probability: FloatArray) -> ForwardPolicy:
    """The policy with P_F of every edge (e,) given."""
    graph = state_graph(dag)
    table = np.zeros((len(graph.states), dag.num_actions))
    table[graph.source, graph.action] = edge_probability
    return lambda states: table[dag.state_index(states)]


def uniform_policy(dag: Dag) -> ForwardPolicy:
    """The policy that chooses among legal actions uniformly."""

    def policy(states: IntArray) -> Any:
        mask = dag.forward_mask(states)
        return mask / np.maximum(mask.sum(1, keepdims=True), 1)

    return policy


# ---------------------------------------------------------------------- distances between distributions


def total_variation(p: FloatArray, q: FloatArray) -> float:
    """1/2 sum |p - q|, in [0, 1]."""
    return float(0.5 * np.abs(p - q).sum())


def l1_mean(p: FloatArray, q: FloatArray) -> float:
    """The mean of |p - q| over objects, which the code of Bengio et al. 2021 prints as L1."""
    return float(np.abs(p - q).mean())


def kl_divergence(p: FloatArray, q: FloatArray, log_q: FloatArray | None = None) -> float:
    """KL(p || q) in nats. It is infinite if q underflows to 0 where p > 0, unless ``log_q`` is given.

    Computed as the sum of p log(p / q) - p + q, which is equal because both sum to 1. No term is negative, so the
    distance of nearly equal distributions keeps its digits.
    """
    some = p != 0
    rest, p, q = float(q[~some].sum()), p[some], q[some]
    with np.errstate(divide="ignore", over="ignore"):
        ratio = (q - p) / p
        log_ratio = (np.log(q) if log_q is None else log_q[some]) - np.log(p)
    # A NaN or an infinite ratio is not near.
    near = np.abs(ratio) < 0.25
    terms = np.where(near, p * _ratio_minus_log(np.where(near, ratio, 0.0)), (q - p) - p * log_ratio)
    return float(terms.sum()) + rest


def _ratio_minus_log(r: FloatArray) -> FloatArray:
    """r - log(1 + r) for abs(r) <= 1/4, without cancellation: log(1 + r) = 2 artanh(s), s = r / (2 + r)."""
    s = r / (2 + r)
    square = s * s
    tail = np.zeros_like(s)
    for k in range(25, 1, -2):
        tail = tail * square + 1.0 / k
    return 2 * square / (1 - s) - 2 * s * square * tail


def jensen_shannon(p: FloatArray, q: FloatArray) -> float:
    """Jensen-Shannon divergence in nats, in [0, log 2].

    With m = (p + q) / 2 and d = (p - q) / (p + q) it is the sum of m (d artanh(d) + log(1 - d^2) / 2). No term is
    negative, so the distance of nearly equal distributions keeps its digits.
    """
    middle = 0.5 * p + 0.5 * q
    some = middle != 0
    p, q, middle = p[some], q[some], middle[some]
    d = 0.5 * (p - q) / middle
    near = np.abs(d) < 0.5
    small = np.where(near, d, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        far = 0.5 * (_times_log(p, p / middle) + _times_log(q, q / middle))
    terms = np.where(near, middle * (small * np.arctanh(small) + 0.5 * np.log1p(-small * small)), far)
    return float(min(terms.sum(), np.log(2.0)))  # Rounding errors can leave the interval.


def _times_log(factor: FloatArray, value: FloatArray) -> FloatArray:
    """factor log(value), 0 where the factor is 0."""
    return np.where(factor == 0, 0.0, factor * np.log(value))
