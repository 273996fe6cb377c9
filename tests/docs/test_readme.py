"""README.md is correct: its tables, its two commands, the length of its first program, and all links."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/**/*.md"))]
PAGES = [page for page in PAGES if "generated" not in page.parts]
README = (ROOT / "README.md").read_text("utf-8")
EXPERIMENTS = (ROOT / "docs" / "guides" / "papers.md").read_text("utf-8")


def fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.M | re.S)


@pytest.fixture(scope="module")
def generate_tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_tables", ROOT / "scripts" / "generate_tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tables_are_up_to_date(generate_tables: ModuleType) -> None:
    assert generate_tables.with_tables(README) == README, "run: python scripts/generate_tables.py"


def test_tables_need_no_data(generate_tables: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GFN_ENVS_DATA", str(tmp_path))
    assert generate_tables.environments_table() in README


def test_a_stale_table_is_noticed(generate_tables: ModuleType) -> None:
    stale = README.replace("<!-- agents:end -->", "| `gone` | | |\n<!-- agents:end -->")
    assert generate_tables.with_tables(stale) == README


def test_missing_markers_are_named(generate_tables: ModuleType) -> None:
    with pytest.raises(ValueError, match="agents:begin"):
        generate_tables.with_tables(README.replace("<!-- agents:begin -->", ""))


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, "not counted"), (65_536, "65,536"), (10**9, "about 10^9"), (2**120, "about 10^36")],
    ids=str,
)
def test_counts_are_readable(generate_tables: ModuleType, number: int | None, text: str) -> None:
    assert generate_tables.count(number) == text


def test_two_commands_start_everything() -> None:
    commands = fenced("bash")[0].split("\n")
    assert [command.split("#")[0].strip() for command in commands if command] == ["make demo", "make test"]


def test_make_targets_exist() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    named = {target for page in PAGES for target in re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text("utf-8"), re.M)}
    assert {"demo", "test"} <= set(targets)
    assert named <= set(targets)


def test_the_first_program_has_at_most_15_lines() -> None:
    assert len(fenced("python")[0].splitlines()) <= 15


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_every_published_experiment_is_linked() -> None:
    scripts = sorted(ROOT.glob("examples/papers/*.py"))
    published = {path.stem for path in scripts if re.search("^EXPERIMENTS? =", path.read_text("utf-8"), re.M)}
    assert published | {"gradient_analysis"} <= set(re.findall(r"\]\(../../examples/papers/(\w+)\.py\)", EXPERIMENTS))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8"))
    # The site writes its generated pages itself, and its build fails if one is missing.
    elsewhere = ("generated/", "../generated/")
    missing = [t for t in targets if "://" not in t and not t.startswith(elsewhere) and not (page.parent / t).exists()]
    assert not missing
