"""A fork does the same as a new Python process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import forks

PROGRAMS = {
    "words": "import os, sys; print(sys.argv, os.getcwd(), os.environ['NAME'], sys.stdin.read())",
    "exit code": "raise SystemExit(3)",
    "message": "raise SystemExit('why')",
    "exit handlers": "import atexit; atexit.register(print, 'end'); print('begin')",
    "signal": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_a_fork_equals_a_process(program: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(program)
    environment = {**os.environ, "NAME": "value"}
    for words in (["-c", program, "a b"], ["mine.py", "1"], ["-m", "mine"]):
        start = {"cwd": tmp_path, "env": environment, "input": "given", "text": True, "capture_output": True}
        real, fork = (subprocess.run([python, *words], **start) for python in (sys.executable, forks.python()))
        assert (fork.returncode, fork.stdout, fork.stderr) == (real.returncode, real.stdout, real.stderr)


def test_an_exception_is_printed() -> None:
    done = subprocess.run([forks.python(), "-c", "1 / 0"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_signals_reach_the_fork(sent: int) -> None:
    program = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    process = subprocess.Popen(
        [forks.python(), "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    pid = int(process.stdout.readline())
    process.send_signal(sent)
    began = time.monotonic()
    process.communicate()
    assert time.monotonic() - began < 10
    assert process.returncode == (1 if sent == signal.SIGINT else -sent)
    while True:  # A killed client cannot wait for the fork.
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            break
        assert time.monotonic() - began < 10
        time.sleep(0.01)
