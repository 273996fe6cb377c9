"""Names of version 0.1 that its documentation showed: they still work, and say what to use instead."""

import importlib
import subprocess
import sys
import warnings

import pytest

import agents
from agents.deprecated import MODULES, NAMES

#: A name in each old module, as the documentation showed it.
SHOWN = {
    "agents.compare": "Curve",
    "agents.guide": "log_guide",
    "agents.likelihood": "masked_log_softmax",
    "agents.metrics": "best_objects",
    "agents.molecule_plot": "molecule_grid",
    "agents.replay_schemes": "Scheme",
    "agents.state_graph_plot": "state_graph",
    "agents.substructures": "Substructures",
    "agents.training": "train",
    "agents.transitions": "PrioritizedTransitions",
    "agents.zoo": "TB",
}


@pytest.fixture
def forget(monkeypatch):
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.delitem(vars(agents), name.removeprefix("agents."), raising=False)


@pytest.mark.usefixtures("forget")
@pytest.mark.parametrize(("old", "name"), SHOWN.items())
def test_old_modules_warn_and_hold_the_same_objects(old, name):
    new = importlib.import_module(MODULES[old])
    with pytest.warns(DeprecationWarning, match=f"^{old} is deprecated, use {MODULES[old]}$"):
        module = importlib.import_module(old)
    assert getattr(module, name) is getattr(new, name)


@pytest.mark.usefixtures("forget")
@pytest.mark.filterwarnings("ignore:agents.[a-z]* is deprecated")
@pytest.mark.parametrize(("old", "name"), [(old, name) for old, names in NAMES.items() for name in names])
def test_old_names_warn_and_are_the_same_objects(old, name):
    module, _, new = NAMES[old][name].partition(":")
    with pytest.warns(DeprecationWarning, match=f"^{old}.{name} is deprecated, use {module}.{new}$"):
        value = getattr(importlib.import_module(old), name)
    assert value is getattr(importlib.import_module(module), new)


def test_every_old_module_is_tested():
    assert set(MODULES) == set(SHOWN) | {"agents.objectives"}


@pytest.mark.parametrize("name", ["agents.evaluation", "agents.replay", "agents.runs", "agents.objectives", "agents"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_other_names_do_not_exist(name):
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'nothing'"):
        importlib.import_module(name).nothing  # noqa: B018


@pytest.mark.parametrize(
    "statement",
    [
        "from agents import metrics",
        "import agents.metrics",
        "from agents.metrics import best_objects",
        "import agents; agents.metrics",
        "from agents.runs import describe",
    ],
)
def test_the_warning_names_the_users_line(statement, tmp_path):
    """DeprecationWarnings of other lines are not shown by default."""
    script = tmp_path / "script.py"
    script.write_text(f"\n\n{statement}\n")
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert f"{script}:3: DeprecationWarning: agents." in ran.stderr


def test_names_of_today_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for module in {*MODULES.values(), "agents.evaluation", "agents.runs", "agents.replay"}:
            importlib.import_module(module)
        for name in agents.__all__:
            getattr(agents, name)
