"""The documentation site: pages for everything registered, and what a browser shows of them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import agents
import gfn_envs

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "build" / "docs"
PAGES = [
    "index.html",
    "generated/environments/HyperGrid.html",
    "generated/agents/tb.html",
    "tutorials/first_gflownet.html",
    "results.html",
]


@pytest.fixture(scope="module")
def site_pages() -> ModuleType:
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        import site_pages
    finally:
        sys.path.pop(0)
    return site_pages


def test_every_environment_and_agent_has_a_page(site_pages: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "environments.json").write_text("{}")
    site_pages.write(tmp_path)
    pages = {str(path.relative_to(tmp_path / "generated")) for path in tmp_path.rglob("*.md")}
    assert {f"agents/{name}.md" for name in agents.AGENTS} <= pages
    assert {f"environments/{id[4:-3]}.md" for id in gfn_envs.ENVIRONMENTS} <= pages
    tb = (tmp_path / "generated/agents/tb.md").read_text("utf-8")
    assert "| `batch_size` | `16` | Trajectories per iteration. |" in tb
    grid = (tmp_path / "generated/environments/HyperGrid.md").read_text("utf-8")
    assert re.search(r"\| `side` \| `8` \| \S", grid)


def test_sections_of_docstrings_become_lists(site_pages: ModuleType) -> None:
    text = "One line.\n\nArgs:\n    a: first,\n        continued.\n    b: second.\n\nReturns:\n    The\n    sum.\n"
    expected = "One line.\n\n**Args**\n\n- `a`: first, continued.\n- `b`: second.\n**Returns:** The sum.\n"
    assert site_pages.prose(text) == expected


@pytest.mark.slow
@pytest.mark.skipif(not (SITE / "index.html").exists(), reason="make docs has not been run")
@pytest.mark.parametrize("width", [1280, 390], ids=["desktop", "phone"])
def test_pages_in_a_browser(browser: Any, width: int, tmp_path: Path) -> None:
    """No page is wider than the window, no picture is broken, and the console has no errors."""
    for name in PAGES:
        page = browser.new_page(viewport={"width": width, "height": 900})
        errors: list[str] = []
        page.on("console", lambda message, errors=errors: message.type == "error" and errors.append(message.text))
        page.on("pageerror", lambda error, errors=errors: errors.append(str(error)))
        page.route("http*://**", lambda route: route.abort())
        page.goto((SITE / name).as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        broken = "Array.from(document.images).filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
        assert page.evaluate(broken) == [], name
        assert page.evaluate("Array.from(document.images).filter(i => !i.alt).map(i => i.src)") == [], name
        # MathJax alone comes from elsewhere, and there is no network here.
        assert [error for error in errors if "net::ERR" not in error] == [], name
        assert len(page.screenshot(path=tmp_path / f"{width}-{Path(name).stem}.png")) > 10_000, name
        page.close()


def test_the_makefile_builds_it_with_warnings_as_errors() -> None:
    shown = subprocess.run(["make", "-n", "docs"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.search(r"sphinx-build .*-W.* docs build/docs", shown)
