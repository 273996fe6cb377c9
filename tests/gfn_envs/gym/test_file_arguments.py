"""Arguments of environments that are files: a file that cannot be read is named with its argument, on one line."""

from __future__ import annotations

import os
import re
import typing
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import gfn_envs
from gfn_envs.registration import environment_parameters

#: Arguments that take the path of a file without saying so in their type.
MORE = {("GFN/BayesNet-v0", "data"), ("GFN/Mutation-v0", "wild_type"), ("GFN/GFP-v0", "wild_type")}
#: Other arguments, with which the file is read.
OTHERS: dict[tuple[str, str], dict[str, Any]] = {
    ("GFN/FragmentMolecule-v0", "target"): {"reward": "similarity"},
    ("GFN/AtomMolecule-v0", "target"): {"reward": "similarity"},
    ("GFN/GFP-v0", "table"): {"wild_type": "MSK", "max_mutations": 2},
}


def file_arguments() -> list[tuple[str, str]]:
    """(environment, argument) of every registered environment."""
    return [
        (id, name)
        for id in gfn_envs.ENVIRONMENTS
        for name, parameter in environment_parameters(id).items()
        if os.PathLike[str] in typing.get_args(parameter.annotation) or (id, name) in MORE
    ]


@pytest.mark.parametrize(("id", "argument"), file_arguments())
def test_files_that_cannot_be_read_are_named_with_their_argument(id: str, argument: str, tmp_path: Path) -> None:
    suffix = "fasta" if argument == "wild_type" else "csv"
    folder, missing = tmp_path / f"folder.{suffix}", tmp_path / f"missing.{suffix}"
    folder.mkdir()
    name = id.removeprefix("GFN/").removesuffix("-v0")
    for path, reason, kind in [
        (missing, "no such file|is neither a file nor one of DS1, .*", FileNotFoundError),
        (folder, "is a directory", IsADirectoryError),
    ]:
        with pytest.raises(kind, match=f"^{name}: {argument}[ =]'{re.escape(str(path))}':? ({reason})$"):
            gfn_envs.make_dag(id, **OTHERS.get((id, argument), {}), **{argument: str(path)})


def test_gymnasium_names_them_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n")

    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(PermissionError, match=f"^BayesNet: data='{path}': permission denied$"):
        gymnasium.make("GFN/BayesNet-v0", data=str(path))
    with pytest.raises(PermissionError, match=f"^FragmentMolecule: target='{path}': permission denied$"):
        gfn_envs.make_dag("GFN/FragmentMolecule-v0", reward="similarity", target=path)
