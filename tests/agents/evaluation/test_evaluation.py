"""Evaluation as a whole: exact metrics, extreme rewards, large DAGs and given objects."""

import numpy as np
import pytest
from scipy import stats

import agents
import gfn_envs
from agents.cli import main as cli
from agents.evaluation import evaluate as evaluation
from agents.evaluation import metrics
from gfn_envs import HyperGrid, exact
from gfn_envs.enumeration import state_graph
from tests.agents.evaluation.table_agent import table_agent
from tests.helpers import UNEVEN_EDGES, TableDag, agent_or_skip, small_dag


@pytest.mark.parametrize("name", sorted(agents.AGENTS))
def test_the_full_set_holds_the_small_one_and_leaves_the_agent_alone(name):
    hidden = {"hidden": (16,)} if hasattr(agents.AGENTS[name].config_class, "hidden") else {}
    agent = agent_or_skip(name, small_dag("GFN/HyperGrid-v0", {"ndim": 2, "side": 8}), **hidden)
    before = agent.rng.bit_generator.state
    found = agents.full_evaluation(agent, 300, seed=1)
    assert found == agents.full_evaluation(agent, 300, seed=1)
    assert agent.rng.bit_generator.state == before
    assert agents.evaluate(agent, 300, seed=1).items() <= found.items()
    if not agent.samples_by_policy:
        assert [found[key] for key in ("tv", "elbo", "eubo", "log_p_source")] == [None] * 4
        return
    assert found["log_p_source"] == "exact"
    # A greedy policy cannot build every object: its upper bound is infinite.
    assert np.isfinite(found["eubo"]) == (name != "sb3-dqn")
    if name == "sb3-dqn":
        return
    assert found["eubo"] != agents.full_evaluation(agent, 300, seed=2)["eubo"]
    assert found["elbo"] - 5 * found["elbo_se"] < exact.log_partition(agent.dag) < found["eubo"] + 5 * found["eubo_se"]


def test_exact_metrics_by_their_formulas():
    agent = table_agent(noise=1.0)
    p, q = evaluation.exact_distribution(agent), exact.target_distribution(agent.dag)
    reward = np.exp(exact.log_rewards(agent.dag))
    found = agents.full_evaluation(agent, 500)
    assert found["tv"] == pytest.approx(np.abs(p - q).sum() / 2)
    assert found["kl"] == pytest.approx(stats.entropy(p, q))
    assert found["kl_reverse"] == pytest.approx(stats.entropy(q, p))
    assert found["jsd"] == pytest.approx((stats.entropy(p, (p + q) / 2) + stats.entropy(q, (p + q) / 2)) / 2)
    assert found["l1_mean"] == pytest.approx(np.abs(p - q).mean())
    assert found["target_mean_reward"] == pytest.approx((reward**2).sum() / reward.sum())
    assert found["accuracy"] == pytest.approx(min(1, p @ reward / (q @ reward)))
    assert found["percent_of_target_mean"] == pytest.approx(100 * found["sampled_mean_reward"] / (q @ reward))
    assert found["pearson"] == pytest.approx(np.corrcoef(np.log(p), np.log(q))[0, 1])


SCALE_FREE = (
    "tv",
    "jsd",
    "kl",
    "kl_reverse",
    "l1_mean",
    "mean_reward_error",
    "accuracy",
    "anderson_darling",
    "pearson",
)

SCALE_FREE += (
    "sampled_mean_reward_error",
    "percent_of_target_mean",
    "percent_of_target_mean_se",
    "elbo_gap",
    "spearman",
)


@pytest.mark.parametrize("shift", [-2000.0, 30.0, 2000.0])
def test_rewards_far_beyond_all_numbers_have_metrics(shift):
    dag, plain = TableDag(UNEVEN_EDGES), table_agent(noise=1.0)
    dag.log_rewards = dag.log_rewards + shift
    agent = table_agent(noise=1.0, dag=dag)
    found, expected = agents.full_evaluation(agent, 500), agents.full_evaluation(plain, 500)
    assert {key: found[key] for key in SCALE_FREE} == pytest.approx(
        {key: expected[key] for key in SCALE_FREE}, rel=1e-9
    )
    for key in ("mean_reward", "target_mean_reward", "sampled_mean_reward", "sampled_mean_reward_se"):
        scaled = {-2000.0: 0.0, 30.0: expected[key] * np.exp(30.0), 2000.0: None}[shift]
        assert found[key] == (scaled if scaled is None else pytest.approx(scaled))


def test_an_object_of_next_to_no_reward_leaves_kl_finite():
    dag = TableDag(UNEVEN_EDGES)
    agent = table_agent(noise=1.0, dag=dag)
    graph = state_graph(dag)
    dag.log_rewards = dag.log_rewards.copy()
    dag.log_rewards[graph.states[graph.terminal[0], 0]] = -5000.0
    p, log_q = evaluation.exact_distribution(agent), exact.log_rewards(dag) - exact.log_partition(dag)
    assert evaluation.exact_metrics(dag, p)["kl"] == pytest.approx((p * (np.log(p) - log_q)).sum())


def test_no_more_states_are_listed_than_it_takes_to_know_that_there_are_too_many(monkeypatch):
    dag = gfn_envs.make_dag("GFN/BayesNet-v0", num_nodes=5, max_parents=2)
    widest, children = [], dag.children
    monkeypatch.setattr(dag, "children", lambda states: widest.append(len(states)) or children(states))
    assert not evaluation.is_enumerable(dag, 500)
    assert 0 < max(widest) <= 500
    widest.clear()
    assert not evaluation.is_enumerable(dag, 500)
    assert not widest
    assert evaluation.is_enumerable(dag, 100_000)
    assert dag.has_at_most(dag.num_states)
    assert not dag.has_at_most(dag.num_states - 1)


def test_a_dag_that_is_too_large_to_enumerate():
    agent = agents.make_agent("tb", gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=10, side=20), hidden=(8,))
    found = agents.full_evaluation(agent, 50)
    undefined = ("tv", "eubo", "anderson_darling", "empirical_tv", "pearson", "log_p_source", "top_100_reward")
    assert [found[name] for name in undefined] == [None] * len(undefined)
    near = np.zeros((5, 11), dtype=int)
    near[:, 0], near[:, -1] = np.arange(5), 1
    assert agents.full_evaluation(agent, 50, test_objects=near)["log_p_source"] == "ancestors"
    far = np.full((5, 11), 19)
    far[:, 0], far[:, -1] = [0, 5, 10, 17, 19], 1
    found = agents.full_evaluation(agent, 50, test_objects=far)
    assert found["log_p_source"] == "estimated"
    assert np.isfinite(found["spearman"])


def test_the_environments_own_distance_is_used():
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=6)
    agent = agents.make_agent("tb", dag, hidden=(8,))
    dag.distance = lambda a, b: np.full((len(a), len(b)), 7.0)
    own = agents.full_evaluation(agent, 200)
    assert (own["top_10_diversity"], own["distance"]) == (7, "the environment's own")
    given = agents.full_evaluation(agent, 200, distance=metrics.hamming)
    assert given["top_10_diversity"] <= 2
    assert given["distance"] == "hamming"


def test_strings_are_compared_by_levenshtein():
    dag = gfn_envs.make_dag("GFN/AMP-v0")
    rows = dag.from_text(["ACDEFGHIKLMN", "CDEFGHIKLMNA", "ACDEFGHIKLMN" * 2])
    assert dag.distance(rows, rows[:2]).tolist() == [[0, 2], [2, 0], [12, 12]]
    found = agents.full_evaluation(agents.make_agent("tb", dag, hidden=(8,)), 20)
    assert found["distance"] == "levenshtein"
    words = gfn_envs.make_dag("GFN/Sequence-v0", alphabet=["one", "two"], length=3)
    assert words.distance(words.terminal_states(), words.terminal_states()).max() == 3


@pytest.mark.parametrize(
    "rows", [np.zeros((2, 2), int), np.zeros((2, 3)), np.zeros((0, 3), int), np.zeros((2, 3), int)]
)
def test_bad_objects_raise(rows):
    agent = agents.make_agent("tb", small_dag("GFN/HyperGrid-v0", {"ndim": 2, "side": 8}), hidden=(8,))
    for name in ("test_objects", "reference"):
        with pytest.raises(ValueError, match=name):
            agents.full_evaluation(agent, 10, **{name: rows})
    with pytest.raises(ValueError, match="num_samples"):
        agents.full_evaluation(agent, 1)


@pytest.mark.parametrize("row", [[100, 2, 1], [-1, 0, 1], [2**40, 0, 1], [8, 0, 1], [0, 0, 2]])
@pytest.mark.parametrize("ndim", [2, 9])
def test_rows_that_are_not_states_raise(row, ndim):
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=ndim, side=8)
    agent = agents.make_agent("tb", dag, hidden=(8,))
    good = [0] * ndim + [1]
    rows = np.array([good, [0] * (ndim - 2) + row, good])
    for name in ("test_objects", "reference"):
        with pytest.raises(ValueError, match=rf"{name}: row 1, .* is not a state of HyperGrid"):
            agents.full_evaluation(agent, 10, **{name: rows})


def test_the_command_line_reads_objects(tmp_path, capsys):
    dag = small_dag("GFN/HyperGrid-v0", {"ndim": 2, "side": 8})
    agent = agents.make_agent("tb", dag, hidden=(8,))
    agents.train(agent, 2, tmp_path / "run", progress=False)
    np.save(tmp_path / "objects.npy", dag.terminal_states()[:5])
    files = ["--test-objects", str(tmp_path / "objects.npy"), "--reference", str(tmp_path / "objects.npy")]
    with pytest.raises(SystemExit) as stop:
        cli.main(["evaluate", str(tmp_path / "run"), *files])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    assert all(words in printed for words in ("EUBO", "Anderson-Darling", "Spearman", "10 best to the reference"))
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(SystemExit) as stop:
        cli.main(["evaluate", str(tmp_path / "run"), *files])
    assert stop.value.code == 2
    assert "objects.npy" in capsys.readouterr().err


def test_errors_and_lists_name_objects_as_their_users_write_them():
    dag = gfn_envs.make_dag("GFN/Sequence-v0", alphabet="ACGT", length=3)
    agent = agents.make_agent("tb", dag, hidden=(8,))
    with pytest.raises(ValueError, match=r"test_objects: row 0, AC, is not a terminal state"):
        agents.full_evaluation(agent, 10, test_objects=np.array([[0, 1, 4, 2]]))
    objects = dag.terminal_states()[:1]
    name = dag.object_names(objects)[0]
    with pytest.raises(ValueError, match=f"the log reward of object {name} is nan"):
        agents.replay.objects.ReplayBuffer(dag, 10).add(objects, np.array([np.nan]))


class SomeFail(HyperGrid):
    def log_reward(self, states):
        found = super().log_reward(states)
        found[states[:, 0] == 1] = np.nan
        return found


@pytest.mark.parametrize("exact_states", [1, None])
def test_objects_without_a_reward_are_no_test_objects(exact_states):
    dag = SomeFail(ndim=2, side=4)
    dag.on_error = "skip"
    found = agents.full_evaluation(
        agents.make_agent("tb", dag, hidden=(8,)), 200, test_objects=dag.terminal_states(), exact_states=exact_states
    )
    assert found["num_test_objects"] == 12
    assert -1 <= found["pearson"] <= 1
    assert -1 <= found["spearman"] <= 1
