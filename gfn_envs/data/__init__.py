"""Packaged data (see README.md), the registry of data sets that are not packaged, and ``python -m gfn_envs.data``."""
