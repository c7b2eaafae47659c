"""The paper's baseline: cluster the pool, label the row nearest each centroid."""

from __future__ import annotations

import os

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from skal._core.blocks import Blocks
from skal._core.device import ordinary_torch
from skal._core.kmeans import lloyd, partition
from skal._core.restricted import enough_passes, restricted_kmeans
from skal._core.seeding import greedy_kmeans_plus_plus, kmeans_plus_plus
from skal._core.shares import uncovered_members
from skal._core.workers import on_workers
from skal._validation import BUDGET, DEVICE, Integral, Interval, Real, StrOptions
from skal.base import BaseSampler
from skal.pool import open_pool
from skal.samplers._kmeans_checkpoint import KMeansCheckpoint

__all__ = ["KMeansSampler"]

_LLOYD_PASSES = 20
_LATER_RUNS = 10
_SEED_SAMPLE = 16384  # rows that the centers of a later round are drawn from, at least
_RESTRICTED_FROM_FEATURES = 16
_RESTRICTED_FROM_CLUSTERS, _RESTRICTED_LATER_FROM_CLUSTERS, _RESTRICTED_FROM_PAIRS = 8, 64, 500_000


class KMeansSampler(BaseSampler):
    """Cluster the pool into `budget` clusters and pick the row nearest each centroid.

    In a later round, with `labeled_indices`, a labelled row covers its surroundings: the pool is clustered into
    as many clusters as labelled rows and picks. Each labelled row has its own cluster, whose center stays near it and
    from which nothing is picked. If a cluster has no row to give (it is empty, say), its pick goes to the cluster with
    the highest inertia per pick, which gives its next nearest row. There are always exactly `budget` picks.

    Parameters
    ----------
    budget : int or float, default=10
        Rows to pick, and clusters. A float in (0, 1] is a share of the pool's rows,
        ``max(1, floor(share * n))``.
    metric : {"cosine", "euclidean"}, default="cosine"
        "cosine" L2-normalises each row first, as the paper does; a zero row stays zero. The
        centroids are means of unit rows and not renormalised.
    labeled_rows : {"cover", "skip"}, default="cover"
        What rows labelled already mean in a later round. "cover": each of them has a cluster beside the `budget`
        others, which gives nothing, so that no near-copy of a labelled row is bought. The center of that cluster
        is ¾ its mean and ¼ the labelled row, and it costs as much of its inertia about each. Of several runs the
        one is kept whose picks, with the labelled rows, leave the least sum of squared distances. "skip": the
        paper's multi K-means, which clusters into `budget` clusters and takes the nearest row of each that is
        not labelled yet: with the seed of the round before, its neighbour.
    algorithm : {"auto", "lloyd", "restricted"}, default="auto"
        "lloyd" compares every row with every centroid. "restricted" compares a row with the some 200
        centroids around its own, first on a few principal coordinates, moves rows by Hartigan's rule,
        and swaps centroids: two clusters that cost little as one are merged, and the free centroid splits
        a costly one. It is two to three times faster with tens of centroids, many times with hundreds, and ends
        at a lower inertia: on pools with as many separate groups as centroids, far lower.
        "auto" takes "restricted" from 8 centroids (64 in a later round of "cover"), half a million pairs of row and
        centroid and 16 features on.
    init : {"k-means++", "random"}, callable or array-like of shape (budget, d), default="k-means++"
        First centroids, beside those of labelled rows. "random" takes distinct random rows; a callable gets
        ``(X, n_clusters, random_state)`` with X as it was passed. Given centroids are used as they are.
    n_init : "auto" or int, default="auto"
        Runs from different seeds; the one with the lowest inertia is kept. "auto" means 10 for
        "random" and callables, else 1, and 10 in a later round of "cover" under "lloyd".
    max_iter : int, default=None
        Passes over the pool of one run at the most. "restricted" makes the first eighth of them by
        Lloyd's rule and the rest by Hartigan's, the last eighth (more where the principal coordinates
        leave out much of the variance) in all dimensions. None means 20 for
        "lloyd", as in the reference, and for "restricted" 6 where clusters hold up to 25 rows, 8 for
        50 and 6 more for each factor of ten above.
    tol : float, default=1e-4
        "lloyd" ends when the squared movement of the centroids is at most `tol` times the mean
        variance of the features, as in scikit-learn, or when no row changes its cluster.
        "restricted" ends a phase with a pass that lowers its inertia by less than the fraction `tol`.
    checkpoint_folder : str or path, default=None
        Where the fit is kept once a minute, between two passes: up to 20 bytes a row in one file. The same `fit` on
        the same rows, killed at any moment and called again, goes on from there and gives the same picks to the bit
        for one version of skal and torch (another one is refused). It ends by removing the file. Other rows, labelled
        rows, parameters or seeds have another file. Needs an int as `random_state`, and reads X once more at first.
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
    selected_index_ : pandas Index of shape (budget,)
        The same as entries of X's index. Only there where X is a DataFrame.
    cluster_centers_ : ndarray of shape (n_clusters, d), float32
        Means of the (normalised) rows of each cluster; in a later round those of the labelled rows come first, each
        ¼ of the way to its row. float64 where the rows spread over less than 2⁻²⁰ or more than 2²⁰.
    labels_ : ndarray of shape (n,), int32
        Cluster of each row: its nearest centroid, ties to the lowest. Under "restricted" a few rows,
        in a later round some of the borders, may be nearer to a centroid that is not theirs. A dask array where X
        is one.
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

    See Also
    --------
    skal.rounds.MultiKMeansSampler : K-means in several rounds.
    MaxHerdingSampler : Covers the pool greedily; its smaller budgets are prefixes of larger ones.
    TypiClustSampler : Takes the row in the densest place of each cluster.
    UniformKMeansSampler : The same number of rows from each of a few clusters.

    Notes
    -----
    Time: "lloyd" takes ``2·n·budget·d`` operations a pass and as many for the seeds. "restricted"
    works on p = min(d, max(64, d/4), 128) principal coordinates: about ``400·n·p`` operations for each
    of its first passes and ``400·n·d`` for its last; ``2·m·budget·p`` for the seeds, drawn from a
    sample of m = min(n, max(8192, 1.5·budget)) rows, 100·budget up to 163 centroids; and, where the
    coordinates leave out a share s of the variance, three times ``s²·n·budget·d`` at the most for rows compared
    with all centroids. Peak
    memory beside X: 60 bytes a row, five float64 arrays of budget × d, under "restricted" the principal
    coordinates (n × p float32) and tiles of 2²⁵ numbers (some 400 MiB), and a float32 copy of as much of
    the pool as fits scikit-learn's ``working_memory`` (1 GiB unless set by `sklearn.config_context`);
    the rest is read from X at each pass. The principal coordinates are kept for the next fit on the
    same content, whatever its budget, as far as a quarter of ``working_memory`` goes; `skal.pool.clear_cache`
    frees them. A `skal.Pool` keeps them, and the float32 copy, for every fit on it.

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
        "labeled_rows": [StrOptions({"cover", "skip"})],
        "init": [StrOptions({"k-means++", "random"}), callable, "array-like"],
        "n_init": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left"), None],
        "tol": [Interval(Real, 0, None, closed="left")],
        "checkpoint_folder": [str, os.PathLike, None],
        "device": DEVICE,
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    _title = "K-means"
    _order = "largest cluster first"
    _takes = "n·budget·d a pass; with many clusters n·200·d"
    _takes_chunks = True

    def __init__(
        self,
        budget=10,
        *,
        metric="cosine",
        labeled_rows="cover",
        algorithm="auto",
        init="k-means++",
        n_init="auto",
        max_iter=None,
        tol=1e-4,
        checkpoint_folder=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        super().__init__(budget, random_state=random_state)
        self.metric = metric
        self.labeled_rows = labeled_rows
        self.algorithm = algorithm
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.checkpoint_folder = checkpoint_folder
        self.device = device
        self.verbose = verbose

    def assign(self, X):
        """Find the nearest centroid of each row of a pool.

        Parameters
        ----------
        X : array-like of shape (m, d) or Pool

        Returns
        -------
        labels : ndarray of shape (m,), int64
            Row numbers of `cluster_centers_`, ties to the lowest.
        distances : ndarray of shape (m,), float64
            Distance of each (normalised) row to that centroid.

        Notes
        -----
        ``2·m·budget·d`` operations in one pass.
        """
        check_is_fitted(self, "cluster_centers_")
        with ordinary_torch():
            labels, sq_dist = self._assign(open_pool(self, X, reset=False))
        return labels, np.sqrt(sq_dist) / self._frame.factor

    @on_workers()
    def _select_rows(self, request):
        view = request.pool.view(self.metric, self.device, for_distances=True)
        self.device_, self._frame = view.device, view.frame
        anchor_idx = request.labeled_idx if self.labeled_rows == "cover" else request.labeled_idx[:0]
        anchors = view.blocks.take(anchor_idx) if len(anchor_idx) else None
        n_clusters = request.budget + len(anchor_idx)
        self._is_covered = np.arange(n_clusters) < len(anchor_idx)
        algorithm = self._resolve_algorithm(view.n_rows, view.n_features, n_clusters, is_later=anchors is not None)
        n_runs = self._count_runs(_LATER_RUNS if anchors is not None and algorithm == "lloyd" else 1)
        max_iter = self._resolve_max_iter(algorithm, view.n_rows, n_clusters)
        request.progress.begin(max_iter * n_runs, algorithm)
        seed = greedy_kmeans_plus_plus if algorithm == "lloyd" else kmeans_plus_plus

        def run(resume, keep):
            start = None if resume else self._first_centers(request, view, anchors, seed)
            make = self._run_lloyd if algorithm == "lloyd" else self._run_restricted
            return make(view, start, n_clusters, anchors, request, max_iter, resume, keep)

        checkpoint = KMeansCheckpoint(self, request, view.device)
        result = checkpoint.best_of(n_runs, run, lambda result: self._cost(result, anchors, view, request))
        self._centers = result.centers.cpu().numpy()
        self.cluster_centers_ = view.frame.original(self._centers)
        self.labels_ = request.pool.per_row(result.partition.labels.to(torch.int32).cpu().numpy())
        self.inertia_ = result.partition.inertia / view.frame.factor / view.frame.factor
        self.n_iter_ = result.n_iter
        picks = self._picks_of(result, request)
        checkpoint.remove()
        return picks

    def _facts(self):
        found = super()._facts()
        if found:
            distance = np.sqrt(self.inertia_ / self._n_pool_rows)
            found |= {"root mean square distance to a centroid": f"{distance:.4g}", "passes": self.n_iter_}
        return found

    def _select_from(self, pool, budget):
        labels, sq_dist = self._assign(pool)
        return self._pick(labels, sq_dist, np.ones(pool.n_rows, dtype=bool), budget)

    def _cost(self, result, anchors, view, request):
        """What the least of several runs has least of: inertia, or what labelled rows and picks leave."""
        if anchors is None:
            return result.partition.inertia
        picked = view.blocks.take(self._picks_of(result, request))
        return partition(view.blocks, torch.cat([anchors, picked])).inertia

    def _picks_of(self, result, request):
        labels = result.partition.labels.cpu().numpy()
        sq_dist = result.partition.sq_dist.double().cpu().numpy()
        return self._pick(labels, sq_dist, request.is_candidate, request.budget)

    def _pick(self, labels, sq_dist, is_candidate, budget):
        return uncovered_members(labels, sq_dist, is_candidate, self._is_covered, len(self._is_covered), budget)

    def _assign(self, pool):
        """Nearest centroid of each row and the squared distance to it, in the units of the frame."""
        device = pool.resolve_device(self.device)
        nearest = partition(pool.blocks_in(self._frame, device), torch.tensor(self._centers, device=device))
        return nearest.labels.cpu().numpy(), nearest.sq_dist.double().cpu().numpy()

    def _resolve_algorithm(self, n_samples, n_features, n_clusters, *, is_later=False):
        if self.algorithm != "auto":
            return self.algorithm
        pays = (
            n_clusters >= (_RESTRICTED_LATER_FROM_CLUSTERS if is_later else _RESTRICTED_FROM_CLUSTERS)
            and n_samples * n_clusters >= _RESTRICTED_FROM_PAIRS
            and n_features >= _RESTRICTED_FROM_FEATURES
        )
        return "restricted" if pays else "lloyd"

    def _resolve_max_iter(self, algorithm, n_samples, n_clusters):
        if self.max_iter is not None:
            return self.max_iter
        return _LLOYD_PASSES if algorithm == "lloyd" else enough_passes(n_samples, n_clusters)

    def _count_runs(self, enough):
        """Say how many runs there are; `enough` of them for the k-means++ that "auto" does."""
        if not (isinstance(self.init, str) or callable(self.init)):
            return 1
        if self.n_init != "auto":
            return self.n_init
        return enough if isinstance(self.init, str) and self.init == "k-means++" else 10

    def _run_lloyd(self, view, start, n_clusters, anchors, request, max_iter, resume, keep):
        if isinstance(start, str):
            drawn = (
                kmeans_plus_plus(view.blocks, n_clusters, request.rng)
                if start == "k-means++"
                else request.rng.choice(view.n_rows, size=n_clusters, replace=False)
            )
            start = view.blocks.take(drawn)
        _, variance = view.moments()
        return lloyd(
            view.blocks,
            start,
            max_iter=max_iter,
            max_sq_shift=self.tol * float(variance.mean()),
            anchors=anchors,
            on_iteration=lambda n_passes, inertia: request.progress.advance(n_passes, inertia, "inertia"),
            resume=resume,
            keep=keep,
        )

    def _run_restricted(self, view, start, n_clusters, anchors, request, max_iter, resume, keep):
        return restricted_kmeans(
            view.wide_blocks,
            view.principal_coordinates(),
            n_clusters,
            request.rng,
            init=start,
            max_iter=max_iter,
            min_improvement=self.tol,
            anchors=anchors,
            on_iteration=lambda n_passes, inertia: request.progress.advance(n_passes, inertia, "inertia"),
            resume=resume,
            keep=keep,
        )

    def _first_centers(self, request, view, anchors, seed):
        """Return the name of a way to draw them, or a tensor of centers; the anchors come first."""
        given = self._given_centers(request)
        if anchors is None:
            return given
        if isinstance(given, str):
            given = self._drawn_beside(anchors, given, request, view, seed)
        return torch.cat([anchors, given])

    def _drawn_beside(self, anchors, init, request, view, seed):
        """Draw centers from a sample of the candidates; k-means++ knows those that are there already."""
        n_sampled = min(len(request.candidate_idx), max(_SEED_SAMPLE, 2 * request.budget))
        sampled_idx = np.sort(request.rng.choice(request.candidate_idx, size=n_sampled, replace=False))
        sample = Blocks(view.blocks.take(sampled_idx), view.device)
        if init == "random":
            return sample.take(request.rng.choice(n_sampled, size=request.budget, replace=False))
        return sample.take(seed(sample, request.budget, request.rng, anchors))

    def _given_centers(self, request):
        """Return the name of a way to draw `budget` centers, or given ones as a tensor in the frame."""
        if isinstance(self.init, str):
            return self.init
        centers = self.init
        if callable(centers):
            seed = np.random.RandomState(request.rng.integers(2**32))
            centers = centers(request.pool.X, request.budget, random_state=seed)
        centers = np.asarray(centers, dtype=np.float64)
        shape = (request.budget, request.pool.shape[1])
        if centers.shape != shape:
            raise ValueError(f"init gives centroids of shape {centers.shape}; (budget, n_features) is {shape}.")
        if not np.isfinite(centers).all():
            raise ValueError("init gives centroids with NaN or infinity.")
        return torch.from_numpy(self._frame.points(centers)).to(self.device_)
