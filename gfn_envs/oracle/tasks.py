"""Objects that an oracle calls together, and the results of their calls."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gfn_envs.oracle.call import Reply, is_missing
from gfn_envs.oracle.store import Call


class Task(NamedTuple):
    """Objects that are called together: their texts and names, and the attempt of each."""

    objects: Any
    texts: list[str]
    names: list[str]
    attempts: list[int]


def decided(calls: list[Call], retries: int) -> tuple[Call | None, int]:
    """The result of the earlier calls of an object, None if it must be called, and the number of failed attempts."""
    for call in calls:
        if call.status == "ok":
            return call, 0
    failed = [call for call in calls if call.status != "started" and call.attempt > 0]
    return (failed[-1] if len(failed) > retries else None), len(failed)


def taken(objects: Any, part: list[int]) -> Any:
    """Some of the objects: rows of an array, or a list."""
    return objects[part] if isinstance(objects, np.ndarray) else [objects[i] for i in part]


def split(task: Task, n: int) -> tuple[Task, Task]:
    """A task with the first n objects of ``task``, and one with the others."""

    def part(cut: slice) -> Task:
        return Task(task.objects[cut], task.texts[cut], task.names[cut], task.attempts[cut])

    return part(slice(n)), part(slice(n, None))


def calls_of(task: Task, reply: Reply) -> list[Call]:
    """The calls of a task that has ended."""
    n = len(task.texts)
    seconds, whole = reply.seconds / n, reply.status != "ok" and n > 1
    calls = []
    for i, (text, name, attempt) in enumerate(zip(task.texts, task.names, task.attempts, strict=True)):
        if reply.status != "ok":
            # The batch failed, perhaps because of another object.
            calls.append(Call(text, name, 0 if whole else attempt, reply.status, None, {}, seconds, reply.error))
        elif is_missing(reply.values[i][0]):
            calls.append(Call(text, name, attempt, "nan", None, reply.values[i][1], seconds, "the reward is nan"))
        else:
            calls.append(Call(text, name, attempt, "ok", *reply.values[i], seconds, ""))
    return calls


def reason(call: Call) -> str:
    if call.status == "nan":
        return "the reward is nan; allowed: finite and > 0"
    return {"error": f"the reward raised {call.error}", "timeout": f"the reward gave {call.error}"}.get(
        call.status, f"the reward failed: {call.error}"
    )
