"""Rollouts and gradient steps compiled by Numba, for small networks on DAGs that can be enumerated.

``tables`` lists the transitions of a DAG, as the DAG itself gives them; ``kernels`` walk them, and evaluate and
differentiate a multi-layer perceptron along trajectories; ``balance`` is the one loss with its derivatives; ``adam``
takes the step; ``engine`` is the interface. The results are those of :mod:`agents.rollout`, :mod:`agents.log_probs`,
:mod:`agents.losses.balance` and torch.
"""
