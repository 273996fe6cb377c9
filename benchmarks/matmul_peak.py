"""Measured float32 matrix-product speed of torch on this machine: an upper bound for training.

There are three shapes, on one thread and on two: a hidden layer for the states of a large rollout, (4096, 256) x
(256, 256), and of a small one, (128, 256) x (256, 256), and a large square. The clock rate of shared machines varies,
so the shapes alternate and the best block counts.
"""

from __future__ import annotations

import argparse
import time

import torch

#: (m, k, n): a product of (m, k) by (k, n).
SHAPES = [(128, 256, 256), (4096, 256, 256), (2048, 2048, 2048)]


def product_speed(shape: tuple[int, int, int], threads: int, seconds: float) -> float:
    """Floating-point operations per second of one product, repeated for ``seconds``."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    m, k, n = shape
    a, b, out = torch.rand(m, k), torch.rand(k, n), torch.empty(m, n)
    torch.mm(a, b, out=out)
    products, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        torch.mm(a, b, out=out)
        products += 1
    torch.set_num_threads(before)
    return 2.0 * m * k * n * products / elapsed


def peak(threads: int = 1, blocks: int = 3, seconds: float = 0.1) -> float:
    """Best speed of any shape, in floating-point operations per second."""
    return max(product_speed(shape, threads, seconds) for _ in range(blocks) for shape in SHAPES)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.matmul_peak", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--blocks", type=int, default=5, help="blocks per shape (default 5; the best counts)")
    parser.add_argument("--seconds", type=float, default=0.2, help="seconds per block (default 0.2)")
    options = parser.parse_args()
    print("| product | threads | best, GFLOP/s |\n|---|---:|---:|")
    best: dict[tuple[tuple[int, int, int], int], float] = {}
    for _ in range(options.blocks):
        for shape in SHAPES:
            for threads in (1, 2):
                speed = product_speed(shape, threads, options.seconds)
                best[shape, threads] = max(best.get((shape, threads), 0.0), speed)
    for ((m, k, n), threads), speed in best.items():
        print(f"| ({m}, {k}) x ({k}, {n}) | {threads} | {speed / 1e9:,.0f} |")


if __name__ == "__main__":
    main()
