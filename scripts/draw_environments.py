"""Draw docs/animations/NAME.gif of every environment: a random policy and a trained one; and docs/environments.json.

    python scripts/draw_environments.py                # all
    python scripts/draw_environments.py HyperGrid Bag  # some

Both policies build a few objects, with the same seeds. docs/environments.json holds the numbers that the pages of the
environments show: objects and log Z of the size that was trained, and what the default agent reached.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

import agents
import gfn_envs
from agents.rollout import sample_forward
from gfn_envs.dag import Dag
from gfn_envs.exact import log_partition

DOCS = Path(__file__).resolve().parents[1] / "docs"
#: Sizes at which an agent learns in seconds; the default size of the other environments.
SIZES: dict[str, dict[str, Any]] = {
    "BitSequence": {"n": 32, "word_size": 4},
    "AMP": {"length": 20},
    "GFP": {"max_mutations": 3},
    "Ising": {"side": 4},
    "FragmentMolecule": {"max_blocks": 4},
    "AtomMolecule": {"max_atoms": 5},
}

ITERATIONS, SECONDS, OBJECTS, FRAMES = 3000, 40.0, 3, 40
WIDTH, GAP, PAUSE, STEP = 200, 10, 1200, 250
#: Bytes of an animation.
LARGEST = 300_000


def uniform(states: np.ndarray, dag: Dag) -> np.ndarray:
    """Logits of the uniform policy."""
    return np.zeros((len(states), dag.num_actions), np.float32)


def trained(dag: Dag) -> agents.Agent:
    """The default agent after :data:`ITERATIONS`, or as many as take :data:`SECONDS`."""
    agent = agents.make_agent("tb", dag, seed=0)
    began = time.process_time()
    for _ in range(ITERATIONS):
        agent.update()
        if time.process_time() - began > SECONDS:
            break
    return agent


def frames(dag: Dag, trajectories: Any) -> list[list[Image.Image]]:
    """The pictures of each trajectory, all of one size."""
    found = []
    for k in range(len(trajectories)):
        states = trajectories.part(k, k + 1).states
        found.append([Image.fromarray(dag.render_image(states[t], states[:t])) for t in range(len(states))])
    return found


def beside(left: Image.Image, right: Image.Image) -> Image.Image:
    """Two pictures of one size side by side on white."""
    height = round(WIDTH * left.height / left.width)
    whole = Image.new("RGB", (2 * WIDTH + GAP, height), "white")
    for k, picture in enumerate((left, right)):
        whole.paste(picture.resize((WIDTH, height), Image.Resampling.LANCZOS), (k * (WIDTH + GAP), 0))
    return whole.quantize(32, dither=Image.Dither.NONE)


def animate(pairs: list[tuple[list[Image.Image], list[Image.Image]]], path: Path) -> None:
    """Write the steps of pairs of trajectories, or every second one and so on until the file is small enough.

    The shorter of two trajectories waits for the longer.
    """
    every = max(1, round(sum(max(map(len, pair)) for pair in pairs) / FRAMES))
    while True:
        _write(pairs, every, path)
        if path.stat().st_size <= LARGEST:
            return
        every *= 2


def _write(pairs: list[tuple[list[Image.Image], list[Image.Image]]], every: int, path: Path) -> None:
    shown, times = [], []
    for left, right in pairs:
        longest = max(len(left), len(right))
        steps = [*range(0, longest - 1, every), longest - 1]
        shown += [beside(left[min(t, len(left) - 1)], right[min(t, len(right) - 1)]) for t in steps]
        times += [STEP] * (len(steps) - 1) + [PAUSE]
    shown[0].save(path, save_all=True, append_images=shown[1:], duration=times, loop=0, optimize=True)


def draw(id: str) -> dict[str, str]:
    """Draw an environment. Returns the numbers for its page."""
    name = id.split("/")[1].removesuffix("-v0")
    dag = gfn_envs.make_dag(id, **SIZES.get(name, {}))
    agent = trained(dag)
    pairs = []
    for seed in range(OBJECTS):
        each = [np.random.default_rng(seed) for _ in range(2)]
        left = sample_forward(dag, lambda states: uniform(states, dag), 1, each[0], rewards=False)
        pairs.append((frames(dag, left)[0], frames(dag, agent.sample_trajectories(1, rng=each[1], rewards=False))[0]))
    animate(pairs, DOCS / "animations" / f"{name}.gif")
    metrics = agents.evaluate(agent, num_samples=1000)
    size = ", ".join(f"{key}={value}" for key, value in SIZES.get(name, {}).items()) or "default size"
    reached = f"`tb`, {size}, {agent.iteration:,} iterations of 16: "
    if metrics.get("tv") is not None:
        exact = {"log Z (exact)": f"{log_partition(dag):.4f}"}
        return exact | {"default agent": reached + f"exact total variation {metrics['tv']:.3f}"}
    gap = "" if metrics.get("elbo") is None else f"ELBO {metrics['elbo']:.2f}, log Z {metrics['log_z']:.2f}"
    return {"default agent": reached + gap}


def main() -> None:
    """Draw the named environments, or all."""
    chosen = sys.argv[1:]
    ids = [id for id in gfn_envs.ENVIRONMENTS if not chosen or id.split("/")[1].removesuffix("-v0") in chosen]
    path = DOCS / "environments.json"
    for id in (bar := tqdm(ids)):
        bar.set_description(id)
        try:
            facts = draw(id)
        except OSError as error:  # Data that are not there.
            print(f"{id} is left out: {error}", file=sys.stderr)
            continue
        known = json.loads(path.read_text("utf-8")) | {id: facts}
        path.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
