"""Training by several processes that share every batch, through ``torch.distributed``.

Each process holds the whole agent. It samples its part of the batch with its part of the batch's random numbers,
computes the gradient of its part of the loss, and adds up gradients with the others (gloo). All of them then take the
same step, so the result is that of one process up to rounding. Process 0 evaluates and writes the run directory.

- :mod:`agents.distributed.group`: messages between the processes.
- :mod:`agents.distributed.engine`: an engine on a part of each batch, and what it supports.
- :mod:`agents.distributed.team`: processes that train the same agent, kept in step.
- :mod:`agents.distributed.launch`: ``gfn train --processes N`` starts and watches its processes.

In Python, call ``torch.distributed.init_process_group("gloo")`` in a script that ``torchrun`` starts, and pass
``distributed=True`` to :func:`agents.train`.
"""
