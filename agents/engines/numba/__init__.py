"""Rollouts and gradient steps compiled by Numba, for small networks on DAGs that can be enumerated.

``tables`` lists the transitions of a DAG. ``kernels`` samples trajectories from them, and evaluates and differentiates
a multi-layer perceptron along trajectories. ``balance`` is the loss with its derivatives, ``adam`` the optimizer step,
``engine`` the interface. The results equal those of :mod:`agents.rollout`, :mod:`agents.log_probs`,
:mod:`agents.losses.balance` and torch.
"""
