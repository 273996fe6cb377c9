"""Replay of objects: a buffer of distinct terminal states with their log rewards."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from agents.memory import object_bytes, say_if_much
from agents.replay.saved import check_same_buffer, checked_tensor, environment_signature
from agents.replay.schemes import Scheme, Stored, scheme_named
from gfn_envs.arrays import FloatArray, IntArray, row_keys
from gfn_envs.dag import Dag
from gfn_envs.validation import positive_int, shown


class ReplayBuffer:
    """Distinct objects with their log rewards. Adding an object again changes nothing.

    Args:
        dag: the environment the objects belong to.
        capacity: maximum number of objects.
        scheme: which objects are kept and drawn: a name in :data:`~agents.replay.schemes.SCHEMES`, ``module:name``, or
            a :class:`~agents.replay.schemes.Scheme`.
        keep_paths: also keep the actions of a trajectory to each object, the first one added.

    Raises:
        ValueError: capacity < 1, or an unknown scheme.
    """

    def __init__(
        self, dag: Dag, capacity: int = 100_000, scheme: str | Scheme = "prioritized", keep_paths: bool = False
    ):
        self.dag, self.scheme = dag, scheme_named(scheme) if isinstance(scheme, str) else scheme
        self.capacity = positive_int("capacity", capacity, "ReplayBuffer")
        say_if_much(f"a replay buffer of {self.capacity:,} objects", self.capacity * object_bytes(dag))
        self.keep_paths = keep_paths
        self._clear(0)

    def _clear(self, room: int) -> None:
        self._rows = np.empty((room, self.dag.state_width), dtype=self.dag.state_dtype)
        self._log_reward, self._losses = np.empty(room), np.empty(room)
        self._serial = np.empty(room, dtype=np.int64)
        self._next_serial = 0
        # Slot of each object, by its row as bytes; and, once the buffer is full, a heap of the next to drop.
        self._slot: dict[bytes, int] = {}
        self._queue: list[tuple[float, int, bytes]] | None = None
        self._paths: dict[bytes, IntArray] = {}
        self._drawn = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._slot)

    @property
    def objects(self) -> IntArray:
        """The objects, (m, state_width), in no particular order. A read-only view, valid until the next ``add``."""
        return _read_only(self._rows[: len(self)])

    @property
    def log_reward(self) -> FloatArray:
        """log R of :attr:`objects`, float64 (m,), in the same order. Also a read-only view."""
        return _read_only(self._log_reward[: len(self)])

    def add(self, objects: IntArray, log_reward: FloatArray, paths: Sequence[IntArray] | None = None) -> int:
        """Add objects that are not in the buffer.

        If it is full, the objects of lowest rank are dropped, possibly new ones. An object that was dropped earlier
        counts as new.

        Args:
            objects: terminal states (n, state_width).
            log_reward: finite, (n,).
            paths: the forward actions of a trajectory to each object; needed if the buffer keeps them.

        Returns:
            Number of objects that were added and kept.

        Raises:
            ValueError: no paths for a buffer that keeps them, wrong shapes, or a non-finite log reward. The message
                names the object.
        """
        objects, log_reward = self._checked(objects, log_reward)
        if self.keep_paths and (paths is None or len(paths) != len(objects)):
            raise ValueError(f"ReplayBuffer: expected a path to each of {len(objects)} objects")
        keys = row_keys(objects).tolist()
        first = dict(zip(reversed(keys), reversed(range(len(keys))), strict=True))
        fresh = sorted(row for key, row in first.items() if key not in self._slot)
        free = min(len(fresh), self.capacity - len(self))
        fits, over = fresh[:free], fresh[free:]
        if fits:
            slots = range(len(self), len(self) + free)
            self._write(slots, [keys[row] for row in fits], objects[fits], log_reward[fits])
        if over:
            admitted = self.scheme.admits(self.stored, objects[over], log_reward[over])
            over = [row for row, good in zip(over, admitted, strict=True) if good]
        if over:
            self._replace([keys[row] for row in over], objects[over], log_reward[over])
        kept = [row for row in fresh if keys[row] in self._slot]
        if paths is not None and self.keep_paths:
            self._paths.update((keys[row], np.array(paths[row], dtype=np.int32)) for row in kept)
        return len(kept)

    def sample(self, n: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        """A batch drawn by the scheme.

        Returns:
            ``(objects, log_reward)``: (k, state_width) and (k,), where k = n unless the scheme draws distinct objects
            and the buffer holds fewer.

        Raises:
            ValueError: n < 1, or an empty buffer.
        """
        if n < 1 or not len(self):
            raise ValueError(f"ReplayBuffer: cannot draw {n} objects from a buffer of {len(self)}; both must be >= 1")
        self._drawn = chosen = self._checked_draw(self.scheme.draw(self.stored, n, rng))
        return self._rows.take(chosen, axis=0), self._log_reward.take(chosen)

    @property
    def stored(self) -> Stored:
        """The arrays that schemes see."""
        m = len(self)
        ages = self._next_serial - 1 - self._serial[:m]
        return Stored(self.objects, self.log_reward, _read_only(ages), _read_only(self._losses[:m]))

    def _checked_draw(self, chosen: Any) -> IntArray:
        """Indices that a scheme drew, as int64. Raises ValueError if they are not valid."""
        chosen, m = np.asarray(chosen), len(self)
        good = chosen.ndim == 1 and len(chosen) and np.issubdtype(chosen.dtype, np.integer)
        if not good or not 0 <= chosen.min() <= chosen.max() < m:
            raise ValueError(
                f"ReplayBuffer: scheme {self.scheme.name!r} must draw indices in [0, {m}), int64 (at least 1,), got "
                f"{shown(chosen)}"
            )
        return chosen.astype(np.int64, copy=False)

    def set_losses(self, losses: FloatArray) -> None:
        """Losses (k,) of the trajectories to the objects of the last :meth:`sample`."""
        self._losses[self._drawn] = losses

    def paths(self, objects: IntArray) -> list[IntArray]:
        """The forward actions of the kept trajectories to ``objects``, which the buffer holds."""
        keys = row_keys(np.ascontiguousarray(objects, dtype=self.dag.state_dtype)).tolist()
        return [self._paths[key] for key in keys]

    # ------------------------------------------------------------------ adding

    def _replace(self, keys: list[bytes], objects: IntArray, log_reward: FloatArray) -> None:
        """Add new objects to a full buffer if their ranks are high enough."""
        if self._queue is None:
            rank = self.scheme.rank(self.objects, self.log_reward).tolist()
            serial = self._serial[: len(self)].tolist()
            self._queue = list(zip(rank, serial, row_keys(self.objects).tolist(), strict=True))
            heapq.heapify(self._queue)
        start = self._next_serial
        entries = zip(
            self.scheme.rank(objects, log_reward).tolist(), range(start, start + len(keys)), keys, strict=True
        )
        left = list(map(heapq.heappushpop, repeat(self._queue), entries))
        slots = [self._slot.pop(key) for _, serial, key in left if serial < start]
        for _, _, key in left:
            self._paths.pop(key, None)
        rejected = {key for _, serial, key in left if serial >= start}
        stay = [row for row, key in enumerate(keys) if key not in rejected]
        self._write(slots, [keys[row] for row in stay], objects[stay], log_reward[stay], stay)
        self._next_serial = start + len(keys)

    def _write(
        self,
        slots: Sequence[int],
        keys: list[bytes],
        objects: IntArray,
        log_reward: FloatArray,
        ages: Sequence[int] | None = None,
    ) -> None:
        """Write objects to slots. ``ages``, by default 0, 1, ..., are relative to the next serial number."""
        ages = range(len(keys)) if ages is None else ages
        if not keys:
            return
        if max(slots) >= len(self._rows):
            room = min(self.capacity, max(2 * len(self._rows), max(slots) + 1, 1024))
            self._rows, self._log_reward, self._serial, self._losses = (
                np.concatenate([old, np.empty((room - len(old), *old.shape[1:]), dtype=old.dtype)])
                for old in (self._rows, self._log_reward, self._serial, self._losses)
            )
        where = np.array(slots)
        self._rows[where], self._log_reward[where], self._losses[where] = objects, log_reward, np.inf
        self._serial[where] = self._next_serial + np.array(ages)
        self._next_serial += len(keys)
        self._slot.update(zip(keys, slots, strict=True))

    def _checked(self, objects: IntArray, log_reward: FloatArray) -> tuple[IntArray, FloatArray]:
        objects = np.ascontiguousarray(objects, dtype=self.dag.state_dtype)
        log_reward = np.asarray(log_reward, dtype=np.float64)
        if objects.ndim != 2 or objects.shape[1] != self.dag.state_width or log_reward.shape != (len(objects),):
            raise ValueError(
                f"ReplayBuffer: objects must have shape (n, {self.dag.state_width}) and log_reward (n,), "
                f"got {objects.shape} and {log_reward.shape}"
            )
        if not np.isfinite(log_reward).all():
            bad = int(np.argmin(np.isfinite(log_reward)))
            name = self.dag.object_names(objects[bad : bad + 1])[0]
            raise ValueError(f"ReplayBuffer: the log reward of object {name} is {log_reward[bad]}; allowed: finite")
        return objects, log_reward

    # ------------------------------------------------------------------ checkpoints

    def state_dict(self) -> dict[str, Any]:
        """State that later batches depend on: tensors, numbers and strings."""
        more: dict[str, Any] = {}
        if self.scheme.needs_losses:
            more["losses"] = torch.from_numpy(self._losses[: len(self)].copy())
        if self.keep_paths:
            paths = self.paths(self.objects)
            more["path_lengths"] = torch.tensor([len(path) for path in paths], dtype=torch.int64)
            more["paths"] = torch.from_numpy(np.concatenate([np.empty(0, dtype=np.int32), *paths]))
        return more | {
            "environment": environment_signature(self.dag),
            "scheme": self.scheme.name,
            "capacity": self.capacity,
            "next_serial": self._next_serial,
            "objects": torch.from_numpy(self._rows[: len(self)].copy()),
            "log_reward": torch.from_numpy(self._log_reward[: len(self)].copy()),
            "serial": torch.from_numpy(self._serial[: len(self)].copy()),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore :meth:`state_dict`; the buffer continues bit for bit. If it raises, the buffer is unchanged.

        Raises:
            ValueError: the state is damaged, or of another environment, scheme or capacity.
        """
        check_same_buffer(
            "ReplayBuffer",
            state,
            {"environment": environment_signature(self.dag), "scheme": self.scheme.name, "capacity": self.capacity},
        )
        m = len(state["objects"]) if torch.is_tensor(state.get("objects")) and state["objects"].ndim else 0
        rows, log_reward, serial = (
            checked_tensor("ReplayBuffer", state, name, shape, dtype)
            for name, shape, dtype in [
                ("objects", (m, self.dag.state_width), self.dag.state_dtype),
                ("log_reward", (m,), np.dtype(np.float64)),
                ("serial", (m,), np.dtype(np.int64)),
            ]
        )
        losses, paths = self._saved_more(state, m)
        keys, next_serial = row_keys(rows).tolist(), state.get("next_serial")
        bad = {
            f"{m} objects in a buffer of capacity {self.capacity}": m > self.capacity,
            "a log reward that is not finite": not np.isfinite(log_reward).all(),
            "a duplicate object": len(set(keys)) < m,
            f"serial numbers that are not distinct and below next_serial = {next_serial!r}": not isinstance(
                next_serial, int
            )
            or len(np.unique(serial)) < m
            or (m > 0 and not 0 <= serial.min() <= serial.max() < next_serial),
        }
        if found := [what for what, wrong in bad.items() if wrong]:
            raise ValueError(f"ReplayBuffer: the saved buffer is damaged: {'; '.join(found)}")
        self._clear(0)
        self._rows, self._log_reward, self._serial, self._next_serial = rows, log_reward, serial, next_serial  # type: ignore[assignment]
        self._losses = np.full(m, np.inf) if losses is None else losses
        self._slot = dict(zip(keys, range(m), strict=True))
        self._paths = dict(zip(keys, paths, strict=True)) if self.keep_paths else {}

    def _saved_more(self, state: Mapping[str, Any], m: int) -> tuple[FloatArray | None, list[IntArray]]:
        """Losses and paths in a saved state of ``m`` objects, if the buffer has them."""
        losses: FloatArray | None = None
        if self.scheme.needs_losses:
            losses = checked_tensor("ReplayBuffer", state, "losses", (m,), np.dtype(np.float64))
        if not self.keep_paths:
            return losses, []
        lengths = checked_tensor("ReplayBuffer", state, "path_lengths", (m,), np.dtype(np.int64))
        flat = checked_tensor("ReplayBuffer", state, "paths", (int(lengths.sum()),), np.dtype(np.int32))
        return losses, np.split(flat, lengths.cumsum()[:-1]) if m else []


def _read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    array.flags.writeable = False
    return array
