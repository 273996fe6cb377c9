"""The programs of docs/interop.md and docs/interop/ run, and learn what the pages say. They are fenced as ``py``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.interop.conftest import exact_means

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = [DOCS / "interop.md", *sorted((DOCS / "interop").glob("*.md"))]
PROGRAMS = {
    f"{page.stem}-{i}": code
    for page in PAGES
    for i, code in enumerate(re.findall(r"^```py\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S))
}
#: Longest first: they are shared out over the processes in this order.
SLOW = ["rllib-1", "torchrl-1", "minari-0", "skrl-1", "tianshou-1", "cleanrl-0", "mo_gymnasium-0", "rllib-0"]
ORDER = [*SLOW, *sorted(PROGRAMS.keys() - set(SLOW))]


def test_every_library_has_a_program() -> None:
    assert {page.stem for page in PAGES} - {"interop", "soft_rl"} == {name.split("-")[0] for name in PROGRAMS}


@pytest.mark.parametrize("name", ORDER)
def test_programs_learn(name: str, run_in_root: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    file = tmp_path / "program.py"  # a file, because processes of collectors import it
    file.write_text(PROGRAMS[name], "utf-8")
    out = run_in_root(str(file))
    for total_variation in re.findall(r"exact total variation (\S+)", out):
        assert float(total_variation) < 0.01, out
    for learned, target in exact_means(out):
        assert learned > target, out  # The algorithm maximizes: it exceeds an exact sampler's mean.
    assert ("exact" in out) == ("import exact" in PROGRAMS[name] or "evaluate" in PROGRAMS[name])
    transitions = re.search(r"^(\d+) transitions", out, re.M)
    assert transitions is None or int(transitions[1]) <= 40_000, out
