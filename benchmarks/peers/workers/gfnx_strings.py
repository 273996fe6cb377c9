"""gfnx's TFBind8 and QM9 strings, for gfnx_train.py.

gfnx builds TFBind8 by appending and QM9 by prepending and appending; its classes for both constructions are combined
here with either alphabet. Its own rewards read files that do not come with it: these are given.
"""

import jax
import jax.numpy as jnp
import numpy as np
from gfnx.base import BaseRewardModule
from gfnx.environment.sequence import FixedAutoregressiveSequenceEnvironment, FixedPrependAppendSequenceEnvironment

#: Letters and length.
SIZES = {"TFBind8": (4, 8), "QM9Str": (11, 5)}


class TableReward(BaseRewardModule):
    """R of finished strings from a table in alphabetical order, looked up as gfnx does."""

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
    """What the two classes lack to be instantiated."""

    name = "strings"


class Append(Names, FixedAutoregressiveSequenceEnvironment):
    pass


class PrependAppend(Names, FixedPrependAppendSequenceEnvironment):
    pass


def make(name, construction, rewards):
    """An environment, the number of features of its states, and the function that makes them from an observation."""
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
        """One-hot letters; the first token stands before every string."""
        return jax.nn.one_hot(observation[1:], letters).reshape(-1)

    return env, letters * length, features
