"""Similarities between the rows of a pool and some candidates, never all pairs at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from skal._core.blocks import Block, Blocks, Tile
from skal._core.greedy._near_pairs import near_pairs
from skal._core.greedy._sq_dist import Float32Bounds

__all__ = ["RBF", "Kernel", "Linear", "RowSimilarity", "Similarity", "TopHat"]

Result = TypeVar("Result")

_ROUNDED_UP = 1 + 2.0**-20  # more than a kernel may lose to single roundings in float32
_SPARE = 2.0**-40  # more than float64 may lose where a kernel is turned round, in units of its scale
_COARSEST = 0.05  # of the kernel's scale: where float32 sees no more than that, its bounds rule nothing out


class Similarity(Protocol):
    """What `FacilityLocation` needs to know of a kernel: a few of its columns, a tile of rows at a time.

    A kernel that is a matrix, dense or sparse, slices it; one that follows from the rows is a `RowSimilarity`.
    """

    n_rows: int
    device: torch.device

    def tiles(self, candidate_idx: np.ndarray) -> Iterator[tuple[slice, Tensor]]:
        """Yield which rows, and their similarities to the candidates, float64 of shape (len(rows), m)."""
        ...


class Kernel(Protocol):
    """A similarity as a function of inner products and squared norms, never negative.

    One that never rises with the squared distance ``‖x‖² + ‖y‖² − 2·x·y`` says so by ``falls_with_distance = True``
    and takes float32 too. It is then bounded by float32 products, which is several times faster. One that is 0 or 1
    says so by ``is_zero_or_one = True``. One that has a method ``sq_reach``, which turns similarities (t,) into the
    squared distances (t,) from which on no similarity is above them, is compared only with rows that are nearer.
    """

    def __call__(self, products: Tensor, sq_norms: Tensor, candidate_sq_norms: Tensor) -> Tensor:
        """Turn products (t, m) into similarities (t, m), in place where that is easier.

        `sq_norms` is (t, 1), `candidate_sq_norms` is (m,), and all three are of one dtype, float64 unless
        ``falls_with_distance``.
        """
        ...


class RowSimilarity:
    """Similarities computed from the rows in float64, tile by tile.

    Parameters
    ----------
    blocks : Blocks of shape (n, d)
        For instance ``pool.view("cosine").blocks``.
    kernel : Kernel
        For instance `RBF`.
    references : Blocks of shape (r, d), default=None
        The rows that are to be covered, where these are others than the candidates: a sample of a large pool, say.

    See Also
    --------
    FacilityLocation : Takes it.
    Kernel : What similarity is made of distances.

    Examples
    --------
    >>> import numpy as np
    >>> import skal
    >>> from skal.greedy import RBF, RowSimilarity
    >>> pool = skal.Pool(np.array([[0.0], [1.0], [3.0]]), metric="euclidean")
    >>> [(_, tile)] = RowSimilarity(pool.view().blocks, RBF(sigma=1.0)).tiles(np.array([1]))
    >>> tile.numpy().round(3)
    array([[0.368],
           [1.   ],
           [0.018]])
    """

    def __init__(self, blocks: Blocks, kernel: Kernel, *, references: Blocks | None = None) -> None:
        references = blocks if references is None else references
        self.n_rows, self.n_references, self.device = blocks.n_rows, references.n_rows, blocks.device
        self._candidates, self._references = blocks, references
        self._kernel = kernel
        (self._sq_norms,) = references.map_gather(_sq_norms)
        bounds = Float32Bounds(blocks.n_features)
        self._deflated = (self._sq_norms * (1 - bounds.share) - bounds.underflow).float()
        self._share = bounds.share

    @property
    def tile_rows(self) -> int:
        """At most how many rows `map_tiles` hands over at once."""
        return self._references.tile_rows

    def has_upper_bounds(self) -> bool:
        """Say whether the kernel allows for bounds and float32 can see the distances that it cares for."""
        if not getattr(self._kernel, "falls_with_distance", False):
            return False
        return 4.0 * self._share * float(self._sq_norms.max()) <= _COARSEST * getattr(self._kernel, "sq_scale", 1.0)

    def tiles(self, candidate_idx: np.ndarray) -> Iterator[tuple[slice, Tensor]]:
        """Yield which rows, and their similarities to the candidates, float64 of shape (len(rows), m)."""
        similarities = self._similarities(candidate_idx)
        return ((tile.slice, similarities(tile)) for tile in self._references.tiles())

    def map_tiles(self, candidate_idx: np.ndarray, work: Callable[[slice, Tensor], Result]) -> list[Result]:
        """Apply `work` to what `tiles` yields, on workers where the device is a CPU; results in order."""
        similarities = self._similarities(candidate_idx)
        return self._references.map_tiles(lambda tile: work(tile.slice, similarities(tile)))

    def map_upper_tiles(self, candidate_idx: np.ndarray, work: Callable[[slice, Tensor], Result]) -> list[Result]:
        """Do as `map_tiles` with float32 numbers that no similarity is above, in much less time."""
        similarities = self._upper_similarities(candidate_idx)
        return self._references.map_tiles(lambda tile: work(tile.slice, similarities(tile)))

    def pairs_above(
        self, similarity: Tensor, most_share: float, most_pairs: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Find the candidates that could be more similar to a row to be covered than so much.

        Parameters
        ----------
        similarity : float64 Tensor of shape (r,)
            One for each row that is to be covered.
        most_share : float
        most_pairs : int

        Returns
        -------
        candidates, references : int32 ndarrays of shape (p,)
        similarities : float32 ndarray of shape (p,)
            No similarity is above them. None in place of all three where the pairs are more than so large a share of
            all, or more than so many, or the kernel does not say how far it reaches.
        """
        if self.device.type != "cpu" or not hasattr(self._kernel, "sq_reach"):
            return None
        limits = self._kernel.sq_reach(similarity).numpy()
        pairs = near_pairs(self._candidates, self._references, limits, most_share, most_pairs)
        if pairs is None:
            return None
        sq_dist = torch.from_numpy(pairs.sq_dist)[:, None]
        upper = self._kernel(torch.zeros_like(sq_dist), sq_dist, sq_dist.new_zeros(1)).squeeze(1)
        return pairs.candidates, pairs.references, self._rounded_up(upper).numpy()

    def at(self, candidate: int, reference_idx: np.ndarray) -> Tensor:
        """Similarities of one candidate to some rows, float64 of shape (len(reference_idx),)."""
        rows = self._references.take(reference_idx).double()
        vector = self._candidates.take(np.array([candidate])).double()
        sq_norms = self._sq_norms[torch.from_numpy(reference_idx).to(self.device), None]
        return self._kernel(rows @ vector.T, sq_norms, vector.square().sum(dim=1)).squeeze(1)

    def _similarities(self, candidate_idx: np.ndarray) -> Callable[[Tile], Tensor]:
        candidates = self._candidates.take(candidate_idx).double()
        candidate_sq_norms = candidates.square().sum(dim=1)

        def of(tile: Tile) -> Tensor:
            products = tile.rows.double() @ candidates.T
            return self._kernel(products, self._sq_norms[tile.slice, None], candidate_sq_norms)

        return of

    def _upper_similarities(self, candidate_idx: np.ndarray) -> Callable[[Tile], Tensor]:
        candidates = self._candidates.take(candidate_idx).float()
        sq_norms = (candidates.double().square().sum(dim=1) * (1 - self._share)).float()

        def of(tile: Tile) -> Tensor:
            products = tile.rows.float() @ candidates.T
            upper = self._kernel(products, self._deflated[tile.slice, None], sq_norms)
            return self._rounded_up(upper)

        return of

    def _rounded_up(self, upper: Tensor) -> Tensor:
        return upper if getattr(self._kernel, "is_zero_or_one", False) else upper.mul_(_ROUNDED_UP)


@dataclass(frozen=True)
class RBF:
    """``exp(-‖x - y‖² / sigma²)``: MaxHerding.

    Parameters
    ----------
    sigma : float, default=1.0
        In the units of the rows. Rows much longer than that lose digits, 2⁻⁵²·(‖x‖ / sigma)², to cancellation:
        centre them first, as the blocks of ``pool.view("euclidean")`` are.

    See Also
    --------
    TopHat : The same for all rows within a radius.
    Linear : The inner product.
    """

    falls_with_distance: ClassVar[bool] = True

    sigma: float = 1.0

    @property
    def sq_scale(self) -> float:
        """Squared distance at which the similarity has fallen to 1/e."""
        return self.sigma**2

    def __call__(self, products: Tensor, sq_norms: Tensor, candidate_sq_norms: Tensor) -> Tensor:
        sq_dist = products.mul_(-2.0).add_(sq_norms).add_(candidate_sq_norms).clamp_(min=0)
        return sq_dist.mul_(-1.0 / self.sigma**2).exp_()

    def sq_reach(self, similarity: Tensor) -> Tensor:
        """Return the squared distance from which on similarities are no higher."""
        return (-similarity.log() * self.sigma**2).add_(_SPARE * self.sigma**2)


@dataclass(frozen=True)
class TopHat:
    """1 where ``‖x - y‖ < radius``, else 0: ProbCover.

    Parameters
    ----------
    radius : float
        In the units of the rows.

    See Also
    --------
    RBF : Falls smoothly with the distance.
    Linear : The inner product.
    """

    falls_with_distance: ClassVar[bool] = True
    is_zero_or_one: ClassVar[bool] = True

    radius: float

    @property
    def sq_scale(self) -> float:
        """Squared distance at which the similarity falls."""
        return self.radius**2

    def __call__(self, products: Tensor, sq_norms: Tensor, candidate_sq_norms: Tensor) -> Tensor:
        sq_dist = products.mul_(-2.0).add_(sq_norms).add_(candidate_sq_norms)
        return (sq_dist < self.radius**2).to(sq_dist.dtype)

    def sq_reach(self, similarity: Tensor) -> Tensor:
        """Return the squared distance from which on similarities are no higher."""
        return torch.where(similarity < 1, self.radius**2, -torch.inf).to(similarity.dtype)


@dataclass(frozen=True)
class Linear:
    """``1 - ‖x - y‖² / (4 sigma²)``, at least 0; with sigma = 1, of unit rows, ``(1 + x·y) / 2``.

    Parameters
    ----------
    sigma : float, default=1.0
        In the units of the rows.

    See Also
    --------
    RBF : Falls smoothly with the distance.
    TopHat : The same for all rows within a radius.
    """

    falls_with_distance: ClassVar[bool] = True

    sigma: float = 1.0

    @property
    def sq_scale(self) -> float:
        """Squared distance at which the similarity has fallen to 3/4."""
        return self.sigma**2

    def __call__(self, products: Tensor, sq_norms: Tensor, candidate_sq_norms: Tensor) -> Tensor:
        sq_dist = products.mul_(-2.0).add_(sq_norms).add_(candidate_sq_norms).clamp_(min=0)
        return sq_dist.mul_(-0.25 / self.sigma**2).add_(1.0).clamp_(min=0)

    def sq_reach(self, similarity: Tensor) -> Tensor:
        """Return the squared distance from which on similarities are no higher."""
        return (1.0 + _SPARE - similarity).mul_(4.0 * self.sigma**2)


def _sq_norms(block: Block, per_row: tuple[Tensor, ...], shared: None) -> tuple[Tensor]:
    return (torch.cat(block.map_tiles(lambda tile: tile.rows.double().square().sum(dim=1))),)
