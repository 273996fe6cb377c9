"""Python programs as forks of one process that has imported the packages: each starts in 30 ms instead of 1.5 s.

``python tests/forks/server.py SOCKET`` listens. client.py, called python or gfn, sends its arguments, environment
variables, folder and open files, forwards signals, and exits as the fork does. If the client is killed, so is the fork.

Tests of how a process starts, and of its limits, start a real one with ``sys.executable``.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
#: Modules that most commands import.
MODULES = ["agents.runs.train", "agents.engines.numba.engine", "matplotlib.figure", "scipy.stats", "tyro"]
MODULES += [f"agents.cli.{path.stem}" for path in sorted((ROOT / "agents" / "cli").glob("*.py"))]


def load_kernels() -> None:
    """Load the compiled kernels of Numba, or compile them."""
    import agents
    import gfn_envs

    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", side=2)
    agents.make_agent("tb", dag, hidden=(4,), engine="numba").update()


def receive(connection: socket.socket) -> dict[str, Any]:
    """The message of a client. Its three standard files replace those of this process."""
    size, files, _, _ = socket.recv_fds(connection, 4, 3)
    for place, file in enumerate(files):
        os.dup2(file, place)
        os.close(file)
    message = b""
    while len(message) < int.from_bytes(size, "big"):
        message += connection.recv(65536)
    return json.loads(message)


def follow(pid: int, connection: socket.socket) -> None:
    """Pass signals on to a process until it ends, and tell the client how it ended."""
    end = os.pidfd_open(pid)
    while end not in (ready := select.select([connection, end], [], [])[0]):
        if ready:
            sent = connection.recv(1)
            os.kill(pid, sent[0] if sent else signal.SIGKILL)
            if not sent:
                break
    _, status = os.waitpid(pid, 0)
    connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())


def serve(path: str) -> dict[str, Any]:
    """Accept clients until the parent ends. Returns only in the forks, with the message of the client."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(16)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Nobody waits for those who follow.
    parent = os.getppid()
    while os.getppid() == parent:
        if not select.select([listener], [], [], 1)[0]:
            continue
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            request = receive(connection)
            pid = os.fork()
            if pid == 0:
                connection.close()
                return request
            for place in range(3):
                os.close(place)
            try:
                follow(pid, connection)
            finally:
                os._exit(0)
        connection.close()
    os._exit(0)


def run(argv: list[str], folder: str, environment: dict[str, str]) -> None:
    """Run ``python ARGV`` in this process."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[1:1] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    first, *words = argv
    if first == "-m":
        sys.argv, sys.path[0] = words, folder
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.argv, sys.path[0] = ["-c", *words[1:]], folder
        exec(compile(words[0], "<string>", "exec"), vars(sys.modules["__main__"]))
    else:
        sys.argv, sys.path[0] = argv, str(Path(first).resolve().parent)
        runpy.run_path(first, run_name="__main__")


def main() -> None:
    sys.path[0] = str(ROOT)
    for name in MODULES:
        import_module(name)
    load_kernels()
    gc.collect()
    gc.freeze()  # Collections in forks would copy the memory that they share.
    request = serve(sys.argv[1])
    code = 1
    try:
        run(request["argv"], request["folder"], request["environment"])
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    # Taking apart all the modules would take a second.
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
