"""Explorers: what they sample from, what their networks learn, and that all of it resumes to the bit."""

import numpy as np
import pytest
import torch

import agents
from agents.errors import UnsupportedError
from agents.exploration import Explorer, Noisy
from agents.exploration.teacher import teacher_log_reward
from agents.gflownets import TB
from agents.keywords import name_and_keywords
from agents.runs import directory as runs
from tests.agents.tabular import ExactFlows, all_paths, packed, tensor
from tests.helpers import GRID, UNEVEN_EDGES, TableDag, small_dag


class Behaving(TB):
    """An objective with its own behavior policy."""

    name = "behaving"

    def behavior(self):
        return self.forward_logits()


EXPLORERS = ["teacher", "thompson(members=3, share=0.7)", "noisy(draws=2)", f"temperature(of='{__name__}:heat')"]


def heat(states):
    return 1.0 + states.sum(1)


class Halves(Explorer):
    """An explorer of a user's: half of a batch takes the first action that is legal."""

    def __init__(self, size=0.5):
        self.size = size

    def behaviors(self, agent, n):
        first = int(n * self.size)
        return [
            (lambda states: np.eye(1, agent.dag.num_actions, dtype=np.float32) * 90 + 0 * states[:, :1], first),
            (None, n - first),
        ]


def make(name="tb", **settings):
    return agents.make_agent(
        name, small_dag(GRID, {"ndim": 2, "side": 4}), **{"hidden": (8,), "batch_size": 6} | settings
    )


@pytest.mark.parametrize("explorer", EXPLORERS)
def test_one_seed_one_result_and_resuming_is_exact(tmp_path, explorer):
    settings = {"explorer": explorer, "replay": "fifo"}
    whole, parts = make(seed=1, **settings), make(seed=1, **settings)
    infos = [whole.update() for _ in range(8)]
    assert [parts.update() for _ in range(5)] == infos[:5]
    runs.save_checkpoint(tmp_path, parts, {})
    resumed = make(seed=2, **settings)
    runs.load_checkpoint(tmp_path, resumed)
    assert [resumed.update() for _ in range(3)] == infos[5:]
    assert make(seed=1, replay="fifo").update() != infos[0] or explorer == "teacher"


@pytest.mark.parametrize("explorer", EXPLORERS[:2])
def test_the_gradient_of_the_policy_does_not_depend_on_the_explorer(explorer):
    plain, explored = make(engine="torch"), make(explorer=explorer)
    batch = plain.sample_trajectories(8)
    for agent in (plain, explored):
        agent.step_optimizer(agent.loss(batch) + (agent.auxiliary_loss(batch) or 0.0))
    for a, b in zip(plain.policy.parameters(), explored.policy.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert plain.log_z == explored.log_z


def test_the_reward_of_a_teacher_by_hand():
    delta, log_reward = np.array([-2.0, 0.0, 0.5]), np.array([1.0, -3.0, 2.0])
    expected = np.log(1 + 1e-3 + delta**2 * np.array([1, 1, 20])) * np.exp(0.5 * log_reward)
    found = teacher_log_reward(tensor(delta), tensor(log_reward), 19.0, 0.5)
    np.testing.assert_allclose(found.exp(), expected, rtol=1e-12)


def test_a_teacher_of_a_perfect_student_is_a_gflownet_of_the_reward():
    """delta = 0, so that the teacher's reward is R^mixing times a constant."""
    dag = TableDag(UNEVEN_EDGES)
    flows, batch = ExactFlows(dag), packed(dag, all_paths(dag))
    agent = flows.agent("tb", explorer="teacher(mixing=1)")
    agent.modules["teacher"] = table = flows.table("tb")
    assert agent.auxiliary_loss(batch).item() < 1e-20
    with torch.no_grad():
        table.forward_table[0, 0] += 0.3
    assert agent.auxiliary_loss(batch).item() > 1e-4
    with torch.no_grad():
        table.forward_table[0, 0] -= 0.3
        agent.policy.forward_table[0, 0] += 0.3
    assert agent.auxiliary_loss(batch).item() > 1e-2  # The student errs: the teacher has something to look for.


def test_student_and_teacher_alternate():
    agent = make(explorer="teacher")
    assert [agent.behaviors(6)] == [[(None, 6)]]
    agent.iteration = 1
    ((logits, size),) = agent.behaviors(6)
    states = agent.dag.source(1)
    with torch.inference_mode():
        assert np.array_equal(logits(states), agent.modules["teacher"].logits("forward")(states))
        assert not np.array_equal(logits(states), agent.forward_logits()(states))
    assert size == 6


def test_each_trajectory_is_sampled_by_one_member():
    """Each of two members always takes its own direction."""
    agent = make(explorer="thompson(members=2, prior=0)", batch_size=40, delay_stop=0)
    with torch.no_grad():
        for parameter in agent.modules["members"].parameters():
            parameter.zero_()
        agent.modules["members"].last_bias.copy_(torch.tensor([90.0, 50, 0, 50, 90, 0]))
    batch = agent.sample_batch()
    first = batch.actions[batch.edge_offsets[:-1]]
    assert set(first) == {0, 1}
    for i, direction in enumerate(first):
        path = batch.part(i, i + 1)
        free = agent.dag.forward_mask(path.states[path.sources])[:, direction]
        assert (path.actions[free] == direction).all()
    assert np.array_equal(batch.log_reward, agent.dag.log_reward(batch.terminal_states))


def test_the_loss_of_the_members_one_by_one():
    agent = make(explorer="thompson(members=3, share=1, prior=0.5)")
    batch = agent.sample_batch()
    losses = []
    for k in range(3):
        scores = []
        for i in range(len(batch)):
            path, score = batch.part(i, i + 1), 0.0
            for state, action in zip(path.states[:-1], path.actions, strict=True):
                logits = agent.explorer.logits(agent, state[None])[0, k].double()
                legal = torch.from_numpy(agent.dag.forward_mask(state[None])[0])
                score += (logits[action] - logits[legal].logsumexp(0)).item()
            found = agent.log_probs(path)
            scores.append(score - found.log_pb.sum().item() - path.log_reward[0])
        losses.append(np.var(scores))
    assert agent.auxiliary_loss(batch).item() == pytest.approx(np.mean(losses), rel=1e-5)
    priors = [p.clone() for p in agent.modules["priors"].parameters()]
    agent.update()
    assert all(map(torch.equal, priors, agent.modules["priors"].parameters()))


def test_noise_is_factorized_and_leaves_the_policy_alone():
    agent = make(explorer="noisy(scale=2)")
    before = [p.clone() for p in agent.policy.parameters()]
    agent.sample_batch()
    assert all(map(torch.equal, before, agent.policy.parameters()))
    noise = Noisy(2.0).noise(torch.empty(30, 400), torch.Generator().manual_seed(0))
    assert torch.linalg.matrix_rank(noise).item() == 1
    # The mean of abs(e_i) abs(e_j) is 2 / pi.
    assert noise.square().mean().item() == pytest.approx(4 / 400 * 2 / np.pi, rel=0.2)


def test_a_temperature_per_state_is_that_of_the_function():
    agent = make(explorer=EXPLORERS[-1])
    states = agent.dag.source(2)
    states[1, 0] = 3
    with torch.inference_mode():
        ((logits, _),) = agent.behaviors(4)
        np.testing.assert_allclose(logits(states), agent.forward_logits()(states) / [[1.0], [4.0]], rtol=1e-6)


def test_an_explorer_of_ones_own_by_name():
    agent = make(explorer=f"{__name__}:Halves(size=0.25)", batch_size=8, delay_stop=0)
    batch = agent.sample_batch()
    assert len(batch) == 8
    for path in (batch.part(0, 1), batch.part(1, 2)):
        assert path.states[:, 1].max() == 0  # Only the first coordinate grows.
        assert path.states[:, 0].max() == 3
    assert np.isfinite(agent.update()["loss"])
    with pytest.raises(TypeError, match=r"is not a subclass of agents\.exploration\.Explorer"):
        make(explorer=f"{__name__}:heat")
    with pytest.raises(ValueError, match="defines its own behavior policy; explorer must be 'none'"):
        Behaving(agent.dag, Behaving.config_class(explorer="noisy"))


@pytest.mark.parametrize(
    ("explorer", "message"),
    [
        ("teachers", "unknown explorer 'teachers'; did you mean 'teacher'"),
        ("teacher(weight=-1)", r"explorer teacher\(weight=-1\): weight must be finite and >= 0, got -1"),
        ("thompson(member=3)", r"explorer thompson\(member=3\): .*unexpected keyword argument 'member'"),
        ("thompson(3)", r"expected keywords such as \(members=5\)"),
        ("temperature(of='heat')", "of must be the module:name of a function of states"),
    ],
)
def test_bad_explorers_raise(explorer, message):
    with pytest.raises(ValueError, match=message):
        make(explorer=explorer)


def test_combinations_without_a_meaning_raise():
    with pytest.raises(UnsupportedError, match="explorer 'teacher' needs an agent with a balance objective, got 'fm'"):
        make("fm", explorer="teacher")
    with pytest.raises(ValueError, match="a teacher needs a batch_size of at least 2"):
        make(explorer="teacher", batch_size=1)
    with pytest.raises(ValueError, match="engine 'numba' needs no further networks"):
        make(explorer="teacher", engine="numba")
    with pytest.raises(TypeError, match="agent 'rl-u' has no setting explorer"):
        make("rl-u", explorer="teacher")


def test_keywords():
    assert name_and_keywords("sgd", "optimizer", "x=1") == ("sgd", {})
    assert name_and_keywords("a:b (x=(1, 2), y='z')", "optimizer", "x=1") == ("a:b", {"x": (1, 2), "y": "z"})
