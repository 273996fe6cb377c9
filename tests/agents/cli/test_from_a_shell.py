"""A new user's path by commands alone: from a reward and building blocks to ranked molecules and a report."""

import csv
import os
import signal
import subprocess
import time

import pytest

from tests import forks

BUDGET = 300
#: A reward in a file of its user, who pays for every call: a line of calls.txt each.
REWARD = '''
import time


def dock(smiles):
    """Longer molecules with more nitrogen dock better."""
    with open("calls.txt", "a") as file:
        file.write(smiles + "\\n")
    time.sleep(0.005)
    return 0.1 + len(smiles) + 5 * smiles.count("N")
'''
FRAGMENTS = """
*C
*CC
*CC*
*c1ccc(*)cc1
*c1ccccc1
*C(=O)N*
*N
*O
*OC
*F
*Cl
*C(=O)O
*N(*)*
*c1ccncc1
*S*
*C#N
*C1CCCCC1
*N1CCN(*)CC1
*CO*
*C(F)(F)F
""".lstrip()
TRAIN = ["train", "tb", "GFN/FragmentMolecule-v0", "--env.blocks", "mine.smi", "--env.max-blocks", "4"]
TRAIN += ["--env.reward", "score:dock", "--env.reward-of", "smiles", "--oracle.budget", str(BUDGET)]
TRAIN += ["--agent.hidden", "16", "--iterations", "200", "--checkpoint-every", "2", "--no-figures", "--out", "run"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "score.py").write_text(REWARD)
    (tmp_path / "mine.smi").write_text(FRAGMENTS)
    return tmp_path


def begin(folder, *words):
    """Start ``gfn`` with these words in a folder."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [forks.python(), "-m", "gfn_command", *words]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def gfn(folder, *words):
    process = begin(folder, *words)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


def calls(folder):
    path = folder / "calls.txt"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.timeout(300)
def test_from_a_reward_and_fragments_to_molecules_and_a_report(folder):
    chem = pytest.importorskip("rdkit.Chem")
    pytest.importorskip("plotly")
    process = begin(folder, *TRAIN)
    while len(calls(folder)) < 100 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert 100 <= len(calls(folder)) < BUDGET
    assert (folder / "run" / "checkpoint.pt").exists()

    gfn(folder, *TRAIN, "--resume")
    paid = calls(folder)
    # The call that the signal ended is repeated, and counts.
    assert BUDGET - 1 <= len(paid) <= BUDGET
    assert len(set(paid)) >= len(paid) - 1

    flags = ["--trust", "--num", "1000", "--unique", "--sort", "reward", "--out", "best.sdf", "best.csv"]
    assert "saved best.csv" in gfn(folder, "sample", "run", *flags)
    rows = list(csv.DictReader((folder / "best.csv").open()))
    rewards = {row["object"]: float(row["reward"]) for row in rows if row["reward"]}
    assert len(rewards) > 10
    assert set(rewards) <= set(paid)
    assert list(rewards.values()) == sorted(rewards.values(), reverse=True)
    for smiles, reward in rewards.items():
        assert reward == pytest.approx(0.1 + len(smiles) + 5 * smiles.count("N"))
    molecules = list(chem.SDMolSupplier(str(folder / "best.sdf")))
    assert [chem.MolToSmiles(mol) for mol in molecules] == [row["object"] for row in rows]

    assert "saved run/report.html" in gfn(folder, "report", "run", "--trust", "--num-samples", "300")
    page = (folder / "run" / "report.html").read_text(encoding="utf-8")
    assert "Best objects" in page
    best = max(paid, key=lambda smiles: 0.1 + len(smiles) + 5 * smiles.count("N"))
    assert best in page[page.index("Best calls of the reward") :]
    assert "No new reward was evaluated: rewards are expensive" in page
    assert page.count("data:image/png") >= 10
    assert "calls of the reward" in page
    assert calls(folder) == paid
