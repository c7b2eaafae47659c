"""A dask array as the rows of a pool."""

from __future__ import annotations

import hashlib
from itertools import accumulate
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from skal._core.blocks import ChunkedRows
from skal._core.restricted import sketch_tile_rows_of, tile_rows_of
from skal._dask._blocks import DaskBlocks
from skal._dask._chunks import ArrayChunks, Tiles, is_in_cluster, regroup
from skal._dask._collections import check_dask_array
from skal._dask._executors import current_executor
from skal._dask._tasks import Preparation, digest_tiles, raw_rows

__all__ = ["DaskRows"]

_CPU = torch.device("cpu")


class DaskRows(ChunkedRows):
    """The rows of a dask array, read a chunk at a time by whoever the current executor is.

    Parameters
    ----------
    array : dask array of shape (n, d)
        Nothing of it is read before the first pass.

    Raises
    ------
    TypeError, ValueError
        See `check_dask_array`.
    """

    def __init__(self, array: Any) -> None:
        check_dask_array(array)
        self.array = array
        self.shape = int(array.shape[0]), int(array.shape[1])
        self.dtype = array.dtype
        self._chunks: ArrayChunks | None = None
        self._name = uuid4().hex

    def blocks(
        self,
        device: torch.device,
        *,
        normalize: bool = False,
        resident_bytes: int = 0,
        shift: Tensor | None = None,
        factor: float = 1.0,
        dtype: torch.dtype = torch.float32,
        tile_rows: int | None = None,
    ) -> DaskBlocks:
        """Prepare the rows as `Blocks` does; no prepared rows are kept."""
        if device.type != "cpu":
            raise ValueError(
                f"device={str(device)!r}: passes over a dask array are computed on the CPUs of its workers; use "
                "device='cpu' or 'auto'."
            )
        preparation = Preparation(self._name, normalize, None if shift is None else shift.cpu(), factor, dtype)
        return DaskBlocks(self.chunks, current_executor(), preparation, tile_rows)

    @property
    def chunks(self) -> ArrayChunks:
        """The chunks, joined or divided to hold whole tiles and to be small enough for those who work on them."""
        if self._chunks is None:
            executor = current_executor()
            tile_rows = tile_rows_of(self.shape[1])
            tiles = Tiles(tile_rows, max(tile_rows, sketch_tile_rows_of(self.shape[1])))
            array = regroup(self.array, tiles, executor.memory_a_task())
            stays = 2 * array.nbytes <= executor.memory_limit()
            bounds = None
            if stays and not is_in_cluster(array):
                starts = [start for start in accumulate(array.chunks[0][:-1], initial=0) if start % tiles.wide == 0]
                bounds = executor.few_parts([*starts, self.shape[0]], array.nbytes // self.shape[0])
            self._chunks = ArrayChunks(array, bounds)
            if stays:
                self._chunks.keep()
        return self._chunks

    def per_row(self, values: npt.NDArray[Any]) -> Any:
        import dask.array as da

        return da.from_array(values, chunks=(self.array.chunks[0], *values.shape[1:]))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, row_idx: Any) -> Any:
        """Bring a few rows into this process, as they are; a slice of rows stays where it is."""
        if isinstance(row_idx, slice):
            return self if row_idx == slice(None) else DaskRows(self.array[row_idx])
        row_idx = np.asarray(row_idx, dtype=np.int64)
        rows = np.empty((len(row_idx), self.shape[1]), dtype=self.dtype)
        visits = self.chunks.visits(row_idx)
        found = current_executor().map(raw_rows, self.chunks, None, visits.wanted, visits.chunks)
        for places, taken in zip(visits.places, found, strict=True):
            rows[places] = taken
        return rows

    def fingerprint(self) -> str:
        """Hash shape, dtype and every value, the same for any chunks; not that of the same numbers in memory."""
        digest = hashlib.sha256(f"chunked {self.dtype} {self.shape};".encode())
        for digests in current_executor().map(digest_tiles, self.chunks, None, lambda position: None):
            digest.update(digests)
        return digest.hexdigest()
