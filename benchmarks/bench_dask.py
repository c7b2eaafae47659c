"""K-means over a pool in shards: time and memory on a cluster here and in one process, and what goes over the wire.

The peer is scikit-learn's MiniBatchKMeans, which goes over the same shards once, in this process; its inertia is that
of all rows at their nearest centroids, which ours need not be (`--nearest`). Peaks of memory are those of
whole processes, files that are mapped included.

    python -m benchmarks.bench_dask --rows 524288 --features 512 --runs cluster alone
    python -m benchmarks.bench_dask --rows 8388608 --features 256 --memory-limit 1GiB --folder DIR --runs cluster
    python -m benchmarks.bench_dask --rows 10000000 --features 256 --folder DIR --runs cluster peer
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import dask.array as da
import numpy as np
import torch
from dask.utils import format_bytes
from distributed import Client, LocalCluster
from sklearn.cluster import MiniBatchKMeans
from sklearn.preprocessing import normalize

from benchmarks.measuring import forget_peak, peak_memory, status_mib
from benchmarks.pools import describe_machine, modes_of_classes, rows_around
from skal._core.blocks import Blocks
from skal._core.kmeans import partition
from skal._core.restricted import tile_rows_of
from skal._dask import _cluster
from skal.samplers import KMeansSampler

Outcome = tuple[float, np.ndarray, float]  # seconds, picks, inertia


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2**19)
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--budget", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2, help="and threads of the one process")
    parser.add_argument("--memory-limit", default="4GiB", help="of each worker")
    parser.add_argument("--folder", type=Path, help="where the shards are kept; they are used if they are there")
    parser.add_argument("--checkpoint", type=Path, help="folder; a fit that was killed goes on from there")
    parser.add_argument("--verbose", action="store_true", help="print the inertia of each pass")
    parser.add_argument(
        "--nearest", action="store_true", help="print the inertia of nearest centroids, too, as the peer's is"
    )
    parser.add_argument("--runs", nargs="+", default=["cluster", "alone"], choices=["cluster", "alone", "peer"])
    parser.add_argument("--batch", type=int, default=8192, help="rows that the peer takes at a time")
    arguments = parser.parse_args()
    print(describe_machine())
    with tempfile.TemporaryDirectory() as temporary:
        shards = write_shards(arguments.folder or Path(temporary), arguments.rows, arguments.features)
        pool = open_shards(shards, arguments.rows, arguments.features)
        print(f"{arguments.rows} × {arguments.features} float16, {format_bytes(pool.nbytes)}, {len(shards)} shards")
        runs = {"cluster": on_cluster, "alone": in_one_process, "peer": by_peer}
        found = {name: runs[name](pool, arguments) for name in arguments.runs}
    if {"alone", "cluster"} <= found.keys():
        alone, cluster = found["alone"], found["cluster"]
        print(f"the cluster takes {cluster[0] / alone[0]:.2f} times as long")
        print(f"the same picks: {np.array_equal(alone[1], cluster[1])}, the same inertia: {alone[2] == cluster[2]}")


def write_shards(folder: Path, n_rows: int, n_features: int) -> list[Path]:
    """Write rows of 1,000 uneven classes, a .npy file for each tile of a pass, unless they are there.

    As in embeddings, few directions hold most of the variance: feature j counts 1 / (1 + j / 16).
    """
    folder.mkdir(parents=True, exist_ok=True)
    scale = 1.0 / (1.0 + np.arange(n_features, dtype=np.float32) / 16)
    shares, modes = modes_of_classes(np.random.default_rng(0), 1_000, n_features)
    rows_a_shard, shards = tile_rows_of(n_features), []
    for start in range(0, n_rows, rows_a_shard):
        n_in_shard = min(rows_a_shard, n_rows - start)
        shards.append(folder / f"{n_features}-{start:010d}-{n_in_shard}.npy")
        if not shards[-1].exists():
            rng = np.random.default_rng([1, start])
            classes = rng.choice(len(shares), size=n_in_shard, p=shares)
            unfinished = folder / f"unfinished-{n_features}.npy"
            np.save(unfinished, (rows_around(rng, modes, classes) * scale).astype(np.float16))
            unfinished.rename(shards[-1])
    return shards


def open_shards(shards: list[Path], n_rows: int, n_features: int) -> da.Array:
    """One chunk a file, mapped by the worker that needs it."""

    def read(block_info=None):
        number, _ = block_info[None]["chunk-location"]
        return np.load(paths[number], mmap_mode="r")

    paths = [str(path) for path in shards]
    sizes = tuple(min(tile_rows_of(n_features), n_rows - start) for start in range(0, n_rows, tile_rows_of(n_features)))
    return da.map_blocks(read, chunks=(sizes, (n_features,)), dtype=np.float16, meta=np.empty((0, 0), np.float16))


def on_cluster(pool: da.Array, arguments: argparse.Namespace) -> Outcome:
    wire = Wire()
    with (
        LocalCluster(
            n_workers=arguments.workers,
            threads_per_worker=1,
            memory_limit=arguments.memory_limit,
            dashboard_address=":0",
        ) as cluster,
        Client(cluster) as client,
    ):
        at_first = set(client.run(os.getpid).values())
        found = fit(pool, arguments, f"{arguments.workers} workers of {arguments.memory_limit}")
        peaks = [f"{mib:.0f}" for mib in client.run(status_mib, "VmHWM").values()]
        seconds = [f"{seconds:.0f}" for seconds in client.run(time.process_time).values()]
        n_died = len(at_first - set(client.run(os.getpid).values()))
    print(f"workers: {', '.join(seconds)} s on a core, {', '.join(peaks)} MiB at their peaks; {n_died} of them died")
    wire.table(len(pool))
    return found


def in_one_process(pool: da.Array, arguments: argparse.Namespace) -> Outcome:
    torch.set_num_threads(arguments.workers)
    return fit(pool.compute(scheduler="synchronous"), arguments, f"one process, {arguments.workers} threads")


def fit(X: object, arguments: argparse.Namespace, name: str) -> Outcome:
    taken: dict[str, float] = {}
    sampler = KMeansSampler(
        arguments.budget, random_state=0, checkpoint_folder=arguments.checkpoint, verbose=arguments.verbose
    )
    forget_peak()
    with peak_memory(taken):
        sampler.fit(X)
    print(f"{name}: {taken['seconds']:.1f} s, inertia {sampler.inertia_:.1f}, {sampler.n_iter_} passes")
    print_process(taken)
    if arguments.nearest:
        _, distances = sampler.assign(X)
        print(f"{name}: inertia {np.square(distances).sum():.1f} with each row at its nearest centroid")
    return taken["seconds"], sampler.selected_indices_, sampler.inertia_


def print_process(taken: dict[str, float]) -> None:
    print(
        f"this process: {taken['cpu_seconds']:.0f} s on a core, {status_mib('VmHWM'):.0f} MiB at its peak, "
        f"{taken['mib']:.0f} more than before"
    )


def by_peer(pool: da.Array, arguments: argparse.Namespace) -> Outcome:
    taken: dict[str, float] = {}
    peer = MiniBatchKMeans(arguments.budget, n_init=1, random_state=0)
    forget_peak()
    with peak_memory(taken):
        for rows in unit_rows_of(pool):
            for start in range(0, len(rows) - arguments.budget + 1, arguments.batch):
                peer.partial_fit(rows[start : start + arguments.batch])
    centers = torch.from_numpy(peer.cluster_centers_.astype(np.float32))
    inertia = sum(partition(Blocks(rows, centers.device), centers).inertia for rows in unit_rows_of(pool))
    print(
        f"MiniBatchKMeans, once over all shards, {arguments.batch} rows at a time, {torch.get_num_threads()} threads: "
        f"{taken['seconds']:.1f} s, inertia {inertia:.1f}"
    )
    print_process(taken)
    return taken["seconds"], np.empty(0, np.int64), inertia


def unit_rows_of(pool: da.Array) -> Iterator[np.ndarray]:
    """Yield each shard, its rows in float32 and of length 1."""
    for chunk in pool.blocks:
        yield normalize(chunk.compute(scheduler="synchronous").astype(np.float32))


if __name__ == "__main__":
    main()
