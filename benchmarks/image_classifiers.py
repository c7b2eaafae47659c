"""FixMatch beside the same network on the labelled images alone, on Fashion-MNIST, 40 labels picked by K-means.

Both train as long, by the same optimiser, schedule, weak augmentation and moving average; the pool's loss is all that
differs. K-means picks by embeddings: those of --data, or of an EfficientNet-Lite0 (see `benchmarks.fashion_mnist`). The
network is small, so that a CPU trains it in minutes. With --work, embeddings, finished cells and the training under way
are kept there, and the same command goes on where it was interrupted.

    python -m benchmarks.image_classifiers --work DIR
    python -m benchmarks.image_classifiers --work DIR --data ../shared/data
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.fashion_mnist import embed_images
from benchmarks.pools import describe_machine
from skal.datasets import load_fashion_mnist
from skal.evaluation import score, select
from skal.samplers import KMeansSampler
from skal.vision import FixMatchClassifier

ALONE, FIX_MATCH = "labels alone", "FixMatch"


def small_network(seed: int) -> nn.Module:
    """Four convolutions, 28 × 28 → 128 features; 2.6 million multiplications an image."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for n_in, n_out, stride in ((3, 32, 2), (32, 64, 2), (64, 128, 2), (128, 128, 1)):
        layers += [nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.LeakyReLU(0.1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def make_classifiers(seed: int, arguments: argparse.Namespace) -> dict:
    settings = {
        "backbone": small_network(seed),
        "n_steps": arguments.steps,
        "steps_an_epoch": 50,
        "batch_size": 16,
        "mu": arguments.mu,
        "ema_decay": 0.99,
        "image_transform": None,
        "checkpoint_folder": str(arguments.work / "checkpoints"),
        "device": arguments.device,
        "verbose": 1,
    }
    return {ALONE: FixMatchClassifier(**settings, lambda_u=0.0), FIX_MATCH: FixMatchClassifier(**settings)}


def load_embeddings(arguments: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Return embeddings, and which of the 60,000 training images they are of."""
    if arguments.data is None:
        X = embed_images(arguments.work, arguments.images).X
        return X, np.arange(len(X))
    (X_path,), (rows_path,) = (list(arguments.data.glob(f"*_{what}_train.npy")) for what in ("X", "rows"))
    return np.load(X_path)[: arguments.images], np.load(rows_path)[: arguments.images]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for what is finished")
    parser.add_argument("--data", type=Path, help="folder with *_X_train.npy and *_rows_train.npy")
    parser.add_argument("--images", type=int, default=10_000, help="of the pool")
    parser.add_argument("--test-images", type=int, default=5_000)
    parser.add_argument("--budget", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3_000)
    parser.add_argument("--mu", type=int, default=4, help="pool images for each labelled one, 16 of these a step")
    parser.add_argument("--device", default="auto")
    run(parser.parse_args())


def run(arguments: argparse.Namespace) -> None:
    arguments.work.mkdir(parents=True, exist_ok=True)
    X, rows = load_embeddings(arguments)
    pool, test = load_fashion_mnist(split="train"), load_fashion_mnist(split="test")
    images, y = pool.images[rows], pool.y[rows]
    test_images, y_test = test.images[: arguments.test_images], test.y[: arguments.test_images]

    found: dict[str, list[float]] = {ALONE: [], FIX_MATCH: []}
    for seed in range(arguments.seeds):
        sampler = {"K-means": KMeansSampler(random_state=seed)}
        selections = select(sampler, X, y, budgets=[arguments.budget], n_seeds=seed + 1)
        of_seed = type(selections)({key: picks for key, picks in selections.items() if key.seed == seed})
        start = time.perf_counter()
        curve = score(
            of_seed, make_classifiers(seed, arguments), images, y, test_images, y_test, scoring="accuracy",
            resume_from=arguments.work / "cells.jsonl",
        )  # fmt: skip
        for name, scores in found.items():
            scores.append(float(curve.scores("K-means", arguments.budget, name)[0]))
        figures = ", ".join(f"{name} {100 * scores[-1]:.1f} %" for name, scores in found.items())
        print(f"seed {seed}: {figures}; {time.perf_counter() - start:.0f} s", flush=True)

    print(f"\n{len(images):,} images, {arguments.budget} labels, {arguments.steps} steps; {describe_machine()}\n")
    print("| trained on | " + " | ".join(f"seed {seed}" for seed in range(arguments.seeds)) + " | mean ± std |")
    print("|---" * (arguments.seeds + 2) + "|")
    for name, scores in found.items():
        percent = 100 * np.array(scores)
        spread = percent.std(ddof=1) if len(percent) > 1 else 0.0
        cells = " | ".join(f"{each:.1f}" for each in percent)
        print(f"| {name} | {cells} | {percent.mean():.1f} ± {spread:.1f} |")


if __name__ == "__main__":
    main()
