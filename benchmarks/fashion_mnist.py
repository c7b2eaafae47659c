"""The paper's Tables 1 and 2 on Fashion-MNIST embeddings: eight strategies, accuracy by LIN and NN, coverage.

Iterative strategies start from random rows at the smallest budget, as in the paper; multi K-means from K-means.

    python -m benchmarks.fashion_mnist --data DIR
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.pools import add_data_argument, describe_machine, load_pool
from skal.classifiers import CosineKNNClassifier, LinearProbe
from skal.evaluation import BudgetCurve, budget_curve
from skal.samplers import (
    CoreSetSampler,
    IterativeSampler,
    KMeansSampler,
    MaxEntropySampler,
    MultiKMeansSampler,
    RandomSampler,
    UniformKMeansSampler,
    UniformSampler,
    VAALSampler,
)

K_MEANS, BEATEN = "K-means", ("Random", "Max-Entropy", "Core-set", "VAAL")


def make_samplers(n_classes: int) -> dict:
    random = RandomSampler()
    return {
        "Uniform": UniformSampler(),
        "Random": random,
        "Max-Entropy": IterativeSampler(MaxEntropySampler(), initial=random),
        "Core-set": IterativeSampler(CoreSetSampler(), initial=random),
        "VAAL": IterativeSampler(VAALSampler(), initial=random),
        "Multi K-means": MultiKMeansSampler(),
        "Uniform(K-means)": UniformKMeansSampler(n_clusters=n_classes),
        K_MEANS: KMeansSampler(),
    }


def print_order(curve: BudgetCurve, up_to: int) -> None:
    print(f"K-means minus each, percentage points of the means over the seeds, budgets up to {up_to}:\n")
    budgets = [budget for budget in curve.budgets if budget <= up_to]
    print("| evaluation | minus | " + " | ".join(map(str, budgets)) + " |")
    print("|---" * (2 + len(budgets)) + "|")
    for measure in curve.classifiers:
        for name in BEATEN:
            gaps = [
                100 * (curve.scores(K_MEANS, budget, measure).mean() - curve.scores(name, budget, measure).mean())
                for budget in budgets
            ]
            print(f"| {measure} | {name} | " + " | ".join(f"{gap:+.1f}" for gap in gaps) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_argument(parser)
    parser.add_argument("--budgets", type=int, nargs="+", default=[10, 20, 50, 70, 100, 200, 300])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()

    pool = load_pool(arguments.data)
    samplers = make_samplers(len(np.unique(pool.y)))
    classifiers = {
        "LIN": LinearProbe(batch_size=4),
        "LIN-l2": LinearProbe(batch_size=4, scaling="l2"),
        "NN": CosineKNNClassifier(),
    }
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    start = time.perf_counter()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("Runs", total=len(samplers) * len(arguments.budgets) * arguments.seeds)
        curve = budget_curve(
            samplers,
            classifiers,
            pool.X,
            pool.y,
            pool.X_test,
            pool.y_test,
            arguments.budgets,
            n_seeds=arguments.seeds,
            n_jobs=arguments.jobs,
            on_run=lambda run: progress.advance(task),
        )
    print(f"{pool.name}: {pool.X.shape[0]} × {pool.X.shape[1]} {pool.X.dtype}; {describe_machine()}")
    print(f"{time.perf_counter() - start:.0f} s in {arguments.jobs} processes\n")
    print(curve, end="\n\n")
    print_order(curve, up_to=100)


if __name__ == "__main__":
    main()
