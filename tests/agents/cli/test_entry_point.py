"""``gfn`` before its modules are loaded: version, light commands, Ctrl-C, and another package named agents."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import agents
import gfn_command
import gfn_envs
from agents.cli import main as cli
from gfn_envs import cli as environments
from tests.helpers import run_fork

GRID = "GFN/HyperGrid-v0"


@pytest.mark.parametrize("main", [cli.main, environments.main])
def test_the_version(capsys, main):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"gfn-envs {gfn_envs.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        ([], ["numpy", "gymnasium", "torch", "tyro"]),
        (["--help"], ["numpy", "gymnasium", "torch", "tyro"]),
        (["--version"], ["torch", "tyro", "matplotlib"]),
        (["envs"], ["torch", "tyro", "matplotlib"]),
        (["data", "list"], ["torch", "tyro", "matplotlib"]),
        (["check", GRID, "--env.side", "3"], ["torch", "tyro", "matplotlib"]),
    ],
)
def test_light_commands_load_little(arguments, heavy):
    code = (
        "import sys, gfn_command\n"
        "try: gfn_command.main()\n"
        f"except SystemExit as stop: print('loaded', {{*{heavy}}} & {{*sys.modules}}, stop.code)"
    )
    result = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "loaded set() 0"


# ---------------------------------------------------------------------- Ctrl-C

INTERRUPTED_AT = """
import os, signal, sys, time

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == MODULE:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)

sys.meta_path.insert(0, Interrupt())
import gfn_command
gfn_command.main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT")
@pytest.mark.parametrize(
    "module",
    [
        "agents",
        "agents.cli.main",
        "gfn_envs",
        "numpy",
        "numpy._core._multiarray_umath",
        "gymnasium",
        "agents.cli.train",
        "tyro",
        "torch",
        "torch._C",
        "agents.registry",
    ],
)
def test_an_interrupt_while_modules_are_loaded_is_quiet(module, tmp_path):
    code = INTERRUPTED_AT.replace("MODULE", repr(module))
    command = [sys.executable, "-c", code, "train", "tb", GRID, "--iterations", "1"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (result.returncode, result.stderr, result.stdout) == (130, "interrupted\n", "")
    assert not list(tmp_path.iterdir())


def test_an_interrupt_of_a_command_is_heard_as_ever(tmp_path):
    code = INTERRUPTED_AT.replace("MODULE", "'agents.engines.numba.engine'")  # loaded when an agent is made
    command = [sys.executable, "-c", code, "train", "tb", GRID, "--env.side", "4", "--agent.engine", "numba"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (result.returncode, result.stderr) == (130, "interrupted; continue with --resume\n")


def test_an_ignored_interrupt_stays_ignored(tmp_path):
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)" + INTERRUPTED_AT.replace("MODULE", "'numpy'")
    command = [sys.executable, "-c", code, "check", "GFN/Bag-v0", "--max-states", "0"]
    assert subprocess.run(command, capture_output=True, cwd=tmp_path, check=False).returncode == 0


def test_the_handler_is_put_back_for_the_command(monkeypatch):
    handlers = {signal.SIGINT: signal.default_int_handler}
    monkeypatch.setattr(signal, "getsignal", handlers.get)
    monkeypatch.setattr(signal, "signal", handlers.__setitem__)
    monkeypatch.setattr(sys, "argv", ["gfn", "data", "path"])
    seen = []
    monkeypatch.setattr(environments, "data", lambda *_, **__: seen.append(handlers[signal.SIGINT]) or 0)
    with pytest.raises(SystemExit):
        gfn_command.main()
    assert seen == [signal.default_int_handler]


# ---------------------------------------------------------------------- another package named agents


def test_our_package_begins_as_the_entry_point_expects():
    assert Path(agents.__file__).read_text("utf-8").startswith(gfn_command.FIRST_WORDS)
    assert gfn_command.foreign_agents() is None


@pytest.mark.parametrize("form", ["package", "module", "namespace"])
def test_another_package_named_agents_is_named(form, tmp_path):
    other = tmp_path / "agents"
    if form == "module":
        (tmp_path / "agents.py").write_text("raise SystemExit('it was imported')\n")
    else:
        other.mkdir()
    if form == "package":
        (other / "__init__.py").write_text("raise SystemExit('it was imported')\n")
    code = f"import sys; import gfn_command; sys.path.insert(0, {str(tmp_path)!r})\n"
    if form == "namespace":  # Found only if no other agents is on the path.
        code += f"sys.path[:] = [{str(tmp_path)!r}, *[p for p in sys.path if 'lib' in p]]; sys.meta_path[:] = "
        code += "[f for f in sys.meta_path if 'editable' not in str(f).lower()]\n"
    code += "gfn_command.main()"
    environment = {**os.environ, "PYTHONPATH": str(Path(gfn_command.__file__).parent)}
    command = [sys.executable, "-c", code, "envs"]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert result.returncode == 2, result
    (line,) = result.stderr.splitlines()
    where = tmp_path if form == "module" else other
    assert line.startswith(
        f"error: the package agents in {where} is not that of gfn-envs; install gfn-envs in a virtual"
    )


def test_garbage_is_collected_once_modules_are_loaded():
    code = (
        "import gc, gfn_command; gc.disable(); gfn_command.loaded(); print(gc.isenabled(), gc.get_freeze_count() > 9)"
    )
    assert run_fork("-c", code).stdout == "True True\n"
