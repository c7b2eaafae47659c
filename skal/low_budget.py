"""Low-budget learning as one scikit-learn classifier: pick, look up only those labels, train."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skal._html import DiagramWithFactsMixin
from skal._validation import (
    HasMethods,
    check_class_labels,
    check_pool,
    check_target_length,
    fit_context,
    labeled_rows,
    minus_one_is_checked,
    missing_entries,
    resolve_budget,
    rows_of,
    set_random_states,
    warn_of_minus_one,
)
from skal.classifiers import GraphClassifier
from skal.classifiers._fitting import fit_on_labeled_rows
from skal.features._sources import open_images
from skal.pool import open_pool
from skal.rounds import IterativeSampler
from skal.samplers import GraphCoverageSampler

__all__ = ["LowBudgetClassifier", "default_classifier", "default_sampler"]


def default_sampler():
    """Make what picks where nobody says what."""
    return GraphCoverageSampler()


def default_classifier():
    """Make what is trained where nobody says what."""
    return GraphClassifier()


def _classifier_has(method):
    def check(self):
        default = default_classifier() if self.classifier is None else self.classifier
        return hasattr(getattr(self, "classifier_", default), method)

    return check


class LowBudgetClassifier(DiagramWithFactsMixin, MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Let a sampler choose which rows to label, and train a classifier on just those.

    `fit` takes the whole pool with an entry of y for each row, and reads y only at the rows that the
    sampler picks and at those labelled already; elsewhere y may hold anything. So a search over
    ``sampler__budget`` by scikit-learn's own tools compares budgets honestly. Where labels are still to be
    made, y is an oracle, ``indices -> labels``, that is asked for the picks only.

    A classifier that learns from images (`skal.vision`) gets them as X, and the sampler works on embeddings of the same
    images: ``fit(images, y, embeddings=X)``. Predictions are then made from images.

    Parameters
    ----------
    sampler : sampler, default=None
        Chooses the rows. None means ``GraphCoverageSampler()``.
    classifier : classifier, default=None
        Trained on them. None means ``GraphClassifier()``. Gets the pool as ``X_pool`` where its `fit` has that
        parameter.
    random_state : int, RandomState instance or None, default=None
        Seeds both parts. None leaves them the seeds they have.

    Attributes
    ----------
    sampler_ : sampler
        The fitted sampler. Not fitted where a ledger held all labels that it was to pick for.
    classifier_ : classifier
        The fitted classifier.
    selected_indices_ : ndarray of shape (budget,), int64
        The rows that were picked.
    selected_index_ : pandas Index of shape (budget,)
        The same as entries of X's index. Only there where X is a DataFrame.
    ledger_ : Ledger
        Everything that was asked and answered. Only there where y is an oracle.
    classes_ : ndarray of shape (n_classes,)
        The classes the classifier knows.
    n_features_in_ : int
        Features seen during `fit`, by the sampler.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where they were a DataFrame whose columns are all strings.

    See Also
    --------
    skal.evaluation.budget_curve : Compares samplers and classifiers over budgets.
    skal.rounds.IterativeSampler : Asks an oracle for the labels, round by round.

    Notes
    -----
    Time and memory are those of the sampler's fit and of the classifier's. Of y, only the labels used are read.

    References
    ----------
    .. [1] Pourahmadi, Nooralinejad and Pirsiavash, "A Simple Baseline for Low-Budget Active Learning", section 3.2:
       cluster the pool and label one row of each cluster.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skal import LowBudgetClassifier
    >>> from skal.samplers import GraphCoverageSampler
    >>> X, y = load_digits(return_X_y=True)
    >>> model = LowBudgetClassifier(GraphCoverageSampler(), random_state=0)
    >>> search = GridSearchCV(model, {"sampler__budget": [10, 100]}, cv=3)
    >>> search.fit(X, y).best_params_
    {'sampler__budget': 100}
    """

    _parameter_constraints: dict = {
        "sampler": [HasMethods(["fit", "select"]), None],
        "classifier": [HasMethods(["fit", "predict"]), None],
        "random_state": ["random_state"],
    }

    def __init__(self, sampler=None, classifier=None, *, random_state=None):
        self.sampler = sampler
        self.classifier = classifier
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, *, embeddings=None, labeled_indices=None, labels=None, ledger=None):
        """Pick rows, look up their labels, and train.

        Parameters
        ----------
        X : array-like of shape (n, d), or images where `embeddings` is given
            The pool, as the classifier takes it.
        y : array-like of shape (n,), or callable
            Labels, read only at the picks and at `labeled_indices`; or an oracle, as `IterativeSampler` takes it.
        embeddings : array-like of shape (n, d), default=None
            The pool as the sampler takes it, the same rows in the same order. None means X. Scikit-learn's searches and
            cross-validation re-index it with X.
        labeled_indices : boolean mask of shape (n,), default=None
            Rows labelled already; the classifier is trained on them too. Beside an oracle also row numbers; beside
            an array they are refused, as cross-validation divides a mask with X, and row numbers not.
        labels : array-like of shape (len(labeled_indices),), default=None
            Their labels, in the same order, where y is an oracle.
        ledger : Ledger or path, default=None
            Where the answers of an oracle are recorded, so that none is asked for twice after an interruption. None
            keeps them in memory, as `ledger_`.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            As the sampler and the classifier do, if y has no label at a pick, if `labels`, `ledger` or row numbers in
            `labeled_indices` come with y that is no oracle, and if `embeddings` are not as many as X.
        """
        has_two_views = embeddings is not None
        pool = open_pool(self, embeddings if has_two_views else X, reset=True)
        rows = _images_by_row(X, pool) if has_two_views else pool  # as the classifier takes them
        has_oracle = callable(y)
        labeled_idx, _ = labeled_rows(self, pool, None, labeled_indices, takes_numbers=has_oracle)
        if not has_oracle:
            check_target_length(self, pool, y)
            if labels is not None or ledger is not None:
                raise ValueError("labels= and ledger= go with an oracle; an array y holds all labels itself.")
        self.sampler_ = default_sampler() if self.sampler is None else clone(self.sampler)
        self.classifier_ = default_classifier() if self.classifier is None else clone(self.classifier)
        if self.random_state is not None:
            set_random_states(self.sampler_, self.random_state)
            set_random_states(self.classifier_, self.random_state)
        vars(self).pop("ledger_", None)
        with minus_one_is_checked():
            if has_oracle:
                trained_idx, targets = self._ask(pool, y, labeled_indices, len(labeled_idx), labels, ledger)
            else:
                trained_idx, targets = self._look_up(pool, y, labeled_idx)
        vars(self).pop("selected_index_", None)
        if pool.index is not None:
            self.selected_index_ = pool.index[self.selected_indices_]
        warn_of_minus_one(targets, getattr(self.classifier_, "classes", None))
        with minus_one_is_checked():
            fit_on_labeled_rows(self.classifier_, rows, targets, trained_idx)
        self.classes_ = self.classifier_.classes_
        self._predicts_from_pool_rows = not has_two_views
        return self

    def _look_up(self, pool, y, labeled_idx):
        """Pick, and read the labels of the picks; return all rows that are labelled then, and their labels."""
        self.selected_indices_ = self.sampler_.fit(pool, y, labeled_indices=labeled_idx).selected_indices_
        labels_of_picks = rows_of(y, self.selected_indices_)
        is_missing = missing_entries(labels_of_picks)
        if is_missing is not None and is_missing.any():
            raise ValueError(
                f"{type(self.sampler_).__name__} picked row {self.selected_indices_[is_missing][0]}, and y has no "
                "label there. y needs one wherever a row may be picked. Where people give the labels, pass an oracle "
                "in place of y, a function indices → labels; to train on the labels that are there, fit the "
                "classifier alone."
            )
        trained_idx = np.concatenate([labeled_idx, self.selected_indices_])
        return trained_idx, check_class_labels(rows_of(y, trained_idx))

    def _ask(self, pool, oracle, labeled_indices, n_labeled, labels, ledger):
        """Ask the oracle for the picks; return all rows that are labelled then, and their labels."""
        rounds = self.sampler_
        if not isinstance(rounds, IterativeSampler):  # one round of it
            total = n_labeled + resolve_budget(rounds.budget, pool.n_rows, n_labeled)
            rounds = IterativeSampler(rounds, (total,))
        try:
            rounds.fit(pool, oracle, labeled_indices=labeled_indices, labels=labels, ledger=ledger)
        finally:
            if hasattr(rounds, "ledger_"):
                self.ledger_ = rounds.ledger_
        self.selected_indices_ = rounds.selected_indices_
        if rounds is not self.sampler_ and hasattr(rounds, "sampler_"):
            self.sampler_ = rounds.sampler_
        return self.ledger_.labeled_indices, self.ledger_.labels

    def predict(self, X):
        """Predict the class of each row.

        Parameters
        ----------
        X : array-like of shape (n, d), or images if it was fitted with `embeddings`

        Returns
        -------
        ndarray of shape (n,)
        """
        return self._delegate("predict", X)

    @available_if(_classifier_has("predict_proba"))
    def predict_proba(self, X):
        """Predict class probabilities.

        Parameters
        ----------
        X : array-like of shape (n, d), or images if it was fitted with `embeddings`

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        return self._delegate("predict_proba", X)

    @available_if(_classifier_has("decision_function"))
    def decision_function(self, X):
        """Return the classifier's decision values.

        Parameters
        ----------
        X : array-like of shape (n, d), or images if it was fitted with `embeddings`

        Returns
        -------
        ndarray of shape (n,) or (n, n_classes)
        """
        return self._delegate("decision_function", X)

    def _facts(self):
        if not hasattr(self, "classes_"):
            return {}
        of_sampler = self.sampler_._facts() if isinstance(self.sampler_, DiagramWithFactsMixin) else {}
        return {"classes": len(self.classes_), **of_sampler}

    def _delegate(self, method, X):
        check_is_fitted(self)
        if self._predicts_from_pool_rows:
            check_pool(self, X, reset=False)
        return getattr(self.classifier_, method)(X)


def _images_by_row(images, pool):
    """Give images that can be indexed by the rows of the pool."""
    opened = open_images(images)
    if len(opened) != pool.n_rows:
        raise ValueError(
            f"X has {len(opened)} images and embeddings {pool.n_rows} rows; they must be of the same images in the "
            "same order. Embedded with on_error='skip'? Then Embedded.valid_indices says which images have a row."
        )
    return opened.indexable
