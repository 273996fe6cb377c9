"""Replay, local search and backward policies in agents, which resume to the bit."""

import numpy as np
import pytest
import torch

import agents
from agents.gflownets import gflownet
from agents.replay import schemes as replay_schemes
from agents.replay.schemes import Scheme
from agents.runs import directory as runs
from tests.agents.tabular import BALANCE
from tests.helpers import small_dag

GRID = ("GFN/HyperGrid-v0", {"ndim": 2, "side": 4})
SETTINGS = {"hidden": (12,), "width": 8, "layers": 1, "heads": 2, "batch_size": 4, "epsilon": "0.3,0,20"}
SCHEMES = ["fifo", "uniform", "proportional", "prioritized"]

CONFIGURATIONS = {
    **{scheme: {"replay": scheme} for scheme in SCHEMES},
    "evicting": {"replay": "fifo", "replay_capacity": 5},
    "joint": {"replay": "prioritized", "replay_mix": "joint", "replay_batch_size": 3},
    "local search": {"local_search": 2},
    "local search and replay": {"local_search": 1, "replay": "prioritized"},
    "pessimistic": {"backward": "pessimistic"},
    "tlm": {"backward": "tlm", "replay": "uniform"},
    "maxent": {"backward": "maxent", "replay": "uniform"},
    "ssr": {"form": "ssr"},
    "transformer": {"network": "transformer"},
    "ssr transformer": {"form": "ssr", "network": "transformer", "replay": "fifo"},
    "apart": {"shared": False, "loss": "log-cosh", "clamp_loss": 9.0, "max_grad_norm": 1.0, "temperature": "2,1,9"},
}
#: What only one agent has; its state must have moved away from a fresh agent's by the time it is saved.
ALONE = {
    "mdb": {"target": {"target_every": 3}, "no target": {"target_every": 0}},
    "gtb": {"few objects": {"guide_objects": 3, "replay_capacity": 6}, "mixed": {"alpha": 0.5}},
    "subtb": {"batch": {"weighting": "batch"}},
}
CASES = [
    *((name, label, settings) for name in BALANCE for label, settings in CONFIGURATIONS.items()),
    *((name, label, settings) for name, more in ALONE.items() for label, settings in more.items()),
]
# Flow matching has no backward policy, and guided trajectory balance its own one.
CASES = [case for case in CASES if not ("backward" in case[2] and case[0] in ("fm", "gtb"))]
#: The policy gradients learn from their own samples alone.
CASES += [(n, f, CONFIGURATIONS[f]) for n in ("rl-u", "rl-b", "rl-g", "rl-t") for f in ("ssr", "transformer")]


def make(name="tb", seed=1, **settings):
    return agents.make_agent(name, small_dag(*GRID), seed=seed, **SETTINGS | settings)


def leaves(value, path=""):
    """Every leaf of a nested state, by path, tensors as bytes."""
    if isinstance(value, dict):
        return {k: v for key, item in value.items() for k, v in leaves(item, f"{path}/{key}").items()}
    if isinstance(value, (list, tuple)):
        return {k: v for i, item in enumerate(value) for k, v in leaves(item, f"{path}/{i}").items()}
    return {path: value.numpy().tobytes() if torch.is_tensor(value) else value}


@pytest.mark.parametrize(("name", "label", "settings"), CASES, ids=[f"{name}-{label}" for name, label, _ in CASES])
def test_one_seed_one_result_and_resuming_is_exact(tmp_path, name, label, settings):
    whole = make(name, **settings)
    infos = [whole.update() for _ in range(8)]
    parts = make(name, **settings)
    assert [parts.update() for _ in range(4)] == infos[:4]
    runs.save_checkpoint(tmp_path, parts, {})
    resumed = make(name, **settings)
    resumed.update()  # Whatever was there goes.
    runs.load_checkpoint(tmp_path, resumed)
    assert [resumed.update() for _ in range(4)] == infos[4:]
    left, right = leaves(whole.state_dict()), leaves(resumed.state_dict())
    assert left.keys() == right.keys()
    assert [key for key in left if left[key] != right[key]] == []
    assert make(name, seed=2, **settings).update() != infos[0]


def test_the_target_of_mdb_is_saved_and_its_environment_is_not_copied(tmp_path):
    agent = make("mdb", target_every=4)
    assert agent.target.inputs.__self__ is agent.dag
    for _ in range(6):
        agent.update()
    target, policy = agent.target.state_dict(), agent.policy.state_dict()
    assert any(not torch.equal(target[key], policy[key]) for key in target)
    first = make("mdb", target_every=4).target.state_dict()
    assert any(not torch.equal(target[key], first[key]) for key in target)
    runs.save_checkpoint(tmp_path, agent, {})
    other = make("mdb", target_every=4)
    runs.load_checkpoint(tmp_path, other)
    assert all(torch.equal(target[key], value) for key, value in other.target.state_dict().items())


# ---------------------------------------------------------------------- what enters and what is learned from


class Recorded:
    """An agent whose sampled batches, local searches, backward samples and gradient steps are written down."""

    def __init__(self, monkeypatch, name="tb", **settings):
        self.agent = agent = make(name, **settings)
        self.sampled, self.searches, self.rebuilt, self.learned = [], [], [], []
        sample, backward, step, search = (
            agent.sample_trajectories,
            agent.sample_backward,
            agent.engine.step,
            gflownet.local_search,
        )
        agent.sample_trajectories = lambda *a, **k: self.keep(self.sampled, sample(*a, **k))
        agent.sample_backward = lambda *a, **k: self.keep(self.rebuilt, backward(*a, **k))
        agent.engine.step = lambda batch, *a, **k: step(self.keep(self.learned, batch), *a, **k)
        monkeypatch.setattr(gflownet, "local_search", lambda *a, **k: self.keep(self.searches, search(*a, **k)))

    @property
    def steps(self):
        """Gradient steps that the optimizer counted, of every parameter that any step changed."""
        (counted,) = {state["step"].item() for state in self.agent.optimizer.state.values()}
        return counted

    @staticmethod
    def keep(where, value):
        where.append(value)
        return value


def rows(*arrays):
    return {tuple(row) for array in arrays for row in array.tolist()}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", BALANCE)
def test_the_buffer_holds_exactly_the_distinct_objects_sampled(monkeypatch, name, scheme):
    run = Recorded(monkeypatch, name, replay=scheme)
    for _ in range(8):
        run.agent.update()
        buffer = run.agent.replay
        assert rows(buffer.objects) == rows(*(batch.terminal_states for batch in run.sampled))
        assert len(buffer) == len(rows(buffer.objects))
        np.testing.assert_array_equal(buffer.log_reward, run.agent.dag.log_reward(buffer.objects))
    # What is replayed is in the buffer, and its trajectories lead there.
    assert len(run.rebuilt) == 8
    for batch in run.rebuilt:
        assert rows(batch.terminal_states) <= rows(buffer.objects)
        np.testing.assert_array_equal(batch.log_reward, run.agent.dag.log_reward(batch.terminal_states))


@pytest.mark.parametrize("name", BALANCE)
@pytest.mark.parametrize(
    ("settings", "others"),
    [
        ({}, 0),
        ({"replay": "uniform"}, 1),
        ({"local_search": 1}, 1),
        ({"local_search": 3, "replay": "prioritized"}, 2),
    ],
)
@pytest.mark.parametrize("mix", ["alternate", "joint"])
def test_gradient_steps_and_batches(monkeypatch, name, settings, others, mix):
    run = Recorded(monkeypatch, name, replay_mix=mix, replay_batch_size=3, **settings)
    infos = [run.agent.update() for _ in range(5)]
    batches = 1 + others if mix == "alternate" else 1
    assert run.steps == len(run.learned) == 5 * batches
    assert run.agent.iteration == 5
    for i, info in enumerate(infos):
        sampled, rebuilt = run.sampled[i], run.rebuilt[others * i : others * (i + 1)]
        learned = run.learned[batches * i : batches * (i + 1)]
        edges = sampled.num_edges + sum(batch.num_edges for batch in rebuilt)
        assert sum(batch.num_edges for batch in learned) == edges
        searched = run.searches[i].transitions if run.searches else 0
        assert info["transitions"] == edges + searched
        assert len(learned[0]) == 4 + (sum(map(len, rebuilt)) if mix == "joint" else 0)
        np.testing.assert_array_equal(learned[0].states[: len(sampled.states)], sampled.states)
        if mix == "alternate":
            assert all(a is b for a, b in zip(learned, [sampled, *rebuilt], strict=True))


def test_a_joint_batch_weighs_every_trajectory_alike(monkeypatch):
    run = Recorded(monkeypatch, replay="uniform", replay_mix="joint", replay_batch_size=4, lr=0.0, lr_log_z=0.0)
    for _ in range(6):
        run.agent.update()
    sampled, rebuilt, joint = run.sampled[-1], run.rebuilt[-1], run.learned[-1]
    with torch.no_grad():
        parts = [run.agent.loss(batch).item() for batch in (sampled, rebuilt)]
        total = run.agent.loss(joint).item()
    n, m = len(sampled), len(rebuilt)
    assert total == pytest.approx((n * parts[0] + m * parts[1]) / (n + m), rel=1e-5)


@pytest.mark.parametrize("rounds", [1, 3])
def test_what_local_search_proposes_enters_the_buffer_and_what_it_finds_is_learned_from(monkeypatch, rounds):
    run = Recorded(monkeypatch, local_search=rounds, replay="prioritized")
    more = 0
    for i in range(8):
        run.agent.update()
        assert len(run.searches[i].proposals) == 4 * rounds
        # The first of the two rebuilt batches is of the objects that the search ended in, one for each sampled.
        np.testing.assert_array_equal(run.rebuilt[2 * i].terminal_states, run.searches[i].objects)
        assert (run.searches[i].log_reward >= run.sampled[i].log_reward).all()
        sampled = rows(*(batch.terminal_states for batch in run.sampled))
        proposed = rows(*(search.proposals for search in run.searches))
        assert rows(run.agent.replay.objects) == sampled | proposed
        more += len(proposed - sampled)
    assert more > 0


def test_a_full_buffer_stays_at_its_capacity(monkeypatch):
    run = Recorded(monkeypatch, replay="fifo", replay_capacity=3)
    for _ in range(10):
        run.agent.update()
    assert len(run.agent.replay) == 3
    assert all(len(batch) == 3 for batch in run.rebuilt[5:])


def test_replay_never_explores():
    """Replayed trajectories are P_B's own: epsilon and temperature are the sampled batch's."""
    agent = make(backward="uniform", replay="uniform", epsilon=1.0)
    agent.update()
    x = agent.replay.objects[:1]
    batch = agent.sample_backward(np.repeat(x, 5000, axis=0))
    log_pb = agent.log_probs(batch).log_pb.detach().numpy()
    # An unbiased check of the sampler: the mean of 1 / P_B(tau|x) is the number of trajectories to x.
    per_path = np.exp(-np.add.reduceat(log_pb.astype(float), batch.edge_offsets[:-1]))
    paths = np.exp(agent.dag.log_num_paths(x)[0])
    assert abs(per_path.mean() - paths) < 5 * per_path.std() / np.sqrt(5000) + 1e-4


class Worst(Scheme):
    """Replays the objects of lowest reward."""

    name = "worst"

    def rank(self, objects, log_reward):
        return -log_reward

    def draw(self, stored, n, rng):
        return np.argsort(stored.log_reward)[:n]


def test_a_scheme_of_the_users_own_is_an_argument(monkeypatch, tmp_path):
    # Known at the end of the test to nobody else.
    monkeypatch.setitem(replay_schemes.SCHEMES, "worst", Worst())
    run = Recorded(monkeypatch, replay=Worst(), replay_batch_size=2)
    for _ in range(5):
        run.agent.update()
    buffer = run.agent.replay
    assert sorted(run.rebuilt[-1].log_reward) == sorted(buffer.log_reward)[:2]
    # From then on it goes by its name, in runs too.
    agent = make("tb", replay="worst")
    agents.train(agent, 3, tmp_path, progress=False)
    assert isinstance(agents.load_agent(tmp_path, dag=agent.dag).replay.scheme, Worst)

    class Other(Worst):
        pass

    for impostor in (Other(), type("None", (Worst,), {"name": "none"})()):
        with pytest.raises(ValueError, match=f"there is a scheme named '{impostor.name}' already"):
            make("tb", replay=impostor)
    assert "none" not in replay_schemes.SCHEMES
    del replay_schemes.SCHEMES["worst"]
    with pytest.raises(ValueError, match=r"replay must be 'auto' or 'none' or 'fifo' .*got 'worst'"):
        make("tb", replay="worst")


@pytest.mark.parametrize(("fraction", "accept"), [(0.1, "greedy"), (1.0, "metropolis")])
def test_how_local_search_goes_is_a_setting(monkeypatch, fraction, accept):
    asked = []
    search = gflownet.local_search
    monkeypatch.setattr(gflownet, "local_search", lambda *a, **k: asked.append(k) or search(*a, **k))
    make("tb", local_search=2, search_fraction=fraction, search_accept=accept).update()
    assert asked == [{"steps": fraction, "min_steps": 1, "rounds": 2, "accept": accept}]
