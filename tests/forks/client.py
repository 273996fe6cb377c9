#!/usr/bin/env -S python3 -SE
"""Run a Python program as a fork of the server whose socket lies beside this file. Called gfn, run gfn."""

import contextlib
import json
import os
import signal
import socket
import sys
import time

words = sys.argv[1:] if os.path.basename(sys.argv[0]) == "python" else ["-m", "gfn_command", *sys.argv[1:]]
request = {"argv": words, "folder": os.getcwd(), "environment": dict(os.environ)}
message = json.dumps(request).encode()
connection = socket.socket(socket.AF_UNIX)
for _ in range(3000):  # The server may not be up yet.
    with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
        connection.connect(os.path.join(os.path.dirname(sys.argv[0]), "socket"))
        break
    time.sleep(0.02)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, _: connection.send(bytes([number])))
socket.send_fds(connection, [len(message).to_bytes(4, "big")], [0, 1, 2])
connection.sendall(message)
ended = int(connection.recv(16) or 1)
if ended < 0:
    signal.signal(-ended, signal.SIG_DFL)
    os.kill(os.getpid(), -ended)
sys.exit(ended)
