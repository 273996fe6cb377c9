"""A run holds what its environment was made with: arguments round-trip, files and functions are compared."""

import functools
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import agents
import gfn_envs
from agents.runs import directory as runs
from agents.runs import inputs
from agents.runs.differences import same
from agents.runs.sources import describe_source
from tests import forks

GRID = "GFN/HyperGrid-v0"
FASTA = ">A\nACGTACGT\n>B\nACGAACGA\n>C\nTTTTACGA\n>D\nTTTAACGG\n"
OTHER = ">A\nAAAAAAAA\n>B\nCCCCCCCC\n>C\nAAAAAAAC\n>D\nCCCCCCCA\n"
FILES = {
    "PhyloTree": ("alignment", "a.fasta", FASTA, OTHER, {}),
    "BayesNet": ("data", "d.csv", "a,b\n1,2\n2,1\n3,7\n", "a,b\n1,9\n2,1\n3,-7\n", {}),
    "Sequence": (
        "reward",
        "r.csv",
        "AA,1\nAC,2\nCA,3\nCC,4\n",
        "AA,9\nAC,2\nCA,3\nCC,1\n",
        {"alphabet": "AC", "length": 2},
    ),
    "FragmentMolecule": ("blocks", "b.smi", "*C\n*c1ccc(*)cc1\n*CO*\n", "*N\n*c1ccc(*)cc1\n*CO*\n", {"max_blocks": 3}),
    "InverseFolding": (
        *("distances", "x.csv", "0,4,9\n4,0,4\n9,4,0\n", "0,4,5\n4,0,4\n5,4,0\n"),
        {"alphabet": "CKL", "min_separation": 1},
    ),
    "Bag": ("modes", "m.txt", "AAB\nABB\n", "BBB\nABB\n", {"num_letters": 2, "capacity": 3, "repeats": 2}),
}


def train(dag, out, iterations=2, **options):
    agent = agents.make_agent("tb", dag, seed=0, hidden=(8,), replay="fifo", batch_size=8)
    agents.train(agent, iterations, out, progress=False, **options)
    return agent


def made(name):
    argument, path, _, _, more = FILES[name]
    return gfn_envs.make_dag(f"GFN/{name}-v0", **{argument: path}, **more)


@pytest.fixture(params=FILES)
def with_file(request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, path, text, other, _ = FILES[request.param]
    Path(path).write_text(text)
    try:
        dag = made(request.param)
    except (ImportError, ValueError) as error:
        pytest.skip(str(error))
    return request.param, dag, Path(path), other


def rewards(dag):
    return dag.log_reward(dag.terminal_states())


def test_a_changed_file_is_noticed(with_file):
    name, dag, path, other = with_file
    train(dag, "run")
    before = rewards(dag)
    path.write_text(other)
    with pytest.warns(UserWarning, match=rf"{path.name} has changed since the run was made"):
        loaded = agents.load_agent("run")
    np.testing.assert_array_equal(rewards(loaded.dag), before)
    with pytest.raises(agents.RunError, match=rf"{path} has changed since the run was made"):
        train(made(name), "run", 4, resume=True)
    with pytest.raises(agents.RunError, match=r"the reward has changed|of another environment"):
        agents.load_agent("run", dag=made(name))


def test_a_run_opens_elsewhere_and_without_its_file(with_file, monkeypatch):
    _, dag, path, _ = with_file
    train(dag, "run")
    os.mkdir("elsewhere")
    monkeypatch.chdir("elsewhere")
    np.testing.assert_array_equal(rewards(agents.load_agent("../run").dag), rewards(dag))
    (Path("..") / path).unlink()
    loaded = agents.load_agent("../run")
    np.testing.assert_array_equal(rewards(loaded.dag), rewards(dag))
    train(loaded.dag, "../run", 4, resume=True)
    assert agents.load_agent("../run").iteration == 4


def test_a_large_file_is_not_copied_but_found_and_compared(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(inputs, "COPIED_BYTES", 10)
    Path("a.fasta").write_text(FASTA)
    train(made("PhyloTree"), "run")
    assert not Path("run/inputs").exists()
    os.mkdir("elsewhere")
    monkeypatch.chdir("elsewhere")
    assert agents.load_agent("../run").iteration == 2
    Path("../a.fasta").write_text(OTHER)
    with pytest.raises(agents.RunError, match=r"alignment: .*/a.fasta has changed since the run was made"):
        agents.load_agent("../run")
    Path("../a.fasta").unlink()
    with pytest.raises(agents.RunError, match=r"alignment: .*/a.fasta is missing"):
        agents.load_agent("../run")


def test_a_word_is_no_file_although_a_file_has_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("standard").write_text("")
    train(gfn_envs.make_dag(GRID, ndim=1, side=4, reward="standard"), "run")
    assert runs.read_config(Path("run"))["env_arguments"]["reward"] == "standard"


# ---------------------------------------------------------------------- values


def equal(a, b):
    if isinstance(a, np.ndarray):
        return type(b) is np.ndarray and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, pd.Series):
        return a.equals(b) and a.index.equals(b.index)
    if isinstance(a, float) and a != a:
        return b != b
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, dict):
        return type(b) is dict and list(a) == list(b) and all(map(equal, a.values(), b.values()))
    return type(a) is type(b) and a == b


VALUES = [
    *(None, True, 3, 10**30, 0.1, float("nan"), float("inf"), -0.0, "text", "$text", "", "a\0b"),
    *(
        np.int64(4),
        np.uint8(200),
        np.float32(0.2),
        np.float64(0.1),
        np.bool_(True),
        np.float32("inf"),
        np.longdouble(0.1),
    ),
    *(Path("a/b"), (1, (2.5, "x")), [1, [2]], {"a": (1,), "b": {"c": None}}, {1: "a", (2, 3): [4]}, {"$tuple": [1]}),
    *(np.arange(3), np.zeros((0, 2)), np.array([[0.1, np.nan]]), np.array(2.0), np.arange(200.0).reshape(20, 10)),
    *(np.array(["A", "CC"]), np.array([1 + 2j]), np.arange(100, dtype=np.int8), np.arange(6.0).reshape(2, 3).T),
    *(pd.Series([1.0, 2.0], ["AA", "AC"]), [np.float32(1), np.arange(2)], {"x": np.int16(1)}),
]


@pytest.mark.parametrize("value", VALUES, ids=[f"{type(value).__name__}-{k}" for k, value in enumerate(VALUES)])
def test_values_come_back_exactly(tmp_path, value):
    copies = {}
    encoded = inputs.encode(value, copies)
    text = json.dumps(runs.finite(encoded))
    inputs.write_copies(tmp_path, copies)
    back = inputs.decode(json.loads(text), tmp_path, "here")
    assert equal(value, back), (value, back, text)
    assert same(json.loads(text), inputs.encode(back, {}))


def test_a_damaged_array_is_named(tmp_path):
    copies = {}
    encoded = inputs.encode(np.arange(200.0), copies)
    (name,) = copies
    inputs.write_copies(tmp_path, {name: copies[name][:-1] + b"x"})
    with pytest.raises(agents.RunError, match=rf"table: .*{name} is damaged"):
        inputs.decode(encoded, tmp_path, "table")
    with pytest.raises(agents.RunError, match=r"table: .*is damaged"):
        inputs.decode({"$array": {**encoded["$array"], "file": "../secret"}}, tmp_path, "table")


@pytest.mark.parametrize(
    "damaged",
    [{"$numpy": "no"}, {"$file": "x"}, {"$tuple": 3}, {"$dict": [1]}, {"$array": {}}, {"$new": 1}, {"$partial": []}],
)
def test_damaged_forms_are_one_error(tmp_path, damaged):
    with pytest.raises(agents.RunError, match=r"^here"):
        inputs.decode(damaged, tmp_path, "here", trust=True)


# ---------------------------------------------------------------------- functions

MINE = """
import sys
import agents, gfn_envs
pad = [object() for _ in range(1000 * int(sys.argv[1]))]
def reward(cells):
    return cells.sum(1) + 1.0
class Reward:
    def __call__(self, cells):
        return cells.sum(1) + 1.0
if __name__ == "__main__":
    given = reward if sys.argv[2] == "function" else Reward()
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=4, reward=given)
    agent = agents.make_agent("tb", dag, seed=0, hidden=(8,))
    agents.train(agent, iterations=int(sys.argv[1]), out=sys.argv[2], resume=len(sys.argv) > 3, progress=False)
"""


def script(folder, *arguments):
    command = [forks.python(), "mine.py", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("kind", ["function", "object"])
def test_a_reward_of_a_script_resumes_in_a_new_process(tmp_path, kind):
    (tmp_path / "mine.py").write_text(MINE)
    first = script(tmp_path, 3, kind)
    assert first.returncode == 0, first.stderr
    assert "reward = __main__:" in first.stderr
    resumed = script(tmp_path, 6, kind, "resume")
    assert resumed.returncode == 0, resumed.stderr
    if kind == "function":  # That its source has changed is noticed in the same way.
        return
    (tmp_path / "mine.py").write_text(MINE.replace("cells.sum(1) + 1.0", "cells.sum(1) + 2.0"))
    changed = script(tmp_path, 9, kind, "resume")
    assert changed.returncode == 1
    assert "reward: the source of __main__:" in changed.stderr
    assert "has changed since the run was made" in changed.stderr


LATER = "def reward(cells):\n    return cells.sum(1) + 1.0\n"


@pytest.fixture
def later(tmp_path, monkeypatch):
    """A module of the user's own, and a run with a function of it."""
    (tmp_path / "later_rewards.py").write_text(LATER)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    import later_rewards

    train(gfn_envs.make_dag(GRID, ndim=2, side=4, reward=later_rewards.reward), "run")
    del sys.modules["later_rewards"]
    yield Path("later_rewards.py")
    sys.modules.pop("later_rewards", None)


def test_a_module_is_imported_with_leave_only(later):
    with pytest.raises(
        agents.RunError, match=r"reward is later_rewards:reward, .*imported from .*later_rewards\.py.*trust"
    ):
        agents.load_agent("run")
    assert "later_rewards" not in sys.modules
    loaded = agents.load_agent("run", trust=True)
    assert rewards(loaded.dag).max() == pytest.approx(np.log(7))
    result = subprocess.run(
        [sys.executable, "-m", "agents", "evaluate", "run", "--trust"],
        env={**os.environ, "PYTHONPATH": f"{os.getcwd()}{os.pathsep}{Path(agents.__file__).parents[1]}"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr


def test_a_changed_function_is_named(later):
    later.write_text(LATER.replace("1.0", "20.0"))
    with pytest.raises(agents.RunError, match="the source of later_rewards:reward has changed"):
        agents.load_agent("run", trust=True)


def test_a_config_cannot_make_a_function_run_by_itself(later, tmp_path):
    config = runs.read_config(Path("run"))
    config["env_arguments"]["reward"] = {"$import": "os:system", "sha256": None, "file": None}
    runs.write_sealed(Path("run") / runs.CONFIG, config)
    with pytest.raises(agents.RunError, match="os:system"):
        agents.load_agent("run")


def test_names_of_code():
    assert describe_source(np.prod)["$import"] == "numpy:prod"
    assert "$code" in describe_source(lambda: 0)
    assert "$object" in describe_source(types.SimpleNamespace(a=1))
    partial = functools.partial(np.power, 2, dtype=float)
    assert inputs.encode(partial, {})["$partial"][1] == [2]


def test_another_reward_is_refused(tmp_path):
    dag = gfn_envs.make_dag(GRID, ndim=2, side=4, reward=lambda cells: 1.0 + cells.sum(1))
    with pytest.warns(UserWarning, match=r"reward = .*<lambda> cannot be imported"):
        train(dag, tmp_path)
    other = gfn_envs.make_dag(GRID, ndim=2, side=4, reward=lambda cells: 2.0 + cells.sum(1))
    with pytest.raises(agents.RunError, match=r"the reward has changed .*log R of object"):
        agents.load_agent(tmp_path, dag=other)
    with pytest.raises(agents.RunError, match=r"of another environment .*num_actions 3 != 4"):
        agents.load_agent(tmp_path, dag=gfn_envs.make_dag(GRID, ndim=3, side=4))
    assert agents.load_agent(tmp_path, dag=dag).iteration == 2


def test_an_agent_without_batches_has_a_probe(tmp_path):
    dag = gfn_envs.make_dag(GRID, ndim=2, side=4)
    agents.train(agents.make_agent("mcmc", dag), 2, tmp_path, progress=False)
    probe = runs.read_config(tmp_path)["probe"]
    assert len(probe["states"]) == len(probe["log_reward"]) > 3


def test_provenance(tmp_path):
    dag = gfn_envs.make_dag(GRID, ndim=2, side=4)
    train(dag, tmp_path)
    train(dag, tmp_path, 4, resume=True)
    config = runs.read_config(tmp_path)
    assert len(config["provenance"]) == 2
    last = config["provenance"][-1]
    assert last["versions"]["torch"]
    assert last["versions"]["gfn_envs"] == gfn_envs.__version__
    assert last["command"] == sys.argv
    assert config["engine"] in ("numba", "torch")
