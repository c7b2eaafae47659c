"""A pool as one metric sees it, on one device."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skal._core.device import resident_bytes
from skal._core.graph import Neighbors, exact_neighbors
from skal._core.moments import pool_moments
from skal._core.restricted import Sketch, sketch_axes, sketch_pool, tile_rows_of
from skal._core.workers import on_workers
from skal._files._fingerprint import fingerprint
from skal._validation import working_memory_bytes
from skal.pool._cache import sketches
from skal.pool._frame import Frame
from skal.pool._search import PoolSearch

__all__ = ["PoolView"]

_EXACT_UP_TO_ROWS = 65_536


class PoolView:
    """Rows of a pool prepared for one metric on one device, and what was learned of them.

    `Pool.view` makes it. What a pass learns is kept: that all rows are finite, their norms, as many prepared
    rows as fit scikit-learn's ``working_memory``, their moments and their principal coordinates.

    Attributes
    ----------
    frame : Frame
        How rows are prepared.
    device : torch.device
    blocks : Blocks of shape (n, d), float32
        The prepared rows and the passes over them.
    search : PoolSearch
        Finds the rows nearest to rows from elsewhere.

    See Also
    --------
    Pool.view : Makes one.
    """

    def __init__(self, X: Any, frame: Frame, device: torch.device) -> None:
        self._X = X
        self.frame = frame
        self.device = device
        self.blocks = frame.blocks(X, device, resident_bytes=resident_bytes(device, working_memory_bytes()))
        self._moments: tuple[Tensor, Tensor] | None = None
        self._sketch: Sketch | None = None
        self._neighbors: dict[str, Neighbors] = {}
        self.search = PoolSearch(frame, self.blocks, is_by_cells=self.n_rows > _EXACT_UP_TO_ROWS)

    @property
    def n_rows(self) -> int:
        return self.blocks.n_rows

    @property
    def n_features(self) -> int:
        return self.blocks.n_features

    @property
    def wide_blocks(self) -> Any:
        """The same rows in larger tiles, for passes that sort the rows of a tile into groups."""
        return self.blocks.in_tiles_of(tile_rows_of(self.n_features))

    def learned(self) -> list[str]:
        """Name what passes have found; makes none."""
        found = {
            "moments": self._moments is not None,
            "principal coordinates": self._sketch is not None,
            **{f"{known.n_neighbors} neighbours of each row": True for known in self._neighbors.values()},
        }
        return [what for what, is_known in found.items() if is_known]

    def moments(self) -> tuple[Tensor, Tensor]:
        """Return mean and variance of each prepared feature, float64 of shape (d,); one pass, made once."""
        if self._moments is None:
            self._moments = pool_moments(self.blocks)
        return self._moments

    def principal_coordinates(self) -> Sketch:
        """Return the rows on their leading principal directions; made once.

        One pass of ``2·n·d·p`` operations, p = min(d, max(64, d/4), 128), and an eigendecomposition of d × d.
        Kept with the view (n × p float32), and where that is less than a quarter of ``working_memory`` also for the
        next fit on an array of the same content; `skal.pool.clear_cache` frees that.
        """
        if self._sketch is None:
            self._sketch = self._find_sketch()
        return self._sketch

    def neighbors(self, k: int, algorithm: str = "auto") -> Neighbors:
        """Return the `k` nearest other rows of each prepared row, fewer where there are not so many; made once.

        What `Pool.neighbors` returns, with distances in units of the frame.
        """
        k = min(k, self.n_rows - 1)
        algorithm = self.algorithm_for_neighbors(algorithm)
        known = self._neighbors.get(algorithm)
        if known is None or known.n_neighbors < k:
            known = self._neighbors[algorithm] = self._find_neighbors(k, algorithm)
        return known.first(k)

    def algorithm_for_neighbors(self, algorithm: str) -> str:
        """Say what "auto" means for these rows."""
        if algorithm != "auto":
            return algorithm
        return "exact" if self.n_rows <= _EXACT_UP_TO_ROWS else "cells"

    def keep_neighbors(self, algorithm: str, found: Neighbors) -> None:
        """Take what an earlier search by "exact" or "cells" found, unless more is known."""
        known = self._neighbors.get(algorithm)
        if known is None or known.n_neighbors < found.n_neighbors:
            self._neighbors[algorithm] = found

    def _find_neighbors(self, k: int, algorithm: str) -> Neighbors:
        if k == 0:
            self.blocks.check_finite()
            return Neighbors(np.empty((self.n_rows, 0), np.int32), np.empty((self.n_rows, 0), np.float32))
        if algorithm == "exact":
            return exact_neighbors(self.blocks, k)
        return self.search.cells(k).neighbors()

    @on_workers()
    def _find_sketch(self) -> Sketch:
        rows = self.wide_blocks
        n_bytes_hashed = self._X.nbytes if isinstance(self._X, np.ndarray) else math.inf
        if n_bytes_hashed > working_memory_bytes():
            return sketch_pool(rows)
        kind = self._X.shape, str(self._X.dtype), self.frame.metric, bool(self.frame.origin.any()), str(self.device)
        if sketches.holds_any(kind):
            (content,) = self.blocks.keep_beside(lambda: fingerprint(self._X))
            return sketches.get(kind, content, lambda: sketch_pool(rows))
        content, axes = self.blocks.keep_beside(lambda: fingerprint(self._X), lambda: sketch_axes(rows))
        return sketches.get(kind, content, lambda: sketch_pool(rows, axes))
