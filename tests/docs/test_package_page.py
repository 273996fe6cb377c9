"""The page of the package on an index: README.md with links that work there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

SETUP = Path(__file__).resolve().parents[2] / "setup.py"
LINK = re.compile(r"\]\(([^)\s]+)\)")


def metadata(repository: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Keywords of setup() with the address of the repository set."""
    found: dict[str, Any] = {}
    monkeypatch.setattr("setuptools.setup", found.update)
    source = SETUP.read_text("utf-8")
    assert source.count('REPOSITORY = ""') == 1
    exec(compile(source.replace('REPOSITORY = ""', f"REPOSITORY = {repository!r}"), SETUP, "exec"), {"__file__": SETUP})
    return found


def test_links_are_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    before = LINK.findall(metadata("", monkeypatch)["long_description"])
    found = metadata("https://example.org/gfn-envs", monkeypatch)
    after = LINK.findall(found["long_description"])
    assert len(after) == len(before) > 20
    for old, new in zip(before, after, strict=True):
        assert new.startswith("https://"), new
        assert new.endswith(old), new
    picture = "https://example.org/gfn-envs/raw/v" + found["version"] + "/docs/demo.png"
    assert picture in after
    assert found["project_urls"]["Source"] == "https://example.org/gfn-envs"


def test_links_of_the_repository_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    for link in LINK.findall(metadata("", monkeypatch)["long_description"]):
        if not link.startswith("http"):
            assert (SETUP.parent / link.partition("#")[0]).exists(), link
