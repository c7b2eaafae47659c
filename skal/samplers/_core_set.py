"""Core-set: cover the pool, one farthest row after the other."""

from __future__ import annotations

import math

import numpy as np
import torch

from skal._core.greedy import ExactRows, KCenter, LazyGreedy, row_nearest_mean
from skal._core.workers import on_workers
from skal._validation import DEVICE, StrOptions
from skal.base import BaseSampler

__all__ = ["CoreSetSampler"]


class CoreSetSampler(BaseSampler):
    """Pick the row farthest from everything labelled or picked so far, `budget` times.

    k-center greedy, the Core-set baseline: always exactly the sequential greedy in float64, ties to the lowest row.
    Float32 matrix products only rule rows out; what they leave open, float64 decides on the host. So the picks
    depend on neither the device, nor the number of threads, nor the memory that is allowed.

    Parameters
    ----------
    budget : int or float, default=10
        Rows to pick. A float in (0, 1] is a share of the pool's rows, ``max(1, floor(share * n))``.
    metric : {"cosine", "euclidean"}, default="cosine"
        "cosine" L2-normalises each row first, as the paper does; a zero row stays zero. The distance is
        Euclidean in both cases.
    init : {"mean", "random"}, default="mean"
        The first pick where nothing is labelled: the row nearest the mean of the pool, ties to the
        lowest, or a random row.
    device : {"auto", "cpu", "cuda", "cuda:i"} or torch.device, default="auto"
        Where to compute. "auto" takes a CUDA device where there is one.
    random_state : int, RandomState instance or None, default=None
        Seeds the first row of ``init="random"``; nothing else is random.
    verbose : int, default=0
        1 prints, after each batch, a bound on the distances that are left.

    Attributes
    ----------
    selected_indices_ : ndarray of shape (budget,), int64
        Distinct rows of the pool, in the order of the greedy: a smaller budget picks a prefix.
    radius_ : float
        Covering radius: the largest distance of a row to the nearest row labelled or picked, exact in float64; 0
        where every row left is a copy of one of them.
    device_ : torch.device
        Where it was computed.
    selected_index_ : pandas Index of shape (budget,)
        The same as entries of X's index. Only there where X is a DataFrame.
    n_features_in_ : int
        Features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X was a DataFrame whose columns are all strings.

    See Also
    --------
    KMeansSampler : Representative rows instead of outlying ones: better at low budgets.
    MaxHerdingSampler : Also greedy, for the mean row instead of the farthest.

    Notes
    -----
    What is computed, in float64: the rows as given, each divided by its ``numpy.linalg.norm`` under "cosine"; squared
    distances as ``((x - c) ** 2).sum()`` over contiguous rows. The first pick of ``init="mean"`` is the row of least
    ``((n * x - total) ** 2).sum()``, where the total is the rows added one after the other. Distances are bounded by
    how much float32 can be off at the worst, and rows within that of each other are compared by differences.

    With L rows labelled: time ``2·n·(L + budget)·d`` operations at the most, in float32 matrix products (about a
    third of that on real embeddings, as rows that cannot win any more are left alone), and float64 differences of
    a few centers a pick. Where groups of rows are tighter than float32 can see, or rows lie at equal distances, each
    is compared by differences with the centers of its own group: at the worst, and never more, the
    ``n·(L + budget)·d`` differences of the plain float64 loop.

    Peak memory beside X: five vectors of length n, (L + budget) × d in float32 and, of the centers that differences
    are computed to, in float64, and a float32 copy of as much of the pool as fits scikit-learn's
    ``working_memory``; the rest is read from X again when it is needed.

    References
    ----------
    .. [1] Sener and Savarese, "Active learning for convolutional neural networks: a core-set approach",
       ICLR 2018, algorithm 1.
    .. [2] Pourahmadi, Nooralinejad and Pirsiavash, "A Simple Baseline for Low-Budget Active
       Learning", section 4, "Core-set".

    Examples
    --------
    >>> import numpy as np
    >>> from skal.samplers import CoreSetSampler
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0], [10.0]])
    >>> CoreSetSampler(budget=3, metric="euclidean").fit(X).selected_indices_
    array([3, 4, 0])
    >>> CoreSetSampler(budget=1, metric="euclidean").fit(X, labeled_indices=[0, 4]).radius_
    1.0
    """

    _parameter_constraints: dict = {
        **BaseSampler._parameter_constraints,
        "metric": [StrOptions({"cosine", "euclidean"})],
        "init": [StrOptions({"mean", "random"})],
        "device": DEVICE,
        "verbose": ["verbose"],
    }

    _title = "Core-set"
    _order = "order of the greedy: smaller budgets are prefixes"
    _takes = "n·(L + budget)·d"
    _takes_chunks = True

    def __init__(self, budget=10, *, metric="cosine", init="mean", device="auto", random_state=None, verbose=0):
        super().__init__(budget, random_state=random_state)
        self.metric = metric
        self.init = init
        self.device = device
        self.verbose = verbose

    def _facts(self):
        found = super()._facts()
        return found | {"distance of the farthest row": f"{self.radius_:.4g}"} if found else found

    @on_workers()
    def _select_rows(self, request):
        view = request.pool.view(self.metric, self.device)
        self.device_ = view.device
        exact_rows = ExactRows(
            request.pool.raw_blocks(torch.device("cpu"), dtype=torch.float64),
            normalize=self.metric == "cosine",
            factor=view.frame.factor,
        )
        first_idx = np.empty(0, dtype=np.int64)
        if len(request.labeled_idx) == 0:
            first = self._first_row(view, exact_rows, request.rng)
            first_idx = np.array([first], dtype=np.int64)
        center_idx = np.concatenate([request.labeled_idx, first_idx])
        n_more = request.budget - len(first_idx)
        greedy = LazyGreedy(KCenter(view.blocks, exact_rows, center_idx, n_more), excluded=center_idx)
        request.progress.begin(None, "batch")
        picks = greedy.pick(
            n_more,
            on_batch=lambda n_picks, sq_dist: request.progress.advance(n_picks, math.sqrt(sq_dist), "distance"),
        )
        self.radius_ = math.sqrt(max(greedy.largest_gain(), 0.0)) / view.frame.factor
        return np.concatenate([first_idx, picks])

    def _first_row(self, view, exact_rows, rng):
        if self.init == "random":
            return rng.integers(view.n_rows)
        origin_norm = float(np.linalg.norm(view.frame.origin * view.frame.factor))
        return row_nearest_mean(view.blocks, exact_rows, origin_norm=origin_norm)
