"""Shared by the benchmarks: JSON files of results and the sections of docs/results.md."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch

import agents
from agents.config import LogZSettings

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "results.md"
HEAD = "# Results\n\nEach section is written by the command that it names. Do not edit text between markers by hand.\n"


def load(path: Path) -> dict[str, Any]:
    """Results in a JSON file. Empty if the file does not exist."""
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def save(path: Path, results: dict[str, Any]) -> None:
    """Write results atomically, so that an interrupted benchmark keeps the old file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    os.replace(part, path)


def write_section(name: str, text: str, page: Path = PAGE) -> None:
    """Put ``text`` between the markers of section ``name`` of a page. A new section goes to the end.

    Raises:
        ValueError: the page has the markers, but not once each and in order.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    whole = page.read_text("utf-8") if page.exists() else HEAD
    if begin not in whole and end not in whole:
        whole += f"\n{begin}\n{end}\n"
    if whole.count(begin) != 1 or whole.count(end) != 1 or whole.index(begin) > whole.index(end):
        raise ValueError(f"{page} must hold {begin} and, after it, {end}, once each")
    head, rest = whole.split(begin)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(f"{head}{begin}\n{text.strip()}\n{end}{rest.split(end)[1]}", "utf-8")


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, ["---"] * len(header), *rows])


def mean_and_error(values: list[float]) -> tuple[float, float]:
    """Mean and standard error. The error is NaN for fewer than two values."""
    array = np.asarray(values, dtype=np.float64)
    return float(array.mean()), float(array.std(ddof=1) / np.sqrt(len(array))) if len(array) > 1 else float("nan")


def cell(values: list[float], digits: int = 2) -> str:
    """Mean and standard error with ``digits`` significant digits, as text for a table."""
    mean, error = mean_and_error(values)
    return f"{mean:.{digits}g}" + ("" if np.isnan(error) else f" ± {error:.{digits}g}")


def listed(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as they come back from JSON, with lists instead of tuples."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}


def applicable(agent: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The ``settings`` that an agent has, such as lr_log_z only for agents whose log Z is always a parameter."""
    config = agents.AGENTS[agent].config_class
    names = {field.name for field in dataclasses.fields(config)}
    if not issubclass(config, LogZSettings):
        names.discard("lr_log_z")
    return {name: value for name, value in settings.items() if name in names}


def machine_facts() -> dict[str, Any]:
    """Processor, cores, Python and torch."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        processor = names[0] if names else processor
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def machine() -> str:
    """Processor, cores, torch and date on one line."""
    facts, today = machine_facts(), datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
    torch_text = f"torch {facts['torch']} on {torch.get_num_threads()} thread"
    return f"{facts['processor']}, {facts['cores']} cores, {torch_text}, {today}"
