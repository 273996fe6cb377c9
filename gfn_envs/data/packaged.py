"""The packaged data (see README.md here): arrays by name, the scores of TFBind8 and the peptides of AMP."""

from __future__ import annotations

import functools
import importlib.resources
import io

import numpy as np


def packaged_file(file: str) -> bytes:
    """Content of a file in this folder, such as ``"datasets.json"``."""
    return importlib.resources.files("gfn_envs").joinpath("data", file).read_bytes()


def load_arrays(data: bytes) -> dict[str, np.ndarray]:
    """The arrays of an .npz file, by name. Raises ValueError if one of them holds Python objects."""
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def packaged(name: str) -> dict[str, np.ndarray]:
    """Packaged arrays, such as ``"tfbind8"`` or ``"gfp_proxy"`` (see README.md here)."""
    return load_arrays(packaged_file(f"{name}.npz"))


@functools.cache
def tfbind8_scores() -> np.ndarray:
    """E-scores of SIX6 REF R1 on all 65,536 8-mers, in alphabetical order, float64 (65536,).

    An 8-mer and its reverse complement share one line of the published file, and so have the same score.
    """
    half = packaged("tfbind8")["score_1e5"] / 100_000
    codes = np.arange(4**8)
    digits = codes[:, None] // 4 ** np.arange(8)[::-1] % 4
    reverse = (3 - digits)[:, ::-1] @ 4 ** np.arange(8)[::-1]  # A, C, G, T = 0..3 pair as 0-3 and 1-2.
    first = np.minimum(codes, reverse)
    scores = np.asarray(half[np.searchsorted(np.flatnonzero(codes <= reverse), first)], dtype=np.float64)
    scores.flags.writeable = False  # Every environment of this process shares it.
    return scores


def amp_peptides() -> tuple[list[str], np.ndarray]:
    """Peptides of AMPvsUniProt: (sequences, labels). Labels are bool (5200,), True for antimicrobial peptides."""
    arrays = packaged("amp")
    text = arrays["letters"].tobytes().decode("ascii")
    ends = np.cumsum(arrays["lengths"]).tolist()
    return [text[end - length : end] for end, length in zip(ends, arrays["lengths"].tolist(), strict=True)], arrays[
        "labels"
    ].astype(bool)
