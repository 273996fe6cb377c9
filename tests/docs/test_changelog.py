"""The tables of renamed names in CHANGELOG.md: new names exist, and old names warn."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from agents.deprecated import MODULES, NAMES

ROOT = Path(__file__).resolve().parents[2]
SECTION = (ROOT / "CHANGELOG.md").read_text("utf-8").split("### Renamed and removed\n")[1].split("\n### ")[0]
ROWS = [line.strip("| ").split(" | ") for line in SECTION.splitlines() if line.startswith("| ") and "`" in line]
DOTTED = re.compile(r"`((?:agents|gfn_envs)(?:\.\w+)+)`")
NEW = sorted({name for _, new in ROWS for name in DOTTED.findall(new)})


def resolved(path: str) -> object:
    """The module, or the attribute of a module, with that path."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("path", NEW)
@pytest.mark.filterwarnings("error::DeprecationWarning:agents")
def test_new_names_exist(path: str) -> None:
    assert resolved(path) is not None


def test_every_alias_is_listed() -> None:
    text = SECTION.split("without an alias")[0]
    assert [old for old in (*MODULES, *NAMES) if f"`{old}" not in text] == []
