"""Rows, or their projections, whose squared distances float32 bounds from below."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from skal._core.blocks import Blocks
from skal._core.greedy._sq_dist import Float32Bounds
from skal._core.products import affine, product
from skal._core.projection import PrincipalAxes, project

__all__ = ["ComparedRows", "ProjectedRows", "deflated_half_norms"]

_Pairs = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]

_UNIT = 2.0**-24
_ELEMENTS_AT_ONCE = 1 << 17


def deflated_half_norms(rows: Tensor) -> Tensor:
    """Half the squared norms of rows (m, d), less what float32 products of two rows may be off; float32."""
    bounds = Float32Bounds(rows.shape[1])
    norms: Tensor = torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64)
    return norms.square_().mul_(0.5 * (1 - bounds.share)).sub_(0.25 * bounds.underflow).float()


@dataclass(frozen=True)
class ComparedRows:
    """Rows, and their `deflated_half_norms`."""

    rows: Tensor  # (m, d) float32
    half_norms: Tensor  # (m,) float32

    @classmethod
    def of(cls, rows: Tensor) -> ComparedRows:
        return cls(rows.float(), deflated_half_norms(rows))

    def lower_sq_dist(self, others: ComparedRows) -> Tensor:
        """Bound the squared distances to others (k, d), float32 of shape (m, k)."""
        return self._score(others).sub_(self.half_norms[:, None]).mul_(-2.0)

    def pairs_below(self, others: ComparedRows, limits: npt.NDArray[np.float64]) -> _Pairs:
        """Find the pairs with others whose squared distance could be below the limit of the row, one of (m,).

        Returns
        -------
        row_pos, other_pos : int64 ndarrays of shape (p,)
        sq_dist : float32 ndarray of shape (p,)
            Bounds from below.
        """
        score = self._score(others).numpy()
        least = (self.half_norms.numpy() - 0.5 * limits).astype(np.float32)
        places = np.flatnonzero(score > least[:, None])
        row_pos, other_pos = np.divmod(places, len(others.rows))
        return row_pos, other_pos, 2.0 * (self.half_norms.numpy()[row_pos] - score.ravel()[places])

    def lower_sq_dist_of_pairs(
        self, others: ComparedRows, row_pos: npt.NDArray[np.int64], other_pos: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        """Bound the squared distances of some pairs with others, (p,)."""
        first, second = torch.from_numpy(row_pos), torch.from_numpy(other_pos)
        products = torch.empty(len(first))
        at_once = max(1, _ELEMENTS_AT_ONCE // max(1, self.rows.shape[1]))
        for start in range(0, len(first), at_once):
            part = slice(start, start + at_once)
            both = self.rows.index_select(0, first[part]).mul_(others.rows.index_select(0, second[part]))
            torch.sum(both, dim=1, out=products[part])
        lower: npt.NDArray[np.float32] = (
            self.half_norms[first].add_(others.half_norms[second]).sub_(products).mul_(2.0).numpy()
        )
        return lower

    def _score(self, others: ComparedRows) -> Tensor:
        """``x·y − ½‖y‖²``, shape (m, k)."""
        return affine(-others.half_norms, self.rows, others.rows.T)


@dataclass(frozen=True)
class ProjectedRows:
    """Rows on orthonormal axes: no two of them are nearer than their coordinates, but for rounding."""

    coordinates: ComparedRows
    stretch: float  # at most so much longer than it is does a difference become on the axes
    error: float  # at most so far is a row from where it would be without rounding

    @classmethod
    def of(cls, rows: Tensor, axes: PrincipalAxes) -> ProjectedRows:
        """Project rows (m, d)."""
        offset = product(axes.mean[None], axes.directions)[0]
        longest = float(torch.linalg.vector_norm(rows, dim=1).max()) if len(rows) else 0.0
        return cls._of(affine(-offset, rows.to(offset.dtype), axes.directions).float(), axes, longest)

    @classmethod
    def of_blocks(cls, blocks: Blocks, axes: PrincipalAxes) -> ProjectedRows:
        """Project a pool."""
        longest = float(blocks.half_sq_norms().max().mul(2.0).sqrt())
        (coordinates,) = blocks.map_gather(project, axes)
        return cls._of(coordinates, axes, longest)

    @classmethod
    def _of(cls, coordinates: Tensor, axes: PrincipalAxes, longest: float) -> ProjectedRows:
        n_features, n_components = axes.directions.shape
        directions = axes.directions.double()
        gram = directions.T @ directions
        stretch = 1.0 + float(torch.linalg.matrix_norm(gram - torch.eye(n_components, dtype=gram.dtype)))
        length = 1.01 * (longest + float(axes.mean.double().norm()))
        error = 2.0 * (n_features + 8) * _UNIT * n_components**0.5 * length
        return cls(ComparedRows.of(coordinates), stretch, error)

    def at(self, row_idx: npt.NDArray[np.int64]) -> ProjectedRows:
        at = torch.from_numpy(row_idx)
        some = ComparedRows(self.coordinates.rows.index_select(0, at), self.coordinates.half_norms.index_select(0, at))
        return ProjectedRows(some, self.stretch, self.error)

    def lower_sq_dist(self, others: ProjectedRows) -> Tensor:
        """Bound the squared distances of the rows, float32 of shape (m, k)."""
        apart = self.coordinates.lower_sq_dist(others.coordinates).clamp_(min=0).sqrt_().sub_(self.error + others.error)
        return apart.clamp_(min=0).square_().mul_((1.0 - 4 * _UNIT) / max(self.stretch, others.stretch) ** 2)

    def pairs_below(
        self, others: ProjectedRows, limits: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Find the pairs with others whose squared distance could be below the limit of the row: positions."""
        apart = np.sqrt(limits) * max(self.stretch, others.stretch) + self.error + others.error
        row_pos, other_pos, _ = self.coordinates.pairs_below(others.coordinates, np.square(apart) * (1.0 + 4 * _UNIT))
        return row_pos, other_pos
