"""The step from labels to a model, and to what it says of images that have none yet."""

from __future__ import annotations

from typing import Any

import numpy as np

import skal.classifiers
from skal.classifiers._fitting import fit_on_labeled_rows
from skal.labeling._embedding_step import MODEL
from skal.labeling._errors import NothingToDoError
from skal.labeling._model import TrainedModel
from skal.labeling._selection_step import SelectionStep
from skal.labeling._suggestions import Suggestions
from skal.low_budget import default_classifier
from skal.pool import Pool

__all__ = ["TrainingStep"]


class TrainingStep(SelectionStep):
    """The part of `LabelingProject` that trains."""

    def train(self, classifier: Any = None) -> TrainedModel:
        """Train a classifier on the labels, those to test with left out, and keep it in ``model.npz``.

        Parameters
        ----------
        classifier : classifier or str, default=None
            One of `skal.classifiers`, or its name. None means that of the settings, and without one that of
            `skal.LowBudgetClassifier`.

        Returns
        -------
        TrainedModel

        Raises
        ------
        NothingToDoError
            If there is no label to train on.
        """
        self._refuse_read_only()
        pool, embedding = self.pool, self._manifest.embedding
        fitted, positions, y = self._fitted(classifier, pool.X)
        rows = pool.rows[positions]
        made_by, identity = (embedding.made_by, embedding.identity) if embedding is not None else ({}, {})
        model = TrainedModel(fitted, made_by, identity, rows, np.asarray(pool.X[positions]), y, len(pool.X))
        model.save(self.folder / MODEL)
        return model

    def training_labels(self) -> dict[int, str]:
        """The labels to train on, by row: none that is held out, and none of a near duplicate of one."""
        held_out = set(self.held_out)
        near = self._near(held_out) if held_out and self._manifest.embedding is not None else held_out
        return {row: label for row, label in self.labels.items() if row not in near}

    @property
    def may_suggest(self) -> bool:
        """Whether labels are there that suggestions may rest on: from the second round on, or when the first is done.

        The first round is labelled without: what a handful of labels suggests would be believed too easily.
        """
        return len(self.ledger.rounds) > 1 or bool(self.ledger.rounds and not len(self.ledger.pending))

    def suggest(self, n_classes: int = 3, *, pool: Pool | None = None) -> Suggestions:
        """Train on the labels so far and say which classes are likely for images without label; nothing is kept.

        Parameters
        ----------
        n_classes : int, default=3
            Classes an image.
        pool : Pool, default=None
            The embeddings, `project.pool.X`, opened before: whoever asks often does not look for neighbours again.

        Returns
        -------
        Suggestions
            None of them of an image to test with: those labels must not follow the model.

        Raises
        ------
        NothingToDoError
            In the first round, and where fewer than two classes are labelled.
        """
        if not self.may_suggest:
            raise NothingToDoError("Suggestions come from the second round on.")
        embedded = self.pool
        rows = self._open_rows(embedded.rows.tolist())
        fitted, positions, y = self._fitted(None, embedded.X if pool is None else pool)
        if len(set(y)) < 2:
            raise NothingToDoError("Suggestions need labels of two classes.")
        X = embedded.part(embedded.positions(rows))
        probabilities = fitted.predict_proba(X) if len(rows) else np.empty((0, len(fitted.classes_)))
        return Suggestions.of(rows, tuple(map(str, fitted.classes_)), probabilities, len(positions), n_classes)

    def _open_rows(self, rows: list[int]) -> list[int]:
        """Those of some images that are neither answered nor to test with, and still as they were."""
        done = {*self.held_out, *self.labels, *self.skipped}
        return [row for row in rows if row >= 0 and row not in done and self._manifest.is_current(row)]

    def _fitted(self, classifier: Any, X: Any) -> tuple[Any, np.ndarray, np.ndarray]:
        """A classifier fitted on the labels, where their embeddings stand in X, and the labels."""
        pool, labels = self.pool, self.training_labels()
        positions = pool.positions(labels)
        if not len(positions):
            raise NothingToDoError(
                "There is no label to train on: select() images and label() them (skal select -n 60), or import labels."
            )
        y = np.array([labels[row] for row in pool.rows[positions].tolist()])
        return fit_on_labeled_rows(self._classifier(classifier), X, y, positions), positions, y

    def _classifier(self, classifier: Any) -> Any:
        classifier = self.settings.classifier if classifier is None else classifier
        if classifier is None:
            classifier = default_classifier()
        if not isinstance(classifier, str):
            return classifier
        if classifier not in skal.classifiers.__all__:
            raise ValueError(f"There is no classifier {classifier!r}; there are {', '.join(skal.classifiers.__all__)}.")
        return getattr(skal.classifiers, classifier)()
