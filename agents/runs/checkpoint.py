"""checkpoint.pt: the state of a run, with a SHA-256 of its content at the end of the file."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from agents.agent import Agent
from agents.runs import files
from agents.runs.errors import RunError
from agents.runs.legacy import present_state

#: The hash is the comment of the zip archive that torch writes, so that the file stays one that torch.load reads.
PREFIX = b"sha256:"
COMMENT = len(PREFIX) + 64


def save_checkpoint(out: Path, agent: Agent, progress: dict[str, Any]) -> None:
    """Write agent and progress, atomically.

    Raises:
        FloatingPointError: a weight of the agent is NaN or infinite. The previous checkpoint stays.
        OSError: the file cannot be written, for example because the disk is full. The previous checkpoint stays.
    """
    if not all(torch.isfinite(weights).all() for weights in _parameters(agent)):
        raise FloatingPointError(
            f"iteration {agent.iteration}: weights are NaN or infinite and were not saved; try a lower learning rate"
        )
    state = {"agent": agent.state_dict(), "progress": progress}
    # In memory first: torch reports a full disk as an error of its archive.
    content = signed(files.as_bytes(lambda file: torch.save(state, file)))
    files.write_bytes(out / files.CHECKPOINT, content)


def _parameters(agent: Agent) -> Iterator[torch.Tensor]:
    """Parameters of all the agent's networks."""
    for value in vars(agent).values():
        if isinstance(value, torch.nn.Module):
            yield from value.parameters()
        elif isinstance(value, torch.nn.Parameter):
            yield value


def load_checkpoint(out: Path, agent: Agent, same_environment: bool = False) -> dict[str, Any]:
    """Restore ``agent`` from a run. Returns the progress saved with it.

    Only tensors, numbers, strings and plain containers are accepted. Nothing in the file is executed.

    Args:
        out: the run directory.
        agent: the agent to restore.
        same_environment: whether the run's config was compared with the agent's environment, so that replay buffers
            need not compare its arguments as text, such as the name of a file that lies elsewhere today.

    Raises:
        RunError: the checkpoint is missing, damaged or of another agent.
    """
    path = out / files.CHECKPOINT
    try:
        state = torch.load(io.BytesIO(verified(path.read_bytes())), map_location=agent.device, weights_only=True)
        agent.load_state_dict(present_state(state["agent"], agent.dag, same_environment))
        return state["progress"]
    except FileNotFoundError:
        raise RunError(f"{out} has no {files.CHECKPOINT}") from None
    except Exception as error:
        raise RunError(f"{path} cannot be loaded: {_reason(error)}") from error


def signed(content: bytes) -> bytes:
    """A zip archive without comment, with its SHA-256 as comment."""
    if content[-2:] != b"\0\0" or content[-22:-18] != b"PK\5\6":
        raise ValueError("expected a zip archive without comment")
    comment = PREFIX + hashlib.sha256(content).hexdigest().encode()
    return content[:-2] + COMMENT.to_bytes(2, "little") + comment


def verified(content: bytes) -> bytes:
    """The archive in a checkpoint, after its hash and its checksums were compared.

    Archives without comment, as version 0.1 wrote them, have checksums only.

    Raises:
        ValueError: the content differs from them.
    """
    if content[-22:-18] != b"PK\5\6" or content[-2:] != b"\0\0":
        archive = content[: -COMMENT - 2] + b"\0\0"
        if content != signed_or_nothing(archive):
            raise ValueError("the file is damaged: it differs from its SHA-256")
        content = archive
    with zipfile.ZipFile(io.BytesIO(content)) as archived:
        if (name := archived.testzip()) is not None:
            raise ValueError(f"the file is damaged: {name} differs from its checksum")
    return content


def signed_or_nothing(archive: bytes) -> bytes:
    """:func:`signed`, or nothing if ``archive`` is not a zip archive."""
    try:
        return signed(archive)
    except ValueError:
        return b""


def _reason(error: Exception) -> str:
    """One line on why a checkpoint was rejected, without torch's advice to switch its protection off."""
    text = str(error).strip()
    if "weights_only" in text or "Weights only" in text:
        name = re.search(r"GLOBAL (\S+)|class '?([\w.]+)|type ([\w.]+)", text)
        found = next((group for group in name.groups() if group), "") if name else ""
        return f"it holds more than tensors and plain values{f' ({found})' if found else ''}; nothing was executed"
    return f"{type(error).__name__}: {text.split(chr(10))[0]}"
