"""Ray processes that call one function. The only module that imports ray."""

from __future__ import annotations

import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from agents.sweeps.record import Outcome

#: Seconds in which a Ray must answer at its address.
CONNECT = 5.0
#: Bytes of Ray's object store if Ray is started here. Runs are files, so the store is hardly used.
OBJECT_STORE = 100 * 2**20
INSTALL = "sweeps need Ray, which is not installed: pip install 'gfn-envs[ray]'"


class RayWorkers:
    """Workers of one Ray. If a worker dies, its call is repeated on another one, so calls must be able to resume.

    Args:
        call: function of ``place``, a run's name and its flags that trains, and returns how the run ended. Ray imports
            it by its name.
        place: what the function needs to know of the sweep.
        ray: the module, of :func:`connected`.
        limit: maximum number of parallel calls. None: as many as Ray has room for.
        cores: cores that a call reserves, and its number of threads.
        gpus: GPUs that a call reserves; a part of 1 lets calls share one.
        retries: how often a call is repeated because its worker died.
    """

    def __init__(
        self,
        call: Callable[[Any, str, Sequence[str]], Outcome],
        place: Any,
        ray: Any,
        limit: int | None = None,
        cores: int = 1,
        gpus: float = 0.0,
        retries: int = 3,
    ):
        self.place, self.ray, self.limit, self.retries = place, ray, limit, retries
        self.task = ray.remote(call).options(num_cpus=cores, num_gpus=gpus, max_retries=retries)
        self.waiting: deque[tuple[str, Sequence[str]]] = deque()
        self.running: dict[Any, str] = {}

    def submit(self, name: str, words: Sequence[str]) -> None:
        """Call the function once there is room."""
        self.waiting.append((name, words))
        self._fill()

    def _fill(self) -> None:
        while self.waiting and (self.limit is None or len(self.running) < self.limit):
            name, words = self.waiting.popleft()
            self.running[self.task.remote(self.place, name, words)] = name

    @property
    def busy(self) -> bool:
        """True if a call has not ended."""
        return bool(self.running)

    def wait(self, seconds: float) -> list[tuple[str, Outcome]]:
        """The calls that ended since the last wait. Returns after ``seconds`` at the latest, or once one has ended."""
        if not self.running:
            return []
        references = list(self.running)
        self.ray.wait(references, num_returns=1, timeout=seconds, fetch_local=False)
        ended, _ = self.ray.wait(references, num_returns=len(references), timeout=0, fetch_local=False)
        found = [(self.running.pop(reference), self._outcome(reference)) for reference in ended]
        self._fill()
        return found

    def _outcome(self, reference: Any) -> Outcome:
        try:
            return self.ray.get(reference)
        except self.ray.exceptions.TaskCancelledError:
            return Outcome(error="interrupted")
        except self.ray.exceptions.RayTaskError as error:
            return Outcome(error=_first_line(error.cause or error), output=str(error)[-4000:])
        except self.ray.exceptions.RayError as error:
            again = f"after {self.retries} retries" if self.retries else "without retries"
            return Outcome(error=f"the worker died ({type(error).__name__}) {again}", output=str(error)[-4000:])

    def cancel(self) -> None:
        """Interrupt all calls, as Ctrl-C does. Waiting calls are dropped."""
        self.waiting.clear()
        for reference in self.running:
            self.ray.cancel(reference, force=False)


@contextlib.contextmanager
def connected(address: str | None, workers: int | None) -> Iterator[Any]:
    """The module ray, connected until the end of the block.

    Args:
        address: "HOST:PORT" of a running Ray, or "auto" for the one of this machine. None starts one on this machine.
        workers: cores of a Ray that is started here. Default: all.

    Raises:
        ImportError: Ray is not installed.
        ConnectionError: no Ray answers at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no reports on its use to the makers of Ray
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # no warning about GPUs
    try:
        import ray
    except ImportError as error:
        raise ImportError(INSTALL) from error
    if address is not None:
        _check_address(address)
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        ray.init("local", num_cpus=workers, include_dashboard=False, object_store_memory=OBJECT_STORE, **common)
    else:
        try:
            ray.init(address, **common)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ConnectionError(f"--address {address}: {_first_line(error)}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Raise ConnectionError unless a server listens at the address. Ray itself would wait for a minute."""
    if address == "auto":
        return
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or "/" in address:
        raise ConnectionError(f"--address {address}: expected HOST:PORT, such as 10.0.0.1:6379, or auto")
    try:
        with socket.create_connection((host, int(port)), timeout=CONNECT) as connection:
            spoken = os.environ.get("RAY_USE_TLS", "0") != "0" or _speaks_grpc(connection)
        reason = "another server does"
    except (OSError, OverflowError) as error:
        spoken, reason = False, getattr(error, "strerror", None) or str(error)
    if not spoken:
        start = f"start one there with: ray start --head --port {port}"
        raise ConnectionError(f"--address {address}: no Ray answers ({reason}); {start}")


def _speaks_grpc(connection: socket.socket) -> bool:
    """True if the server greets as one of HTTP/2 does, with a frame of settings (RFC 9113, 3.4)."""
    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
    frame = connection.recv(9)
    return len(frame) == 9 and frame[3] == 4


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.split("\n")[0]
