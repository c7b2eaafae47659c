"""Prediction by one linear layer, whoever found it."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.utils.validation import check_is_fitted

from skal._core.blocks import Blocks
from skal._core.device import ordinary_torch, resolve_device
from skal._core.linear import linear_logits, linear_winners
from skal._dask._collections import is_dask_collection
from skal._validation import check_pool
from skal.classifiers._chunks import lazily

__all__ = ["LinearPredictionMixin"]


class LinearPredictionMixin:
    """Predicts by `coef_` and `intercept_`, on unit rows where ``scaling`` is "l2".

    Of a dask array every method gives a dask array, in the same chunks of rows, and reads nothing before it is
    computed. Where chunks begin at multiples of 2048 rows it is that of the same rows in memory; elsewhere last digits
    may differ.
    """

    @ordinary_torch()
    def decision_function(self, X):
        """Return the logits.

        Parameters
        ----------
        X : array-like of shape (n, d), or dask array

        Returns
        -------
        ndarray of shape (n,) or (n, n_classes)
            One column, the logit of ``classes_[1]``, where there are two classes at most.
        """
        if is_dask_collection(X):
            check_is_fitted(self)
            shape = () if len(self.classes_) <= 2 else (len(self.classes_),)
            return lazily(self, "decision_function", X, shape, self.coef_.dtype)
        logits = np.concatenate(list(self._logits(X)))
        return logits[:, 0] if len(self.classes_) <= 2 else logits

    @ordinary_torch()
    def predict_proba(self, X):
        """Return class probabilities.

        Parameters
        ----------
        X : array-like of shape (n, d), or dask array

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        if is_dask_collection(X):
            check_is_fitted(self)
            return lazily(self, "predict_proba", X, (len(self.classes_),), self.coef_.dtype)
        return np.concatenate([self._probabilities(tile_logits) for tile_logits in self._logits(X)])

    @ordinary_torch()
    def predict_log_proba(self, X):
        """Return the logarithms of class probabilities.

        Parameters
        ----------
        X : array-like of shape (n, d), or dask array

        Returns
        -------
        ndarray of shape (n, n_classes)
            Minus infinity for a class that no labelled row shows.
        """
        if is_dask_collection(X):
            check_is_fitted(self)
            return lazily(self, "predict_log_proba", X, (len(self.classes_),), self.coef_.dtype)
        return np.concatenate([self._log_probabilities(tile_logits) for tile_logits in self._logits(X)])

    @ordinary_torch()
    def predict(self, X):
        """Return the most probable class of each row.

        Parameters
        ----------
        X : array-like of shape (n, d), or dask array
            Read in tiles; memory does not grow with n × n_classes.

        Returns
        -------
        ndarray of shape (n,)
        """
        if is_dask_collection(X):
            check_is_fitted(self)
            return lazily(self, "predict", X, (), self.classes_.dtype)
        winners = [self._probabilities(tile_logits).argmax(axis=1) for tile_logits in self._logits(X)]
        return self.classes_[np.concatenate(winners)]

    def _keep_layer(self, coef, intercept):
        """Keep a layer of (n_classes, d) and (n_classes,); of two classes the log odds, as scikit-learn does."""
        if len(self.classes_) == 2:
            coef, intercept = coef[1:] - coef[:1], intercept[1:] - intercept[:1]
        self.coef_, self.intercept_ = coef, intercept

    @ordinary_torch()
    def _winners(self, rows):
        """Find the class that `predict_proba` gives most to each of rows (m, d), a float ndarray: its position."""
        device = resolve_device(self.device)
        given, coef, intercept = (torch.from_numpy(a).to(device) for a in (rows, self.coef_, self.intercept_))
        found = linear_winners(given, coef, intercept, normalize=self.scaling == "l2")
        winners, is_sure = (a.cpu().numpy() for a in found)
        if not is_sure.all():
            winners[~is_sure] = np.concatenate(
                [self._probabilities(logits).argmax(axis=1) for logits in self._logits_of_checked(rows[~is_sure])]
            )
        return winners

    def _logits(self, X):
        check_is_fitted(self)
        return self._logits_of_checked(check_pool(self, X, reset=False))

    def _logits_of_checked(self, X):
        device = resolve_device(self.device)
        coef, intercept = (torch.from_numpy(a).to(device) for a in (self.coef_, self.intercept_))
        pool = Blocks(X, device, normalize=self.scaling == "l2", dtype=coef.dtype)
        for tile in pool.tiles():
            yield linear_logits(tile.rows, coef, intercept).cpu().numpy()

    def _probabilities(self, logits):
        if len(self.classes_) == 1:
            return np.ones_like(logits)
        if len(self.classes_) == 2:
            return np.hstack([expit(-logits), expit(logits)])
        return softmax(logits, axis=1)

    def _log_probabilities(self, logits):
        if len(self.classes_) == 1:
            return np.zeros_like(logits)
        if len(self.classes_) == 2:
            return np.hstack([log_expit(-logits), log_expit(logits)])
        return log_softmax(logits, axis=1)
