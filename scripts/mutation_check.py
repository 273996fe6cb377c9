"""Break the engines and losses on purpose, one place at a time, and see whether a test notices.

    python scripts/mutation_check.py            all breaks, a few minutes
    python scripts/mutation_check.py --only 3   the third alone

Every break is made in a copy of the source tree. The script prints the first test that fails for each, and exits with 1
if a break goes unnoticed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
LOSSES, POLICIES = "tests/agents/losses", "tests/agents/policies"
NUMBA = "tests/agents/engines/test_numba_gradients.py tests/agents/engines/test_numba.py"
ADAM, ROLLOUT, AGENTS = (
    "tests/agents/engines/test_adam.py",
    "tests/agents/test_rollout.py",
    "tests/agents/test_agents.py",
)


class Break(NamedTuple):
    """One deliberate error: ``old`` becomes ``new`` in ``file``, and one of ``tests`` must fail."""

    file: str
    old: str
    new: str
    tests: str


BREAKS = [
    # The torch engine and what it calls.
    Break("agents/losses/balance.py", "path_sums(log_pf - log_pb", "path_sums(log_pf + log_pb", LOSSES),
    Break(
        "agents/losses/balance.py",
        "- end_flow.index_select(0, end) + sums",
        "- log_flow.index_select(0, end) + sums",
        LOSSES,
    ),
    Break(
        "agents/losses/balance.py",
        "torch.from_numpy(edge).to(values.device))\n\n\ndef sums_before",
        "torch.from_numpy(edge * 0).to(values.device))\n\n\ndef sums_before",
        LOSSES,
    ),
    Break("agents/losses/balance.py", "u if end_flow is log_flow else end_flow - sums", "u", LOSSES),
    Break("agents/losses/balance.py", "penalty(residual - mean)", "penalty(residual)", LOSSES),
    Break("agents/losses/balance.py", "return weight / weight.sum()", "return weight", LOSSES),
    Break("agents/losses/balance.py", "np.full(total, 1 / max(total, 1))", "np.ones(total)", LOSSES),
    Break("agents/losses/balance.py", "edges - edges.cumsum()).take(owner)", "edges).take(owner)", LOSSES),
    Break("agents/gflownets/mdb.py", "edge[found.rows] =", "edge[found.rows - 1] =", LOSSES),
    Break("agents/losses/balance.py", "math.log(pairs.decay)", "math.log(pairs.decay) / 2", LOSSES),
    Break("agents/losses/balance.py", "(1 if pairs.terminal else 2)", "1", LOSSES),
    Break("agents/losses/penalty.py", "-2 * size", "-size", LOSSES),
    Break("agents/gflownets/gflownet.py", "partial[trajectories.last] = 0.0", "pass", LOSSES),
    Break("agents/log_probs.py", "known[trajectories.last] =", "known[trajectories.last - 1] =", LOSSES),
    Break("agents/engines/torch_engine.py", "loss if more is None else loss + more", "loss", POLICIES),
    Break("agents/engines/adam.py", "torch._foreach_add_(steps, 1)", "pass", ADAM),
    Break(
        "agents/rollout.py",
        "np.cumsum(np.bincount(edge_rows, minlength=n) + 1",
        "np.cumsum(np.bincount(edge_rows, minlength=n)",
        ROLLOUT,
    ),
    Break(
        "agents/policies/backward.py",
        "return log_n[trajectories.sources] - log_n[trajectories.targets]",
        "return log_n[trajectories.targets] - log_n[trajectories.sources]",
        POLICIES,
    ),
    # The numba engine.
    Break("agents/engines/numba/balance.py", "behind += d_u[j] + d_end[j]", "behind += d_u[j]", NUMBA),
    Break("agents/engines/numba/balance.py", "weight * (slope - pull)", "weight * slope", NUMBA),
    Break("agents/engines/numba/balance.py", "else total[i] * count", "else total[i]", NUMBA),
    Break(
        "agents/engines/numba/balance.py", "residual * residual, 2 * residual", "residual * residual, residual", NUMBA
    ),
    Break("agents/engines/numba/kernels.py", "gradient[i, a] -= forward[i] * np.exp(outputs[i, a])", "pass", NUMBA),
    Break("agents/engines/numba/kernels.py", "gradient[source, num_actions - 1] -= d_log_flow[j]", "pass", NUMBA),
    Break("agents/engines/numba/kernels.py", "place[s], seen[k] = k, s", "place[s], seen[k] = 0, s", NUMBA),
    Break(
        "agents/engines/numba/engine.py",
        "known[0].weights != fingerprint(self.arrays(self.learner.policy)[0])",
        "False",
        NUMBA,
    ),
    Break("agents/engines/numba/kernels.py", "if explore[t, row] < epsilon:", "if explore[t, row] < 0:", NUMBA),
    Break("agents/engines/numba/kernels.py", "u[t, row], temperature)", "u[t, row], np.float32(1))", NUMBA),
    Break("agents/engines/numba/adam.py", "np.sqrt(1 - beta2**step)", "np.sqrt(1 - beta2)", NUMBA),
    Break("agents/engines/numba/engine.py", "2 * (log_z + mean)", "(log_z + mean)", NUMBA),
]


def first_failure(change: Break) -> str | None:
    """Name of the first test that fails with the break, None if none does."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        ignored = shutil.ignore_patterns(".venv*", ".git", "runs", "__pycache__", "results", ".peers")
        shutil.copytree(ROOT, tree, ignore=ignored)
        path = tree / change.file
        source = path.read_text("utf-8")
        if change.old not in source:
            raise SystemExit(f"{change.file} no longer has {change.old!r}: bring this list up to date")
        path.write_text(source.replace(change.old, change.new), "utf-8")
        environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        environment["NUMBA_CACHE_DIR"] = str(Path(folder) / "numba")
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *change.tests.split()]
        ran = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    failed = [line for line in ran.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failed[0].split(" - ")[0].split(" ", 1)[1] if failed else None


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=int, help="number of one break, from 1")
    chosen = parser.parse_args().only
    unnoticed = 0
    for number, change in enumerate(BREAKS, 1):
        if chosen in (None, number):
            found = first_failure(change)
            unnoticed += found is None
            print(f"{number:2} {change.file}: {change.old!r} -> {change.new!r}: {found or 'NOT NOTICED'}", flush=True)
    print(f"{unnoticed} unnoticed")
    sys.exit(unnoticed > 0)


if __name__ == "__main__":
    main()
