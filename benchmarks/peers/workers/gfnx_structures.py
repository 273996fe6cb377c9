"""gfnx: training and random rollouts on Bayesian networks (MDB), phylogenetic trees (FLDB) and Ising models (TB).

Task: env ("BayesNet", "PhyloTree" or "Ising"), instance (a JSON file: "data", "sequences", or "side" and "sigma"),
batch, hidden, lr, lr_log_z, seed. A request {"iterations": n} trains n iterations inside one compiled scan, the
fastest way in gfnx; it is compiled again if n changes. {"iterations": n, "random": true} samples n batches of random
trajectories instead.

The objectives are those of gfnx's baselines, written with its functions. Two things are cheaper here than in the
baselines. FLDB evaluates each state once, without a target network. The network sees trees as pairs of taxa that are
still roots, as in our library, instead of the sets of nucleotides at every site (263,000 numbers per state for DS1).
"""

import functools
import json
import math
import time
from pathlib import Path

import equinox as eqx
import gfnx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from gfnx.environment.dag import DAGEnvironment
from gfnx.environment.ising import IsingEnvironment
from gfnx.environment.phylogenetic_tree import PhyloTreeEnvironment
from gfnx.reward.dag import DAGRewardModule
from gfnx.reward.dag_likelihood import BGeScore
from gfnx.reward.dag_prior import UniformDAGPrior
from gfnx.reward.ising import IsingRewardModule, IsingRewardParams
from gfnx.reward.phylogenetic_tree import PhyloTreeRewardModule
from gfnx.utils.ising import get_true_ising_J
from gfnx.utils.phylogenetic_tree import CHARACTERS_MAPS
from protocol import serve, settings

task = settings(__doc__)
instance = json.loads(Path(task.instance).read_text())
TARGET_EVERY = 1000


class Trees(PhyloTreeEnvironment):
    """Trees observed as pairs of taxa: 1 if both are still roots."""

    def get_obs(self, state, env_params):
        left = state.to_root != -1
        return (left[:, self.lefts] & left[:, self.rights]).astype(jnp.float32)


if task.env == "BayesNet":
    data = jnp.array(instance["data"])
    reward = DAGRewardModule(prior=UniformDAGPrior(data.shape[1]), likelihood=BGeScore(data))
    env = DAGEnvironment(reward, data.shape[1])
    env_params = env.init(jax.random.PRNGKey(0))
    inputs = data.shape[1] ** 2
elif task.env == "PhyloTree":
    letters = CHARACTERS_MAPS["DNA_WITH_GAP"]
    sequences = [[letters[c] for c in sequence.upper()] for sequence in instance["sequences"].values()]
    reward = PhyloTreeRewardModule(len(sequences), scale=instance["temperature"], C=instance["constant"])
    env = Trees(reward, jnp.array(sequences, dtype=jnp.uint8))
    env_params = env.init(jax.random.PRNGKey(0))
    inputs = env.action_space.n
else:
    side = instance["side"]
    env = IsingEnvironment(IsingRewardModule(), dim=side**2)
    J = get_true_ising_J(side, instance["sigma"]).astype(jnp.float32)
    env_params = env.init(jax.random.PRNGKey(0)).replace(reward_params=IsingRewardParams(J=J))
    inputs = side**2

num_forward, num_backward = env.action_space.n, env.backward_action_space.n
learns_backward, learns_flow = task.env == "Ising", task.env == "PhyloTree"
sizes = np.cumsum([num_forward, num_backward if learns_backward else 0])
network = eqx.nn.MLP(
    inputs, int(sizes[-1]) + learns_flow, task.hidden[0], len(task.hidden), key=jax.random.PRNGKey(task.seed + 1)
)
parameters, static = eqx.partition(network, eqx.is_array)
optimizer = optax.multi_transform(
    {"network": optax.adam(task.lr), "log_z": optax.adam(task.lr_log_z)}, {"network": "network", "log_z": "log_z"}
)


def heads(model, observations):
    """Forward logits, backward logits (uniform if P_B is not learned) and log F of observations (n, ...)."""
    out = jax.vmap(model)(observations.reshape(len(observations), inputs).astype(jnp.float32))
    backward = out[:, num_forward : sizes[1]] if learns_backward else jnp.zeros((len(out), num_backward))
    return out[:, :num_forward], backward, out[:, sizes[1] :].sum(1)


def policy(key, observations, parameters):
    return heads(eqx.combine(parameters, static), observations)[0], {}


def uniform(key, observations, parameters):
    return jnp.zeros((observations.shape[0], num_forward)), {}


def log_probabilities(logits, invalid):
    return jax.nn.log_softmax(gfnx.utils.mask_logits(logits, invalid), -1)


def pick(table, action):
    return jnp.take_along_axis(table, action[:, None], -1).squeeze(-1)


def flat(tree):
    return jax.tree.map(lambda x: x.reshape((-1,) + x.shape[2:]), tree)


def modified_detailed_balance(trainable, target, trajectories):
    """As in gfnx's baseline: padded transitions, a target network for s', and score differences of single edges."""
    batch = gfnx.utils.split_traj_to_transitions(trajectories)
    here = log_probabilities(
        heads(eqx.combine(trainable["network"], static), batch.obs)[0], env.get_invalid_mask(batch.state, env_params)
    )
    there = heads(eqx.combine(target, static), batch.next_obs)
    stop_there = log_probabilities(there[0], env.get_invalid_mask(batch.next_state, env_params))[:, -1]
    back = log_probabilities(there[1], env.get_invalid_backward_mask(batch.next_state, env_params))
    backward_action = env.get_backward_action(batch.state, batch.action, batch.next_state, env_params)
    score = env.reward_module.delta_score(batch.state, batch.action, batch.next_state, env_params)
    residual = stop_there + pick(here, batch.action) - here[:, -1] - pick(back, backward_action) - score
    idle = batch.done | batch.pad
    return optax.huber_loss(jnp.where(idle, 0.0, residual)).sum() / jnp.logical_not(idle).sum()


def edges(trainable, trajectories):
    """log P_F and log P_B of padded edges, (batch, steps), log F of states, (batch, steps + 1), and the next states."""
    shape = trajectories.pad.shape
    model = eqx.combine(trainable["network"], static)
    forward, backward, log_flow = (x.reshape(shape + x.shape[1:]) for x in heads(model, flat(trajectories.obs)))
    before = flat(jax.tree.map(lambda x: x[:, :-1], trajectories.state))
    after = flat(jax.tree.map(lambda x: x[:, 1:], trajectories.state))
    action = flat(trajectories.action[:, :-1])
    log_pf = pick(log_probabilities(flat(forward[:, :-1]), env.get_invalid_mask(before, env_params)), action)
    backward_action = env.get_backward_action(before, action, after, env_params)
    back = log_probabilities(flat(backward[:, 1:]), env.get_invalid_backward_mask(after, env_params))
    pad, steps = trajectories.pad[:, :-1], (shape[0], shape[1] - 1)
    log_pf, log_pb = log_pf.reshape(steps), pick(back, backward_action).reshape(steps)
    return jnp.where(pad, 0.0, log_pf), jnp.where(pad, 0.0, log_pb), log_flow, after


def forward_looking_detailed_balance(trainable, target, trajectories):
    """Detailed balance of flows relative to the intermediate rewards. The relative flow of terminal states is 0."""
    log_pf, log_pb, log_flow, after = edges(trainable, trajectories)
    score = env.reward_module.delta_score(after).reshape(log_pf.shape)
    ahead = jnp.where(trajectories.done[:, :-1], 0.0, log_flow[:, 1:])
    residual = log_pf + log_flow[:, :-1] - log_pb - ahead - score
    return jnp.where(trajectories.pad[:, :-1], 0.0, residual**2).mean()


def trajectory_balance(trainable, target, trajectories):
    log_pf, log_pb, _, _ = edges(trainable, trajectories)
    log_reward = jnp.where(trajectories.pad, 0.0, trajectories.log_gfn_reward)[:, :-1]
    return jnp.mean((log_pf.sum(1) + trainable["log_z"] - (log_pb + log_reward).sum(1)) ** 2)


objective = {
    "BayesNet": modified_detailed_balance,
    "PhyloTree": forward_looking_detailed_balance,
    "Ising": trajectory_balance,
}[task.env]


def rollout(key, policy_fn, parameters):
    return gfnx.utils.forward_rollout(
        rng_key=key,
        num_envs=task.batch,
        policy_fn=policy_fn,
        policy_params=parameters,
        env=env,
        env_params=env_params,
    )


def random_batch(key, _):
    key, rollout_key = jax.random.split(key)
    _, info = rollout(rollout_key, uniform, None)
    return key, (info["log_gfn_reward"].mean(), info["trajectory_length"].sum())


def iteration(carry, _):
    trainable, target, optimizer_state, key, step = carry
    key, rollout_key = jax.random.split(key)
    trajectories, info = rollout(rollout_key, policy, trainable["network"])
    loss, gradient = jax.value_and_grad(objective)(trainable, target, trajectories)
    updates, optimizer_state = optimizer.update(gradient, optimizer_state, trainable)
    trainable = optax.apply_updates(trainable, updates)
    due = step % TARGET_EVERY == 0
    target = jax.tree.map(lambda new, old: jnp.where(due, new, old), trainable["network"], target)
    return (trainable, target, optimizer_state, key, step + 1), (loss, info["trajectory_length"].sum())


@functools.partial(jax.jit, static_argnums=(1, 2))
def run(carry, iterations, random):
    return jax.lax.scan(random_batch if random else iteration, carry, None, length=iterations)


trainable = {"network": parameters, "log_z": jnp.array(0.0)}
carries = {
    False: (trainable, parameters, optimizer.init(trainable), jax.random.PRNGKey(task.seed + 3), jnp.array(1)),
    True: jax.random.PRNGKey(task.seed + 4),
}
compiled = {}


def block(request):
    iterations, random = request["iterations"], request.get("random", False)
    if (iterations, random) not in compiled:
        compiled[iterations, random] = run.lower(carries[random], iterations, random).compile()
    start, busy = time.perf_counter(), time.process_time()
    carries[random], (first, lengths) = jax.block_until_ready(compiled[iterations, random](carries[random]))
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    name, value = "mean_log_reward" if random else "loss", float(first[-50:].mean())
    assert math.isfinite(value), f"{name} is {value}"
    done = {"iterations": iterations, "transitions": float(lengths.sum())}
    return {"seconds": seconds, "cpu_seconds": busy, **done, name: value}


serve(block)
