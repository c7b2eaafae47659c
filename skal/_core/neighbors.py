"""Exact nearest neighbours by cosine similarity, the same answer from every backend.

A backend proposes candidates in float32. They are then ranked by products that have no order of summation
(`exact_products`), and equal ones by lowest index. Where rounding could have kept a neighbour from being proposed,
or more rows tie than were, the query is compared with the whole base by the same products.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from types import ModuleType

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from skal._core.blocks import Blocks
from skal._core.exact_products import exact_products, split
from skal._core.rows import unit_rows
from skal._core.workers import map_on
from skal._install import hint_for_extra

__all__ = ["NeighborBase", "Proposed", "require_faiss", "top_k"]

Neighbors = tuple[Tensor, Tensor]  # similarity (n, k) float64, indices (n, k) int64
Propose = Callable[[Tensor, int], Neighbors]

_FAISS_PAYS_FROM_ROWS = 8192  # benchmarks/bench_neighbors.py
_SPARE_PROPOSALS = 8  # enough that rounding rarely leaves the k-th place open
_ELEMENTS_AT_ONCE = {"cpu": 1 << 22, "cuda": 1 << 27}
_ROWS_AT_ONCE = {"cpu": 256, "cuda": 1 << 16}
_ELEMENTS_IN_CACHE = {"cpu": 1 << 16, "cuda": 1 << 24}  # in float64
_PAIR_ELEMENTS_AT_ONCE = 1 << 17
_ROWS_FOR_ONE_CANDIDATE = 64  # of a matrix product, in the time that ranking one gathered row takes


def require_faiss() -> ModuleType:
    """Import FAISS, or say how to get it.

    Raises
    ------
    ImportError
        If it is not installed; names the extra.
    """
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            f"FAISS was asked for by name and is not installed: `{hint_for_extra('faiss-cpu')}` brings it. "
            "algorithm='torch' gives the same answer without it."
        ) from error
    return faiss


@dataclass(frozen=True)
class NeighborBase:
    """Rows whose neighbours are sought, prepared once.

    Float32 sees rows as differences from their mean, so that it spends its digits on what tells one row from
    another: ``u·v = (u − mean)·(v − mean) + mean·(v − mean) + what no row of the base changes``. The second term is
    a column of its own, which each query multiplies by one.
    """

    units: Tensor  # (m, d) float64: unit rows, or zero rows
    mean: Tensor  # (d,) float64
    scored: Tensor  # (m, d + 1) float32: the differences and their column
    longest: float  # norm of a difference
    largest_offset: float  # absolute, in the column

    @classmethod
    def of(cls, units: Tensor) -> NeighborBase:
        mean = units.mean(dim=0)
        scored = units.new_empty((len(units), units.shape[1] + 1), dtype=torch.float32)
        longest = largest_offset = 0.0
        for rows, scored_rows in zip(units.split(256), scored.split(256), strict=True):
            centered = rows - mean
            offsets = centered @ mean
            scored_rows[:, :-1] = centered
            scored_rows[:, -1] = offsets
            longest = max(longest, float(torch.linalg.vector_norm(centered, dim=1).max()))
            largest_offset = max(largest_offset, float(offsets.abs().max()))
        return cls(units, mean, scored, longest, largest_offset)

    def to(self, device: torch.device) -> NeighborBase:
        return replace(self, units=self.units.to(device), mean=self.mean.to(device), scored=self.scored.to(device))

    def __len__(self) -> int:
        return len(self.units)

    def queries(self, units: Tensor) -> tuple[Tensor, Tensor]:
        """Unit rows (n, d) as float32 scores them, and how close two scores may be for their order to be unsure."""
        centered = units - self.mean
        queries = units.new_empty((len(units), units.shape[1] + 1), dtype=torch.float32)
        queries[:, :-1] = centered
        queries[:, -1] = 1
        lengths = torch.linalg.vector_norm(centered, dim=1) * self.longest + self.largest_offset
        bound = (units.shape[1] + 4) * 2.0**-24 * lengths + units.shape[1] * torch.finfo(torch.float32).tiny
        return queries, (2.0 * bound).float()


def top_k(
    queries: Blocks,
    base: NeighborBase,
    k: int,
    *,
    backend: str = "auto",
    with_similarity: bool = True,
    proposed: Proposed | None = None,
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Find the `k` rows of `base` with the highest cosine similarity, tile by tile of `queries`.

    Parameters
    ----------
    queries : Blocks of shape (n, d), float64
        Rows of any length; a zero row has similarity 0 to every row.
    base : NeighborBase of m rows, on the device of the queries
    k : int
        At most m.
    backend : {"auto", "torch", "faiss"}
        Who proposes. "auto" takes FAISS on the CPU where it is installed and `base` is large.
    with_similarity : bool
        Without it, `similarity` may hold anything, in less time.
    proposed : Proposed, default=None
        Rows of `base` for each query, all those among them that could be in its answer; nobody else proposes then.

    Yields
    ------
    rows : slice
    similarity : float64 Tensor of shape (len(rows), k)
        Descending; within about 1e-14 of that in real numbers.
    indices : int64 Tensor of shape (len(rows), k)
        Equal similarities are in ascending order of index.

    Notes
    -----
    2·n·m·d operations in float32, and three times as many in float64 for the queries whose neighbours float32
    cannot tell from others. Memory for one block of queries × base, or of k per query with FAISS.
    """
    if backend == "auto":
        use_faiss = (
            base.units.device.type == "cpu"
            and len(base) >= _FAISS_PAYS_FROM_ROWS
            and importlib.util.find_spec("faiss") is not None
        )
        backend = "faiss" if use_faiss else "torch"
    if proposed is None:
        propose = (_faiss_proposer if backend == "faiss" else _torch_proposer)(base.scored)
    device = base.units.device.type
    fitting = max(1, min(_ROWS_AT_ONCE[device], _ELEMENTS_AT_ONCE[device] // len(base)))
    rows_at_once = fitting if backend == "torch" else _ROWS_AT_ONCE[device]

    def neighbors(part: tuple[int, Tensor]) -> Neighbors:
        start, rows = part
        own_propose = propose if proposed is None else partial(proposed.scored, base.scored, start)
        return _Search(base, k, with_similarity, own_propose).neighbors(unit_rows(rows))

    for tile in queries.tiles():
        parts = tile.rows.split(rows_at_once)
        starts = range(tile.start, tile.start + len(tile.rows), rows_at_once)
        found = map_on(base.units.device, neighbors, zip(starts, parts, strict=True))
        similarity, indices = (torch.cat(parts) for parts in zip(*found, strict=True))
        yield tile.slice, similarity, indices


@dataclass(frozen=True)
class Proposed:
    """For each query, the rows of the base that could be nearest: those from one start to the next."""

    starts: npt.NDArray[np.int64]  # (n + 1,)
    row_idx: npt.NDArray[np.int32]  # (p,)

    def scored(self, base: Tensor, start: int, queries: Tensor, n_proposed: int) -> Neighbors:
        """Score what is proposed for the queries from `start` on; row 0 at minus infinity stands for what lacks."""
        bounds = self.starts[start : start + len(queries) + 1]
        sizes = np.diff(bounds)
        owners = torch.from_numpy(np.repeat(np.arange(len(queries)), sizes))
        row_idx = torch.from_numpy(self.row_idx[bounds[0] : bounds[-1]].astype(np.int64))
        of_pairs = queries.new_empty(len(row_idx))
        at_once = max(1, _PAIR_ELEMENTS_AT_ONCE // queries.shape[1])
        for first in range(0, len(row_idx), at_once):
            part = slice(first, first + at_once)
            both = base.index_select(0, row_idx[part]).mul_(queries.index_select(0, owners[part]))
            torch.sum(both, dim=1, out=of_pairs[part])
        places = torch.from_numpy(np.arange(len(row_idx)) - np.repeat(bounds[:-1] - bounds[0], sizes))
        shape = len(queries), max(n_proposed, int(sizes.max(initial=0)))
        scores = queries.new_full(shape, -torch.inf)
        scores[owners, places] = of_pairs
        indices = torch.zeros(shape, dtype=torch.int64)
        indices[owners, places] = row_idx
        scores, order = scores.topk(n_proposed, dim=1)
        return scores, indices.gather(1, order)


class _Search:
    """`k` neighbours in a base."""

    def __init__(self, base: NeighborBase, k: int, with_similarity: bool, propose: Propose) -> None:
        self.base = base
        self.k = k
        self.with_similarity = with_similarity
        self.propose = propose
        n_spare = _SPARE_PROPOSALS if len(base) > _ROWS_FOR_ONE_CANDIDATE * (k + _SPARE_PROPOSALS) else 1
        self.n_proposed = k + n_spare

    def neighbors(self, units: Tensor) -> Neighbors:
        """Neighbours of the unit rows (n, d)."""
        if len(self.base) <= max(_ROWS_FOR_ONE_CANDIDATE * self.k, self.n_proposed):
            return self._among_all(units)
        first = torch.arange(self.k, device=units.device)  # the answer to a zero row, which all rows are equally near
        found = units.new_zeros((len(units), self.k)), first.repeat(len(units), 1)
        is_open = self._among_proposals(units, found) & units.any(dim=1)
        for part, of_all in zip(found, self._among_all(units[is_open]), strict=True):
            part[is_open] = of_all
        return found

    def _among_proposals(self, units: Tensor, found: Neighbors) -> Tensor:
        """Rank what is proposed, into `found`; return the mask of the queries that others could be nearer to."""
        queries, margin = self.base.queries(units)
        scores, proposed = self.propose(queries, self.n_proposed)
        n_contenders = (scores + margin[:, None] >= scores[:, self.k - 1 : self.k]).sum(dim=1)
        is_clear = n_contenders == self.k
        is_open = n_contenders == self.n_proposed
        if not self.with_similarity:
            steps = scores[:, : self.k - 1] - scores[:, 1 : self.k]
            is_ordered = is_clear & (steps > margin[:, None]).all(dim=1)
            found[1][is_ordered] = proposed[is_ordered, : self.k]
            is_clear = is_clear & ~is_ordered
        for group, n_ranked in ((is_clear, self.k), ((n_contenders > self.k) & ~is_open, self.n_proposed)):
            candidates = proposed[group, :n_ranked].sort(dim=1).values
            for part, ranked in zip(found, self._ranked(units[group], candidates), strict=True):
                part[group] = ranked
        return is_open

    def _ranked(self, units: Tensor, candidates: Tensor) -> Neighbors:
        """Order candidates (n, c), ascending, of the unit rows (n, d), each once where it is repeated; keep `k`."""
        similarity = units.new_empty(candidates.shape)
        at_once = max(1, _ELEMENTS_IN_CACHE[units.device.type] // (candidates.shape[1] * units.shape[1]))
        for first in range(0, len(units), at_once):
            part = slice(first, first + at_once)
            rows, others = units[part][:, None], self.base.units[candidates[part]]
            similarity[part] = exact_products(split(rows), split(others))[:, 0]
        similarity[:, 1:].masked_fill_(candidates[:, 1:] == candidates[:, :-1], -torch.inf)
        return _first(similarity, candidates, self.k)

    def _among_all(self, units: Tensor) -> Neighbors:
        """Compare the unit rows (n, d) with every row of the base."""
        similarity = units.new_empty((len(units), len(self.base)))
        if len(units):
            queries = split(units)
            at_once = max(1, _ELEMENTS_AT_ONCE[units.device.type] // units.shape[1])
            for first in range(0, len(self.base), at_once):
                part = slice(first, first + at_once)
                similarity[:, part] = exact_products(queries, split(self.base.units[part]))
        return _first(*_highest(similarity, self.k), self.k)


def _highest(similarity: Tensor, k: int) -> Neighbors:
    """The `k` highest of each row, of equal ones those of lowest index, in ascending order of index."""
    kth = similarity.topk(k, dim=1).values[:, -1:]
    is_above, is_tied = similarity > kth, similarity == kth
    n_wanted = k - is_above.sum(dim=1, keepdim=True)
    is_chosen = is_above | (is_tied & (is_tied.cumsum(dim=1, dtype=torch.int32) <= n_wanted))
    indices = is_chosen.nonzero()[:, 1].view(len(similarity), k)
    return similarity.gather(1, indices), indices


def _first(similarity: Tensor, candidates: Tensor, k: int) -> Neighbors:
    """Order candidates (n, c), ascending, by similarity, then index; keep `k`."""
    similarity, order = similarity.sort(dim=1, descending=True, stable=True)
    return similarity[:, :k], candidates.gather(1, order[:, :k])


def _torch_proposer(base: Tensor) -> Propose:
    def propose(queries: Tensor, n_proposed: int) -> Neighbors:
        scores, indices = torch.topk(queries @ base.T, n_proposed, dim=1)
        return scores, indices

    return propose


def _faiss_proposer(base: Tensor) -> Propose:
    faiss = require_faiss()
    index = faiss.IndexFlatIP(base.shape[1])
    if base.device.type == "cuda" and hasattr(faiss, "StandardGpuResources"):
        index = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), base.device.index or 0, index)
    index.add(base.cpu().numpy())

    def propose(queries: Tensor, n_proposed: int) -> Neighbors:
        scores, indices = index.search(queries.cpu().numpy(), n_proposed)
        return torch.from_numpy(scores).to(base.device), torch.from_numpy(indices).to(base.device)

    return propose
