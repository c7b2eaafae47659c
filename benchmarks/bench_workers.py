"""Seconds over the number of workers, alone and while another process has one of the cores.

python -m benchmarks.bench_workers --data DIR
python -m benchmarks.bench_workers --data DIR --works "K-means, k = 1000" --workers 1 2 4 8 --quiet
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from rich.console import Console
from rich.progress import track

import skal
from benchmarks.measuring import one_core_taken
from benchmarks.pools import add_data_argument, describe_machine, load_pool
from skal._core.workers import on_workers
from skal.classifiers import LinearProbe
from skal.pool import clear_cache
from skal.samplers import CoreSetSampler, KMeansSampler, MaxHerdingSampler


def kmeans(k):
    def work(pool):
        clear_cache()
        KMeansSampler(k, device="cpu", random_state=0).fit(pool.X)

    return work


def core_set(pool):
    CoreSetSampler(1000, device="cpu").fit(pool.X, labeled_indices=np.arange(100))


def probes(pool):
    rng = np.random.default_rng(0)
    draws = [rng.choice(len(pool.X), 100, replace=False) for _ in range(24)]
    fits = [(pool.X[rows], pool.y[rows]) for rows in draws]
    LinearProbe(device="cpu").fit_many(fits)


def neighbors(pool):
    skal.Pool(pool.X[:20_000], device="cpu").neighbors(10, algorithm="exact")


def max_herding(pool):
    MaxHerdingSampler(50, device="cpu").fit(pool.X[:20_000])


WORKS = {
    "K-means, k = 100": kmeans(100),
    "K-means, k = 1000": kmeans(1000),
    "K-means, k = 7500": kmeans(7500),
    "Core-set, budget 1000": core_set,
    "24 stacked probes": probes,
    "10 neighbours of 20,000 rows": neighbors,
    "MaxHerding, budget 50 of 20,000 rows": max_herding,
}


def seconds_of(work, pool, n_workers, is_busy):
    with one_core_taken(is_busy), on_workers(n_workers):
        start = time.perf_counter()
        work(pool)
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_argument(parser)
    parser.add_argument("--works", nargs="+", choices=list(WORKS), default=list(WORKS))
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quiet", action="store_true", help="only alone")
    arguments = parser.parse_args()

    pool = load_pool(arguments.data)
    print(f"{pool.name}: {pool.X.shape[0]} × {pool.X.shape[1]} {pool.X.dtype}; {describe_machine()}")
    surroundings = [False] if arguments.quiet else [False, True]
    columns = [(n_workers, is_busy) for is_busy in surroundings for n_workers in arguments.workers]
    print("| work | " + " | ".join(f"{n} workers{', busy' if busy else ''}" for n, busy in columns) + " |")
    print("|---" * (1 + len(columns)) + "|")
    for name in track(arguments.works, console=Console(stderr=True), transient=True):
        seconds: dict = {column: [] for column in columns}
        WORKS[name](pool)  # warm up
        for _ in range(arguments.repeats):
            for column in columns:
                seconds[column].append(seconds_of(WORKS[name], pool, *column))
        print(f"| {name} | " + " | ".join(f"{np.median(seconds[column]):.2f}" for column in columns) + " |", flush=True)


if __name__ == "__main__":
    main()
