"""Times of every sampler, beside scikit-activeml where it has the strategy, and Core-set beside the plain loop.

    python -m benchmarks.bench_samplers --data DIR
    python -m benchmarks.bench_samplers --memmap-rows 1280000     # Core-set alone, on a generated float16 memmap

scikit-activeml is used where it is installed: the extra `benchmarks`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from sklearn.preprocessing import normalize

from benchmarks.measuring import peak_memory
from benchmarks.pools import add_data_argument, describe_machine, load_pool
from skal import registry
from skal.classifiers import LinearProbe
from skal.rounds import IterativeSampler
from skal.samplers import CoreSetSampler, MaxEntropySampler, RandomSampler

N_LABELED = 100


def make_samplers(budget: int, n_labeled: int) -> dict:
    """Every sampler of the registry by its title; those that run rounds get two."""
    totals = (n_labeled + budget // 2, n_labeled + budget)
    made = {}
    for entry in registry.samplers():
        if entry.cls is IterativeSampler:
            made["Max-Entropy (two rounds)"] = IterativeSampler(MaxEntropySampler(), totals, random_state=0)
        elif entry.runs_rounds:
            made[f"{entry.title} (two rounds)"] = entry.make(budgets=totals, random_state=0)
        else:
            made[entry.title] = entry.make(budget=budget, random_state=0)
    return made


def make_peers(budget: int, unit_rows: np.ndarray, X: np.ndarray, y: np.ndarray, labeled: np.ndarray) -> dict:
    """scikit-activeml's strategies as functions that give the picks, with our classifier; none if not installed."""
    try:
        from skactiveml.classifier import SklearnClassifier
        from skactiveml.pool import CoreSet, RandomSampling, UncertaintySampling
    except ImportError:
        return {}
    known = np.full(len(y), np.nan)
    known[labeled] = y[labeled]

    def uncertainty(method):
        probe = LinearProbe(lr=0.001, scaling=None, random_state=0)
        classifier = SklearnClassifier(probe, classes=np.unique(y).astype(float), random_state=0)
        strategy = UncertaintySampling(method=method, random_state=0)
        return lambda: strategy.query(X, known, clf=classifier, batch_size=budget)

    return {
        "Random": lambda: RandomSampling(random_state=0).query(X, known, batch_size=budget),
        "Core-set": lambda: CoreSet(random_state=0).query(unit_rows, known, batch_size=budget),
        "Max-Entropy": uncertainty("entropy"),
        "Margin": uncertainty("margin_sampling"),
        "Least confidence": uncertainty("least_confident"),
    }


def plain_loop_torch(rows: torch.Tensor, labeled: np.ndarray, budget: int) -> list[int]:
    """The sequential greedy: the whole pool is read once a pick. Unit rows."""
    sq_dist = torch.full((len(rows),), torch.inf)
    centers, picks = labeled.tolist(), []
    for step in range(len(centers) + budget):
        center = centers[step] if step < len(centers) else picks[-1]
        torch.minimum(sq_dist, 2.0 - 2.0 * (rows @ rows[center]), out=sq_dist)
        sq_dist[center] = -1.0
        if len(centers) - 1 <= step < len(centers) + budget - 1:
            picks.append(int(sq_dist.argmax()))
    return picks


def plain_loop_numpy(rows: np.ndarray, labeled: np.ndarray, budget: int) -> list[int]:
    sq_dist = np.full(len(rows), np.inf, dtype=np.float32)
    centers, picks = labeled.tolist(), []
    for step in range(len(centers) + budget):
        center = centers[step] if step < len(centers) else picks[-1]
        np.minimum(sq_dist, 2.0 - 2.0 * (rows @ rows[center]), out=sq_dist)
        sq_dist[center] = -1.0
        if len(centers) - 1 <= step < len(centers) + budget - 1:
            picks.append(int(sq_dist.argmax()))
    return picks


def median_seconds(function, repeats: int, *, warm_up: bool = True):
    """Median time of calls after one that is not counted, and what the last call gave."""
    if warm_up:
        function()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds)), result


def compare_core_set(X: np.ndarray, unit_rows: np.ndarray, labeled: np.ndarray, budget: int, repeats: int) -> None:
    """Interleaved, so that a noisy neighbour meets all of them."""
    ways = {
        "CoreSetSampler, from the raw float16 rows": lambda: CoreSetSampler(budget).fit_select(
            X, labeled_indices=labeled
        ),
        "plain loop in torch, unit float32 rows given": lambda: plain_loop_torch(
            torch.from_numpy(unit_rows), labeled, budget
        ),
        "plain loop in numpy, unit float32 rows given": lambda: plain_loop_numpy(unit_rows, labeled, budget),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    picks = {}
    for repeat in range(repeats + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            picks[name] = np.asarray(way())
            if repeat:
                seconds[name].append(time.perf_counter() - start)
    ours = next(iter(ways))
    print(f"\nCore-set, budget {budget}, from {len(labeled)} labelled rows; median of {repeats} after a warm-up:\n")
    print("| way | seconds | times CoreSetSampler's | picks that differ by position | by set |")
    print("|---|---|---|---|---|")
    for name in ways:
        median = np.median(seconds[name])
        n_moved = int((picks[name] != picks[ours]).sum())
        n_other = len(set(picks[name].tolist()) - set(picks[ours].tolist()))
        print(f"| {name} | {median:.3f} | {median / np.median(seconds[ours]):.1f} | {n_moved} | {n_other} |")


def core_set_on_memmap(n_rows: int, budget: int) -> None:
    """Core-set on a float16 memmap of n × 512, with the peak of the memory that is not mapped from the file."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pool.npy"
        written = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(n_rows, 512))
        modes = rng.normal(size=(500, 512)).astype(np.float32)
        for start in track(range(0, n_rows, 20_000), "Writing", console=Console(stderr=True)):
            part = written[start : start + 20_000]
            noise = rng.standard_normal(size=part.shape, dtype=np.float32)
            part[:] = modes[rng.integers(500, size=len(part))] + noise
        del written
        pool = np.load(path, mmap_mode="r")
        measured: dict = {}
        with peak_memory(measured):
            sampler = CoreSetSampler(budget).fit(pool)
    print(
        f"Core-set on a {n_rows} × 512 float16 memmap, budget {budget}: {measured['seconds']:.1f} s, "
        f"radius {sampler.radius_:.4f}, peak {measured['mib']:.0f} MiB above what was there; {describe_machine()}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_argument(parser)
    parser.add_argument("--budgets", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peer-repeats", type=int, default=1)
    parser.add_argument("--only-core-set", action="store_true", help="only Core-set beside the plain loop")
    parser.add_argument("--memmap-rows", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.memmap_rows:
        core_set_on_memmap(arguments.memmap_rows, max(arguments.budgets))
        return

    pool = load_pool(arguments.data)
    X = pool.X.astype(np.float32)
    unit_rows = normalize(X)
    labeled = RandomSampler(N_LABELED, random_state=1).fit_select(X)
    print(f"{pool.name}: {X.shape[0]} × {X.shape[1]}, {N_LABELED} rows labelled; {describe_machine()}")
    for budget in arguments.budgets:
        compare_core_set(pool.X, unit_rows, labeled, budget, arguments.repeats)
    if arguments.only_core_set:
        return

    print(f"\nMedian of {arguments.repeats} after a warm-up; scikit-activeml's of {arguments.peer_repeats} without:\n")
    print("| sampler | budget | seconds | scikit-activeml, seconds | ratio |")
    print("|---|---|---|---|---|")
    for budget in arguments.budgets:
        peers = make_peers(budget, unit_rows, X, pool.y, labeled)
        for name, sampler in make_samplers(budget, len(labeled)).items():

            def fit(sampler=sampler):
                return sampler.fit(pool.X, pool.y, labeled_indices=labeled)

            seconds, _ = median_seconds(fit, arguments.repeats)
            theirs, ratio = "–", "–"
            if name in peers:
                peer_seconds, _ = median_seconds(peers[name], arguments.peer_repeats, warm_up=False)
                theirs, ratio = f"{peer_seconds:.2f}", f"{peer_seconds / seconds:.1f}"
            print(f"| {name} | {budget} | {seconds:.3f} | {theirs} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
