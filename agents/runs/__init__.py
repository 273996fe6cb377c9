"""Training runs: the loop, run directories, logs and comparisons."""

from agents.deprecated import old_names

__getattr__ = old_names(__name__)
