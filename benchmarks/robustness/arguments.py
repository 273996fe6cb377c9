"""Random arguments of every environment: a clear ValueError or TypeError, or an environment that passes check_dag."""

from __future__ import annotations

import json
import random
import resource
import signal
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import gfn_envs
from benchmarks.robustness.children import run
from benchmarks.robustness.outcome import Outcome, Outcomes, one_line
from gfn_envs.registration import environment_parameters
from gfn_envs.reward_errors import RewardError

#: CPU seconds to make an environment, and to check it as well.
SECONDS, CHECKED_SECONDS = 5, 20
MEMORY = 2**31

#: Arguments of a small instance of each environment. One to three of them are replaced.
BASES: dict[str, dict[str, Any]] = {
    "GFN/HyperGrid-v0": {"ndim": 2, "side": 4},
    "GFN/BitSequence-v0": {"n": 8, "word_size": 2, "num_modes": 2},
    "GFN/Bag-v0": {"num_letters": 3, "capacity": 4, "repeats": 2},
    "GFN/Sequence-v0": {"alphabet": "ACG", "length": 3},
    "GFN/TFBind8-v0": {"length": 2, "table": [0.1 * k + 0.1 for k in range(16)]},
    "GFN/PHO4-v0": {"length": 2, "table": [0.1 * k + 0.1 for k in range(16)]},
    "GFN/QM9Str-v0": {"length": 1, "table": [0.1 * k + 0.1 for k in range(11)]},
    "GFN/SEHStr-v0": {"length": 1, "table": [0.1 * k + 0.1 for k in range(18)]},
    "GFN/AMP-v0": {"length": 2},
    "GFN/GFP-v0": {"max_mutations": 1, "wild_type": "SK", "table": [0.1 + 0.01 * k for k in range(400)]},
    "GFN/InverseFolding-v0": {
        "distances": [[0.0, 4.0, 6.0], [4.0, 0.0, 4.0], [6.0, 4.0, 0.0]],
        "alphabet": "CKL",
        "min_separation": 1,
    },
    "GFN/FragmentMolecule-v0": {"blocks": ["*C", "*c1ccc(*)cc1", "*CO*"], "max_blocks": 3},
    "GFN/Ising-v0": {"side": 2, "sigma": 0.3},
    "GFN/FactorGraph-v0": {"num_variables": 3, "num_values": 3},
    "GFN/BayesNet-v0": {"num_nodes": 3, "num_samples": 5},
    "GFN/PhyloTree-v0": {"num_taxa": 4},
}
#: Values of all kinds.
POOL: list[Any] = [
    *(0, 1, 2, 3, 4, 5, 7, 12, 26, 64, 100, 1000, 100_000, 10**6, 2**31, 2**63, 2**64, 10**30, 10**400, -1, -(2**63)),
    *(0.0, 0.5, 1.0, 2.0, 2.5, -0.5, 1e-300, 1e300, 1e-12, float("nan"), float("inf"), float("-inf"), -0.0),
    *(True, False, None, "", "A", "AC", "ACGT", "append", "fill", "insert", "uniform", "standard", "x", "3", "nan"),
    *("\n", "a\nb", "\0", "é", "/nonexistent/file.csv", "missing.csv", "A" * 5000, b"AC", b"\xff"),
    *([], [1], [1.0, 2.0], [[1.0]], [[0.0, 1.0], [1.0, 0.0]], ["A", "C"], ["A", "A"], [None], [[]], ["*C", "*CC*"]),
    *((), (1,), (30.0, 10.0, 0.01), (1.0, 2.0), (float("nan"),) * 3, ("A", 1)),
    *({}, {"a": 1.0}, {"A": "ACGT", "B": "ACGA", "C": "TTTT"}, {1: 2}, {"qed": 1.0}, set(), frozenset("AC")),
    *(1j, object(), int, len, range(3), slice(3), Exception("no"), ...),
    *(np.int64(3), np.float64(0.5), np.float32("nan"), np.bool_(True), np.str_("append"), np.array(3), np.array([3])),
    *(np.zeros((3, 3)), np.eye(3), np.arange(16.0), np.full((4, 4), np.nan), np.array("append"), np.array([None])),
    *(np.zeros((0, 3)), np.zeros((2, 3, 4)), np.array(["A", "C"]), np.datetime64(3, "D"), np.ma.masked, Path("x")),
    *(lambda *rows: np.ones(len(rows[0])), lambda rows: 1 / 0, lambda: 1.0, lambda rows: None, iter([1.0, 2.0])),
]


def trials(count: int, work: Path) -> Outcomes:
    """``count`` cases, the same number for each environment."""
    rng = random.Random(0)
    ids = [id for id in gfn_envs.registered_ids() if id in BASES]
    names = {id: list(environment_parameters(id)) for id in ids}
    for k in range(count):
        id = ids[k % len(ids)]
        changed = {name: rng.choice(POOL) for name in rng.sample(names[id], rng.choice([1, 1, 2, 3]))}
        yield _trial(id, {**BASES[id], **changed}, f"{id}: {changed}"[:400], work)


def _trial(id: str, arguments: dict[str, Any], where: str, work: Path) -> Outcome:
    report = work / "report"
    report.write_text("")
    ended = run(_reporting(id, arguments, report), work / "errors", 4 * CHECKED_SECONDS, MEMORY)
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    made = bool(lines) and lines[0] == "made"
    if made and ended.code in (None, -signal.SIGXCPU):
        return Outcome("an environment, too large for the check")
    if ended.code != 0 or not lines:
        how = f"killed after {SECONDS} CPU seconds" if ended.code == -signal.SIGXCPU else f"exit code {ended.code}"
        return Outcome("hangs or dies", f"{where}: {how} {ended.error[-200:]}")
    kind, fault = lines[-1]
    return Outcome(kind, fault and f"{where}: {fault}")


def _reporting(id: str, arguments: dict[str, Any], report: Path) -> Callable[[], None]:
    """A function that makes and checks an environment and writes what happened, line by line, to a file."""

    def work() -> None:
        warnings.simplefilter("ignore")
        with report.open("w") as file:
            resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, CHECKED_SECONDS))
            try:
                dag = gfn_envs.make_dag(id, **arguments)
            except BaseException as error:
                print(json.dumps(_refused(error, id)), file=file, flush=True)
                return
            print(json.dumps("made"), file=file, flush=True)
            resource.setrlimit(resource.RLIMIT_CPU, (CHECKED_SECONDS, CHECKED_SECONDS))
            print(json.dumps(_checked(dag)), file=file, flush=True)

    return work


def _refused(error: BaseException, id: str) -> tuple[str, str]:
    """Kind and fault of an error of the constructor."""
    text = f"{type(error).__name__}: {error}"
    if not isinstance(error, (ValueError, TypeError, OSError)):
        return "another exception", text
    if not one_line(error) or len(str(error)) > 2000:
        return "an unclear error", text
    named = id[4:-3] in str(error) or isinstance(error, OSError)  # which names the file
    return ("one clear error", "") if named else ("an error without its environment", text)


def _checked(dag: Any) -> tuple[str, str]:
    """Kind and fault of check_dag. A user's function that fails raises an error that names the environment."""
    try:
        gfn_envs.check_dag(dag, max_states=300, num_walks=5)
    except RewardError as error:
        return (
            ("an environment whose rewards are rejected", "") if one_line(error) else ("an unclear error", str(error))
        )
    except gfn_envs.DagError as error:
        rejected = one_line(error) and str(error).startswith("[log_reward")
        return ("an environment whose rewards are rejected", "") if rejected else ("check_dag fails", str(error))
    except MemoryError:
        return "an environment, too large for the check", ""
    except BaseException as error:
        return "check_dag fails", f"{type(error).__name__}: {error}"
    return "an environment that passes check_dag", ""
