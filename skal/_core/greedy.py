"""k-center greedy over a pool: exactly the sequential greedy, without reading the whole pool once a pick."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skal._core.blocks import Blocks
from skal._core.distances import half_sq_norms

__all__ = ["KCenterResult", "k_center", "row_nearest_mean"]

_CANDIDATES = 1024
_DISTANCES_AHEAD = 64
_CENTERS_AT_ONCE = 4096
_ROUNDING = 2.0**-20
_CLOSE_CALLS = 16
# Rows this near the limit are brought up to date with those above it: they would be next.
_REFRESH_SHARE = 0.92


@dataclass(frozen=True)
class KCenterResult:
    """The picks in order, and how far the farthest row is from them."""

    picks: np.ndarray  # (budget,) int64
    max_sq_dist: float


class _NearestCenter:
    """Each row's squared distance to its nearest center: an upper bound, made exact only where it matters.

    Distances fall as centers are added, so a bound below the largest exact distance rules its row out.
    """

    def __init__(self, pool: Blocks, center_idx: np.ndarray, n_more: int) -> None:
        self._pool = pool
        self._n_centers = len(center_idx)
        self._centers = torch.empty((self._n_centers + n_more, pool.n_features), dtype=pool.dtype, device=pool.device)
        self._half_norms = self._centers.new_empty(len(self._centers))
        self._row_half_norms = self._centers.new_empty(pool.n_rows)
        self._bound = self._centers.new_full((pool.n_rows,), torch.inf)
        self._n_seen = torch.full((pool.n_rows,), self._n_centers, dtype=torch.int64, device=pool.device)
        self._centers[: self._n_centers] = pool.take(center_idx)
        self._half_norms[: self._n_centers] = half_sq_norms(self._centers[: self._n_centers])
        for tile in pool.tiles():
            self._row_half_norms[tile.slice] = 0.5 * tile.rows.square().sum(dim=1)
            self._lower(tile.rows, tile.slice, 0)
        self._bound[torch.from_numpy(center_idx).to(pool.device)] = -1.0

    def add(self, center_idx: Tensor, rows: Tensor) -> None:
        """Make `center_idx` centers; the other rows learn of them when they have to."""
        new = slice(self._n_centers, self._n_centers + len(rows))
        self._centers[new], self._half_norms[new] = rows, half_sq_norms(rows)
        self._n_centers += len(rows)
        self._bound[center_idx] = -1.0

    def largest(self, n_wanted: int) -> tuple[Tensor, Tensor, tuple[float, int]]:
        """Find the `n_wanted` rows farthest from the centers, ties to the lowest row.

        Returns
        -------
        candidate_idx : int64 Tensor of shape (n_wanted,)
            Ascending.
        sq_dist : Tensor of shape (n_wanted,)
        runner_up : (float, int)
            Squared distance and number of the row that follows; (-1, n) where no row is left.
        """
        n_ranked = min(n_wanted + 1, len(self._bound))
        while True:
            limit = float(self._bound.topk(n_ranked).values[-1])
            near_limit = (self._bound >= max(limit, 0.0) * _REFRESH_SHARE).nonzero().flatten()
            stale = near_limit[self._n_seen[near_limit] < self._n_centers]
            if not bool((self._bound[stale] >= limit).any()):
                break
            self._refresh(stale)
        at_least = (self._bound >= limit).nonzero().flatten()
        order = self._bound[at_least].sort(descending=True, stable=True).indices
        runner_up = (-1.0, len(self._bound))
        if n_ranked > n_wanted and limit >= 0:
            runner_up = (limit, int(at_least[order[n_wanted]]))
        candidate_idx = at_least[order[:n_wanted]].sort().values
        return candidate_idx, self._bound[candidate_idx], runner_up

    def rounding(self) -> float:
        """How far apart two squared distances must be for float32 to tell which is larger; 0 where it overflowed."""
        largest_sq_norm = 2.0 * float(self._row_half_norms.max())
        return _ROUNDING * largest_sq_norm if math.isfinite(largest_sq_norm) else 0.0

    def exact_sq_dist(self, rows: Tensor, more_centers: Tensor, rounding: float) -> np.ndarray:
        """Squared distances of a few rows to the nearest center or one of `more_centers`, in float64, shape (m,)."""
        centers = torch.cat([self._centers[: self._n_centers], more_centers])
        half_norms = torch.cat([self._half_norms[: self._n_centers], half_sq_norms(more_centers)])
        score = torch.addmm(half_norms, rows, centers.T, alpha=-1)
        could_be = score <= score.amin(dim=1, keepdim=True) + rounding
        sq_dist = [
            (centers[mask].double() - row.double()).square().sum(dim=1).min()
            for row, mask in zip(rows, could_be, strict=True)
        ]
        return torch.stack(sq_dist).cpu().numpy()

    def _refresh(self, stale: Tensor) -> None:
        by_n_seen = stale[self._n_seen[stale].sort(stable=True).indices]
        for row_idx in torch.split(by_n_seen, self._pool.tile_rows):
            rows = self._pool.take(row_idx.cpu())
            self._lower(rows, row_idx, int(self._n_seen[row_idx[0]]))
        self._n_seen[stale] = self._n_centers

    def _lower(self, rows: Tensor, where: slice | Tensor, first_center: int) -> None:
        bound = self._bound[where]
        for first in range(first_center, self._n_centers, _CENTERS_AT_ONCE):
            chunk = slice(first, min(first + _CENTERS_AT_ONCE, self._n_centers))
            score = torch.addmm(self._half_norms[chunk, None], self._centers[chunk], rows.T, alpha=-1).amin(dim=0)
            bound = torch.minimum(bound, _to_sq_dist(score, self._row_half_norms[where]))
        self._bound[where] = bound


def k_center(
    pool: Blocks,
    center_idx: np.ndarray,
    budget: int,
    on_batch: Callable[[int, float], object] = lambda n_picks, sq_dist: None,
) -> KCenterResult:
    """Pick `budget` times the row farthest from its nearest center, which is a center from then on.

    Exactly the sequential greedy, ties to the lowest row. Integer-valued rows whose squared norms stay below
    2²³ have exact distances; elsewhere float64 decides between a few rows that float32 cannot tell apart, and
    float32 between more than that. Greedy runs among the rows that are
    farthest now, for as long as one of them beats every row outside, since distances only fall; and a row
    is compared with the new centers only once its last known distance could win.

    Parameters
    ----------
    pool : Blocks of shape (n, d)
    center_idx : int64 ndarray of shape (n_centers,)
        Rows that are centers already, at least one.
    budget : int
        At most n - n_centers.
    on_batch : callable of (picks so far, squared distance of the last)

    Notes
    -----
    ``2·n·(n_centers + budget)·d`` operations at the most, in matrix products; three vectors of length n and
    the centers, (n_centers + budget) × d, beside the pool.

    References
    ----------
    .. [1] Sener and Savarese, "Active learning for convolutional neural networks: a core-set approach",
       ICLR 2018, algorithm 1.
    """
    nearest = _NearestCenter(pool, center_idx, budget)
    picks = np.empty(0, dtype=np.int64)
    while len(picks) < budget:
        n_left = pool.n_rows - len(center_idx) - len(picks)
        candidate_idx, sq_dist, runner_up = nearest.largest(min(n_left, _CANDIDATES))
        rows = pool.take(candidate_idx.cpu())
        pool_idx = candidate_idx.cpu().numpy()
        local_pos, last_sq_dist = _greedy_among(
            nearest, rows, pool_idx, sq_dist.cpu().numpy(), runner_up, min(budget - len(picks), len(pool_idx))
        )
        picks = np.concatenate([picks, pool_idx[local_pos]])
        chosen = torch.tensor(local_pos, device=pool.device)
        nearest.add(candidate_idx[chosen], rows[chosen])
        on_batch(len(picks), last_sq_dist)
    _, farthest, _ = nearest.largest(1)
    return KCenterResult(picks, max(float(farthest[0]), 0.0))


def _greedy_among(
    nearest: _NearestCenter,
    rows: Tensor,
    pool_idx: np.ndarray,
    sq_dist: np.ndarray,
    runner_up: tuple[float, int],
    budget: int,
) -> tuple[list[int], float]:
    """Greedy among candidates (m, d), ascending in `pool_idx`, until a row outside could win.

    Distances from a candidate are computed together with those from the others that are next by what is known.
    What float32 cannot tell apart, unless it is equal, float64 decides.
    """
    rival_sq_dist, rival_idx = runner_up
    half_norms = half_sq_norms(rows)
    rounding = nearest.rounding()
    sq_dist = sq_dist.copy()
    distances_from: dict[int, np.ndarray] = {}
    chosen: list[int] = []
    last_sq_dist = 0.0
    while len(chosen) < budget:
        best = int(sq_dist.argmax())
        best_sq_dist = float(sq_dist[best])
        if best_sq_dist < rival_sq_dist or (best_sq_dist == rival_sq_dist and pool_idx[best] > rival_idx):
            break
        if chosen and rival_sq_dist < best_sq_dist < rival_sq_dist + rounding:
            break  # the next batch holds both
        close = np.flatnonzero(sq_dist >= max(best_sq_dist - rounding, 0.0))
        if len(close) <= _CLOSE_CALLS and sq_dist[close].min() < best_sq_dist:
            best = int(close[nearest.exact_sq_dist(rows[close], rows[chosen], rounding).argmax()])
        if best not in distances_from:
            ahead = [best, *np.argsort(-sq_dist)[:_DISTANCES_AHEAD].tolist()]
            score = torch.addmm(half_norms, rows[ahead], rows.T, alpha=-1)
            between = _to_sq_dist(score, half_norms[ahead, None]).cpu().numpy()
            distances_from.update(zip(ahead, between, strict=True))
        chosen.append(best)
        last_sq_dist = best_sq_dist
        sq_dist[best] = -1.0
        np.minimum(sq_dist, distances_from[best], out=sq_dist)
    return chosen, last_sq_dist


def _to_sq_dist(score: Tensor, half_norms: Tensor) -> Tensor:
    """Complete ``½‖c‖² − x·c`` to ``‖x − c‖²``, never negative; infinite where float32 overflows."""
    return (2.0 * (score + half_norms)).clamp_(min=0).nan_to_num_(nan=torch.inf, posinf=torch.inf)


def row_nearest_mean(pool: Blocks) -> int:
    """Find the row nearest the mean of all rows, ties to the lowest; exact for integer-valued rows.

    Compares ``n·‖x‖² − 2·x·Σx`` in float64. Two passes of the pool.
    """
    total = torch.zeros(pool.n_features, dtype=torch.float64, device=pool.device)
    for tile in pool.tiles():
        total += tile.rows.sum(dim=0, dtype=torch.float64)
    best_score, best_row = float("inf"), 0
    for tile in pool.tiles():
        score = pool.n_rows * tile.rows.square().sum(dim=1).double() - 2.0 * (tile.rows.double() @ total)
        local_pos = int(score.argmin())
        if float(score[local_pos]) < best_score:
            best_score, best_row = float(score[local_pos]), tile.start + local_pos
    return best_row
