"""Write the pages of the documentation site that follow from the code: environments, agents, API, gallery, changelog.

docs/conf.py calls :func:`write` before each build. The pages are in docs/generated/, which is not committed.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import inspect
import json
import re
import shutil
import textwrap
import types
from pathlib import Path
from typing import Any

import draw_curves
import figures
import generate_tables
import numpy as np

import agents
import gfn_envs
from agents.schedules import Schedule
from gfn_envs.registration import SHARED, Parameter, environment_parameters

ROOT = Path(__file__).resolve().parents[1]
#: Modules of the API reference, and the title of their page.
MODULES = {
    "gfn_envs": "Environments",
    "gfn_envs.exact": "Exact targets",
    "gfn_envs.checker": "The checker",
    "gfn_envs.oracle": "Oracles of expensive rewards",
    "gfn_envs.conditions": "Conditions",
    "agents": "Agents",
    "agents.rollout": "Rollouts",
    "agents.log_probs": "Log-probabilities along trajectories",
    "agents.losses.balance": "Balance objectives",
    "agents.policies": "Policies",
    "agents.replay": "Replay",
    "agents.evaluation.metrics": "Metrics",
    "agents.acquire": "Rounds with a surrogate",
    "agents.interop": "Stable-Baselines3",
}
CODE = """```python
import gymnasium as gym
import gfn_envs

env = gym.make("{id}")
dag = gfn_envs.make_dag("{id}")
```"""
CURVE = """*On the 8 x 8 grid, the default settings reach an exact total variation of {median:.2g} after {points:,}
transitions ({low:.2g} to {high:.2g} over {seeds} seeds). Blue: median and range of the seeds.*"""
TRAINING = """```python
agent = agents.make_agent("{name}", dag, seed=0)
```

```bash
gfn train {name} GFN/HyperGrid-v0
```"""


def write(docs: Path) -> None:
    """Write every generated page below ``docs / "generated"``."""
    out = docs / "generated"
    shutil.rmtree(out, ignore_errors=True)
    facts = json.loads((docs / "environments.json").read_text("utf-8"))
    environments = {id.split("/")[1].removesuffix("-v0"): id for id in gfn_envs.ENVIRONMENTS}
    pages = {
        f"environments/{name}.md": environment_page(id, facts.get(id, {}), docs) for name, id in environments.items()
    }
    runs = draw_curves.stored()
    pages |= {f"agents/{name}.md": agent_page(name, runs) for name in agents.AGENTS}
    pages |= {f"api/{name}.md": module_page(name, title) for name, title in MODULES.items()}
    pages["environments/index.md"] = index("Environments", generate_tables.environments_table(), environments)
    pages["agents/index.md"] = index("Agents", reached_column(runs), dict.fromkeys(agents.AGENTS))
    pages["api/index.md"] = index("API reference", "", dict.fromkeys(MODULES))
    pages["gallery.md"] = gallery_page()
    pages["changelog.md"] = (ROOT / "CHANGELOG.md").read_text("utf-8").replace("](docs/", "](../")
    for name, text in pages.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def index(title: str, table: str, names: dict[str, Any]) -> str:
    """A page with a table whose first column links to the other pages, and a table of contents."""
    for name, id in names.items():
        table = table.replace(f"| `{id or name}` |", f"| [`{id or name}`]({name}.md) |")
    entries = "\n".join(names)
    return f"# {title}\n\n{table}\n\n```{{toctree}}\n:hidden:\n{entries}\n```\n"


# ---------------------------------------------------------------------- environments


def environment_page(id: str, facts: dict[str, Any], docs: Path) -> str:
    """The page of an environment: what it is, a picture, arguments, sizes, what agents reach, code."""
    dag = gfn_envs.make_dag(id, **generate_tables.STAND_INS.get(id, {}))
    cls, name = type(dag), id.split("/")[1].removesuffix("-v0")
    parts = [f"# {name}", generate_tables.first_line(cls) + "."]
    animation = docs / "animations" / f"{name}.gif"
    if animation.exists():
        alt = f"Random and trained policies build objects of {name}, side by side"
        parts.append(
            f"![{alt}](../../animations/{name}.gif)\n\n*Left: uniformly random actions. Right: a trained policy.*"
        )
    sizes = {
        "id": f"`{id}`",
        "actions": f"{dag.num_actions:,}",
        "objects": generate_tables.count(dag.declared_num_terminal_states),
        "longest trajectory": f"{dag.max_length:,} steps",
        "features": f"{dag.num_features:,}",
        **facts,
    }
    parts.append(generate_tables.table(["", ""], [[key, str(value)] for key, value in sizes.items()]))
    parts.append(CODE.format(id=id))
    parameters = {key: value for key, value in environment_parameters(id).items() if key not in SHARED}
    if parameters:
        rows = [[f"`{key}`", default_text(value), value.help] for key, value in parameters.items()]
        parts.append("## Constructor\n\n" + generate_tables.table(["argument", "default", "what"], rows))
    description = inspect.getdoc(cls).partition("\n")[2]
    parts.append(re.sub(r"(?s)## Arguments\n.*?(?=\n## |\Z)", "", description).strip())
    return "\n\n".join(parts) + "\n"


def default_text(parameter: Parameter) -> str:
    """The default of an argument as Markdown."""
    return "required" if parameter.default is inspect.Parameter.empty else f"`{parameter.default!r}`"


# ---------------------------------------------------------------------- agents


def agent_page(name: str, runs: draw_curves.Runs) -> str:
    """The page of an agent: what it is, the paper, a learning curve, code, settings."""
    agent = agents.AGENTS[name]
    first, _, rest = inspect.getdoc(agent).partition("\n")
    parts = [f"# {name}", first, f"Source: {agent.paper}." if agent.paper else "", equations()[name]]
    parts += ["[Notation](../../objectives.md)", prose(rest)]
    if (draw_curves.FOLDER / f"{name}.svg").exists():
        parts.append(f"![Exact total variation of {name} over transitions](../../curves/{name}.svg)")
        parts.append(CURVE.format(points=draw_curves.POINTS[-1], **reached(runs[name])))
    parts.append(TRAINING.format(name=name))
    rows = [[f"`{field}`", f"`{short(default)}`", text] for field, default, text in settings(agent.config_class)]
    parts.append("## Settings\n\n" + generate_tables.table(["setting", "default", "what"], rows))
    return "\n\n".join(part for part in parts if part) + "\n"


@functools.cache
def equations() -> dict[str, str]:
    """Agent -> its section in docs/objectives.md: an equation, and what an iteration does."""
    text = (ROOT / "docs" / "objectives.md").read_text("utf-8")
    _, *parts = re.split(r"^## (.+)\n", text, flags=re.M)
    return {name: part.strip() for name, part in zip(parts[::2], parts[1::2], strict=True)}


def reached(runs: dict[str, list[float]]) -> dict[str, Any]:
    """Final distances of an agent: number of seeds, median, lowest and highest."""
    last = [values[-1] for values in runs.values()]
    return {"seeds": len(last), "median": float(np.median(last)), "low": min(last), "high": max(last)}


def reached_column(runs: draw_curves.Runs) -> str:
    """The table of agents with the final distance of each on the standard grid."""
    head, line, *rows = generate_tables.agents_table().split("\n")
    ends = [f" {reached(runs[name])['median']:.2g} |" if name in runs else " |" for name in agents.AGENTS]
    rows = [row + end for row, end in zip(rows, ends, strict=True)]
    note = f"TV: exact total variation on the 8 x 8 grid after {draw_curves.POINTS[-1]:,} transitions; default settings"
    return note + ", median of seeds.\n\n" + "\n".join([head + " TV |", line + " --- |", *rows])


def short(default: Any) -> str:
    """A default as one would write it: a constant schedule is its number."""
    constant = isinstance(default, Schedule) and default.start == default.end
    return repr(default.start if constant else default)


def settings(config: type[Any]) -> list[tuple[str, Any, str]]:
    """(name, default, what) of the settings of an agent; what: the text below the field."""
    texts: dict[str, str] = {}
    for cls in reversed(config.__mro__[:-1]):
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
        for field, text in zip(body.body, body.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                texts[field.target.id] = " ".join(str(text.value.value).split())
    return [(f.name, f.default, texts.get(f.name, "")) for f in dataclasses.fields(config)]


# ---------------------------------------------------------------------- gallery


def gallery_page() -> str:
    """Every picture with the command that makes it."""
    parts = ["# Gallery", "`make figures` makes all of these pictures. Each command makes its own:"]
    for name, entry in figures.PICTURES.items():
        what = entry.what[0].upper() + entry.what[1:]
        cost = " It draws stored results." if entry.stored else ""
        parts.append(f"## {name.replace('_', ' ')}\n\n{what}: about {entry.minutes:g} CPU minutes.{cost}")
        parts.append(f"```bash\n{entry.command.format(out='runs')}\n```")
        parts += [f"![{what}: {path.stem}](../{path.relative_to(ROOT / 'docs')})" for path in entry.paths()]
    return "\n\n".join(parts) + "\n"


# ---------------------------------------------------------------------- API


def module_page(name: str, title: str) -> str:
    """The public functions and classes of a module, with their docstrings."""
    module = importlib.import_module(name)
    parts = [f"# {title}", f"Module `{name}`.", prose(inspect.getdoc(module) or "")]
    for key in public_names(module):
        value = getattr(module, key)
        if inspect.isclass(value) or inspect.isfunction(value):
            parts.append(entry(key, value, "##"))
        if inspect.isclass(value) and not issubclass(value, (BaseException, tuple)):
            members = {
                k: v for k, v in vars(value).items() if not k.startswith("_") and inspect.isfunction(v) and v.__doc__
            }
            parts += [entry(f"{key}.{k}", v, "###") for k, v in members.items()]
    return "\n\n".join(part for part in parts if part) + "\n"


def public_names(module: types.ModuleType) -> list[str]:
    """``__all__``, or the names that the module defines."""
    defined = [key for key, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    return list(getattr(module, "__all__", [key for key in defined if not key.startswith("_")]))


def entry(name: str, value: Any, level: str) -> str:
    """A heading, the signature and the docstring of a function or class."""
    try:
        signature = str(inspect.signature(value)).replace("'", "")
    except (TypeError, ValueError):
        signature = "(...)"
    signature = re.sub(r"<[\w. ]+ object at 0x[0-9a-f]+>|<factory>", "...", signature)
    return f"{level} {name}\n\n```text\n{name.split('.')[-1]}{signature}\n```\n\n{prose(inspect.getdoc(value) or '')}"


SECTION = re.compile(r"^(Args|Returns|Raises|Attributes|Yields):\n((?:(?: .*)?\n?)+)", re.M)


def prose(text: str) -> str:
    """A docstring as Markdown: headings in bold, and the items of Google's sections as lists."""
    text = re.sub(r":(?:class|mod|func|meth|attr):`~?([^`]+)`", r"`\1`", text)
    text = re.sub(r"^#+ (.*)$", r"**\1**\n", text, flags=re.M)

    def listed(match: re.Match[str]) -> str:
        body = textwrap.dedent(match[2]).rstrip()
        items = re.split(r"\n(?=\S)", body)
        if match[1] in ("Returns", "Yields"):
            return f"**{match[1]}:** {' '.join(body.split())}\n"
        lines = [re.sub(r"^([^:\n]+): ", r"- `\1`: ", " ".join(item.split())) for item in items if item.strip()]
        return f"**{match[1]}**\n\n" + "\n".join(lines) + "\n"

    return SECTION.sub(listed, text.strip())
