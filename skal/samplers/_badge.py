"""BADGE: rows whose gradients are large and unlike each other."""

from __future__ import annotations

import numpy as np
import torch

from skal._core.gradients import GradientSpace
from skal._core.seeding import draw_far_apart
from skal._validation import DEVICE, StrOptions
from skal.base import BaseSampler
from skal.samplers._kmeans import KMeansSampler
from skal.samplers._learning import LEARNS, LearnsFromLabelsMixin, for_each_tile

__all__ = ["BADGESampler"]


class BADGESampler(LearnsFromLabelsMixin, BaseSampler):
    """Draw rows by k-means++ on the gradients that their most probable label would give a linear layer.

    The gradient of a row h is (p − e) ⊗ h, with its class probabilities p and e the indicator of the most probable
    class: long where the classifier is unsure. Each row is drawn with probability proportional to the squared distance
    of its gradient to those of the rows labelled and drawn before. With fewer than two labelled classes there are no
    gradients, and `initial` picks.

    Parameters
    ----------
    budget : int or float, default=10
        Rows to pick. A float in (0, 1] is a share of the pool's rows, ``max(1, floor(share * n))``.
    classifier : classifier with `predict_proba`, default=None
        Any of scikit-learn's. Gets the pool as ``X_pool`` where its `fit` has that parameter. None means
        ``RidgeProbe()``.
    initial : sampler, default=None
        Picks while fewer than two classes are labelled. None means ``KMeansSampler()``.
    metric : {"cosine", "euclidean"}, default="cosine"
        h is the L2-normalised row under "cosine", the row less the mean of the pool under "euclidean".
    device : {"auto", "cpu", "cuda", "cuda:i"} or torch.device, default="auto"
        Where distances are computed. "auto" takes a CUDA device where there is one.
    random_state : int, RandomState instance or None, default=None
        Seeds the draws, the classifier and the initial sampler.

    Attributes
    ----------
    selected_indices_ : ndarray of shape (budget,), int64
        Distinct rows of the pool, in the order of the draws; after a cold start in that of the initial sampler.
    selected_index_ : pandas Index of shape (budget,)
        The same as entries of X's index. Only there where X is a DataFrame.
    classifier_ : classifier
        The fitted classifier. Not there after a cold start.
    initial_ : sampler
        The fitted initial sampler. Only there after a cold start.
    device_ : torch.device
        Where it was computed.
    n_features_in_ : int
        Features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X was a DataFrame whose columns are all strings.

    See Also
    --------
    UHerdingSampler : Covers what a classifier is unsure of.
    BAITSampler : Fisher information instead of distances between gradients.
    MarginSampler : The most uncertain rows, however alike they are.

    Notes
    -----
    Gradients are never formed: their distances follow from the inner products of both factors. (The published code
    takes n × n_classes × d numbers, starts from the longest gradient and does not look at labelled rows.) Time:
    ``2·n·(L + budget)·(d + n_classes)`` operations with L labelled rows, in few passes over the pool, and
    predictions of the pool. Peak memory beside X: n × n_classes float32, 5 GB for a million rows of a thousand classes,
    and a float32 copy of as much of the pool as fits scikit-learn's ``working_memory``.

    References
    ----------
    .. [1] Ash et al., "Deep batch active learning by diverse, uncertain gradient lower bounds", ICLR 2020, algorithm 1.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skal.samplers import BADGESampler
    >>> X, y = load_digits(return_X_y=True)
    >>> BADGESampler(budget=20, random_state=0).fit(X, y, labeled_indices=range(20)).selected_indices_.shape
    (20,)
    """

    _parameter_constraints: dict = {
        **BaseSampler._parameter_constraints,
        **LEARNS,
        "metric": [StrOptions({"cosine", "euclidean"})],
        "device": DEVICE,
    }

    _title = "BADGE"
    _order = "order of the draws"
    _takes = "a training, predictions of the pool, and n·(L + budget)·(d + n_classes)"
    _needs = "labels"

    def __init__(self, budget=10, *, classifier=None, initial=None, metric="cosine", device="auto", random_state=None):
        super().__init__(budget, random_state=random_state)
        self.classifier = classifier
        self.initial = initial
        self.metric = metric
        self.device = device

    def _select_rows(self, request):
        view = request.pool.view(self.metric, self.device)
        self.device_ = view.device
        if not self._learn(request):
            return self._select_cold(request)
        errors = for_each_tile(request.pool, lambda rows: _errors(self._probabilities(rows)))
        space = GradientSpace(torch.from_numpy(errors).to(view.device), view.blocks)
        unlike_labeled = space.lower(request.labeled_idx.tolist(), torch.full_like(space.sq_norms, torch.inf))
        labeled = torch.from_numpy(request.labeled_idx).to(view.device)
        unlike_labeled[labeled] = 0.0
        draws = draw_far_apart(space, request.budget, request.rng, unlike_labeled)
        return _candidates_only(draws, request)

    def _default_initial(self):
        return KMeansSampler(metric=self.metric, device=self.device)


def _errors(probabilities):
    """Probabilities (m, n_classes) less one for the most probable class, float32."""
    errors = probabilities.astype(np.float32)
    errors[np.arange(len(errors)), probabilities.argmax(axis=1)] -= 1.0
    return errors


def _candidates_only(draws, request):
    """Put candidates in the place of labelled rows, which are drawn once all distances are zero."""
    is_candidate = request.is_candidate
    picks = draws[is_candidate[draws]]
    rest = np.setdiff1d(request.candidate_idx, picks)
    more = request.rng.choice(rest, size=request.budget - len(picks), replace=False)
    return np.concatenate([picks, more])
