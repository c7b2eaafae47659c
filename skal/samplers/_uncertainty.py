"""Uncertainty: train on what is labelled, pick what the classifier is least sure of."""

from __future__ import annotations

from functools import partial
from inspect import cleandoc

import numpy as np

from skal._core.uncertainty import entropy, lack_of_confidence, lack_of_margin
from skal.base import BaseSampler
from skal.classifiers import LinearProbe
from skal.samplers._cold_start import highest, scores_of
from skal.samplers._learning import LEARNS, LearnsFromLabelsMixin, for_each_tile, probabilities

__all__ = ["LeastConfidenceSampler", "MarginSampler", "MaxEntropySampler"]

_DOCSTRING = """{summary}.

A classifier is trained on the labelled rows. With fewer than two labelled classes there is nothing to be
uncertain about, and `initial` picks the batch.

Parameters
----------
budget : int or float, default=10
    Rows to pick. A float in (0, 1] is a share of the pool's rows, ``max(1, floor(share * n))``.
classifier : classifier with `predict_proba`, default=None
    Any of scikit-learn's. Gets the pool as ``X_pool`` where its `fit` has that parameter. None means
    ``LinearProbe(lr=0.001, scaling=None)``: the paper's settings, on the rows as they are.
initial : sampler, default=None
    Picks while fewer than two classes are labelled. None means ``KMeansSampler()``; the paper's tables set
    ``RandomSampler()``.
random_state : int, RandomState instance or None, default=None
    Seeds the classifier and the initial sampler. None leaves them the seeds they have.

Attributes
----------
selected_indices_ : ndarray of shape (budget,), int64
    Distinct rows of the pool, the most uncertain first, ties to the lowest row; after a cold start in the
    order of the initial sampler.
scores_ : ndarray of shape (n,), float64
    {score}, of each candidate; NaN where a row is labelled. Not there after a cold start.
classifier_ : classifier
    The fitted classifier. Not there after a cold start.
initial_ : sampler
    The fitted initial sampler. Only there after a cold start.
selected_index_ : pandas Index of shape (budget,)
    The same as entries of X's index. Only there where X is a DataFrame.
n_features_in_ : int
    Features seen during `fit`.
feature_names_in_ : ndarray of shape (`n_features_in_`,)
    Names of the features, where X was a DataFrame whose columns are all strings.

See Also
--------
{others} : The same with another score.
UHerdingSampler : Uncertain rows that represent others, too.
skal.rounds.IterativeSampler : Rounds of it.

Notes
-----
The time of the classifier's training and of its `predict_proba` on n rows. Memory beside X: two vectors of
length n, and one tile of rows with its probabilities.

References
----------
{reference}

Examples
--------
>>> from sklearn.datasets import load_digits
>>> from skal.samplers import {name}
>>> X, y = load_digits(return_X_y=True)
>>> sampler = {name}(budget=5, random_state=0).fit(X, y, labeled_indices=range(50))
>>> probabilities = sampler.classifier_.predict_proba(X[sampler.selected_indices_])
>>> bool((probabilities.max(axis=1) < 0.5).all())
True
"""
_PAPER = """.. [1] Pourahmadi, Nooralinejad and Pirsiavash, "A Simple Baseline for Low-Budget Active
   Learning", section 4, "Max-Entropy" and "Implementation details"."""
_SURVEY = """.. [1] Settles, "Active learning literature survey", University of Wisconsin-Madison, 2009, section
   3.1."""


def _documented(summary, score, others, reference):
    """Write a class's docstring: the three differ in a few words only."""

    def write(cls):
        parts = {"summary": summary, "score": score, "others": others, "reference": reference}
        cls.__doc__ = cleandoc(_DOCSTRING.format(name=cls.__name__, **parts))
        return cls

    return write


class _UncertaintySampler(LearnsFromLabelsMixin, BaseSampler):
    _parameter_constraints: dict = {**BaseSampler._parameter_constraints, **LEARNS}

    _order = "most uncertain first"
    _takes = "a training, and predictions of the pool"
    _needs = "labels"
    _takes_chunks = True

    def __init__(self, budget=10, *, classifier=None, initial=None, random_state=None):
        super().__init__(budget, random_state=random_state)
        self.classifier = classifier
        self.initial = initial

    def _select_rows(self, request):
        self._forget("scores_")
        if not self._learn(request):
            return self._select_cold(request)
        self.scores_ = scores_of(self._scores(request.pool), request)
        return highest(self.scores_, request.candidate_idx, request.budget)

    def _default_classifier(self):
        return LinearProbe(lr=0.001, scaling=None)

    def _select_from(self, pool, budget):
        if hasattr(self, "initial_"):
            return self._select_from_cold(pool, budget)
        return highest(self._scores(pool), np.arange(pool.n_rows), budget)

    def _scores(self, pool):
        """Score every row, a tile at a time: n × n_classes probabilities never exist at once."""
        return for_each_tile(pool, partial(_uncertainty_of, self._uncertainty, self.classifier_))


def _uncertainty_of(score, classifier, rows):
    return score(probabilities(classifier, rows))


@_documented(
    "Pick the rows whose predicted class probabilities have the highest entropy",
    "Entropy of the class probabilities, in nats",
    "MarginSampler, LeastConfidenceSampler",
    _PAPER,
)
class MaxEntropySampler(_UncertaintySampler):
    _title = "Max-Entropy"
    _uncertainty = staticmethod(entropy)


@_documented(
    "Pick the rows whose two most probable classes are closest in probability",
    "Second highest minus highest class probability",
    "MaxEntropySampler, LeastConfidenceSampler",
    _SURVEY,
)
class MarginSampler(_UncertaintySampler):
    _title = "Margin"
    _uncertainty = staticmethod(lack_of_margin)


@_documented(
    "Pick the rows whose most probable class has the lowest probability",
    "One minus the highest class probability",
    "MaxEntropySampler, MarginSampler",
    _SURVEY,
)
class LeastConfidenceSampler(_UncertaintySampler):
    _title = "Least confidence"
    _uncertainty = staticmethod(lack_of_confidence)
