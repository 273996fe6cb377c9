"""The code in the documentation runs.

The Python blocks of README.md, CONTRIBUTING.md and docs/*.md are executed in an empty directory, those of one file in
order and in one namespace. A bash block is executed too if the line before it is ``<!-- run -->``. A traceback names
the file and line of the documentation.

``PYTHONPATH=. python tests/docs/test_docs.py README.md`` does the same for one file.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import types
import warnings
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import forks
from tests.helpers import run_fork

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(str(path.relative_to(ROOT)) for pattern in ("*.md", "docs/**/*.md") for path in ROOT.glob(pattern))
FILES = [name for name in FILES if not name.startswith(("docs/generated/", "docs/tutorials/"))]
SECONDS = 240
BLOCK = re.compile(r"^(?P<run><!-- run -->\n\n?)?```(?P<language>\w*)\n(?P<code>.*?)^```$", re.M | re.S)


class Block(NamedTuple):
    language: str
    line: int  # line number of the first line of code, from 1
    code: str


def blocks(text: str) -> list[Block]:
    """The blocks of a Markdown text that are executed."""
    found = []
    for match in BLOCK.finditer(text):
        language = match["language"]
        if language == "python" or (language == "bash" and match["run"]):
            found.append(Block(language, text[: match.start("code")].count("\n") + 1, match["code"]))
    return found


def run_file(path: Path) -> None:
    """Execute the blocks of ``path`` in order, in this process and directory."""
    # Classes defined in a block must be importable from __main__, as in a script.
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    for block in blocks(path.read_text("utf-8")):
        print(f"--- {path.name}, line {block.line}", flush=True)
        if block.language == "bash":
            subprocess.run(["bash", "-euo", "pipefail", "-c", block.code], check=True)
        else:
            exec(compile("\n" * (block.line - 1) + block.code, path, "exec"), vars(main))


@pytest.mark.timeout(SECONDS + 20)
@pytest.mark.parametrize("name", [name for name in FILES if blocks((ROOT / name).read_text("utf-8"))])
def test_blocks_run(name: str, tmp_path: Path) -> None:
    for folder in ("examples", "benchmarks"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    python = forks.python()
    folders = [Path(python).parent, Path(sys.executable).parent]
    variables = os.environ | {
        "PATH": os.pathsep.join([*map(str, folders), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(tmp_path),
        "MPLBACKEND": "Agg",
        "OMP_NUM_THREADS": "1",
    }
    with (tmp_path / "output.txt").open("w+b") as output:
        command = [python, __file__, str(ROOT / name)]
        done = subprocess.run(command, cwd=tmp_path, env=variables, stdout=output, stderr=output, timeout=SECONDS)
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    assert done.returncode == 0, f"{name} does not run (exit code {done.returncode}):\n{text[-9000:]}"


def test_blocks_are_found_in_order_with_their_lines() -> None:
    text = "a\n```python\nx = 1\n```\n<!-- run -->\n```bash\ntrue\n```\n```bash\nfalse\n```\n```text\nno\n```\n"
    assert blocks(text) == [Block("python", 3, "x = 1\n"), Block("bash", 7, "true\n")]


def test_a_failing_block_is_reported_with_its_line(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nx = 1\n```\n\n```python\nprint(x)\nraise RuntimeError(x)\n```\n")
    ran = run_fork(__file__, str(page))
    assert ran.returncode != 0
    assert 'page.md", line 7' in ran.stderr


if __name__ == "__main__":
    warnings.filterwarnings("error", category=DeprecationWarning, module="__main__")
    run_file(Path(sys.argv[1]).resolve())
