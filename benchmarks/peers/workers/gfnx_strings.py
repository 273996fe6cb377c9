"""TFBind8 and QM9 strings of gfnx, for gfnx_train.py.

gfnx builds TFBind8 by appending and QM9 by prepending and appending. Here both of its construction classes are combined
with either alphabet. gfnx's own rewards read files that are not part of it; here the task contains the rewards.
"""

import jax
import jax.numpy as jnp
import numpy as np
from gfnx.base import BaseRewardModule
from gfnx.environment.sequence import FixedAutoregressiveSequenceEnvironment, FixedPrependAppendSequenceEnvironment

#: Name -> (number of letters, length).
SIZES = {"TFBind8": (4, 8), "QM9Str": (11, 5)}


class TableReward(BaseRewardModule):
    """R of complete strings from a table in alphabetical order, with the lookup of gfnx."""

    def __init__(self, table, letters, length):
        self.table, self.powers = table, [letters ** (length - i - 1) for i in range(length)]

    def init(self, rng_key, dummy_state):
        return {"rewards": jnp.array(self.table, dtype=jnp.float32)}

    def reward(self, state, env_params):
        index = jnp.sum(state.tokens * jnp.array(self.powers), axis=-1)
        return jnp.take_along_axis(env_params.reward_params["rewards"], index, axis=0, mode="fill", fill_value=1e-3)

    def log_reward(self, state, env_params):
        return jnp.log(self.reward(state, env_params))


class Names:
    """The name, which both classes need to be instantiated."""

    name = "strings"


class Append(Names, FixedAutoregressiveSequenceEnvironment):
    pass


class PrependAppend(Names, FixedPrependAppendSequenceEnvironment):
    pass


def make(name, construction, rewards):
    """An environment, its number of features, and the function from an observation to its features."""
    letters, length = SIZES[name]
    env = {"append": Append, "prepend_append": PrependAppend}[construction](
        TableReward(np.load(rewards, allow_pickle=False), letters, length),
        max_length=length,
        nchar=letters,
        ntoken=letters + 3,
        bos_token=letters,
        eos_token=letters + 1,
        pad_token=letters + 2,
    )

    def features(observation):
        """One-hot letters, without the token that starts every string."""
        return jax.nn.one_hot(observation[1:], letters).reshape(-1)

    return env, letters * length, features
