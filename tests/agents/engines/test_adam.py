"""Our step of Adam against torch's own, to the bit."""

import copy
import subprocess
import sys

import pytest
import torch

from agents.engines import adam
from agents.engines.adam import adam_step, flushed_denormals, minimize
from agents.policies.mlp import MLP


@pytest.fixture(params=[True, False], ids=["private kernels", "without them"])
def kernels(request, monkeypatch):
    """With torch's private kernels, and as in a version of torch that has none."""
    if not request.param:
        monkeypatch.setattr(adam, "FUSED", False)
    return request.param


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("fused", [True, False])
def test_the_same_numbers_as_torch_to_the_bit(fused):
    torch.manual_seed(0)
    networks = [MLP([5, 8, 3]), MLP([5, 8, 2])]
    ours, theirs = networks, copy.deepcopy(networks)
    optimizers = [
        kind(
            [{"params": list(a.parameters()), "weight_decay": 0.1}, {"params": list(b.parameters()), "lr": 0.1}],
            betas=(0.8, 0.99),
            fused=fused,
        )
        for kind, (a, b) in ((adam.Adam, ours), (torch.optim.Adam, theirs))
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


def test_the_private_kernels_of_this_torch_are_used(monkeypatch):
    assert adam.FUSED
    network, calls = MLP([3, 4, 1]), []
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    minimize(network(torch.ones(2, 3)).square().sum(), optimizer)
    monkeypatch.setattr(optimizer, "step", lambda: calls.append("step"))
    minimize(network(torch.ones(2, 3)).square().sum(), optimizer)
    assert not calls
    monkeypatch.setattr(adam, "FUSED", False)
    minimize(network(torch.ones(2, 3)).square().sum(), optimizer)
    assert calls == ["step"]


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.SGD])
@pytest.mark.parametrize("max_grad_norm", [None, 0.1])
def test_minimize_is_backward_clip_and_step(kind, max_grad_norm):
    torch.manual_seed(0)
    ours = MLP([3, 4, 1])
    theirs = copy.deepcopy(ours)
    mine, other = (kind(network.parameters(), lr=0.1, fused=True) for network in (ours, theirs))
    for _ in range(4):
        x = torch.randn(5, 3)
        minimize(ours(x).square().sum(), mine, max_grad_norm)
        other.zero_grad()
        theirs(x).square().sum().backward()
        if max_grad_norm is not None:
            assert torch.nn.utils.clip_grad_norm_(theirs.parameters(), max_grad_norm) > max_grad_norm
        other.step()
        assert all(map(torch.equal, ours.parameters(), theirs.parameters()))


@pytest.mark.parametrize("before", [True, False])
def test_denormals_are_flushed_inside_and_as_before_outside(before):
    flushes = lambda: (torch.tensor([1e-310], dtype=torch.float64) * 1.0).item() == 0  # noqa: E731
    torch.set_flush_denormal(before)
    try:
        assert flushes() == before
        with flushed_denormals():
            assert flushes()
            with flushed_denormals():
                assert flushes()
            assert flushes()
        assert flushes() == before
        with pytest.raises(RuntimeError, match="inside"), flushed_denormals():
            raise RuntimeError("inside")
        assert flushes() == before
    finally:
        torch.set_flush_denormal(False)


def test_training_does_not_import_torchs_compiler(tmp_path):
    program = """
import sys
import agents, gfn_envs
for engine in ("torch", "numba"):
    agent = agents.make_agent("tb", gfn_envs.make_dag("GFN/HyperGrid-v0", side=4), hidden=(8,), engine=engine)
    agents.train(agent, 3, f"{sys.argv[1]}/{engine}", progress=False)
    agents.evaluate(agents.load_agent(f"{sys.argv[1]}/{engine}"), num_samples=10)
print("torch._dynamo" in sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "False"
