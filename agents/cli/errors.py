"""Errors of the command line."""

from __future__ import annotations

from collections.abc import Iterable


class UsageError(Exception):
    """The command line is wrong. The message is one line."""


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for error messages: the known word nearest to ``word``, or all known words."""
    from gfn_envs.validation import did_you_mean  # Help needs no environment, and is printed sooner without them.

    known = list(known)
    return did_you_mean(word, known) or f" (known: {', '.join(known)})"
