"""Deprecated name of :mod:`gfn_envs.envs.strings.edit_distance`."""

import warnings

from gfn_envs.envs.strings.edit_distance import *  # noqa: F403

warnings.warn(
    "gfn_envs.diversity is deprecated, use gfn_envs.envs.strings.edit_distance", DeprecationWarning, stacklevel=2
)
