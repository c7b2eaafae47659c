"""DropQuery: cluster what a classifier predicts otherwise once features are dropped."""

from __future__ import annotations

import numpy as np

from skal._core.device import resolve_device
from skal._validation import DEVICE, Integral, Interval, Real, StrOptions, rows_of
from skal.base import BaseSampler
from skal.samplers._kmeans import KMeansSampler
from skal.samplers._learning import LEARNS, LearnsFromLabelsMixin, for_each_tile, winners

__all__ = ["DropQuerySampler"]

_CANDIDATES_A_PICK = 25


class DropQuerySampler(LearnsFromLabelsMixin, BaseSampler):
    """Cluster the rows whose prediction changes when features are dropped, and pick the row nearest each centroid.

    Each row is predicted as it is, and `n_dropouts` times with a random share `dropout` of its features set to zero
    and the others divided by ``1 - dropout``. Rows whose prediction changes in more than half of them are
    candidates. If there are fewer than 25 candidates for each pick, every row whose prediction changes at all becomes
    one; if there are still too few, every row does. With fewer than two labelled classes nothing is predicted, and
    `initial` picks.

    Parameters
    ----------
    budget : int or float, default=10
        Rows to pick. A float in (0, 1] is a share of the pool's rows, ``max(1, floor(share * n))``.
    n_dropouts : int, default=3
        Predictions under dropout of each row.
    dropout : float, default=0.75
        Share of the features that are dropped.
    labeled_rows : {"cover", "skip"}, default="cover"
        What labelled rows mean to K-means; see `KMeansSampler`. "skip" is the paper's rule.
    classifier : classifier with `predict_proba`, default=None
        Any of scikit-learn's. Gets the pool as ``X_pool`` where its `fit` has that parameter. None means
        ``RidgeProbe()``.
    initial : sampler, default=None
        Picks while fewer than two classes are labelled. None means ``KMeansSampler()``, as in the paper.
    metric : {"cosine", "euclidean"}, default="cosine"
        How K-means sees the rows.
    device : {"auto", "cpu", "cuda", "cuda:i"} or torch.device, default="auto"
        Where K-means computes. "auto" takes a CUDA device where there is one.
    random_state : int, RandomState instance or None, default=None
        Seeds the dropouts, K-means, the classifier and the initial sampler.

    Attributes
    ----------
    selected_indices_ : ndarray of shape (budget,), int64
        Distinct rows of the pool, the row of the largest cluster first; after a cold start in the order of the initial
        sampler.
    selected_index_ : pandas Index of shape (budget,)
        The same as entries of X's index. Only there where X is a DataFrame.
    n_candidates_ : int
        Rows that were clustered. Not there after a cold start.
    classifier_ : classifier
        The fitted classifier. Not there after a cold start.
    initial_ : sampler
        The fitted initial sampler. Only there after a cold start.
    device_ : torch.device
        Where K-means computed.
    n_features_in_ : int
        Features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X was a DataFrame whose columns are all strings.

    See Also
    --------
    KMeansSampler : The same without labels.
    UHerdingSampler : Covers what a classifier is unsure of.
    MarginSampler : The most uncertain rows, without clusters.

    Notes
    -----
    Time: ``1 + n_dropouts`` predictions of the pool, a tile at a time, and a run of `KMeansSampler` on the candidates.
    Memory: a copy of the candidates' rows, which may be all of them, and what `KMeansSampler` takes.

    References
    ----------
    .. [1] Gupte et al., "Revisiting active learning in the era of vision foundation models", TMLR 2024, section 4.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skal.samplers import DropQuerySampler
    >>> X, y = load_digits(return_X_y=True)
    >>> sampler = DropQuerySampler(budget=20, random_state=0).fit(X, y, labeled_indices=range(20))
    >>> 500 <= sampler.n_candidates_ < len(X)
    True
    """

    _parameter_constraints: dict = {
        **BaseSampler._parameter_constraints,
        **LEARNS,
        "n_dropouts": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="neither")],
        "labeled_rows": [StrOptions({"cover", "skip"})],
        "metric": [StrOptions({"cosine", "euclidean"})],
        "device": DEVICE,
    }

    _title = "DropQuery"
    _order = "largest cluster of candidates first"
    _takes = "a training, 4 predictions of the pool, and K-means on some of it"
    _needs = "labels"

    def __init__(
        self,
        budget=10,
        *,
        n_dropouts=3,
        dropout=0.75,
        labeled_rows="cover",
        classifier=None,
        initial=None,
        metric="cosine",
        device="auto",
        random_state=None,
    ):
        super().__init__(budget, random_state=random_state)
        self.n_dropouts = n_dropouts
        self.dropout = dropout
        self.labeled_rows = labeled_rows
        self.classifier = classifier
        self.initial = initial
        self.metric = metric
        self.device = device

    def _select_rows(self, request):
        self._forget("n_candidates_")
        self.device_ = resolve_device(self.device)
        if not self._learn(request):
            return self._select_cold(request)
        n_flips = for_each_tile(request.pool, lambda rows: self._count_flips(rows, request.rng))
        candidate_idx = _inconsistent(n_flips, self.n_dropouts, request)
        self.n_candidates_ = len(candidate_idx)
        row_idx = np.sort(np.concatenate([candidate_idx, request.labeled_idx]))
        kmeans = KMeansSampler(
            request.budget,
            metric=self.metric,
            labeled_rows=self.labeled_rows,
            device=self.device,
            random_state=int(request.rng.integers(2**31)),
        )
        labeled = np.searchsorted(row_idx, request.labeled_idx)
        return row_idx[kmeans.fit_select(rows_of(request.pool.X, row_idx), labeled_indices=labeled)]

    def _default_initial(self):
        return KMeansSampler(metric=self.metric, device=self.device)

    def _count_flips(self, rows, rng):
        """In how many dropouts each of the rows (m, d) is predicted otherwise, int64 of shape (m,)."""
        predicted = winners(self.classifier_, rows)
        n_flips = np.zeros(len(rows), dtype=np.int64)
        for _ in range(self.n_dropouts):
            dropped = rng.random(rows.shape, dtype=np.float32).astype(rows.dtype, copy=False)
            np.greater_equal(dropped, self.dropout, out=dropped)
            dropped *= rows
            dropped /= rows.dtype.type(1 - self.dropout)
            n_flips += winners(self.classifier_, dropped) != predicted
        return n_flips


def _inconsistent(n_flips, n_dropouts, request):
    """Candidates that flip in most dropouts, or less often where these are too few."""
    n_wanted = _CANDIDATES_A_PICK * request.budget
    for least in (n_dropouts // 2 + 1, 1):
        candidate_idx = request.candidate_idx[n_flips[request.candidate_idx] >= least]
        if len(candidate_idx) >= n_wanted:
            return candidate_idx
    return request.candidate_idx
