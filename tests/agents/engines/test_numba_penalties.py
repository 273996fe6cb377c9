"""The compiled penalties and their slopes are those of torch."""

import numpy as np
import pytest
import torch

from agents.losses.penalty import PENALTIES, penalty

pytest.importorskip("numba")
from agents.engines.numba import balance


@pytest.mark.parametrize("clamp", [None, 1.5])
@pytest.mark.parametrize("loss", PENALTIES)
def test_penalties_and_slopes(loss, clamp):
    points = np.array([-np.inf, -1e4, -41.0, -19.0, -1.3, -1e-3, 0.0, 0.2, 1.0, 7.0, 30.0, 1e4])
    residual = torch.tensor(points[1:], requires_grad=True)
    expected = penalty(residual, loss, clamp)
    expected.sum().backward()
    numbers = balance.penalty_numbers(loss, clamp)
    found = np.array([balance.penalize(point, numbers) for point in points])
    np.testing.assert_allclose(found[1:], np.stack([expected.detach(), residual.grad], 1), rtol=1e-10, atol=1e-14)
    assert found[0, 0] == (np.inf if clamp is None else clamp)
