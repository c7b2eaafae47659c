"""The paper's NN: nearest neighbours by cosine similarity, nothing to train."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from skal._core.blocks import Blocks
from skal._core.device import ordinary_torch, resolve_device
from skal._core.neighbors import NeighborBase, require_faiss, top_k
from skal._core.rows import unit_rows
from skal._dask._collections import is_dask_collection
from skal._validation import DEVICE, Integral, Interval, StrOptions, check_pool, fit_context, is_number
from skal.classifiers._chunks import lazily
from skal.classifiers._labels import encode_labels

__all__ = ["CosineKNNClassifier"]

_VOTES_AT_ONCE = 1 << 20


class CosineKNNClassifier(ClassifierMixin, BaseEstimator):
    """Predict by a vote of the labelled rows with the highest cosine similarity.

    Exact, with the same answer from every backend and for any number of threads: a backend proposes
    candidates, and the same code then ranks them in float64, by similarity and then by row number. A tie
    between classes goes to the one with the nearest member.

    Parameters
    ----------
    n_neighbors : int, default=1
        Labelled rows that vote.
    algorithm : {"auto", "torch", "faiss"}, default="auto"
        Who proposes candidates. "auto" takes FAISS where it is installed and faster (on a CPU, from
        some thousands of labelled rows on), else torch.
    classes : array-like of shape (n_classes,), default=None
        The full list of classes, where it is known; one that no labelled row shows gets probability
        0. None means the classes in y.
    device : {"auto", "cpu", "cuda", "cuda:i"} or torch.device, default="auto"
        Where to compute. "auto" takes a CUDA device where there is one.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Known classes, sorted.
    n_samples_fit_ : int
        Labelled rows.
    n_features_in_ : int
        Features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X was a DataFrame whose columns are all strings.

    See Also
    --------
    LinearProbe : The paper's LIN, a trained linear layer.
    RidgeProbe : A linear layer in closed form.
    GraphClassifier : Votes that travel along the pool.

    Notes
    -----
    Fitting keeps two copies of the labelled rows, L2-normalised, in float64 and float32; a zero row
    stays zero. Prediction takes ``2·n·m·d`` operations in float32 for n queries and m labelled rows,
    and at most four times as many in float64 for queries whose neighbours float32 cannot tell from
    others, because rows are copies or nearly so. It reads the queries in tiles; memory is that of the
    neighbours, n × `n_neighbors`, and in `predict_proba` n × n_classes.

    References
    ----------
    .. [1] Pourahmadi, Nooralinejad and Pirsiavash, "A Simple Baseline for Low-Budget Active
       Learning", section 4, "Nearest neighbor classification".

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skal.classifiers import CosineKNNClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> nearest = CosineKNNClassifier().fit(X[:300], y[:300])
    >>> bool(nearest.score(X[300:], y[300:]) > 0.85)
    True
    """

    _parameter_constraints: dict = {
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "algorithm": [StrOptions({"auto", "torch", "faiss"})],
        "classes": ["array-like", None],
        "device": DEVICE,
    }

    def __init__(self, n_neighbors=1, *, algorithm="auto", classes=None, device="auto"):
        self.n_neighbors = n_neighbors
        self.algorithm = algorithm
        self.classes = classes
        self.device = device

    @fit_context(prefer_skip_nested_validation=True)
    @ordinary_torch()
    def fit(self, X, y):
        """Keep the labelled rows.

        Parameters
        ----------
        X : array-like of shape (n, d)
            The labelled rows.
        y : array-like of shape (n,)
            Their classes.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If a row holds NaN or infinity (the first is named), a label is missing or not in
            `classes`, the lengths differ, or there are fewer rows than `n_neighbors`.
        ImportError
            If ``algorithm="faiss"`` and FAISS is not installed.
        """
        X = check_pool(self, X, reset=True)
        self.classes_, self._targets = encode_labels(self, X, y, self.classes)
        if self.algorithm == "faiss":
            require_faiss()
        self.n_samples_fit_ = X.shape[0]
        self._check_n_neighbors(self.n_neighbors)
        rows = Blocks(X, resolve_device(self.device), dtype=torch.float64)
        self._base = NeighborBase.of(torch.cat([unit_rows(tile.rows) for tile in rows.tiles()])).to("cpu")
        return self

    @ordinary_torch()
    def kneighbors(self, X=None, n_neighbors=None, return_distance=True):
        """Find the nearest labelled rows.

        Parameters
        ----------
        X : array-like of shape (n, d), default=None
            None means the labelled rows themselves, none of which is its own neighbour.
        n_neighbors : int, default=None
            None means ``self.n_neighbors``.
        return_distance : bool, default=True

        Returns
        -------
        distances : ndarray of shape (n, n_neighbors), float64
            Cosine distance, ``1 - similarity``, ascending. Only if `return_distance`.
        indices : ndarray of shape (n, n_neighbors), int64
            Labelled rows; equal similarities in ascending order.
        """
        check_is_fitted(self)
        k = self.n_neighbors if n_neighbors is None else n_neighbors
        if not is_number(k, Integral) or k < 1:
            raise ValueError(f"n_neighbors must be an int of at least 1; found {k!r}.")
        if X is not None:
            self._check_n_neighbors(k)
            similarity, indices = self._search(check_pool(self, X, reset=False), k, return_distance)
        else:
            self._check_n_neighbors(k + 1)
            similarity, indices = _drop_self(*self._search(self._base.units.numpy(), k + 1, return_distance))
        return (np.maximum(1.0 - similarity, 0.0), indices) if return_distance else indices

    def predict_proba(self, X):
        """Return the share of the votes of each class.

        Parameters
        ----------
        X : array-like of shape (n, d), or dask array

        Returns
        -------
        ndarray of shape (n, n_classes)
            Where classes tie for the most votes, the share of the one that `predict` returns is the
            next larger float, so that the argmax is that class. A dask array, computed when it is asked for, where
            X is one; so is what `predict` returns.
        """
        if is_dask_collection(X):
            check_is_fitted(self)
            return lazily(self, "predict_proba", X, (len(self.classes_),), np.float64)
        neighbors = self.kneighbors(X, return_distance=False)
        neighbor_targets = self._targets[neighbors]
        votes = _count_votes(neighbor_targets, len(self.classes_))
        shares = votes / self.n_neighbors
        winners = _nearest_of_most_votes(votes, neighbor_targets)
        is_tied = (votes == votes.max(axis=1, keepdims=True)).sum(axis=1) > 1
        shares[is_tied, winners[is_tied]] = np.nextafter(shares[is_tied, winners[is_tied]], 1)
        return shares

    def predict(self, X):
        """Return the class with the most votes, of those that tie the one with the nearest member.

        Parameters
        ----------
        X : array-like of shape (n, d), or dask array

        Returns
        -------
        ndarray of shape (n,)
        """
        if is_dask_collection(X):
            check_is_fitted(self)
            return lazily(self, "predict", X, (), self.classes_.dtype)
        neighbors = self.kneighbors(X, return_distance=False)
        neighbor_targets = self._targets[neighbors]
        if self.n_neighbors == 1:
            return self.classes_[neighbor_targets[:, 0]]
        winners = np.empty(len(neighbor_targets), dtype=np.int64)
        rows_at_once = max(1, _VOTES_AT_ONCE // len(self.classes_))
        for first in range(0, len(winners), rows_at_once):
            part = slice(first, first + rows_at_once)
            votes = _count_votes(neighbor_targets[part], len(self.classes_))
            winners[part] = _nearest_of_most_votes(votes, neighbor_targets[part])
        return self.classes_[winners]

    def _check_n_neighbors(self, n_needed):
        if n_needed > self.n_samples_fit_:
            raise ValueError(
                f"Expected n_neighbors <= n_samples_fit, but {n_needed} neighbours are asked of "
                f"n_samples_fit = {self.n_samples_fit_} labelled rows; label more rows or lower n_neighbors."
            )

    def _search(self, X, k, with_similarity):
        device = resolve_device(self.device)
        queries = Blocks(X, device, dtype=torch.float64)
        similarity = np.empty((queries.n_rows, k), dtype=np.float64)
        indices = np.empty((queries.n_rows, k), dtype=np.int64)
        found = top_k(queries, self._base.to(device), k, backend=self.algorithm, with_similarity=with_similarity)
        for where, tile_similarity, tile_indices in found:
            similarity[where] = tile_similarity.cpu().numpy()
            indices[where] = tile_indices.cpu().numpy()
        return similarity, indices


def _count_votes(neighbor_targets, n_classes):
    """Votes for each class, shape (n, n_classes), of neighbours' targets (n, k)."""
    n_rows = len(neighbor_targets)
    places = neighbor_targets + n_classes * np.arange(n_rows)[:, None]
    return np.bincount(places.ravel(), minlength=n_rows * n_classes).reshape(n_rows, n_classes)


def _nearest_of_most_votes(votes, neighbor_targets):
    """Targets with the most votes, of those that tie the one whose neighbour comes first, shape (n,)."""
    votes_of_neighbor = np.take_along_axis(votes, neighbor_targets, axis=1)
    nearest_winner = votes_of_neighbor.argmax(axis=1)
    return np.take_along_axis(neighbor_targets, nearest_winner[:, None], axis=1)[:, 0]


def _drop_self(similarity, indices):
    """Leave out of each row's neighbours (n, k + 1) the row itself, or the last where copies crowded it out."""
    is_self = indices == np.arange(len(indices))[:, None]
    is_self[:, -1] |= ~is_self.any(axis=1)
    shape = (len(indices), indices.shape[1] - 1)
    return similarity[~is_self].reshape(shape), indices[~is_self].reshape(shape)
