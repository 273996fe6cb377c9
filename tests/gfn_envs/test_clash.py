"""Another project's package named agents is reported when gfn_envs is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import agents
from gfn_envs.clash import foreign_agents

ROOT = Path(__file__).resolve().parents[2]


def test_this_project_is_known() -> None:
    assert foreign_agents({"agents": agents}) is None
    assert foreign_agents({}) is None


def test_another_project_is_named() -> None:
    other = ModuleType("agents")
    assert "an unknown place is not that of gfn-envs" in str(foreign_agents({"agents": other}))
    other.__file__ = "/site-packages/agents/__init__.py"
    assert "/site-packages/agents/__init__.py is not that of gfn-envs" in str(foreign_agents({"agents": other}))


def test_importing_gfn_envs_warns_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "__init__.py").write_text('"""Agents that call tools."""\n', "utf-8")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    command = [sys.executable, "-c", "import agents\nimport gfn_envs"]
    found = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert found.stderr.count("RuntimeWarning: the package agents in ") == 1, found.stderr
    assert len(found.stderr.splitlines()) <= 2, found.stderr
