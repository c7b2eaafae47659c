"""Any classifier, trained on several views of each row."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skal._validation import (
    HasMethods,
    Integral,
    Interval,
    check_pool,
    check_target_length,
    fit_context,
    has_fit_parameter,
)
from skal.classifiers._fitting import trains_stacked
from skal.classifiers._linear_probe import LinearProbe

__all__ = ["MultiViewClassifier"]


def _classifier_has(method):
    def check(self):
        default = LinearProbe() if self.classifier is None else self.classifier
        return hasattr(getattr(self, "classifier_", default), method)

    return check


class MultiViewClassifier(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Train a classifier on every view of the labelled images, and predict from the first.

    Views are embeddings of one image, mirrored, say; they lie side by side in a row of X, as
    ``TorchFeatureExtractor(views=2)`` gives them. Each is a row of its own for the classifier, with the image's label.

    Parameters
    ----------
    classifier : classifier, default=None
        None means ``LinearProbe()``.
    n_views : int, default=2
        Views in a row.

    Attributes
    ----------
    classifier_ : classifier
        The fitted classifier, of d features.
    classes_ : ndarray of shape (n_classes,)
        The classes it knows.
    n_features_in_ : int
        Features seen during `fit`, ``n_views * d``.

    See Also
    --------
    skal.features.TorchFeatureExtractor : Makes the views.

    Notes
    -----
    Time and memory are those of `classifier` on `n_views` times as many rows. A `LinearProbe` then takes
    `n_views` times as many steps an epoch, as far as an epoch is more than one batch.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.classifiers import LinearProbe, MultiViewClassifier
    >>> from sklearn.datasets import load_digits
    >>> pixels, y = load_digits(return_X_y=True)
    >>> mirrored = pixels.reshape(-1, 8, 8)[:, :, ::-1].reshape(-1, 64)
    >>> X = np.hstack([pixels, mirrored])
    >>> model = MultiViewClassifier(LinearProbe(random_state=0)).fit(X[:300], y[:300], X_pool=X)
    >>> model.predict(X).shape, model.classifier_.n_features_in_
    ((1797,), 64)
    """

    _parameter_constraints: dict = {
        "classifier": [HasMethods(["fit", "predict"]), None],
        "n_views": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, classifier=None, *, n_views=2):
        self.classifier = classifier
        self.n_views = n_views

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None, *, X_pool=None):
        """Train on all views.

        Parameters
        ----------
        X : array-like of shape (n, n_views * d)
            The labelled rows.
        y : array-like of shape (n,)
            Their classes.
        sample_weight : array-like of shape (n,), default=None
            Passed on; each view has its row's weight.
        X_pool : array-like of shape (m, n_views * d), default=None
            The whole pool, passed on where the classifier takes it.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the features are not a multiple of `n_views`, or as the classifier does.
        """
        rows, targets = self._views(X, y)
        more = {} if sample_weight is None else {"sample_weight": np.repeat(np.asarray(sample_weight), self.n_views)}
        self.classifier_ = self._fresh()
        if X_pool is not None and has_fit_parameter(self.classifier_, "X_pool"):
            more["X_pool"] = self._split(check_pool(self, X_pool, reset=False))
        self.classifier_.fit(rows, targets, **more)
        self.classes_ = self.classifier_.classes_
        return self

    @staticmethod
    def fit_many(models, labeled_sets, *, X_pool=None):
        """Fit many at once where the classifier can, as `LinearProbe.fit_many` does; else one after the other.

        Parameters
        ----------
        models : sequence of R MultiViewClassifier
            Fitted in place.
        labeled_sets : iterable of R pairs (X, y)
        X_pool : array-like of shape (m, n_views * d), default=None

        Returns
        -------
        list of R MultiViewClassifier
            `models`, fitted.
        """
        models = list(models)
        fresh = [model._fresh() for model in models]
        kinds = {(type(each), model.n_views) for each, model in zip(fresh, models, strict=True)}
        if len(kinds) != 1 or not trains_stacked(fresh[0]):
            return [model.fit(X, y, X_pool=X_pool) for model, (X, y) in zip(models, labeled_sets, strict=True)]
        views = [model._views(X, y) for model, (X, y) in zip(models, labeled_sets, strict=True)]
        pool = None if X_pool is None else models[0]._split(check_pool(models[0], X_pool, reset=False))
        fitted = type(fresh[0]).fit_many(fresh, views, X_pool=pool)
        for model, classifier in zip(models, fitted, strict=True):
            model.classifier_, model.classes_ = classifier, classifier.classes_
        return models

    def predict(self, X):
        """Predict the class of each row, from its first view.

        Parameters
        ----------
        X : array-like of shape (n, n_views * d)

        Returns
        -------
        ndarray of shape (n,)
        """
        return self._delegate("predict", X)

    @available_if(_classifier_has("predict_proba"))
    def predict_proba(self, X):
        """Predict class probabilities, from the first view.

        Parameters
        ----------
        X : array-like of shape (n, n_views * d)

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        return self._delegate("predict_proba", X)

    @available_if(_classifier_has("decision_function"))
    def decision_function(self, X):
        """Return the classifier's decision values, from the first view.

        Parameters
        ----------
        X : array-like of shape (n, n_views * d)

        Returns
        -------
        ndarray of shape (n,) or (n, n_classes)
        """
        return self._delegate("decision_function", X)

    def _delegate(self, method, X):
        check_is_fitted(self)
        rows = check_pool(self, X, reset=False)
        return getattr(self.classifier_, method)(rows[:, : rows.shape[1] // self.n_views])

    def _fresh(self):
        return LinearProbe() if self.classifier is None else clone(self.classifier)

    def _views(self, X, y):
        """Labelled rows (n · n_views, d) and as many labels."""
        rows = check_pool(self, X, reset=True)
        check_target_length(self, rows, y)
        if rows.shape[1] % self.n_views:
            raise ValueError(
                f"X has {rows.shape[1]} features, which are not {self.n_views} views side by side; pass what "
                "TorchFeatureExtractor(views=2) gives, or set n_views."
            )
        return self._split(rows), np.repeat(np.asarray(y), self.n_views, axis=0)

    def _split(self, rows):
        """Rows (n, n_views · d) as (n · n_views, d): a view of a contiguous array, mapped or not."""
        return rows.reshape(len(rows) * self.n_views, rows.shape[1] // self.n_views)
