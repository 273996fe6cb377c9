"""Errors of the command line."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence


class UsageError(Exception):
    """The command line is wrong. The message is one line."""


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for error messages: the known word nearest to ``word``, or all known words."""
    from gfn_envs.validation import did_you_mean  # Help needs no environment, and is printed sooner without them.

    known = list(known)
    return did_you_mean(word, known) or f" (known: {', '.join(known)})"


def file_message(error: OSError, arguments: Sequence[str]) -> str:
    """An error about a file on one line, with the flag that names the file: "--known a.smi: no such file"."""
    if error.filename is None or error.strerror is None:
        return str(error)
    from gfn_envs.text_files import reason

    path, flag = os.fsdecode(error.filename), ""
    for word in arguments:
        name, equals, value = word.partition("=")
        flag = f"{name} " if word.startswith("--") else flag
        given = value if equals and word.startswith("--") else word
        if os.path.normpath(given) == os.path.normpath(path):
            return f"{flag}{given}: {reason(error)}"
    return f"{path}: {reason(error)}"
