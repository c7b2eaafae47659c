"""Predictions for rows in chunks."""

from __future__ import annotations

from skal._validation import check_pool

__all__ = ["lazily"]


def lazily(classifier, method, X, shape, dtype):
    """Return a dask array of what a fitted classifier's `method` says of a dask array (n, d), each entry of a shape."""
    from skal._dask._lazy import map_rows  # dask is there, or X would be something else

    check_pool(classifier, X, reset=False, takes_chunks=True)
    return map_rows(classifier, method, X, shape, dtype)
