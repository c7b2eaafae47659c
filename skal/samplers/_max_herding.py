"""MaxHerding: cover the pool under a kernel, one row after the other."""

from __future__ import annotations

import math

from skal._validation import DEVICE, Integral, Interval, Real, StrOptions
from skal.base import BaseSampler
from skal.samplers._herding import Herd, bandwidth, clusters_of, pure_radius

__all__ = ["MaxHerdingSampler"]


class MaxHerdingSampler(BaseSampler):
    """Pick the row that raises the mean similarity of all rows to their most similar pick the most, `budget` times.

    Greedy maximisation of generalised coverage, exactly: the gains are those of float64, compared in float32, ties to
    the lowest row. Labelled rows cover their surroundings as if they had been picked.

    Parameters
    ----------
    budget : int or float, default=10
        Rows to pick. A float in (0, 1] is a share of the pool's rows, ``max(1, floor(share * n))``.
    kernel : {"rbf", "tophat", "linear"}, default="rbf"
        "rbf" is ``exp(-d² / sigma²)``, MaxHerding. "tophat" is 1 nearer than sigma and 0 beyond, ProbCover. "linear" is
        ``1 - d² / (4 sigma²)``, of unit rows ``(1 + x·y) / 2``.
    sigma : "auto" or float, default="auto"
        Bandwidth of the kernel in the units of the (normalised) rows. The paper takes 1 for "rbf". "auto" follows the
        pool: for "rbf" √2 times the root mean squared distance to the centroids of K-means; for "tophat" the largest
        radius at which 95 % of the balls around rows hold rows of one K-means cluster only, ProbCover's rule; for
        "linear" the norm of the longest row, that of unit rows.
    n_clusters : int, default=None
        Clusters of the K-means that "auto" asks, for "tophat" best the number of classes. None means as many as rows
        picked and labelled, at most a quarter of the pool.
    metric : {"cosine", "euclidean"}, default="cosine"
        "cosine" L2-normalises each row first; a zero row stays zero. The distance is Euclidean in both cases.
    max_references : int, default=20000
        Rows that are to be covered: all where there are no more, else a random sample of as many. None means all,
        which takes n² similarities.
    max_candidates : int, default=65536
        Rows that may be picked: all where there are no more, else a random sample of as many, of eight times the
        budget where that is more. None means all.
    device : {"auto", "cpu", "cuda", "cuda:i"} or torch.device, default="auto"
        Where to compute. "auto" takes a CUDA device where there is one.
    random_state : int, RandomState instance or None, default=None
        Seeds K-means and the samples of a large pool; nothing else is random.
    verbose : int, default=0
        1 prints, after each batch, a bound on the gains that are left.

    Attributes
    ----------
    selected_indices_ : ndarray of shape (budget,), int64
        Distinct rows of the pool, in the order of the greedy. With one sigma and seed, a smaller budget picks a prefix,
        as long as `max_candidates` are eight times the larger one or more than the pool.
    selected_index_ : pandas Index of shape (budget,)
        The same as entries of X's index. Only there where X is a DataFrame.
    sigma_ : float
        The bandwidth that was used.
    coverage_ : float
        Mean similarity of the rows to what is most similar to them of the labelled and the picked.
    device_ : torch.device
        Where it was computed.
    n_features_in_ : int
        Features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X was a DataFrame whose columns are all strings.

    See Also
    --------
    UHerdingSampler : The same, weighted by what a classifier is unsure of.
    GraphCoverageSampler : Covers the pool along its nearest neighbours instead of in balls.
    KMeansSampler : All picks in one batch, one from each cluster.
    skal.greedy.FacilityLocation : The objective.

    Notes
    -----
    ProbCover as published never selects a row in whose ball no edge ends, and picks row 0 again and again once all is
    covered. Here every row covers itself, and once all is covered the radius becomes half the distance of the row
    farthest from what is labelled or picked, and so on, until only copies are left; these follow by row number.

    Time, with r = min(n, `max_references`) rows to be covered and c = min(n, `max_candidates`) that may be picked:
    ``2·c·r·d`` operations in float32 compare all candidates with all rows to be covered once, half of it where these
    are the same rows. Where a sample says that candidates add something at less than a sixteenth of these rows, as with
    100 labelled rows or a small radius, that is all: from then on they are compared with those alone. Where less than a
    two-hundredth of the pairs are near, as within most radii, d becomes 64, 128 or 256 here, and a near pair takes some
    ``80·d``. A processor that multiplies bfloat16 much faster than float32 is asked to; the picks are the same. Without
    labels "rbf" took some 3.5 times as much on real embeddings.
    Peak memory beside X: a few vectors of length n, float32 r × d and c × d where the rows are sampled, 128 MiB of
    columns and as much of candidates in bfloat16, 8 bytes for each of at most 2²⁵ such pairs, half as much again while
    they move, and a float32 copy of as much of the pool as fits scikit-learn's ``working_memory``. "auto" adds a run of
    `KMeansSampler`, and for "tophat" ``2·4096·n·64`` operations, ``2·4096·n·d`` more where 64 coordinates tell little.

    References
    ----------
    .. [1] Bae et al., "Generalized coverage for more robust low-budget active learning", ECCV 2024: algorithm 1, and
       section 3 for the kernels.
    .. [2] Yehuda et al., "Active learning through a covering lens", NeurIPS 2022: algorithm 1, and section 4.2 for the
       radius.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.samplers import MaxHerdingSampler
    >>> X = np.array([[0.0], [0.1], [0.2], [5.0], [5.3]])
    >>> MaxHerdingSampler(budget=3, sigma=1.0, metric="euclidean").fit(X).selected_indices_
    array([1, 3, 4])
    >>> MaxHerdingSampler(budget=2, kernel="tophat", sigma=0.5, metric="euclidean").fit(X).coverage_
    1.0
    """

    _parameter_constraints: dict = {
        **BaseSampler._parameter_constraints,
        "kernel": [StrOptions({"rbf", "tophat", "linear"})],
        "sigma": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "n_clusters": [Interval(Integral, 1, None, closed="left"), None],
        "metric": [StrOptions({"cosine", "euclidean"})],
        "max_references": [Interval(Integral, 1, None, closed="left"), None],
        "max_candidates": [Interval(Integral, 1, None, closed="left"), None],
        "device": DEVICE,
        "verbose": ["verbose"],
    }

    _title = "MaxHerding"
    _order = "order of the greedy: with one sigma, smaller budgets are prefixes"
    _takes = "1 to 4 times c·r·d, at most r = 20,000 rows to be covered by c = 65,536"

    def __init__(
        self,
        budget=10,
        *,
        kernel="rbf",
        sigma="auto",
        n_clusters=None,
        metric="cosine",
        max_references=20000,
        max_candidates=65536,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        super().__init__(budget, random_state=random_state)
        self.kernel = kernel
        self.sigma = sigma
        self.n_clusters = n_clusters
        self.metric = metric
        self.max_references = max_references
        self.max_candidates = max_candidates
        self.device = device
        self.verbose = verbose

    def _facts(self):
        found = super()._facts()
        return found | {"coverage": f"{self.coverage_:.4g}", "sigma": f"{self.sigma_:.4g}"} if found else found

    def _select_rows(self, request):
        view = request.pool.view(self.metric, self.device, for_distances=True)
        self.device_ = view.device
        herd = Herd(request, view, self.kernel, self.max_references, self.max_candidates)
        self.sigma_ = self._resolve_sigma(request, view)
        picks, self.coverage_ = herd.pick(self.sigma_)
        return picks

    def _resolve_sigma(self, request, view):
        if self.sigma != "auto":
            return float(self.sigma)
        if self.kernel == "linear" and self.metric == "cosine":
            return 1.0
        if self.kernel == "linear":
            longest = math.sqrt(2.0 * float(view.blocks.half_sq_norms().max()))
            return longest / view.frame.factor if longest > 0 else 1.0
        clusters = clusters_of(request, self.metric, self.device, self.n_clusters)
        if self.kernel == "rbf":
            return bandwidth(clusters, view.n_rows)
        return pure_radius(clusters, view, request.rng)
