"""Our step of Adam against torch's own, to the bit."""

import copy

import pytest
import torch

from agents.engines.adam import adam_step
from agents.policies.mlp import MLP


@pytest.mark.parametrize("fused", [True, False])
def test_the_same_numbers_as_torch_to_the_bit(fused):
    torch.manual_seed(0)
    networks = [MLP([5, 8, 3]), MLP([5, 8, 2])]
    ours, theirs = networks, copy.deepcopy(networks)
    optimizers = [
        torch.optim.Adam(
            [{"params": list(a.parameters()), "weight_decay": 0.1}, {"params": list(b.parameters()), "lr": 0.1}],
            betas=(0.8, 0.99),
            fused=fused,
        )
        for a, b in (ours, theirs)
    ]
    for iteration in range(12):
        x = torch.randn(4, 5)
        for (a, b), optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.param_groups[0]["lr"] = 1e-2 / (iteration + 1)
            optimizer.zero_grad()
            # The second network has gradients now and then, and once nobody has.
            loss = a(x).square().sum() + (b(x).sin().sum() if iteration % 3 == 1 else 0)
            if iteration != 7:
                loss.backward()
        adam_step(optimizers[0])
        optimizers[1].step()
        if iteration == 5:  # From a checkpoint.
            optimizers[0].load_state_dict(copy.deepcopy(optimizers[0].state_dict()))
        for mine, other in zip(
            [*ours[0].parameters(), *ours[1].parameters()], [p for n in theirs for p in n.parameters()], strict=True
        ):
            assert torch.equal(mine, other)
    mine, other = (optimizer.state_dict()["state"] for optimizer in optimizers)
    assert mine.keys() == other.keys()
    for key in mine:
        assert all(torch.equal(mine[key][name], other[key][name]) for name in other[key])
