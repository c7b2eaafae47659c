"""What a selection would take and cover, before it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from skal.classifiers import CosineKNNClassifier
from skal.evaluation import coverage_curve

__all__ = ["Plan", "knee_of", "mean_distance_to"]

_LARGEST_POOL, _TIMES_N = 20_000, 4


@dataclass(frozen=True)
class Plan:
    """A selection that was tried and not recorded.

    Parameters
    ----------
    n, n_held_out : int
        Images that would be asked.
    n_left : int
        Images that could be picked, near duplicates counted once.
    seconds : float
        That the selection took here.
    n_bytes : int
        Of the embeddings that it read.
    mean_distance : float
        Mean cosine distance of all images to the nearest that would be labelled then, those to test with left out.
    mean_distance_at_random : float
        The same if as many images were drawn at random.
    mean_distance_now : float or None
        The same with the labels there are; None where there is none.
    knee : int or None
        The number of further labels after which one more covers little, by `skal.evaluation.coverage_curve` up to
        four times `n`. None where n is 0, and for pools of more than 20,000 embeddings, where it would take long.

    See Also
    --------
    LabelingProject.plan : Makes one.
    """

    n: int
    n_held_out: int
    n_left: int
    seconds: float
    n_bytes: int
    mean_distance: float
    mean_distance_at_random: float
    mean_distance_now: float | None
    knee: int | None = None

    def __str__(self) -> str:
        now = "" if self.mean_distance_now is None else f", {self.mean_distance_now:.4f} now"
        knee = "" if self.knee is None else f" From {self.knee} labels on, more cover little more."
        return (
            f"{self.n} picks and {self.n_held_out} to test with, of {self.n_left} images left; selecting takes "
            f"{self.seconds:.1f} s and reads {self.n_bytes / 2**20:.0f} MiB. The mean cosine distance of an image to "
            f"the nearest labelled one is {self.mean_distance:.4f} then ({self.mean_distance_at_random:.4f} with "
            f"random picks{now}).{knee}"
        )


def mean_distance_to(X: npt.NDArray[Any], positions: npt.NDArray[np.int64]) -> float:
    """Mean cosine distance of each row of X to the nearest of those at `positions`."""
    nearest = CosineKNNClassifier().fit(np.asarray(X[positions]), np.zeros(len(positions), dtype=np.int64))
    distances, _ = nearest.kneighbors(X, n_neighbors=1)
    return float(distances.mean())


def knee_of(X: npt.NDArray[Any], known: npt.NDArray[np.int64], n: int) -> int | None:
    """From how many labels beside those at `known` on more cover little more; None where that is not looked for."""
    n_left = len(X) - len(known)
    if n < 1 or n_left < 2 or len(X) > _LARGEST_POOL:
        return None
    return coverage_curve(X, min(_TIMES_N * n, n_left), labeled_indices=known).knee
