"""Messages between the processes of a training. The only place that calls ``torch.distributed``."""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from gfn_envs.arrays import FloatArray

#: A process that stays silent for this long is lost, for example because its machine was switched off. It also limits
#: evaluations by process 0, for which the others wait. A process that ends is noticed immediately.
TIMEOUT = datetime.timedelta(hours=2)
#: Path of the file through which processes started by ``gfn train --processes`` find each other.
STORE = "GFN_PROCESS_STORE"
#: Variables that torchrun sets.
TORCHRUN = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class LostProcessError(ConnectionError):
    """Another process of the training has ended or does not answer."""


@contextlib.contextmanager
def lost_process(rank: int, size: int) -> Iterator[None]:
    """Errors of torch.distributed as LostProcessError."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).strip().split("\n")[0]
        raise LostProcessError(
            f"process {rank} of {size} (counted from 0) has lost another one, which has ended or does not answer; the "
            f"last checkpoint is intact ({reason})"
        ) from error


class Group:
    """All processes of the default group of ``torch.distributed``, connected by gloo.

    Raises:
        RuntimeError: ``torch.distributed`` is not initialized.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.
    """

    def __init__(self) -> None:
        if not (dist.is_available() and dist.is_initialized()):
            raise RuntimeError(
                'distributed=True needs torch.distributed.init_process_group("gloo"), in a script started by torchrun'
            )
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        # Communication on the CPU, whatever the default group is for.
        self.processes = dist.group.WORLD if dist.get_backend() == "gloo" else dist.new_group(backend="gloo")

    def bounds(self, n: int) -> tuple[int, int]:
        """First and last + 1 of the items of this process out of ``n``."""
        return n * self.rank // self.size, n * (self.rank + 1) // self.size

    def add(self, values: torch.Tensor) -> None:
        """Replace ``values`` by their sum over the processes, bit-identical in every process."""
        with lost_process(self.rank, self.size):
            dist.all_reduce(values, group=self.processes)

    def sum(self, value: float) -> float:
        """Sum over the processes, in double precision."""
        total = torch.tensor([value], dtype=torch.float64)
        self.add(total)
        return total.item()

    def gather(self, arrays: Sequence[np.ndarray]) -> list[list[np.ndarray]]:
        """The arrays of every process, in the order of the processes.

        Args:
            arrays: as many as in the other processes, of the same dtypes and the same shapes but for the first axis.
        """
        lengths = np.array([len(array) for array in arrays], dtype=np.int64)
        table = self._gather(lengths).reshape(self.size, len(arrays))
        row = [array.dtype.itemsize * int(np.prod(array.shape[1:])) for array in arrays]
        sizes = table @ np.array(row)
        own = np.zeros(sizes.max(), dtype=np.uint8)
        own[: sizes[self.rank]] = np.concatenate([np.ascontiguousarray(a).reshape(-1).view(np.uint8) for a in arrays])
        every = self._gather(own).reshape(self.size, -1)
        found = []
        for content, counts in zip(every, table, strict=True):
            ends = np.cumsum(counts * row)
            parts = [content[end - n : end] for end, n in zip(ends, counts * row, strict=True)]
            found.append([p.view(a.dtype).reshape(-1, *a.shape[1:]) for p, a in zip(parts, arrays, strict=True)])
        return found

    def _gather(self, values: np.ndarray) -> np.ndarray:
        """Arrays of the same size from every process, one after another."""
        own = torch.from_numpy(values)
        every = torch.empty(self.size * len(values), dtype=own.dtype)
        with lost_process(self.rank, self.size):
            dist.all_gather(list(every.chunk(self.size)), own, group=self.processes)
        return every.numpy()

    def gather_floats(self, values: FloatArray) -> FloatArray:
        """Float64 arrays (n,) of every process, concatenated."""
        return np.concatenate([part[0] for part in self.gather([values])])

    def broadcast(self, content: bytes | None) -> bytes:
        """The bytes that process 0 gives. The others give None."""
        size = torch.tensor([0 if content is None else len(content)])
        with lost_process(self.rank, self.size):
            dist.broadcast(size, 0, group=self.processes)
            sent = torch.empty(int(size), dtype=torch.uint8)
            if content is not None:
                sent = torch.frombuffer(bytearray(content), dtype=torch.uint8)
            dist.broadcast(sent, 0, group=self.processes)
        return sent.numpy().tobytes()

    def any(self, *flags: bool) -> list[bool]:
        """True for each flag that is set in at least one process."""
        found = torch.tensor(flags, dtype=torch.uint8)
        with lost_process(self.rank, self.size):
            dist.all_reduce(found, op=dist.ReduceOp.MAX, group=self.processes)
        return found.bool().tolist()


def join() -> bool:
    """Connect this process to the others, if ``gfn train --processes`` or ``torchrun`` started it.

    Returns:
        Whether there are others.

    Raises:
        LostProcessError: they do not answer.
    """
    if STORE not in os.environ and any(name not in os.environ for name in TORCHRUN):
        return False
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if size < 2:
        return False
    settings: dict[str, Any] = {"init_method": f"file://{os.environ[STORE]}"} if STORE in os.environ else {}
    if not dist.is_initialized():
        with lost_process(rank, size):
            dist.init_process_group("gloo", rank=rank, world_size=size, timeout=TIMEOUT, **settings)
    return True


def leave() -> bool:
    """Close the connections of :func:`join`. Returns whether this is process 0."""
    first = dist.get_rank() == 0
    dist.destroy_process_group()
    return first
