"""kill -9, SIGTERM and Ctrl-C at random moments of a run. The resumed run must equal an uninterrupted one."""

from __future__ import annotations

import random
import shutil
import signal
import time
from pathlib import Path

from benchmarks.robustness.children import Child, run
from benchmarks.robustness.outcome import Outcome, Outcomes, one_line
from benchmarks.robustness.small_runs import COMMANDS, difference, training, uninterrupted

SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
SCHEDULE = ["--iterations", "400", "--log-every", "10", "--eval-every", "100", "--checkpoint-every", "5"]


def trials(count: int, work: Path) -> Outcomes:
    """``count`` interruptions, at most two per run."""
    rng, done = random.Random(0), 0
    commands = [[*command, *SCHEDULE] for command in (COMMANDS if count >= 10 else COMMANDS[:1])]
    whole = [work / f"whole-{k}" for k in range(len(commands))]
    seconds = [
        uninterrupted(out, command, work / "errors").seconds for out, command in zip(whole, commands, strict=True)
    ]
    while done < count:
        k = rng.randrange(len(commands))
        sent = [rng.choice(SIGNALS) for _ in range(min(rng.choice([1, 2]), count - done))]
        done += len(sent)
        outcomes, fault = _interrupted(work / "run", commands[k], sent, seconds[k], rng, work / "errors")
        fault = fault or difference(whole[k], work / "run")
        yield from outcomes[:-1]
        yield outcomes[-1]._replace(fault=fault and f"{' '.join(commands[k][:2])}, {outcomes}: {fault}")
        shutil.rmtree(work / "run")


def _interrupted(
    out: Path, command: list[str], sent: list[signal.Signals], seconds: float, rng: random.Random, errors: Path
) -> tuple[list[Outcome], str]:
    """Interrupt a run by each of the signals, then let it end. Returns the outcomes and the first fault."""
    outcomes = []
    for number in sent:
        child = Child(training(out, command, resume=out.exists()), errors)
        time.sleep(rng.uniform(0, seconds / len(sent)))
        child.send(number)
        ended = child.wait()
        outcomes.append(Outcome(f"{'after its end' if ended.code == 0 else number.name}, resumed bit for bit"))
        if ended.code not in (0, -number, 130) or (number == signal.SIGINT and ended.code == -number):
            return outcomes, f"{number.name} ended the process with {ended.code}: {ended.error}"
        if ended.code == 130 and not one_line(ended.error):
            return outcomes, f"{number.name}: several lines: {ended.error}"
    ended = run(training(out, command, resume=out.exists()), errors)
    return outcomes, "" if ended.code == 0 else f"it cannot be resumed: {ended.code} {ended.error}"
