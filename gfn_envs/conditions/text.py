"""Conditions from text: ``temperature:1,32``, ``preferences:qed,sa,seh``, ``focus:qed,sa``, ``mine:conditions``."""

from __future__ import annotations

from typing import Any

from gfn_envs import named
from gfn_envs.conditions.conditions import Conditions
from gfn_envs.conditions.focus import Focus
from gfn_envs.conditions.preferences import Preferences
from gfn_envs.conditions.temperature import Temperature
from gfn_envs.validation import did_you_mean, shown

#: name -> class
KINDS: dict[str, Any] = {"temperature": Temperature, "preferences": Preferences, "focus": Focus}
EXAMPLES = "temperature:1,32, temperature:values=1,2,4, preferences:qed,sa, focus:qed,sa, or module:name"


def read_conditions(given: str | Conditions) -> Conditions:
    """The conditions that a text describes, or ``given`` itself.

    After the colon come numbers or names, and settings as ``name=value``: ``preferences:qed,sa,exponent=16``.
    ``module:name`` names your own object.

    Raises:
        ValueError: the text does not describe conditions. The message says what is allowed.
        TypeError: ``given`` is something else.
        ImportError: a named module cannot be imported.
    """
    if isinstance(given, Conditions):
        return given
    if not isinstance(given, str):
        raise TypeError(f"conditions must be a gfn_envs.conditions.Conditions or text ({EXAMPLES}), got {shown(given)}")
    kind, colon, rest = given.partition(":")
    if kind not in KINDS:
        if named.is_named(given):
            found = named.load_instance(given, Conditions, "conditions")  # type: ignore[type-abstract]
            found.text = given
            return found
        raise ValueError(f"unknown conditions {shown(given)}{did_you_mean(kind, KINDS)} (allowed: {EXAMPLES})")
    words = [word.strip() for word in rest.split(",") if word.strip()] if colon else []
    listed = kind == "temperature" and bool(words) and words[0].startswith("values=")
    if listed:
        words[0] = words[0].removeprefix("values=")
    settings = {name: _value(value) for name, value in (word.split("=", 1) for word in words if "=" in word)}
    plain: list[Any] = [word for word in words if "=" not in word]
    if kind == "temperature":
        plain = [_number(word, given) for word in plain]
        if not listed and (len(plain) > 2 or not plain):
            raise ValueError(f"conditions {shown(given)}: temperature takes low,high (allowed: {EXAMPLES})")
        plain = plain * 2 if len(plain) == 1 and not listed else plain
    try:
        if listed:
            return Temperature(values=plain, **settings)
        return KINDS[kind](*plain, **settings)
    except TypeError as error:
        raise ValueError(f"conditions {shown(given)}: {error}") from None


def _number(word: str, given: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise ValueError(f"conditions {shown(given)}: expected a number, got {word!r} (allowed: {EXAMPLES})") from None


def _value(word: str) -> Any:
    try:
        number = float(word)
    except ValueError:
        return word
    return int(number) if number.is_integer() and "." not in word else number


def read_condition(text: str) -> dict[str, float] | list[float]:
    """One condition from text: ``beta=8``, ``qed=0.5,sa=0.5``, or numbers alone, ``0.5,0.5``.

    Raises:
        ValueError: the text has another form.
    """
    words = [word.strip() for word in text.split(",")]
    try:
        if all("=" in word for word in words):
            return {name.strip(): float(value) for name, _, value in (word.partition("=") for word in words)}
        return [float(word) for word in words]
    except ValueError:
        raise ValueError(f"a condition is name=number,... or numbers, such as beta=8, got {shown(text)}") from None
