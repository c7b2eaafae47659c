"""The neighbour graph and the graph head on a generated pool of ImageNet's size: time, peak memory, recall, accuracy.

The pool is that of `benchmarks.imagenet_scale`: 1,281,167 × 512 float16, a memmap, 1,000 classes of four modes each.
Neighbours are searched by cells; the recall is that of 256 rows that are compared with all others here, apart from what
the search measures itself. The head learns from three random labels a class and predicts the pool, and 10,000 new rows:
those of the pool plus as much noise as tells rows of a mode apart.

    python -m benchmarks.imagenet_graph --pool FILE.npy
    python -m benchmarks.imagenet_graph --pool FILE.npy --rows 100000
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import skal
from benchmarks.measuring import peak_memory, status_mib
from benchmarks.pools import describe_machine, imagenet_sized_pool
from skal.classifiers import GraphClassifier
from skal.pool import Pool

K, LABELS_A_CLASS, N_ASKED, N_NEW, NOISE = 10, 3, 256, 10_000, 1.2
_TILE_ROWS = 16_384


def unit(rows: np.ndarray) -> np.ndarray:
    rows = rows.astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def recall(X: np.ndarray, indices: np.ndarray, seed: int = 1) -> float:
    """Share of the `K` nearest other rows found, of rows drawn by another seed than the search's own."""
    asked = np.random.default_rng(seed).choice(len(X), size=min(N_ASKED, len(X)), replace=False)
    queries = unit(X[asked])
    similarity, nearest = np.empty((len(asked), 0), np.float32), np.empty((len(asked), 0), np.int64)
    for start in range(0, len(X), _TILE_ROWS):
        tile = queries @ unit(X[start : start + _TILE_ROWS]).T
        own = (asked >= start) & (asked < start + _TILE_ROWS)
        tile[own, asked[own] - start] = -np.inf
        similarity = np.hstack([similarity, tile])
        nearest = np.hstack([nearest, np.broadcast_to(np.arange(start, start + tile.shape[1]), tile.shape)])
        best = np.argpartition(-similarity, K - 1, axis=1)[:, :K]
        similarity, nearest = np.take_along_axis(similarity, best, axis=1), np.take_along_axis(nearest, best, axis=1)
    return float(np.mean([np.isin(true, found).mean() for true, found in zip(nearest, indices[asked], strict=True)]))


def print_row(what: str, measured: dict, result: str) -> None:
    figures = (measured["seconds"], measured["cpu_seconds"], measured["mib"], status_mib("VmHWM"))
    print(f"| {what} | " + " | ".join(f"{figure:.0f}" for figure in figures) + f" | {result} |", flush=True)


def run_head(pool: Pool, X: np.ndarray, y: np.ndarray) -> None:
    """Train on a few labels of each class, and predict the pool and new rows."""
    rng = np.random.default_rng(0)
    by_class = np.argsort(y + rng.random(len(y)), kind="stable")
    firsts = np.cumsum(np.bincount(y)) - np.bincount(y)
    picks = np.concatenate([by_class[firsts[np.bincount(y) > place] + place] for place in range(LABELS_A_CLASS)])
    model = GraphClassifier()
    measured: dict = {}
    with peak_memory(measured):
        model.fit(X[np.sort(picks)], y[np.sort(picks)], X_pool=pool)
    result = f"{100 * (model.transduction_ == y).mean():.1f} % of the pool right, {model.n_iter_} iterations"
    print_row(f"GraphClassifier.fit, {len(picks):,} labels", measured, result)
    chosen = rng.choice(len(X), size=min(N_NEW, len(X)), replace=False)
    new = X[chosen].astype(np.float32) + NOISE * rng.standard_normal((len(chosen), X.shape[1]), dtype=np.float32)
    with peak_memory(measured := {}):
        found = model.predict(new)
    print_row(f"predict, {len(new):,} new rows", measured, f"{100 * (found == y[chosen]).mean():.1f} % right")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=Path, required=True, help="a .npy file, generated where it is missing (1.3 GB)")
    parser.add_argument("--rows", type=int, default=1_281_167)
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--only-neighbors", action="store_true")
    arguments = parser.parse_args()
    X, y = imagenet_sized_pool(arguments.pool, arguments.features, arguments.rows, arguments.classes)
    print(f"{X.shape[0]:,} × {X.shape[1]} {X.dtype} memmap, {arguments.classes} classes; {describe_machine()}\n")
    print("| what | seconds | of a processor | peak MiB beside the pool | with the pool's pages | result |")
    print("|---|---|---|---|---|---|")
    pool, measured = skal.Pool(X), {}
    with peak_memory(measured):
        found = pool.neighbors(K, algorithm="cells")
    result = f"recall {recall(X, found.indices):.3f}, as measured by itself {found.recall:.3f}"
    print_row(f"Pool.neighbors({K})", measured, result)
    if not arguments.only_neighbors:
        run_head(pool, X, y)


if __name__ == "__main__":
    main()
