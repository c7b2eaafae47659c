"""A linear layer in closed form: ridge regression on centred rows, its penalty chosen by leaving rows out."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin

from skal._core.blocks import Blocks
from skal._core.device import ordinary_torch, resolve_device
from skal._core.ridge import logit_scale
from skal._validation import DEVICE, StrOptions, check_pool, fit_context
from skal.classifiers._fitting import paired
from skal.classifiers._labels import encode_labels, weights_of_rows
from skal.classifiers._linear_prediction import LinearPredictionMixin
from skal.classifiers._ridge_fit import Center, DistinctRows, fit_ridge
from skal.classifiers._scaling import PoolStatistics, check_scale

__all__ = ["RidgeProbe"]

_PENALTIES = np.logspace(-4, 2, 19)
_ELEMENTS_TO_CALIBRATE = 1 << 22
_LEAST_ERROR = 1e-6


class RidgeProbe(LinearPredictionMixin, ClassifierMixin, BaseEstimator):
    """Ridge regression of the classes on centred unit rows, with the penalty of least leave-one-out error.

    Nothing is random and nothing is iterated: one decomposition gives the fit, and its exact leave-one-out
    errors, at every penalty. Where the pool is given, the layer is centred on it: at the mean of the pool all classes
    are equally likely, unless leaving rows out says that some are more frequent. A few labelled rows tell neither
    that mean nor the frequencies well, so this is more accurate. Without a pool it is ordinary ridge regression with
    an intercept.

    Parameters
    ----------
    alphas : array-like of float, default=None
        Penalties to choose from, in units of the mean squared length of a centred row, all positive. None means 19
        of them from 1e-4 to 100.
    scaling : {"l2"} or None, default="l2"
        "l2" normalises each row; None takes the rows as they are. Both are centred.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, as scikit-learn takes them, times those of the rows. "balanced" weighs
        the classes that were shown inversely to how often.
    classes : array-like of shape (n_classes,), default=None
        The full list of classes, where it is known; one that no labelled row shows gets probability
        0. None means the classes in y.
    device : {"auto", "cpu", "cuda", "cuda:i"} or torch.device, default="auto"
        Where to compute. "auto" takes a CUDA device where there is one.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Known classes, sorted.
    coef_ : ndarray of shape (1, d) or (n_classes, d), float64
        Weights of the logits on the features as given (under "l2": on the unit rows). One row where there are two
        classes at most, as in scikit-learn.
    intercept_ : ndarray of shape (1,) or (n_classes,), float64
        Minus infinity for a class that no labelled row shows; with one row for two classes, plus or
        minus infinity where only one was shown.
    alpha_ : float
        The penalty that was chosen; NaN where one class was shown, as nothing is fitted.
    loo_error_ : float
        Mean squared leave-one-out error at that penalty, summed over classes, of the rows whose class another row
        shows (of all where there is none); targets are 1 for the class of a row and 0 for the others. NaN where one
        class was shown.
    logit_scale_ : float
        What the regression's scores are multiplied by to be logits; NaN where one class was shown.
    device_ : torch.device
        Where it was fitted.
    n_features_in_ : int
        Features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X was a DataFrame whose columns are all strings.

    See Also
    --------
    LinearProbe : The paper's LIN, a softmax regression.
    GraphClassifier : Uses the shape of the pool, not only its mean.

    Notes
    -----
    A row that is the only one of its class is always predicted wrongly without it. It says nothing of a penalty, so it
    is passed over; where there are only such rows, the penalty is that nearest 1.

    On a pool there is no intercept, or one that is penalised as the weight of a constant feature of a tenth of the mean
    squared length of a row, whichever has less leave-one-out error.

    Copies of a row are one row with the sum of their weights and the average of their targets, so they are left
    out together, and integer weights are repetitions. The center of the pool does not depend on weights: to make
    a class more likely everywhere, move its `intercept_`.

    Probabilities are the softmax of the scores times `logit_scale_`. A priori that is the inverse of the leave-one-out
    error a class, as if scores were normally distributed around the targets; labels correct it: it maximises the
    likelihood of the same rows times a log-normal prior of deviation 1 around the first guess.

    All in float64. Time: with n distinct labelled rows, twice ``2·n·d·r`` operations with r = min(n, d), an
    eigendecomposition of r × r, and for each penalty ``2·n·r·n_classes``. Memory: eight copies of the labelled rows,
    r × r, and n × n_classes. Prediction reads X in tiles.

    References
    ----------
    .. [1] Rifkin and Lippert, "Notes on regularized least squares", MIT, 2007: leave-one-out in closed form.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skal.classifiers import RidgeProbe
    >>> X, y = load_digits(return_X_y=True)
    >>> probe = RidgeProbe().fit(X[::6], y[::6], X_pool=X)
    >>> bool(probe.score(X, y) > 0.9)
    True
    """

    _parameter_constraints: dict = {
        "alphas": ["array-like", None],
        "scaling": [StrOptions({"l2"}), None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "classes": ["array-like", None],
        "device": DEVICE,
    }

    def __init__(self, *, alphas=None, scaling="l2", class_weight=None, classes=None, device="auto"):
        self.alphas = alphas
        self.scaling = scaling
        self.class_weight = class_weight
        self.classes = classes
        self.device = device

    @ordinary_torch()
    def fit(self, X, y, sample_weight=None, *, X_pool=None):
        """Fit the labelled rows.

        Parameters
        ----------
        X : array-like of shape (n, d)
            The labelled rows.
        y : array-like of shape (n,)
            Their classes.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows; zero leaves a row out, integers count as repetitions.
        X_pool : array-like of shape (m, d), default=None
            The whole pool, on whose mean the layer is centred; read in tiles, never copied. A warning says where it is
            of another scale than X and holds none of its rows.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If a row holds NaN or infinity (the first is named), a label is missing or not in
            `classes`, the lengths differ, or a penalty is not positive.
        """
        self._fit(X, y, sample_weight, _Centers(X_pool))
        return self

    @staticmethod
    @ordinary_torch()
    def fit_many(probes, labeled_sets, *, X_pool=None):
        """Fit many probes, each as its own `fit` would; the pool is read once for all.

        Parameters
        ----------
        probes : sequence of R RidgeProbe
            Fitted in place. A probe may not occur twice.
        labeled_sets : iterable of R pairs (X, y)
            What each is fitted on: array-like of shape (n, d) and (n,), as `fit` takes them. A
            generator is read one pair at a time.
        X_pool : array-like of shape (m, d), default=None
            The pool of all of them, as `fit` takes it.

        Returns
        -------
        list of R RidgeProbe
            `probes`, fitted.

        Raises
        ------
        ValueError
            If there are not as many labelled sets as probes, a probe occurs twice, or as `fit` does.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skal.classifiers import RidgeProbe
        >>> X, y = load_digits(return_X_y=True)
        >>> probes = RidgeProbe.fit_many([RidgeProbe(), RidgeProbe()], [(X[:50], y[:50]), (X[:99], y[:99])], X_pool=X)
        >>> [len(probe.classes_) for probe in probes]
        [10, 10]
        """
        probes, centers = list(probes), _Centers(X_pool)
        for probe, (X, y) in paired(probes, labeled_sets):
            probe._fit(X, y, None, centers)
        return probes

    @fit_context(prefer_skip_nested_validation=True)
    def _fit(self, X, y, sample_weight, centers):
        X = check_pool(self, X, reset=True)
        self.classes_, targets = encode_labels(self, X, y, self.classes)
        self.device_ = resolve_device(self.device)
        alphas = _check_alphas(self.alphas)
        weights = weights_of_rows(self, X, targets, sample_weight)
        is_used = weights > 0
        rows = Blocks(X, self.device_, normalize=self.scaling == "l2", dtype=torch.float64).whole()
        rows = rows[torch.from_numpy(is_used).to(self.device_)]
        check_scale(rows)
        row_weights = torch.from_numpy(weights[is_used]).to(self.device_)
        seen, local_targets = np.unique(targets[is_used], return_inverse=True)
        distinct = DistinctRows.of(rows, row_weights, torch.from_numpy(local_targets).to(self.device_))
        coef = np.zeros((len(self.classes_), X.shape[1]))
        intercept = np.full(len(self.classes_), -np.inf)
        coef[seen], intercept[seen] = self._fit_seen(distinct, centers.find(self, rows, distinct), alphas)
        self._keep_layer(coef, intercept)

    def _fit_seen(self, distinct, center, alphas):
        """Fit the classes that were shown; return their part of the layer."""
        n_classes = distinct.shares.shape[1]
        self.alpha_ = self.loo_error_ = self.logit_scale_ = np.nan
        if n_classes == 1:
            return np.zeros((1, distinct.rows.shape[1])), np.zeros(1)
        fit = fit_ridge(distinct, center, alphas)
        self.alpha_, self.loo_error_ = fit.alpha, fit.loo_error
        row_idx = distinct.rows_shown_twice()
        few = row_idx[:: max(1, len(row_idx) * n_classes // _ELEMENTS_TO_CALIBRATE)]
        guess = n_classes / max(self.loo_error_, _LEAST_ERROR)
        self.logit_scale_ = logit_scale(fit.loo_scores(few), distinct.shares[few], distinct.weights[few], guess)
        coef, intercept = fit.layer()
        return self.logit_scale_ * coef.cpu().numpy(), self.logit_scale_ * intercept.cpu().numpy()


class _Centers:
    """Finds centers; of the pool once for each scaling and device."""

    def __init__(self, X_pool):
        self._X_pool = X_pool
        self._pools = {scaling: PoolStatistics(X_pool, normalize=scaling == "l2") for scaling in ("l2", None)}

    def find(self, probe, rows, distinct):
        """Return the pool's mean, where all classes are equally likely, or the means of the labelled rows."""
        if self._X_pool is None:
            weights = distinct.weights / distinct.weights.sum()
            return Center(weights @ distinct.rows, weights @ distinct.shares, is_fitted=True)
        mean = self._pools[probe.scaling].scaler(check_pool(probe, self._X_pool, reset=False), rows).mean
        n_classes = distinct.shares.shape[1]
        return Center(mean, mean.new_full((n_classes,), 1 / n_classes), is_fitted=False)


def _check_alphas(alphas):
    """Return penalties as a float64 tensor."""
    if alphas is None:
        return torch.from_numpy(_PENALTIES)
    given = np.asarray(alphas, dtype=np.float64)
    if given.ndim != 1 or len(given) == 0 or not (np.isfinite(given) & (given > 0)).all():
        raise ValueError(f"alphas must be positive numbers, at least one; found {alphas!r}.")
    return torch.from_numpy(given)
