"""Rollouts over tables, log-probabilities and flows of trajectories, and their gradient; compiled by Numba.

A network is ``weights`` and ``biases``, one per layer: (in, out) except for the last, which is (out, in), as
:class:`agents.policies.mlp.MLP` stores them; ReLU follows each layer except the last. Its outputs are the forward
logits, ``num_backward`` backward logits and, if there is a flow head, log F.

``packed`` (s,) holds the states of a batch of trajectories, concatenated, as indices into ``dag.levels()``;
trajectory i is ``offsets[i]:offsets[i + 1]``, and its edge ``j - i`` leaves ``packed[j]``.

Indices are not checked here; :mod:`agents.engines.numba.engine` checks its inputs. All in one file, because Numba
caches compiled code until the file of the outermost function changes.
"""

from __future__ import annotations

import numpy as np

from agents.jit import compiled

#: Products of at most this many rows are summed here, without the zeros of ReLU: 2 to 9 times as fast as OpenBLAS.
FEW_ROWS = 16

#: States that the network evaluates at a time.
ROWS = 1024
#: Distinct states of a rollout whose hidden layers are kept for the gradient.
KEPT = 2**14
#: Status of a rollout, other than a state.
OK, TOO_LONG = -1, -2
#: An integer of known type. Numba compiles a function again for each constant that it is called with.
ZERO = np.int64(0)


@compiled
def multiply(x, y, out):
    """``out = x @ y``. A function of its own, because the checks of :func:`numpy.dot` are compiled for each call."""
    np.dot(x, y, out)


@compiled
def product(x, weight, out):
    """``out = x @ weight``, where about half of ``x`` is 0."""
    if len(x) > FEW_ROWS:
        multiply(x, weight, out)
        return
    for i in range(len(x)):
        out[i] = 0
        for k in range(x.shape[1]):
            value = x[i, k]
            if value != 0:
                for j in range(weight.shape[1]):
                    out[i, j] += value * weight[k, j]


@compiled
def rows_of(matrix, rows):
    """``matrix[rows]``, without a copy if the rows follow each other."""
    first, k = rows[0], len(rows)
    if rows[k - 1] - first == k - 1:
        follow = True
        for i in range(k):
            follow &= rows[i] == first + i
        if follow:
            return matrix[first : first + k]
    found = np.empty((k, matrix.shape[1]), matrix.dtype)
    for i in range(k):
        for j in range(matrix.shape[1]):
            found[i, j] = matrix[rows[i], j]
    return found


@compiled
def first_layer(tables, states, weight, bias, out):
    """The first hidden layer of ``states``, from the weight rows of their nonzero features.

    Without columns in ``tables.feature``, ``tables.value`` holds all features.
    """
    width = weight.shape[1]
    if tables.feature.shape[1] == 0:
        multiply(rows_of(tables.value, states), weight, out)
        add_bias_and_rectify(out, bias)
        return
    for i in range(len(states)):
        s = states[i]
        for j in range(width):
            out[i, j] = bias[j]
        for k in range(tables.feature.shape[1]):
            value, row = tables.value[s, k], tables.feature[s, k]
            if value != 0:
                for j in range(width):
                    out[i, j] += value * weight[row, j]
        for j in range(width):
            out[i, j] = max(out[i, j], np.float32(0))


@compiled
def add_bias_and_rectify(x, bias):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            x[i, j] = max(x[i, j] + bias[j], np.float32(0))


@compiled
def layer(weights, memory, i):
    """Hidden layer ``i`` (rows, width). ``memory`` holds one layer after another, of as many rows as there is room."""
    units, before = 0, 0
    for j in range(len(weights) - 1):
        before += weights[j].shape[1] if j < i else 0
        units += weights[j].shape[1]
    rows, width = len(memory) // units, weights[i].shape[1]
    return memory[rows * before : rows * (before + width)].reshape(rows, width)


@compiled
def copy_rows(source, target, n):
    """The first ``n`` rows. Assignments of slices compile slowly, because of their messages about shapes."""
    for i in range(n):
        for j in range(source.shape[1]):
            target[i, j] = source[i, j]


@compiled
def room(weights, memory, used, needed):
    """``memory`` with its ``used`` rows per layer if it has ``needed`` rows, else a copy with at least that many."""
    units, capacity = 0, len(layer(weights, memory, ZERO))
    if needed <= capacity:
        return memory
    for i in range(len(weights) - 1):
        units += weights[i].shape[1]
    grown = np.empty(max(needed, 2 * capacity) * units, np.float32)
    for i in range(len(weights) - 1):
        copy_rows(layer(weights, memory, i), layer(weights, grown, i), used)
    return grown


@compiled
def fill(tables, weights, biases, memory, states, first, last):
    """Hidden layers of ``states[first:last]``, in these rows of the layers in ``memory``."""
    for begin in range(first, last, ROWS):
        end = min(begin + ROWS, last)
        above = layer(weights, memory, ZERO)[begin:end]
        first_layer(tables, states[begin:end], weights[0], biases[0], above)
        for i in range(1, len(weights) - 1):
            below, above = above, layer(weights, memory, i)[begin:end]
            product(below, weights[i], above)
            add_bias_and_rectify(above, biases[i])


@compiled
def draw(logits, bias, child, u, temperature):
    """The legal action at which the cumulative softmax passes ``u``; -1 if logits are NaN or infinite."""
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
def has_other_than_last(child):
    """Whether an action other than the last is legal."""
    found = False
    for a in range(len(child) - 1):
        found |= child[a] >= 0
    return found


@compiled
def draw_uniform(child, u):
    """A uniformly random legal action."""
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
    """Trajectory-major ``(packed, actions, backward_actions, offsets)`` from time-major states and actions."""
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
def sample(tables, weights, biases, head, u, explore, epsilon, temperature, stops, place, memory):
    """Sample trajectories from state 0, of at most ``len(u)`` steps. The network evaluates each distinct state once.

    Args:
        tables: see :class:`agents.engines.numba.tables.Tables`.
        weights, biases: the network; ``head``: its last weights for the forward logits, (in, num_actions).
        u: uniform numbers that choose the actions, float32 (max_length, n).
        explore: uniform numbers, float32 (max_length, n): below ``epsilon``, the action is uniform.
        stops: step, from 1, at which each trajectory may take the last action, stop, at the earliest (n,).
        place: scratch, -1 for every state of the DAG before and after; int32.
        memory: scratch for hidden layers, flat float32, of any size; replaced if it is too small.

    Returns:
        ``(packed, actions, backward_actions, offsets, bad, kept, memory)``: ``bad`` is a state with NaN or infinite
        logits, :data:`TOO_LONG` if a trajectory is longer than ``max_length``, else :data:`OK`; ``kept`` are the
        distinct states that the network evaluated, whose hidden layers are in ``memory``: all of them, or none.
    """
    n, hidden = u.shape[1], len(weights) - 1
    cap = max(n, KEPT)
    seen, k, whole = np.empty(cap, np.int32), ZERO, True
    memory = room(weights, memory, ZERO, min(n, ROWS))
    states = np.zeros((len(u) + 1, n), np.int32)
    actions, lengths = np.zeros((len(u), n), np.int32), np.zeros(n, np.int64)
    rows, current, left = np.arange(n), np.zeros(n, np.int32), n
    logits = np.empty((min(n, ROWS), head.shape[1]), np.float32)
    t, bad = 0, OK
    while left > 0 and t < len(u) and bad == OK:
        if k + left > cap:  # Forget, rather than take ever more memory.
            for i in range(k):
                place[seen[i]] = -1
            k, whole = ZERO, False
        old = k
        for i in range(left):
            s = current[i]
            if place[s] < 0:
                place[s], seen[k] = k, s
                k += 1
        memory = room(weights, memory, old, k)
        fill(tables, weights, biases, memory, seen, old, k)
        if k > len(logits):
            grown = np.empty((max(k, 2 * len(logits)), head.shape[1]), np.float32)
            copy_rows(logits, grown, old)
            logits = grown
        multiply(layer(weights, memory, hidden - 1)[old:k], head, logits[old:k])
        going = 0
        for i in range(left):
            s, row = int(current[i]), rows[i]
            child = tables.child[s]
            if stops[row] > t + 1 and has_other_than_last(child):
                child = child[:-1]
            if explore[t, row] < epsilon:
                action = draw_uniform(child, u[t, row])
            else:
                action = draw(logits[place[s]], biases[hidden], child, u[t, row], temperature)
            if action < 0:
                bad = s
                break
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
    for i in range(k):
        place[seen[i]] = -1
    if left > 0 and bad == OK:
        bad = TOO_LONG
    if not whole:
        k = ZERO
    packed, forward, backward, offsets = pack(tables, states, actions, lengths)
    return packed, forward, backward, offsets, bad, seen[:k], memory


@compiled
def act(tables, weights, biases, head, memory, used, rows, u, explore, epsilon, temperature):
    """Actions of trajectories in states that no table lists.

    Args:
        tables: the features of m states, and ``child`` >= 0 for the legal actions of n trajectories.
        weights, biases: the network; ``head``: its last weights for the forward logits, (in, num_actions).
        memory: hidden layers; rows ``used`` to ``used + m - 1`` are written.
        rows: the state of each trajectory (n,).
        u, explore: uniform numbers (n,); below ``epsilon``, the action is uniform.

    Returns:
        Actions (n,), -1 without a legal action or for NaN or infinite logits.
    """
    k, hidden = len(tables.value), len(weights) - 1
    fill(tables, weights, biases, memory, np.arange(-used, k), used, used + k)
    logits = np.empty((k, head.shape[1]), np.float32)
    multiply(layer(weights, memory, hidden - 1)[used : used + k], head, logits)
    actions = np.empty(len(rows), np.int64)
    for i in range(len(rows)):
        if explore[i] < epsilon:
            actions[i] = draw_uniform(tables.child[i], u[i])
        else:
            actions[i] = draw(logits[rows[i]], biases[hidden], tables.child[i], u[i], temperature)
    return actions


@compiled
def normalize(scores, legal):
    """Subtract the logsumexp of the legal scores, in place. No change if none is legal."""
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
def distinct(tables, num_backward, packed, place, kept):
    """The distinct states of a batch that the network evaluates; terminal ones only if P_B has a choice there.

    Args:
        place: scratch, -1 for every state of the DAG before and after; int32.
        kept: states that come first; all are in the batch.

    Returns:
        ``(shown, row)``: these states (k,), and the index of each packed state among them, else -1 (s,).
    """
    row, shown, k = np.empty(len(packed), np.int64), np.empty(len(packed), np.int32), len(kept)
    for i in range(k):
        shown[i], place[kept[i]] = kept[i], i
    for i in range(len(packed)):
        s = packed[i]
        row[i] = -1
        if not tables.ends[s] or (num_backward > 0 and tables.num_parents[s] > 1):
            if place[s] < 0:
                place[s] = k
                shown[k] = s
                k += 1
            row[i] = place[s]
    for i in range(k):
        place[shown[i]] = -1
    return shown[:k], row


@compiled
def outputs_of(tables, weights, biases, num_backward, memory, shown):
    """Outputs of the network (k, outputs), with log-probabilities in place of logits.

    Args:
        memory: the hidden layers of the states ``shown`` (k,).
    """
    num_actions = tables.child.shape[1]
    outputs = np.empty((len(shown), len(weights[-1])), np.float32)
    multiply(layer(weights, memory, len(weights) - 2)[: len(shown)], weights[-1].T, outputs)
    for i in range(len(shown)):
        for a in range(outputs.shape[1]):
            outputs[i, a] += biases[-1][a]
        normalize(outputs[i, :num_actions], tables.child[shown[i]] >= 0)
        if num_backward > 0:
            normalize(outputs[i, num_actions : num_actions + num_backward], tables.backward_mask[shown[i]])
    return outputs


@compiled
def read(tables, num_backward, has_flow, packed, actions, backward_actions, offsets, log_reward, row, outputs):
    """Log-probabilities of edges and log flows of states: log R at terminal ones. P_B is uniform without logits.

    Returns:
        ``(log_pf, log_pb, log_flow)``: of edges (e,), (e,) and, with a flow head, of states (s,).
    """
    num_actions = tables.child.shape[1]
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
    return log_pf, log_pb, log_flow


@compiled
def output_gradient(
    tables, num_backward, has_flow, packed, actions, backward_actions, offsets, shown, row, outputs, d_log_probs
):
    """Gradient with respect to the network's outputs, (k, outputs)."""
    d_log_pf, d_log_pb, d_log_flow = d_log_probs
    num_actions = tables.child.shape[1]
    gradient = np.zeros_like(outputs)
    forward, backward = np.zeros(len(shown), np.float32), np.zeros(len(shown), np.float32)
    for i in range(len(offsets) - 1):
        for j in range(offsets[i], offsets[i + 1] - 1):
            edge, source, target = j - i, row[j], row[j + 1]
            gradient[source, actions[edge]] += d_log_pf[edge]
            forward[source] += d_log_pf[edge]
            if num_backward > 0 and tables.num_parents[packed[j + 1]] > 1:
                gradient[target, num_actions + backward_actions[edge]] += d_log_pb[edge]
                backward[target] += d_log_pb[edge]
            if has_flow:
                gradient[source, num_actions + num_backward] += d_log_flow[j]
            elif len(d_log_flow):  # log F contains -log P_F(stop|s), and stopping is the last action.
                gradient[source, num_actions - 1] -= d_log_flow[j]
                forward[source] -= d_log_flow[j]
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
def rectified(gradient, layer, grad_bias):
    """Gradient before ReLU, in place. Its sum over rows is added to ``grad_bias``."""
    for i in range(gradient.shape[0]):
        for j in range(gradient.shape[1]):
            gradient[i, j] = gradient[i, j] if layer[i, j] > 0 else np.float32(0)
            grad_bias[j] += gradient[i, j]


@compiled
def differentiate(tables, weights, memory, shown, below, work, other, grad_weights, grad_biases):
    """Gradients of weights and biases.

    Args:
        memory: the hidden layers of the states ``shown`` (k,).
        below: gradient with respect to the network's outputs, (k, outputs).
        work, other: scratch for gradients of hidden layers, flat float32: the states times the largest width.
        grad_weights, grad_biases: outputs.
    """
    for grad_bias in grad_biases:
        for j in range(len(grad_bias)):
            grad_bias[j] = 0
    for i in range(below.shape[0]):
        for a in range(below.shape[1]):
            grad_biases[-1][a] += below[i, a]
    hidden = layer(weights, memory, len(weights) - 2)[: len(shown)]
    multiply(below.T, hidden, grad_weights[-1])
    above = below
    below = work[: hidden.size].reshape(hidden.shape)
    multiply(above, weights[-1], below)
    for i in range(len(weights) - 2, 0, -1):
        rectified(below, hidden, grad_biases[i])
        hidden = layer(weights, memory, i - 1)[: len(shown)]
        multiply(hidden.T, below, grad_weights[i])
        above = below
        below = other[: hidden.size].reshape(hidden.shape)
        multiply(above, weights[i].T, below)
        work, other = other, work
    rectified(below, hidden, grad_biases[0])
    if tables.feature.shape[1] == 0:
        multiply(rows_of(tables.value, shown).T, below, grad_weights[0])
        return
    for i in range(grad_weights[0].shape[0]):
        for j in range(grad_weights[0].shape[1]):
            grad_weights[0][i, j] = 0
    for i in range(len(shown)):
        for k in range(tables.feature.shape[1]):
            value, feature = tables.value[shown[i], k], tables.feature[shown[i], k]
            if value != 0:
                for j in range(below.shape[1]):
                    grad_weights[0][feature, j] += value * below[i, j]
