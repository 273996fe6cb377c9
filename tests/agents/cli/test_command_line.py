"""The command line: errors of one line, help with examples, commands that run without torch."""

import subprocess
import sys

import pytest
import torch

import agents
import gfn_envs
from agents.cli import main as cli
from agents.runs import directory as runs
from tests.helpers import small_dag

GRID = "GFN/HyperGrid-v0"
FLAGS = ["--env.ndim", "2", "--env.side", "4", "--agent.hidden", "16", "--no-progress", "--no-figures"]


def gfn(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        cli.main([*map(str, arguments)])
    return stop.value.code, capsys.readouterr()


def refused(capsys, *arguments):
    """The one line that a command fails with."""
    code, printed = gfn(capsys, *arguments)
    assert code == 2
    (line,) = printed.err.strip().splitlines()
    return line


@pytest.fixture
def run(tmp_path):
    agent = agents.make_agent("tb", small_dag(GRID, {"ndim": 2, "side": 4}), hidden=(8,))
    agents.train(agent, 3, tmp_path / "run", progress=False)
    return tmp_path / "run"


# ---------------------------------------------------------------------- one line each


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([GRID, "--threads", "-1"], ["--threads", "at least 1", "-1"]),
        ([GRID, "--threads", "0"], ["--threads", "at least 1", "0"]),
        ([GRID, "--seed", "-1"], ["--seed", "-1"]),
        ([GRID, "--seed", str(2**64)], ["--seed", str(2**64)]),
        ([GRID, "--env.reward-kwargs", "abc"], ["--env.reward-kwargs", "'abc'", "{'name': value}"]),
        ([GRID, "--env.reward-kwargs", "[1, 2]"], ["--env.reward-kwargs", "'[1, 2]'", "{'name': value}"]),
        ([GRID, "--out", "/proc/no/run", "--iterations", "1", *FLAGS], ["/proc/no"]),
        (["GFN/Sequence-v0", "--env.alphabet", "AB", "--env.length", "2", "--env.reward", "nope.txt"], ["nope.txt"]),
    ],
)
def test_bad_settings_of_training(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = refused(capsys, "train", "tb", *arguments)
    assert all(word in line for word in words), line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "tb", "GFN/BayesNet-v0", "--env.data", "none.csv"], "BayesNet: data='none.csv': no such file"),
        (["check", "GFN/TSP-v0", "--env.cities", "."], "TSP: cities='.': is a directory"),
        (["train", "--config", "none.json"], "--config none.json: no such file"),
        (["evaluate", "run", "--reference", "none.npy"], "--reference none.npy: no such file"),
        (["evaluate", "run", "--test-objects=."], "--test-objects .: is a directory"),
        (["evaluate", "run", "--known", "none.smi"], "--known none.smi: no such file"),
        (["sample", "run", "--exclude", "none.csv", "--num", "2"], "--exclude none.csv: no such file"),
        (["blocks", "none.smi", "--out", "blocks.smi"], "blocks: library='none.smi': no such file"),
    ],
)
def test_files_that_cannot_be_read_are_named_with_their_flag(arguments, message, capsys, run, monkeypatch):
    monkeypatch.chdir(run.parent)
    assert refused(capsys, *arguments) == f"error: {message}"


def test_a_mapping_of_arguments_is_read(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = [*FLAGS, "--iterations", 1, "--env.reward-kwargs"]
    assert gfn(capsys, "train", "tb", GRID, *flags, "{'R0': 0.5}", "--out", "a")[0] == 0
    assert runs.read_config(tmp_path / "a")["env_arguments"]["reward_kwargs"] == {"R0": 0.5}
    assert gfn(capsys, "train", "tb", GRID, *flags, "None", "--out", "b")[0] == 0


def test_tensorboard_that_is_not_installed(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    line = refused(capsys, "train", "tb", GRID, *FLAGS, "--iterations", 2, "--out", tmp_path / "run", "--tensorboard")
    assert "pip install 'gfn-envs[tensorboard]'" in line
    assert not list(tmp_path.iterdir())


def test_training_that_fails(tmp_path):
    command = [sys.executable, "-m", "agents", "train", "tb", GRID, *FLAGS, "--agent.lr", "1e39"]
    result = subprocess.run([*command, "--out", tmp_path / "run"], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()  # It would also hold NumPy's warnings.
    assert "NaN" in line


@pytest.fixture
def large_run(tmp_path):
    """A run on more states than can be listed, so that figures are of samples."""
    agent = agents.make_agent("tb", gfn_envs.make_dag(GRID, ndim=8, side=8), hidden=(8,))
    runs.write_json(tmp_path / "run" / runs.CONFIG, {**runs.describe(agent), "iterations": 3})
    runs.save_checkpoint(tmp_path / "run", agent, {})
    return tmp_path / "run"


@pytest.mark.parametrize("command", ["evaluate", "plot"])
def test_a_network_that_gives_nan(capsys, large_run, command):
    run = large_run
    state = torch.load(run / runs.CHECKPOINT, weights_only=True)
    for weights in state["agent"]["policy"].values():
        weights.fill_(float("nan"))
    torch.save(state, run / runs.CHECKPOINT)
    assert "NaN" in refused(capsys, command, run)


@pytest.mark.parametrize("command", ["evaluate", "plot"])
def test_an_environment_without_legal_actions(capsys, large_run, command, monkeypatch):
    error = agents.errors.NoLegalActionError("row 0 of the batch has no legal action")
    monkeypatch.setattr(agents.Agent, "sample_trajectories", raises(error))
    assert "no legal action" in refused(capsys, command, large_run)


def test_training_without_legal_actions(capsys, tmp_path, monkeypatch):
    error = agents.errors.NoLegalActionError("row 0 of the batch has no legal action")
    monkeypatch.setattr(agents.Agent, "sample_trajectories", raises(error))
    assert "no legal action" in refused(capsys, "train", "tb", GRID, *FLAGS, "--out", tmp_path / "run")
    assert not list(tmp_path.iterdir())


def raises(error):
    def function(*arguments, **kwargs):
        raise error

    return function


@pytest.mark.parametrize("command", ["evaluate", "plot"])
@pytest.mark.parametrize("damage", ["file", "directory", "bytes", "settings"])
def test_what_is_not_a_run(capsys, tmp_path, run, command, damage):
    given, config = run, run / runs.CONFIG
    if damage == "file":
        given = tmp_path / "file"
        given.write_text("mine")
    elif damage == "directory":
        config.unlink()
        config.mkdir()
    else:
        config.write_bytes(b"\xff" if damage == "bytes" else b'{"agent": "tb"}')
    line = refused(capsys, command, given)
    assert str(given) in line
    assert runs.CONFIG in line


def test_a_seed_of_evaluation(capsys, run):
    assert "--seed must lie in [0, 2^64), got -1" in refused(capsys, "evaluate", run, "--seed", -1)


def test_a_data_set_that_cannot_be_read(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("GFN_ENVS_DATA", str(tmp_path))
    file = tmp_path / gfn_envs.data.registry.DATASETS["qm9str"].file
    file.write_bytes(b"secret")
    monkeypatch.setattr(type(file), "read_bytes", raises(PermissionError(13, "Permission denied", str(file))))
    line = refused(capsys, "data", "fetch", "qm9str")
    assert "Permission denied" in line
    assert str(file) in line


# ---------------------------------------------------------------------- help


def test_help_of_training_names_agents_and_environments(capsys):
    code, printed = gfn(capsys, "train", "--help")
    assert code == 0
    words = ["usage: gfn train AGENT ENV", "--iterations", "--seed", "--out", "gfn train tb GFN/HyperGrid-v0 --help"]
    assert all(word in printed.out for word in [*words, *agents.AGENTS, *gfn_envs.registered_ids()])


def test_help_of_an_agent_names_its_settings_and_the_environments(capsys):
    code, printed = gfn(capsys, "train", "tb", "--help")
    assert code == 0
    words = [
        "usage: gfn train tb ENV",
        "Malkin",
        "--iterations",
        "--agent.lr-log-z",
        "gfn train tb GFN/HyperGrid-v0 --help",
    ]
    assert all(word in printed.out for word in [*words, *gfn_envs.registered_ids()])


def test_help_of_an_unknown_agent(capsys):
    assert "did you mean 'tb'" in refused(capsys, "train", "tbb", "--help")
    known = refused(capsys, "train", "tb", "GFN/HyperGrid-v0", "--zzzz").split("known: ")[1]
    assert "--agent.engine" in known
    assert "--agent.compiled" not in known


@pytest.mark.parametrize("arguments", [["agents"], ["check", "GFN/Bag-v0", "--max-states", "0"]])
def test_a_closed_pipe_is_not_an_error(arguments):
    command = [sys.executable, "-m", "agents", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 1


# ---------------------------------------------------------------------- without torch


def without(package, *arguments):
    """`gfn` as installed, in a Python without one package."""
    code = f"import sys; sys.modules[{package!r}] = None; from agents.cli.main import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("package", ["torch", "tyro"])
@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--help"],
        ["data", "list"],
        ["data", "path"],
        ["envs"],
        ["envs", GRID],
        ["check", "GFN/Bag-v0", "--max-states", "0"],
        ["check", GRID, "--env.side", "3"],
    ],
)
def test_commands_on_environments_need_neither_torch_nor_tyro(package, arguments):
    result = without(package, *arguments)
    assert result.returncode == 0, result.stderr
    assert result.stdout


@pytest.mark.parametrize("package", ["torch", "tyro"])
@pytest.mark.parametrize("arguments", [["train", "tb", GRID], ["agents"], ["evaluate", "runs/demo"]])
def test_commands_on_agents_name_the_missing_package(package, arguments):
    result = without(package, *arguments)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert line.endswith('; all but gfn data, gfn check and gfn envs need: pip install "gfn-envs[agents]"')
    assert package in line


def test_importing_agents_and_its_command_line_loads_no_torch():
    code = "import sys, agents, agents.cli.main; print({'torch', 'tyro', 'matplotlib'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


@pytest.mark.parametrize("name", agents.__all__)
def test_public_names_are_loaded_at_first_use(name):
    assert getattr(agents, name) is not None
    assert name in dir(agents)


def test_an_unknown_public_name():
    with pytest.raises(AttributeError, match="module 'agents' has no attribute 'trian'"):
        agents.trian  # noqa: B018


@pytest.mark.parametrize("command", ["train", "evaluate", "compare", "plot", "agents", "check", "data", "envs"])
def test_every_command_has_help_with_an_example(capsys, command):
    code, printed = gfn(capsys, command, "--help")
    assert code == 0
    assert f"usage: gfn {command}" in printed.out
    assert "xample" in printed.out
