"""Deprecated name of :mod:`gfn_envs.gym`."""

import warnings

from gfn_envs.gym import *  # noqa: F403

MESSAGE = "gfn_envs.faces is deprecated, use gfn_envs.gym"
warnings.warn(MESSAGE, DeprecationWarning, stacklevel=2)
