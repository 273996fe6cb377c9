"""Deprecated name of :mod:`gfn_envs.envs.strings.sequence`."""

import warnings

from gfn_envs.envs.strings.sequence import *  # noqa: F403

MESSAGE = "gfn_envs.sequence is deprecated, use gfn_envs.envs.strings.sequence"
warnings.warn(MESSAGE, DeprecationWarning, stacklevel=2)
