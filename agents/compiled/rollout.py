"""Rollouts of the forward policy over tables, compiled."""

from __future__ import annotations

import numpy as np

from agents.compiled.network import add_bias_and_rectify, compiled, first_layer, hidden_layers, product, width_of_hidden

#: States that are shown to the network at a time.
ROWS = 1024
#: What a rollout ended in that is no state.
WELL, LONGER = -1, -2


@compiled
def draw(logits, bias, child, u, temperature):
    """The legal action at which the cumulative softmax passes ``u``; -1 where the logits are no numbers."""
    largest = np.float32(-np.inf)
    for a in range(len(child)):
        if child[a] >= 0:
            largest = max(largest, logits[a] + bias[a])
    total = np.float32(0)
    for a in range(len(child)):
        if child[a] >= 0:
            total += np.exp((logits[a] + bias[a] - largest) / temperature)
    if not np.isfinite(total):
        return -1
    chosen, reached = -1, np.float32(0)
    for a in range(len(child)):
        if child[a] >= 0:
            weight = np.exp((logits[a] + bias[a] - largest) / temperature)
            reached += weight
            if weight > 0:
                chosen = a
                if reached > u * total:
                    break
    return chosen


@compiled
def draw_uniform(child, u):
    """A legal action, all alike."""
    legal = 0
    for a in range(len(child)):
        legal += child[a] >= 0
    left, chosen = int(u * legal), -1
    for a in range(len(child)):
        if child[a] >= 0:
            chosen = a
            if left == 0:
                break
            left -= 1
    return chosen


@compiled
def pack(tables, states, actions, lengths):
    """Time-major states and actions made trajectory-major: ``(packed, actions, backward_actions, offsets)``."""
    n = len(lengths)
    offsets = np.zeros(n + 1, np.int64)
    for i in range(n):
        offsets[i + 1] = offsets[i] + lengths[i] + 1
    packed = np.empty(offsets[n], np.int64)
    forward, backward = np.empty(offsets[n] - n, np.int64), np.empty(offsets[n] - n, np.int64)
    for i in range(n):
        for t in range(lengths[i]):
            s, action = states[t, i], actions[t, i]
            packed[offsets[i] + t] = s
            forward[offsets[i] + t - i] = action
            backward[offsets[i] + t - i] = tables.backward_action[s, action]
        packed[offsets[i + 1] - 1] = states[lengths[i], i]
    return packed, forward, backward, offsets


@compiled
def sample(tables, weights, biases, u, explore, epsilon, temperature):
    """Trajectories from state 0, which end within ``len(u)`` steps.

    Args:
        tables: see :class:`agents.compiled.tables.Tables`.
        weights, biases: the network.
        u: uniform numbers that choose the actions, float32 (max_length, n).
        explore: uniform numbers, float32 (max_length, n): below ``epsilon``, the action is uniform.

    Returns:
        ``(packed, actions, backward_actions, offsets, bad)``, int64; ``bad`` is a state whose logits are no numbers,
        :data:`LONGER` where a trajectory goes on, and :data:`WELL` where all went well.
    """
    n, hidden = u.shape[1], len(weights) - 1
    most = min(n, ROWS)
    layers = hidden_layers(weights, np.empty(most * width_of_hidden(weights), np.float32), most)
    head = np.ascontiguousarray(weights[hidden][: tables.child.shape[1]].T)
    states = np.zeros((len(u) + 1, n), np.int32)
    actions, lengths = np.zeros((len(u), n), np.int32), np.zeros(n, np.int64)
    rows, current, left = np.arange(n), np.zeros(n, np.int32), n
    logits = np.empty((n, head.shape[1]), np.float32)
    t = 0
    while left > 0 and t < len(u):
        shown = left if t > 0 else 1  # All begin in s0.
        for first in range(0, shown, ROWS):
            m = min(ROWS, shown - first)
            first_layer(tables, current[first : first + m], weights[0], biases[0], layers[0])
            for i in range(1, hidden):
                product(layers[i - 1][:m], weights[i], layers[i][:m])
                add_bias_and_rectify(layers[i][:m], biases[i])
            np.dot(layers[hidden - 1][:m], head, logits[first : first + m])
        going = 0
        for i in range(left):
            s, row = int(current[i]), rows[i]
            if explore[t, row] < epsilon:
                action = draw_uniform(tables.child[s], u[t, row])
            else:
                action = draw(logits[min(i, shown - 1)], biases[hidden], tables.child[s], u[t, row], temperature)
            if action < 0:
                return *pack(tables, states, actions, lengths), s
            actions[t, row] = action
            s = tables.child[s, action]
            states[t + 1, row] = s
            if tables.ends[s]:
                lengths[row] = t + 1
            else:
                rows[going], current[going] = row, s
                going += 1
        left = going
        t += 1
    ended = WELL
    if left > 0:
        ended = LONGER
    return *pack(tables, states, actions, lengths), ended
