"""TypiClust: as many clusters as labels, the most typical row of each that has no label."""

from __future__ import annotations

import heapq

import numpy as np

from skal._core.typicality import TypicalRows
from skal._validation import DEVICE, Integral, Interval, StrOptions
from skal.base import BaseSampler
from skal.samplers._kmeans import KMeansSampler

__all__ = ["TypiClustSampler"]

_LARGE_SHARE = 0.5


class TypiClustSampler(BaseSampler):
    """Cluster the pool and pick, where no row is labelled, the row in the densest place of each cluster.

    There are as many clusters as labelled rows and picks. Clusters with the fewest labelled rows come first, and among
    those the largest. Each gives its most typical row: typicality is the inverse of the mean distance to the nearest
    neighbours in the cluster. Ties go to the lowest row.

    Parameters
    ----------
    budget : int or float, default=10
        Rows to pick. A float in (0, 1] is a share of the pool's rows, ``max(1, floor(share * n))``.
    n_neighbors : int, default=20
        Neighbours that typicality looks at; all others of the cluster where it has fewer.
    min_cluster_size : int, default=6
        Smaller clusters are left out while those that are large enough hold at least half of the pool.
    metric : {"cosine", "euclidean"}, default="cosine"
        "cosine" L2-normalises each row first; a zero row stays zero. The distance is Euclidean in both cases.
    device : {"auto", "cpu", "cuda", "cuda:i"} or torch.device, default="auto"
        Where to compute. "auto" takes a CUDA device where there is one.
    random_state : int, RandomState instance or None, default=None
        Seeds K-means; nothing else is random.
    verbose : int, default=0
        1 prints the inertia of K-means at each pass.

    Attributes
    ----------
    selected_indices_ : ndarray of shape (budget,), int64
        Distinct rows of the pool, in the order above.
    selected_index_ : pandas Index of shape (budget,)
        The same as entries of X's index. Only there where X is a DataFrame.
    labels_ : ndarray of shape (n,), int32
        Cluster of each row.
    device_ : torch.device
        Where it was computed.
    n_features_in_ : int
        Features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X was a DataFrame whose columns are all strings.

    See Also
    --------
    KMeansSampler : The row nearest the centroid of each cluster.
    MaxHerdingSampler : Covers the pool greedily, without clusters.

    Notes
    -----
    The published code clusters into 500 clusters at the most and fills up with what comes next; here there are as many
    as it takes. Where clusters run out (those left out, or labelled), a cluster gives its next most typical row, again
    from the fewest labels on; a cluster with nothing left is passed over. What was left out gives rows once nothing
    else does.

    Time: a run of `KMeansSampler`, and for a cluster of m rows that gives a pick ``2·m²·d`` operations in float32, so
    ``2·n²·d / budget`` for even clusters: slow where few rows are picked of a million. Peak memory
    beside X: that of `KMeansSampler`, the largest cluster in float64, and tiles of 2²⁴ numbers.

    References
    ----------
    .. [1] Hacohen, Dekel and Weinshall, "Active learning on a budget: opposite strategies suit high and low budgets",
       ICML 2022, section 3 and appendix F.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skal.samplers import TypiClustSampler
    >>> X, y = load_digits(return_X_y=True)
    >>> sampler = TypiClustSampler(budget=20, random_state=0).fit(X)
    >>> len(set(y[sampler.selected_indices_])) >= 9
    True
    """

    _parameter_constraints: dict = {
        **BaseSampler._parameter_constraints,
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "min_cluster_size": [Interval(Integral, 1, None, closed="left")],
        "metric": [StrOptions({"cosine", "euclidean"})],
        "device": DEVICE,
        "verbose": ["verbose"],
    }

    _title = "TypiClust"
    _order = "fewest labels in the cluster first, then the largest cluster"
    _takes = "K-means, and n²·d / budget"

    def __init__(
        self,
        budget=10,
        *,
        n_neighbors=20,
        min_cluster_size=6,
        metric="cosine",
        device="auto",
        random_state=None,
        verbose=0,
    ):
        super().__init__(budget, random_state=random_state)
        self.n_neighbors = n_neighbors
        self.min_cluster_size = min_cluster_size
        self.metric = metric
        self.device = device
        self.verbose = verbose

    def _select_rows(self, request):
        view = request.pool.view(self.metric, self.device)
        self.device_ = view.device
        kmeans = KMeansSampler(
            request.budget + len(request.labeled_idx),
            metric=self.metric,
            device=self.device,
            random_state=int(request.rng.integers(2**31)),
            verbose=self.verbose,
        )
        self.labels_ = kmeans.fit(request.pool).labels_
        sizes = np.bincount(self.labels_)
        n_labels = np.bincount(self.labels_[request.labeled_idx], minlength=len(sizes))
        clusters = _Clusters(self.labels_, request.is_candidate, view.blocks, self.n_neighbors)
        is_small = _is_left_out(sizes, self.min_cluster_size)
        queue = [
            (bool(is_small[cluster]), int(n_labels[cluster]), -int(sizes[cluster]), cluster)
            for cluster in np.flatnonzero(clusters.n_left).tolist()
        ]
        heapq.heapify(queue)
        picks = []
        while len(picks) < request.budget:
            small, n_known, minus_size, cluster = heapq.heappop(queue)
            picks.append(clusters.take(cluster))
            if clusters.n_left[cluster]:
                heapq.heappush(queue, (small, n_known + 1, minus_size, cluster))
        return np.array(picks, dtype=np.int64)


class _Clusters:
    """Clusters that give their candidates, the most typical first."""

    def __init__(self, labels, is_candidate, blocks, n_neighbors):
        self._by_cluster = np.argsort(labels, kind="stable")
        self._ends = np.cumsum(np.bincount(labels))
        self._is_left = is_candidate.copy()
        self._blocks, self._n_neighbors = blocks, n_neighbors
        self._rankings = {}
        self.n_left = np.bincount(labels[is_candidate], minlength=len(self._ends))

    def take(self, cluster):
        start = 0 if cluster == 0 else self._ends[cluster - 1]
        member_idx = self._by_cluster[start : self._ends[cluster]]
        if cluster not in self._rankings:
            self._rankings[cluster] = TypicalRows(self._blocks, member_idx, self._n_neighbors)
        row = self._rankings[cluster].next(self._is_left[member_idx])
        self._is_left[row] = False
        self.n_left[cluster] -= 1
        return row


def _is_left_out(sizes, min_size):
    """Tell which clusters are too small, unless that would leave out most of the pool."""
    is_small = sizes < min_size
    return is_small & (sizes[~is_small].sum() >= _LARGE_SHARE * sizes.sum())
