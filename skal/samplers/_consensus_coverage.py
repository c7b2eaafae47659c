"""Swap K-means' picks as long as that raises how often rows share a cluster with the nearest of them."""

from __future__ import annotations

import numpy as np
import torch

from skal._core.blocks import Blocks
from skal._core.graph import clusterings_of, count_parts, neighbors_of_sample
from skal._core.nearest_swaps import NearestSwaps
from skal._core.workers import on_workers
from skal._validation import DEVICE, Integral, Interval, Real, StrOptions
from skal.base import BaseSampler
from skal.samplers._kmeans import KMeansSampler

__all__ = ["ConsensusCoverageSampler"]

_LEAST_ROWS, _ROWS_A_PICK, _MOST_ROWS = 4096, 50, 65_536
_LEAST_CLUSTERS, _CLUSTERS_WITHOUT_A_PICK, _MOST_CLUSTERS = 8, 40, 4096
_TIMES_AS_MANY_NEIGHBORS = (1, 2, 4, 8)
_CANDIDATES_A_ROUND = 1024


class ConsensusCoverageSampler(BaseSampler):
    """Swap K-means' picks for rows that share their clusters with the rows nearest to them, in many clusterings.

    A classifier by the nearest labelled row is right about a row if both are of one class. How likely that is, many
    clusterings tell: two rows belong together as often as they share a cluster. From K-means' picks on, a pick is
    swapped for another row as long as that raises how much all rows agree with the pick that is the nearest to them.

    Parameters
    ----------
    budget : int or float, default=10
        Rows to pick. A float in (0, 1] is a share of the pool's rows, ``max(1, floor(share * n))``.
    n_clusterings : int, default=60
        How often the pool is clustered, at most 255.
    n_neighbors : int, default=10
        Neighbours of each row in the graph with most edges. Three graphs take turns: with so many, three quarters of
        them and half. As long as the last falls into more than eight parts, as in a pool of copies, there are twice as
        many, up to eight times.
    alpha : float, default=0.95
        How far steps on the graph lead, in (0, 1); very near 1, clusterings see the parts of the graph only.
    max_rounds : int, default=4
        Rounds of swaps, each of which tries 1,024 other rows, as far as there are so many, in the place of each pick. A
        round without a swap is the last. 0 leaves K-means' picks as they are.
    metric : {"cosine", "euclidean"}, default="cosine"
        "cosine" L2-normalises each row first; a zero row stays zero.
    device : {"auto", "cpu", "cuda", "cuda:i"} or torch.device, default="auto"
        Where distances are computed. "auto" takes a CUDA device where there is one. The graph is clustered on the CPU.
    random_state : int, RandomState instance or None, default=None
        Seeds K-means and the clusterings, and draws the rows that are tried.
    verbose : int, default=0
        1 prints the coverage after each round.

    Attributes
    ----------
    selected_indices_ : ndarray of shape (budget,), int64
        Distinct rows of the pool; that first which is the nearest to most of the rows that are covered. A smaller
        budget picks other rows.
    selected_index_ : pandas Index of shape (budget,)
        The same as entries of X's index. Only there where X is a DataFrame.
    coverage_ : float
        The share of clusterings in which a row and its nearest labelled row or pick share a cluster, squared, on
        average over the rows that are covered, in [0, 1]. NaN where the graph stayed in more than eight parts; the
        picks are K-means' own then.
    device_ : torch.device
        Where distances were computed.
    n_features_in_ : int
        Features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X was a DataFrame whose columns are all strings.

    See Also
    --------
    GraphCoverageSampler : Covers the same graph greedily: smaller budgets are prefixes.
    KMeansSampler : What the swaps begin with.
    skal.classifiers.CosineKNNClassifier : The classifier that this is for, with one neighbour.

    Notes
    -----
    The graphs are those of `skal.classifiers.GraphClassifier`. Each clustering is K-means on the leading coordinates of
    its diffusion map, as many as there are clusters, at the most 100. Their numbers are drawn from 8 to 40, and with
    more than 40 rows that are labelled or picked, from a quarter of them to all of them. What the swaps raise is

    ``Σ_x a(x, s(x))``, ``a(x, s) = (share of clusterings in which x and s share a cluster)²``,

    where s(x) is the labelled row or pick nearest to x, by `metric`. As in PAM, each swap is the best of all
    between some candidates and the picks, whose gains are found at once (Schubert and Rousseeuw, 2021).

    Labelled rows cover, too, and are never swapped; their labels are not used.

    A pool of more than m rows is represented by as many, drawn at random, and by all labelled rows and first picks: m
    is fifty times the number of labelled rows and picks, at least 4,096 and at most 65,536. Only those are covered and
    tried.

    Time: that of `KMeansSampler`; ``2·m²·d`` for the neighbours of m rows (by cells beyond 16,384);
    ``150·m·g·q + 18·m·q²`` for the eigenvectors of graphs of g neighbours, q = p + 20; for clusterings into k clusters
    ``60·20·p·k`` for each of max(4,096, 16·k) rows and ``60·2·p·k`` for each of the others, p = min(k, 100); ``2·m·d``
    operations and 60·m comparisons for each of up to 4,096 rows that are tried. Memory: that of K-means, and
    ``(60 + 4·d + 32·(p + 20) + 12·p·workers)·m`` bytes.

    References
    ----------
    .. [1] Fred and Jain, "Combining multiple clusterings using evidence accumulation", TPAMI 2005: how often two rows
       share a cluster.
    .. [2] Coifman and Lafon, "Diffusion maps", ACHA 2006.
    .. [3] Schubert and Rousseeuw, "Fast and eager k-medoids clustering", Information Systems 2021: the swaps.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skal.samplers import ConsensusCoverageSampler
    >>> X, y = load_digits(return_X_y=True)
    >>> picks = ConsensusCoverageSampler(budget=20, random_state=0).fit_select(X)
    >>> len(set(y[picks].tolist()))
    10
    """

    _parameter_constraints: dict = {
        **BaseSampler._parameter_constraints,
        "n_clusterings": [Interval(Integral, 1, 255, closed="both")],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "alpha": [Interval(Real, 0, 1, closed="neither")],
        "max_rounds": [Interval(Integral, 0, None, closed="left")],
        "metric": [StrOptions({"cosine", "euclidean"})],
        "device": DEVICE,
        "verbose": ["verbose"],
    }

    _title = "Consensus coverage"
    _order = "that first which is the nearest to most rows"
    _takes = "K-means, and m·(4096·d + 120·p·k), m = max(4096, 50·budget) up to 65,536, k clusters, p = min(k, 100)"

    def __init__(
        self,
        budget=10,
        *,
        n_clusterings=60,
        n_neighbors=10,
        alpha=0.95,
        max_rounds=4,
        metric="cosine",
        device="auto",
        random_state=None,
        verbose=0,
    ):
        super().__init__(budget, random_state=random_state)
        self.n_clusterings = n_clusterings
        self.n_neighbors = n_neighbors
        self.alpha = alpha
        self.max_rounds = max_rounds
        self.metric = metric
        self.device = device
        self.verbose = verbose

    @on_workers()
    def _select_rows(self, request):
        view = request.pool.view(self.metric, self.device, for_distances=True)
        self.device_ = view.device
        start = KMeansSampler(
            request.budget, metric=self.metric, device=self.device, random_state=int(request.rng.integers(2**31))
        )
        picks = start.fit(request.pool, labeled_indices=request.labeled_idx).selected_indices_
        row_idx = self._rows_to_cover(view, request, picks)
        is_whole = len(row_idx) == view.n_rows
        rows = view.blocks if is_whole else Blocks(view.blocks.take(row_idx), view.device)
        graphs = self._graphs(view, None if is_whole else rows)
        if not graphs:
            self.coverage_ = np.nan
            return picks
        n_clusters = self._draw_n_clusters(len(row_idx), len(request.labeled_idx) + request.budget, request.rng)
        clusterings = self._clusterings(graphs, n_clusters, request.rng).to(view.device)
        labeled, picked = (
            torch.from_numpy(np.searchsorted(row_idx, idx)).to(view.device) for idx in (request.labeled_idx, picks)
        )
        swaps = NearestSwaps(rows.whole(), clusterings, labeled, picked)
        self._improve(swaps, labeled, len(row_idx), request)
        self.coverage_ = swaps.agreement()
        order = torch.argsort(swaps.n_covered_by_each(), descending=True, stable=True)
        return row_idx[swaps.picks[order].cpu().numpy()]

    def _improve(self, swaps, labeled, n_rows, request):
        """Try candidates in rounds, each at most once, until none of a round is swapped in."""
        untried = np.ones(n_rows, dtype=bool)
        untried[labeled.cpu().numpy()] = False
        request.progress.begin(self.max_rounds, "round")
        for n_rounds in range(1, self.max_rounds + 1):
            untried[swaps.picks.cpu().numpy()] = False
            left = np.flatnonzero(untried)
            if len(left) == 0:
                break
            tried = request.rng.choice(left, size=min(_CANDIDATES_A_ROUND, len(left)), replace=False)
            untried[tried] = False
            n_swaps = swaps.try_rows(torch.from_numpy(tried).to(self.device_))
            request.progress.advance(n_rounds, swaps.agreement(), "coverage")
            if n_swaps == 0:
                break

    def _graphs(self, view, sample):
        """Return the graphs with all, three quarters and half of the neighbours; none where they fall into many parts.

        The coordinates of a diffusion map cannot tell more parts apart than there are coordinates.
        """
        for times in _TIMES_AS_MANY_NEIGHBORS:
            k = times * self.n_neighbors
            neighbors = view.neighbors(k) if sample is None else neighbors_of_sample(sample, k)
            graphs = [neighbors.first(-(-neighbors.n_neighbors * share // 4)) for share in (4, 3, 2)]
            if count_parts(graphs[-1]) <= _LEAST_CLUSTERS:
                return graphs
        return []

    def _clusterings(self, graphs, n_clusters, rng):
        """Cluster the graphs in turn."""
        parts = [
            clusterings_of(graph, self.alpha, n_clusters[turn :: len(graphs)], rng)
            for turn, graph in enumerate(graphs[: len(n_clusters)])
        ]
        is_large = any(part.dtype == torch.int16 for part in parts)
        return torch.cat([part.to(torch.int16) for part in parts] if is_large else parts)

    def _rows_to_cover(self, view, request, picks):
        """Return all rows of a small pool, else a sample with what is labelled and the first picks."""
        n_covering = len(request.labeled_idx) + len(picks)
        n_rows = min(max(_LEAST_ROWS, _ROWS_A_PICK * n_covering), _MOST_ROWS)
        if n_rows >= view.n_rows:
            return np.arange(view.n_rows)
        drawn = request.rng.choice(view.n_rows, size=n_rows, replace=False)
        return np.union1d(drawn, np.concatenate([request.labeled_idx, picks]))

    def _draw_n_clusters(self, n_rows, n_covering, rng):
        """Draw numbers of clusters, from a quarter of what covers up to as many, but also from 8 to 40."""
        most = min(n_rows, _MOST_CLUSTERS)
        lowest = min(max(_LEAST_CLUSTERS, n_covering // 4), most)
        highest = min(max(_CLUSTERS_WITHOUT_A_PICK, n_covering), most)
        return rng.integers(lowest, highest, size=self.n_clusterings, endpoint=True).tolist()
