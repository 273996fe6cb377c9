"""Learning curves of the agents' pages: complete, continued after an interruption, and by the exact distance."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

import agents
import gfn_envs

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def curves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The script, with its files in another folder, on a small grid."""
    spec = importlib.util.spec_from_file_location("draw_curves", ROOT / "scripts" / "draw_curves.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    small = {"FOLDER": tmp_path, "RUNS": tmp_path / "curves.json", "GRID": {"ndim": 2, "side": 3}, "SEEDS": (0,)}
    for name, value in (small | {"POINTS": [60, 120]}).items():
        monkeypatch.setattr(module, name, value)
    return module


def test_every_agent_has_a_curve() -> None:
    folder = ROOT / "docs" / "curves"
    runs = json.loads((folder / "curves.json").read_text("utf-8"))
    assert set(runs) == set(agents.AGENTS)
    assert {path.stem for path in folder.glob("*.svg")} == set(agents.AGENTS)
    lengths = {len(values) for seeds in runs.values() for values in seeds.values()}
    assert len(lengths) == 1
    assert all(set(seeds) == {"0", "1", "2"} for seeds in runs.values())


def test_distances_are_exact(curves: ModuleType) -> None:
    dag = gfn_envs.make_dag(curves.ENVIRONMENT, **curves.GRID)
    agent = agents.make_agent("random", dag)
    assert curves.distance(agent) == pytest.approx(agents.evaluate(agent)["tv"])
    chain = agents.make_agent("mcmc", dag)
    chain.update()
    assert curves.distance(chain) == pytest.approx(agents.evaluate(chain)["empirical_tv"])


def test_an_interrupted_program_goes_on(curves: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = {"random": {"0": [0.5, 0.25]}}
    curves.RUNS.write_text(json.dumps(stored), "utf-8")
    monkeypatch.setattr("sys.argv", ["draw_curves.py", "random", "mcmc"])
    curves.main()
    found = json.loads(curves.RUNS.read_text("utf-8"))
    assert found["random"] == stored["random"]
    assert len(found["mcmc"]["0"]) == 2
    assert {path.name for path in curves.FOLDER.iterdir()} == {"curves.json", "mcmc.svg", "random.svg"}
    before = (curves.FOLDER / "mcmc.svg").read_bytes()
    monkeypatch.setattr("sys.argv", ["draw_curves.py", "--draw", "mcmc"])
    curves.main()
    assert (curves.FOLDER / "mcmc.svg").read_bytes() == before
