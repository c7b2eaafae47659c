"""The paper's baseline: cluster the pool, label the row nearest each centroid."""

from __future__ import annotations

import numpy as np
import torch

from skal._core.blocks import Pool
from skal._core.device import resident_bytes, resolve_device
from skal._core.kmeans import kmeans_plus_plus, lloyd, partition
from skal._core.moments import pool_moments
from skal._core.restricted import Sketch, enough_passes, restricted_kmeans, sketch_pool, tile_rows_of
from skal._core.reuse import ContentCache, content_key
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

_LLOYD_PASSES = 20
_SAFE_VARIANCES = 1e-24, 1e30
_RESTRICTED_FROM_FEATURES = 16
_RESTRICTED_FROM_CLUSTERS, _RESTRICTED_FROM_PAIRS = 64, 2**20
_SKETCHES: ContentCache[Sketch] = ContentCache()


class KMeansSampler(BaseSampler):
    """Cluster the pool into `budget` clusters and pick the row nearest each centroid.

    With `labeled_indices`, all rows are clustered into `budget` clusters and each gives its nearest
    row that is not labelled yet: one round of multi K-means. A pick that its cluster cannot use (the
    cluster is empty, or labelled throughout) goes to the cluster with the highest inertia per pick,
    which takes its next nearest row; so there are exactly `budget` picks, always.

    Parameters
    ----------
    budget : int or float, default=10
        Rows to pick, and clusters. A float in (0, 1] is a share of the pool's rows,
        ``max(1, floor(share * n))``.
    metric : {"cosine", "euclidean"}, default="cosine"
        "cosine" L2-normalises each row first, as the paper does; a zero row stays zero. The
        centroids are means of unit rows and not renormalised.
    algorithm : {"auto", "lloyd", "restricted"}, default="auto"
        "lloyd" compares every row with every centroid. "restricted" compares a row with the some 200
        centroids around its own, first on a few principal coordinates, and moves rows by Hartigan's
        rule: with hundreds of centroids or more it is many times faster and ends at a lower inertia.
        "auto" takes "restricted" from 64 centroids, 2²⁰ pairs of row and centroid and 16 features on.
    init : {"k-means++", "random"}, callable or array-like of shape (budget, d), default="k-means++"
        First centroids. "random" takes distinct random rows; a callable gets
        ``(X, n_clusters, random_state)`` with X as it was passed. Given centroids are used as they are.
    n_init : "auto" or int, default="auto"
        Runs from different seeds; the one with the lowest inertia is kept. "auto" means 10 for
        "random" and callables, else 1.
    max_iter : int, default=None
        Passes over the pool of one run at the most. "restricted" makes the first sixth of them by
        Lloyd's rule and the rest by Hartigan's, the last sixth (more where the principal coordinates
        leave out much of the variance) in all dimensions. None means 20 for
        "lloyd", as in the reference, and for "restricted" 8 where clusters hold up to 25 rows, 11 for
        50 and 11 more for each factor of ten above.
    tol : float, default=1e-4
        "lloyd" ends when the squared movement of the centroids is at most `tol` times the mean
        variance of the features, as in scikit-learn, or when no row changes its cluster.
        "restricted" ends a phase with a pass that lowers its inertia by less than the fraction `tol`.
    device : {"auto", "cpu", "cuda", "cuda:i"} or torch.device, default="auto"
        Where to compute. "auto" takes a CUDA device where there is one.
    random_state : int, RandomState instance or None, default=None
        Seeds the first centroids. The same seed on the same device gives the same picks, for every
        ``working_memory``.
    verbose : int, default=0
        1 prints the inertia at each pass.

    Attributes
    ----------
    selected_indices_ : ndarray of shape (budget,), int64
        Distinct rows of the pool, the row of the largest cluster first.
    cluster_centers_ : ndarray of shape (budget, d), float32
        Means of the (normalised) rows of each cluster.
    labels_ : ndarray of shape (n,), int32
        Cluster of each row: its nearest centroid, ties to the lowest. Under "restricted" a few rows
        may be nearer to a centroid that is not theirs.
    inertia_ : float
        Sum of squared distances of the rows to their centroids, accumulated in float64.
    n_iter_ : int
        Passes of the best run.
    device_ : torch.device
        Where it was computed.
    n_features_in_ : int
        Features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X was a DataFrame whose columns are all strings.

    Notes
    -----
    Time: "lloyd" takes ``2·n·budget·d`` operations a pass and as many for the seeds. "restricted"
    works on p = min(d, max(64, d/4), 128) principal coordinates: about ``400·n·p`` operations for each
    of its first passes and ``400·n·d`` for its last; ``2·m·budget·p`` for the seeds, drawn from a
    sample of m = min(n, max(16384, 2·budget)) rows; and, where the coordinates leave out a share s of
    the variance, three times ``s²·n·budget·d`` at the most for rows compared with all centroids. Peak
    memory beside X: 60 bytes a row, five float64 arrays of budget × d, under "restricted" the principal
    coordinates (n × p float32) and tiles of 2²⁵ numbers (some 400 MiB), and a float32 copy of as much of
    the pool as fits scikit-learn's ``working_memory`` (1 GiB unless set by `sklearn.config_context`);
    the rest is read from X at each pass. The principal coordinates of an array that fits there are kept
    for the next fit on the same content, whatever its budget.

    References
    ----------
    .. [1] Pourahmadi, Nooralinejad and Pirsiavash, "A Simple Baseline for Low-Budget Active
       Learning", section 3.2.
    .. [2] Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
    .. [3] Telgarsky and Vattani, "Hartigan's method: k-means clustering without Voronoi",
       AISTATS 2010.

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
        "algorithm": [StrOptions({"auto", "lloyd", "restricted"})],
        "init": [StrOptions({"k-means++", "random"}), callable, "array-like"],
        "n_init": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left"), None],
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
        algorithm="auto",
        init="k-means++",
        n_init="auto",
        max_iter=None,
        tol=1e-4,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        super().__init__(budget, random_state=random_state)
        self.metric = metric
        self.algorithm = algorithm
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.device = device
        self.verbose = verbose

    def _select_rows(self, X, y, labeled_idx, budget, rng):
        self.device_ = resolve_device(self.device)
        self._origin = self._find_origin(X)
        algorithm = self._resolve_algorithm(*X.shape, budget)
        n_runs = self._count_runs()
        max_iter = self._resolve_max_iter(algorithm, X.shape[0], budget)
        progress = Progress(self, max_iter * n_runs, algorithm)

        def on_pass(n_passes, inertia):
            progress.advance(n_passes, inertia, "inertia")

        make_run = self._lloyd_runs if algorithm == "lloyd" else self._restricted_runs
        run = make_run(X, budget, max_iter, rng, on_pass)
        result = min((run() for _ in range(n_runs)), key=lambda result: result.partition.inertia)
        progress.close()
        self._centers = result.centers.cpu().numpy()
        self.cluster_centers_ = (self._centers.astype(np.float64) + self._origin).astype(np.float32)
        self.labels_ = result.partition.labels.to(torch.int32).cpu().numpy()
        self.inertia_ = result.partition.inertia
        self.n_iter_ = result.n_iter
        is_candidate = np.ones(X.shape[0], dtype=bool)
        is_candidate[labeled_idx] = False
        return nearest_members(self.labels_, result.partition.sq_dist.cpu().numpy(), is_candidate, budget, budget)

    def _select_from(self, X, budget):
        device = resolve_device(self.device)
        nearest = partition(self._pool(X, device), torch.from_numpy(self._centers).to(device))
        labels, sq_dist = nearest.labels.cpu().numpy(), nearest.sq_dist.cpu().numpy()
        return nearest_members(labels, sq_dist, np.ones(X.shape[0], dtype=bool), len(self._centers), budget)

    def _resolve_algorithm(self, n_samples, n_features, n_clusters):
        if self.algorithm != "auto":
            return self.algorithm
        pays = (
            n_clusters >= _RESTRICTED_FROM_CLUSTERS
            and n_samples * n_clusters >= _RESTRICTED_FROM_PAIRS
            and n_features >= _RESTRICTED_FROM_FEATURES
        )
        return "restricted" if pays else "lloyd"

    def _resolve_max_iter(self, algorithm, n_samples, n_clusters):
        if self.max_iter is not None:
            return self.max_iter
        return _LLOYD_PASSES if algorithm == "lloyd" else enough_passes(n_samples, n_clusters)

    def _count_runs(self):
        if not (isinstance(self.init, str) or callable(self.init)):
            return 1
        if self.n_init != "auto":
            return self.n_init
        return 1 if isinstance(self.init, str) and self.init == "k-means++" else 10

    def _lloyd_runs(self, X, n_clusters, max_iter, rng, on_pass):
        pool = self._pool(X, self.device_)
        _, variance = pool_moments(pool)

        def run():
            first = self._first_centers(pool, n_clusters, rng)
            if isinstance(first, str):
                drawn = (
                    kmeans_plus_plus(pool, n_clusters, rng)
                    if first == "k-means++"
                    else rng.choice(pool.n_rows, size=n_clusters, replace=False)
                )
                first = pool.rows(drawn)
            max_sq_shift = self.tol * float(variance.mean())
            return lloyd(pool, first, max_iter=max_iter, max_sq_shift=max_sq_shift, on_iteration=on_pass)

        return run

    def _restricted_runs(self, X, n_clusters, max_iter, rng, on_pass):
        pool = self._pool(X, self.device_, tile_rows=tile_rows_of(X.shape[1]))
        sketch = self._sketch(X, pool)

        def run():
            return restricted_kmeans(
                pool,
                sketch,
                n_clusters,
                rng,
                init=self._first_centers(pool, n_clusters, rng),
                max_iter=max_iter,
                min_improvement=self.tol,
                on_iteration=on_pass,
            )

        return run

    def _sketch(self, X, pool):
        """Principal coordinates of the pool, kept for the next fit on the same content."""
        max_bytes = working_memory_bytes()
        if not isinstance(X, np.ndarray) or X.nbytes > max_bytes:
            return sketch_pool(pool)
        key = (content_key(X), self.metric, str(self.device_))
        return _SKETCHES.get(key, lambda: sketch_pool(pool), lambda sketch: sketch.coordinates.nbytes, max_bytes)

    def _find_origin(self, X):
        """Where to put zero so that float32 keeps the most digits of the distances."""
        if self.metric == "cosine":
            return np.zeros(X.shape[1])
        mean, variance = pool_moments(Pool(X, self.device_, dtype=torch.float64))
        smallest, largest = _SAFE_VARIANCES
        if variance.max() > largest or 0 < variance.max() < smallest:
            raise ValueError(
                f"The features' largest variance is {float(variance.max()):.3g}, whose squares float32 cannot hold; "
                "multiply X by a constant that brings it near 1. Picks do not depend on such a constant."
            )
        return mean.cpu().numpy()

    def _pool(self, X, device, tile_rows=None):
        return Pool(
            X,
            device,
            normalize=self.metric == "cosine",
            resident_bytes=resident_bytes(device, working_memory_bytes()),
            shift=torch.from_numpy(self._origin).to(device) if self._origin.any() else None,
            tile_rows=tile_rows,
        )

    def _first_centers(self, pool, n_clusters, rng):
        """The name of a way to draw them, or given centers as a tensor."""
        if isinstance(self.init, str):
            return self.init
        centers = self.init
        if callable(centers):
            centers = centers(pool.X, n_clusters, random_state=np.random.RandomState(rng.integers(2**32)))
        centers = np.asarray(centers, dtype=np.float64)
        shape = (n_clusters, pool.n_features)
        if centers.shape != shape:
            raise ValueError(f"init gives centroids of shape {centers.shape}; (budget, n_features) is {shape}.")
        if not np.isfinite(centers).all():
            raise ValueError("init gives centroids with NaN or infinity.")
        return torch.from_numpy((centers - self._origin).astype(np.float32)).to(self.device_)
