"""Errors that several modules raise."""

from __future__ import annotations


class NoLegalActionError(RuntimeError):
    """A state that is not finished offers no legal action; it is never turned into a uniform choice."""


class UnsupportedError(ValueError):
    """An agent's method makes no sense on an environment; the message says why."""
