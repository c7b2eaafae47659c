"""What a selection buys: 1-NN accuracy and coverage of Random, K-means and the reference's K-means.

The reference is the paper's published protocol: faiss.Kmeans(niter=20, nredo=5, max_points_per_centroid=2n/k)
on unit rows, then the member nearest to each centroid, empty clusters dropped.

    python -m benchmarks.bench_selection --data DIR
"""

from __future__ import annotations

import argparse

import faiss
import numpy as np
from rich.console import Console
from rich.progress import track
from sklearn.preprocessing import normalize

from benchmarks.pools import add_data_argument, describe_machine, load_pool
from skal.classifiers import CosineKNNClassifier
from skal.evaluation import category_coverage
from skal.samplers import KMeansSampler, RandomSampler


def reference_picks(unit_rows: np.ndarray, k: int, seed: int) -> np.ndarray:
    n, d = unit_rows.shape
    clustering = faiss.Kmeans(d, k, niter=20, nredo=5, max_points_per_centroid=max(1, 2 * n // k), seed=seed)
    clustering.train(unit_rows)
    sq_dist, label = (column[:, 0] for column in clustering.index.search(unit_rows, 1))
    order = np.lexsort((sq_dist, label))
    _, first = np.unique(label[order], return_index=True)
    return order[first]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_argument(parser)
    parser.add_argument("--budgets", type=int, nargs="+", default=[10, 20, 50, 100])
    parser.add_argument("--seeds", type=int, default=15)
    arguments = parser.parse_args()

    pool = load_pool(arguments.data)
    unit_rows = normalize(pool.X.astype(np.float32))
    strategies = {
        "Random": lambda budget, seed: RandomSampler(budget, random_state=seed).fit_select(pool.X),
        "K-means": lambda budget, seed: KMeansSampler(budget, random_state=seed).fit_select(pool.X),
        "reference": lambda budget, seed: reference_picks(unit_rows, budget, seed),
    }
    jobs = [(b, s, name) for b in arguments.budgets for s in range(arguments.seeds) for name in strategies]
    results: dict[tuple[int, str], list[tuple[float, float]]] = {}
    for budget, seed, name in track(jobs, console=Console(stderr=True)):
        picks = strategies[name](budget, seed)
        nearest = CosineKNNClassifier().fit(pool.X[picks], pool.y[picks])
        row = (100 * nearest.score(pool.X_test, pool.y_test), 100 * category_coverage(pool.y, picks))
        results.setdefault((budget, name), []).append(row)

    print(f"{pool.name}: {pool.X.shape[0]} × {pool.X.shape[1]} {pool.X.dtype}; {describe_machine()}")
    print("| budget | strategy | 1-NN accuracy, % | above Random | coverage, % |")
    print("|---|---|---|---|---|")
    for (budget, name), rows in results.items():
        accuracy, coverage = np.mean(rows, axis=0)
        std = np.std(rows, axis=0, ddof=1)
        gain = accuracy - np.mean(results[budget, "Random"], axis=0)[0]
        print(f"| {budget} | {name} | {accuracy:.1f} ± {std[0]:.1f} | {gain:+.1f} | {coverage:.1f} ± {std[1]:.1f} |")


if __name__ == "__main__":
    main()
