"""Equal shares of clusters, where the classes are not known."""

from __future__ import annotations

import numpy as np

from skal._core.shares import equal_members
from skal._validation import DEVICE, Integral, Interval, StrOptions, rows_of
from skal.base import BaseSampler
from skal.samplers._kmeans import KMeansSampler

__all__ = ["UniformKMeansSampler"]


class UniformKMeansSampler(BaseSampler):
    """Pick the same number of rows from each of a few clusters, nearest to the centroid first.

    The paper's Uniform(K-means): with as many clusters as classes it imitates equal numbers of each
    class without a look at the labels. Shares follow one rule: every cluster rises to the same number
    of labelled rows, those labelled already included; a cluster that runs short leaves its share to
    those with rows left; the remainder goes one each to the largest clusters, ties to the first.

    Parameters
    ----------
    budget : int or float, default=10
        Rows to pick. A float in (0, 1] is a share of the pool's rows, ``max(1, floor(share * n))``.
    n_clusters : int, default=10
        Clusters; the paper takes the number of classes. At most as many as the pool has rows are made.
    labeled_rows : {"cover", "skip"}, default="cover"
        What rows labelled already mean within their cluster. "cover": it is clustered into as many parts as
        labelled rows and picks, and the parts that hold one give nothing, so that no near-copy of a labelled
        row is bought. "skip": they only count, and the nearest rows that are not labelled are taken.
    metric : {"cosine", "euclidean"}, default="cosine"
        "cosine" L2-normalises each row first, as the paper does; a zero row stays zero.
    device : {"auto", "cpu", "cuda", "cuda:i"} or torch.device, default="auto"
        Where to compute. "auto" takes a CUDA device where there is one.
    random_state : int, RandomState instance or None, default=None
        Seeds K-means.
    verbose : int, default=0
        1 prints the progress of K-means.

    Attributes
    ----------
    selected_indices_ : ndarray of shape (budget,), int64
        Distinct rows of the pool: the nearest row of each cluster, largest cluster first, then the
        second of each, and so on.
    selected_index_ : pandas Index of shape (budget,)
        The same as entries of X's index. Only there where X is a DataFrame.
    kmeans_ : KMeansSampler
        The fitted K-means, with `cluster_centers_` and `labels_`.
    device_ : torch.device
        Where it was computed.
    n_features_in_ : int
        Features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X was a DataFrame whose columns are all strings.

    See Also
    --------
    KMeansSampler : As many clusters as picks.
    UniformSampler : Equal shares of the classes themselves, for which it has to know all labels.

    Notes
    -----
    The time and memory of `KMeansSampler` with `n_clusters` clusters, and one more pass.

    References
    ----------
    .. [1] Pourahmadi, Nooralinejad and Pirsiavash, "A Simple Baseline for Low-Budget Active
       Learning", section 4.5 and Table 10.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skal.samplers import UniformKMeansSampler
    >>> X, y = load_digits(return_X_y=True)
    >>> sampler = UniformKMeansSampler(budget=40, n_clusters=10, random_state=0).fit(X)
    >>> import numpy as np
    >>> np.bincount(sampler.kmeans_.labels_[sampler.selected_indices_]).tolist()
    [4, 4, 4, 4, 4, 4, 4, 4, 4, 4]
    """

    _parameter_constraints: dict = {
        **BaseSampler._parameter_constraints,
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "labeled_rows": [StrOptions({"cover", "skip"})],
        "metric": [StrOptions({"cosine", "euclidean"})],
        "device": DEVICE,
        "verbose": ["verbose"],
    }

    _title = "Uniform(K-means)"
    _order = "the nearest of each cluster, largest first, then the second of each"
    _takes = "n·n_clusters·d a pass"
    _takes_chunks = True

    def __init__(
        self,
        budget=10,
        *,
        n_clusters=10,
        labeled_rows="cover",
        metric="cosine",
        device="auto",
        random_state=None,
        verbose=0,
    ):
        super().__init__(budget, random_state=random_state)
        self.n_clusters = n_clusters
        self.labeled_rows = labeled_rows
        self.metric = metric
        self.device = device
        self.verbose = verbose

    def _select_rows(self, request):
        seed = self.random_state if isinstance(self.random_state, Integral) else int(request.rng.integers(2**31))
        request.progress.begin(1, "k-means")
        self.kmeans_ = self._make_kmeans(min(self.n_clusters, request.pool.n_rows), seed).fit(request.pool)
        self.device_ = self.kmeans_.device_
        request.progress.advance(1, self.kmeans_.inertia_, "inertia")
        labels, distances = self.kmeans_.assign(request.pool)
        n_clusters = len(self.kmeans_.cluster_centers_)
        picks = equal_members(labels, distances, request.is_candidate, n_clusters, request.budget)
        if self.labeled_rows == "skip" or len(request.labeled_idx) == 0:
            return picks
        return self._without_near_copies(request, labels, picks, seed)

    def _select_from(self, pool, budget):
        labels, distances = self.kmeans_.assign(pool)
        every_row = np.ones(pool.n_rows, dtype=bool)
        return equal_members(labels, distances, every_row, len(self.kmeans_.cluster_centers_), budget)

    def _without_near_copies(self, request, labels, picks, seed):
        """Pick anew in each cluster that holds labelled rows: they cover their surroundings there."""
        picks = picks.copy()
        for cluster in np.unique(labels[request.labeled_idx]):
            places = np.flatnonzero(labels[picks] == cluster)
            if len(places) == 0:
                continue
            members = np.flatnonzero(labels == cluster)
            covered = np.flatnonzero(np.isin(members, request.labeled_idx))
            within = self._make_kmeans(len(places), seed)
            chosen = within.fit_select(rows_of(request.pool, members), labeled_indices=covered)
            picks[places] = members[chosen]
        return picks

    def _make_kmeans(self, budget, seed):
        return KMeansSampler(budget, metric=self.metric, device=self.device, random_state=seed, verbose=self.verbose)
