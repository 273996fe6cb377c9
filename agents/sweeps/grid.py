"""The runs of a sweep: axes of values, seeds, and one run directory per combination."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

#: Settings of the sweep itself, which cannot be axes.
RESERVED = ("seed", "out", "resume", "progress")
#: Longest name of a run directory before a hash replaces its values.
LONGEST = 120


@dataclass(frozen=True)
class Range:
    """An interval that a search draws from.

    Attributes:
        low, high: its ends, both included.
        log: whether values are drawn on a logarithmic scale.
        integer: whether only integers are drawn.
    """

    low: float
    high: float
    log: bool
    integer: bool


@dataclass(frozen=True)
class Axis:
    """A setting that differs between runs.

    Attributes:
        key: the flag of ``gfn train`` without dashes, such as "agent.lr".
        values: its values as written; empty for a range.
        range: where a search draws it from; None for a list of values.
    """

    key: str
    values: tuple[str, ...]
    range: Range | None = None


@dataclass(frozen=True)
class Run:
    """One run of a sweep.

    Attributes:
        agent: name of the agent.
        values: (key, value as written) of each axis that the agent has.
        seed: its seed.
    """

    agent: str
    values: tuple[tuple[str, str], ...]
    seed: int

    @property
    def name(self) -> str:
        """Name of its directory, such as subtb-agent.lr=1e-3-s0. It depends only on the run itself."""
        parts = [f"{key}={value}" for key, value in self.values]
        readable = [re.sub(r"[^\w.+=,-]+", "_", part) for part in parts]
        name = "-".join([re.sub(r"[^\w.+-]+", "_", self.agent), *readable])
        if readable != parts or len(name) > LONGEST:
            name = f"{name[:LONGEST]}-{hashlib.sha256(repr(self.values).encode()).hexdigest()[:6]}"
        return f"{name}-s{self.seed}"

    def flags(self) -> list[str]:
        """The words of its values and seed on the command line of ``gfn train``."""
        words = [word for key, value in self.values for word in flag(key, value)]
        return [*words, "--seed", str(self.seed)]


def flag(key: str, value: str) -> list[str]:
    """The words that set ``key`` to ``value``. Values of several words, such as "64 64", are split at spaces."""
    group, _, name = key.rpartition(".")
    if group != "env" and value in ("True", "False"):
        return [f"--{f'{group}.' if group else ''}{'' if value == 'True' else 'no-'}{name}"]
    return [f"--{key}", *([value] if group == "env" else value.split())]


def parse_axis(text: str) -> Axis:
    """An axis such as "agent.lr=1e-3,3e-3", or, for a search, a range such as "agent.lr=1e-4:1e-1:log".

    Commas within brackets do not separate. Parentheses around a value are for grouping only:
    "agent.epsilon=(0.1,0,1000),0.05" has the two values "0.1,0,1000" and "0.05".

    Raises:
        ValueError: the text does not describe an axis.
    """
    key, equals, listed = text.partition("=")
    key = key.strip().removeprefix("--").replace("-", "_")
    example = "such as agent.lr=1e-3,3e-3"
    if not equals or not re.fullmatch(r"(\w+\.)?\w+", key):
        raise ValueError(f"--grid {text}: expected NAME=VALUE,VALUE, {example}")
    if key in RESERVED:
        hint = "use --seeds" if key == "seed" else "the sweep sets it"
        raise ValueError(f"--grid {text}: {key} cannot be an axis ({hint})")
    if (found := _range(text, listed)) is not None:
        return Axis(key, (), found)
    values = tuple(_ungrouped(value.strip()) for value in _split(text, listed))
    if not all(values):
        raise ValueError(f"--grid {text}: a value is empty; expected NAME=VALUE,VALUE, {example}")
    if doubled := [value for value in dict.fromkeys(values) if values.count(value) > 1]:
        raise ValueError(f"--grid {text}: {doubled[0]} occurs twice")
    return Axis(key, values)


def parse_grid(texts: Sequence[str]) -> tuple[Axis, ...]:
    """One axis per text. Raises ValueError if a text does not describe an axis, or a setting has two."""
    axes = tuple(parse_axis(text) for text in texts)
    keys = [axis.key for axis in axes]
    if doubled := [key for key in dict.fromkeys(keys) if keys.count(key) > 1]:
        raise ValueError(f"--grid: {doubled[0]} occurs twice; list all its values once: {doubled[0]}=VALUE,VALUE")
    return axes


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds such as "0:5" (0, 1, 2, 3, 4), "7" or "0,2,10:12". Raises ValueError if the text has none."""
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?::(\d+))?\s*", part)
        if match is None:
            raise ValueError(f"--seeds {text}: expected START:END (END is left out) or a list, such as 0:5 or 0,3,7")
        start = int(match[1])
        new = range(start, int(match[2])) if match[2] else [start]
        if not new:
            raise ValueError(f"--seeds {text}: {part.strip()} has no seed; END must be above START")
        seeds += new
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"--seeds {text}: a seed occurs twice")
    return tuple(seeds)


def plan(axes: Mapping[str, Sequence[Axis]], seeds: Sequence[int]) -> list[Run]:
    """Every combination of values with every seed.

    Args:
        axes: agent -> the axes that it has.
        seeds: the seeds.
    """
    return [Run(agent, values, seed) for agent, own in axes.items() for values in combinations(own) for seed in seeds]


def combinations(axes: Sequence[Axis]) -> Iterator[tuple[tuple[str, str], ...]]:
    """Every combination of one value per axis, as (key, value) pairs. The last axis changes fastest."""
    return itertools.product(*([(axis.key, value) for value in axis.values] for axis in axes))


def showing_each_value(runs: Sequence[Run]) -> list[Run]:
    """A small subset of the runs, in which each value of each axis occurs with each agent."""
    seen: set[tuple[str, str, str]] = set()
    chosen = []
    for run in runs:
        new = {(run.agent, key, value) for key, value in [*run.values, ("", "")]} - seen
        if new:
            seen |= new
            chosen.append(run)
    return chosen


def _range(text: str, listed: str) -> Range | None:
    low, *rest = listed.split(":")
    if len(rest) not in (1, 2) or not all(_is_number(end) for end in (low, rest[0])):
        return None
    if rest[1:] not in ([], ["log"]):
        raise ValueError(f"--grid {text}: expected LOW:HIGH or LOW:HIGH:log, such as agent.lr=1e-4:1e-1:log")
    ends = float(low), float(rest[0])
    log = len(rest) == 2
    if not ends[0] < ends[1] or (log and ends[0] <= 0):
        raise ValueError(f"--grid {text}: LOW must be below HIGH{', and above 0 for log' if log else ''}")
    return Range(*ends, log=log, integer=all(re.fullmatch(r"[+-]?\d+", end.strip()) for end in (low, rest[0])))


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*", text, re.I) is not None


def _split(text: str, listed: str) -> list[str]:
    """``listed`` split at the commas outside of brackets."""
    parts, depth = [""], 0
    for character in listed:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
        if depth < 0:
            break
    if depth != 0:
        raise ValueError(f"--grid {text}: a bracket has no partner")
    return parts


def _ungrouped(value: str) -> str:
    return value[1:-1].strip() if value.startswith("(") and value.endswith(")") else value
