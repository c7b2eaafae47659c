"""BAIT: rows whose labels would tell the most about a classifier's errors on the pool."""

from __future__ import annotations

import numpy as np
import torch

from skal._core.fisher import least_trace
from skal._validation import DEVICE, Integral, Interval, Real, StrOptions
from skal.base import BaseSampler
from skal.samplers._candidates import sampled_candidates
from skal.samplers._kmeans import KMeansSampler
from skal.samplers._learning import LEARNS, LearnsFromLabelsMixin, for_each_tile

__all__ = ["BAITSampler"]

_LEAST_WEIGHT = 0.05


class BAITSampler(LearnsFromLabelsMixin, BaseSampler):
    """Pick the rows that lower a bound on a classifier's error the most, by Fisher information.

    The binary form: the information of a row h is p(1 − p) h hᵀ, p being its highest class probability. Rows are added
    greedily so that the trace of (λ + F_S)⁻¹ F falls the most, F being the mean information of the pool and F_S
    that of the rows labelled and picked, up to twice the budget; then those that are missed least are taken
    out again. With fewer than two labelled classes there is no information, and `initial` picks.

    Parameters
    ----------
    budget : int or float, default=10
        Rows to pick. A float in (0, 1] is a share of the pool's rows, ``max(1, floor(share * n))``.
    regularization : float, default=1.0
        λ in units of the information of an average row (its trace).
    classifier : classifier with `predict_proba`, default=None
        Any of scikit-learn's. Gets the pool as ``X_pool`` where its `fit` has that parameter. None means
        ``RidgeProbe()``.
    initial : sampler, default=None
        Picks while fewer than two classes are labelled. None means ``KMeansSampler()``.
    metric : {"cosine", "euclidean"}, default="cosine"
        h is the L2-normalised row under "cosine", the row less the mean of the pool under "euclidean".
    max_candidates : int, default=65536
        Rows that may be picked: all where there are no more, else a random sample of as many, of eight times the
        budget where that is more. None means all. The information that is wanted is that of the whole pool.
    device : {"auto", "cpu", "cuda", "cuda:i"} or torch.device, default="auto"
        Where to compute. "auto" takes a CUDA device where there is one.
    random_state : int, RandomState instance or None, default=None
        Seeds the classifier, the initial sampler and the sample of a large pool; nothing else is random.
    verbose : int, default=0
        1 prints what each pick gains.

    Attributes
    ----------
    selected_indices_ : ndarray of shape (budget,), int64
        Distinct rows of the pool, in the order in which they were added, those taken out again left out; after a cold
        start in the order of the initial sampler.
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
    BADGESampler : Draws rows whose gradients are long and unlike each other.
    UHerdingSampler : Covers what a classifier is unsure of.

    Notes
    -----
    As published it falls below random on some backbones: long rows, or the few that a certain classifier doubts,
    take all picks. So rows are of unit length, λ follows their scale, and a row that the classifier is sure of keeps a
    twentieth of the largest weight p(1 − p) can have.

    Time: ``4·n·d²`` operations at first, then ``4·c·d`` for each of 2·budget picks, in float64, c = min(n,
    `max_candidates`), and predictions of the pool. Each pick is a pass over the candidates. Peak memory beside X: some
    squares of d, 2·budget rows, a few vectors of length n, c rows where they are a sample, and a float32 copy of as
    much of the pool as fits scikit-learn's ``working_memory``.

    References
    ----------
    .. [1] Ash et al., "Gone fishing: neural active learning with Fisher embeddings", NeurIPS 2021, algorithm 1.
    .. [2] Huseljic, Hahn, Herde, Rauch and Sick, "Fast Fishing: approximating BAIT for efficient and scalable deep
       active image classification", ECML PKDD 2024, for the binary form.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skal.samplers import BAITSampler
    >>> X, y = load_digits(return_X_y=True)
    >>> BAITSampler(budget=20, random_state=0).fit(X, y, labeled_indices=range(20)).selected_indices_.shape
    (20,)
    """

    _parameter_constraints: dict = {
        **BaseSampler._parameter_constraints,
        **LEARNS,
        "regularization": [Interval(Real, 0, None, closed="neither")],
        "metric": [StrOptions({"cosine", "euclidean"})],
        "max_candidates": [Interval(Integral, 1, None, closed="left"), None],
        "device": DEVICE,
        "verbose": ["verbose"],
    }

    _title = "BAIT"
    _order = "as added"
    _takes = "a training, predictions of the pool, n·d², and c·d·2·budget, at most c = 65,536 candidates"
    _needs = "labels"

    def __init__(
        self,
        budget=10,
        *,
        regularization=1.0,
        classifier=None,
        initial=None,
        metric="cosine",
        max_candidates=65536,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        super().__init__(budget, random_state=random_state)
        self.regularization = regularization
        self.classifier = classifier
        self.initial = initial
        self.metric = metric
        self.max_candidates = max_candidates
        self.device = device
        self.verbose = verbose

    def _select_rows(self, request):
        view = request.pool.view(self.metric, self.device)
        self.device_ = view.device
        if not self._learn(request):
            return self._select_cold(request)
        weights = torch.from_numpy(for_each_tile(request.pool, self._information)).to(view.device)
        request.progress.begin(min(2 * request.budget, len(request.candidate_idx)), "pick")
        return least_trace(
            view.blocks,
            weights,
            request.labeled_idx,
            request.budget,
            self.regularization,
            on_pick=lambda n_picks, gain: request.progress.advance(n_picks, gain, "gain"),
            candidate_idx=sampled_candidates(request, self.max_candidates),
        )

    def _default_initial(self):
        return KMeansSampler(metric=self.metric, device=self.device)

    def _information(self, rows):
        highest = self._probabilities(rows).max(axis=1)
        return np.maximum(highest * (1 - highest), _LEAST_WEIGHT / 4)
