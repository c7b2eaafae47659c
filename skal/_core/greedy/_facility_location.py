"""Weighted facility location: how similar each row of the pool is to the row picked that is most like it."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from skal._core.greedy._objective import Candidates, Objective
from skal._core.greedy._open_pairs import OpenPairs
from skal._core.greedy._similarity import RowSimilarity, Similarity

__all__ = ["FacilityLocation"]

Result = TypeVar("Result")
_Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]  # position of the candidate, row to be covered, similarity

_MOST_CANDIDATES, _BOUNDED_CANDIDATES = 1024, 64
_COLUMN_BYTES = 1 << 27
_MOST_PAIRS = 1 << 25  # 8 bytes each
_PAIRS_AT_ONCE = 1 << 20
_MOST_AT_ONCE = _MOST_PAIRS * 3 // 8  # 32 bytes each while they are sorted
_FEW = 1 / 16  # of the rows to be covered
# Less than this share of all that is covered is what rounding leaves of nothing.
_NEGLIGIBLE = 1e-12
_FLOAT32_ROUNDING = 2.0**-24
_SUMS_ROUNDED_UP = 1 + 16 * _FLOAT32_ROUNDING  # more than sums in float64 lose


class FacilityLocation(Objective):
    """``Σ w_x · max over picks s of k(x, s)`` over all rows x: the gain of a row is what it adds to that sum.

    MaxHerding is this with a kernel of distances, ProbCover with a kernel of 0 and 1.

    Parameters
    ----------
    similarity : Similarity of n rows, never negative
        A `RowSimilarity` may have other rows to be covered than candidates.
    weights : float64 Tensor of shape (n,), default=None
        How much each row that is to be covered counts; None counts all alike.
    covered_by : int64 ndarray, default=None
        Rows that cover their surroundings already, as if they had been picked.

    See Also
    --------
    LazyGreedy : Maximises it.
    skal.samplers.MaxHerdingSampler : The sampler that is made of both.

    Notes
    -----
    With r rows to be covered (n unless told otherwise), the gain of every row is computed once, ``n·r`` similarities,
    and then of those that could win. Where the similarity has bounds, float32 bounds all gains from above and float64
    decides among the few that are left. A candidate that then may add something at few rows only is never compared
    with the others again. Where that holds for most candidates from the start, and the kernel says how far it reaches,
    only near pairs are looked for: half of all products where candidates and rows are the same, and of few principal
    coordinates where few pairs are near. Memory: three vectors of length r, the columns of as many candidates as fit
    128 MiB, at least one, and 256 MiB of such pairs of a candidate and a row at the most, half as much again while they
    move.

    Gains are computed in float64 and compared in float32, so that the last digits of a sum decide nothing:
    among gains that agree to seven digits, the lowest row wins.

    References
    ----------
    .. [1] Bae et al., "Generalized coverage for more robust low-budget active learning", ECCV 2024.

    Examples
    --------
    >>> import numpy as np
    >>> import skal
    >>> from skal.greedy import RBF, FacilityLocation, LazyGreedy, RowSimilarity
    >>> pool = skal.Pool(np.array([[0.0], [0.1], [0.2], [5.0], [5.3]]), metric="euclidean")
    >>> coverage = FacilityLocation(RowSimilarity(pool.view().blocks, RBF(sigma=1.0)))
    >>> LazyGreedy(coverage).pick(2)
    array([1, 3])
    >>> round(coverage.value, 3)
    4.894
    """

    gains_only_fall = True
    least_gain = 0.0

    def __init__(
        self, similarity: Similarity, *, weights: Tensor | None = None, covered_by: np.ndarray | None = None
    ) -> None:
        self.n_rows = similarity.n_rows
        n_references = similarity.n_references if isinstance(similarity, RowSimilarity) else self.n_rows
        self._bounded: RowSimilarity | None = None
        if isinstance(similarity, RowSimilarity) and similarity.has_upper_bounds():
            self._bounded = similarity
        self.bounds_are_cheap = self._bounded is not None
        most = _BOUNDED_CANDIDATES if self.bounds_are_cheap else _MOST_CANDIDATES
        self.n_candidates = max(1, min(most, _COLUMN_BYTES // (8 * n_references)))
        self._similarity = similarity
        ones = torch.ones(n_references, dtype=torch.float64, device=similarity.device)
        self._weights = ones if weights is None else weights.to(ones)
        self._coverage = torch.zeros_like(ones)
        self._is_new = True
        self._open = OpenPairs(self.n_rows, _MOST_PAIRS if similarity.device.type == "cpu" else 0)
        covered_by = np.empty(0, dtype=np.int64) if covered_by is None else covered_by
        for start in range(0, len(covered_by), _MOST_CANDIDATES):
            self._map_tiles(covered_by[start : start + _MOST_CANDIDATES], self._raise_coverage)

    @property
    def value(self) -> float:
        """The sum that is maximised."""
        return float(self._weights @ self._coverage)

    def gains(self, row_idx: np.ndarray) -> np.ndarray:
        """What each of some rows would add to the sum, (m,)."""

        def gains_of(where: slice, tile: Tensor) -> Tensor:
            return self._weights[where] @ (tile - self._coverage[where, None]).clamp_(min=0)

        return self._comparable(_sum(self._map_tiles(row_idx, gains_of)))

    def upper_bounds(self, row_idx: np.ndarray) -> np.ndarray:
        """Bound the gains of any number of rows from above, (m,)."""
        if self._bounded is None:
            return super().upper_bounds(row_idx)
        if self._is_new and len(row_idx) == self.n_rows:
            of_all = self._compare_what_is_near(self._bounded)
            if of_all is not None:
                return _rounded_up(of_all[row_idx])
        parts = [row_idx[start : start + _MOST_CANDIDATES] for start in range(0, len(row_idx), _MOST_CANDIDATES)]
        return np.concatenate([self._upper_bounds(part, self._bounded) for part in parts])

    def _compare_what_is_near(self, bounded: RowSimilarity) -> np.ndarray | None:
        """Find all pairs of a candidate and a row at which it may add something, if these are few; bound all gains."""
        self._is_new = False
        found = bounded.pairs_above(self._coverage, _FEW, _MOST_AT_ONCE)
        if found is None:
            return None
        candidates, references, similarities = found
        upper = np.zeros(self.n_rows)
        for start in range(0, len(candidates), _PAIRS_AT_ONCE):
            part = slice(start, start + _PAIRS_AT_ONCE)
            added = similarities[part] - self._coverage.numpy()[references[part]]
            added = np.maximum(added, 0.0, out=added) * self._weights.numpy()[references[part]]
            upper += np.bincount(candidates[part], weights=added, minlength=self.n_rows)
        self._open.put_all(candidates, references, similarities)
        return upper * _SUMS_ROUNDED_UP

    def _upper_bounds(self, row_idx: np.ndarray, bounded: RowSimilarity) -> np.ndarray:
        is_open = self._open.are_known(row_idx)
        upper = np.empty(len(row_idx))
        if is_open.any():
            of_pairs = self._open.upper_bounds(row_idx[is_open], self._coverage.numpy(), self._weights.numpy())
            upper[is_open] = of_pairs * _SUMS_ROUNDED_UP
        if not is_open.all():
            upper[~is_open] = self._upper_bounds_of_tiles(row_idx[~is_open], bounded)
        return _rounded_up(upper)

    def _upper_bounds_of_tiles(self, row_idx: np.ndarray, bounded: RowSimilarity) -> np.ndarray:
        """Bound gains by looking at every row that is to be covered, and note at which few there is one."""
        lower_coverage = _float32_below(self._coverage)
        weights = self._weights.float()

        def bounds_of(where: slice, tile: Tensor) -> tuple[Tensor, _Pairs | None]:
            pairs = _few_above(tile, lower_coverage[where], where.start)
            return (weights[where] @ tile.sub_(lower_coverage[where, None]).clamp_(min=0)).double(), pairs

        bounds, pairs = zip(*bounded.map_upper_tiles(row_idx, bounds_of), strict=True)
        if all(some is not None for some in pairs):
            self._open.put(row_idx, *(np.concatenate(parts) for parts in zip(*pairs, strict=True)))
        n_summed = min(len(weights), bounded.tile_rows)
        found: np.ndarray = (_sum(list(bounds)) * (1 + (n_summed + 16) * _FLOAT32_ROUNDING)).cpu().numpy()
        return found

    def add(self, row: int) -> None:
        """Let a row cover what is like it."""
        self.cover(self.columns(np.array([row]))[0])

    def candidates(self, row_idx: np.ndarray, upper: np.ndarray) -> Candidates:
        return _Columns(self, row_idx, upper)

    def columns(self, row_idx: np.ndarray) -> Tensor:
        """Similarities of some candidates to every row, float64 of shape (m, n); 0 at will where they add nothing."""
        columns = self._coverage.new_zeros((len(row_idx), len(self._coverage)))
        is_open = self._open.are_known(row_idx)
        if self._bounded is not None:
            for position in np.flatnonzero(is_open).tolist():
                references = self._open.references_of(row_idx[position])
                columns[position, torch.from_numpy(references)] = self._bounded.at(row_idx[position], references)
        missing = torch.from_numpy(np.flatnonzero(~is_open)).to(columns.device)

        def fill(where: slice, tile: Tensor) -> None:
            columns[missing, where] = tile.T

        if len(missing):
            self._map_tiles(row_idx[~is_open], fill)
        return columns

    def cover(self, column: Tensor) -> None:
        """Add the candidate that has this column."""
        torch.maximum(self._coverage, column, out=self._coverage)
        self._is_new = False

    def gains_of_columns(self, columns: Tensor) -> np.ndarray:
        """What candidates would add whose columns, (m, n), are at hand."""
        return self._comparable((columns - self._coverage).clamp_(min=0) @ self._weights)

    def _raise_coverage(self, where: slice, tile: Tensor) -> None:
        self._coverage[where] = torch.maximum(self._coverage[where], tile.amax(dim=1))

    def _map_tiles(self, row_idx: np.ndarray, work: Callable[[slice, Tensor], Result]) -> list[Result]:
        if isinstance(self._similarity, RowSimilarity):
            return self._similarity.map_tiles(row_idx, work)
        return [work(where, tile) for where, tile in self._similarity.tiles(row_idx)]

    def _comparable(self, gains: Tensor) -> np.ndarray:
        """Round gains to what they are compared by."""
        is_nothing = gains <= _NEGLIGIBLE * (gains + self.value)
        return gains.masked_fill(is_nothing, 0.0).float().double().cpu().numpy()


def _rounded_up(upper: np.ndarray) -> np.ndarray:
    """Round bounds as gains are, so that none is below the gain that it bounds."""
    rounded: np.ndarray = np.nextafter(upper.astype(np.float32), np.float32(np.inf)).astype(np.float64)
    return rounded


def _float32_below(values: Tensor) -> Tensor:
    """Return the largest float32 numbers that are not above float64 ones."""
    rounded = values.float()
    below = torch.nextafter(rounded, rounded.new_tensor(-torch.inf))
    return torch.where(rounded.double() > values, below, rounded)


def _few_above(tile: Tensor, lower: Tensor, start: int) -> _Pairs | None:
    """Find the entries of a tile (t, m) above those of `lower` (t,), or return None where they are many."""
    if tile.device.type != "cpu":
        return None
    is_above = (tile > lower[:, None]).numpy()
    if np.count_nonzero(is_above) > _FEW * is_above.size:
        return None
    places = np.flatnonzero(is_above)
    rows, positions = np.divmod(places, tile.shape[1])
    return positions, rows + start, tile.numpy().ravel()[places]


def _sum(parts: list[Tensor]) -> Tensor:
    """Add up in order."""
    return reduce(torch.add, parts)


class _Columns(Candidates):
    """Candidates whose similarities to all rows are kept once asked for: a gain is then a pass over one vector."""

    objective: FacilityLocation

    def __init__(self, objective: FacilityLocation, row_idx: np.ndarray, upper: np.ndarray) -> None:
        super().__init__(objective, row_idx, upper)
        self._columns: dict[int, Tensor] = {}
        if not objective.bounds_are_cheap:
            self._look_up(np.arange(len(row_idx)))

    def _look_up(self, positions: np.ndarray) -> Tensor:
        missing = np.array(
            [position for position in positions.tolist() if position not in self._columns], dtype=np.int64
        )
        if len(missing):
            self._columns |= zip(missing.tolist(), self.objective.columns(self.row_idx[missing]), strict=True)
        return torch.stack([self._columns[position] for position in positions.tolist()])

    def _gains(self, positions: np.ndarray) -> np.ndarray:
        return self.objective.gains_of_columns(self._look_up(positions))

    def _pass_on(self, position: int) -> None:
        self.objective.cover(self._look_up(np.array([position]))[0])
