"""Errors that several modules raise."""

from __future__ import annotations


class NoLegalActionError(RuntimeError):
    """A non-terminal state has no legal action. Samplers never fall back to a uniform choice."""


class UnsupportedError(ValueError):
    """An agent's method does not apply to an environment. The message says why."""
