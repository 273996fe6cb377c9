"""Calls of an oracle on a cluster, by Ray."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from gfn_envs.oracle.call import Reply, Worker
from gfn_envs.reward_errors import OracleError


def connect(address: str) -> Any:
    """The module ray, connected to the cluster at ``address``.

    Args:
        address: "auto" for a cluster of this machine, "HOST:PORT", "ray://HOST:PORT", or "local": Ray is started here.

    Raises:
        ImportError: Ray is not installed.
        OracleError: no cluster answers.
    """
    try:
        import ray
    except ImportError as error:
        message = f"the address {address!r} of an oracle needs Ray: pip install 'gfn-envs[ray]'"
        raise ImportError(message) from error
    if ray.is_initialized():
        return ray
    failure = f"no Ray cluster answers at {address!r}: start one (ray start --head), or give workers without an address"
    place = re.fullmatch(r"(?:ray://)?([^:/]+):(\d+)", address)
    if place is not None:
        # Ray itself tries for minutes.
        try:
            socket.create_connection((place[1], int(place[2])), timeout=5).close()
        except (OSError, OverflowError) as error:
            raise OracleError(failure) from error
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise OracleError(failure) from error
    return ray


class RaySlot:
    """Calls in an actor, a process somewhere in the cluster.

    Args:
        ray: the module, connected.
        function: pickled by cloudpickle.
    """

    def __init__(self, ray: Any, function: bytes):
        self.ray, self.function = ray, function

    def start(self) -> Future[Any]:
        self.actor = self.ray.remote(num_cpus=1, max_restarts=0)(Worker).remote()
        return self.actor.load.remote(self.function, sys.path, None).future()

    def call(self, objects: Sequence[Any], batched: bool, limit: float | None) -> Future[Reply]:
        return self.actor.call.remote(objects, batched, limit).future()

    def kill(self) -> None:
        if self.ray.is_initialized():
            self.ray.kill(self.actor, no_restart=True)
