"""Processes that train the same agent, kept in step."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import torch

from agents.agent import Agent
from agents.distributed.engine import SharedEngine
from agents.distributed.group import Group


class Team:
    """An agent of which every process holds a copy.

    Args:
        agent: this process's copy.
        iterations: total number of iterations.

    Raises:
        UnsupportedError: the agent cannot be trained by several processes.
        ValueError: the processes were given different agents, environments or numbers of iterations.
        RuntimeError: ``torch.distributed`` is not initialized.
    """

    def __init__(self, agent: Agent, iterations: int):
        self.agent, self.group = agent, Group()
        self.engine = SharedEngine(agent.engine, self.group)
        self._check_same(f"{agent.name} on {_shape(agent)} for {iterations} iterations with {agent.config}")

    @property
    def leads(self) -> bool:
        """True in process 0, which evaluates and writes."""
        return self.group.rank == 0

    def update(self) -> dict[str, Any]:
        """One iteration of the agent on a shared batch. Between updates the agent works alone, as in evaluations."""
        own, self.agent._engine = self.agent.engine, self.engine
        try:
            return self.agent.update()
        finally:
            self.agent._engine = own

    def agree(self, stop: bool, save: bool = False) -> bool:
        """True if one of the processes wants to stop after this iteration.

        Args:
            stop: whether this process wants to.
            save: whether process 0 is about to save a checkpoint. All processes then continue from its state, so that
                resuming is exact even if processors round differently.
        """
        stop, save = self.group.any(stop, save)
        if stop or save:
            self.synchronize()
        return stop

    def synchronize(self) -> None:
        """Give the state of process 0 to all.

        Raises:
            RuntimeError: a process is at another iteration.
        """
        agent, file = self.agent, io.BytesIO()
        if self.leads:
            torch.save(agent.state_dict(), file)
        content = self.group.broadcast(file.getvalue() if self.leads else None)
        if not self.leads:
            agent.load_state_dict(torch.load(io.BytesIO(content), weights_only=True))

    def _check_same(self, description: str) -> None:
        own = np.frombuffer(description.encode(), dtype=np.uint8)
        first, *others = (part[0].tobytes().decode() for part in self.group.gather([own]))
        for rank, other in enumerate(others, start=1):
            if other != first:
                raise ValueError(f"process {rank} trains {other}, but process 0 trains {first}")


def _shape(agent: Agent) -> str:
    """The environment, without parts that differ between processes, such as addresses of functions."""
    dag = agent.dag
    return f"{type(dag).__name__} ({dag.num_actions} actions, states of {dag.state_width}, length {dag.max_length})"
