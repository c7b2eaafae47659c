"""What labels taught: after each round, and where the others contradict a label."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from skal.classifiers._fitting import fit_on_labeled_rows
from skal.evaluation import HoldoutEstimate, holdout_estimate
from skal.labeling._plan import mean_distance_to
from skal.pool import Pool

if TYPE_CHECKING:
    from skal.labeling._project import LabelingProject

__all__ = ["Lessons", "RoundGain", "Suspect", "Suspects"]

_N_FOLDS, _LEAST_LABELS = 10, 4
_SHOWN_ROUNDS = 8


@dataclass(frozen=True)
class RoundGain:
    """What is known after a round.

    Parameters
    ----------
    number : int
    n_labels : int
        To train on, of this round and those before.
    n_classes : int
        Of these labels.
    mean_distance : float
        Mean cosine distance of the images to the nearest that is labelled.
    estimate : HoldoutEstimate or None
        Of a classifier trained on these labels; None where no label is held out.
    n_better, n_worse : int
        Held-out images that are right now and were wrong after the round before, and the other way round.
    """

    number: int
    n_labels: int
    n_classes: int
    mean_distance: float
    estimate: HoldoutEstimate | None
    n_better: int = 0
    n_worse: int = 0


@dataclass(frozen=True)
class Suspect:
    """A label that the others contradict: `confidence` is the probability of what they say."""

    row: int
    label: str
    predicted: str
    confidence: float


@dataclass(frozen=True)
class Suspects:
    """Contradicted labels, the most suspect first; how many were compared; how many have no other of their class."""

    found: tuple[Suspect, ...]
    n_compared: int
    n_left_out: int


class Lessons:
    """Trains a classifier on parts of the labels.

    Parameters
    ----------
    project : LabelingProject
    classifier : classifier
        Cloned for each part.
    """

    def __init__(self, project: LabelingProject, classifier: Any) -> None:
        pool = project.pool
        labels = {row: label for row, label in project.training_labels().items() if row in pool.position_of}
        held_out = [row for row in project.held_out if row in project.labels and row in pool.position_of]
        self._rows = np.array(sorted(labels), dtype=np.int64)
        self._positions = pool.positions(self._rows.tolist())
        self._y = np.array([labels[row] for row in self._rows.tolist()], dtype=object)
        self._held_out = pool.positions(held_out)
        self._truth = np.full(len(pool.rows), None, dtype=object)
        self._truth[self._held_out] = [project.labels[row] for row in held_out]
        self._pool = Pool(pool.X)  # keeps the neighbours that several fits need
        self._groups = project.neighborhood().groups()
        self._rounds = project.ledger.rounds
        self._seed = project.settings.random_state
        self._classifier = classifier

    @property
    def n_labels(self) -> int:
        return len(self._rows)

    def gains(self) -> tuple[RoundGain, ...]:
        """Train on the labels of the first round, of the first two, and so on; those of no round come first."""
        number_of = {row: each.number for each in self._rounds for row in each.rows}
        of_label = np.array([number_of.get(row, 0) for row in self._rows.tolist()])
        numbers = sorted(set(of_label.tolist()))[-_SHOWN_ROUNDS:]
        gains, before = [], None
        for number in numbers:
            chosen = of_label <= number
            now = self._is_right(chosen) if len(self._held_out) else None
            n_better = n_worse = 0
            if now is not None and before is not None:
                n_better, n_worse = int((now[1] & ~before[1]).sum()), int((before[1] & ~now[1]).sum())
            positions = self._positions[chosen]
            gains.append(
                RoundGain(
                    number,
                    len(positions),
                    len(set(self._y[chosen])),
                    mean_distance_to(self._pool.source, positions),
                    None if now is None else now[0],
                    n_better,
                    n_worse,
                )
            )
            before = now
        return tuple(gains)

    def suspects(self) -> Suspects | None:
        """Let the labels of nine tenths say what the last tenth is, near duplicates together; None for too few labels.

        A label that is the only one of its class cannot be compared.
        """
        counts = Counter(self._y.tolist())
        if len(self._rows) < _LEAST_LABELS or len(counts) < 2:
            return None
        found: list[tuple[float, Suspect]] = []
        n_compared = 0
        for is_tested in self._folds():
            known = set(self._y[~is_tested].tolist())
            is_tested = is_tested & np.array([label in known for label in self._y.tolist()])
            if is_tested.any() and len(known) > 1:
                n_compared += int(is_tested.sum())
                found += self._contradicted(self._fit(~is_tested), is_tested)
        found.sort(key=lambda each: (-each[0], each[1].row))
        return Suspects(tuple(suspect for _, suspect in found), n_compared, len(self._rows) - n_compared)

    def _contradicted(self, fitted: Any, is_tested: npt.NDArray[np.bool_]) -> list[tuple[float, Suspect]]:
        """Labels that are not the most probable class, and by how much less probable each is."""
        classes = [str(each) for each in fitted.classes_]
        shares = np.asarray(fitted.predict_proba(self._pool[self._positions[is_tested]]), dtype=np.float64)
        winners = shares.argmax(axis=1).tolist()
        facts = zip(self._rows[is_tested].tolist(), self._y[is_tested].tolist(), winners, shares, strict=True)
        return [
            (
                float(share[winner] - share[classes.index(label)]),
                Suspect(row, label, classes[winner], float(share[winner])),
            )
            for row, label, winner, share in facts
            if classes[winner] != label
        ]

    def _folds(self) -> list[npt.NDArray[np.bool_]]:
        _, group = np.unique(self._groups[self._positions], return_inverse=True)
        n_groups = int(group.max()) + 1
        n_folds = min(_N_FOLDS, n_groups)
        fold_of_group = np.random.default_rng(self._seed).permutation(n_groups) % n_folds
        return [fold_of_group[group] == fold for fold in range(n_folds)]

    def _is_right(self, chosen: npt.NDArray[np.bool_]) -> tuple[HoldoutEstimate, npt.NDArray[np.bool_]]:
        fitted, known = self._fit(chosen), self._positions[chosen]
        estimate = holdout_estimate(
            fitted, self._pool, self._truth, self._held_out, labeled_indices=known, groups=self._groups
        )
        predicted = np.asarray(fitted.predict(self._pool[self._held_out]))
        return estimate, predicted == self._truth[self._held_out]

    def _fit(self, chosen: npt.NDArray[np.bool_]) -> Any:
        y = self._y[chosen].astype(str)
        return fit_on_labeled_rows(clone(self._classifier), self._pool, y, self._positions[chosen])
