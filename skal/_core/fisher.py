"""Rows that lower the trace of ``(λ + F_S)⁻¹ F`` the most: F, F_S the Fisher information of a pool, of a selection.

The information of a row is ``v vᵀ``, v being the row times the root of its weight. With ``M = (λ + F_S)⁻¹`` and
``A = M F M``, adding v lowers the trace by ``vᵀAv / (1 + vᵀMv)``, and taking it out raises it by ``vᵀAv / (1 − vᵀMv)``
(Woodbury). Both matrices, and both quadratic forms of every other row, change by terms of rank one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from skal._core.blocks import Blocks, Tile
from skal._core.products import product
from skal._core.workers import on_workers

__all__ = ["least_trace"]


class _Information:
    """The matrices M and A, float64 of shape (d, d)."""

    def __init__(self, of_pool: Tensor, of_selection: Tensor) -> None:
        self.inverse = torch.linalg.inv(of_selection)
        self.spread = self.inverse @ of_pool @ self.inverse

    def change(self, vector: Tensor, leverage: float, spread: float, sign: float) -> _Change:
        """Add a row (sign 1) or take it out (sign -1), given its ``vᵀMv`` and ``vᵀAv``."""
        factor = 1.0 / (1.0 + sign * leverage)
        q, r = self.inverse @ vector, self.spread @ vector
        self.inverse.addr_(q, q, alpha=-sign * factor)
        self.spread.addr_(q, r, alpha=-sign * factor).addr_(r, q, alpha=-sign * factor)
        self.spread.addr_(q, q, alpha=factor**2 * spread)
        return _Change((q, r), factor, spread, sign)


class _Change:
    """What a change does to the quadratic forms of other rows."""

    def __init__(self, directions: tuple[Tensor, Tensor], factor: float, spread: float, sign: float) -> None:
        self._directions = directions  # two of shape (d,)
        self._factor, self._spread, self._sign = factor, spread, sign

    def apply(self, vectors: Tensor, scale: Tensor | None, leverages: Tensor, spreads: Tensor) -> None:
        """Renew the forms (m,) of `vectors` (m, d), each times its `scale` (m,)."""
        # Two products with a vector take half the time of one with two.
        q, r = (torch.mv(vectors, direction) for direction in self._directions)
        if scale is not None:
            q, r = q * scale, r * scale
        leverages -= self._sign * self._factor * q.square()
        spreads -= self._factor * q * (2.0 * self._sign * r - self._factor * self._spread * q)


@on_workers()
def least_trace(
    blocks: Blocks,
    weights: Tensor,
    labeled_idx: np.ndarray,
    budget: int,
    regularization: float,
    on_pick: Callable[[int, float], object] = lambda n_picks, gain: None,
    candidate_idx: np.ndarray | None = None,
) -> np.ndarray:
    """Add twice the budget greedily, then take out again what is missed least.

    Gains are compared in float32, ties to the lowest row going forward and to the last pick going back.

    Parameters
    ----------
    blocks : Blocks of shape (n, d)
    weights : float64 Tensor of shape (n,)
    labeled_idx : int64 ndarray
        Rows that count as selected.
    budget : int
    regularization : float
        λ in units of the mean of ``‖v‖²``.
    on_pick : callable of (picks so far, what the last one gained)
    candidate_idx : int64 ndarray of shape (c,), default=None
        Rows that may be picked, at least as many as the budget, none of them labelled. None means all that are not.

    Returns
    -------
    int64 ndarray of shape (budget,)
        In the order in which they were added.

    Notes
    -----
    ``4·n·d²`` operations at first and ``4·c·d`` a pick, in float64: each pick is a pass over the candidates. Memory:
    three squares of d, 2·budget rows, a few vectors of length n, and c rows in float32 where candidates are given.
    """
    root = weights.sqrt()
    of_pool = _weighted_squares(blocks, weights)
    unit = float(of_pool.trace()) or 1.0
    labeled = blocks.take(labeled_idx).double() * root[torch.from_numpy(labeled_idx).to(blocks.device), None]
    eye = torch.eye(blocks.n_features, dtype=torch.float64, device=blocks.device)
    information = _Information(of_pool, labeled.T @ labeled + regularization * unit * eye)
    is_open = torch.ones(blocks.n_rows, dtype=torch.bool, device=blocks.device)
    is_open[torch.from_numpy(labeled_idx).to(blocks.device)] = False
    pool_idx = np.arange(blocks.n_rows)
    if candidate_idx is not None:
        pool_idx, on_device = candidate_idx, torch.from_numpy(candidate_idx).to(blocks.device)
        blocks = Blocks(blocks.take(candidate_idx), blocks.device)
        weights, root, is_open = weights[on_device], root[on_device], is_open[on_device]
    leverages, spreads = _quadratic_forms(blocks, weights, information)
    picks = np.empty(min(2 * budget, int(is_open.sum())), dtype=np.int64)
    vectors = eye.new_empty((len(picks), blocks.n_features))
    for step in range(len(picks)):
        gains = (spreads / (1.0 + leverages)).float().masked_fill_(~is_open, -torch.inf)
        picks[step] = pick = int(gains.argmax())
        is_open[pick] = False
        vectors[step] = blocks.take(picks[step : step + 1])[0].double() * root[pick]
        change = information.change(vectors[step], float(leverages[pick]), float(spreads[pick]), 1.0)
        blocks.map_tiles(partial(_renew, change, root, leverages, spreads))
        on_pick(step + 1, float(gains[pick]))
    kept: np.ndarray = pool_idx[picks[_missed_most(information, vectors, budget)]]
    return kept


def _renew(change: _Change, root: Tensor, leverages: Tensor, spreads: Tensor, tile: Tile) -> None:
    """Renew the forms of the rows of a tile."""
    where = tile.slice
    change.apply(tile.rows.double(), root[where], leverages[where], spreads[where])


def _missed_most(information: _Information, vectors: Tensor, n_kept: int) -> np.ndarray:
    """Take out one vector after the other, that which is missed least; return the positions of those left."""
    leverages = (vectors @ information.inverse * vectors).sum(dim=1)
    spreads = (vectors @ information.spread * vectors).sum(dim=1)
    is_kept = torch.ones(len(vectors), dtype=torch.bool, device=vectors.device)
    for _ in range(len(vectors) - n_kept):
        losses = (spreads / (1.0 - leverages).clamp(min=1e-12)).float().masked_fill_(~is_kept, torch.inf)
        least = len(losses) - 1 - int(losses.flip(0).argmin())
        is_kept[least] = False
        change = information.change(vectors[least], float(leverages[least]), float(spreads[least]), -1.0)
        change.apply(vectors, None, leverages, spreads)
    kept: np.ndarray = is_kept.nonzero().flatten().cpu().numpy()
    return kept


def _weighted_squares(blocks: Blocks, weights: Tensor) -> Tensor:
    """Mean of the information of all rows, (d, d)."""
    total = torch.zeros((blocks.n_features, blocks.n_features), dtype=torch.float64, device=blocks.device)
    for tile in blocks.tiles():
        rows = tile.rows.double()
        total += product((rows * weights[tile.slice, None]).T, rows)
    return total / blocks.n_rows


def _quadratic_forms(blocks: Blocks, weights: Tensor, information: _Information) -> tuple[Tensor, Tensor]:
    """``vᵀMv`` and ``vᵀAv`` of each row, two of shape (n,)."""
    leverages, spreads = torch.empty_like(weights), torch.empty_like(weights)
    for tile in blocks.tiles():
        rows = tile.rows.double()
        leverages[tile.slice] = weights[tile.slice] * (product(rows, information.inverse) * rows).sum(dim=1)
        spreads[tile.slice] = weights[tile.slice] * (product(rows, information.spread) * rows).sum(dim=1)
    return leverages, spreads
