"""Gymnasium environments over a Dag: GFNEnv, and the vector environment GFNVectorEnv.

Both are thin wrappers of the same :class:`Stepper`, so GFNVectorEnv equals a ``SyncVectorEnv`` of GFNEnv bit for bit.
"""

from gfn_envs.gym.env import GFNEnv
from gfn_envs.gym.stepper import METADATA, OBSERVATIONS, REWARD_MODES, Stepper
from gfn_envs.gym.vector_env import GFNVectorEnv

__all__ = ["METADATA", "OBSERVATIONS", "REWARD_MODES", "GFNEnv", "GFNVectorEnv", "Stepper"]
