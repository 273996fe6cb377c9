"""Environments of gfn_envs in other RL libraries, and exact metrics of policies trained there.

This file imports nothing, so each module needs only the library in its name.
"""
