"""What a model says of each image."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from skal._files._atomic import write_atomically
from skal.labeling._model import TrainedModel

__all__ = ["COLUMNS", "Predictions"]

COLUMNS = ("path", "label", "confidence", "abstain", "problem")


@dataclass(frozen=True)
class Predictions:
    """One prediction an image; one that could not be read has none.

    Parameters
    ----------
    paths : tuple of str
        Relative to the folder that was predicted, with forward slashes.
    labels : tuple of str or None
    confidence : ndarray of shape (n,), float64
        Probability of the label; NaN where there is none.
    abstain : ndarray of shape (n,), bool
        Whether the confidence is below the limit that was asked for, or there is no prediction.
    problems : tuple of str or None
        Why there is none.

    See Also
    --------
    LabelingProject.predict : Makes them.
    """

    paths: tuple[str, ...]
    labels: tuple[str | None, ...]
    confidence: npt.NDArray[np.float64]
    abstain: npt.NDArray[np.bool_]
    problems: tuple[str | None, ...]

    @classmethod
    def of(
        cls,
        model: TrainedModel,
        X: npt.NDArray[Any],
        places: npt.NDArray[np.int64],
        paths: Sequence[str],
        problem_of: dict[int, str],
        abstain_below: float,
    ) -> Predictions:
        """Predict the rows of X, which are of the images at `places` of `paths`."""
        labels: list[str | None] = [None] * len(paths)
        confidence = np.full(len(paths), np.nan)
        if len(places):
            probabilities = model.probabilities(X)
            confidence[places] = probabilities.max(axis=1)
            for place, winner in zip(places.tolist(), probabilities.argmax(axis=1).tolist(), strict=True):
                labels[place] = model.classes[winner]
        problems = tuple(
            None if label is not None else problem_of.get(place, "no embedding") for place, label in enumerate(labels)
        )
        abstain = ~(confidence >= abstain_below)  # NaN abstains too
        return cls(tuple(paths), tuple(labels), confidence, abstain, problems)

    def __len__(self) -> int:
        return len(self.paths)

    def rows(self) -> list[dict[str, Any]]:
        """One dict an image, as `to_csv` writes it."""
        facts = zip(
            self.paths, self.labels, self.confidence.tolist(), self.abstain.tolist(), self.problems, strict=True
        )
        return [
            {
                "path": path,
                "label": label or "",
                "confidence": "" if label is None else f"{confidence:.4f}",
                "abstain": int(abstain),
                "problem": problem or "",
            }
            for path, label, confidence, abstain, problem in facts
        ]

    def to_csv(self, path: Path | str | None = None) -> str:
        """Return a table with a head, one image a line; with a path, write it there too."""
        text = StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows())
        if path is not None:
            write_atomically(path, text.getvalue().encode(errors="surrogateescape"))
        return text.getvalue()
