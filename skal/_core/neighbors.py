"""Exact nearest neighbours by inner product, the same answer from every backend.

A backend proposes candidates in float32. One path then scores the candidates in float64 and ranks
them by similarity, then lowest index; a proposal that rounding could have cut short is searched again.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from types import ModuleType

import torch
from torch import Tensor

from skal._core.blocks import Blocks

__all__ = ["require_faiss", "top_k"]

Propose = Callable[[Tensor, int], tuple[Tensor, Tensor]]

_FAISS_PAYS_FROM_ROWS = 8192  # benchmarks/bench_neighbors.py
_SPARE_PROPOSALS = 8  # enough that rounding rarely leaves the k-th place open
_ELEMENTS_AT_ONCE = {"cpu": 1 << 22, "cuda": 1 << 27}


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
            "FAISS was asked for by name and is not installed: `pip install skal[cpu]` brings it. "
            "algorithm='torch' gives the same answer without it."
        ) from error
    return faiss


def top_k(queries: Blocks, base: Tensor, k: int, *, backend: str = "auto") -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Find the `k` rows of `base` with the highest inner product, tile by tile of `queries`.

    Parameters
    ----------
    queries : Blocks of shape (n, d)
    base : float32 Tensor of shape (m, d), on the pool's device
        Rows of norm at most 1, as the queries' rows are: the rounding bound rests on it.
    k : int
        At most m.
    backend : {"auto", "torch", "faiss"}
        Who proposes. "auto" takes FAISS on the CPU where it is installed and `base` is large.

    Yields
    ------
    rows : slice
    similarity : float64 Tensor of shape (len(rows), k)
        Descending.
    indices : int64 Tensor of shape (len(rows), k)
        Equal similarities are in ascending order of index.

    Notes
    -----
    2·n·m·d operations; memory for one block of queries × base, or of k per query with FAISS.
    """
    if backend == "auto":
        use_faiss = (
            base.device.type == "cpu"
            and len(base) >= _FAISS_PAYS_FROM_ROWS
            and importlib.util.find_spec("faiss") is not None
        )
        backend = "faiss" if use_faiss else "torch"
    propose = _faiss_proposer(base) if backend == "faiss" else _torch_proposer(base)
    rows_at_once = queries.tile_rows if backend == "faiss" else max(1, _ELEMENTS_AT_ONCE[base.device.type] // len(base))
    for tile in queries.tiles():
        for first in range(0, len(tile.rows), rows_at_once):
            query_rows = tile.rows[first : first + rows_at_once]
            where = slice(tile.start + first, tile.start + first + len(query_rows))
            yield where, *_certain_top_k(query_rows, base, k, propose)


def _certain_top_k(query_rows: Tensor, base: Tensor, k: int, propose: Propose) -> tuple[Tensor, Tensor]:
    similarity = torch.empty((len(query_rows), k), dtype=torch.float64, device=base.device)
    indices = torch.empty((len(query_rows), k), dtype=torch.int64, device=base.device)
    n_proposed = min(k + _SPARE_PROPOSALS, len(base))
    searched = torch.arange(len(query_rows), device=base.device)
    while len(searched):
        undecided = []
        for rows in searched.split(max(1, _ELEMENTS_AT_ONCE[base.device.type] // n_proposed)):
            similarity[rows], indices[rows], is_certain = _propose_and_rank(
                query_rows[rows], base, k, n_proposed, propose
            )
            undecided.append(rows[~is_certain])
        searched = torch.cat(undecided)
        n_proposed = min(4 * n_proposed, len(base))
    return similarity, indices


def _propose_and_rank(
    query_rows: Tensor, base: Tensor, k: int, n_proposed: int, propose: Propose
) -> tuple[Tensor, Tensor, Tensor]:
    """Rank what is proposed, and say for which queries no row left out could be among the first `k`."""
    similarity = torch.empty((len(query_rows), k), dtype=torch.float64, device=base.device)
    indices = torch.empty((len(query_rows), k), dtype=torch.int64, device=base.device)
    proposed_similarity, proposed = propose(query_rows, n_proposed)
    margin = 2 * _rounding_bound(base.shape[1])
    n_contenders = (proposed_similarity + margin >= proposed_similarity[:, k - 1 : k]).sum(dim=1)
    is_certain = (n_contenders < n_proposed) | (n_proposed == len(base))
    is_clear = n_contenders == k
    for group, n_ranked in ((is_clear, k), (~is_clear, n_proposed)):
        similarity[group], indices[group] = _rank(query_rows[group], base, proposed[group, :n_ranked], k)
    return similarity, indices, is_certain


def _rounding_bound(n_features: int) -> float:
    """How far a float32 inner product of two rows of norm ≤ 1 can be from the truth."""
    return (n_features + 2) * 2.0**-24


def _rank(query_rows: Tensor, base: Tensor, candidates: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Order candidates (m, c) of each query by float64 similarity, then lowest index; keep `k`."""
    candidates = candidates.sort(dim=1).values
    similarity = torch.empty(candidates.shape, dtype=torch.float64, device=base.device)
    rows_at_once = max(1, _ELEMENTS_AT_ONCE[base.device.type] // (candidates.shape[1] * base.shape[1]))
    for first in range(0, len(query_rows), rows_at_once):
        part = slice(first, first + rows_at_once)
        products = base[candidates[part]].double() * query_rows[part].double()[:, None, :]
        similarity[part] = products.sum(dim=2)
    similarity, order = similarity.sort(dim=1, descending=True, stable=True)
    return similarity[:, :k], candidates.gather(1, order[:, :k])


def _torch_proposer(base: Tensor) -> Propose:
    def propose(query_rows: Tensor, n_proposed: int) -> tuple[Tensor, Tensor]:
        similarity, indices = torch.topk(query_rows @ base.T, n_proposed, dim=1)
        return similarity, indices

    return propose


def _faiss_proposer(base: Tensor) -> Propose:
    faiss = require_faiss()
    index = faiss.IndexFlatIP(base.shape[1])
    if base.device.type == "cuda" and hasattr(faiss, "StandardGpuResources"):
        index = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), base.device.index or 0, index)
    index.add(base.cpu().numpy())

    def propose(query_rows: Tensor, n_proposed: int) -> tuple[Tensor, Tensor]:
        similarity, indices = index.search(query_rows.cpu().numpy(), n_proposed)
        return torch.from_numpy(similarity).to(base.device), torch.from_numpy(indices).to(base.device)

    return propose
