"""What a dask collection must be to stand for a pool, found out without reading a byte of it."""

from __future__ import annotations

import math
import sys
from typing import Any

__all__ = ["check_dask_array", "is_dask_collection"]


def is_dask_collection(X: Any) -> bool:
    """Tell a dask array, frame or bag from what lies in memory; does not import dask."""
    if "dask" not in sys.modules:
        return False
    from dask.base import is_dask_collection as is_collection

    return bool(is_collection(X))


def check_dask_array(X: Any) -> None:
    """Refuse what passes over chunks of rows cannot be made over.

    Raises
    ------
    TypeError
        If it is no dask array.
    ValueError
        If it is not two-dimensional, holds no real numbers, the sizes of its chunks are not known, or a row lies in
        several chunks.
    """
    import dask.array as da

    if not isinstance(X, da.Array):
        raise TypeError(
            f"X is a {type(X).__module__.partition('.')[0]} {type(X).__name__}, and a pool in chunks is a dask array: "
            "of a dask DataFrame X.to_dask_array(lengths=True), of an xarray DataArray X.data."
        )
    if X.ndim != 2:
        raise ValueError(f"Expected 2D array, got a dask array of {X.ndim} dimensions: a pool has a row an embedding.")
    if X.dtype.kind not in "fiub":
        raise ValueError(f"X is a dask array of {X.dtype}; embeddings are real numbers.")
    if any(math.isnan(size) for sizes in X.chunks for size in sizes):
        raise ValueError(
            "X is a dask array whose chunks have unknown sizes, so its rows have no numbers: pass "
            "X.compute_chunk_sizes(), or of a DataFrame X.to_dask_array(lengths=True)."
        )
    if len(X.chunks[1]) > 1:
        raise ValueError(
            f"X is a dask array with {len(X.chunks[1])} chunks of columns, and a row must lie in one chunk: pass "
            "X.rechunk({1: -1})."
        )
