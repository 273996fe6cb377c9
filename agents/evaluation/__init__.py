"""Evaluation: how well an agent samples in proportion to reward.

* :mod:`~agents.evaluation.metrics`: metrics as functions of arrays
* :mod:`~agents.evaluation.correlations`: correlations of log R(x) with log p(x), their errors and biases
* :mod:`~agents.evaluation.estimates`: log p(x) and bounds of log Z, estimated from trajectories
* :mod:`~agents.evaluation.evaluate`: the metrics watched during training
* :mod:`~agents.evaluation.full`: every metric
"""

from agents.deprecated import old_names

__getattr__ = old_names(__name__)
