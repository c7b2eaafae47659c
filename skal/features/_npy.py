"""The head of a .npy file of two dimensions."""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any

import numpy as np

__all__ = ["npy_header", "rows_counted"]


def npy_header(dtype: np.dtype[Any], n_rows: int, n_features: int | None) -> bytes:
    """Make the head of a C-ordered array; it is of one length for every number of rows."""
    buffer = BytesIO()
    description = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": description, "fortran_order": False, "shape": (n_rows, n_features)}
    )
    return buffer.getvalue()


def rows_counted(header: bytes, dtype: np.dtype[Any], n_features: int | None) -> int | None:
    """Read how many rows such a head counts; None where it is not byte for byte one of this dtype and length."""
    found = re.search(rb"'shape': \((\d{1,19}),", header)
    if found is None or header != npy_header(dtype, int(found[1]), n_features):
        return None
    return int(found[1])
