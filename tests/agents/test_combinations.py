"""Combinations of settings that must neither fail nor give another result silently."""

import copy

import numpy as np
import pytest
import torch

import agents
import gfn_envs
from agents import acquire
from agents.acquire.searches import genetic_search, mcmc_search
from agents.errors import UnsupportedError
from agents.evaluation.evaluate import target_of
from agents.exploration.explorer import Explorer
from agents.export.samples import draw_samples, select
from agents.policies.frozen_backward import Frozen
from agents.replay.schemes import Uniform
from agents.runs import files
from agents.runs.compare import group_runs, read_run
from agents.runs.errors import RunError
from gfn_envs import HyperGrid, exact

SMALL = {"hidden": (8,), "batch_size": 8}
TEMPERATURE = "temperature:0.5,3"


def grid(**kwargs):
    return gfn_envs.make_dag("GFN/HyperGrid-v0", **{"ndim": 2, "side": 4} | kwargs)


def tb(seed=0, dag=None, **settings):
    return agents.make_agent("tb", dag or grid(), seed=seed, **SMALL | settings)


# ---------------------------------------------------------------------- conditions


@pytest.mark.parametrize("replay_of", ["objects", "trajectories"])
def test_replayed_trajectories_keep_their_conditions(replay_of):
    agent = tb(dag=grid(conditions=TEMPERATURE), replay="uniform", replay_of=replay_of)
    for _ in range(3):
        agent.update()
    batch, dag = agent.replayed_batch(agent.replay), agent.dag
    np.testing.assert_allclose(batch.log_reward, dag.log_reward(batch.terminal_states))
    first = dag.conditions_of(batch.states[batch.offsets[:-1]])
    np.testing.assert_array_equal(first, dag.conditions_of(batch.terminal_states))
    assert len(np.unique(first)) > 3


def test_known_rewards_of_one_condition_are_its_own():
    agent = tb(dag=grid(conditions=TEMPERATURE, expensive_reward=True), relabel=True, replay="uniform")
    for _ in range(5):
        agent.update()
    drawn = draw_samples(agent.at([3.0]), 20)
    known = ~np.isnan(drawn.log_reward)
    np.testing.assert_allclose(drawn.log_reward[known], agent.dag.at([3.0]).log_reward(drawn.states[known]))


def test_samples_of_two_conditions_are_two_objects():
    agent = tb(dag=grid(side=2, conditions="temperature:values=1,3"))
    drawn = draw_samples(agent, 200)
    once = select(drawn, unique=True)
    keys = list(zip(once.names, once.columns["condition.beta"].tolist(), strict=True))
    assert len(set(keys)) == len(keys) == 8
    for name, beta, reward, count in zip(
        once.names, once.columns["condition.beta"], once.log_reward, once.samples, strict=True
    ):
        same = (np.array(drawn.names) == name) & (drawn.columns["condition.beta"] == beta)
        assert count == same.sum()
        np.testing.assert_allclose(drawn.log_reward[same], reward)


def test_explorers_with_conditions():
    with pytest.raises(UnsupportedError, match="needs an environment without conditions"):
        tb(dag=grid(conditions=TEMPERATURE), explorer="teacher")
    for settings in ({"condition_by": "film"}, {"network": "transformer", "width": 8, "layers": 1, "heads": 2}):
        agent = tb(dag=grid(conditions=TEMPERATURE), explorer="noisy", **settings)
        for _ in range(3):
            assert np.isfinite(agent.update()["loss"])


# ---------------------------------------------------------------------- objects as settings


class Sharp(Uniform):
    name = "sharp"

    def __init__(self, power=1.0):
        self.power = power


def frozen(seed):
    agent = tb(seed=seed)
    return Frozen(agent.policy, agent.dag)


@pytest.mark.parametrize(
    ("setting", "one", "other"), [("backward", frozen(1), frozen(2)), ("replay", Sharp(1.0), Sharp(50.0))]
)
def test_runs_know_the_objects_that_they_were_given(setting, one, other, tmp_path):
    agents.train(tb(**{setting: one}), 3, tmp_path, progress=False)
    twice = tb(**{setting: other})  # It has the name now.
    with pytest.raises(
        RunError, match=f"{setting} '{one.name}' holds other values than that of the run: pass that one"
    ):
        agents.load_agent(tmp_path)
    with pytest.raises(RunError, match=r"holds another run .*other values"):
        agents.train(twice, 6, tmp_path, progress=False, resume=True)
    loaded = agents.load_agent(tmp_path, **{setting: one})
    given = loaded.backward if setting == "backward" else loaded.replay.scheme
    state = loaded.dag.terminal_states()[5:6]
    if setting == "backward":
        np.testing.assert_array_equal(given.logits(loaded.dag, state), one.logits(loaded.dag, state))
    else:
        assert given.power == 1.0
    trained = tb(**{setting: one})
    agents.train(trained, 6, tmp_path, progress=False, resume=True)
    agents.train(trained, 8, tmp_path, progress=False, resume=True)  # The same agent, which is not new any more.


def test_an_object_that_nobody_gives_is_asked_for(tmp_path):
    agents.train(tb(replay=Sharp(2.0)), 2, tmp_path, progress=False)
    config = files.read_json(tmp_path / "config.json")
    config["settings"]["replay"] = "unknown here"
    files.write_sealed(tmp_path / "config.json", config)
    with pytest.raises(RunError, match=r"pass the run's replay as replay=\.\.\."):
        agents.load_agent(tmp_path)


# ---------------------------------------------------------------------- engines


class Penalized(agents.AGENTS["tb"]):
    name = "penalized tb"

    def auxiliary_loss(self, trajectories):
        return 10 * sum(p.square().sum() for p in self.policy.parameters())


class FixedLogZ(agents.AGENTS["tb"]):
    name = "tb with another log Z"

    def log_z_of(self, trajectories):
        return torch.tensor(5.0)


class Regular(Explorer):
    name = "regular"

    def loss(self, agent, batch):
        return 10 * sum(p.square().sum() for p in agent.policy.parameters())


@pytest.mark.parametrize(
    ("kind", "settings"), [(Penalized, {}), (FixedLogZ, {}), (agents.AGENTS["tb"], {"explorer": f"{__name__}:Regular"})]
)
def test_the_automatic_engine_computes_the_losses_of_subclasses(kind, settings):
    config = kind.config_class
    made = [kind(grid(), config(**SMALL, **settings, engine=engine)) for engine in ("auto", "torch")]
    batch = made[1].sample_batch()
    first, second = (agent.engine.step(copy.deepcopy(batch)) for agent in made)
    assert first == pytest.approx(second)
    with pytest.raises(ValueError, match="engine 'numba' needs"):
        kind(grid(), config(**SMALL, **settings, engine="numba")).update()


# ---------------------------------------------------------------------- comparing runs


def test_runs_with_different_functions_are_different_experiments(tmp_path):
    for name, seed in (("one", 0), ("other", 1)):
        agents.train(tb(seed=seed), 3, tmp_path / name, progress=False)
        path = tmp_path / name / "config.json"
        config = files.read_json(path)
        config["sources"] = {"policy": {"$import": f"mine:{name}", "sha256": name, "file": f"/{name}.py"}}
        files.write_sealed(path, config)
    groups = group_runs([read_run(tmp_path / "one"), read_run(tmp_path / "other")])
    assert [group.label for group in groups] == ["tb (policy=mine:one)", "tb (policy=mine:other)"]


def test_runs_with_a_log_of_calls_each_are_one_experiment(tmp_path):
    for seed in (0, 1):
        dag = grid()
        gfn_envs.oracle.Oracle.of(dag, budget=1000, log=tmp_path / f"{seed}.sqlite")
        agents.train(tb(seed=seed, dag=dag), 2, tmp_path / str(seed), progress=False)
    (group,) = group_runs([read_run(tmp_path / "0"), read_run(tmp_path / "1")])
    assert len(group.runs) == 2
    dag = grid()
    gfn_envs.oracle.Oracle.of(dag, budget=500)
    agents.train(tb(seed=2, dag=dag), 2, tmp_path / "2", progress=False)
    found = group_runs([read_run(tmp_path / name) for name in "012"])
    assert [group.label for group in found] == ["tb (budget=1000)", "tb (budget=500)"]


class Interrupt(agents.Callback):
    def __init__(self, at, error):
        self.at, self.error = at, error

    def iteration(self, agent, info):
        if agent.iteration >= self.at:
            if self.error:
                raise KeyboardInterrupt
            return True
        return None


def test_a_run_that_stopped_and_was_continued_is_not_finished(tmp_path):
    agents.train(tb(), 100, tmp_path, progress=False, log_every=5, callbacks=[Interrupt(5, False)])
    assert read_run(tmp_path).finished
    with pytest.raises(KeyboardInterrupt):
        agents.train(tb(), 100, tmp_path, progress=False, resume=True, callbacks=[Interrupt(60, True)])
    assert not read_run(tmp_path).finished


# ---------------------------------------------------------------------- failing rewards


class HalfFails(HyperGrid):
    def log_reward(self, states):
        if (states[:, 0] >= 2).any():
            raise TimeoutError("busy")
        return super().log_reward(states)


@pytest.fixture
def half():
    dag = HalfFails(ndim=2, side=4)
    dag.on_error = "skip"
    return dag


def test_skipped_objects_count_with_reward_0(half):
    log_z = target_of(half).log_z
    random = agents.make_agent("random", half, seed=0, batch_size=512)
    for _ in range(40):
        random.update()
    assert random.log_z == pytest.approx(log_z, abs=0.05)
    found = agents.evaluate(tb(dag=half), num_samples=4000)
    assert found["elbo"] < log_z
    assert found["sampled_mean_reward"] == pytest.approx(found["mean_reward"], abs=4 * found["sampled_mean_reward_se"])
    agent = tb(dag=half)
    given = agent.sample_trajectories(4000, rng=np.random.default_rng(0))
    assert len(given) < 4000
    whole, parts = agents.full_evaluation(agent, 4000), agents.full_evaluation(agent, 4000, trajectories=given)
    assert {name: parts[name] for name in ("elbo", "elbo_se", "sampled_mean_reward")} == pytest.approx(
        {name: whole[name] for name in ("elbo", "elbo_se", "sampled_mean_reward")}
    )
    good = tb(dag=half, hidden=(32,), engine="torch")
    for _ in range(300):
        good.update()
    found = agents.evaluate(good, num_samples=4000)
    assert found["elbo"] <= log_z + 3 * found["elbo_se"]
    share = exact.terminal_distribution(half, good.probabilities)[half.terminal_states()[:, 0] < 2].sum()
    assert found["elbo"] == pytest.approx(log_z + np.log(share), abs=0.2)


def test_searches_never_call_a_failed_object_again(half):
    called = []
    old = half.log_reward

    def log_reward(states):
        called.extend(map(tuple, states.tolist()))
        return old(states)

    half.log_reward = log_reward
    for search in (
        lambda: acquire.acquire(half, rounds=4, batch=4, iterations=2, agent="tb", hidden=(8,)),
        lambda: genetic_search(half, 16, 4),
    ):
        called.clear()
        search()
        alone = [row for row in called if called.count(row) > 2]
        assert not alone  # A batch that fails is called again, one object at a time.


def test_a_chain_ends_when_there_are_no_more_objects():
    assert len(mcmc_search(grid(), 100, 10)) == 16


# ---------------------------------------------------------------------- others


@pytest.mark.parametrize("steps", [1, 3])
def test_pessimistic_remembers_batches_not_steps(steps):
    agent = tb(backward="pessimistic", steps_per_batch=steps)
    for _ in range(5):
        agent.update()
    assert len({id(batch) for batch in agent.backward.memory.batches}) == len(agent.backward.memory.batches) == 5


def half_way(progress):
    return progress / 2


def test_beta_must_reach_1():
    with pytest.raises(ValueError, match="beta must end at 1"):
        tb(beta=f"0.1,1,10,{__name__}:half_way")
