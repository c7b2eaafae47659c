"""The leading principal directions of a pool, and its rows on them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from skal._core.blocks import Block, Blocks, Tile
from skal._core.products import affine, product, total
from skal._core.workers import one_thread

__all__ = ["PrincipalAxes", "principal_axes", "project"]

_SAMPLE_ROWS = 8192
_WIDEST_FOR_EIGH = 1024
_SPARE_DIRECTIONS, _SUBSPACE_ITERATIONS = 16, 3
_MOST_OF_THE_VARIANCE = 0.5


class PrincipalAxes(NamedTuple):
    """Coordinates of a row x are ``(x - mean) @ directions``."""

    mean: Tensor  # (d,)
    directions: Tensor  # (d, n_components), orthonormal
    captured: float  # share of the variance along them


def principal_axes(pool: Blocks, n_components: int) -> PrincipalAxes:
    """Fit directions to evenly spaced rows of the pool: the leading principal ones.

    Where these hold less than half of the variance, the second half of them is random instead: every direction
    then keeps its share, and groups that the leading directions do not tell apart stay apart (Johnson and
    Lindenstrauss, 1984).

    For a sample of m ≤ 8192 rows, ``2·m·d²`` operations and an eigendecomposition of d × d up to d = 1024;
    beyond, ``14·m·d·n_components`` by subspace iteration, and memory of d × n_components.
    """
    n_sampled = min(pool.n_rows, _SAMPLE_ROWS)
    sample = pool.take(np.linspace(0, pool.n_rows - 1, n_sampled).astype(np.int64))
    mean = sample.mean(dim=0)
    centered = sample - mean
    scatter = total(centered.square())
    wide = pool.n_features > _WIDEST_FOR_EIGH
    directions = _by_subspace_iteration(centered, n_components) if wide else _by_eigh(centered, n_components)
    captured = _variance_along(centered, directions) / scatter if scatter > 0 else 1.0
    if captured < _MOST_OF_THE_VARIANCE:
        directions = _half_random(directions)
        captured = _variance_along(centered, directions) / scatter
    return PrincipalAxes(mean, directions.contiguous(), captured)


def _by_eigh(centered: Tensor, n_components: int) -> Tensor:
    covariance = product(centered.T, centered) / len(centered)
    with one_thread():  # as in the other decompositions: more round differently
        directions = _eigenvectors(covariance)
    leading: Tensor = directions[:, -n_components:]
    return leading


def _eigenvectors(covariance: Tensor) -> Tensor:
    """In float64 where float32 fails or gives NaN, as it may where many directions hold the same variance."""
    try:
        directions: Tensor = torch.linalg.eigh(covariance)[1]
        if bool(torch.isfinite(directions).all()):
            return directions
    except torch.linalg.LinAlgError:
        pass
    in_float64: Tensor = torch.linalg.eigh(covariance.double())[1]
    return in_float64.to(covariance.dtype)


def _by_subspace_iteration(centered: Tensor, n_components: int) -> Tensor:
    """Leading right singular vectors, the last the largest (Halko, Martinsson and Tropp, 2011)."""
    width = min(n_components + _SPARE_DIRECTIONS, *centered.shape)
    basis = _random_directions(centered.shape[1], width, centered.device)
    for _ in range(_SUBSPACE_ITERATIONS):
        basis = _orthonormal(product(centered.T, product(centered, basis)))
    coordinates = product(centered, basis)
    with one_thread():
        _, _, rotation = torch.linalg.svd(coordinates, full_matrices=False)
    leading = product(basis, rotation.T)[:, :n_components].flip(1)
    if leading.shape[1] == n_components:
        return leading
    n_missing = n_components - leading.shape[1]  # fewer rows than components
    drawn = _random_directions(centered.shape[1], n_missing, centered.device)
    filled = torch.cat([leading.flip(1), drawn], dim=1)
    return _orthonormal(filled).flip(1)


def _half_random(directions: Tensor) -> Tensor:
    """Keep the last half of orthonormal directions (the leading ones) and make the others random."""
    n_components = directions.shape[1]
    leading = directions[:, n_components // 2 :].flip(1)
    drawn = _random_directions(len(directions), n_components - leading.shape[1], directions.device)
    return _orthonormal(torch.cat([leading, drawn], dim=1)).flip(1)


def _orthonormal(columns: Tensor) -> Tensor:
    with one_thread():
        basis: Tensor = torch.linalg.qr(columns)[0]
    return basis


def _random_directions(n_features: int, n_directions: int, device: torch.device) -> Tensor:
    """Normally distributed columns, the same at each call."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn((n_features, n_directions), generator=generator, dtype=torch.float32).to(device)


def _variance_along(centered: Tensor, directions: Tensor) -> float:
    return total(product(centered, directions).square())


def project(block: Block, per_row: tuple[Tensor, ...], axes: PrincipalAxes) -> tuple[Tensor]:
    """Coordinates of the rows of a block on the axes, float32 of shape (m, n_components)."""
    (offset,) = product(axes.mean[None], axes.directions)
    coordinates = torch.empty((block.n_rows, axes.directions.shape[1]), dtype=torch.float32, device=block.device)

    def project_tile(tile: Tile) -> None:
        coordinates[tile.slice] = affine(-offset, tile.rows, axes.directions)

    block.map_tiles(project_tile)
    return (coordinates,)
