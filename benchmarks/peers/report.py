"""Markdown table of the results, with notes."""

from __future__ import annotations

from statistics import mean, stdev
from typing import Any

Row = tuple[str, str, str, str, str, str]


def markdown(results: dict[str, Any]) -> str:
    """Table of every measured part, with notes below it."""
    rows: list[Row] = [("measure", "ours", "gfnx", "torchgfn", "ours against gfnx", "ours against torchgfn")]
    for part, rows_of in ROWS.items():
        if part in results:
            rows += rows_of(results[part]["result"])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|---|---:|---:|---:|---|---|")
    notes = [note for part, notes_of in NOTES.items() if part in results for note in notes_of(results[part])]
    return "\n".join(["# Comparison with peer libraries", "", *lines, "", *(f"* {note}" for note in notes), ""])


def against(ratio: dict[str, Any]) -> str:
    """Ratio of best blocks, and its target if there is one."""
    text = f"{ratio['best']:.1f}x (medians {ratio['median']:.1f}x)"
    if ratio["aim"] is None:
        return text
    return f"{text}; target {ratio['aim']:g}x {'met' if ratio['best'] >= ratio['aim'] else 'missed'}"


def speed_rows(records: list[dict[str, Any]]) -> list[Row]:
    rows = []
    for record in records:
        times = [f"{c['best_ms']:.2f} ({c['median_ms']:.2f})" for c in map(record["best"].get, ORDER)]
        ratios = [against(record["ratios"][name]) for name in ORDER[1:]]
        rows.append((f"TB iteration, ms, best (median): {record['case']}", *times, *ratios))
    return rows


def objective_rows(records: list[dict[str, Any]]) -> list[Row]:
    def cell(times: dict[str, Any], name: str) -> str:
        if name not in times:
            return ""
        return f"{times[name]['best_ms']:.2f} ({times[name]['median_ms']:.2f}) at {times[name]['mean_length']:.1f}"

    rows: list[Row] = []
    for record in records:
        times, gfnx = record["times"], record["times"]["gfnx"]
        for library, title in (("ours", ""), ("compiled", ", compiled")):
            for name in times[library]:
                what = f"{name.upper()} iteration{title}, ms, best (median) at mean length: {record['case']}"
                faster = against(record["ratios"][library][name]) if name in gfnx else ""
                rows.append((what, cell(times[library], name), cell(gfnx, name), "", faster, ""))
        for library, title in (("ours", ""), ("compiled", ", compiled")):
            over = record["subtb_over_tb"][library]
            met = "met" if over["best"] <= over["aim"] else "missed"
            text = f"{over['best']:.2f}x (medians {over['median']:.2f}x); target at most {over['aim']:g}x {met}"
            rows.append((f"SUBTB iteration over TB iteration{title}: {record['case']}", text, "", "", "", ""))
    return rows


def quality_rows(records: list[dict[str, Any]]) -> list[Row]:
    def cell(values: list[float]) -> str:
        spread = f" ± {stdev(values) / len(values) ** 0.5:.4f}" if len(values) > 1 else ""
        return f"{mean(values):.4f}{spread} ({', '.join(f'{tv:.4f}' for tv in values)})"

    rows = []
    for record in records:
        after = f"exact TV after {record['iterations']:,} iterations of 16"
        for key, what, verdict in (("late_tv", "mean of the last ten", record["verdict"]), ("tv", "the last", "")):
            ours, theirs = (cell(record[key][name]) for name in ("ours", "torchgfn"))
            rows.append(
                (f"{after}, {what}, mean ± standard error (seeds): {record['grid']}", ours, "", theirs, "", verdict)
            )
    return rows


def time_rows(record: dict[str, Any]) -> list[Row]:
    def cell(name: str) -> str:
        seconds, last = record["seconds"][name], record["curves"][name][-1]["tv"]
        return f"{seconds:.0f}" if record["reached"][name] else f"not within {seconds:.0f} (TV {last:.3f})"

    rows = []
    for name, whose in [("torchgfn", "its own defaults"), ("torchgfn, our settings", "our settings")]:
        ratio = record["seconds"][name] / record["seconds"]["ours"]
        verdict = f"{ratio:.1f}x" if record["reached"][name] else f"more than {ratio:.1f}x"
        verdict = verdict if record["reached"]["ours"] else "not reached by us"
        title = f"seconds of training to exact TV {record['target_tv']}: 4-D side 20, torchgfn with {whose}"
        rows.append((title, cell("ours"), "", cell(name), "", verdict))
    return rows


def rollout_rows(records: list[dict[str, Any]]) -> list[Row]:
    return [
        (
            f"random rollouts, million transitions/s, best (median): 4-D side 20, batch {record['batch']}",
            *(f"{record['best'][name] / 1e6:.2f} ({record['median'][name] / 1e6:.2f})" for name in ORDER[:2]),
            "",
            f"{record['ratio']:.1f}x",
            "",
        )
        for record in records
    ]


def speed_notes(part: dict[str, Any]) -> list[str]:
    notes = [
        "TB iterations: two hidden layers of 256, learned P_B, learning rates 1e-3 and 0.1 (log Z), epsilon 0.1, the "
        "easy reward, and equal numbers of iterations in alternating blocks. Each library has its best thread setting."
    ]
    for record in part["result"]:
        ours, ceiling = record["best"]["ours"], record["matmul_peak_gflops"]
        settings = "; ".join(
            f"{c['library']}{threads_text(c['threads'])} {c['best_ms']:.2f} ms, mean length {c['mean_length']:.1f}"
            for c in record["contestants"]
        )
        notes.append(
            f"{record['case']}: {settings}. Our matrix products: {ours['best_gflops']:.1f} GFLOP/s over the iteration, "
            f"{record['fraction_of_peak']:.0%} of the {ceiling:.0f} GFLOP/s that one thread reached between the blocks."
        )
    return notes + [machine_note("Speed", part)]


def threads_text(threads: int | None) -> str:
    return "" if threads is None else f" on {threads} thread{'s' if threads > 1 else ''}"


def objective_notes(part: dict[str, Any]) -> list[str]:
    return [
        "Objectives: settings as for TB iterations but on-policy, lambda 0.9 in SubTB; ours on one thread or two, "
        "whichever is faster; 'compiled' is the setting engine='numba'. gfnx computes DB and SubTB as in its "
        "baselines: DB evaluates the network at both ends of every transition, and SubTB sums the edges of every "
        "pair of steps separately; it has no baseline of FM. The cost of an iteration grows with the real length of "
        "the trajectories in our library, and with the maximal length in gfnx. During training, the objectives soon "
        "have trajectories of different lengths. With the first policies, at a negligible learning rate, all have "
        "the same work.",
        machine_note("Objectives", part),
    ]


def quality_notes(part: dict[str, Any]) -> list[str]:
    return [
        "Quality: the same hyperparameters for both, the standard reward, each policy evaluated on every cell. The "
        "last ten evaluations are 100 iterations apart, because at this constant learning rate TV varies by a fifth "
        "from one to the next.",
        machine_note("Quality", part),
    ]


def time_notes(part: dict[str, Any]) -> list[str]:
    record = part["result"]
    curves = "; ".join(
        f"{name}: " + ", ".join(f"{p['seconds']:.0f} s {p['tv']:.3f}" for p in thinned(curve))
        for name, curve in record["curves"].items()
    )
    settings = ", ".join(f"{name} {value}" for name, value in record["settings"]["ours"]["agent"].items())
    return [
        f"Time to TV: easy reward; ours with {settings}; torchgfn with the defaults of its "
        f"train_hypergrid_simple.py. Turns of 20 s; evaluation is not timed. {curves}.",
        machine_note("Time to TV", part),
    ]


def thinned(curve: list[Any], points: int = 8) -> list[Any]:
    """About ``points`` points of a curve, including its end."""
    return curve[:: -max(1, len(curve) // points)][::-1]


def rollout_notes(part: dict[str, Any]) -> list[str]:
    return [
        "Random rollouts: uniform policy, no network, including log rewards. Padding is not counted.",
        machine_note("Rollouts", part),
    ]


def machine_note(title: str, part: dict[str, Any]) -> str:
    machine = part["machine"]
    quick = "; a short run, not a measurement" if part["quick"] else ""
    return (
        f"{title}: {machine['processor']}, {machine['cores']} cores, torch {machine['torch']}, {part['date']}{quick}."
    )


ORDER = ("ours", "gfnx", "torchgfn")
ROWS = {
    "speed": speed_rows,
    "objectives": objective_rows,
    "quality": quality_rows,
    "time": time_rows,
    "rollout": rollout_rows,
}
NOTES = {
    "speed": speed_notes,
    "objectives": objective_notes,
    "quality": quality_notes,
    "time": time_notes,
    "rollout": rollout_notes,
}
