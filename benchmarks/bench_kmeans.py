"""K-means beside its peers in one process, with the same number of threads: time, inertia, memory, accuracy.

Peers: the paper's reference, faiss.Kmeans(niter=20, nredo=5, max_points_per_centroid=2n/k); FAISS's
SuperKMeans, one run of as many iterations (use_super_kmeans); and scikit-learn's KMeans and MiniBatchKMeans
(n_init=1). Inertia is over all rows, each at its nearest centroid, in float64 sums. `--reference-runs 1` runs
one of the reference's five equal runs and counts its time five times. `--busy` lets another process have one
of the cores meanwhile. flash-kmeans is compared on the pool of ImageNet's size only, and wants a CUDA device.

    python -m benchmarks.bench_kmeans --data DIR --clusters 100 1000
    python -m benchmarks.bench_kmeans --data DIR --clusters 7500 --peers reference --reference-runs 1
    python -m benchmarks.bench_kmeans --data DIR --clusters 1000 --peers SuperKMeans --busy
    python -m benchmarks.bench_kmeans --data DIR --scaling
    python -m benchmarks.bench_kmeans --imagenet FILE.npy --clusters 10000
    python -m benchmarks.bench_kmeans --imagenet FILE.npy --clusters 1000 10000 --device cuda --peers flash-kmeans
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import faiss
import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

from benchmarks.measuring import one_core_taken, peak_memory
from benchmarks.pools import add_data_argument, describe_machine, imagenet_sized_pool, load_pool
from skal._core.blocks import Blocks
from skal._core.kmeans import partition
from skal._core.shares import nearest_members
from skal.classifiers import CosineKNNClassifier
from skal.pool import clear_cache
from skal.samplers import KMeansSampler

CPU = torch.device("cpu")


def run_skal(X, unit_rows, k, seed, arguments):
    clear_cache()  # each run pays for its own projection
    sampler = KMeansSampler(k, device=arguments.device, random_state=seed).fit(X)
    return sampler.cluster_centers_, sampler.selected_indices_


def run_reference(X, unit_rows, k, seed, arguments):
    n, d = unit_rows.shape
    clustering = faiss.Kmeans(
        d, k, niter=20, nredo=arguments.reference_runs, max_points_per_centroid=max(1, 2 * n // k), seed=seed
    )
    clustering.train(unit_rows)
    return clustering.centroids, None


def run_super_kmeans(X, unit_rows, k, seed, arguments):
    n, d = unit_rows.shape
    clustering = faiss.Kmeans(
        d, k, niter=20, use_super_kmeans=True, max_points_per_centroid=max(1, 2 * n // k), seed=seed
    )
    clustering.train(unit_rows)
    return clustering.centroids, None


def run_sklearn(X, unit_rows, k, seed, arguments):
    return KMeans(k, n_init=1, random_state=seed).fit(unit_rows).cluster_centers_, None


def run_minibatch(X, unit_rows, k, seed, arguments):
    return MiniBatchKMeans(k, n_init=1, batch_size=4096, random_state=seed).fit(unit_rows).cluster_centers_, None


RUNNERS = {
    "skal": run_skal,
    "reference": run_reference,
    "SuperKMeans": run_super_kmeans,
    "KMeans": run_sklearn,
    "MiniBatchKMeans": run_minibatch,
}


def judge(pool, unit_pool, centers, picks):
    nearest = partition(unit_pool, torch.from_numpy(np.ascontiguousarray(centers, dtype=np.float32)))
    if picks is None:
        labels, sq_dist = nearest.labels.numpy(), nearest.sq_dist.numpy()
        n_filled = len(np.unique(labels))
        picks = nearest_members(labels, sq_dist, np.ones(len(labels), dtype=bool), len(centers), n_filled)
    classifier = CosineKNNClassifier().fit(pool.X[picks], pool.y[picks])
    return nearest.inertia, 100 * classifier.score(pool.X_test, pool.y_test)


def compare(pool, arguments):
    unit_rows = normalize(pool.X.astype(np.float32))
    unit_pool = Blocks(unit_rows, CPU)
    names = ["skal", *(name for name in arguments.peers if name in RUNNERS)]
    for name in names:  # what a process does for the first time takes longer
        RUNNERS[name](pool.X, unit_rows, 100, 0, arguments)
    print("| k | K-means | seconds | time / skal's | inertia | peak MiB beside X | 1-NN accuracy, % |")
    print("|---|---|---|---|---|---|---|")
    for k in arguments.clusters:
        rows = {name: [] for name in names}
        jobs = [(name, seed) for seed in range(arguments.seeds) for name in names]
        for name, seed in track(jobs, console=Console(stderr=True), transient=True):
            measured: dict = {}
            with one_core_taken(arguments.busy), peak_memory(measured):
                centers, picks = RUNNERS[name](pool.X, unit_rows, k, seed, arguments)
            if name == "reference":
                measured["seconds"] *= 5 / arguments.reference_runs
            rows[name].append((measured["seconds"], measured["mib"], *judge(pool, unit_pool, centers, picks)))
        ours = np.median([row[0] for row in rows["skal"]])
        for name in names:
            seconds, mib, inertia, accuracy = np.median(rows[name], axis=0)
            print(
                f"| {k} | {name} | {seconds:.2f} | {seconds / ours:.1f} | {inertia:.0f} | {mib:.0f} | {accuracy:.1f} |",
                flush=True,
            )


def imagenet_scale(arguments):
    """On a memmap of ImageNet's size: skal, one assignment of the reference times 100, 5 exact Lloyd passes."""
    X, _ = imagenet_sized_pool(arguments.imagenet, arguments.features)
    print(f"{X.shape[0]} × {X.shape[1]} {X.dtype} memmap; {arguments.threads} threads; {describe_machine()}")
    for k in arguments.clusters:
        measured: dict = {}
        with peak_memory(measured):
            sampler = KMeansSampler(k, device=arguments.device, random_state=0).fit(X)
        seconds, mib = measured["seconds"], measured["mib"]
        print(f"k = {k}, skal: {seconds:.1f} s, inertia {sampler.inertia_:.0f}, peak {mib:.0f} MiB", flush=True)
        peers = {"reference": beside_reference, "flash-kmeans": beside_flash_kmeans}
        for name, compare_with in peers.items():
            if name in arguments.peers:
                compare_with(X, k, seconds, arguments)


def unit_rows_of(X):
    return np.concatenate([normalize(X[i : i + 65_536].astype(np.float32)) for i in range(0, len(X), 65_536)])


def beside_reference(X, k, our_seconds, arguments):
    unit_rows = unit_rows_of(X)
    index = faiss.IndexFlatL2(X.shape[1])
    index.add(unit_rows[:k])
    start = time.perf_counter()
    index.search(unit_rows, 1)
    seconds = 100 * (time.perf_counter() - start)
    print(f"reference: {seconds:.0f} s = 100 times one assignment; {seconds / our_seconds:.1f} times ours", flush=True)
    lloyd_sampler = KMeansSampler(k, algorithm="lloyd", init="random", n_init=1, max_iter=5, tol=0, random_state=0)
    seconds, _ = timed(CPU, lambda: lloyd_sampler.fit(unit_rows))
    print(f"5 exact Lloyd passes: {seconds:.1f} s, inertia {lloyd_sampler.inertia_:.0f}", flush=True)


def beside_flash_kmeans(X, k, our_seconds, arguments):
    """Twenty of its iterations from random rows, and what share of the matrix rate an exact pass of ours reaches."""
    from flash_kmeans import batch_kmeans_Euclid

    device = torch.device(arguments.device)
    unit_rows = torch.from_numpy(unit_rows_of(X)).to(device)
    pool = Blocks(unit_rows, device)
    first = pool.take(np.random.default_rng(0).choice(len(X), size=k, replace=False))
    partition(pool, first)  # warm up
    seconds, _ = timed(device, lambda: partition(pool, first))
    share = 2 * unit_rows.numel() * k / seconds / matrix_rate(device)
    print(f"an exact pass of ours: {seconds:.2f} s, {100 * share:.0f} % of the machine's float32 matrix rate")
    seconds, (_, centers, *_) = timed(
        device, lambda: batch_kmeans_Euclid(unit_rows[None], k, max_iters=20, tol=0.0, init_centroids=first[None])
    )
    inertia = partition(pool, centers[0].float()).inertia
    print(f"flash-kmeans: {seconds:.1f} s, inertia {inertia:.0f}; {seconds / our_seconds:.1f} times ours", flush=True)


def timed(device, work):
    def wait():
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    wait()
    start = time.perf_counter()
    result = work()
    wait()
    return time.perf_counter() - start, result


def matrix_rate(device, size=4096):
    """Operations a second of a float32 matrix product, the best of five."""
    square = torch.ones((size, size), device=device)
    return 2 * size**3 / min(timed(device, lambda: square @ square)[0] for _ in range(5))


def scaling(pool, arguments):
    """Seconds over n and k: how much slower than n·k the time grows."""
    sizes, clusters = (12_500, 25_000, 50_000), (500, 1000, 2000, 4000, 8000)
    print("| n \\ k | " + " | ".join(map(str, clusters)) + " |")
    print("|---" * (1 + len(clusters)) + "|")
    for n in sizes:
        cells = []
        for k in clusters:
            seconds = []
            for seed in range(arguments.seeds):
                start = time.perf_counter()
                run_skal(pool.X[:n], None, k, seed, arguments)
                seconds.append(time.perf_counter() - start)
            cells.append(f"{np.median(seconds):.2f}")
        print(f"| {n} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_argument(parser)
    parser.add_argument("--clusters", type=int, nargs="+", default=[100, 1000])
    peers = list(RUNNERS)[1:]
    parser.add_argument("--peers", nargs="*", choices=[*peers, "flash-kmeans"], default=peers)
    parser.add_argument("--reference-runs", type=int, default=5, choices=range(1, 6))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--busy", action="store_true", help="another process has one of the cores")
    parser.add_argument("--scaling", action="store_true", help="only skal, over n and k")
    parser.add_argument("--imagenet", type=Path, help="a .npy file, generated where it is missing")
    parser.add_argument("--features", type=int, default=512, help="of the generated pool")
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    faiss.omp_set_num_threads(arguments.threads)
    if arguments.imagenet is not None:
        with threadpool_limits(arguments.threads):
            imagenet_scale(arguments)
        return
    pool = load_pool(arguments.data)
    n, d = pool.X.shape
    print(f"{pool.name}: {n} × {d} {pool.X.dtype}; {arguments.threads} threads; {describe_machine()}")
    if arguments.busy:
        print("Another process has one of the cores.")
    with threadpool_limits(arguments.threads):
        (scaling if arguments.scaling else compare)(pool, arguments)


if __name__ == "__main__":
    main()
