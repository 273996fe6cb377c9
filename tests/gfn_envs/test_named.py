"""Functions, classes and environments that are named as module:name."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import gfn_envs
from gfn_envs import cli, named, plugins
from gfn_envs.registration import environment_parameters, known_ids

GRID = "GFN/HyperGrid-v0"
MODULE = """
import numpy as np
import gfn_envs
from gfn_envs.envs.hypergrid.hypergrid import HyperGrid

class Walk(HyperGrid):
    "Walk on a small grid."
    def __init__(self, side: int = 3, score=None, note: str = ""):
        super().__init__(ndim=2, side=side)
        self.arguments = {**self.arguments, "side": side, "score": score, "note": note}
        self.score, self.note = score, note

def low(cells):
    return 1.0 + cells.sum(1)

def nothing():
    return 1.0

NUMBER = 3
gfn_envs.register("Mine/Walk-v0", Walk, side=4)
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with own_parts.py, which is the working directory and not on the import path."""
    (tmp_path / "own_parts.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place not in ("", str(tmp_path))])
    monkeypatch.setattr(named, "_search_here", True)
    yield tmp_path
    for name in ("own_parts", "broken", "wrong"):
        sys.modules.pop(name, None)
    gymnasium.registry.pop("Mine/Walk-v0", None)


def test_environments_by_module_and_id_or_class(mine: Path) -> None:
    assert gfn_envs.make_dag("own_parts:Mine/Walk-v0").side == 4
    assert gfn_envs.make_dag("own_parts:Walk").side == 3
    assert gfn_envs.make_dag("own_parts:Mine/Walk-v0", side=5).side == 5
    assert gymnasium.make("own_parts:Mine/Walk-v0").unwrapped.dag.side == 4
    assert environment_parameters("own_parts:Mine/Walk-v0")["side"].default == 4


def test_functions_by_name(mine: Path) -> None:
    dag = gfn_envs.make_dag(GRID, side=3, reward="own_parts:low")
    corner = np.array([[2, 2, 1]], dtype=dag.state_dtype)
    np.testing.assert_allclose(dag.log_reward(corner), [np.log(5.0)])
    assert dag.arguments["reward"] is sys.modules["own_parts"].low
    env = gymnasium.make(GRID, side=3, reward="own_parts:low")
    assert env.unwrapped.dag.arguments["reward"] is sys.modules["own_parts"].low
    # An argument without annotation can be a function, one that is text cannot.
    own = gfn_envs.make_dag("own_parts:Walk", score="own_parts:low", note="own_parts:low")
    assert (own.score, own.note) == (sys.modules["own_parts"].low, "own_parts:low")


def test_only_commands_search_the_working_directory(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named, "_search_here", False)
    with pytest.raises(ImportError, match="there is no module 'own_parts'"):
        gfn_envs.make_dag("own_parts:Walk")
    assert str(mine) not in sys.path
    named.search_working_directory()
    assert str(mine) not in sys.path  # until a module is named
    assert gfn_envs.make_dag("own_parts:Walk").side == 3


@pytest.mark.parametrize(
    ("id", "arguments", "error", "message"),
    [
        ("own_part:Walk", {}, ImportError, "there is no module 'own_part' (searched: .*; did you mean 'own_parts'?"),
        ("own_parts:Wlak", {}, ValueError, "own_parts registers no 'Wlak'; did you mean"),
        ("own_parts:Mine/Wlak-v0", {}, ValueError, "registers no 'Mine/Wlak-v0'; did you mean 'Mine/Walk-v0'?"),
        ("own_parts:NUMBER", {}, TypeError, "own_parts:NUMBER is not a subclass of gfn_envs.Dag"),
        (".:Walk", {}, ImportError, "'.' is not the name of a module"),
        ("broken:Walk", {}, ImportError, "broken raised ZeroDivisionError: division by zero (.*broken.py, line 2)"),
        ("wrong:Walk", {}, ImportError, "importing wrong raised SyntaxError: .*wrong.py, line 1)"),
        ("leaves:Walk", {}, ImportError, "importing leaves raised SystemExit: 3 (.*leaves.py, line 2)"),
        ("needs:Walk", {}, ImportError, "importing needs raised ModuleNotFoundError: No module named 'no_such_thing'"),
        (GRID, {"reward": "own_parts:lwo"}, ValueError, "reward: own_parts (.*) has no 'lwo'; did you mean 'low'?"),
        (GRID, {"reward": "own_parts:NUMBER"}, TypeError, "own_parts:NUMBER is not callable: it is of type int"),
        (GRID, {"reward": "own_parts:nothing"}, TypeError, "own_parts:nothing() is called with 1 argument"),
        (GRID, {"reward": "no_module:x"}, ImportError, "HyperGrid: reward: there is no module 'no_module'"),
    ],
)
def test_errors_are_one_line_that_says_what_and_where(
    mine: Path, id: str, arguments: dict[str, str], error: type[Exception], message: str
) -> None:
    (mine / "broken.py").write_text("x = 0\n1 / x\n")
    (mine / "wrong.py").write_text("def f(:\n")
    (mine / "leaves.py").write_text("import sys\nsys.exit(3)\n")
    (mine / "needs.py").write_text("import no_such_thing\n")
    pattern = re.escape(message).replace(r"\.\*", ".*").replace(r".\*", ".*")
    with pytest.raises(error, match=pattern) as caught:
        gfn_envs.make_dag(id, **arguments)
    assert "\n" not in str(caught.value)


def test_a_path_with_a_colon_stays_a_path(mine: Path) -> None:
    (mine / "table:txt").write_text("AA 1\nAC 2\nCA 3\nCC 4\n")
    arguments = {"score": "table:txt"}
    assert named.with_callables(lambda score: None, arguments, "here") == arguments


def test_the_command_checks_and_lists_them(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.check(["own_parts:Mine/Walk-v0", "--env.side", "3"]) == 0
    assert "is well formed on every state" in capsys.readouterr().out
    assert cli.envs(["own_parts:Mine/Walk-v0"]) == 0
    assert "--env.side (default 4)" in capsys.readouterr().out
    assert cli.check(["own_part:Mine/Walk-v0"]) == 2
    assert capsys.readouterr().err.startswith("error: environment 'own_part:Mine/Walk-v0': there is no module")


@pytest.fixture
def plugin(mine: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package with an environment in its entry points, and one that is broken."""
    package = mine / "site" / "plugin-1.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1\n")
    points = "[gfn_envs.environments]\nPlugin/Walk-v0 = own_parts:Walk\nPlugin/Gone-v0 = gone:Walk\n"
    (package / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(mine / "site")
    plugins.entry_points.cache_clear()
    yield
    plugins.entry_points.cache_clear()
    gymnasium.registry.pop("Plugin/Walk-v0", None)


@pytest.mark.usefixtures("plugin")
def test_installed_packages_bring_environments(capsys: pytest.CaptureFixture[str]) -> None:
    assert {"Plugin/Walk-v0", "Plugin/Gone-v0"} <= set(known_ids())
    assert "own_parts" not in sys.modules  # not before it is asked for
    assert gfn_envs.make_dag("Plugin/Walk-v0").side == 3
    assert "Plugin/Walk-v0" in gfn_envs.registered_ids()
    with pytest.raises(ImportError, match="Plugin/Gone-v0 of the installed package plugin: there is no module 'gone'"):
        gfn_envs.make_dag("Plugin/Gone-v0")
    with pytest.raises(ValueError, match=r"did you mean 'Plugin/Walk-v0'\?"):
        gfn_envs.make_dag("Plugin/Wakl-v0")
    assert cli.envs([]) == 0
    listed = capsys.readouterr().out
    assert "Walk on a small grid." in listed
    assert "there is no module 'gone'" in listed
