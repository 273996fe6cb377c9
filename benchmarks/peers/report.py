"""The section of docs/results.md on the comparison with peer libraries."""

from __future__ import annotations

from statistics import mean, stdev
from typing import Any

from benchmarks import report
from benchmarks.peers import race
from benchmarks.peers.speed import CASES, NAMES


def section(results: dict[str, Any]) -> str:
    """Tables of every measured part, with notes below them."""
    parts = [SECTIONS[part](results[part]) for part in SECTIONS if results.get(part)]
    return "\n\n".join(["## Comparison with peer libraries\n\n`python -m benchmarks.peers`", *parts])


def against(ratio: dict[str, Any]) -> str:
    """Ratio of best blocks, and its target if there is one."""
    text = f"{ratio['best']:.1f}x (medians {ratio['median']:.1f}x)"
    if ratio["aim"] is None:
        return text
    return f"{text}; target {ratio['aim']:g}x {'met' if ratio['best'] >= ratio['aim'] else 'missed'}"


def speed(records: dict[str, Any]) -> str:
    """Milliseconds per iteration of every case."""
    rows = []
    for title, record in ((c.title, records[c.title]) for c in CASES if c.title in records):
        times = [record["times"][name] for name in NAMES]
        rows.append(
            [
                title,
                *(f"{t['best_ms']:.2f} ({t['median_ms']:.2f})" for t in times),
                *(against(record["ratios"][name]) for name in ("gfnx", "torchgfn")),
                " / ".join(f"{t['mean_length']:.1f}" for t in times),
                " / ".join(f"{share:.0%}" for share in record["fraction_of_peak"].values()),
            ]
        )
    header = ["iteration", "ours", "ours, engine torch", "gfnx", "torchgfn", "ours over gfnx", "ours over torchgfn"]
    peaks = [record["matmul_peak_gflops"] for record in records.values()]
    threads = sorted({tuple(record["threads"]) for record in records.values()})
    cores = " or ".join(", ".join(map(str, n)) for n in threads)
    notes = [
        "Milliseconds, best (median) of alternating blocks. Two hidden layers of 256, learned P_B, the easy reward, "
        "on-policy, lambda 0.9 in SubTB. The learning rates are too small to change the policy, so the blocks of a row "
        "have equal work. First policies have random weights. The trained policy has an exact TV of at most 0.05; "
        "every library loads the same weights.",
        f"Each library is bound to {cores} core{'s' * (cores != '1')}; the fastest setting counts. `ours` has default "
        "settings, engine included.",
        "Products: floating-point operations of the matrix products that an iteration needs, as a share of the best "
        f"speed of such products on one thread between the blocks, {min(peaks):.0f} to {max(peaks):.0f} GFLOP/s; ours "
        "/ engine torch. Each distinct state of a batch counts once. The first layer, which adds rows of one-hot "
        "features, does not count.",
        "gfnx computes DB and SubTB as in its baselines: DB evaluates the network at both ends of every transition, "
        "and SubTB sums the edges of every pair of steps separately. Its cost grows with the maximal length, 77 here, "
        "and ours with the real one.",
        *machines(list(records.values())),
    ]
    table = report.table([*header, "mean lengths", "products"], rows)
    return "\n".join([table, "", *(f"* {note}" for note in notes)])


def time(part: dict[str, Any]) -> str:
    """Seconds of training to an exact TV."""
    return "\n".join([race.section(part["curves"]), *(f"* {note}" for note in machines([part]))])


def quality(part: dict[str, Any]) -> str:
    """Exact TV after equal numbers of iterations."""

    def cell(values: list[float]) -> str:
        spread = f" ± {stdev(values) / len(values) ** 0.5:.4f}" if len(values) > 1 else ""
        return f"{mean(values):.4f}{spread} ({len(values)})"

    rows = []
    for record in part["result"]:
        for key, what, verdict in (("late_tv", "mean of the last ten", record["verdict"]), ("tv", "the last", "")):
            ours, theirs = (cell(record[key][name]) for name in ("ours", "torchgfn"))
            rows.append([f"{record['grid']}, {record['iterations']:,} iterations, {what}", ours, theirs, verdict])
    notes = [
        "Exact TV at equal numbers of iterations, mean ± standard error (seeds): batches of 16, the same "
        "hyperparameters for both, the standard reward. The last ten evaluations are 100 iterations apart, because at "
        "this constant learning rate TV varies by a fifth from one to the next.",
        *machines([part]),
    ]
    table = report.table(["exact TV", "ours", "torchgfn", "ours"], rows)
    return "\n".join([table, "", *(f"* {note}" for note in notes)])


def rollout(part: dict[str, Any]) -> str:
    """Random rollouts."""
    rows = [
        [
            f"4-D side 20, batch {record['batch']}",
            *(f"{record['best'][name] / 1e6:.2f} ({record['median'][name] / 1e6:.2f})" for name in ("ours", "gfnx")),
            f"{record['ratio']:.1f}x",
        ]
        for record in part["result"]
    ]
    notes = ["Uniform policy, no network, log rewards included. Padding is not counted.", *machines([part])]
    table = report.table(["random rollouts, million transitions/s, best (median)", "ours", "gfnx", "ratio"], rows)
    return "\n".join([table, "", *(f"* {note}" for note in notes)])


def machines(records: list[dict[str, Any]]) -> list[str]:
    """One note per machine and date."""
    return list(
        dict.fromkeys(
            f"{r['machine']['processor']}, {r['machine']['cores']} cores, torch {r['machine']['torch']}, {r['date']}"
            + ("; a short run, not a measurement" if r["quick"] else "")
            for r in records
        )
    )


SECTIONS = {"speed": speed, "time": time, "quality": quality, "rollout": rollout}
