"""What a fitted estimator says of each row of a dask array, found chunk by chunk when it is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from skal._core.workers import on_workers

__all__ = ["map_rows"]


def map_rows(estimator: Any, method: str, array: Any, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Any:
    """Return a dask array of ``method(chunk)`` for each chunk of rows; nothing is read before it is computed.

    Parameters
    ----------
    estimator : fitted estimator
        It is sent along.
    method : str
        Gives an array with an entry a row.
    array : dask array of shape (n, d)
    shape : tuple of int
        Of the entry of a row.
    dtype : dtype
        Of the entries.

    Returns
    -------
    dask array of shape (n, *shape)
        In the chunks of the rows.
    """
    import dask.array as da

    meta = np.empty((0,) * (1 + len(shape)), dtype=dtype)
    options: dict[str, Any] = {"chunks": (array.chunks[0], shape)} if shape else {"drop_axis": 1}
    return da.map_blocks(_call, array, estimator=estimator, method=method, dtype=dtype, meta=meta, **options)


def _call(
    chunk: npt.NDArray[Any], *, estimator: Any, method: str, block_info: dict[Any, Any] | None = None
) -> npt.NDArray[Any]:
    with on_workers(1):  # chunks are computed side by side
        try:
            found: npt.NDArray[Any] = getattr(estimator, method)(chunk)
        except ValueError as error:
            where = "" if block_info is None else f"In the chunk from row {block_info[0]['array-location'][0][0]} on: "
            raise ValueError(f"{where}{error}") from error
    return found
