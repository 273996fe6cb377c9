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
    "agents/cli/train.py": "every flag of gfn train with its help",
    "agents/config.py": "every group of settings in one place; a third of its lines are their help",
    "gfn_envs/gym/vector_env.py": "one environment, with what it accepts and returns in its docstring",
    "agents/agent.py": "the interface of every agent in one place; a third of its lines are docstrings",
    "agents/replay/objects.py": "one buffer, with what it saves and restores",
    "agents/runs/train.py": "one training loop, with its arguments explained in 60 lines",
    "gfn_envs/enumeration.py": "states, edges, limits and what is said of them belong together",
    "gfn_envs/exact.py": "every exact quantity in one place; a third of its lines are docstrings",
    "agents/engines/numba/engine.py": "the one place that knows both the agent and the compiled arrays",
    "agents/engines/numba/kernels.py": "Numba recompiles only if the file of the outer function changes",
    "gfn_envs/dag.py": "the contract of every environment in one place; 129 of its lines are docstrings",
    "gfn_envs/envs/bayes_net/bayes_net.py": "its documentation page takes 54 lines",
    "gfn_envs/envs/hypergrid/hypergrid.py": "its documentation page takes 60 lines",
    "gfn_envs/envs/molecules/atom_molecule.py": "its documentation page takes 70 lines",
}

#: What a reader opens to follow one iteration of trajectory balance, from the agent to the gradient step.
TRAJECTORY_BALANCE = [
    "agents/gflownets/tb.py",
    "agents/agent.py",
    "agents/config.py",
    "agents/trajectories.py",
    "agents/rollout.py",
    "agents/log_probs.py",
    "agents/losses/balance.py",
    "agents/losses/penalty.py",
    "agents/engines/torch_engine.py",
    "agents/engines/adam.py",
    "agents/policies/policy.py",
    "agents/policies/state_action.py",
    "agents/policies/mlp.py",
    "gfn_envs/dag.py",
]

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
    to_open = {name: count for name, count in figures["trajectory_balance"].items() if count is not None}
    lines += [f"Trajectory balance from end to end: {len(to_open)} files, {sum(to_open.values()):,} lines"]
    lines += [f"  {count or 'none':>4}  {name}" for name, count in figures["trajectory_balance"].items()]
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
