"""Choose rows of a pool that no worker could hold: a cluster on this machine, a pool in files, picks.

python examples/dask_pool.py                          # 4.5 million rows, 1.07 GiB, on two workers of 1 GiB
python examples/dask_pool.py --rows 20000 --budget 50
"""

import argparse
import tempfile
import time
from pathlib import Path

import dask.array as da
import numpy as np
from dask.utils import format_bytes
from distributed import Client, LocalCluster

from skal.samplers import KMeansSampler


def write_pool(folder, n_rows, n_features, rows_a_file):
    """Write rows in 500 groups, a .npy file after the other; no more than one of them is ever in memory."""
    folder = Path(folder)
    centers = np.random.default_rng(0).normal(size=(500, n_features)).astype(np.float32)
    for number, start in enumerate(range(0, n_rows, rows_a_file)):
        rng = np.random.default_rng([1, number])
        size = min(rows_a_file, n_rows - start)
        rows = centers[rng.integers(len(centers), size=size)] + rng.standard_normal((size, n_features), np.float32)
        np.save(folder / f"{number:05d}.npy", rows.astype(np.float16))


def open_pool(folder, n_rows, n_features, rows_a_file):
    """One chunk a file, read by the worker that needs it."""

    def read(block_info=None):
        number, _ = block_info[None]["chunk-location"]
        return np.load(f"{folder}/{number:05d}.npy", mmap_mode="r")

    sizes = [min(rows_a_file, n_rows - start) for start in range(0, n_rows, rows_a_file)]
    return da.map_blocks(
        read, chunks=(tuple(sizes), (n_features,)), dtype=np.float16, meta=np.empty((0, 0), np.float16)
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=4_500_000)
    parser.add_argument("--features", type=int, default=128)
    parser.add_argument("--budget", type=int, default=300)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory-limit", default="1GiB", help="of each worker")
    arguments = parser.parse_args()

    rows_a_file = 2**19  # a multiple of a tile, so that no chunks are joined
    with tempfile.TemporaryDirectory() as folder:
        write_pool(folder, arguments.rows, arguments.features, rows_a_file)
        X = open_pool(folder, arguments.rows, arguments.features, rows_a_file)
        cluster = LocalCluster(
            n_workers=arguments.workers,
            threads_per_worker=1,
            memory_limit=arguments.memory_limit,
            dashboard_address=":0",
        )
        with cluster, Client(cluster):
            print(f"{arguments.rows} × {arguments.features}, {format_bytes(X.nbytes)} in {X.npartitions} files")
            print(f"{arguments.workers} workers of {arguments.memory_limit} each; dashboard: {cluster.dashboard_link}")
            started = time.perf_counter()
            sampler = KMeansSampler(arguments.budget, random_state=0).fit(X)
            print(f"{len(sampler.selected_indices_)} rows picked in {time.perf_counter() - started:.0f} s")
            print(
                f"inertia {sampler.inertia_:.0f} after {sampler.n_iter_} passes; labels_ is a {type(sampler.labels_)}"
            )
            print("the first:", *sampler.selected_indices_[:10])


if __name__ == "__main__":
    main()
