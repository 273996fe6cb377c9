"""Settings of the form ``name(keyword=value, ...)``."""

from __future__ import annotations

import ast
import re
from typing import Any

_TEXT = re.compile(r"([\w.:-]+)\s*(?:\((.*)\))?")


def name_and_keywords(text: str, what: str, example: str) -> tuple[str, dict[str, Any]]:
    """The name and the keywords of a setting, whose values are Python literals. Other text is a name without keywords.

    Args:
        text: the setting.
        what, example: for the message: what the setting is, and keywords that it could have.

    Raises:
        ValueError: what is in parentheses is not keywords with literal values.
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
