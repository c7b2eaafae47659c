"""UHerding: MaxHerding of what a classifier is unsure of."""

from __future__ import annotations

import numpy as np
import torch

from skal._core.uncertainty import lack_of_margin
from skal._validation import DEVICE, Integral, Interval, Real, StrOptions
from skal.base import BaseSampler
from skal.samplers._herding import Herd, bandwidth, clusters_of
from skal.samplers._learning import LEARNS, LearnsFromLabelsMixin, for_each_tile
from skal.samplers._max_herding import MaxHerdingSampler

__all__ = ["UHerdingSampler"]

_QUANTILE = 0.1
_LEAST_WEIGHT = 1e-3
_ROWS_AT_ONCE = 256


class UHerdingSampler(LearnsFromLabelsMixin, BaseSampler):
    """Pick the rows that best cover what a classifier is unsure of.

    The greedy of `MaxHerdingSampler` under "rbf", with each row weighted by one minus the margin between its two most
    probable classes. With fewer than two labelled classes there is nothing to be unsure of, and `initial` picks.

    Parameters
    ----------
    budget : int or float, default=10
        Rows to pick. A float in (0, 1] is a share of the pool's rows, ``max(1, floor(share * n))``.
    sigma : "auto" or float, default="auto"
        Bandwidth of the kernel in the units of the (normalised) rows. "auto" shrinks as labels grow: the lowest tenth
        of the distances from each labelled row to the nearest other one. (The paper takes the smallest, which is zero
        where two labelled rows are copies.) Where that is zero it is `MaxHerdingSampler`'s.
    classifier : classifier with `predict_proba`, default=None
        Any of scikit-learn's. Gets the pool as ``X_pool`` where its `fit` has that parameter. None means
        ``RidgeProbe()``, whose probabilities are calibrated by leave-one-out, in place of the paper's temperature.
    initial : sampler, default=None
        Picks while fewer than two classes are labelled. None means ``MaxHerdingSampler()``, as in the paper.
    metric : {"cosine", "euclidean"}, default="cosine"
        "cosine" L2-normalises each row first; a zero row stays zero. The distance is Euclidean in both cases.
    max_references : int, default=20000
        Rows that are to be covered: all where there are no more, else a random sample of as many. None means all.
    max_candidates : int, default=65536
        Rows that may be picked: all where there are no more, else a random sample of as many, of eight times the
        budget where that is more. None means all.
    device : {"auto", "cpu", "cuda", "cuda:i"} or torch.device, default="auto"
        Where to compute. "auto" takes a CUDA device where there is one.
    random_state : int, RandomState instance or None, default=None
        Seeds the classifier, the initial sampler and the sample of a large pool.
    verbose : int, default=0
        1 prints, after each batch, a bound on the gains that are left.

    Attributes
    ----------
    selected_indices_ : ndarray of shape (budget,), int64
        Distinct rows of the pool, in the order of the greedy; after a cold start in that of the initial sampler.
    selected_index_ : pandas Index of shape (budget,)
        The same as entries of X's index. Only there where X is a DataFrame.
    sigma_ : float
        The bandwidth that was used. Not there after a cold start.
    classifier_ : classifier
        The fitted classifier. Not there after a cold start.
    initial_ : sampler
        The fitted initial sampler. Only there after a cold start.
    device_ : torch.device
        Where it was computed.
    n_features_in_ : int
        Features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X was a DataFrame whose columns are all strings.

    See Also
    --------
    MaxHerdingSampler : The same without labels.
    MarginSampler : The most uncertain rows, whether or not they represent others.
    BADGESampler : Draws rows whose gradients are long and unlike each other.

    Notes
    -----
    Time and memory are those of `MaxHerdingSampler`, of the classifier's training, and of its `predict_proba` on the
    pool, a tile at a time. A row that the classifier is sure of weighs 0.001 at the least, so that it
    is covered once the others are. With one sigma, smaller budgets are prefixes.

    References
    ----------
    .. [1] Bae et al., "Uncertainty herding: one active learning method for all label budgets", ICLR 2025, section 3.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skal.samplers import UHerdingSampler
    >>> X, y = load_digits(return_X_y=True)
    >>> sampler = UHerdingSampler(budget=20, random_state=0).fit(X, y, labeled_indices=range(20))
    >>> sampler.selected_indices_.shape
    (20,)
    """

    _parameter_constraints: dict = {
        **BaseSampler._parameter_constraints,
        **LEARNS,
        "sigma": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "metric": [StrOptions({"cosine", "euclidean"})],
        "max_references": [Interval(Integral, 1, None, closed="left"), None],
        "max_candidates": [Interval(Integral, 1, None, closed="left"), None],
        "device": DEVICE,
        "verbose": ["verbose"],
    }

    _title = "UHerding"
    _order = "order of the greedy: smaller budgets are prefixes"
    _takes = "those of MaxHerding, a training, and predictions of the pool"
    _needs = "labels"

    def __init__(
        self,
        budget=10,
        *,
        sigma="auto",
        classifier=None,
        initial=None,
        metric="cosine",
        max_references=20000,
        max_candidates=65536,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        super().__init__(budget, random_state=random_state)
        self.sigma = sigma
        self.classifier = classifier
        self.initial = initial
        self.metric = metric
        self.max_references = max_references
        self.max_candidates = max_candidates
        self.device = device
        self.verbose = verbose

    def _select_rows(self, request):
        self._forget("sigma_")
        view = request.pool.view(self.metric, self.device, for_distances=True)
        self.device_ = view.device
        if not self._learn(request):
            return self._select_cold(request)
        doubt = for_each_tile(request.pool, lambda rows: 1.0 + lack_of_margin(self._probabilities(rows)))
        herd = Herd(request, view, "rbf", self.max_references, self.max_candidates)
        self.sigma_ = self._resolve_sigma(request, view)
        picks, _ = herd.pick(self.sigma_, np.maximum(doubt[herd.reference_idx], _LEAST_WEIGHT))
        return picks

    def _default_initial(self):
        return MaxHerdingSampler(
            metric=self.metric,
            max_references=self.max_references,
            max_candidates=self.max_candidates,
            device=self.device,
        )

    def _resolve_sigma(self, request, view):
        if self.sigma != "auto":
            return float(self.sigma)
        between = _distances_to_nearest(view.blocks.take(request.labeled_idx).double()) / view.frame.factor
        sigma = float(np.quantile(between, _QUANTILE, method="lower"))
        return sigma or bandwidth(clusters_of(request, self.metric, self.device), view.n_rows)


def _distances_to_nearest(rows):
    """Distance of each of the rows (m, d) to the nearest other one, shape (m,)."""
    nearest = []
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[start : start + _ROWS_AT_ONCE]
        distances = torch.cdist(part, rows, compute_mode="donot_use_mm_for_euclid_dist")
        own = torch.arange(len(part), device=rows.device)
        distances[own, own + start] = torch.inf
        nearest.append(distances.amin(dim=1))
    return torch.cat(nearest).cpu().numpy()
