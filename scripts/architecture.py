"""Print the size and the import structure of the two packages.

``python scripts/architecture.py`` reports modules per package, import cycles, broken contracts (pyproject.toml), files
over 300 lines, and the lines that common tasks take. ``--json`` prints the same as JSON.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import subprocess
import sys
import tokenize
from collections import Counter
from pathlib import Path
from typing import Any

import grimp
import networkx

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("gfn_envs", "agents")
LONG = 300

#: Files of more than 300 lines, each with the reason. A file that is not listed here is reported without one.
REASONS = {
    "agents/agent.py": "the interface of every agent in one place; a third of its lines are docstrings",
    "gfn_envs/enumeration.py": "states, edges, limits and their log lines belong together",
    "gfn_envs/exact.py": "every exact quantity in one place; a third of its lines are docstrings",
    "agents/engines/numba/kernels.py": "Numba recompiles only if the file of the outer function changes",
    "gfn_envs/dag.py": "the contract of every environment in one place; 129 of its lines are docstrings",
    "gfn_envs/envs/hypergrid/hypergrid.py": "its documentation page takes 60 lines",
    "gfn_envs/envs/molecules/atom_molecule.py": "its documentation page takes 70 lines",
}

#: What to read to understand trajectory balance, in this order: from the objective to the gradient step.
TRAJECTORY_BALANCE = [
    "agents/gflownets/tb.py",
    "agents/gflownets/gflownet.py",
    "agents/agent.py",
    "agents/rollout.py",
    "agents/trajectories.py",
    "agents/log_probs.py",
    "agents/losses/balance.py",
    "agents/engines/torch_engine.py",
]

#: The other files with code that runs in an iteration of it, each with all that a reader needs to know of them.
BLACK_BOXES = {
    "agents/engines/adam.py": "a step of torch's Adam on the loss",
    "agents/engines/engine.py": "the interface of engines; raises if the loss is NaN",
    "agents/exploration/explorer.py": "P_F samples all trajectories, unless an explorer is chosen",
    "agents/losses/penalty.py": "the square of each residual",
    "agents/policies/backward.py": "a learned P_B needs no separate loss",
    "agents/policies/masking.py": "log-softmax over legal actions",
    "agents/policies/mlp.py": "a multi-layer perceptron",
    "agents/policies/policy.py": "the interface of networks: states in, logits out",
    "agents/rollout_numbers.py": "Gumbel noise, whose largest sum with a logit is a sample of the softmax",
    "agents/policies/state_action.py": "the logits of P_F and P_B from one network",
    "agents/schedules.py": "the value of a setting at an iteration",
    "agents/tempered_agent.py": "log R is scaled if rewards are steep; log Z is set if it is far off",
    "agents/threads.py": "torch and NumPy use one thread",
    "gfn_envs/arrays.py": "distinct rows of a matrix",
    "gfn_envs/border.py": "calls log_reward and checks the result",
    "gfn_envs/dag.py": "the contract of environments",
    "gfn_envs/validation.py": "checks of arguments",
}

#: What a user adds -> the example that shows it.
EXTENSIONS = {
    "balance objective": "examples/custom_objective.py",
    "environment": "examples/custom_environment.py",
    "backward policy": "examples/custom_backward_policy.py",
    "network": "examples/custom_network.py",
}
LAYOUT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


def num_lines(path: Path) -> int:
    """Number of lines of a text file."""
    return len(path.read_text("utf-8").splitlines())


def class_lines(source: str) -> int:
    """Lines of code in the classes of a module: no blank lines, comments or docstrings."""
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in LAYOUT:
            code.update(range(token.start[0], token.end[0] + 1))
    inside: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            inside.update(range(first, node.end_lineno + 1))
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False) is not None:
            code.difference_update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(code & inside)


def cycles(graph: grimp.ImportGraph) -> list[list[str]]:
    """Groups of modules that import each other, directly or through others."""
    imports = networkx.DiGraph(
        (module, imported)
        for module in graph.modules
        for imported in graph.find_modules_directly_imported_by(module)
        if not graph.is_module_squashed(imported)
    )
    return sorted(sorted(group) for group in networkx.strongly_connected_components(imports) if len(group) > 1)


def broken_contracts() -> list[str]:
    """Names of the contracts in pyproject.toml that the code breaks."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    lines = [line.strip() for line in ran.stdout.splitlines()]
    if not any(line.startswith("Contracts:") for line in lines):
        raise RuntimeError(f"lint-imports failed:\n{ran.stdout}{ran.stderr}")
    return [line.removesuffix(" BROKEN") for line in lines if line.endswith(" BROKEN")]


def measure() -> dict[str, Any]:
    """Every figure of the report."""
    sys.path.insert(0, str(ROOT))
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    length = {str(path.relative_to(ROOT)): num_lines(path) for path in files}
    folders = Counter(str(Path(name).parent) for name in length)
    return {
        "modules": dict(sorted(folders.items())),
        "cycles": cycles(graph),
        "broken_contracts": broken_contracts(),
        "long_files": {
            name: {"lines": lines, "reason": REASONS.get(name)} for name, lines in length.items() if lines > LONG
        },
        "lines": {
            package: sum(lines for name, lines in length.items() if name.startswith(f"{package}/"))
            for package in PACKAGES
        },
        "trajectory_balance": {name: length.get(name) for name in TRAJECTORY_BALANCE},
        "black_boxes": BLACK_BOXES,
        "extensions": {
            task: class_lines((ROOT / name).read_text("utf-8")) if (ROOT / name).exists() else None
            for task, name in EXTENSIONS.items()
        },
    }


def report(figures: dict[str, Any]) -> str:
    """The figures as text."""
    lines = ["Modules per package:"]
    lines += [f"  {count:4d}  {package}" for package, count in figures["modules"].items()]
    lines += [f"Lines: {', '.join(f'{package} {count:,}' for package, count in figures['lines'].items())}"]
    lines += [f"Import cycles: {len(figures['cycles'])}"]
    lines += [f"  {', '.join(group)}" for group in figures["cycles"]]
    lines += [f"Broken import contracts: {len(figures['broken_contracts'])}"]
    lines += [f"  {name}" for name in figures["broken_contracts"]]
    lines += [f"Files over {LONG} lines: {len(figures['long_files'])}"]
    lines += [f"  {file['lines']:4d}  {name}: {file['reason']}" for name, file in figures["long_files"].items()]
    to_read = figures["trajectory_balance"]
    lines += [
        f"Trajectory balance: {len(to_read)} files to read, {sum(count or 0 for count in to_read.values()):,} lines"
    ]
    lines += [f"  {count or 'none':>4}  {name}" for name, count in to_read.items()]
    lines += [f"  and {len(figures['black_boxes'])} more that run, of which one line is enough:"]
    lines += [f"        {name}: {line}" for name, line in figures["black_boxes"].items()]
    lines += ["Lines of code that a user writes to add"]
    lines += [f"  {count or 'none':>4}  {task} ({EXTENSIONS[task]})" for task, count in figures["extensions"].items()]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON")
    figures = measure()
    print(json.dumps(figures, indent=1) if parser.parse_args().json else report(figures))


if __name__ == "__main__":
    main()
