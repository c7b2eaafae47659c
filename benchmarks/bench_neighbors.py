"""From how many labelled rows on FAISS pays as the proposer of nearest neighbours, on the CPU.

python -m benchmarks.bench_neighbors
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from benchmarks.pools import describe_machine
from skal._core.blocks import Blocks
from skal._core.neighbors import NeighborBase, top_k
from skal._core.rows import unit_rows


def seconds(queries: Blocks, base: NeighborBase, backend: str) -> float:
    start = time.perf_counter()
    for _ in top_k(queries, base, 1, backend=backend):
        pass
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=5_000)
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()

    rng = np.random.default_rng(0)
    cpu = torch.device("cpu")
    queries = Blocks(
        rng.normal(size=(arguments.queries, arguments.features)), cpu, dtype=torch.float64, resident_bytes=2**30
    )
    print(f"{arguments.queries} queries, d = {arguments.features}; {describe_machine()}")
    print("| labelled rows | time with torch / with FAISS |")
    print("|---|---|")
    for m in (100, 1_000, 4_000, 8_000, 16_000, 32_000, 64_000):
        base = NeighborBase.of(unit_rows(torch.from_numpy(rng.normal(size=(m, arguments.features)))))
        seconds(queries, base, "torch"), seconds(queries, base, "faiss")
        ratios = [seconds(queries, base, "torch") / seconds(queries, base, "faiss") for _ in range(arguments.repeats)]
        print(f"| {m} | {np.median(ratios):.2f} |")


if __name__ == "__main__":
    main()
