"""NaN and infinities of a network are noticed before the agent learns from them."""

import pytest
import torch

from agents.registry import GFLOWNETS
from tests.agents.small_agents import FLOW, GRID, assert_unharmed, make, parameters
from tests.agents.tabular import BALANCE
from tests.helpers import small_dag


@pytest.mark.parametrize(
    "settings", [{}, {"form": "ssr"}, {"network": "transformer"}], ids=["mlp", "ssr", "transformer"]
)
@pytest.mark.parametrize("name", GFLOWNETS)
def test_nan_from_the_network_stops_the_agent_before_it_learns(name, settings):
    agent = make(name, **settings)
    agent.update()
    with torch.no_grad():
        for parameter in agent.policy.parameters():
            parameter.fill_(float("nan"))
    before = parameters(agent)
    with pytest.raises(FloatingPointError, match="NaN or infinite"):
        agent.update()
    assert_unharmed(agent, before, 1)


@pytest.mark.parametrize("side", [2, 3, 4])
@pytest.mark.parametrize("name", GFLOWNETS)
def test_logits_that_forbid_everything_are_the_networks_fault(name, side):
    """For every illegal action, and whether the environment or its encoding notices."""
    agent = make(name, small_dag(GRID[0], {"ndim": 2, "side": side}))
    bias = agent.policy.networks[0].layers[-1][1]
    with torch.no_grad():
        bias.fill_(-float("inf"))
    before = parameters(agent)
    with pytest.raises(FloatingPointError, match="the policy gave NaN or infinite logits"):
        agent.update()
    assert_unharmed(agent, before, 0)


@pytest.mark.parametrize("settings", [{}, {"replay": "uniform"}, {"replay": "uniform", "replay_mix": "joint"}])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(("name", "head"), [*((n, 1) for n in BALANCE if n != "fm"), *((n, 2) for n in FLOW)])
def test_nan_from_one_head_alone_is_noticed_before_any_step(name, head, value, settings):
    """Sampling goes on, as P_F is well; the loss tells, or P_B in replay."""
    agent = make(name, shared=False, **settings)
    agent.update()
    with torch.no_grad():
        list(agent.policy.networks[head].parameters())[-1].fill_(value)
    before = parameters(agent)
    with pytest.raises(FloatingPointError, match=r"the loss is (nan|inf)|NaN or infinite"):
        agent.update()
    assert_unharmed(agent, before, 1)


@pytest.mark.parametrize("name", [name for name in GFLOWNETS if name in ("tb", "gtb") or name.startswith("rl-")])
def test_nan_in_log_z_is_noticed(name):
    agent = make(name)
    agent.update()
    with torch.no_grad():
        agent.log_z_parameter.fill_(float("nan"))
    before = parameters(agent)
    with pytest.raises(FloatingPointError, match=r"iteration 1: .*(nan|NaN)"):
        agent.update()
    assert_unharmed(agent, before, 1)
