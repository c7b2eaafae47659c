"""The contract every sampler keeps, and the request that it hands to a sampler's hook."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from dataclasses import dataclass

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from skal import registry
from skal._core.device import ordinary_torch
from skal._html import DiagramWithFactsMixin, in_words
from skal._validation import (
    BUDGET,
    CallbackSupportMixin,
    Progress,
    check_class_labels,
    check_target_length,
    fit_context,
    labeled_rows,
    local_generator,
    minus_one_is_checked,
    resolve_budget,
    rows_of,
    warn_of_minus_one,
    with_callbacks,
)
from skal.pool import Pool, open_pool

__all__ = ["BaseSampler", "SelectionRequest"]


@dataclass(frozen=True)
class SelectionRequest:
    """What a sampler's hook is asked for: `budget` of the candidates of a pool.

    Attributes
    ----------
    pool : Pool of shape (n, d)
        ``pool.X`` are the rows as they were passed, ``pool.view(metric, device)`` the rows prepared for a metric.
    labeled_idx : ndarray of int64
        Rows labelled already, sorted and distinct.
    labels : ndarray of shape (len(labeled_idx),) or None
        Their labels; of every row, shape (n,), for a sampler that needs all labels.
    budget : int
        In [1, n - len(labeled_idx)].
    rng : numpy.random.Generator
        The source of all randomness.
    progress : Progress
        ``begin`` it once the number of steps is known, ``advance`` it after each.

    See Also
    --------
    BaseSampler : Makes the request, and checks what the hook returns.
    """

    pool: Pool
    labeled_idx: np.ndarray
    labels: np.ndarray | None
    budget: int
    rng: np.random.Generator
    progress: Progress

    @property
    def is_candidate(self) -> np.ndarray:
        """Mask of the rows that may be picked, shape (n,)."""
        mask = np.ones(self.pool.n_rows, dtype=bool)
        mask[self.labeled_idx] = False
        return mask

    @property
    def candidate_idx(self) -> np.ndarray:
        """Rows that may be picked, ascending, int64."""
        return np.flatnonzero(self.is_candidate)


class SelectionMixin(DiagramWithFactsMixin):
    """What follows from `fit` and `selected_indices_`, for samplers and for estimators that run rounds of them."""

    def select(self, X=None):
        """Return the picks, or apply what was learned to another pool.

        Parameters
        ----------
        X : array-like of shape (m, d) or Pool, default=None
            Another pool. None means the pool that was fitted.

        Returns
        -------
        ndarray of shape (budget,), int64
            `selected_indices_`, or distinct rows of X.

        Raises
        ------
        TypeError
            If X is given and this sampler learned nothing that carries over to another pool.
        """
        check_is_fitted(self, "selected_indices_")
        if X is None:
            return self.selected_indices_
        if not self._carries_over():
            raise TypeError(
                f"{type(self).__name__} learns nothing that carries over to another pool, so select(X) is "
                f"not possible; fit it on X. Samplers that can: {', '.join(_samplers_that_carry_over())}."
            )
        pool = open_pool(self, X, reset=False)
        budget = resolve_budget(self.budget, pool.n_rows)
        with ordinary_torch():
            picks = self._select_from(pool, budget)
            pool.check_finite()
        return self._checked_picks(picks, pool.n_rows, budget)

    def fit_select(self, X, y=None, **fit_params):
        """Fit and return `selected_indices_`; the parameters are those of `fit`."""
        return self.fit(X, y, **fit_params).selected_indices_

    def fit_resample(self, X, y):
        """Return the picked rows and their labels, as imbalanced-learn's samplers do.

        Parameters
        ----------
        X : array-like of shape (n, d)
        y : array-like of shape (n,)

        Returns
        -------
        X_selected : array-like of shape (budget, d)
        y_selected : array-like of shape (budget,)
        """
        picks = self.fit_select(X, y)
        return rows_of(X, picks), rows_of(y, picks)

    def _select_from(self, pool, budget):
        """Return `budget` distinct rows of another pool than the one fitted."""
        raise NotImplementedError

    def _keep_picks(self, picks, pool):
        """Set `selected_indices_`, and `selected_index_` where the pool has an index."""
        self.selected_indices_ = picks
        self._n_pool_rows = pool.n_rows
        vars(self).pop("selected_index_", None)
        if pool.index is not None:
            self.selected_index_ = pool.index[picks]

    def _facts(self):
        if not hasattr(self, "_n_pool_rows"):
            return {}
        share = len(self.selected_indices_) / self._n_pool_rows
        first = getattr(self, "selected_index_", self.selected_indices_)
        return {
            "picks": f"{len(self.selected_indices_):,} of {self._n_pool_rows:,} rows ({100 * share:.2f} %)",
            "first picks": in_words(first),
            "order": self._order,
        }

    @classmethod
    def _carries_over(cls):
        return cls._select_from is not SelectionMixin._select_from


class BaseSampler(SelectionMixin, CallbackSupportMixin, BaseEstimator, metaclass=ABCMeta):
    """Choose `budget` rows of a pool to label.

    A new sampler fills one hook, `_select_rows`, and, where what it learned carries over to another
    pool, a second one, `_select_from`. Everything public follows from them: `fit`, `select`,
    `fit_select`, `fit_resample`, and the promise that `selected_indices_` holds exactly `budget`
    distinct rows of the pool, none of them labelled already. What a hook returns is checked.

    Parameters
    ----------
    budget : int or float, default=10
        Rows to pick. A float in (0, 1] is a share of the pool's rows, ``max(1, floor(share * n))``.
    random_state : int, RandomState instance or None, default=None
        Scikit-learn's meaning: pass an int for the same picks at every fit.

    Attributes
    ----------
    selected_indices_ : ndarray of shape (budget,), int64
        Distinct rows of the pool, in an order that each sampler states.
    selected_index_ : pandas Index of shape (budget,)
        The same as entries of X's index. Only there where X is a DataFrame.
    n_features_in_ : int
        Features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X was a DataFrame whose columns are all strings.

    See Also
    --------
    SelectionRequest : What a sampler's hook is given.
    skal.testing.check_sampler : Runs the contract against a sampler.
    skal.greedy : Objectives and optimisers for samplers that pick greedily.
    """

    _parameter_constraints: dict = {"budget": BUDGET, "random_state": ["random_state"]}

    # What `skal.registry` says of a sampler.
    _title = "sampler"  # in tables and pictures
    _order = "as picked"  # of the picks
    _needs = "nothing"  # or "labelled rows", "labels", "all labels" (which nobody has before labelling)
    _takes = "see its page"  # in operations, up to a factor
    _runs_rounds = False
    _takes_chunks = False  # whether X may be a dask array: all passes go through the verbs of `Blocks`

    def __init__(self, budget=10, *, random_state=None):
        self.budget = budget
        self.random_state = random_state

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, *, labeled_indices=None):
        """Pick `budget` more rows of the pool.

        Parameters
        ----------
        X : array-like of shape (n, d), real, or Pool
            The pool: one embedding a row. An ndarray, a memmap (float16 or float32; never copied
            whole unless the copy fits scikit-learn's ``working_memory``), a torch tensor on any
            device, a DataFrame, a dask array (of samplers with ``takes_chunks`` in `skal.registry`), or any of
            these opened as a `skal.Pool`.
        y : array-like of shape (n,), default=None
            One entry a row, read at `labeled_indices` only; elsewhere it may hold anything. Without
            `labeled_indices`, a y with missing entries (None, NaN, `pandas.NA`) says which rows are
            labelled: those whose entry is there.
        labeled_indices : array-like of int, or boolean mask of shape (n,), default=None
            The rows labelled already. A mask survives the re-indexing of cross-validation.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If X holds NaN or infinity (the first such row is named), the budget is more than the
            unlabelled rows, y has another length than X, a label is missing at a labelled row, labelled
            rows come without y to a sampler that learns from labels, or `labeled_indices` are out of
            range or repeated.
        RuntimeError
            If the sampler's hook breaks the contract.
        """
        pool = open_pool(self, X, reset=True)
        labeled_idx, labels = self._labeled_rows(pool, y, labeled_indices)
        budget = resolve_budget(self.budget, pool.n_rows, len(labeled_idx))
        rng, progress = local_generator(self.random_state), Progress(self)
        request = SelectionRequest(pool, labeled_idx, labels, budget, rng, progress)
        if labels is not None:
            warn_of_minus_one(labels)
        with ordinary_torch(), minus_one_is_checked():
            picks = self._select_rows(request)
            pool.check_finite()
        progress.close()
        self._keep_picks(self._checked_picks(picks, pool.n_rows, budget, labeled_idx), pool)
        return self

    @abstractmethod
    def _select_rows(self, request):
        """Return `request.budget` distinct rows of `request.pool`, none of them labelled.

        Parameters
        ----------
        request : SelectionRequest
        """

    def _labeled_rows(self, pool, y, labeled_indices):
        if self._needs != "all labels":
            return labeled_rows(self, pool, y, labeled_indices, learns_from_labels=self._needs == "labels")
        check_target_length(self, pool, y)
        labels = check_class_labels(y)
        labeled_idx, _ = labeled_rows(self, pool, None, labeled_indices)
        return labeled_idx, labels

    def _checked_picks(self, picks, n_rows, budget, labeled_idx=()):
        """Hold a hook to the contract, so that no label is paid for twice because of it."""
        given = np.asarray(picks)
        fault = _broken_promise(given, n_rows, budget, labeled_idx)
        if fault is not None:
            raise RuntimeError(
                f"{type(self).__name__} breaks the contract of a sampler: it picked {fault}. This is a fault of the "
                "sampler; skal.testing.check_sampler helps its author."
            )
        return given.astype(np.int64)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self._needs == "all labels"
        return tags


def _broken_promise(picks, n_rows, budget, labeled_idx):
    """Say what is wrong with picks, or None."""
    if picks.ndim != 1 or picks.dtype.kind not in "iu":
        return f"an array of shape {picks.shape} and dtype {picks.dtype} in place of row numbers"
    if len(picks) != budget:
        return f"{len(picks)} rows for a budget of {budget}"
    outside = picks[(picks < 0) | (picks >= n_rows)]
    if len(outside):
        return f"row {outside[0]} of a pool of {n_rows} rows"
    rows, counts = np.unique(picks, return_counts=True)
    if len(rows) < len(picks):
        return f"row {rows[counts > 1][0]} more than once"
    bought_twice = rows[np.isin(rows, labeled_idx)]
    return f"row {bought_twice[0]}, which is labelled already" if len(bought_twice) else None


def _samplers_that_carry_over():
    return [entry.name for entry in registry.samplers() if entry.carries_over]
