"""Log-probabilities and flows of packed trajectories, and their gradient, compiled.

``packed`` (s,) are the states of a batch of trajectories one after another, as positions in ``dag.levels()``;
trajectory i is ``offsets[i]:offsets[i + 1]``, and its edge ``j - i`` leaves ``packed[j]``.
"""

from __future__ import annotations

import numpy as np

from agents.compiled.network import add_bias_and_rectify, compiled, first_layer, hidden_layers, product, width_of_hidden


@compiled
def normalise(scores, legal):
    """Subtract log sum exp of the legal scores; nothing where none is legal."""
    largest = np.float32(-np.inf)
    for a in range(len(legal)):
        if legal[a]:
            largest = max(largest, scores[a])
    total = np.float32(0)
    for a in range(len(legal)):
        if legal[a]:
            total += np.exp(scores[a] - largest)
    if total != 0:
        shift = largest + np.log(total)
        for a in range(len(legal)):
            scores[a] -= shift


@compiled
def distinct(tables, num_backward, packed, place):
    """The states of a batch that the network is shown, each once; terminal ones only where P_B has a choice there.

    Args:
        place: scratch, -1 for every state of the DAG, and left so; int32.

    Returns:
        ``(shown, row)``: these states (k,), and which of them each packed state is, -1 for those not shown (s,).
    """
    row, shown, k = np.empty(len(packed), np.int64), np.empty(len(packed), np.int64), 0
    for i in range(len(packed)):
        s = packed[i]
        row[i] = -1
        if not tables.ends[s] or (num_backward > 0 and tables.num_parents[s] > 1):
            if place[s] < 0:
                place[s] = k
                shown[k] = s
                k += 1
            row[i] = place[s]
    for s in shown[:k]:
        place[s] = -1
    return shown[:k], row


@compiled
def evaluate(
    tables,
    weights,
    biases,
    num_backward,
    has_flow,
    packed,
    actions,
    backward_actions,
    offsets,
    log_reward,
    place,
):
    """Log-probabilities of edges and log flows of states: log R at terminal ones; P_B is uniform without logits.

    Args:
        place: scratch, see :func:`distinct`.

    Returns:
        ``(log_pf, log_pb, log_flow, shown, row, memory, outputs)``: of edges (e,), (e,) and, with a flow head, of
        states (s,); then what :func:`differentiate` needs.
    """
    num_actions = tables.child.shape[1]
    shown, row = distinct(tables, num_backward, packed, place)
    memory = np.empty(len(shown) * width_of_hidden(weights), np.float32)
    layers = hidden_layers(weights, memory, len(shown))
    first_layer(tables, shown, weights[0], biases[0], layers[0])
    for i in range(1, len(layers)):
        product(layers[i - 1], weights[i], layers[i])
        add_bias_and_rectify(layers[i], biases[i])
    outputs = np.empty((len(shown), len(weights[-1])), np.float32)
    np.dot(layers[-1], weights[-1].T, outputs)
    for i in range(len(shown)):
        for a in range(outputs.shape[1]):
            outputs[i, a] += biases[-1][a]
        normalise(outputs[i, :num_actions], tables.child[shown[i]] >= 0)
        if num_backward > 0:
            normalise(outputs[i, num_actions : num_actions + num_backward], tables.backward_mask[shown[i]])

    log_pf, log_pb = np.empty(len(actions), np.float32), np.zeros(len(actions), np.float32)
    log_flow = np.empty(len(packed) if has_flow else 0, np.float32)
    for i in range(len(offsets) - 1):
        for j in range(offsets[i], offsets[i + 1] - 1):
            edge, parents = j - i, tables.num_parents[packed[j + 1]]
            log_pf[edge] = outputs[row[j], actions[edge]]
            if parents > 1 and num_backward > 0:
                log_pb[edge] = outputs[row[j + 1], num_actions + backward_actions[edge]]
            elif parents > 1:
                log_pb[edge] = -np.log(parents)
            if has_flow:
                log_flow[j] = outputs[row[j], num_actions + num_backward]
        if has_flow:
            log_flow[offsets[i + 1] - 1] = log_reward[i]
    return log_pf, log_pb, log_flow, shown, row, memory, outputs


@compiled
def of_outputs(
    tables, num_backward, has_flow, packed, actions, backward_actions, offsets, shown, row, outputs, of_terms
):
    """Gradient with respect to the network's outputs, (k, outputs)."""
    of_log_pf, of_log_pb, of_log_flow = of_terms
    num_actions = tables.child.shape[1]
    gradient = np.zeros_like(outputs)
    forward, backward = np.zeros(len(shown), np.float32), np.zeros(len(shown), np.float32)
    for i in range(len(offsets) - 1):
        for j in range(offsets[i], offsets[i + 1] - 1):
            edge, source, target = j - i, row[j], row[j + 1]
            gradient[source, actions[edge]] += of_log_pf[edge]
            forward[source] += of_log_pf[edge]
            if num_backward > 0 and tables.num_parents[packed[j + 1]] > 1:
                gradient[target, num_actions + backward_actions[edge]] += of_log_pb[edge]
                backward[target] += of_log_pb[edge]
            if has_flow:
                gradient[source, num_actions + num_backward] += of_log_flow[j]
    # d log softmax_a / d logit_b = [a = b] - softmax_b, over legal actions.
    for i in range(len(shown)):
        s = shown[i]
        for a in range(num_actions):
            if tables.child[s, a] >= 0:
                gradient[i, a] -= forward[i] * np.exp(outputs[i, a])
        for b in range(num_backward):
            if tables.backward_mask[s, b]:
                gradient[i, num_actions + b] -= backward[i] * np.exp(outputs[i, num_actions + b])
    return gradient


@compiled
def rectified(gradient, layer, of_bias):
    """The gradient before ReLU, in place; its sum over rows is added to ``of_bias``."""
    for i in range(gradient.shape[0]):
        for j in range(gradient.shape[1]):
            gradient[i, j] = gradient[i, j] if layer[i, j] > 0 else np.float32(0)
            of_bias[j] += gradient[i, j]


@compiled
def differentiate(
    tables,
    weights,
    num_backward,
    has_flow,
    packed,
    actions,
    backward_actions,
    offsets,
    shown,
    row,
    memory,
    outputs,
    of_terms,
    of_weights,
    of_biases,
):
    """Gradients of weights and biases, from those of log P_F, log P_B and log F.

    Args:
        of_terms: these three, float32.
        of_weights, of_biases: where the gradients are written.
    """
    below = of_outputs(
        tables, num_backward, has_flow, packed, actions, backward_actions, offsets, shown, row, outputs, of_terms
    )
    layers = hidden_layers(weights, memory, len(shown))
    for of_bias in of_biases:
        of_bias[:] = 0
    for i in range(below.shape[0]):
        for a in range(below.shape[1]):
            of_biases[-1][a] += below[i, a]
    np.dot(below.T, layers[-1], of_weights[-1])
    above = below
    below = np.empty_like(layers[-1])
    np.dot(above, weights[-1], below)
    for i in range(len(layers) - 1, 0, -1):
        rectified(below, layers[i], of_biases[i])
        np.dot(layers[i - 1].T, below, of_weights[i])
        above = below
        below = np.empty_like(layers[i - 1])
        np.dot(above, weights[i].T, below)
    rectified(below, layers[0], of_biases[0])
    of_weights[0][:] = 0
    for i in range(len(shown)):
        for k in range(tables.feature.shape[1]):
            value, feature = tables.value[shown[i], k], tables.feature[shown[i], k]
            if value != 0:
                for j in range(below.shape[1]):
                    of_weights[0][feature, j] += value * below[i, j]
