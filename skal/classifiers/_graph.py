"""Labels spread over the neighbour graph of the whole pool."""

from __future__ import annotations

import warnings

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from skal._core.device import ordinary_torch
from skal._core.graph import (
    ClassShares,
    affinity,
    edge_weights,
    nearest_in_pool,
    poisson_learning,
    spread_labels,
    spread_sparsely,
)
from skal._core.workers import on_workers
from skal._validation import (
    DEVICE,
    Integral,
    Interval,
    Real,
    StrOptions,
    check_pool,
    check_target_length,
    fit_context,
    labeled_rows,
    rows_of,
    working_memory_bytes,
)
from skal.classifiers._labels import encode_labels
from skal.pool import open_pool

__all__ = ["GraphClassifier"]

_ROWS_AT_ONCE = 2048


class GraphClassifier(ClassifierMixin, BaseEstimator):
    """Let the labelled rows of a pool vote for the others along the graph of nearest neighbours.

    Rows of a class rarely lie in a ball; they lie along the pool. A vote travels from neighbour to neighbour, so it
    reaches all of such a shape, which a nearest-neighbour or linear classifier on the labelled rows alone cannot see.
    Each class has the same number of votes, however many of its rows are labelled.

    Parameters
    ----------
    method : {"spreading", "poisson"}, default="spreading"
        "spreading" solves ``F = (1 − alpha) (I − alpha S)⁻¹ Y`` (local and global consistency). "poisson" solves
        ``L u = Σ_j δ_j (y_j − ȳ)`` (Poisson learning), which has no `alpha`.
    n_neighbors : int, default=10
        Neighbours of each row in the graph, and of a new row among the pool.
    alpha : float, default=0.95
        How far votes travel, in (0, 1). Here a labelled row keeps no label by force; scikit-learn's
        `LabelSpreading` means the same by its `alpha`.
    class_prior : array-like of shape (n_classes,), default=None
        How frequent each class is in the pool; its scores are multiplied by it. None means all alike.
    metric : {"cosine", "euclidean"}, default="cosine"
        "cosine" L2-normalises each row first; a zero row stays zero.
    classes : array-like of shape (n_classes,), default=None
        The full list of classes, where it is known; one that no labelled row shows gets probability 0. None means
        the classes in y.
    tol : float, default=1e-8
        Conjugate gradients end when the residual is at most this share of the right-hand side.
    max_iter : int, default=1000
        Iterations of conjugate gradients at the most; a `ConvergenceWarning` says where they were too few.
    device : {"auto", "cpu", "cuda", "cuda:i"} or torch.device, default="auto"
        Where neighbours are found. "auto" takes a CUDA device where there is one. Labels spread on the CPU.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Known classes, sorted.
    transduction_ : ndarray of shape (n_pool,)
        Class of each row of the pool.
    n_iter_ : int
        Iterations of conjugate gradients, the most of any block of classes, or steps.
    device_ : torch.device
        Where neighbours were found.
    n_features_in_ : int
        Features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X was a DataFrame whose columns are all strings.

    See Also
    --------
    CosineKNNClassifier : The labelled rows alone.
    RidgeProbe : A linear layer, which a new image needs no pool for.
    skal.samplers.GraphCoverageSampler : Which rows to label for this.

    Notes
    -----
    The graph: the `n_neighbors` nearest rows (`skal.Pool.neighbors`, which says what it costs and from which size on
    it is approximate), weights ``exp(−4 d² / d_k²)``, of the two of a pair the larger. It is kept with the pool where
    that is a `skal.Pool`, for other fits and samplers.

    A row that no label reaches gets the class of the nearest labelled row. A new row gets the mean of its neighbours
    in the pool by the same weights; one that is in the pool, what that row has. A labelled row that is not in the
    pool votes through its neighbours there. Both look for these in the whole pool up to 65,536 rows, in the cells of
    the neighbour search around them beyond.

    Time: about 60 iterations at the default `alpha`, each ``4·n·n_neighbors·n_classes`` operations. Memory: the graph
    (about ``24·n·n_neighbors`` bytes), eight arrays of 2²⁵ numbers, and n × n_classes float64.

    Where n × n_classes float64 do not fit scikit-learn's ``working_memory`` (1 GiB: 1.3 million rows of a hundred
    classes), a row keeps 16 classes at the most, and the probabilities of others are 0. Labels then spread step by
    step, ``log 0.01 / log alpha`` steps (90 at the default) in place of conjugate gradients, and what is below 1/64 of
    a row's largest score is left out on the way: a step takes some ``12·n·n_neighbors`` operations, for any n_classes.

    References
    ----------
    .. [1] Zhou et al., "Learning with local and global consistency", NeurIPS 2003.
    .. [2] Calder, Cook, Thorpe and Slepčev, "Poisson learning: graph based semi-supervised learning at very low
       label rates", ICML 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skal.classifiers import GraphClassifier
    >>> from skal.samplers import KMeansSampler
    >>> X, y = load_digits(return_X_y=True)
    >>> picks = KMeansSampler(budget=20, random_state=0).fit_select(X)
    >>> model = GraphClassifier().fit(X[picks], y[picks], X_pool=X)
    >>> bool(model.score(X, y) > 0.85)
    True
    """

    _parameter_constraints: dict = {
        "method": [StrOptions({"spreading", "poisson"})],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "alpha": [Interval(Real, 0, 1, closed="neither")],
        "class_prior": ["array-like", None],
        "metric": [StrOptions({"cosine", "euclidean"})],
        "classes": ["array-like", None],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "device": DEVICE,
    }

    def __init__(
        self,
        method="spreading",
        *,
        n_neighbors=10,
        alpha=0.95,
        class_prior=None,
        metric="cosine",
        classes=None,
        tol=1e-8,
        max_iter=1000,
        device="auto",
    ):
        self.method = method
        self.n_neighbors = n_neighbors
        self.alpha = alpha
        self.class_prior = class_prior
        self.metric = metric
        self.classes = classes
        self.tol = tol
        self.max_iter = max_iter
        self.device = device

    @fit_context(prefer_skip_nested_validation=True)
    @ordinary_torch()
    def fit(self, X, y, *, X_pool=None):
        """Spread the labels over the pool.

        Parameters
        ----------
        X : array-like of shape (n, d) or Pool
            The labelled rows.
        y : array-like of shape (n,)
            Their classes. Without `X_pool`, entries may be missing (None or NaN): those rows are not labelled.
        X_pool : array-like of shape (m, d) or Pool, default=None
            The whole pool, labelled rows included. None means that X is the pool.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If a row holds NaN or infinity (the first is named), a label is missing or not in `classes`, the lengths
            differ, or `class_prior` does not fit the classes.
        """
        labeled_X, y = self._labeled_part(check_pool(self, X, reset=True), y, X_pool)
        self.classes_, targets = encode_labels(self, labeled_X, y, self.classes)
        class_weights = self._class_weights(targets)
        pool = open_pool(self, X if X_pool is None else X_pool, reset=False)
        view = pool.view(self.metric, self.device, for_distances=True)
        self.device_, self._pool_blocks, self._search = view.device, view.blocks, view.search
        weights = affinity(view.neighbors(self.n_neighbors))
        sources = self._sources(labeled_X)
        self.n_iter_ = 0
        self._shares = ClassShares(pool.n_rows, len(self.classes_), working_memory_bytes())
        self._spread(weights, self._labels_of_the_pool(sources, targets), class_weights)
        self._decide_the_rest(weights, sources, view.frame.blocks(labeled_X, self.device_), targets)
        self.transduction_ = self.classes_[self._shares.winners()]
        return self

    @ordinary_torch()
    def predict_proba(self, X):
        """Return the share of the votes of each class.

        Parameters
        ----------
        X : array-like of shape (n, d) or Pool

        Returns
        -------
        ndarray of shape (n, n_classes)
            Not calibrated; with "poisson" measured from the class of the lowest score, which has 0.
        """
        check_is_fitted(self)
        return np.concatenate(list(self._shares_of(X)))

    @ordinary_torch()
    def predict(self, X):
        """Return the class with the most votes.

        Parameters
        ----------
        X : array-like of shape (n, d) or Pool
            Read in tiles; memory does not grow with n × n_classes.

        Returns
        -------
        ndarray of shape (n,)
        """
        check_is_fitted(self)
        return self.classes_[np.concatenate([shares.argmax(axis=1) for shares in self._shares_of(X)])]

    def _labeled_part(self, X, y, X_pool):
        """Leave out the rows whose label is missing, where X is the pool."""
        check_target_length(self, X, y)
        if X_pool is not None:
            return X, y
        labeled_idx, _ = labeled_rows(self, X, y, None)
        return (X, y) if len(labeled_idx) == 0 else (rows_of(X, labeled_idx), rows_of(y, labeled_idx))

    def _sources(self, labeled_X):
        """Where in the pool each labelled row votes: sparse (n_labeled, n_pool), rows adding up to 1."""
        k = min(self.n_neighbors, self._pool_blocks.n_rows)
        found, sq_dist = (np.concatenate(parts) for parts in zip(*self._search.nearest(labeled_X, k), strict=True))
        weights = edge_weights(sq_dist)
        weights[sq_dist[:, 0] == 0, 1:] = 0.0  # a copy in the pool is the row itself: the lowest of them
        weights /= weights.sum(axis=1, keepdims=True)
        voters = np.repeat(np.arange(len(found)), k)
        shape = len(found), self._pool_blocks.n_rows
        sources = sparse.csr_array((weights.ravel(), (voters, found.ravel())), shape=shape)
        sources.eliminate_zeros()
        return sources

    def _labels_of_the_pool(self, sources, targets):
        """What votes for each class at each row, sparse (n_pool, n_classes); a class has 1 vote in all."""
        per_class = np.bincount(targets, minlength=len(self.classes_))
        of_class = sparse.csr_array(
            (1.0 / per_class[targets], (np.arange(len(targets)), targets)), shape=(len(targets), len(self.classes_))
        )
        return (sources.T @ of_class).tocsc()

    def _spread(self, weights, labels, class_weights):
        options = {"alpha": self.alpha, "max_iter": self.max_iter}
        if self.method == "spreading" and not self._shares.is_whole:
            with on_workers():
                found = spread_sparsely(weights, labels, **options)
            self._shares.fill_sparsely(found.values, class_weights)
            self._note(found)
            return
        if self.method == "spreading":
            blocks = spread_labels(weights, labels, tol=self.tol, **options)
        else:
            mass = np.asarray(labels.sum(axis=1)).ravel()
            blocks = poisson_learning(weights, labels, mass, tol=self.tol, max_iter=self.max_iter)
        self._shares.fill(map(self._note, blocks), class_weights)

    def _note(self, found):
        """Keep how many iterations something took, warn where they were too few, and hand it on."""
        self.n_iter_ = max(self.n_iter_, found.n_iter)
        if not found.has_converged:
            warnings.warn(
                f"{self.max_iter} iterations were too few for alpha={self.alpha} and tol={self.tol}; raise max_iter.",
                ConvergenceWarning,
                stacklevel=4,
            )
        return found

    def _class_weights(self, targets):
        seen = np.bincount(targets, minlength=len(self.classes_)) > 0
        if self.class_prior is None:
            return seen.astype(np.float64)
        prior = np.asarray(self.class_prior, dtype=np.float64)
        if prior.shape != self.classes_.shape or not np.isfinite(prior).all() or (prior <= 0).any():
            raise ValueError(
                f"class_prior must hold a positive number for each of the {len(self.classes_)} classes; found "
                f"{self.class_prior!r}."
            )
        return prior * seen / prior.sum()

    def _decide_the_rest(self, weights, sources, labeled, targets):
        """Give rows of which nothing is known the class of their component, or of the nearest labelled row."""
        unknown = self._shares.unknown_rows()
        if len(unknown) == 0:
            return
        _, component_of = connected_components(weights, directed=False)
        class_of_component = np.full(component_of.max() + 1, -1)
        voters, voted = sources.nonzero()
        class_of_component[component_of[voted][::-1]] = targets[voters][::-1]
        found = class_of_component[component_of[unknown]]
        self._shares.decide(unknown[found >= 0], found[found >= 0])
        far = unknown[found < 0]
        if len(far):
            rows = self._pool_blocks.take(far)
            nearest, _ = nearest_in_pool(labeled, rows, 1)
            self._shares.decide(far, targets[nearest[:, 0].cpu().numpy()])

    def _shares_of(self, X):
        """Yield the shares of all classes for some rows at a time."""
        rows = check_pool(self, X, reset=False)
        for found, sq_dist in self._search.nearest(rows, min(self.n_neighbors, self._pool_blocks.n_rows)):
            weights = edge_weights(sq_dist)
            is_in_pool = sq_dist[:, 0] == 0
            weights[is_in_pool] = sq_dist[is_in_pool] == 0  # the row itself and its copies
            for start in range(0, len(found), _ROWS_AT_ONCE):
                part = slice(start, start + _ROWS_AT_ONCE)
                yield self._shares.mixed(found[part], weights[part])
