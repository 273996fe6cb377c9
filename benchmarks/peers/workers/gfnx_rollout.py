"""gfnx: random rollouts on its HyperGrid (easy reward), without a network.

Task: ndim, side, batch, seed. A request {"iterations": n} samples n batches of trajectories inside one compiled scan.
"""

import functools
import time

import gfnx
import jax
import jax.numpy as jnp
from gfnx.reward import EasyHypergridRewardModule
from protocol import serve, settings

task = settings(__doc__)
env = gfnx.HypergridEnvironment(EasyHypergridRewardModule(), dim=task.ndim, side=task.side)
env_params = env.init(jax.random.PRNGKey(0))


def uniform(key, observations, parameters):
    return jnp.zeros((observations.shape[0], env.action_space.n)), {}


def rollout(key, _):
    key, rollout_key = jax.random.split(key)
    _, info = gfnx.utils.forward_rollout(
        rng_key=rollout_key,
        num_envs=task.batch,
        policy_fn=uniform,
        policy_params=None,
        env=env,
        env_params=env_params,
    )
    return key, (info["log_gfn_reward"].mean(), info["trajectory_length"].sum())


@functools.partial(jax.jit, static_argnums=1)
def run(key, batches):
    return jax.lax.scan(rollout, key, None, length=batches)


key = jax.random.PRNGKey(task.seed)
compiled = {}


def block(request):
    global key
    batches = request["iterations"]
    if batches not in compiled:
        compiled[batches] = run.lower(key, batches).compile()
    start = time.perf_counter()
    key, (_, lengths) = jax.block_until_ready(compiled[batches](key))
    return {"seconds": time.perf_counter() - start, "iterations": batches, "transitions": float(lengths.sum())}


serve(block)
