"""The compared libraries: their virtual environments and the measured processes."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ENVIRONMENTS = ROOT / ".peers"

#: Arguments of successive pip install calls. torchgfn's torch comes first, so that no other package selects it.
PACKAGES = {
    "gfnx": [["-r", str(HERE / "gfnx-requirements.txt")]],
    "torchgfn": [["torch==2.13.0"], ["-r", str(HERE / "torchgfn-requirements.txt")]],
}


@functools.cache
def python_of(library: str) -> str:
    """Python interpreter of a library. The first use of a peer creates its virtual environment.

    Raises:
        SystemExit: pip could not install the peer.
    """
    if library == "ours":
        return sys.executable
    folder = ENVIRONMENTS / library
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    complete, wanted = folder / "complete", _fingerprint(library)
    if complete.exists() and complete.read_text() == wanted:
        print(f"{library}: using {folder.relative_to(ROOT)}", flush=True)
        return str(python)
    print(f"{library}: creating {folder.relative_to(ROOT)} from PyPI, once; this takes minutes", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    for packages in PACKAGES[library]:
        command = [str(python), "-m", "pip", "install", *packages]
        print(f"{library}: pip install {' '.join(packages)}", flush=True)
        if subprocess.run(command).returncode:
            raise SystemExit(f"{library} could not be installed: see pip's message above ({' '.join(command)})")
    complete.write_text(wanted)
    return str(python)


def _fingerprint(library: str) -> str:
    """Hash of the requirements and the Python version. A change creates the environment again."""
    requirements = (HERE / f"{library}-requirements.txt").read_bytes()
    return hashlib.sha256(requirements + sys.version.encode()).hexdigest()


class Worker:
    """A process of one library that waits for requests, so that only one library computes at a time.

    Args:
        library: "ours", "gfnx" or "torchgfn".
        script: file name in ``workers/``. Its docstring describes the task and the requests.
        task: settings of the process.
        python: interpreter, from :func:`python_of`.
    """

    def __init__(self, library: str, script: str, task: dict[str, Any], python: str):
        self.name = f"{library} ({script})"
        self.errors = tempfile.TemporaryFile(mode="w+")  # noqa: SIM115 (closed with the worker)
        self.process = subprocess.Popen(
            [python, str(HERE / "workers" / script), "--task", json.dumps(task)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=_environment(library, task),
        )
        self._answer()

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer.

        Raises:
            RuntimeError: the process ended. The message contains the end of its output.
        """
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            self.errors.seek(0)
            raise RuntimeError(f"{self.name} ended with code {code}:\n{self.errors.read()[-3000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        self.errors.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _environment(library: str, task: dict[str, Any]) -> dict[str, str]:
    """Environment variables of a worker. OMP_NUM_THREADS sets torch's thread pool; gfnx (XLA) keeps its defaults."""
    variables = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "OMP_NUM_THREADS")}
    if library == "ours":
        variables["PYTHONPATH"] = str(ROOT)
    if "threads" in task:
        variables["OMP_NUM_THREADS"] = str(task["threads"])
    return variables
