"""Time and memory of the exact terminal distribution of an MLP policy on HyperGrid 4-D side 20 (160,000 objects).

python -m benchmarks.exact_distribution
"""

import argparse
import resource
import time

import agents
import gfn_envs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ndim", type=int, default=4)
    parser.add_argument("--side", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    dag = gfn_envs.make_dag("GFN/HyperGrid-v0", ndim=options.ndim, side=options.side, reward="easy")
    agent = agents.make_agent("tb", dag)
    seconds = []
    for _ in range(options.repeats):
        start = time.perf_counter()
        total = agents.exact_distribution(agent).sum()
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"{dag!r}: {dag.num_terminal_states:,} objects, probabilities sum to {total:.12f}")
    print(f"first, with enumeration: {seconds[0]:.2f} s; best of the rest {min(seconds[1:], default=seconds[0]):.2f} s")
    print(f"peak memory of the process: {peak:.2f} GiB (targets: 3 s, 2 GB)")


if __name__ == "__main__":
    main()
