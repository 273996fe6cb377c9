"""Modules that a run's settings name are imported only if allowed, whatever its file says about their sources."""

import json
import sys

import pytest

import agents
import gfn_envs
from agents.cli import training_config
from agents.runs import files
from agents.runs.sources import names_within
from agents.schedules import schedule

SETTINGS = {
    "explorer": "hostile_part:Own",
    "explorer with keywords": "temperature(of='hostile_part:heat')",
    "replay": "hostile_part:Scheme",
    "optimizer": "hostile_part:Opt(momentum=0.5)",
    "lr": "1e-3,1e-4,5,hostile_part:shape",
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run, and on the import path a module that leaves a mark when it is imported."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "hostile_part.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w').close()\n")
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=3)
    agents.train(agents.make_agent("tb", dag, hidden=(4,), batch_size=4), 1, tmp_path / "run", progress=False)
    yield tmp_path / "run"
    sys.modules.pop("hostile_part", None)


@pytest.mark.parametrize("part", SETTINGS)
def test_a_name_that_the_file_does_not_describe_is_not_imported(run, part):
    path, name = run / "config.json", part.split()[0]
    config = json.loads(path.read_text())
    config["settings"][name] = SETTINGS[part]
    files.write_sealed(path, config)
    for reopen in (lambda: agents.load_agent(run), lambda: training_config.read(path, False, list(config))):
        with pytest.raises(agents.RunError, match=rf"{name} is hostile_part:\w+, which would be imported"):
            reopen()
        assert not (run.parent / "mark").exists()


def test_names_within_settings():
    assert names_within("optimizer", "sgd(momentum=0.5)") == names_within("device", "mine:cuda") == []
    assert names_within("explorer", "a.b:C(x='d:e')") == ["a.b:C", "d:e"]
    assert names_within("lr", schedule("1,2,3,cosine")) == names_within("lr", schedule(3)) == []
    assert names_within("lr", "1,2,3,mine:shape") == ["mine:shape"]
