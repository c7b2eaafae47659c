"""Means and variances of a pool's features."""

from __future__ import annotations

import operator
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor

from skal._core.blocks import Block, Blocks

__all__ = ["Moments", "pool_moments"]

_PIECE_ROWS = {"cpu": 128, "cuda": 65536}


class Moments(NamedTuple):
    """Number, mean and summed squared deviation of some rows; float64."""

    n_rows: int
    mean: Tensor  # (d,)
    spread: Tensor  # (d,)


def pool_moments(pool: Blocks) -> tuple[Tensor, Tensor]:
    """Mean and variance (ddof = 0) of each feature, both float64 of shape (d,), in one pass.

    Tiles are merged by their means (Chan, Golub and LeVeque, 1983), so a common offset costs no digits.
    """
    found = reduce(merge_moments, pool.map_reduce(block_moments, operator.add))
    return found.mean, found.spread / found.n_rows


def block_moments(block: Block, per_row: tuple[Tensor, ...], shared: None) -> list[Moments]:
    """Moments of each tile of a block: merged in the order of the tiles, they are the same for any blocks."""
    found = []
    for tile in block.tiles():
        mean = tile.rows.mean(dim=0, dtype=torch.float64)
        # Float32 cannot square 1e25 or 1e-25. Converted piece by piece, so that it stays in cache.
        pieces = (tile.rows - mean.to(tile.rows.dtype)).split(_PIECE_ROWS[block.device.type])
        spread = sum((piece.double().square_().sum(dim=0) for piece in pieces), torch.zeros_like(mean))
        found.append(Moments(len(tile.rows), mean, spread))
    return found


def merge_moments(first: Moments, second: Moments) -> Moments:
    """Moments of the rows of both."""
    n_rows = first.n_rows + second.n_rows
    deviation = second.mean - first.mean
    spread = first.spread + second.spread + deviation.square() * (first.n_rows * second.n_rows / n_rows)
    return Moments(n_rows, first.mean + deviation * (second.n_rows / n_rows), spread)
