"""What the samplers share that train a classifier on what is labelled."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.base import clone

from skal._validation import HasMethods
from skal.classifiers import RidgeProbe
from skal.classifiers._fitting import fit_on_labeled_rows
from skal.classifiers._linear_prediction import LinearPredictionMixin
from skal.samplers._cold_start import ColdStartMixin

__all__ = ["LEARNS", "LearnsFromLabelsMixin", "for_each_tile", "probabilities", "winners"]

LEARNS = {"classifier": [HasMethods(["fit", "predict_proba"]), None], "initial": [HasMethods(["fit", "select"]), None]}


class LearnsFromLabelsMixin(ColdStartMixin):
    """Trains `classifier` on the labelled rows and keeps it as `classifier_`."""

    def _learn(self, request):
        """Train, and say whether there was anything to learn from: two classes at least."""
        self._forget("initial_", "classifier_")
        if request.labels is None or len(np.unique(request.labels)) < 2:
            return False
        self.classifier_ = self._default_classifier() if self.classifier is None else clone(self.classifier)
        self._set_seed(self.classifier_)
        X = request.pool if request.pool.is_in_chunks else _for_any_classifier(request.pool.X)
        fit_on_labeled_rows(self.classifier_, X, request.labels, request.labeled_idx)
        return True

    def _default_classifier(self):
        return RidgeProbe()

    def _probabilities(self, rows):
        """Class probabilities of rows (m, d), float64 of shape (m, n_classes)."""
        return probabilities(self.classifier_, rows)


def probabilities(classifier, rows):
    """Class probabilities of rows (m, d), float64 of shape (m, n_classes)."""
    return classifier.predict_proba(rows).astype(np.float64)


def winners(classifier, rows):
    """Position of the most probable class of rows (m, d), int64 of shape (m,)."""
    if isinstance(classifier, LinearPredictionMixin) and len(classifier.classes_) > 2:
        return classifier._winners(rows)
    return probabilities(classifier, rows).argmax(axis=1)


def for_each_tile(pool, function):
    """Gather what a function makes of the rows of a pool, as they were given, a tile at a time.

    Parameters
    ----------
    pool : Pool of shape (n, d)
    function : callable of an ndarray of shape (m, d), float32 or float64
        Gives an ndarray with an entry a row. Where the pool is in chunks it goes to other processes.

    Returns
    -------
    ndarray of shape (n, ...)
    """
    pool.check_finite()
    dtype = torch.float64 if str(pool.dtype).removeprefix("torch.") == "float64" else torch.float32
    blocks = pool.raw_blocks(torch.device("cpu"), dtype=dtype)
    (found,) = blocks.map_gather(_of_each_tile, function)
    return found.numpy()


def _of_each_tile(block, per_row, function):
    found = None
    for tile in block.tiles():
        part = torch.from_numpy(function(tile.rows.numpy()))
        if found is None:  # made once, as all parts and their union at a time would take twice the memory
            found = part.new_empty((block.n_rows, *part.shape[1:]))
        found[tile.slice] = part
    return (found,)


def _for_any_classifier(X):
    """Give a tensor as an ndarray, which every scikit-learn classifier takes."""
    if not isinstance(X, torch.Tensor):
        return X
    return X.cpu().numpy() if X.dtype != torch.bfloat16 else X.float().cpu().numpy()
