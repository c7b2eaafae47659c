"""A pool as one metric sees it, on one device."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skal._core.device import resident_bytes
from skal._core.moments import pool_moments
from skal._core.restricted import Sketch, sketch_pool, tile_rows_of
from skal._files._fingerprint import fingerprint
from skal._validation import working_memory_bytes
from skal.pool._cache import sketches
from skal.pool._frame import Frame

__all__ = ["PoolView"]


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
    """

    def __init__(self, X: Any, frame: Frame, device: torch.device) -> None:
        self._X = X
        self.frame = frame
        self.device = device
        self.blocks = frame.blocks(X, device, resident_bytes=resident_bytes(device, working_memory_bytes()))
        self._moments: tuple[Tensor, Tensor] | None = None
        self._sketch: Sketch | None = None

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

    def _find_sketch(self) -> Sketch:
        def make() -> Sketch:
            return sketch_pool(self.wide_blocks)

        n_bytes_hashed = self._X.nbytes if isinstance(self._X, np.ndarray) else math.inf
        if n_bytes_hashed > working_memory_bytes():
            return make()
        key = fingerprint(self._X), self.frame.metric, bool(self.frame.origin.any()), str(self.device)
        return sketches.get(key, make)
