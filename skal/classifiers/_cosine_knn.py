"""The paper's NN: nearest neighbours by cosine similarity, nothing to train."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from skal._core.blocks import Blocks
from skal._core.device import full_float32, resolve_device
from skal._core.neighbors import require_faiss, top_k
from skal._validation import DEVICE, Integral, Interval, StrOptions, check_pool, fit_context
from skal.classifiers._labels import encode_labels

__all__ = ["CosineKNNClassifier"]


class CosineKNNClassifier(ClassifierMixin, BaseEstimator):
    """Vote of the labelled rows with the highest cosine similarity.

    Exact, and the same answer from every backend: a backend proposes candidates, one path ranks them
    in float64 by similarity, then lowest row. A tie between classes goes to the one with the nearest
    member.

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
    LinearProbe : The paper's LIN.

    Notes
    -----
    Fitting keeps a float32 copy of the labelled rows, L2-normalised; a zero row stays zero.
    Prediction takes ``2·n·m·d`` operations for n queries and m labelled rows, and reads the queries
    in tiles.

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
        pool = Blocks(X, resolve_device(self.device), normalize=True)
        self._unit_rows = torch.cat([tile.rows for tile in pool.tiles()]).cpu().numpy()
        return self

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
        if not isinstance(k, Integral) or k < 1:
            raise ValueError(f"n_neighbors must be an int of at least 1; found {k!r}.")
        if X is not None:
            self._check_n_neighbors(k)
            similarity, indices = self._search(check_pool(self, X, reset=False), k)
        else:
            self._check_n_neighbors(k + 1)
            similarity, indices = _drop_self(*self._search(self._unit_rows, k + 1))
        return (np.maximum(1.0 - similarity, 0.0), indices) if return_distance else indices

    def predict_proba(self, X):
        """Return the share of the votes of each class.

        Parameters
        ----------
        X : array-like of shape (n, d)

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        return self._votes(self.kneighbors(X, return_distance=False)) / self.n_neighbors

    def predict(self, X):
        """Return the class with the most votes, of those that tie the one with the nearest member.

        Parameters
        ----------
        X : array-like of shape (n, d)

        Returns
        -------
        ndarray of shape (n,)
        """
        neighbors = self.kneighbors(X, return_distance=False)
        neighbor_targets = self._targets[neighbors]
        if self.n_neighbors == 1:
            return self.classes_[neighbor_targets[:, 0]]
        votes_of_neighbor = np.take_along_axis(self._votes(neighbors), neighbor_targets, axis=1)
        nearest_winner = votes_of_neighbor.argmax(axis=1)
        return self.classes_[np.take_along_axis(neighbor_targets, nearest_winner[:, None], axis=1)[:, 0]]

    def _check_n_neighbors(self, n_needed):
        if n_needed > self.n_samples_fit_:
            raise ValueError(
                f"Expected n_neighbors <= n_samples_fit, but {n_needed} neighbours are asked of "
                f"n_samples_fit = {self.n_samples_fit_} labelled rows; label more rows or lower n_neighbors."
            )

    def _search(self, X, k):
        device = resolve_device(self.device)
        queries = Blocks(X, device, normalize=True)
        similarity = np.empty((queries.n_rows, k), dtype=np.float64)
        indices = np.empty((queries.n_rows, k), dtype=np.int64)
        base = torch.from_numpy(self._unit_rows).to(device)
        with full_float32():
            for where, tile_similarity, tile_indices in top_k(queries, base, k, backend=self.algorithm):
                similarity[where] = tile_similarity.cpu().numpy()
                indices[where] = tile_indices.cpu().numpy()
        return similarity, indices

    def _votes(self, neighbors):
        neighbor_targets = self._targets[neighbors]
        votes = np.zeros((len(neighbors), len(self.classes_)), dtype=np.int64)
        np.add.at(votes, (np.arange(len(neighbors))[:, None], neighbor_targets), 1)
        return votes


def _drop_self(similarity, indices):
    """Leave out of each row's neighbours (n, k + 1) the row itself, or the last where copies crowded it out."""
    is_self = indices == np.arange(len(indices))[:, None]
    is_self[:, -1] |= ~is_self.any(axis=1)
    shape = (len(indices), indices.shape[1] - 1)
    return similarity[~is_self].reshape(shape), indices[~is_self].reshape(shape)
