"""The rows of a pool nearest to rows from elsewhere."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from skal._core.blocks import Blocks
from skal._core.graph import Cells, nearest_in_pool
from skal._files._fingerprint import fingerprint
from skal.pool._frame import Frame

__all__ = ["PoolSearch"]

_NUMBERS_AT_ONCE = 1 << 26  # of queries, so that those of one cell meet
_MOST_KEPT, _MOST_KEPT_NUMBERS = 4, 1 << 20
_MIN_RECALL = 0.97  # on the rows that choose the effort, so that others are above 0.95

Found = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]  # indices and sq_dist of shape (m, k)


class PoolSearch:
    """Finds rows of a pool; fits on one pool that are scored on the same rows search once.

    Parameters
    ----------
    frame : Frame
    blocks : Blocks of shape (n, d)
        The rows of the pool in that frame.
    is_by_cells : bool
        Compare a query with the rows of the cells around it, in place of all.
    """

    def __init__(self, frame: Frame, blocks: Blocks, *, is_by_cells: bool) -> None:
        self._frame, self._blocks, self._is_by_cells = frame, blocks, is_by_cells
        self._cells: Cells | None = None
        self._kept: OrderedDict[tuple[str, int], list[Found]] = OrderedDict()

    def cells(self, k: int) -> Cells:
        """Return cells that are good for `k` neighbours at least; made once."""
        if self._cells is None or self._cells.k < k:
            self._cells = Cells(self._blocks, k, np.random.default_rng(0), min_recall=_MIN_RECALL)
        return self._cells

    def nearest(self, X: Any, k: int) -> Iterator[Found]:
        """Yield the `k` nearest rows for some rows of `X` at a time, in their order.

        Parameters
        ----------
        X : ndarray or Tensor of shape (m, d)
            As it was given, not yet in the frame.
        k : int
            At most n.

        Notes
        -----
        What was found for the last four arrays is kept, by their content, 16 MiB for each at the most.
        """
        if int(X.shape[0]) * k > _MOST_KEPT_NUMBERS:
            yield from self._search(X, k)
            return
        key = fingerprint(X), k
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = list(self._search(X, k))
        self._kept.move_to_end(key)
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        yield from found

    def _search(self, X: Any, k: int) -> Iterator[Found]:
        cells = self.cells(min(k, self._blocks.n_rows - 1)) if self._is_by_cells else None
        queries = self._frame.blocks(X, self._blocks.device)
        tiles, n_waiting = [], 0
        for tile in queries.tiles():
            tiles.append(tile.rows)
            n_waiting += tile.rows.numel()
            is_last = tile.slice.stop == queries.n_rows
            if cells is None or n_waiting >= _NUMBERS_AT_ONCE or is_last:
                rows = torch.cat(tiles)
                found = nearest_in_pool(self._blocks, rows, k) if cells is None else cells.nearest(rows, k)
                yield found[0].cpu().numpy(), found[1].cpu().numpy()
                tiles, n_waiting = [], 0

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what can be found again."""
        return {**vars(self), "_kept": OrderedDict()}
