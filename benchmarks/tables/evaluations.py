"""What the picks are measured by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

import skal
from benchmarks.tables.descriptions import Dataset
from skal.classifiers import CosineKNNClassifier, LinearProbe

__all__ = ["EVALUATIONS", "METRICS", "Split", "make_classifiers"]

EVALUATIONS = ("LIN", "NN", "picks")  # those that can be run; the classifiers of the others are still to come

# What a panel calls its metric, and what scikit-learn does.
METRICS = {"top-1": "accuracy", "per-class": "balanced_accuracy"}


@dataclass(frozen=True)
class Split:
    """Embeddings of one split with their labels, and a name that no other embeddings have."""

    name: str
    pool: skal.Pool  # knows its fingerprint once it has been read for it, as it may be large
    y: np.ndarray


def make_classifiers(evaluations: Iterable[str], dataset: Dataset, device: str) -> dict:
    """Return the paper's classifiers by name; "picks" needs none."""
    known = {
        "LIN": LinearProbe(batch_size=dataset.batch_size, device=device),
        "NN": CosineKNNClassifier(device=device),
    }
    return {name: known[name] for name in evaluations if name in known}
