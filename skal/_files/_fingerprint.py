"""Tell contents apart by every value."""

from __future__ import annotations

import hashlib
import pickle
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

__all__ = ["fingerprint", "joint_fingerprint"]

_TILE_BYTES = 2**24


def fingerprint(values: Any) -> str:
    """Hash shape, dtype and every value, a tile of rows at a time.

    An array, a memmap, a tensor and a list with the same numbers have the same fingerprint, whatever their order in
    memory or device. Of a frame or a series the index counts too, and of a frame the names of the columns.

    Parameters
    ----------
    values : array-like or Tensor of any shape
        Entries of dtype object (text, None, …) count by their pickled content. What has a method `fingerprint`, as an
        opened `Pool` has, is asked for it.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    TypeError
        If an entry of dtype object cannot be pickled.

    Notes
    -----
    Reads everything once, about 1.5 GB/s; memory is that of a tile (16 MiB).

    Examples
    --------
    >>> import numpy as np
    >>> X = np.zeros((3, 2))
    >>> fingerprint(X) == fingerprint(X.tolist())
    True
    >>> fingerprint(X) == fingerprint(X.astype(np.float32))
    False
    """
    if callable(getattr(values, "fingerprint", None)):
        return str(values.fingerprint())
    if hasattr(values, "iloc"):
        return _fingerprint_of_pandas(values)
    digest = hashlib.sha256()
    if hasattr(values, "columns"):  # a frame of another library
        digest.update(f"{list(values.columns)!r};".encode())
    if not (hasattr(values, "shape") and hasattr(values, "dtype")):
        values = np.asarray(values)
    shape = tuple(values.shape)
    first = _as_array(values[:1] if shape else values)
    digest.update(f"{_dtype_name(values, first)} {shape};".encode())
    if not shape or 0 in shape:
        digest.update(_content(first))
        return digest.hexdigest()
    n_rows = max(1, _TILE_BYTES // first.nbytes)
    for start in range(0, shape[0], n_rows):
        digest.update(_content(_as_array(values[start : start + n_rows])))
    return digest.hexdigest()


def joint_fingerprint(*parts: Any) -> str:
    """Hash several contents in their order, as those of a pool and its labels."""
    return hashlib.sha256(" ".join(map(fingerprint, parts)).encode()).hexdigest()


def _fingerprint_of_pandas(values: Any) -> str:
    """Take a frame column by column, for its columns may have different dtypes."""
    if hasattr(values, "columns"):
        columns = [values.iloc[:, position] for position in range(values.shape[1])]
        parts = [fingerprint(values.columns)]
    else:
        columns, parts = [values], []
    parts += [fingerprint(values.index), *(f"{column.dtype} {fingerprint(column.array)}" for column in columns)]
    return hashlib.sha256(f"{type(values).__name__} {values.shape}; {' '.join(parts)}".encode()).hexdigest()


def _dtype_name(values: Any, as_array: npt.NDArray[Any]) -> str:
    is_bfloat16 = isinstance(values, torch.Tensor) and values.dtype == torch.bfloat16  # numpy has none
    return "bfloat16" if is_bfloat16 else str(as_array.dtype)


def _as_array(values: Any) -> npt.NDArray[Any]:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.dtype == torch.bfloat16 else values).resolve_conj().resolve_neg()
    array: npt.NDArray[Any] = np.asarray(values)
    return array


def _content(values: npt.NDArray[Any]) -> Any:
    if values.dtype.hasobject:
        return b"".join(pickle.dumps(value, protocol=4) for value in values.ravel().tolist())
    if values.flags.c_contiguous and values.size:
        return values.reshape(-1).view(np.uint8)  # without a copy
    return values.tobytes()
