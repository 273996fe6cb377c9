"""Rows with conditions: the contract of the environment, and the reward of the condition."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gfn_envs
from gfn_envs import exact
from gfn_envs.conditions import Conditions, Focus, Instances, Preferences, Temperature, conditioned
from gfn_envs.enumeration import EnumerationError
from tests.helpers import TINY, small_dag

GRID = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=4)


def objectives(m: int = 2) -> dict:
    """m objectives of cells of GRID in [0, 1], each a coordinate or its opposite."""
    ways = [lambda s: s[:, 0] / 3, lambda s: s[:, 1] / 3, lambda s: 1 - s[:, 0] / 3, lambda s: 1 - s[:, 1] / 3]
    return {f"f{i}": ways[i] for i in range(m)}


KINDS = {
    "range": Temperature(0.5, 8),
    "values": Temperature(values=[1, 2, 4]),
    "preferences": Preferences(objectives(3)),
    "focus": Focus(objectives(2)),
    "instances": Instances(lambda s, c: (s[:, :2] * c).sum(1), ["a", "b"], -1, 1),
}


@pytest.mark.parametrize(("env_id", "kwargs"), TINY)
def test_rows_behave_as_the_states_do(env_id, kwargs):
    dag = small_dag(env_id, kwargs)
    both, rng = conditioned(dag, "temperature:0.5,8"), np.random.default_rng(0)
    rows = both.start(6, rng)
    c = both.conditions_of(rows)
    assert len(np.unique(c)) == 6
    for _ in range(dag.max_length):
        states, mask = both.states_of(rows), both.forward_mask(rows)
        np.testing.assert_array_equal(both.join(states, c), rows)
        np.testing.assert_array_equal(mask, dag.forward_mask(states))
        going = mask.any(1)
        if not going.all():
            break
        actions = np.array([rng.choice(np.flatnonzero(row)) for row in mask])
        after = both.step(rows, actions)
        np.testing.assert_array_equal(both.states_of(after), dag.step(states, actions))
        np.testing.assert_array_equal(both.conditions_of(after), c)
        back = both.backward_action(rows, actions)
        np.testing.assert_array_equal(both.undo(after, back), rows)
        rows = after
    assert both.encode(rows).shape == (6, both.num_features)
    ends = both.join(dag.terminal_states()[:6], c[: len(dag.terminal_states()[:6])])
    expected = c[: len(ends), 0] * dag.log_reward(both.states_of(ends))
    np.testing.assert_allclose(both.log_reward(ends), expected, rtol=1e-12)
    fixed = both.at(c[0])
    np.testing.assert_allclose(exact.log_rewards(fixed), c[0, 0] * exact.log_rewards(dag), rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_lie_in_the_ranges_and_are_reproducible(kind):
    conditions = KINDS[kind].bind(GRID)
    drawn = conditions.sample(500, np.random.default_rng(0))
    assert drawn.dtype == np.float32
    assert drawn.shape == (500, len(conditions.names))
    np.testing.assert_array_equal(conditions.checked(drawn), drawn)
    np.testing.assert_array_equal(conditions.sample(500, np.random.default_rng(0)), drawn)
    np.testing.assert_array_equal(conditions.checked(conditions.default), conditions.default[None])
    np.testing.assert_array_equal(conditions.grid(7), conditions.grid(7))
    narrow = conditions.sample(500, np.random.default_rng(0), share=0.25)
    assert narrow.max() <= drawn.max()
    features = conditions.features(drawn)
    assert features.dtype == np.float32
    assert features.shape == (500, conditions.features.num_features)


@pytest.mark.parametrize("kind", KINDS)
def test_one_dag_per_condition_agrees_with_the_rows(kind):
    both = conditioned(GRID, KINDS[kind])
    objects = GRID.terminal_states()
    for condition in both.conditions.sample(3, np.random.default_rng(1)):
        fixed = both.at(condition)
        rows = both.join(objects, condition[None])
        np.testing.assert_array_equal(fixed.log_reward(objects), both.log_reward(rows))
        assert fixed.conditions is None
        assert np.isclose(exact.log_flows(fixed)[0], exact.log_partition(fixed))
    assert exact.log_partition(GRID) == exact.log_partition(gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=4))


def test_scalarizations_by_hand():
    weights = np.array([0.25, 0.75], dtype=np.float32)
    cell = np.array([[3, 1, 1]], dtype=np.int16)  # objectives 1 and 1/3
    expected = {"sum": 0.25 + 0.25, "product": (1 / 3) ** 0.75, "tchebycheff": 1 - 0.75 * 2 / 3}
    for how, value in expected.items():
        for exponent in (1, 3):
            fixed = conditioned(GRID, Preferences(objectives(), scalarize=how, exponent=exponent)).at(weights)
            np.testing.assert_allclose(fixed.log_reward(cell), exponent * np.log(value), rtol=1e-6)


def test_focus_by_hand():
    cell = np.array([[3, 1, 1]], dtype=np.int16)
    r = np.array([1, 1 / 3])
    both = conditioned(GRID, Focus(objectives(), limit=0.9, edge=0.2))
    inside, outside = r / np.linalg.norm(r), np.array([0.0, 1.0])
    np.testing.assert_allclose(both.at(inside).log_reward(cell), np.log(2 / 3), rtol=1e-6)
    cosine = outside @ inside
    expected = np.log(2 / 3) + np.log(cosine) * np.log(0.2) / np.log(0.9)
    np.testing.assert_allclose(both.at(outside).log_reward(cell), expected, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.5, 8, width=32), st.integers(1, 20))
def test_a_thermometer_shows_the_number(beta, bins):
    features = Temperature(0.5, 8, bins=bins).features
    shown = features(np.array([[beta]], dtype=np.float32))
    assert 0 <= shown.min() <= shown.max() <= 1
    assert np.isclose(0.5 + 7.5 * shown.mean(), beta, rtol=1e-5)


def test_out_of_range_says_the_range():
    both = conditioned(GRID, "temperature:0.5,8")
    with pytest.raises(ValueError, match=r"the condition 9 is out of range: beta in \[0.5, 8\]"):
        both.at([9])
    with pytest.raises(ValueError, match="gives beta, got temperature"):
        both.at({"temperature": 1})
    with pytest.raises(ValueError, match=r"one of \[\[1.0\], \[2.0\]\]"):
        conditioned(GRID, "temperature:values=1,2").at([1.5])
    with pytest.raises(ValueError, match=r"f0 in \[0, 1\], f1 in \[0, 1\]; they add up to 1"):
        conditioned(GRID, Preferences(objectives())).at([0.5, 0.9])
    with pytest.raises(EnumerationError, match="fix a condition"):
        both.terminal_states()
    with pytest.raises(ValueError, match="has conditions already"):
        conditioned(both, "temperature:1,2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("temprature:1,2", "unknown conditions 'temprature:1,2'; did you mean 'temperature'"),
        ("temperature:1,2,3", "temperature takes low,high"),
        ("temperature:hot", "expected a number, got 'hot'"),
        ("temperature:-1,2", "beta must be finite and > 0, got -1"),
        ("temperature:3,2", r"low <= high, got beta in \[3, 2\]"),
        ("preferences:qed", "at least two objectives"),
        ("preferences:a,b,exponent=0", "exponent must be finite and > 0"),
        ("preferences:a,b,power=2", "unexpected keyword argument 'power'"),
    ],
)
def test_bad_texts(text, message):
    with pytest.raises(ValueError, match=message):
        conditioned(GRID, text)


def test_texts_give_the_conditions_again():
    for text in ("temperature:0.5,8", "temperature:values=1,2,4", "preferences:a,b,exponent=8", "focus:a,b,limit=0.9"):
        read = gfn_envs.conditions.read_conditions(text)
        assert read.text == text
        assert isinstance(read, Conditions)


@pytest.mark.parametrize(
    "made",
    [
        Temperature(1.2345678, 4, features="fourier"),
        Temperature(values=[1, 2.00000001], bins=4),
        Preferences("branin", "currin", floor=0.5, bins=3),
        Focus("branin", "currin", floor=0.25, features="plain"),
    ],
    ids=lambda made: made.text,
)
def test_arguments_make_the_environment_again(made):
    grid = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=2, side=5, reward=["branin", "currin"])
    both = conditioned(grid, made)
    again = gfn_envs.make_dag("GFN/HyperGrid-v0", **both.arguments)
    assert isinstance(both.arguments["conditions"], str)
    rows = both.join(grid.terminal_states()[:4], made.sample(4, np.random.default_rng(0)))
    np.testing.assert_array_equal(again.log_reward(rows), both.log_reward(rows))
    np.testing.assert_array_equal(again.encode(rows), both.encode(rows))


def test_one_condition_can_be_pickled():
    fixed = conditioned(GRID, "temperature:0.5,8").at([2.0])
    again = pickle.loads(pickle.dumps(fixed))
    np.testing.assert_array_equal(again.log_reward(GRID.terminal_states()), 2 * GRID.log_reward(GRID.terminal_states()))


def test_exact_marginals_of_one_condition_are_its_own():
    data = np.random.default_rng(0).normal(size=(50, 3))
    data[:, 1] += data[:, 0]
    dag = gfn_envs.make_dag("GFN/BayesNet-v0", data=data)
    hot = conditioned(dag, "temperature:0.1,4").at([0.1])
    expected = dag.marginals(dag.terminal_states(), exact.target_distribution(hot))
    assert abs(expected["edge"] - dag.exact_marginals()["edge"]).max() > 0.1
    np.testing.assert_allclose(hot.exact_marginals()["edge"], expected["edge"])


@pytest.mark.parametrize("conditions", ["temperature:1,4", "temperature:2"])
def test_environments_with_conditions_are_well_formed(conditions):
    report = gfn_envs.check_dag(conditioned(GRID, conditions))
    assert report.num_states == 2 * GRID.num_terminal_states


def test_objectives_that_do_not_exist():
    with pytest.raises(ValueError, match="has no components of its reward"):
        conditioned(GRID, "preferences:qed,sa")
    molecules = gfn_envs.make_dag("GFN/FragmentMolecule-v0", blocks=["*C", "*CO*"], reward={"qed": 1, "sa": 1})
    with pytest.raises(ValueError, match="has no objective seh; its objectives are qed, sa"):
        conditioned(molecules, "preferences:qed,seh")
    both = conditioned(molecules, "preferences:qed,sa")
    scores = both.base.reward_components(ends := both.base.terminal_states()[:3])
    np.testing.assert_allclose(np.exp(both.at([1, 0]).log_reward(ends)), scores["qed"], rtol=1e-6)
    bad = {"a": lambda s: np.full(len(s), np.nan), "b": lambda s: np.ones(len(s))}
    with pytest.raises(ValueError, match=r"objective a of \(0, 0\) is nan"):
        conditioned(GRID, Preferences(bad)).at([0.5, 0.5]).log_reward(GRID.terminal_states()[:1])


def test_a_copy_with_another_reward_shares_what_was_listed():
    GRID.enumerate()
    both = conditioned(GRID, "temperature:0.5,8")
    assert both.at([2])._enumerated() is GRID._enumerated()


@pytest.mark.parametrize("kind", KINDS)
def test_rewards_of_all_pairs_are_those_of_each(kind):
    both = conditioned(GRID, KINDS[kind])
    c, states = both.conditions.sample(3, np.random.default_rng(0)), GRID.terminal_states()
    expected = [both.log_reward(both.join(states, c[i : i + 1])) for i in range(3)]
    found = both.conditions.every_log_reward(both.conditions.scores(states), c)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(
    "text",
    ["0.7", "0.1", "values=0.7", "values=0.1,0.3", "0.7,0.71", "100.1,100.2", "1000.1,1000.2", "0.1,0.10001", "3"],
)
def test_conditions_accept_their_own_numbers(text):
    """They are float32; bounds are not."""
    both = conditioned(GRID, f"temperature:{text}")
    made = both.conditions
    for own in (made.default[None], made.grid(5), made.sample(20, np.random.default_rng(0))):
        np.testing.assert_array_equal(made.checked(own), own)
        for condition in own:
            both.at(condition)
    low, high = float(made.low[0]), float(made.high[0])
    for outside in (low - 1e-3 * low, high + 1e-3 * high):
        with pytest.raises(ValueError, match="is out of range"):
            made.checked([outside])


def test_one_listed_value_is_one_condition():
    assert conditioned(GRID, "temperature:values=2").conditions.values.tolist() == [[2.0]]
