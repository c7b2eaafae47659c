"""k-center: the gain of a row is its squared distance to the nearest center."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from skal._core.blocks import Block, Blocks
from skal._core.distances import half_sq_norms
from skal._core.greedy._centers import Centers
from skal._core.greedy._exact_rows import ExactRows
from skal._core.greedy._objective import Candidates, Objective
from skal._core.greedy._sq_dist import Float32Bounds, sq_dist_of_pairs
from skal._core.workers import map_on

__all__ = ["KCenter"]

_N_CANDIDATES = 1024
# Distances from the next pick are computed together with those from the ones that will probably follow.
_AHEAD = 64
_SCORES_AT_ONCE = 1 << 22


class KCenter(Objective):
    """Squared distance of each row to its nearest center, which falls as centers are added.

    The definition is that of `sq_dist_of_pairs`: float64 differences of the rows as given. Float32 matrix products
    bound it, and differences are computed where the bounds leave the order open. So the picks depend on neither the
    device nor the number of threads.

    Parameters
    ----------
    blocks : Blocks of shape (n, d), float32
    exact_rows : ExactRows of the same rows
    center_idx : int64 ndarray of shape (n_centers,)
        Rows that are centers already, at least one.
    n_more : int
        At most how many will be added.

    Notes
    -----
    Products: at most ``2·n·(n_centers + n_more)·d`` operations in float32; rows that cannot win are left alone.
    Differences: of a row that could win, to the centers that could be its nearest as far as float32 knows. These are
    one or two where rows are far apart beside the rounding, and all centers of the row's own group where rows lie in
    groups narrower than that, or at equal distances. No pair is computed twice, so that the worst case is the
    plain float64 loop, ``n·(n_centers + n_more)·d`` differences.

    Memory: two vectors of length n in float64, two in int32, and (n_centers + n_more) × d for the centers, in
    float32 and, of those that differences were computed to, in float64.
    """

    gains_only_fall = True
    least_gain = 0.0
    bounds_are_cheap = True

    def __init__(self, blocks: Blocks, exact_rows: ExactRows, center_idx: np.ndarray, n_more: int) -> None:
        self.n_rows = blocks.n_rows
        self.n_candidates = _N_CANDIDATES
        self.blocks = blocks
        self.bounds = Float32Bounds(blocks.n_features)
        self.centers = Centers(blocks, exact_rows, center_idx, n_more)
        self._exact_rows = exact_rows
        self._n_bounded = np.full(self.n_rows, len(center_idx), dtype=np.int32)
        self._n_settled = np.zeros(self.n_rows, dtype=np.int32)
        (score,) = blocks.map_gather(_least_scores, (self.bounds, *self.centers.since(0)))
        self._half_norms = blocks.half_sq_norms()
        # Bounds from above, or exact with regard to the first `_n_settled` centers.
        self._nearest: np.ndarray = self.bounds.complete(score, self._half_norms).double().cpu().numpy()

    def gains(self, row_idx: np.ndarray) -> np.ndarray:
        """Squared distance of each row to its nearest center, by float64 differences."""
        return self.settle(row_idx, self.blocks.take(row_idx))

    def add(self, row: int) -> None:
        """Make a row a center."""
        row_idx = np.array([row])
        vectors = self.blocks.take(row_idx)
        self.centers.add(row_idx, vectors, half_sq_norms(vectors))

    def upper_bounds(self, row_idx: np.ndarray) -> np.ndarray:
        """Squared distances bounded from above, all centers considered."""
        stale = row_idx[self._n_bounded[row_idx] < self.centers.count]
        by_age = stale[np.argsort(self._n_bounded[stale], kind="stable")]
        size = self.blocks.tile_rows
        parts = [by_age[first : first + size] for first in range(0, len(by_age), size)]
        map_on(self.blocks.device, self._lower, parts)
        nearest: np.ndarray = self._nearest[row_idx]
        return nearest

    def candidates(self, row_idx: np.ndarray, upper: np.ndarray) -> Candidates:
        return _KCenterCandidates(self, row_idx, upper)

    def settle(self, row_idx: np.ndarray, rows: Tensor) -> np.ndarray:
        """Compute the gains of rows whose float32 vectors are at hand."""
        stale = np.flatnonzero(self._n_settled[row_idx] < self.centers.count)
        if len(stale):
            first = int(self._n_settled[row_idx[stale]].min())
            at_once = max(1, _SCORES_AT_ONCE // (self.centers.count - first))
            for start in range(0, len(stale), at_once):
                positions = stale[start : start + at_once]
                self._settle(row_idx[positions], rows[positions], first)
        nearest: np.ndarray = self._nearest[row_idx]
        return nearest

    def learn(self, row_idx: np.ndarray, upper: np.ndarray) -> None:
        """Take note of bounds that were found elsewhere, all centers considered."""
        self._nearest[row_idx] = np.minimum(self._nearest[row_idx], upper)
        self._n_bounded[row_idx] = self.centers.count

    def _lower(self, row_idx: np.ndarray) -> None:
        """Bring the bounds of rows that are sorted by age up to date with the centers since the oldest."""
        rows = self.blocks.take(row_idx)
        newer = self.centers.since(int(self._n_bounded[row_idx[0]]))
        upper = self.bounds.complete(self.bounds.least_score(rows, *newer), self._half_norms_of(row_idx))
        self.learn(row_idx, upper.cpu().numpy())

    def _settle(self, row_idx: np.ndarray, rows: Tensor, first_center: int) -> None:
        """Compare rows with every center from the first on that could be nearer than what is known."""
        row_pos, center_pos = self.bounds.could_be_within(
            torch.from_numpy(self._nearest[row_idx]).to(self.blocks.device),
            rows,
            self._half_norms_of(row_idx),
            *self.centers.since(first_center),
        )
        center_pos += first_center
        is_new = center_pos >= self._n_settled[row_idx[row_pos]]
        row_pos, center_pos = row_pos[is_new], center_pos[is_new]
        exact_rows = self._exact_rows.take(row_idx)
        sq_dist = sq_dist_of_pairs(exact_rows, self.centers.exact(center_pos), row_pos, center_pos)
        np.minimum.at(self._nearest, row_idx[row_pos], sq_dist)
        self._n_settled[row_idx] = self.centers.count

    def _half_norms_of(self, row_idx: np.ndarray) -> Tensor:
        return self._half_norms[torch.from_numpy(row_idx).to(self.blocks.device)]


class _KCenterCandidates(Candidates):
    """Candidates whose distances from one another are computed some centers ahead."""

    objective: KCenter

    def __init__(self, objective: KCenter, row_idx: np.ndarray, upper: np.ndarray) -> None:
        super().__init__(objective, row_idx, upper)
        self._rows = objective.blocks.take(row_idx)
        self._half_norms = half_sq_norms(self._rows)
        self._sq_norms = 2.0 * self._half_norms.double().cpu().numpy()
        self._bounds_from: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._to_be_centers: list[int] = []
        # The nearest center is no longer than the row and the way to it together.
        center_sq_norms = np.minimum(objective.centers.largest_sq_norm, (np.sqrt(self._sq_norms) + np.sqrt(upper)) ** 2)
        self.lower = _lower_bounds(upper, objective.bounds.width(self._sq_norms, center_sq_norms))

    def settle(self, positions: np.ndarray) -> None:
        self._add_centers()
        open_upper = np.where(self.lower < self.upper, self.upper, -np.inf)
        positions = np.union1d(positions, _largest(open_upper, _AHEAD))
        row_idx = self.row_idx[positions]
        self.objective.learn(row_idx, self.upper[positions])
        self.upper[positions] = self.lower[positions] = self.objective.settle(row_idx, self._rows[positions])

    def add(self, position: int) -> None:
        if position not in self._bounds_from:
            self._look_ahead(position)
        upper, lower = self._bounds_from.pop(position)
        self._to_be_centers.append(position)
        self.upper[position] = self.lower[position] = -np.inf
        np.minimum(self.upper, upper, out=self.upper)
        np.minimum(self.lower, lower, out=self.lower)

    def close(self) -> None:
        self._add_centers()
        is_left = self.upper > -np.inf
        self.objective.learn(self.row_idx[is_left], self.upper[is_left])

    def _add_centers(self) -> None:
        """Make the latest picks centers of the objective."""
        if self._to_be_centers:
            new = self._to_be_centers
            self.objective.centers.add(self.row_idx[new], self._rows[new], self._half_norms[new])
            self._to_be_centers = []

    def _look_ahead(self, position: int) -> None:
        """Bound distances from a candidate, and from those that are next by what is known."""
        next_upper = self.upper.copy()
        next_upper[[position, *self._bounds_from]] = -np.inf
        ahead = np.append(_largest(next_upper, _AHEAD), position)
        bounds = self.objective.bounds
        sq_dist = bounds.upper_of_each(self._rows, self._half_norms, self._rows[ahead], self._half_norms[ahead])
        upper = sq_dist.double().cpu().numpy()
        lower = _lower_bounds(upper, bounds.width(self._sq_norms, self._sq_norms[ahead, None]))
        self._bounds_from.update(zip(ahead.tolist(), zip(upper, lower, strict=True), strict=True))


def _least_scores(
    block: Block, per_row: tuple[Tensor, ...], shared: tuple[Float32Bounds, Tensor, Tensor]
) -> tuple[Tensor]:
    bounds, centers, center_half_norms = shared
    return (torch.cat(block.map_tiles(lambda tile: bounds.least_score(tile.rows, centers, center_half_norms))),)


def _lower_bounds(upper: np.ndarray, width: np.ndarray) -> np.ndarray:
    """At least 0, which is also what is known where float32 overflows."""
    with np.errstate(invalid="ignore"):
        lower: np.ndarray = np.fmax(upper - width, 0.0)
    return lower


def _largest(values: np.ndarray, n_wanted: int) -> np.ndarray:
    """Positions of the largest values, in any order; -inf is never among them."""
    positions = np.argpartition(-values, n_wanted)[:n_wanted] if n_wanted < len(values) else np.arange(len(values))
    return positions[values[positions] > -np.inf]
