"""Time and memory of the samplers beyond the paper, beside scikit-activeml where it has the strategy.

    python -m benchmarks.bench_beyond_speed --data DIR
    python -m benchmarks.bench_beyond_speed --data DIR --rows 10000 --budgets 100 --only TypiClust MaxHerding

Each is measured in a process of its own, once and without a warm-up, from the rows as they lie on disk; one that takes
too long or too much memory is ended and reported as such. Times are of the processor, all threads together, which
others on the machine hardly change; with one thread (`OMP_NUM_THREADS=1`) they are those of a machine of its own.
scikit-activeml is used where it is installed: the extra `benchmarks`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import queue
from pathlib import Path

import numpy as np

from benchmarks.measuring import peak_memory
from benchmarks.pools import add_data_argument, describe_machine, load_pool
from skal.classifiers import RidgeProbe
from skal.samplers import (
    BADGESampler,
    BAITSampler,
    ConsensusCoverageSampler,
    DropQuerySampler,
    GraphCoverageSampler,
    KMeansSampler,
    MaxHerdingSampler,
    RandomSampler,
    TypiClustSampler,
    UHerdingSampler,
)

N_LABELED = 100

OURS = {
    "K-means": KMeansSampler(random_state=0),
    "Graph coverage": GraphCoverageSampler(random_state=0),
    "Consensus coverage": ConsensusCoverageSampler(random_state=0),
    "MaxHerding": MaxHerdingSampler(sigma=1.0, random_state=0),
    "MaxHerding, all references": MaxHerdingSampler(sigma=1.0, max_references=None, random_state=0),
    "ProbCover": MaxHerdingSampler(kernel="tophat", n_clusters=10, random_state=0),
    "TypiClust": TypiClustSampler(random_state=0),
    "UHerding": UHerdingSampler(random_state=0),
    "DropQuery": DropQuerySampler(random_state=0),
    "BADGE": BADGESampler(random_state=0),
    "BAIT": BAITSampler(random_state=0),
}


def fit_ours(name, X, y, labeled, budget):
    OURS[name].set_params(budget=budget).fit(X, y, labeled_indices=labeled)


def fit_peer(name, X, y, labeled, budget):
    """Let scikit-activeml pick, with our classifier where it learns from labels."""
    from skactiveml import pool
    from skactiveml.classifier import SklearnClassifier

    rows = X.astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    known = np.full(len(y), np.nan)
    known[labeled] = y[labeled]
    classes = np.unique(y).astype(float)
    if name in ("TypiClust", "ProbCover", "MaxHerding", "MaxHerding, all references"):
        strategies = {"TypiClust": pool.TypiClust, "ProbCover": pool.ProbCover}
        options = {"n_classes": len(classes)} if name == "ProbCover" else {}
        strategy = strategies.get(name, pool.MaxHerding)(random_state=0, **options)
        strategy.query(rows, known, batch_size=budget)
        return
    strategy = {"DropQuery": pool.DropQuery, "BADGE": pool.Badge}[name](random_state=0)
    classifier = SklearnClassifier(RidgeProbe(), classes=classes, random_state=0)
    strategy.query(rows, known, clf=classifier, batch_size=budget)


PEERS = ("TypiClust", "ProbCover", "MaxHerding, all references", "DropQuery", "BADGE")


def measure_in_this_process(results, fit, name, data, n_rows, budget):
    pool = load_pool(data)
    X, y = pool.X[:n_rows], pool.y[:n_rows]
    labeled = RandomSampler(N_LABELED, random_state=1).fit_select(X)
    measured: dict = {}
    try:
        with peak_memory(measured):
            fit(name, X, y, labeled, budget)
    except (ImportError, MemoryError, RuntimeError, ValueError) as error:
        measured = {"failed": f"{type(error).__name__}: {error}".splitlines()[0][:60]}
    results.put(measured)


def measure(fit, name, arguments, budget) -> dict:
    """Run one fit in a process of its own: its "seconds" and "mib", or how it "failed"."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    given = (results, fit, name, arguments.data, arguments.rows, budget)
    process = context.Process(target=measure_in_this_process, args=given)
    process.start()
    waited = 0.0
    while process.is_alive() and waited < arguments.limit:
        process.join(1.0)
        waited += 1.0
    if process.is_alive():
        process.kill()
        process.join()
        return {"failed": f"more than {arguments.limit:.0f} s"}
    try:
        return results.get(timeout=5)
    except queue.Empty:
        return {"failed": "killed: out of memory"}


def cells(measured: dict) -> str:
    if "failed" in measured:
        return f"{measured['failed']} | –"
    return f"{measured['cpu_seconds']:.2f} | {measured['mib']:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_argument(parser)
    parser.add_argument("--rows", type=int, default=50_000, help="the first rows of the pool")
    parser.add_argument("--budgets", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--only", nargs="+", choices=sorted(OURS), default=list(OURS))
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds on the clock until a fit is given up")
    arguments = parser.parse_args()
    if arguments.data is not None:
        arguments.data = Path(arguments.data).resolve()

    shape = load_pool(arguments.data).X[: arguments.rows].shape
    print(f"{shape[0]} × {shape[1]}, {N_LABELED} rows labelled; {describe_machine()}\n")
    print("| sampler | budget | processor, s | MiB | scikit-activeml, processor, s | MiB | ratio |")
    print("|---|---|---|---|---|---|---|")
    for budget in arguments.budgets:
        for name in arguments.only:
            ours = measure(fit_ours, name, arguments, budget)
            theirs, ratio = "– | –", "–"
            if name in PEERS and not arguments.no_peers:
                peer = measure(fit_peer, name, arguments, budget)
                theirs = cells(peer)
                if "seconds" in peer and "seconds" in ours:
                    ratio = f"{peer['cpu_seconds'] / ours['cpu_seconds']:.1f}"
            print(f"| {name} | {budget} | {cells(ours)} | {theirs} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
