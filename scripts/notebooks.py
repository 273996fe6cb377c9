"""Tutorials as Jupyter notebooks, such as for Colab: docs/generated/notebooks, linked from each tutorial.

docs/conf.py connects :func:`add_link`, and :func:`write` runs before each build.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat

INSTALL = '%pip install --quiet "gfn-envs[agents,plot,mols]"'
CELL = re.compile(r"^```\{code-cell\} ipython3\n(.*?)^```$", re.M | re.S)


def notebook(text: str) -> nbformat.NotebookNode:
    """A tutorial in MyST Markdown as a notebook. Links to pages of the site become their text."""
    body = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.S)
    body = re.sub(r"\[([^\]]+)\]\((?!https?:)[^)]+\)", r"\1", body)
    cells = [nbformat.v4.new_code_cell(INSTALL)]
    for k, part in enumerate(CELL.split(body)):
        if part.strip():
            make = nbformat.v4.new_code_cell if k % 2 else nbformat.v4.new_markdown_cell
            cells.append(make(part.strip()))
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"  # The same tutorial is the same file.
    return nbformat.v4.new_notebook(
        cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    )


def write(docs: Path) -> None:
    """Write docs/generated/notebooks/NAME.ipynb of every tutorial."""
    folder = docs / "generated" / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted((docs / "tutorials").glob("*.md")):
        nbformat.write(notebook(path.read_text("utf-8")), folder / f"{path.stem}.ipynb")


def add_link(app: Any, name: str, source: list[str]) -> None:
    """Hook of Sphinx: a link to the notebook below the title of a tutorial."""
    if name.startswith("tutorials/"):
        link = f"{{download}}`As a notebook <../generated/notebooks/{name.split('/')[1]}.ipynb>`"
        source[0] = re.sub(r"^(# .+)$", rf"\1\n\n{link}", source[0], count=1, flags=re.M)
