"""The contract every sampler keeps."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from skal._core.blocks import check_finite
from skal._core.device import full_float32
from skal._validation import (
    BUDGET,
    CallbackSupportMixin,
    check_class_labels,
    check_labeled_indices,
    check_pool,
    check_target_length,
    fit_context,
    local_generator,
    resolve_budget,
    rows_of,
    with_callbacks,
)

__all__ = ["BaseSampler"]


class BaseSampler(CallbackSupportMixin, BaseEstimator, metaclass=ABCMeta):
    """Choose `budget` rows of a pool to label.

    A new sampler fills one hook, `_select_rows`, and, where what it learned carries over to another
    pool, a second one, `_select_from`. Everything public follows from them: `fit`, `select`,
    `fit_select`, `fit_resample`, and the promise that `selected_indices_` holds exactly `budget`
    distinct rows of the pool, none of them labelled already.

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
    n_features_in_ : int
        Features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X was a DataFrame whose columns are all strings.
    """

    _parameter_constraints: dict = {"budget": BUDGET, "random_state": ["random_state"]}

    # True for a sampler whose hook itself passes over every row of the pool, checking it on the way.
    _reads_every_row = False
    # True for an upper bound that may look at the label of every row.
    _reads_every_label = False

    def __init__(self, budget=10, *, random_state=None):
        self.budget = budget
        self.random_state = random_state

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, *, labeled_indices=None):
        """Pick `budget` more rows of the pool.

        Parameters
        ----------
        X : array-like of shape (n, d), real
            The pool: one embedding a row. An ndarray, a memmap (float16 or float32; never copied
            whole unless the copy fits scikit-learn's ``working_memory``), a torch tensor on any
            device, or a DataFrame.
        y : array-like of shape (n,), default=None
            One entry a row, read at `labeled_indices` only; elsewhere it may hold anything.
        labeled_indices : array-like of int, or boolean mask of shape (n,), default=None
            The rows labelled already. A mask survives the re-indexing of cross-validation.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If X holds NaN or infinity (the first such row is named), the budget is more than the
            unlabelled rows, y has another length than X, or `labeled_indices` are out of range or
            repeated.
        """
        X = check_pool(self, X, reset=True)
        n_samples = X.shape[0]
        labeled_idx = check_labeled_indices(labeled_indices, n_samples)
        budget = resolve_budget(self.budget, n_samples, len(labeled_idx))
        labels = self._check_labels(X, y, labeled_idx)
        with full_float32():
            if not self._reads_every_row:
                check_finite(X)
            picks = self._select_rows(X, labels, labeled_idx, budget, local_generator(self.random_state))
        self.selected_indices_ = np.asarray(picks, dtype=np.int64)
        return self

    def select(self, X=None):
        """Return the picks, or apply what was learned to another pool.

        Parameters
        ----------
        X : array-like of shape (m, d), default=None
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
        if type(self)._select_from is BaseSampler._select_from:
            raise TypeError(
                f"{type(self).__name__} learns nothing that carries over to another pool, so select(X) is "
                f"not possible; fit it on that pool. Samplers that can: {', '.join(_transferable_names())}."
            )
        X = check_pool(self, X, reset=False)
        budget = resolve_budget(self.budget, X.shape[0])
        with full_float32():
            return np.asarray(self._select_from(X, budget), dtype=np.int64)

    def fit_select(self, X, y=None, *, labeled_indices=None):
        """Fit and return `selected_indices_`; the parameters are those of `fit`."""
        return self.fit(X, y, labeled_indices=labeled_indices).selected_indices_

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

    @abstractmethod
    def _select_rows(self, X, y, labeled_idx, budget, rng):
        """Return `budget` distinct rows of X, none in `labeled_idx`.

        Parameters
        ----------
        X : ndarray or Tensor of shape (n, d)
        y : ndarray of shape (len(labeled_idx),) or None
            Labels of the labelled rows; of every row where `_reads_every_label`.
        labeled_idx : ndarray, int64
            Sorted and distinct.
        budget : int
            In [1, n - len(labeled_idx)].
        rng : numpy.random.Generator
        """

    def _select_from(self, X, budget):
        """Return `budget` distinct rows of X, another pool than the one fitted."""
        raise NotImplementedError

    def _check_labels(self, X, y, labeled_idx):
        if self._reads_every_label or y is not None:
            check_target_length(self, X, y)
        if self._reads_every_label:
            return check_class_labels(y)
        if y is None or len(labeled_idx) == 0:
            return None
        return check_class_labels(rows_of(y, labeled_idx))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self._reads_every_label
        return tags


def _transferable_names():
    def subclasses(cls):
        for sub in cls.__subclasses__():
            yield sub
            yield from subclasses(sub)

    return sorted({sub.__name__ for sub in subclasses(BaseSampler) if sub._select_from is not BaseSampler._select_from})
