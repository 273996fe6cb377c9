"""The user's policies: used if they fit; without a needed head they raise."""

import numpy as np
import pytest

from agents.config import NetworkSettings
from agents.policies import RelativeEdgeFlowPolicy
from agents.policies.build import make_policy
from agents.registry import GFLOWNETS
from tests.agents.small_agents import FLOW, GRID, make, with_policy
from tests.agents.tabular import BALANCE, Table
from tests.helpers import small_dag


@pytest.mark.parametrize("name", GFLOWNETS)
def test_policies_that_lack_what_is_needed_are_refused_at_once(name):
    dag = small_dag(*GRID)
    backward = make(name).backward.learned
    assert with_policy(name, Table(dag, backward, name in FLOW)).policy.learns_backward == backward
    assert (name in FLOW) == (name in ("db", "subtb", "fldb", "flsubtb"))
    if name in FLOW:
        with pytest.raises(ValueError, match=rf"agent '{name}' learns state flows, but the given policy has none"):
            with_policy(name, Table(dag, backward, flow=False))
    message = (
        "is learned, but the given policy learns no P_B" if backward else "not learned, but the given policy learns"
    )
    with pytest.raises(ValueError, match=message):
        with_policy(name, Table(dag, not backward, name in FLOW))


@pytest.mark.parametrize("backward", ["tlm", "pessimistic"])
@pytest.mark.parametrize("name", [name for name in BALANCE if name not in ("fm", "gtb")])
def test_fitted_backward_policies_need_one_to_fit(name, backward):
    with pytest.raises(ValueError, match=f"backward '{backward}' is learned, but the given policy learns no P_B"):
        with_policy(name, Table(small_dag(*GRID), backward=False), backward=backward)


@pytest.mark.parametrize("backward", ["uniform", "maxent"])
def test_a_backward_policy_that_is_not_asked_for_is_not_learned_by_the_way(backward):
    with pytest.raises(ValueError, match=f"backward '{backward}' is not learned, but the given policy learns a P_B"):
        with_policy("tb", Table(small_dag(*GRID)), backward=backward)


def test_a_policy_of_ones_own_is_used():
    dag = small_dag(*GRID)
    config = NetworkSettings(form="ssr", hidden=(8,))
    agent = with_policy("subtb", make_policy(dag, config, backward=True, flow=True))
    assert isinstance(agent.policy, RelativeEdgeFlowPolicy)
    assert np.isfinite(agent.update()["loss"])
