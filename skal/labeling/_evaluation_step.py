"""The step from a model and held-out labels to an honest number."""

from __future__ import annotations

import numpy as np

from skal.evaluation import holdout_estimate
from skal.labeling._embedding import refuse_another
from skal.labeling._errors import NothingToDoError
from skal.labeling._exchange_step import ExchangeStep
from skal.labeling._model import TrainedModel
from skal.labeling._scores import Evaluation

__all__ = ["EvaluationStep"]


class EvaluationStep(ExchangeStep):
    """The part of `LabelingProject` that says how good the model is."""

    def evaluate(self) -> Evaluation:
        """Compare the model with the held-out labels.

        Returns
        -------
        Evaluation
            Accuracy with Wilson's interval, confusion, mistakes.

        Raises
        ------
        NothingToDoError
            If no held-out image is labelled.
        ValueError
            If the model knows one of them, or a near duplicate.
        """
        return self._evaluated(self._load_model())

    def _evaluated(self, model: TrainedModel) -> Evaluation:
        pool, labels = self.pool, self.labels
        held_out = [row for row in self.held_out if row in labels and row in pool.position_of]
        if not held_out:
            raise NothingToDoError(
                "No held-out image is labelled yet: select(n, holdout=40) draws some (skal select -n 0 --holdout 40)."
            )
        if self._near(set(held_out)) & set(model.trained_on.tolist()):
            raise ValueError("The model was trained on held-out images or near duplicates of them; train() again.")
        embedding = self._manifest.embedding
        refuse_another(model.identity, {} if embedding is None else embedding.identity)
        positions, y = pool.positions(held_out), np.full(len(pool.rows), None, dtype=object)
        y[positions] = [labels[row] for row in held_out]
        known, groups = pool.positions(model.trained_on.tolist()), self.neighborhood().groups()
        estimate = holdout_estimate(model.classifier, pool.X, y, positions, labeled_indices=known, groups=groups)
        probabilities = model.probabilities(np.asarray(pool.X[positions]))
        paths = [self.images[row].path for row in held_out]
        return Evaluation.of(estimate, np.array(held_out), paths, y[positions], model.classes, probabilities)
