"""What the picks are measured by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import skal
from benchmarks.tables.descriptions import Backbone, Dataset
from benchmarks.tables.groups import Settings
from skal.classifiers import CosineKNNClassifier, LinearProbe, MultiViewClassifier
from skal.vision import FineTuneClassifier, FixMatchClassifier

__all__ = [
    "FINE_TUNING_EPOCHS",
    "FIX_MATCH_ARCHITECTURE",
    "FIX_MATCH_BATCH",
    "FIX_MATCH_SIZE",
    "FIX_MATCH_STEPS",
    "METRICS",
    "ON_IMAGES",
    "Split",
    "checkpoints",
    "make_classifiers",
]

ON_IMAGES = ("fine-tuned", "FixMatch")  # the others are measured on embeddings; "picks" by themselves

# What a panel calls its metric, and what scikit-learn does.
METRICS = {"top-1": "accuracy", "per-class": "balanced_accuracy"}

# FixMatch's own. The paper does not say what it took for images larger than CIFAR's.
FIX_MATCH_ARCHITECTURE, FIX_MATCH_SIZE, FIX_MATCH_BATCH, FIX_MATCH_STEPS = "wide_resnet28_2", 32, 64, 2**20
FINE_TUNING_EPOCHS = 100


@dataclass(frozen=True)
class Split:
    """Embeddings of one split with their labels, and a name that no other embeddings have."""

    name: str
    pool: skal.Pool  # knows its fingerprint once it has been read for it, as it may be large
    y: np.ndarray
    both_views: Any = None  # (n, 2·d): the mirrored images behind; None where a table needs none


def make_classifier(evaluation: str, dataset: Dataset, backbone: Backbone | None, settings: Settings) -> Any:
    """Return one of the paper's classifiers; "picks" has none."""
    match evaluation:
        case "LIN":
            return MultiViewClassifier(LinearProbe(batch_size=dataset.batch_size, device=settings.device))
        case "NN":
            return CosineKNNClassifier(device=settings.device)
        case "fine-tuned":
            assert backbone is not None  # noqa: S101
            return FineTuneClassifier(
                backbone.architecture,
                None if backbone.checkpoint is None else str(settings.weights),
                freeze_batch_norm=False,
                n_epochs=settings.n_epochs or FINE_TUNING_EPOCHS,
                **_of_images(dataset, settings),
            )
        case "FixMatch":
            return FixMatchClassifier(
                FIX_MATCH_ARCHITECTURE,
                n_steps=settings.n_steps or FIX_MATCH_STEPS,
                batch_size=settings.batch_size or FIX_MATCH_BATCH,
                image_size=FIX_MATCH_SIZE,
                **_of_images(dataset, settings),
            )
        case _:
            return None


def make_classifiers(evaluations: Iterable[str], *of_all: Any) -> dict[str, Any]:
    """Return classifiers by the names of their evaluations, without those that have none."""
    made = {evaluation: make_classifier(evaluation, *of_all) for evaluation in evaluations}
    return {evaluation: classifier for evaluation, classifier in made.items() if classifier is not None}


def checkpoints(settings: Settings) -> Path:
    """Where the training under way is kept."""
    return settings.output / "checkpoints"


def _of_images(dataset: Dataset, settings: Settings) -> dict[str, Any]:
    return {
        "image_transform": dataset.name if dataset.name.startswith("cifar") else "imagenet",
        "num_workers": settings.n_workers,
        "checkpoint_folder": str(checkpoints(settings)),
        "device": settings.device,
        "verbose": 1,
    }
