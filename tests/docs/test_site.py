"""The documentation site: pages for everything registered, and what a browser shows of them."""

from __future__ import annotations

import importlib
import os
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
    "concepts.html",
]
#: Folder for the screenshots; by default, a temporary one.
SCREENSHOTS = os.environ.get("GFN_SCREENSHOTS")
built = pytest.mark.skipif(not (SITE / "index.html").exists(), reason="make docs has not been run")


@pytest.fixture(scope="module")
def scripts() -> Any:
    """Import a module of the folder scripts."""
    sys.path.insert(0, str(ROOT / "scripts"))
    yield importlib.import_module
    sys.path.remove(str(ROOT / "scripts"))


@pytest.fixture(scope="module")
def site_pages(scripts: Any) -> ModuleType:
    return scripts("site_pages")


@pytest.fixture(scope="module")
def written(site_pages: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the generated pages."""
    docs = tmp_path_factory.mktemp("docs")
    (docs / "environments.json").write_text("{}")
    site_pages.write(docs)
    return docs / "generated"


def test_every_environment_and_agent_has_a_page(written: Path) -> None:
    pages = {str(path.relative_to(written)) for path in written.rglob("*.md")}
    assert {f"agents/{name}.md" for name in agents.AGENTS} <= pages
    assert {f"environments/{id[4:-3]}.md" for id in gfn_envs.ENVIRONMENTS} <= pages
    tb = (written / "agents/tb.md").read_text("utf-8")
    assert "| `batch_size` | `16` | Trajectories per iteration. |" in tb
    assert "| `lr` | `0.001` |" in tb
    grid = (written / "environments/HyperGrid.md").read_text("utf-8")
    assert re.search(r"\| `side` \| `8` \| \S", grid)


def test_every_agent_has_an_equation(site_pages: ModuleType) -> None:
    found = site_pages.equations()
    assert list(found) == list(agents.AGENTS)
    assert all(text.startswith("$$") and "```text\n" in text for text in found.values())


def test_sections_of_docstrings_become_lists(site_pages: ModuleType) -> None:
    text = "One line.\n\nArgs:\n    a: first,\n        continued.\n    b: second.\n\nReturns:\n    The\n    sum.\n"
    expected = "One line.\n\n**Args**\n\n- `a`: first, continued.\n- `b`: second.\n**Returns:** The sum.\n"
    assert site_pages.prose(text) == expected


def test_tutorials_are_notebooks_too(scripts: Any) -> None:
    nbformat = pytest.importorskip("nbformat")
    text = "---\nkernelspec:\n  name: python3\n---\n\n# One\n\n[Two](two.md).\n\n```{code-cell} ipython3\nx = 1\n```\n"
    found = scripts("notebooks").notebook(text)
    nbformat.validate(found)
    install, words, code = found.cells
    assert install.source.startswith("%pip install")
    assert words.source == "# One\n\nTwo."
    assert (code.cell_type, code.source) == ("code", "x = 1")
    source = [text]
    scripts("notebooks").add_link(None, "tutorials/one", source)
    assert "# One\n\n{download}`As a notebook <../generated/notebooks/one.ipynb>`\n" in source[0]


# ---------------------------------------------------------------------- pictures


def test_every_picture_has_one_command(scripts: Any) -> None:
    entries = scripts("figures").PICTURES.values()
    kept = [path for path in (ROOT / "docs").rglob("*") if path.suffix in {".png", ".gif", ".svg", ".jpg"}]
    made = sorted(path for entry in entries for path in entry.paths())
    assert made == sorted(kept)
    for entry in entries:
        words = entry.command.split()
        program = words[2].replace(".", "/") + ".py" if words[1] == "-m" else words[1]
        assert words[0] == "make" or (ROOT / program).exists() or (ROOT / program[:-3] / "__main__.py").exists(), words


def test_pictures_of_pages_are_in_the_gallery(written: Path) -> None:
    pages = [path for path in (ROOT / "docs").rglob("*.md") if "generated" not in path.parts]
    shown = {
        (path.parent / link).resolve()
        for path in [ROOT / "README.md", *pages]
        for link in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", path.read_text("utf-8"))
    }
    gallery = (written / "gallery.md").read_text("utf-8")
    assert all(path.exists() for path in shown)
    assert all(str(path.relative_to(ROOT / "docs")) in gallery for path in shown)


def test_figures_are_chosen_by_name_and_cost(scripts: Any, capsys: pytest.CaptureFixture[str]) -> None:
    figures = scripts("figures")
    figures.main(["--list", "--minutes", "0.1"])
    assert {line.split()[1] for line in capsys.readouterr().out.splitlines()} == {"0.1"}
    with pytest.raises(SystemExit):
        figures.main(["cloud"])
    assert "no pictures cloud; allowed: demo, " in capsys.readouterr().err


# ---------------------------------------------------------------------- what is checked after each build

PAGE = '<html><body><article><h1 id="a">A</h1><h2>B</h2>{}</article></body></html>'


@pytest.mark.parametrize(
    ("html", "wrong"),
    [
        ('<a href="other.html#a">x</a><a href="#a">x</a><img src="p.png" alt="A dot">', None),
        ('<a href="https://example.org/x">x</a>', None),
        ('<a href="gone.html">x</a>', "broken link gone.html"),
        ('<a href="other.html#gone">x</a>', "broken anchor other.html#gone"),
        ('<img src="gone.png" alt="A dot">', "broken link gone.png"),
        ('<img src="p.png">', "picture p.png has no text"),
        ('<img src="p.png" alt="p.png">', "picture p.png has no text"),
        ('<script src="https://cdn.example.org/x.js"></script>', "https://cdn.example.org/x.js comes from the network"),
        ("<h4>C</h4>", "a level of headings is left out: [1, 2, 4]"),
        ("<h1>C</h1>", "2 titles"),
        ('<a href="other.html"></a>', "link other.html has no text"),
    ],
)
def test_what_is_wrong_with_a_page(scripts: Any, tmp_path: Path, html: str, wrong: str | None) -> None:
    (tmp_path / "index.html").write_text(PAGE.format(html), "utf-8")
    (tmp_path / "other.html").write_text(PAGE.format(""), "utf-8")
    (tmp_path / "p.png").write_bytes(b"")
    found, numbers = scripts("check_site").check(tmp_path)
    assert found == ([f"index.html: {wrong}"] if wrong else [])
    assert numbers["pages"] == 2


# ---------------------------------------------------------------------- a browser


DRAWN = "!document.querySelector('.math') || document.querySelector('mjx-container')"
BROKEN = "Array.from(document.images).filter(i => i.complete && !i.naturalWidth).map(i => i.src)"


@pytest.mark.slow
@built
@pytest.mark.parametrize("width", [1280, 390], ids=["desktop", "phone"])
def test_pages_in_a_browser(browser: Any, width: int, tmp_path: Path) -> None:
    """Pages fit into the window, load nothing from the network, log no error and draw formulas."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    wrong: list[str] = []
    page.on("console", lambda message: message.type == "error" and wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda request: wrong.append(f"not loaded: {request.url}"))
    page.route("http*://**", lambda route: route.abort())
    for name in PAGES:
        page.goto((SITE / name).as_uri())
        page.wait_for_function(DRAWN)
        if (wide := page.evaluate("document.documentElement.scrollWidth")) > width:
            wrong.append(f"{name}: {wide} wide")
        wrong += [f"{name}: broken picture {source}" for source in page.evaluate(BROKEN)]
        page.screenshot(path=Path(SCREENSHOTS or tmp_path) / f"{Path(name).stem}-{width}.png")
    page.close()
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@built
@pytest.mark.skipif("GFN_ACCEPTANCE" not in os.environ, reason="20 seconds; the job `site` of the workflow runs it")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible(browser: Any, scheme: str, tmp_path: Path) -> None:
    """axe-core finds nothing: contrasts, labels, headings, texts of pictures, keys (WCAG 2.1 A and AA)."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    wrong = []
    for width in (1280, 390):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        for name in PAGES:
            page.goto((SITE / name).as_uri())
            page.wait_for_function(DRAWN)
            page.screenshot(path=Path(SCREENSHOTS or tmp_path) / f"{Path(name).stem}-{width}-{scheme}.png")
            found = axe.run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa"], "preload": False})
            if found.violations_count:
                wrong.append(f"{name}, {width}: {found.generate_report()}")
        page.close()
    assert not wrong, "\n".join(wrong)


def test_the_makefile_builds_it_with_warnings_as_errors() -> None:
    shown = subprocess.run(["make", "-n", "docs"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.search(r"sphinx-build .*-W.* docs build/docs", shown)
