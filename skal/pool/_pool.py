"""An opened pool: the rows that may be labelled, checked once, and what every pass over them learned."""

from __future__ import annotations

import numbers
import os
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator

from skal._core.blocks import Blocks, ChunkedRows, blocks_of
from skal._core.device import ordinary_torch, resolve_device
from skal._core.graph import Neighbors
from skal._core.workers import on_workers
from skal._files._fingerprint import fingerprint
from skal._html import facts, place_of, size_in_words
from skal._validation import OpenedRows, check_pool, rows_of
from skal.pool._frame import Frame, find_cone, find_frame
from skal.pool._kept_neighbors import read_neighbors, write_neighbors
from skal.pool._view import PoolView

__all__ = ["Pool", "open_pool"]

METRICS = ("cosine", "euclidean")
NEIGHBOR_ALGORITHMS = ("auto", "exact", "cells")


class Pool(OpenedRows):
    """Open a pool of embeddings once, and pass it wherever X goes.

    Every sampler opens a plain array by itself and forgets most of what it learned of it. Where one pool meets
    several fits (rounds, seeds, samplers, budgets), open it: the fits then share the check of its values, the
    prepared rows, the norms and the principal coordinates.

    Parameters
    ----------
    X : array-like of shape (n, d), real
        One embedding a row: an ndarray, a memmap, a torch tensor, a DataFrame or a dask array. It is not copied, and
        must not be changed while the pool is in use.
    metric : {"cosine", "euclidean"}, default="cosine"
        How functions see the pool that have no metric of their own. A sampler sees it by its own `metric`.
    device : {"auto", "cpu", "cuda", "cuda:i"} or torch.device, default="auto"
        Where such functions compute. A sampler has its own `device`.

    Attributes
    ----------
    shape : tuple of int
        (n, d).
    dtype : dtype
        Of X.
    n_features_in_ : int
        The number of features, d.
    feature_names_in_ : ndarray of shape (d,)
        Names of the features, where X is a DataFrame whose columns are all strings.

    Raises
    ------
    ValueError
        If X is not a real two-dimensional array, or the metric or the device is not known. NaN and infinity are
        found by the first pass over the rows, whoever makes it; the first such row is named.

    See Also
    --------
    PoolView : The pool as one metric sees it.
    clear_cache : Frees what fits on plain arrays have kept.

    Notes
    -----
    Opening reads nothing. Memory grows with use: for each metric and device that is asked for, as many float32
    rows as fit scikit-learn's ``working_memory``, one float a row for the norms, and principal coordinates
    (n × 128 float32 at the most) once K-means needs them, and 8 bytes for each neighbour once a graph needs those. All
    of it goes with the pool.

    Examples
    --------
    >>> import numpy as np
    >>> import skal
    >>> from skal.samplers import CoreSetSampler, KMeansSampler
    >>> pool = skal.Pool(np.random.default_rng(0).normal(size=(500, 16)))
    >>> pool
    Pool(500 × 16 float64, metric='cosine')
    >>> KMeansSampler(budget=5, random_state=0).fit(pool).selected_indices_.shape
    (5,)
    >>> CoreSetSampler(budget=5).fit(pool).selected_indices_.shape
    (5,)
    """

    def __init__(self, X: Any, *, metric: str = "cosine", device: str | torch.device = "auto") -> None:
        if metric not in METRICS:
            raise ValueError(f"metric={metric!r} is not known; use one of {', '.join(METRICS)}.")
        columns = _Columns()
        self._open(X, check_pool(columns, X, reset=True), metric, device)
        self.n_features_in_ = columns.n_features_in_
        if hasattr(columns, "feature_names_in_"):
            self.feature_names_in_ = columns.feature_names_in_

    @classmethod
    def _of_checked(cls, X: Any, rows: Any) -> Pool:
        """Open rows that an estimator has checked for its own fit."""
        pool = cls.__new__(cls)
        pool._open(X, rows, "cosine", "auto")
        return pool

    def _open(self, X: Any, rows: Any, metric: str, device: str | torch.device) -> None:
        self.source = X
        self.rows = rows
        self.metric = metric
        self.device = device
        self._views: dict[tuple[str, torch.device, bool], PoolView] = {}
        self._is_checked = False
        self._fingerprint: str | None = None

    @property
    def X(self) -> Any:
        """The rows as an ndarray or Tensor of shape (n, d); checked for NaN and infinity at the first look.

        Of a pool in chunks the dask array itself.
        """
        self.check_finite()
        return self.source if self.is_in_chunks else self.rows

    @property
    def is_in_chunks(self) -> bool:
        """Whether X is a dask array, of which no more than a few chunks are in memory at once."""
        return isinstance(self.rows, ChunkedRows)

    @property
    def shape(self) -> tuple[int, int]:
        n_rows, n_features = self.rows.shape
        return int(n_rows), int(n_features)

    @property
    def n_rows(self) -> int:
        return self.shape[0]

    @property
    def dtype(self) -> Any:
        return self.rows.dtype

    @property
    def index(self) -> Any:
        """The index of the source where it is a DataFrame, else None."""
        return self.source.index if hasattr(self.source, "iloc") else None

    def view(
        self,
        metric: str | None = None,
        device: str | torch.device | None = None,
        *,
        for_distances: bool = False,
    ) -> PoolView:
        """Return the pool as a metric sees it on a device; made once for each.

        Parameters
        ----------
        metric : {"cosine", "euclidean"}, default=None
            None means the pool's own.
        device : str or torch.device, default=None
            None means the pool's own.
        for_distances : bool, default=False
            Distances between rows are all that is wanted, not their lengths and inner products. Under "cosine",
            where most rows point nearly one way, they then keep the digits that tell one row from another: the unit
            rows are measured from the middle of that cone. Elsewhere it is the same view.

        Returns
        -------
        PoolView
        """
        metric = self.metric if metric is None else metric
        where = self.resolve_device(self.device if device is None else device)
        key = metric, where, for_distances
        if key not in self._views:
            self._views[key] = self._make_view(metric, where, for_distances)
        return self._views[key]

    def resolve_device(self, device: str | torch.device) -> torch.device:
        """Turn the name of a device into one; passes over chunks are computed on CPUs unless another is named."""
        return resolve_device("cpu" if self.is_in_chunks and str(device) == "auto" else device)

    def per_row(self, values: np.ndarray) -> Any:
        """Return values, one a row, in chunks where the rows are in chunks."""
        return self.rows.per_row(values) if isinstance(self.rows, ChunkedRows) else values

    @on_workers()
    def _make_view(self, metric: str, device: torch.device, for_distances: bool) -> PoolView:
        cone = find_cone(self.rows, device) if for_distances and metric == "cosine" else None
        if cone is None and for_distances:
            return self.view(metric, device)
        return PoolView(self.rows, cone or find_frame(self.rows, metric, device), device)

    @ordinary_torch()
    def neighbors(
        self,
        k: int = 10,
        *,
        metric: str | None = None,
        device: str | torch.device | None = None,
        algorithm: str = "auto",
        path: str | os.PathLike[str] | None = None,
    ) -> Neighbors:
        """Find the nearest other rows of each row; kept with the pool, also for a smaller `k`.

        Parameters
        ----------
        k : int, default=10
            Neighbours of each row; n - 1 where the pool has no more.
        metric : {"cosine", "euclidean"}, default=None
            None means the pool's own. Under "cosine" the distance is Euclidean between unit rows.
        device : str or torch.device, default=None
            None means the pool's own.
        algorithm : {"auto", "exact", "cells"}, default="auto"
            "exact" compares every row with every other: ``2·n²·d`` operations, 12 bytes for each number of the pool.
            "cells" compares the rows of a K-means cell of some 1,000 rows with those of the cells around it, as
            many as it takes to find more than 95 % of the neighbours, 256 at the most; what it found is measured on 256
            rows. It does not depend on any seed. "auto" is exact up to 65,536 rows.
        path : path, default=None
            A file (.npz), beside that of the pool say. Where it holds neighbours of these rows they are read, and
            those that are found are written to it. All of X is read, to know whose they are.

        Returns
        -------
        Neighbors
            `indices` int32 and `sq_dist` float32, both of shape (n, k), nearest first, and the measured `recall`.
            Exact neighbours at equal distances are in ascending order, on any device and for any number of threads.

        Raises
        ------
        ValueError
            If k is no int of at least 1, the metric, device or algorithm is not known, or a row holds NaN or
            infinity (the first is named), or `path` is a file of something else.

        Examples
        --------
        >>> import numpy as np
        >>> import skal
        >>> pool = skal.Pool(np.array([[0.0], [1.0], [1.5], [9.0]]), metric="euclidean")
        >>> pool.neighbors(2).indices
        array([[1, 2],
               [2, 0],
               [1, 0],
               [2, 1]], dtype=int32)
        """
        if not isinstance(k, numbers.Integral) or isinstance(k, bool) or k < 1:
            raise ValueError(f"k must be an int of at least 1; found {k!r}.")
        if algorithm not in NEIGHBOR_ALGORITHMS:
            raise ValueError(f"algorithm={algorithm!r} is not known; use one of {', '.join(NEIGHBOR_ALGORITHMS)}.")
        view = self.view(metric, device, for_distances=True)
        found = self._neighbors_kept_at(path, view, int(k), algorithm) if path else view.neighbors(int(k), algorithm)
        return replace(found, sq_dist=(found.sq_dist / view.frame.factor / view.frame.factor).astype(np.float32))

    def _neighbors_kept_at(self, path: str | os.PathLike[str], view: PoolView, k: int, algorithm: str) -> Neighbors:
        algorithm = view.algorithm_for_neighbors(algorithm)
        identity = f"{self.fingerprint()} {view.frame.metric} {algorithm}"
        kept = read_neighbors(path, identity)
        if kept is not None:
            view.keep_neighbors(algorithm, kept)
        found = view.neighbors(k, algorithm)
        if kept is None or kept.n_neighbors < found.n_neighbors:
            write_neighbors(path, identity, found)
        return found

    def blocks_in(self, frame: Frame, device: torch.device) -> Blocks:
        """Return the rows prepared as another pool's were, or this one's own where the frames are the same."""
        for for_distances in (False, True):
            known = self._views.get((frame.metric, device, for_distances))
            if known is not None and _are_equal(known.frame, frame):
                return known.blocks
        return frame.blocks(self.rows, device)

    def raw_blocks(self, device: torch.device, **options: Any) -> Blocks:
        """Return the rows as they are, not normalised nor shifted; the options are those of `Blocks`."""
        return blocks_of(self.rows, device, **options)

    def check_finite(self) -> None:
        """Raise for the first row with NaN or infinity; reads nothing that a pass has read already.

        Raises
        ------
        ValueError
            Names the row.
        """
        if self._is_checked:
            return
        if self._views:
            next(iter(self._views.values())).blocks.check_finite()
        else:
            blocks_of(self.rows, torch.device("cpu")).check_finite()
        self._is_checked = True

    def fingerprint(self) -> str:
        """Hash shape, dtype and every value of the source; read once.

        Returns
        -------
        str
            64 hexadecimal digits, the same for another pool of the same content.
        """
        if self._fingerprint is None:
            self._fingerprint = fingerprint(self.source)
        return self._fingerprint

    def __len__(self) -> int:
        return self.n_rows

    def __getitem__(self, where: Any) -> Any:
        """Return rows as the source gives them, so that scikit-learn's splitters can divide a pool."""
        is_whole_rows = isinstance(where, tuple) and len(where) == 2 and where[1] is Ellipsis
        wanted = np.asarray(where[0] if is_whole_rows else where)
        return rows_of(self.source, np.flatnonzero(wanted) if wanted.dtype == bool else wanted)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Give the checked rows as an ndarray on the CPU, whatever they are; a memmap is not read at once."""
        if self.is_in_chunks:
            raise TypeError(f"{self!r} is in chunks and is not brought into memory unasked: pass source.compute().")
        rows = self.X
        if isinstance(rows, torch.Tensor):
            rows = rows.cpu().float().numpy() if rows.dtype == torch.bfloat16 else rows.cpu().numpy()
        return np.array(rows, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        n_rows, n_features = self.shape
        return f"Pool({n_rows} × {n_features} {str(self.dtype).removeprefix('torch.')}, metric={self.metric!r})"

    def _repr_html_(self) -> str:
        n_rows, n_features = self.shape
        learned = {
            f"learned under {metric} on {device}": ", ".join(view.learned()) or "rows prepared"
            for (metric, device, _), view in self._views.items()
        }
        known = {
            "rows × features": f"{n_rows:,} × {n_features:,}",
            "dtype": str(self.dtype).removeprefix("torch."),
            "size": size_in_words(n_rows * n_features * self.dtype.itemsize),
            "metric": self.metric,
            "device": self.device,
            "kept in": place_of(self.source),
            "NaN and infinity": "none" if self._is_checked else "not looked for yet",
        }
        return facts("Pool", known | learned)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what can be learned again, so that a pool is sent to another process as its rows."""
        return {**vars(self), "_views": {}}


class _Columns(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Holds the names and the number of features that scikit-learn's check finds."""

    _takes_chunks = True


def open_pool(estimator: Any, X: Any, *, reset: bool) -> Pool:
    """Open X for an estimator, or take it as it is where it is a pool; the estimator learns its columns.

    See Also
    --------
    Pool : What it opens.
    """
    rows = check_pool(estimator, X, reset=reset)
    return X if isinstance(X, Pool) else Pool._of_checked(X, rows)


def _are_equal(first: Frame, second: Frame) -> bool:
    return (
        first.metric == second.metric
        and first.factor == second.factor
        and bool(np.array_equal(first.origin, second.origin))
    )
