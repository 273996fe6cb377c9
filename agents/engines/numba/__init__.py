"""Rollouts and gradient steps compiled by Numba (``compiled=True``), for small networks on enumerable DAGs.

``tables`` lists the transitions of a DAG, as the DAG itself gives them; ``kernels`` walk them, and evaluate and
differentiate a multi-layer perceptron along trajectories; ``objectives`` has the losses with their derivatives;
``adam`` takes the step; ``engine`` is how an agent uses them. What comes out is what :mod:`agents.rollout`,
:mod:`agents.log_probs`, :mod:`agents.losses.balance` and torch give, sooner: an iteration of a small network is mostly
the cost of calling NumPy and torch.
"""
