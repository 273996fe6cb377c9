"""Every agent learns from lists of active features as it does from the features themselves."""

import numpy as np
import pytest
import torch

import agents
from agents.errors import UnsupportedError
from agents.policies.mlp import sum_of_rows, sum_of_rows_twice_differentiable
from agents.registry import GFLOWNETS
from gfn_envs import BitSequence, HyperGrid


@pytest.mark.parametrize("make_dag", [lambda: HyperGrid(2, 16), lambda: BitSequence(16, 8, num_modes=3)])
@pytest.mark.parametrize("name", GFLOWNETS)
def test_lists_give_the_same_update_as_features(name, make_dag):
    found = []
    # The compiled engine reads features in another way.
    engine = {"engine": "torch"} if hasattr(GFLOWNETS[name].config_class, "engine") else {}
    for described in (True, False):
        dag = make_dag()
        if not described:
            dag.encode = dag.encode  # Replaced on the instance: the lists are not used.
        try:
            agent = agents.make_agent(name, dag, seed=0, hidden=(16,), batch_size=8, **engine)
        except (UnsupportedError, ValueError) as error:
            pytest.skip(str(error))
        loss = [agent.update()["loss"] for _ in range(2)]
        found.append((loss, np.concatenate([p.detach().numpy().ravel() for p in agent.policy.parameters()])))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-3)


def test_sums_of_rows_have_second_derivatives():
    rows = torch.tensor([[0, 2], [1, -1], [-1, -1]])
    weight = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(sum_of_rows_twice_differentiable(weight, rows), sum_of_rows(weight, rows))
    assert torch.autograd.gradgradcheck(lambda w: sum_of_rows_twice_differentiable(w, rows) ** 2, weight)
