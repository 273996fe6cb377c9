"""Train the proxy of GFN/AMP-v0, evaluate it on held-out peptides, and write gfn_envs/data/amp_proxy.npz.

``python scripts/train_amp_proxy.py`` takes about a minute on one core, and needs torch, scikit-learn and rapidfuzz.

Peptides are split into four folds by similarity. Two peptides with an edit distance below 40% of the longer one are in
the same fold, so a held-out peptide has no close relative in the training set. The proxy is the mean of four members.
Each member is trained on three folds. The logits of the members on their held-out folds, pooled, calibrate the mean
(Platt scaling) and evaluate it. The calibration is evaluated on each fold with a fit to the other folds. All metrics
are those of a single member; the mean should not be worse.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from torch import nn

from gfn_envs.data import packaged
from gfn_envs.envs.proteins.peptide_classifier import AMINO_ACIDS, PeptideClassifier

OUT = Path(packaged.__file__).parent / "amp_proxy.npz"
LENGTH, MEMBERS, CHANNELS, WIDTH, HIDDEN = 60, 4, 16, 6, 16
EPOCHS, BATCH, SEED = 30, 64, 0


def peptides() -> tuple[list[str], np.ndarray]:
    """Distinct peptides of at most 60 standard residues, and labels. Peptides with both labels are excluded."""
    found: dict[str, set[bool]] = {}
    for peptide, label in zip(*packaged.amp_peptides(), strict=True):
        if len(peptide) <= LENGTH and set(peptide) <= set(AMINO_ACIDS):
            found.setdefault(peptide, set()).add(bool(label))
    kept = {peptide: label.pop() for peptide, label in found.items() if len(label) == 1}
    return list(kept), np.array(list(kept.values()))


def families(names: list[str], similarity: float = 0.6) -> np.ndarray:
    """Single-linkage clusters of peptides with a normalized edit similarity above ``similarity``, int (n,)."""
    near = process.cdist(names, names, scorer=Levenshtein.normalized_similarity, score_cutoff=similarity, workers=1)
    return connected_components(csr_matrix(near > similarity), directed=False)[1]


def split(family: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Fold of each peptide, int (n,). Families stay together, and folds have equal shares of antimicrobial peptides."""
    fold = np.empty(len(labels), dtype=int)
    folds = StratifiedGroupKFold(MEMBERS, shuffle=True, random_state=SEED)
    for i, (_, here) in enumerate(folds.split(labels, labels, family)):
        fold[here] = i
    return fold


def left_out_logits(tokens: np.ndarray, labels: np.ndarray, fold: np.ndarray) -> tuple[list[Member], np.ndarray]:
    """One member per fold, trained on the other folds, and its logits on that fold, float (n,)."""
    members, logits = [], np.zeros(len(labels))
    for i in range(MEMBERS):
        members.append(train(tokens[fold != i], labels[fold != i], SEED + i))
        logits[fold == i] = PeptideClassifier(weights_of(members[-1:])).logits(tokens[fold == i])
    return members, logits


def platt(logits: np.ndarray, labels: np.ndarray) -> LogisticRegression:
    """Platt scaling: logistic regression of the label on the logit."""
    return LogisticRegression(C=1e6).fit(logits[:, None], labels)


def report(title: str, logits: np.ndarray, labels: np.ndarray, fold: np.ndarray) -> None:
    p = np.zeros(len(labels))
    for i in range(MEMBERS):
        here = fold == i
        p[here] = platt(logits[~here], labels[~here]).predict_proba(logits[here, None])[:, 1]
    each = [roc_auc_score(labels[fold == i], logits[fold == i]) for i in range(MEMBERS)]
    error, lines = calibration_table(p, labels)
    print(f"{title}: AUROC {np.mean(each):.4f} (folds {np.min(each):.4f} to {np.max(each):.4f})  average precision "
          f"{average_precision_score(labels, p):.4f}  Brier {brier_score_loss(labels, p):.4f}  expected calibration "
          f"error {error:.4f}  accuracy {((p > 0.5) == labels).mean():.4f}")  # fmt: skip
    print("\n".join(lines))


def tokens_of(names: list[str]) -> np.ndarray:
    """Residues of peptides, int64 (n, 60), with 20 after the end."""
    tokens = np.full((len(names), LENGTH), 20)
    for row, name in zip(tokens, names, strict=True):
        row[: len(name)] = [AMINO_ACIDS.index(letter) for letter in name]
    return tokens


class Member(nn.Module):
    """Torch version of one network of gfn_envs.envs.proteins.peptide_classifier."""

    def __init__(self):
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(WIDTH, 20, CHANNELS) * (2 / WIDTH) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(CHANNELS))
        self.hidden = nn.Linear(2 * CHANNELS + 1, HIDDEN)
        self.out = nn.Linear(HIDDEN, 1)
        self.dropout = nn.Dropout(0.3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        letters = (tokens < 20)[:, :, None]
        one_hot = nn.functional.one_hot(tokens, 21)[:, :, :20].float()
        # Kernels of torch are (out, in, width).
        padded = nn.functional.pad(one_hot.mT, ((WIDTH - 1) // 2, WIDTH // 2))
        h = nn.functional.conv1d(padded, self.kernel.permute(2, 1, 0), self.bias).mT
        h = torch.relu(h) * letters
        size = letters.sum(1)
        features = torch.cat([h.amax(1), h.sum(1) / size, size / 60], 1)
        return self.out(self.dropout(torch.relu(self.hidden(self.dropout(features)))))[:, 0]


def train(tokens: np.ndarray, labels: np.ndarray, seed: int) -> Member:
    torch.manual_seed(seed)
    member, rng = Member(), np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(member.parameters(), lr=3e-3, weight_decay=1e-2)
    steps = EPOCHS * -(-len(labels) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps)
    x, y = torch.tensor(tokens), torch.tensor(labels, dtype=torch.float32)
    for _ in range(EPOCHS):
        for rows in np.array_split(rng.permutation(len(y)), -(-len(y) // BATCH)):
            loss = nn.functional.binary_cross_entropy_with_logits(member(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return member.eval()


def weights_of(members: list[Member]) -> dict[str, np.ndarray]:
    """Arrays for PeptideClassifier, without calibration."""

    def stack(get) -> np.ndarray:
        return np.stack([get(member).detach().numpy() for member in members])

    return {
        "kernel": stack(lambda m: m.kernel),
        "bias": stack(lambda m: m.bias),
        "hidden": stack(lambda m: m.hidden.weight.T),
        "hidden_bias": stack(lambda m: m.hidden.bias),
        "out": stack(lambda m: m.out.weight[0]),
        "out_bias": stack(lambda m: m.out.bias[0]),
        "scale": np.float32(1.0),
        "shift": np.float32(0.0),
    }


def calibration_table(p: np.ndarray, y: np.ndarray, bins: int = 10) -> tuple[float, list[str]]:
    """Expected calibration error over bins of equal width, and one line of text per bin."""
    index = np.minimum((p * bins).astype(int), bins - 1)
    lines, error = [], 0.0
    for i in range(bins):
        here = index == i
        if here.any():
            error += here.mean() * abs(p[here].mean() - y[here].mean())
            lines.append(f"{i / bins:.1f}-{(i + 1) / bins:.1f}  n {here.sum():4d}  p {p[here].mean():.3f}  "
                         f"antimicrobial {y[here].mean():.3f}")  # fmt: skip
    return error, lines


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    names, labels = peptides()
    family = families(names)
    tokens = tokens_of(names)
    print(f"{len(names)} peptides, {labels.sum()} antimicrobial, {family.max() + 1} families")
    fold = split(family, labels)
    members, logits = left_out_logits(tokens, labels, fold)
    report("folds by family", logits, labels, fold)
    weights, fitted = weights_of(members), platt(logits, labels)
    weights["scale"], weights["shift"] = np.float32(fitted.coef_[0, 0]), np.float32(fitted.intercept_[0])
    np.savez_compressed(options.out, **weights)
    print(f"{options.out}: {options.out.stat().st_size:,} bytes")
    # For comparison with the usual random split, which has relatives in both parts.
    alone = split(np.arange(len(labels)), labels)
    report("folds at random", left_out_logits(tokens, labels, alone)[1], labels, alone)


if __name__ == "__main__":
    main()
