"""K-means over a pool in shards: what a cluster on this machine costs beside one process, and what goes over the wire.

python -m benchmarks.bench_dask --rows 524288 --features 512 --budget 1000 --workers 2
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter, defaultdict

import dask.array as da
import numpy as np
import torch
from dask.utils import format_bytes
from distributed import Client, LocalCluster

from benchmarks.measuring import peak_memory
from examples.dask_pool import open_pool, write_pool
from skal._core.restricted import widest_tile_rows
from skal._dask import _cluster
from skal.samplers import KMeansSampler


class Wire:
    """Counts what the driver packs for the workers and unpacks from them, by pass."""

    def __init__(self) -> None:
        self.down: Counter[str] = Counter()
        self.up: Counter[str] = Counter()
        self.n_passes: Counter[str] = Counter()
        plain_init, plain_note = _cluster._Tasks.__init__, _cluster._Tasks._take_note
        plain_pack = _cluster.pack
        wire, names = self, defaultdict(str)

        def init(tasks, client, function, chunks, common, own, keep):
            kernel = getattr(common, "kernel", function)
            names[id(tasks)] = kernel.__name__
            wire.n_passes[kernel.__name__] += 1

            def counted(position):
                value = own(position)
                wire.down[kernel.__name__] += plain_pack(value).n_bytes
                return value

            wire.down[kernel.__name__] += plain_pack(common).n_bytes
            plain_init(tasks, client, function, chunks, common, counted, keep)

        def take_note(tasks, position, future):
            plain_note(tasks, position, future)
            found = tasks._back.get(position)
            wire.up[names[id(tasks)]] += getattr(found, "n_bytes", 0)

        _cluster._Tasks.__init__, _cluster._Tasks._take_note = init, take_note

    def table(self, n_rows: int) -> None:
        print(f"{'pass':24} times  down a time  up a time  bytes a row")
        for name, times in self.n_passes.most_common():
            down, up = self.down[name] / times, self.up[name] / times
            print(f"{name:24} {times:5}  {format_bytes(down):>11}  {format_bytes(up):>9}  {(down + up) / n_rows:11.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2**19)
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--budget", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory-limit", default="4GiB")
    parser.add_argument("--alone", action="store_true", help="only the one process")
    parser.add_argument("--cluster", action="store_true", help="only the cluster")
    arguments = parser.parse_args()
    n_rows, n_features = arguments.rows, arguments.features
    rows_a_file = widest_tile_rows(n_features)
    with tempfile.TemporaryDirectory() as folder:
        write_pool(folder, n_rows, n_features, rows_a_file)
        pool = open_pool(folder, n_rows, n_features, rows_a_file)
        print(f"{n_rows} × {n_features} float16, {format_bytes(pool.nbytes)}, {pool.npartitions} chunks")
        found = {}
        if not arguments.cluster:
            torch.set_num_threads(arguments.workers)
            X = pool.compute(scheduler="synchronous")
            found["one process"] = fit(X, arguments.budget, f"one process, {arguments.workers} threads")
            del X
        if not arguments.alone:
            found["cluster"] = on_cluster(pool, arguments)
        if len(found) == 2:
            alone, cluster = found["one process"], found["cluster"]
            print(f"the cluster takes {cluster[0] / alone[0]:.2f} times as long")
            print(f"the same picks: {np.array_equal(alone[1], cluster[1])}, the same inertia: {alone[2] == cluster[2]}")


def on_cluster(pool: da.Array, arguments: argparse.Namespace) -> tuple[float, np.ndarray, float]:
    wire = Wire()
    with (
        LocalCluster(
            n_workers=arguments.workers,
            threads_per_worker=1,
            memory_limit=arguments.memory_limit,
            dashboard_address=":0",
        ) as cluster,
        Client(cluster),
    ):
        found = fit(pool, arguments.budget, f"{arguments.workers} workers of {arguments.memory_limit}")
    wire.table(len(pool))
    return found


def fit(X: object, budget: int, name: str) -> tuple[float, np.ndarray, float]:
    taken: dict[str, float] = {}
    with peak_memory(taken):
        sampler = KMeansSampler(budget, random_state=0).fit(X)
    print(
        f"{name}: {taken['seconds']:.1f} s, inertia {sampler.inertia_:.1f}, {sampler.n_iter_} passes, "
        f"{taken['mib']:.0f} MiB more in this process"
    )
    return taken["seconds"], sampler.selected_indices_, sampler.inertia_


if __name__ == "__main__":
    main()
