"""The user's parts in agents: classes by name, behavior policies, networks, optimizers, schedules, replay."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import agents
import gfn_envs
from agents.agent import Agent
from agents.gflownets.subtb import SubTB
from agents.gflownets.tb import TB
from agents.gflownets.vargrad import VarGrad
from agents.policies.backward import BACKWARD_POLICIES
from agents.replay.objects import ReplayBuffer
from agents.replay.schemes import SCHEMES, Scheme, Stored
from agents.schedules import Schedule, schedule
from gfn_envs import plugins

SMALL = {"hidden": (8,), "batch_size": 4}
MODULE = """
import numpy as np, torch
from agents.config import NetworkSettings
from agents.gflownets.tb import TB
from agents.policies.backward import BackwardPolicy
from agents.policies.build import make_policy
from agents.replay.schemes import Scheme

class Ranked(TB):
    "Ranked."

class Newest(BackwardPolicy):
    def logits(self, dag, states):
        return np.tile(np.arange(dag.num_backward_actions, dtype=np.float32), (len(states), 1))

class ByAge(Scheme):
    "The newest objects."
    def rank(self, objects, log_reward):
        return np.zeros(len(objects))
    def draw(self, stored, n, rng):
        return np.argsort(stored.ages)[:n]

BY_AGE = ByAge()
def policy(dag, backward, flow):
    return make_policy(dag, NetworkSettings(hidden=(7,)), backward, flow)
class Momentum(torch.optim.SGD):
    def __init__(self, groups, lr, momentum=0.9):
        super().__init__(groups, lr, momentum)
def late(progress):
    return 0.0 if progress < 0.5 else 1.0
def wild(progress):
    return 2.0
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's module, own_seams.py, on the import path."""
    (tmp_path / "own_seams.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("own_seams", None)
    for table in (SCHEMES, BACKWARD_POLICIES, agents.AGENTS):
        for name in [name for name in table if name.startswith("own_seams:") or name == "Ranked"]:
            del table[name]


def grid(**arguments: Any) -> gfn_envs.Dag:
    return gfn_envs.make_dag("GFN/HyperGrid-v0", **{"side": 4, **arguments})


BY_NAME = {
    "replay": "own_seams:ByAge",
    "backward": "own_seams:Newest",
    "optimizer": "own_seams:Momentum(momentum=0.5)",
    "lr": "1e-2,1e-3,10,own_seams:late",
    "policy": "own_seams:policy",
}


def test_everything_by_name_trains_and_is_reopened_with_leave_only(own: Path) -> None:
    agent = agents.make_agent("own_seams:Ranked", grid(), **{**SMALL, **BY_NAME})
    assert (agent.name, agent.replay.scheme.name) == ("Ranked", "own_seams:ByAge")
    assert type(agent.optimizer).__name__ == "Momentum"
    assert agent.optimizer.defaults["momentum"] == 0.5
    assert agent.policy.networks[0].layers[0][1].shape == (7,)
    agents.train(agent, 4, own / "run", progress=False, eval_every=0)
    last = agent.sample(3, np.random.default_rng(0))
    for name in ("own_seams", "Ranked"):
        sys.modules.pop(name, None)
        agents.AGENTS.pop(name, None)
    for table in (SCHEMES, BACKWARD_POLICIES):
        for name in [name for name in table if name.startswith("own_seams:")]:
            del table[name]
    with pytest.raises(agents.RunError) as caught:
        agents.load_agent(own / "run")
    text = str(caught.value)
    for part in ("agent is own_seams:Ranked", "replay is own_seams:ByAge", "backward is own_seams:Newest"):
        assert part in text
    for part in ("optimizer is own_seams:Momentum", "lr is own_seams:late", "policy is own_seams:policy"):
        assert part in text
    assert f"imported from {own / 'own_seams.py'}: allow it with trust=True (--trust)" in text
    assert "own_seams" not in sys.modules
    with pytest.raises(agents.RunError):
        agents.load_agent(own / "run", trust=["another"])
    again = agents.load_agent(own / "run", trust="own_seams")
    np.testing.assert_array_equal(again.sample(3, np.random.default_rng(0)), last)


def test_changed_sources_are_noticed(own: Path) -> None:
    agents.train(agents.make_agent("tb", grid(), replay="own_seams:BY_AGE", **SMALL), 2, own / "run", progress=False)
    (own / "own_seams.py").write_text(MODULE.replace("argsort(stored.ages)", "argsort(-stored.ages)"))
    sys.modules.pop("own_seams")
    with pytest.raises(agents.RunError, match="replay: the source of own_seams:BY_AGE has changed since"):
        agents.load_agent(own / "run", trust=True)


def test_agents_are_registered(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.registry.AGENTS", dict(agents.AGENTS))

    @agents.register
    class Mine(TB):
        """Mine."""

    assert agents.make_agent("Mine", grid(), **SMALL).name == "Mine"
    assert agents.make_agent(Mine, grid(), **SMALL).name == "Mine"
    with pytest.raises(ValueError, match=r"there is an agent named 'tb' already, agents.gflownets.tb:TB"):
        agents.register(type("Other", (SubTB,), {"name": "tb"}))
    for wrong in (TB(grid(), TB.config_class(**SMALL)), int, "tb"):
        with pytest.raises(TypeError, match=r"expected a subclass of agents.Agent"):
            agents.register(wrong)  # type: ignore[arg-type]
    point = type("Point", (), {"value": "own_seams:Ranked", "dist": None})()
    monkeypatch.setattr(plugins, "entry_points", lambda group: {"Ranked": point} if group == plugins.AGENTS else {})
    assert agents.make_agent("Ranked", grid(), **SMALL).name == "Ranked"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"policy": 3}, "policy must be an agents.Policy, or a class or function that makes one, got 3"),
        ({"policy": lambda: 1}, "cannot be called with the environment alone"),
        ({"policy": lambda dag: 1}, "must make an agents.Policy, got 1"),
        ({"policy": "own_seams:BY_AGE"}, "own_seams:BY_AGE is not callable"),
        ({"replay": "own_seams:policy"}, "replay: own_seams:policy is not a Scheme"),
        ({"backward": "own_seams:ByAge"}, "backward: own_seams:ByAge is not a BackwardPolicy"),
        ({"optimizer": "adan"}, r"unknown optimizer 'adan'; did you mean 'adam'\?"),
        ({"optimizer": "sgd(0.9)"}, "expected keywords such as"),
        ({"optimizer": "sgd(moment=0.9)"}, "optimizer sgd.moment=0.9.: .*moment"),
        ({"optimizer": "adamw(lr=1)"}, "the learning rate is the setting lr"),
        ({"optimizer": "own_seams:ByAge"}, "optimizer own_seams:ByAge is not a subclass of torch.optim.Optimizer"),
        ({"lr": "1,2,3,cosin"}, "must be one of linear, cosine, exponential or module:name"),
        ({"lr": "0,1,3,exponential"}, "an exponential schedule needs ends > 0"),
    ],
)
@pytest.mark.usefixtures("own")
def test_what_is_wrong_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        agents.make_agent("tb", grid(), **SMALL, **settings)


# ---------------------------------------------------------------------- behavior, networks, optimizers, schedules


class Teacher(TB):
    """Samples training batches from an ensemble of teachers, which it trains to prefer the last action."""

    def make_modules(self) -> dict[str, nn.Module]:
        return {"teacher": nn.Linear(self.dag.num_features, self.dag.num_actions)}

    def behavior(self) -> Any:
        def logits(states: Any) -> Any:
            return 50.0 * np.eye(self.dag.num_actions, dtype=np.float32)[np.full(len(states), -1)]

        return logits

    def loss(self, trajectories: Any) -> Any:
        features = torch.from_numpy(self.dag.encode(trajectories.states))
        return super().loss(trajectories) + self.modules["teacher"](features).square().mean()


def test_the_behavior_policy_is_not_the_one_evaluated(tmp_path: Path) -> None:
    agent = Teacher(grid(), Teacher.config_class(delay_stop=0, **SMALL))
    agent.update()
    assert (agent.last_batch.lengths == 1).all()  # the teacher stops at once
    assert agent.sample_trajectories(200).lengths.max() > 1


@pytest.mark.parametrize("engine", ["auto", "torch"])
def test_networks_beside_the_policy_are_trained_and_saved(engine: str, tmp_path: Path) -> None:
    """Also with the default engine: the compiled engine must not ignore the user's loss."""
    settings = Teacher.config_class(engine=engine, lr="1e-2,1e-3,5,cosine", **SMALL)
    agent = Teacher(grid(), settings)
    before = agent.modules["teacher"].weight.detach().clone()
    agents.train(agent, 6, tmp_path / "whole", progress=False, eval_every=0)
    assert agent.engine.name == "torch"
    assert not torch.equal(agent.modules["teacher"].weight, before)
    assert agent.optimizer.param_groups[-1]["lr"] == agent.optimizer.param_groups[0]["lr"] < 1e-2
    agents.train(Teacher(grid(), settings), 3, tmp_path / "run", progress=False, eval_every=0)
    resumed = Teacher(grid(), settings)
    agents.train(resumed, 6, tmp_path / "run", progress=False, eval_every=0, resume=True)
    assert torch.equal(resumed.modules["teacher"].weight, agent.modules["teacher"].weight)
    assert torch.equal(resumed.policy.networks[0].layers[0][0], agent.policy.networks[0].layers[0][0])


def test_the_compiled_engine_refuses_what_it_would_leave_out() -> None:
    pytest.importorskip("numba")

    class Shifted(TB):
        def loss(self, trajectories: Any) -> Any:
            return super().loss(trajectories) + 1.0

    with pytest.raises(ValueError, match=r"engine .numba. needs the loss that .*, got loss defined by"):
        Shifted(grid(), TB.config_class(engine="numba", **SMALL))
    with pytest.raises(ValueError, match=r"engine 'numba' needs optimizer 'muon', or 'adam' .*got 'sgd'"):
        agents.make_agent("tb", grid(), engine="numba", optimizer="sgd", **SMALL)


@pytest.mark.parametrize(
    "text", ["adamw(weight_decay=0.1)", "sgd(momentum=0.9)", "rmsprop", "muon", "adam(betas=(0.8, 0.9))"]
)
def test_optimizers_train_and_resume_to_the_bit(text: str, tmp_path: Path) -> None:
    def make() -> Agent:
        return agents.make_agent("db", grid(side=3), optimizer=text, **SMALL)

    whole = make()
    agents.train(whole, 4, progress=False, eval_every=0)
    agents.train(make(), 2, tmp_path / "run", progress=False, eval_every=0)
    resumed = make()
    agents.train(resumed, 4, tmp_path / "run", progress=False, eval_every=0, resume=True)
    for a, b in zip(whole.policy.parameters(), resumed.policy.parameters(), strict=True):
        assert torch.equal(a, b)
    plain = agents.make_agent("db", grid(side=3), engine="torch", **SMALL)
    agents.train(plain, 4, progress=False, eval_every=0)
    assert not all(map(torch.equal, whole.policy.parameters(), plain.policy.parameters()))


def test_shapes_of_schedules(own: Path) -> None:
    assert [schedule("1,0.01,4,exponential")(i) for i in (0, 2, 4, 9)] == pytest.approx([1, 0.1, 0.01, 0.01])
    assert [schedule("1,0,4,cosine")(i) for i in (0, 1, 2, 4)] == pytest.approx([1, 0.853553, 0.5, 0])
    assert [schedule("3,1,4,own_seams:late")(i) for i in (0, 1, 2, 9)] == [3, 3, 1, 1]
    assert [schedule(["1", 0, 4])(i) for i in (0, 1)] == [1, 0.75]
    for text in ("1.0,0.5,4,cosine", "3.0,1.0,4,own_seams:late", "1.0,0.5,4"):
        assert str(schedule(text)) == text
        assert schedule(str(schedule(text))) == schedule(text)
    with pytest.raises(ValueError, match=r"own_seams:wild\(0.5\) must lie in \[0, 1\], got 2"):
        Schedule(0.0, 1.0, 4, "own_seams:wild")(2)


# ---------------------------------------------------------------------- replay


class Recorded(Scheme):
    """Replays the two objects of the largest loss, and remembers what it saw."""

    name = "recorded"
    needs_losses = True

    def __init__(self) -> None:
        self.seen: list[tuple[Stored, list[int]]] = []

    def rank(self, objects: Any, log_reward: Any) -> Any:
        return np.zeros(len(objects))

    def draw(self, stored: Stored, n: int, rng: np.random.Generator) -> Any:
        chosen = np.argsort(-stored.losses, kind="stable")[:2]
        kept = Stored(*(np.array(getattr(stored, name)) for name in ("objects", "log_reward", "ages", "losses")))
        self.seen.append((kept, chosen.tolist()))
        return chosen


@pytest.mark.parametrize("kind", [TB, SubTB, VarGrad])
def test_schemes_see_objects_ages_and_losses(kind: type[Agent]) -> None:
    scheme = Recorded()
    try:
        agent = kind(grid(), kind.config_class(replay=scheme, engine="torch", **SMALL))
        for _ in range(3):
            agent.update()
    finally:
        SCHEMES.pop("recorded", None)
    (first, drawn), (second, _), *_ = scheme.seen
    assert np.isinf(first.losses).all()
    assert sorted(first.ages) == list(range(len(first.objects)))
    place = {tuple(row): k for k, row in enumerate(second.objects.tolist())}
    replayed = [place[tuple(first.objects[k])] for k in drawn]
    assert np.isfinite(second.losses[replayed]).all()
    assert (second.losses[replayed] > 0).any()
    assert np.isfinite(second.losses).sum() == 2
    added = len(second.objects) - len(first.objects)
    assert added > 0
    assert (second.ages[[place[tuple(row)] for row in first.objects.tolist()]] == first.ages + added).all()


def test_losses_of_trajectories_add_up_to_that_of_the_batch() -> None:
    for kind in (TB, SubTB, VarGrad):
        agent = kind(grid(), kind.config_class(engine="torch", init_log_z=0.5, **SMALL) if kind is TB else None)
        batch = agent.sample_trajectories(16)
        with torch.inference_mode():
            losses, total = agent.trajectory_losses(batch), float(agent.loss(batch))
        if kind is VarGrad:  # whose loss also fits log Z, for reports
            assert 0 < losses.mean() <= total
        else:
            assert losses.mean() == pytest.approx(total, rel=1e-5)


def test_trajectories_are_replayed_as_they_were_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Any, ...]] = []
    original = TB.replayed_batch

    def remember(self: Any, replay: ReplayBuffer) -> Any:
        batch = original(self, replay)
        for i in range(len(batch)):
            part = batch.part(i, i + 1)
            seen.append((tuple(part.terminal_states[0].tolist()), tuple(part.actions.tolist())))
        assert np.array_equal(
            agent_dag.backward_action(batch.states[batch.sources], batch.actions), batch.backward_actions
        )
        return batch

    monkeypatch.setattr(TB, "replayed_batch", remember)
    settings = {**SMALL, "replay": "uniform", "replay_of": "trajectories", "local_search": 1, "replay_capacity": 9}
    agent = agents.make_agent("tb", grid(), **settings)
    agent_dag = agent.dag
    agents.train(agent, 4, tmp_path / "run", progress=False, eval_every=0)
    paths: dict[Any, set[Any]] = {}
    for end, actions in seen:
        paths.setdefault(end, set()).add(actions)
    assert len(seen) > 20
    assert sum(len(found) for found in paths.values()) < 1.5 * len(paths)  # P_B would draw another path every time
    reopened = agents.load_agent(tmp_path / "run")
    for row, path in zip(agent.replay.objects, agent.replay.paths(agent.replay.objects), strict=True):
        np.testing.assert_array_equal(reopened.replay.paths(row[None])[0], path)
    agents.train(agent, 6, progress=False, eval_every=0)
    agents.train(reopened, 6, progress=False, eval_every=0)
    assert all(map(torch.equal, agent.policy.parameters(), reopened.policy.parameters()))
    with pytest.raises(ValueError, match="expected a path to each of 2 objects"):
        agent.replay.add(agent.replay.objects[:2], agent.replay.log_reward[:2])


def test_a_scheme_that_draws_no_indices_is_refused() -> None:
    buffer = ReplayBuffer(
        grid(), 10, type("Wrong", (Recorded,), {"draw": lambda self, stored, n, rng: np.array([7])})()
    )
    buffer.add(buffer.dag.step(buffer.dag.source(1), np.array([2])), np.zeros(1))
    with pytest.raises(ValueError, match=r"scheme 'recorded' must draw indices in \[0, 1\), int64"):
        buffer.sample(1, np.random.default_rng(0))


def test_the_upper_bound_beyond_enumeration() -> None:
    """On a chain of more states than are enumerated, log Z and samples of the target are known."""
    dag = gfn_envs.make_dag("GFN/FactorGraph-v0", graph="permuted_chain", num_variables=30, num_values=3)
    agent = agents.make_agent("tb", dag, **SMALL)
    found = agents.full_evaluation(agent, 50, exact_states=1000, num_backward=2)
    assert found["tv"] is None
    assert found["elbo_gap"] > 0
    assert found["eubo_gap"] > 0
    assert found["eubo"] - found["eubo_gap"] == pytest.approx(np.log(3.0))
    assert found["log_z_error"] == pytest.approx(abs(agent.log_z - np.log(3.0)))
    assert agents.evaluate(agent, 10, exact_states=1000)["log_z_error"] == found["log_z_error"]
    ising = agents.make_agent("tb", gfn_envs.make_dag("GFN/Ising-v0", side=11), **SMALL)  # Too large for exact samples.
    found = agents.full_evaluation(ising, 50, exact_states=1000, num_backward=2)
    assert found["elbo_gap"] > 0
    assert found["eubo"] is None
