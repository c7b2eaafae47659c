"""How often a model is right on labels that it never saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix

__all__ = ["Evaluation", "Mistake"]


@dataclass(frozen=True)
class Mistake:
    """An image that the model takes for something else.

    Parameters
    ----------
    row : int
    path : str
    label, predicted : str
    confidence : float
        Probability of what was predicted.
    """

    row: int
    path: str
    label: str
    predicted: str
    confidence: float


@dataclass(frozen=True)
class Evaluation:
    """Accuracy on the held-out labels.

    Parameters
    ----------
    n : int
        Held-out labels.
    n_correct : int
    low, high : float
        Wilson's interval of the accuracy, at 95 %.
    classes : tuple of str
        Of the labels and the model, sorted.
    confusion : ndarray of shape (n_classes, n_classes), int64
        Labels in the rows, predictions in the columns.
    mistakes : tuple of Mistake
        The most confident first.
    """

    n: int
    n_correct: int
    low: float
    high: float
    classes: tuple[str, ...]
    confusion: npt.NDArray[np.int64]
    mistakes: tuple[Mistake, ...]

    @property
    def accuracy(self) -> float:
        return self.n_correct / self.n

    @classmethod
    def of(
        cls,
        rows: npt.NDArray[np.int64],
        paths: list[str],
        labels: npt.NDArray[Any],
        classes: tuple[str, ...],
        probabilities: npt.NDArray[np.float64],
    ) -> Evaluation:
        """Compare labels with the most probable classes."""
        predicted = np.array(classes)[probabilities.argmax(axis=1)]
        confidence = probabilities.max(axis=1)
        n_correct = int((predicted == labels).sum())
        interval = binomtest(n_correct, len(labels)).proportion_ci(method="wilson")
        all_classes = tuple(sorted({*classes, *map(str, labels)}))
        facts = zip(rows.tolist(), paths, labels.tolist(), predicted.tolist(), confidence.tolist(), strict=True)
        mistakes = sorted((Mistake(*fact) for fact in facts if fact[2] != fact[3]), key=lambda each: -each.confidence)
        confusion = confusion_matrix(labels, predicted, labels=list(all_classes)).astype(np.int64)
        low, high = float(interval.low), float(interval.high)
        return cls(len(labels), n_correct, low, high, all_classes, confusion, tuple(mistakes))

    def __str__(self) -> str:
        return (
            f"{self.accuracy:.1%} of {self.n} held-out labels ({self.n_correct} right); with 95 % confidence between "
            f"{self.low:.1%} and {self.high:.1%}"
        )
