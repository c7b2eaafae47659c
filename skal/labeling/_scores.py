"""How often a model is right on labels that it never saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import confusion_matrix

from skal.evaluation import HoldoutEstimate

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

    See Also
    --------
    LabelingProject.evaluate : Finds them.
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
    estimate : HoldoutEstimate
        Of the accuracy, with Wilson's interval at 95 %; near duplicates count as one.
    classes : tuple of str
        Of the labels and the model, sorted.
    confusion : ndarray of shape (n_classes, n_classes), int64
        Labels in the rows, predictions in the columns.
    mistakes : tuple of Mistake
        The most confident first.

    See Also
    --------
    LabelingProject.evaluate : Makes one.
    skal.evaluation.holdout_estimate : The same for labels of your own.
    """

    estimate: HoldoutEstimate
    classes: tuple[str, ...]
    confusion: npt.NDArray[np.int64]
    mistakes: tuple[Mistake, ...]

    @property
    def n(self) -> int:
        """Held-out labels."""
        return self.estimate.n_labels

    @property
    def n_correct(self) -> int:
        return int(np.trace(self.confusion))

    @property
    def accuracy(self) -> float:
        return self.estimate.accuracy

    @property
    def low(self) -> float:
        """The lower end of the interval."""
        return self.estimate.low

    @property
    def high(self) -> float:
        """The upper end of the interval."""
        return self.estimate.high

    @classmethod
    def of(
        cls,
        estimate: HoldoutEstimate,
        rows: npt.NDArray[np.int64],
        paths: list[str],
        labels: npt.NDArray[Any],
        classes: tuple[str, ...],
        probabilities: npt.NDArray[np.float64],
    ) -> Evaluation:
        """Say where labels and the most probable classes differ."""
        predicted = np.array(classes)[probabilities.argmax(axis=1)]
        confidence = probabilities.max(axis=1)
        all_classes = tuple(sorted({*classes, *map(str, labels)}))
        facts = zip(rows.tolist(), paths, labels.tolist(), predicted.tolist(), confidence.tolist(), strict=True)
        mistakes = sorted((Mistake(*fact) for fact in facts if fact[2] != fact[3]), key=lambda each: -each.confidence)
        confusion = confusion_matrix(labels, predicted, labels=list(all_classes)).astype(np.int64)
        return cls(estimate, all_classes, confusion, tuple(mistakes))

    def __str__(self) -> str:
        return (
            f"{self.accuracy:.1%} of {self.n} held-out labels ({self.n_correct} right); with 95 % confidence between "
            f"{self.low:.1%} and {self.high:.1%}"
        )
