"""Cover the pool along its neighbour graph."""

from __future__ import annotations

import numpy as np

from skal._core.blocks import Blocks
from skal._core.graph import coverage_kernel, levels_of, neighbors_of_sample, pick_on_level
from skal._validation import DEVICE, Integral, Interval, Real, StrOptions
from skal.base import BaseSampler

__all__ = ["GraphCoverageSampler"]


class GraphCoverageSampler(BaseSampler):
    """Pick the rows that cover most of the pool along its graph of nearest neighbours.

    A row covers what can be reached from it in few steps to near neighbours, whatever the shape of the group that it
    lies in. Greedily, each pick is the row that adds most to what the labelled rows and the picks before it cover.

    Parameters
    ----------
    budget : int or float, default=10
        Rows to pick. A float in (0, 1] is a share of the pool's rows, ``max(1, floor(share * n))``.
    n_neighbors : int, default=10
        Neighbours of each row in the graph.
    alpha : float, default=0.95
        How far steps lead, in (0, 1).
    metric : {"cosine", "euclidean"}, default="cosine"
        "cosine" L2-normalises each row first; a zero row stays zero.
    device : {"auto", "cpu", "cuda", "cuda:i"} or torch.device, default="auto"
        Where neighbours are found. "auto" takes a CUDA device where there is one. Coverage is computed on the CPU.
    random_state : int, RandomState instance or None, default=None
        Draws the samples of pools of more than 4,096 rows; nothing else is random.
    verbose : int, default=0
        1 prints, after each batch, a bound on what one more pick covers.

    Attributes
    ----------
    selected_indices_ : ndarray of shape (budget,), int64
        Distinct rows of the pool, in the order of the greedy: a smaller budget picks a prefix.
    selected_index_ : pandas Index of shape (budget,)
        The same as entries of X's index. Only there where X is a DataFrame.
    device_ : torch.device
        Where neighbours were found.
    n_features_in_ : int
        Features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X was a DataFrame whose columns are all strings.

    See Also
    --------
    MaxHerdingSampler : Covers the pool in balls around the picks instead.
    KMeansSampler : One row from each cluster; its `select` picks from other pools, too.
    skal.classifiers.GraphClassifier : A classifier on the same graph.

    Notes
    -----
    The kernel, with S the normalised weights of the graph (`skal.classifiers.GraphClassifier` says which), v the mean
    squared distance of the rows to their mean:

    ``k(x, y) = K_xy / √(K_xx K_yy) · exp(−2 ‖x − y‖² / v)``, ``K = (1 − alpha) (I − alpha S)⁻¹``.

    What is maximised is ``Σ_x max over s of k(s, x)^p`` over the labelled rows and picks s. The power p rises with
    their number t: it is the lowest from 0.1 to 1 under which a row covers at most n / t rows on average. So the
    first picks, of which each stands for many rows, see far.

    Up to 4,096 rows that is exact. A larger pool is covered from coarse to fine, on random samples of 4,096, 16,384,
    65,536 and 262,144 rows, each holding those before it and what is labelled or picked; each as long as a pick
    covers at least 50 rows of it, and the last, all rows where the pool has fewer, for the rest. On samples of more
    than 4,096 rows what a row covers is cut off after some hundred rows. Whether a budget is small or large changes
    nothing for the first picks.

    Time: ``m³`` operations for the first sample, m = 4,096; then ``2·m²·d`` for the neighbours of m rows (by cells
    beyond 16,384, where these are the whole pool beyond 65,536), some ``5,000·m`` sparse operations for what each
    covers, and ``256·m·d`` for its distances to that. Memory: some 600 MiB for the first sample; then
    ``(12·256 + 8·d)·m`` bytes for the kernel and the rows.

    References
    ----------
    .. [1] Zhou et al., "Learning with local and global consistency", NeurIPS 2003: the kernel.
    .. [2] Bae et al., "Generalized coverage for more robust low-budget active learning", ECCV 2024: coverage under
       any kernel.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skal.samplers import GraphCoverageSampler
    >>> X, y = load_digits(return_X_y=True)
    >>> picks = GraphCoverageSampler(budget=10).fit_select(X)
    >>> len(set(y[picks].tolist()))
    10
    """

    _parameter_constraints: dict = {
        **BaseSampler._parameter_constraints,
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "alpha": [Interval(Real, 0, 1, closed="neither")],
        "metric": [StrOptions({"cosine", "euclidean"})],
        "device": DEVICE,
        "verbose": ["verbose"],
    }

    _title = "Graph coverage"
    _order = "order of the greedy: smaller budgets are prefixes"
    _takes = "4096³ once, then n²·d for the neighbours up to 16,384 rows and n·5000; less by cells beyond"

    def __init__(
        self,
        budget=10,
        *,
        n_neighbors=10,
        alpha=0.95,
        metric="cosine",
        device="auto",
        random_state=None,
        verbose=0,
    ):
        super().__init__(budget, random_state=random_state)
        self.n_neighbors = n_neighbors
        self.alpha = alpha
        self.metric = metric
        self.device = device
        self.verbose = verbose

    def _select_rows(self, request):
        view = request.pool.view(self.metric, self.device, for_distances=True)
        self.device_ = view.device
        view.blocks.check_finite()
        order = request.rng.permutation(view.n_rows)
        picks = np.empty(0, dtype=np.int64)
        request.progress.begin(None, "batch")
        for level in levels_of(view.n_rows):
            n_covering = len(request.labeled_idx) + len(picks)
            n_more = min(request.budget - len(picks), level.last - n_covering)
            if n_more > 0:
                picks = np.concatenate([picks, self._pick_on(level, view, order, request, picks, n_more)])
        n_missing = request.budget - len(picks)  # beyond the rows of the finest sample
        is_left = request.is_candidate
        is_left[picks] = False
        return np.concatenate([picks, order[is_left[order]][:n_missing]])

    def _pick_on(self, level, view, order, request, picks, n_more):
        """Pick on one level, whose rows are those of `order` up to its size and all that cover."""
        covering = np.concatenate([request.labeled_idx, picks])
        row_idx = np.union1d(order[: level.n_rows], covering)
        is_whole = len(row_idx) == view.n_rows
        rows = view.blocks if is_whole else Blocks(view.blocks.take(row_idx), view.device)
        neighbors = view.neighbors(self.n_neighbors) if is_whole else neighbors_of_sample(rows, self.n_neighbors)
        kernel = coverage_kernel(rows, neighbors, self.alpha)
        local = np.searchsorted(row_idx, covering)
        n_more = min(n_more, len(row_idx) - len(covering))
        found = pick_on_level(
            kernel,
            local,
            n_more,
            local,
            on_batch=lambda n_picks, gain: request.progress.advance(len(picks) + n_picks, gain, "gain"),
        )
        return row_idx[found]
