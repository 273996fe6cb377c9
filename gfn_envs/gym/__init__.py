"""The Gymnasium faces of a Dag: one environment, and many at once.

Both are thin shells over the same :class:`Transition`, so the vector face equals ``SyncVectorEnv`` bit for bit.
"""

from gfn_envs.gym.env import GFNEnv
from gfn_envs.gym.stepper import METADATA, OBSERVATIONS, REWARD_MODES, Transition
from gfn_envs.gym.vector_env import GFNVectorEnv

__all__ = ["METADATA", "OBSERVATIONS", "REWARD_MODES", "GFNEnv", "GFNVectorEnv", "Transition"]
