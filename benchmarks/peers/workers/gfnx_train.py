"""gfnx: an objective on its HyperGrid (easy reward) or on strings, as in its own baselines, without metrics.

Task: env ("HyperGrid", with ndim and side; "TFBind8" or "QM9Str", with construction, "append" or "prepend_append", and
rewards, a .npy file: R of every string in alphabetical order), batch, hidden, lr, lr_log_z, epsilon, seed, objective
("tb", "db" or "subtb"), lamda (for subtb). Optional: betas of Adam, muon (true: optax's Muon for the network), weights
(a file that weights.py reads) and threads.
Rates and epsilon are numbers, or [start, end, iterations] for a linear schedule.

A request {"iterations": n} trains n iterations inside one compiled scan, the fastest way in gfnx; it is compiled again
if n changes. "exact": true also evaluates the policy on every cell (HyperGrid).
"""

import functools
import time

import equinox as eqx
import gfnx
import gfnx_strings
import jax
import jax.numpy as jnp
import numpy as np
import optax
from gfnx.reward import EasyHypergridRewardModule
from grid import cells, terminal_distribution
from protocol import serve, settings
from weights import layers

task = settings(__doc__)
if task.env == "HyperGrid":
    env = gfnx.HypergridEnvironment(EasyHypergridRewardModule(), dim=task.ndim, side=task.side)
    num_features, features = task.ndim * task.side, lambda observation: observation
else:
    env, num_features, features = gfnx_strings.make(task.env, task.construction, task.rewards)
env_params = env.init(jax.random.PRNGKey(0))
num_forward, num_backward = env.action_space.n, env.backward_action_space.n
width, depth = task.hidden[0], len(task.hidden)
num_flows = 0 if task.objective == "tb" else 1
network = eqx.nn.MLP(
    num_features, num_forward + num_backward + num_flows, width, depth, key=jax.random.PRNGKey(task.seed + 1)
)
if weights := getattr(task, "weights", None):
    for i, (weight, bias) in enumerate(layers(weights)):
        own = network.layers[i]
        own = eqx.tree_at(lambda x: x.weight, own, own.weight.at[: weight.shape[1]].set(weight.T))
        own = eqx.tree_at(lambda x: x.bias, own, own.bias.at[: len(bias)].set(bias))
        network = eqx.tree_at(lambda x, i=i: x.layers[i], network, own)
parameters, static = eqx.partition(network, eqx.is_array)


def schedule(value):
    return optax.linear_schedule(*value) if isinstance(value, list) else optax.constant_schedule(value)


epsilon, betas = schedule(task.epsilon), getattr(task, "betas", (0.9, 0.999))
if getattr(task, "muon", False):  # Steps of the size of Adam's, as ours.
    of_network = optax.contrib.muon(schedule(task.lr), adam_b1=betas[0], adam_b2=betas[1], consistent_rms=0.2)
else:
    of_network = optax.adam(schedule(task.lr), *betas)
optimizer = optax.multi_transform(
    {"network": of_network, "log_z": optax.adam(schedule(task.lr_log_z), *betas)},
    {"network": "network", "log_z": "log_z"},
)


def heads(model, observation):
    """Forward and backward logits of one observation, and log F (0 if it is not learned)."""
    out = model(features(observation))
    return out[:num_forward], out[num_forward : num_forward + num_backward], out[num_forward + num_backward :].sum()


def behavior(key, observations, policy):
    """The forward policy, which is uniform with probability epsilon per row."""
    parameters, epsilon = policy
    model = eqx.combine(parameters, static)
    forward, backward, _ = jax.vmap(lambda x: heads(model, x))(observations)
    _, explore_key = jax.random.split(key)
    explore = jax.random.bernoulli(explore_key, epsilon, (forward.shape[0],))
    forward = jnp.where(explore[:, None], 0, forward)
    return forward, {"forward_logits": forward, "backward_logits": backward}


def chosen_log_probability(logits, invalid, action):
    log_probability = jax.nn.log_softmax(gfnx.utils.mask_logits(logits, invalid), -1)
    return jnp.take_along_axis(log_probability, action[..., None], -1).squeeze(-1)


def evaluate(model, trajectories):
    """log P_F and log P_B of padded edges, (batch, steps), and log F of the states, (batch, steps + 1)."""
    forward, backward, log_flow = jax.vmap(jax.vmap(lambda x: heads(model, x)))(trajectories.obs)
    invalid = jax.vmap(env.get_invalid_mask, in_axes=(1, None), out_axes=1)(trajectories.state, env_params)
    log_pf = chosen_log_probability(forward, invalid, trajectories.action)[:, :-1]

    before = jax.tree.map(lambda x: x[:, :-1], trajectories.state)
    after = jax.tree.map(lambda x: x[:, 1:], trajectories.state)
    backward_action = jax.vmap(env.get_backward_action, in_axes=(1, 1, 1, None), out_axes=1)(
        before, trajectories.action[:, :-1], after, env_params
    )
    invalid = jax.vmap(env.get_invalid_backward_mask, in_axes=(1, None), out_axes=1)(after, env_params)
    log_pb = chosen_log_probability(backward[:, 1:], invalid, backward_action)
    pad = trajectories.pad[:, :-1]
    return jnp.where(pad, 0.0, log_pf), jnp.where(pad, 0.0, log_pb), jnp.where(trajectories.pad, 0.0, log_flow)


def tb_loss(trainable, trajectories):
    """Mean squared residual over trajectories."""
    log_pf, log_pb, _ = evaluate(eqx.combine(trainable["network"], static), trajectories)
    log_reward = jnp.where(trajectories.pad, 0.0, trajectories.log_gfn_reward)[:, :-1]
    return jnp.mean((log_pf.sum(1) + trainable["log_z"] - (log_pb + log_reward).sum(1)) ** 2)


def db_loss(trainable, trajectories):
    """Mean squared residual over transitions, including padding. The network evaluates both ends of each."""
    model = eqx.combine(trainable["network"], static)
    batch = gfnx.utils.split_traj_to_transitions(trajectories)
    backward_action = env.get_backward_action(batch.state, batch.action, batch.next_state, env_params)
    forward, _, log_flow = jax.vmap(lambda x: heads(model, x))(batch.obs)
    log_pf = chosen_log_probability(forward, env.get_invalid_mask(batch.state, env_params), batch.action)
    _, backward, next_log_flow = jax.vmap(lambda x: heads(model, x))(batch.next_obs)
    invalid = env.get_invalid_backward_mask(batch.next_state, env_params)
    log_pb = chosen_log_probability(backward, invalid, backward_action)
    target = jnp.where(batch.done, batch.log_gfn_reward, log_pb + next_log_flow)
    return jnp.mean(jnp.where(batch.pad, 0.0, log_pf + log_flow - target) ** 2) / 2


def subtb_loss(trainable, trajectories):
    """Weighted squared residuals of all pairs of steps, including padding. Each pair sums its edges separately."""
    log_pf, log_pb, log_flow = evaluate(eqx.combine(trainable["network"], static), trajectories)
    done, pad = trajectories.done[:, :-1], trajectories.pad[:, :-1]
    log_pb += jnp.where(pad, 0.0, trajectories.log_gfn_reward[:, :-1])
    steps = jnp.arange(log_pf.shape[1])
    first, last = jnp.triu_indices(len(steps) + 1, k=1)

    def trajectory(log_pf, log_pb, log_flow, done, pad):
        def pair(i, j):
            spanned = (i <= steps) & (steps < j)
            end = jnp.where(done[j - 1], 0.0, log_flow[j])
            residual = log_flow[i] + (log_pf * spanned).sum() - end - (log_pb * spanned).sum()
            weight = jnp.where(pad[j - 1], 0.0, jnp.power(task.lamda, j - i))
            return weight * residual**2, weight

        penalty, weight = jax.vmap(pair)(first, last)
        return penalty.sum() / weight.sum()

    return jax.vmap(trajectory)(log_pf, log_pb, log_flow, done, pad).mean()


objective = {"tb": tb_loss, "db": db_loss, "subtb": subtb_loss}[task.objective]


def iteration(carry, _):
    trainable, optimizer_state, key, step = carry
    key, rollout_key = jax.random.split(key)
    trajectories, info = gfnx.utils.forward_rollout(
        rng_key=rollout_key,
        num_envs=task.batch,
        policy_fn=behavior,
        policy_params=(trainable["network"], epsilon(step)),
        env=env,
        env_params=env_params,
    )
    loss, gradient = jax.value_and_grad(objective)(trainable, trajectories)
    updates, optimizer_state = optimizer.update(gradient, optimizer_state, trainable)
    carry = optax.apply_updates(trainable, updates), optimizer_state, key, step + 1
    return carry, (loss, info["trajectory_length"].sum())


@functools.partial(jax.jit, static_argnums=1)
def run(carry, iterations):
    return jax.lax.scan(iteration, carry, None, length=iterations)


trainable = {"network": parameters, "log_z": jnp.array(0.0)}  # Only "tb" uses log Z.
carry = trainable, optimizer.init(trainable), jax.random.PRNGKey(task.seed + 3), jnp.array(0)
compiled = {}


@jax.jit
def policy_probabilities(parameters, states):
    model = eqx.combine(parameters, static)
    logits = jax.vmap(lambda x: heads(model, x)[0])(env.get_obs(states, env_params))
    return jax.nn.softmax(gfnx.utils.mask_logits(logits, env.get_invalid_mask(states, env_params)), -1)


def exact():
    """Total variation to the target, exact log Z and learned log Z."""
    grid, rows, rewards = cells(task.ndim, task.side), [], []
    for part in np.split(grid, task.side):
        states = env.get_init_state(len(part)).replace(state=jnp.array(part, dtype=jnp.int32))
        rows.append(np.asarray(policy_probabilities(carry[0]["network"], states), dtype=np.float64))
        rewards.append(np.asarray(env.reward_module.reward(states, env_params), dtype=np.float64))
    rewards, learned = np.concatenate(rewards), np.concatenate(rows)
    learned = terminal_distribution(learned / learned.sum(1, keepdims=True), task.ndim, task.side)
    return {
        "tv": 0.5 * float(np.abs(learned - rewards / rewards.sum()).sum()),
        "mass": float(learned.sum()),
        "true_log_z": float(np.log(rewards.sum())),
        "log_z": float(carry[0]["log_z"]),
    }


def block(request):
    global carry
    iterations = request["iterations"]
    if iterations not in compiled:
        compiled[iterations] = run.lower(carry, iterations).compile()
    start, busy = time.perf_counter(), time.process_time()
    carry, (loss, lengths) = jax.block_until_ready(compiled[iterations](carry))
    answer = {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - busy,
        "iterations": iterations,
        "transitions": float(lengths.sum()),
        "loss": float(loss[-50:].mean()),
    }
    return {**answer, **(exact() if request.get("exact") else {})}


serve(block)
