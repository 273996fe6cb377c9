"""Deprecated name of :mod:`gfn_envs.data.registry`."""

import warnings

from gfn_envs.data.packaged import *  # noqa: F403
from gfn_envs.data.registry import *  # noqa: F403

MESSAGE = "gfn_envs.datasets is deprecated, use gfn_envs.data.registry"
warnings.warn(MESSAGE, DeprecationWarning, stacklevel=2)
