"""Replay of objects and of transitions."""

from agents.deprecated import old_names

__getattr__ = old_names(__name__)
