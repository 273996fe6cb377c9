"""Errors of runs, in a module that imports nothing."""

from __future__ import annotations


class RunError(ValueError):
    """A run directory is missing, damaged or holds a run with another configuration."""
