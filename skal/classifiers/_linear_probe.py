"""The paper's LIN: one linear layer on frozen features."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin

from skal._core.blocks import Blocks
from skal._core.device import ordinary_torch, resolve_device
from skal._core.softmax import AdamSchedule, SoftmaxProblem
from skal._validation import (
    DEVICE,
    CallbackSupportMixin,
    Integral,
    Interval,
    Real,
    StrOptions,
    check_pool,
    fit_context,
    local_generator,
)
from skal.classifiers._fitting import paired
from skal.classifiers._labels import encode_labels, weights_of_rows
from skal.classifiers._linear_prediction import LinearPredictionMixin
from skal.classifiers._probe_training import PreparedFit, check_milestones, finish_fits
from skal.classifiers._scaling import PoolStatistics, Scaler, check_scale, warn_of_untrainable

__all__ = ["LinearProbe"]


class LinearProbe(LinearPredictionMixin, CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    """Softmax regression on embeddings, trained by mini-batch Adam as in the paper.

    The layer starts at zero: the problem is convex, so a random start would only add noise that a
    handful of labels cannot wash out.

    Parameters
    ----------
    lr : float, default=0.01
        Adam's first learning rate.
    milestones : tuple of int, default=(50, 75)
        Epochs at which the learning rate is multiplied by `gamma`.
    gamma : float, default=0.1
        Factor at each milestone.
    n_epochs : int, default=100
        Passes over the labelled rows.
    batch_size : int, default=128
        Rows a step. The paper takes 4 on CIFAR.
    weight_decay : float, default=0.0
        L2 penalty, added to the gradient.
    scaling : {"standardize", "l2"} or None, default="standardize"
        "standardize" subtracts each feature's mean and divides by its standard deviation, as the
        paper's text says; "l2" normalises each row, as its scripts do; None takes the rows as they are.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, as scikit-learn takes them, times those of the rows. "balanced" weighs
        the classes that were shown inversely to how often.
    classes : array-like of shape (n_classes,), default=None
        The full list of classes, where it is known; one that no labelled row shows gets probability
        0. None means the classes in y.
    device : {"auto", "cpu", "cuda", "cuda:i"} or torch.device, default="auto"
        Where to compute. "auto" takes a CUDA device where there is one.
    random_state : int, RandomState instance or None, default=None
        Seeds the order of the batches, the same on every device.
    verbose : int, default=0
        1 prints the loss of each epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Known classes, sorted.
    coef_ : ndarray of shape (1, d) or (n_classes, d)
        Weights on the features as given (under "l2": on the unit rows); the standardisation is
        folded in. One row where there are two classes at most, as in scikit-learn.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Minus infinity for a class that no labelled row shows; with one row for two classes, plus or
        minus infinity where only one was shown.
    loss_curve_ : list of float
        Mean training loss of each epoch; empty where one class was shown, as nothing is trained.
    device_ : torch.device
        Where it was trained.
    n_features_in_ : int
        Features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X was a DataFrame whose columns are all strings.

    See Also
    --------
    RidgeProbe : In closed form, and more accurate with a handful of labels.
    CosineKNNClassifier : The paper's NN; nothing to train.
    skal.vision.FineTuneClassifier : Trains the backbone too.

    Notes
    -----
    float64 input is trained in float64, everything else in float32. Time ``4·n_epochs·n·d·n_classes``
    operations; memory on the device: six float32 copies of the labelled rows while they are scaled,
    two while they are trained on, and four layers of d × n_classes. Prediction reads X in tiles. Many
    probes are trained in less time by `fit_many`.

    References
    ----------
    .. [1] Pourahmadi, Nooralinejad and Pirsiavash, "A Simple Baseline for Low-Budget Active
       Learning", section 4, "Linear classification".

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skal.classifiers import LinearProbe
    >>> X, y = load_digits(return_X_y=True)
    >>> probe = LinearProbe(random_state=0).fit(X[:300], y[:300])
    >>> bool(probe.score(X[300:], y[300:]) > 0.85)
    True
    """

    _parameter_constraints: dict = {
        "lr": [Interval(Real, 0, None, closed="neither")],
        "milestones": ["array-like"],
        "gamma": [Interval(Real, 0, None, closed="neither")],
        "n_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "scaling": [StrOptions({"standardize", "l2"}), None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "classes": ["array-like", None],
        "device": DEVICE,
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        lr=0.01,
        milestones=(50, 75),
        gamma=0.1,
        n_epochs=100,
        batch_size=128,
        weight_decay=0.0,
        scaling="standardize",
        class_weight=None,
        classes=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.lr = lr
        self.milestones = milestones
        self.gamma = gamma
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.weight_decay = weight_decay
        self.scaling = scaling
        self.class_weight = class_weight
        self.classes = classes
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @ordinary_torch()
    def fit(self, X, y, sample_weight=None, *, X_pool=None):
        """Train on the labelled rows.

        Parameters
        ----------
        X : array-like of shape (n, d)
            The labelled rows.
        y : array-like of shape (n,)
            Their classes.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows in the loss; zero leaves a row out. Integers count as repetitions as
            long as their sum is at most `batch_size`: every epoch is then one step. Beyond it, rows
            that are repeated take more steps than rows that are weighted.
        X_pool : array-like of shape (m, d), default=None
            The whole pool, which then gives the means and deviations of the features; read in
            tiles, never copied. None takes them from X. Unused unless ``scaling="standardize"``. A
            warning says where it is of another scale than X and holds none of its rows, as in a
            `Pipeline` that transforms X alone; ``transform_input=["X_pool"]`` transforms both.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If a row holds NaN or infinity (the first is named), a label is missing or not in
            `classes`, or the lengths differ.
        """
        finish_fits([self._prepare_fit(X, y, sample_weight, PoolStatistics(X_pool))])
        return self

    @staticmethod
    @ordinary_torch()
    def fit_many(probes, labeled_sets, *, X_pool=None):
        """Fit many probes at once; each ends where its own `fit` would leave it.

        Probes with the same settings and the same number of labelled rows are trained in the same steps,
        as one stacked problem with one Adam; they may differ in seed, rows, labels and classes.
        Statistics of the pool are computed once for all.

        Parameters
        ----------
        probes : sequence of R LinearProbe
            Fitted in place. A probe may not occur twice.
        labeled_sets : iterable of R pairs (X, y)
            What each is trained on: array-like of shape (n, d) and (n,), as `fit` takes them. A
            generator is read as far as the next stack needs.
        X_pool : array-like of shape (m, d), default=None
            The pool of all of them, as `fit` takes it.

        Returns
        -------
        list of R LinearProbe
            `probes`, fitted.

        Raises
        ------
        ValueError
            If there are not as many labelled sets as probes, a probe occurs twice, or as `fit` does.

        Notes
        -----
        Operations are those of the single fits. What a stack saves is the fixed cost of each small step,
        so it pays where a batch of a few rows meets few classes. Coefficients are the same to the bit
        where torch computes with MKL, unless a step takes more than 2²⁴ multiplications; then, on other
        processors, and in the losses, they are the same to float rounding. Two copies of the rows and four layers
        of all probes that are trained together fit scikit-learn's ``working_memory``; one probe alone
        may take more.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import load_digits
        >>> from skal.classifiers import LinearProbe
        >>> X, y = load_digits(return_X_y=True)
        >>> draws = [np.random.default_rng(seed).permutation(1200)[:100] for seed in range(3)]
        >>> probes = [LinearProbe(random_state=seed) for seed in range(3)]
        >>> probes = LinearProbe.fit_many(probes, [(X[rows], y[rows]) for rows in draws], X_pool=X[:1200])
        >>> [bool(probe.score(X[1200:], y[1200:]) > 0.7) for probe in probes]
        [True, True, True]
        """
        probes, pool = list(probes), PoolStatistics(X_pool)
        finish_fits(probe._prepare_fit(X, y, None, pool) for probe, (X, y) in paired(probes, labeled_sets))
        return probes

    def _pool(self, X, dtype):
        return Blocks(X, self.device_, normalize=self.scaling == "l2", dtype=dtype)

    @fit_context(prefer_skip_nested_validation=True)
    def _prepare_fit(self, X, y, sample_weight, pool):
        """Check the input and scale the rows; all of `fit` but the training."""
        X = check_pool(self, X, reset=True)
        self.classes_, targets = encode_labels(self, X, y, self.classes)
        self.device_ = resolve_device(self.device)
        weights = weights_of_rows(self, X, targets, sample_weight)
        is_used = weights > 0
        tiles = [tile.rows for tile in self._pool(X, _dtype_of(X)).tiles()]
        rows = torch.cat(tiles)[torch.from_numpy(is_used).to(self.device_)]
        row_weights = torch.from_numpy(weights[is_used]).to(self.device_)
        scaler = self._fit_scaler(rows, row_weights, pool)
        seen, local_targets = np.unique(targets[is_used], return_inverse=True)
        problem = SoftmaxProblem(
            scaler.apply(rows),
            torch.from_numpy(local_targets).to(self.device_),
            row_weights.to(rows.dtype),
            len(seen),
            local_generator(self.random_state),
        )
        return PreparedFit(self, problem, seen, scaler)

    def _fit_scaler(self, rows, row_weights, pool):
        if self.scaling is None:
            warn_of_untrainable(rows)
        if self.scaling != "standardize":
            return Scaler.identity(rows)
        check_scale(rows)
        if pool.X is None:
            return Scaler.of_rows(rows, row_weights)
        return pool.scaler(check_pool(self, pool.X, reset=False, takes_chunks=True), rows)

    def _schedule(self):
        return AdamSchedule(
            self.lr,
            check_milestones(self.milestones),
            self.gamma,
            self.n_epochs,
            self.batch_size,
            self.weight_decay,
        )


def _dtype_of(X):
    return torch.float64 if str(X.dtype).removeprefix("torch.") == "float64" else torch.float32
