"""Settings of the form ``name(keyword=value, ...)``, where the name is a known one or ``module:name``."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from gfn_envs import named
from gfn_envs.validation import did_you_mean

Kind = TypeVar("Kind")

_TEXT = re.compile(r"([\w.:-]+)\s*(?:\((.*)\))?")


def name_and_keywords(text: str, what: str, example: str) -> tuple[str, dict[str, Any]]:
    """The name and the keywords of a setting, whose values are Python literals. Other text is a name without keywords.

    Args:
        text: the setting.
        what, example: for the message: what the setting is, and keywords that it could have.

    Raises:
        ValueError: the parentheses hold something other than keywords with literal values.
    """
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        return text, {}
    try:
        call = ast.parse(f"f({match[2] or ''})", mode="eval").body
        if not isinstance(call, ast.Call) or call.args or any(each.arg is None for each in call.keywords):
            raise ValueError
        return match[1], {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
    except (ValueError, SyntaxError):
        raise ValueError(f"{what} {text!r}: expected keywords such as ({example})") from None


def class_named(
    text: str, what: str, example: str, known: Mapping[str, type[Kind]], base: type[Kind]
) -> tuple[type[Kind], dict[str, Any]]:
    """The class that a setting names, and its keywords.

    Args:
        text: a name in ``known``, or the ``module:name`` of a subclass of ``base``, optionally with keywords.
        what, example: as for :func:`name_and_keywords`.
        known: name -> class.
        base: the class of all of them.

    Raises:
        ValueError: an unknown name, or keywords without literal values.
        ImportError: a named module does not exist or cannot be imported.
        TypeError: ``module:name`` is not a subclass of ``base``.
    """
    name, keywords = name_and_keywords(text, what, example)
    if named.is_named(name):
        kind = named.load(name, what)
        if not (isinstance(kind, type) and issubclass(kind, base)):
            package = base.__module__.rpartition(".")[0]
            raise TypeError(f"{what} {name} is not a subclass of {package}.{base.__name__}")
        return kind, keywords
    if name not in known:
        available = f"{did_you_mean(name, known)} (available: {', '.join(known)} and module:name)"
        raise ValueError(f"unknown {what} {text!r}{available}")
    return known[name], keywords
