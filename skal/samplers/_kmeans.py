"""The paper's baseline: cluster the pool, label the row nearest each centroid."""

from __future__ import annotations

import numpy as np
import torch

from skal._core.blocks import Pool
from skal._core.device import resident_bytes, resolve_device
from skal._core.kmeans import kmeans, kmeans_plus_plus, partition
from skal._core.moments import pool_moments
from skal._core.shares import nearest_members
from skal._validation import (
    BUDGET,
    DEVICE,
    Integral,
    Interval,
    Progress,
    Real,
    StrOptions,
    working_memory_bytes,
)
from skal.base import BaseSampler

__all__ = ["KMeansSampler"]


class KMeansSampler(BaseSampler):
    """Cluster the pool into `budget` clusters and pick the row nearest each centroid.

    Exact Lloyd iterations over the whole pool from k-means++ seeds. With `labeled_indices`, all rows
    are clustered into `budget` clusters and each gives its nearest row that is not labelled yet: one
    round of multi K-means. A pick that its cluster cannot use (the cluster is empty, or labelled
    throughout) goes to the cluster with the highest inertia per pick, which takes its next nearest
    row; so there are exactly `budget` picks, always.

    Parameters
    ----------
    budget : int or float, default=10
        Rows to pick, and clusters. A float in (0, 1] is a share of the pool's rows,
        ``max(1, floor(share * n))``.
    metric : {"cosine", "euclidean"}, default="cosine"
        "cosine" L2-normalises each row first, as the paper does; a zero row stays zero. The
        centroids are means of unit rows and not renormalised.
    init : {"k-means++", "random"}, callable or array-like of shape (budget, d), default="k-means++"
        First centroids. "random" takes distinct random rows; a callable gets
        ``(X, n_clusters, random_state)``. Given centroids are used as they are.
    n_init : "auto" or int, default="auto"
        Runs from different seeds; the one with the lowest inertia is kept. "auto" means 10 for
        "random" and callables, else 1.
    max_iter : int, default=100
        Lloyd iterations of one run at the most.
    tol : float, default=1e-4
        A run ends when the squared movement of its centroids is at most `tol` times the mean
        variance of the features, or when no row changes its cluster.
    device : {"auto", "cpu", "cuda", "cuda:i"} or torch.device, default="auto"
        Where to compute. "auto" takes a CUDA device where there is one.
    random_state : int, RandomState instance or None, default=None
        Seeds the first centroids. The same seed on the same device gives the same picks, for every
        ``working_memory``.
    verbose : int, default=0
        1 prints the inertia at each iteration.

    Attributes
    ----------
    selected_indices_ : ndarray of shape (budget,), int64
        Distinct rows of the pool, the row of the largest cluster first.
    cluster_centers_ : ndarray of shape (budget, d), float32
        Means of the (normalised) rows of each cluster.
    labels_ : ndarray of shape (n,), int32
        Nearest centroid of each row, ties to the lowest.
    inertia_ : float
        Sum of squared distances of the rows to their centroids, accumulated in float64.
    n_iter_ : int
        Lloyd iterations of the best run.
    device_ : torch.device
        Where it was computed.
    n_features_in_ : int
        Features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X was a DataFrame whose columns are all strings.

    Notes
    -----
    Time: ``2·n·budget·d`` operations an iteration, and as many for the seeds. Peak memory beside X:
    three float32 or int64 vectors of length n, four arrays of budget × d, and a float32 copy of as
    much of the pool as fits scikit-learn's ``working_memory`` (1 GiB unless set by
    `sklearn.config_context`); the rest is read from X at each iteration.

    References
    ----------
    .. [1] Pourahmadi, Nooralinejad and Pirsiavash, "A Simple Baseline for Low-Budget Active
       Learning", section 3.2.
    .. [2] Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skal.samplers import KMeansSampler
    >>> X, y = load_digits(return_X_y=True)
    >>> sampler = KMeansSampler(budget=30, random_state=0).fit(X)
    >>> sampler.selected_indices_.shape
    (30,)
    >>> len(set(y[sampler.selected_indices_]))
    10
    """

    _parameter_constraints: dict = {
        "budget": BUDGET,
        "metric": [StrOptions({"cosine", "euclidean"})],
        "init": [StrOptions({"k-means++", "random"}), callable, "array-like"],
        "n_init": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "device": DEVICE,
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    _reads_every_row = True

    def __init__(
        self,
        budget=10,
        *,
        metric="cosine",
        init="k-means++",
        n_init="auto",
        max_iter=100,
        tol=1e-4,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        super().__init__(budget, random_state=random_state)
        self.metric = metric
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.device = device
        self.verbose = verbose

    def _select_rows(self, X, y, labeled_idx, budget, rng):
        self.device_ = resolve_device(self.device)
        pool, origin, mean_variance = self._center(X)
        starts = self._starts(pool, origin, budget, rng)
        progress = Progress(self, self.max_iter * len(starts), "lloyd")
        result = kmeans(
            pool,
            starts,
            max_iter=self.max_iter,
            max_sq_shift=self.tol * mean_variance,
            on_iteration=lambda iteration, inertia: progress.advance(iteration, inertia, "inertia"),
        )
        progress.close()
        self._origin = origin
        self._centers = result.centers.cpu().numpy()
        self.cluster_centers_ = (self._centers.astype(np.float64) + origin).astype(np.float32)
        self.labels_ = result.partition.labels.to(torch.int32).cpu().numpy()
        self.inertia_ = result.partition.inertia
        self.n_iter_ = result.n_iter
        is_candidate = np.ones(X.shape[0], dtype=bool)
        is_candidate[labeled_idx] = False
        return nearest_members(self.labels_, result.partition.sq_dist.cpu().numpy(), is_candidate, budget, budget)

    def _select_from(self, X, budget):
        n_clusters = len(self._centers)
        device = resolve_device(self.device)
        nearest = partition(self._pool(X, self._origin, device), torch.from_numpy(self._centers).to(device))
        labels, sq_dist = nearest.labels.cpu().numpy(), nearest.sq_dist.cpu().numpy()
        return nearest_members(labels, sq_dist, np.ones(X.shape[0], dtype=bool), n_clusters, budget)

    def _center(self, X):
        """Open the pool with its origin where float32 keeps the most digits, and measure its spread."""
        if self.metric == "cosine":
            origin = np.zeros(X.shape[1])
            pool = self._pool(X, origin, self.device_)
            return pool, origin, float(pool_moments(pool)[1].mean())
        mean, variance = pool_moments(Pool(X, self.device_, dtype=torch.float64))
        origin = mean.cpu().numpy()
        return self._pool(X, origin, self.device_), origin, float(variance.mean())

    def _pool(self, X, origin, device):
        return Pool(
            X,
            device,
            normalize=self.metric == "cosine",
            resident_bytes=resident_bytes(device, working_memory_bytes()),
            shift=torch.from_numpy(origin).to(device) if origin.any() else None,
        )

    def _starts(self, pool, origin, n_clusters, rng):
        """Functions that make first centers, one a run."""
        n_init = self.n_init
        if isinstance(self.init, str) or callable(self.init):
            default = 1 if isinstance(self.init, str) and self.init == "k-means++" else 10
            n_runs = default if n_init == "auto" else n_init
        else:
            n_runs = 1

        def start():
            if isinstance(self.init, str) and self.init == "k-means++":
                return pool.rows(kmeans_plus_plus(pool, n_clusters, rng))
            if isinstance(self.init, str):
                return pool.rows(rng.choice(pool.n_rows, size=n_clusters, replace=False))
            centers = self.init
            if callable(centers):
                centers = centers(pool.X, n_clusters, random_state=np.random.RandomState(rng.integers(2**32)))
            return self._given_centers(centers, origin, (n_clusters, pool.n_features))

        return [start] * n_runs

    def _given_centers(self, centers, origin, shape):
        centers = np.asarray(centers, dtype=np.float64)
        if centers.shape != shape:
            raise ValueError(f"init gives centroids of shape {centers.shape}; (budget, n_features) is {shape}.")
        if not np.isfinite(centers).all():
            raise ValueError("init gives centroids with NaN or infinity.")
        return torch.from_numpy((centers - origin).astype(np.float32)).to(self.device_)
