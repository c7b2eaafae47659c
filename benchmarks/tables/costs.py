"""About how long a table takes: operations over what this machine does a second, right to a factor of a few."""

from __future__ import annotations

import os
import time
import warnings

import numpy as np
import torch

import skal
from benchmarks.tables.descriptions import Backbone, Dataset
from benchmarks.tables.evaluations import (
    FINE_TUNING_EPOCHS,
    FIX_MATCH_ARCHITECTURE,
    FIX_MATCH_BATCH,
    FIX_MATCH_SIZE,
    FIX_MATCH_STEPS,
)
from benchmarks.tables.groups import Settings
from benchmarks.tables.strategies import Step
from skal.features import TorchFeatureExtractor

__all__ = ["Speed", "embedding_seconds", "evaluation_seconds", "selection_seconds"]

DECODED_A_SECOND_AND_CORE = 100  # JPEG files of ImageNet's size
SECONDS_A_STEP = 2e-4  # of training, however small the batch
FORTH_AND_BACK = 3  # times the pass forth
VIEWS_OF_FIX_MATCH = 1 + 2 * 7  # for each labelled image
EPOCHS, PASSES_OF_KMEANS, CENTROIDS_COMPARED, STEPS_OF_VAAL = 100, 20, 200, 1000


class Speed:
    """What this machine does: matrix products, in operations a second, and images a second through a backbone."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.operations = measure_operations(device)
        self._images: dict[tuple[str, int], float] = {}

    def images(self, architecture: str, size: int) -> float:
        if (architecture, size) not in self._images:
            pixels = np.zeros((16, size, size, 3), dtype=np.uint8)
            extractor = TorchFeatureExtractor(architecture, device=self.device, random_state=0)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="weights=None")
                self._images[architecture, size] = len(pixels) / _seconds(lambda: extractor.transform(pixels))
        return self._images[architecture, size]


def measure_operations(device: str) -> float:
    place = skal.Pool(np.eye(2), device=device).view().device  # where "auto" leads
    left, right = torch.ones(2048, 512, device=place), torch.ones(512, 512, device=place)

    def multiply():
        for _ in range(10):
            product = left @ right
        return product.sum().item()

    return 10 * 2 * 2048 * 512 * 512 / _seconds(multiply)


def _seconds(function) -> float:
    function()
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def embedding_seconds(dataset: Dataset, n_images: int, backbone: Backbone, speed: Speed) -> float:
    if dataset.name.startswith("cifar"):
        return n_images / speed.images(backbone.architecture, 32)
    return n_images / min(speed.images(backbone.architecture, 224), DECODED_A_SECOND_AND_CORE * (os.cpu_count() or 1))


def selection_seconds(step: Step, dataset: Dataset, n_features: int, speed: Speed) -> float:
    n, d, n_classes = dataset.n_pool, n_features, dataset.n_classes
    n_new = step.budget - (step.earlier[-1] if step.earlier else 0)
    method = step.start.method if step.start is not None and not step.earlier else step.method
    match method:
        case "K-means" | "Multi K-means" | "Uniform(K-means)":
            return 2 * n * min(n_new, CENTROIDS_COMPARED) * d * PASSES_OF_KMEANS / speed.operations
        case "Core-set":
            return 2 * n * n_new * d / speed.operations
        case "Max-Entropy":
            scoring = 2 * n * n_classes * d / speed.operations
            return scoring + _training(step.budget - n_new, d, n_classes, 128, 1, speed)
        case "VAAL":
            return STEPS_OF_VAAL * (6 * 256 * (2 * d * 256 + 4 * 256**2 + 3 * 512**2) / speed.operations + 1e-2)
        case _:
            return 2 * n * d / speed.operations


def evaluation_seconds(
    name: str,
    budget: int,
    n_selections: int,
    dataset: Dataset,
    backbone: Backbone | None,
    settings: Settings,
    speed: Speed,
) -> float:
    """Seconds for all selections of one budget at once."""
    d, n_test = 0 if backbone is None else backbone.n_features, dataset.n_test
    size = 32 if dataset.name.startswith("cifar") else 224
    match name:
        case "LIN":  # on both views
            predicting = n_selections * 2 * n_test * d * dataset.n_classes / speed.operations
            return predicting + _training(2 * budget, d, dataset.n_classes, dataset.batch_size, n_selections, speed)
        case "NN":
            return n_selections * 2 * n_test * budget * d / speed.operations
        case "fine-tuned" if backbone is not None:
            n_trained = (settings.n_epochs or FINE_TUNING_EPOCHS) * budget
            return n_selections * (FORTH_AND_BACK * n_trained + n_test) / speed.images(backbone.architecture, size)
        case "FixMatch":
            n_labeled = (settings.n_steps or FIX_MATCH_STEPS) * (settings.batch_size or FIX_MATCH_BATCH)
            n_trained = n_labeled * VIEWS_OF_FIX_MATCH
            seconds_an_image = 1 / speed.images(FIX_MATCH_ARCHITECTURE, FIX_MATCH_SIZE)
            return n_selections * (FORTH_AND_BACK * n_trained + n_test) * seconds_an_image
        case _:
            return 0.0


def _training(n_rows: int, d: int, n_classes: int, batch_size: int, n_runs: int, speed: Speed) -> float:
    n_steps = EPOCHS * -(-n_rows // batch_size)
    of_a_step = n_runs * (4 * batch_size + 20) * d * n_classes  # the products, and Adam over the layer
    return n_steps * (SECONDS_A_STEP + of_a_step / speed.operations)
