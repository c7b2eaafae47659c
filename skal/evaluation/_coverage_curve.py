"""The plan before paying: how much of a pool each budget would cover."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import clone

from skal._core.blocks import Blocks
from skal._core.device import ordinary_torch
from skal._html import table
from skal._validation import check_row_numbers, resolve_budget, set_random_states
from skal.pool import Pool
from skal.samplers import MaxHerdingSampler

__all__ = ["CoverageCurve", "coverage_curve"]

_BUDGETS_SHOWN = 10
_ELEMENTS_AT_ONCE = 1 << 23


@dataclass(frozen=True)
class CoverageCurve:
    """How well the pool is covered by the picks of each budget; what `coverage_curve` returns.

    Attributes
    ----------
    budgets : ndarray of shape (n_budgets,), int64
        Ascending.
    coverage : ndarray of shape (n_budgets,), float64
        Mean over the pool of ``exp(-d² / sigma²)``, d being the distance to the nearest row labelled or picked.
    radius : ndarray of shape (n_budgets,), float64
        The largest such distance: how far the farthest row is.
    knee : int
        The budget from which on more rows cover little more. The rule: of all budgets from 1 to the largest, the one
        whose coverage lies highest above the straight line from the first to the last; the lowest where several do. So
        it depends on the largest budget.
    picks : ndarray of shape (largest budget,), int64
        In order: the first b of them are the picks of budget b.
    sigma : float
        Bandwidth of the coverage.

    See Also
    --------
    coverage_curve : Makes one.
    skal.plotting.CoverageCurveDisplay : Draws it.
    """

    budgets: npt.NDArray[np.int64]
    coverage: npt.NDArray[np.float64]
    radius: npt.NDArray[np.float64]
    knee: int
    picks: npt.NDArray[np.int64]
    sigma: float

    def to_rows(self) -> list[dict[str, float]]:
        """Return a dict for each budget, with "budget", "coverage" and "radius"."""
        values = zip(self.budgets.tolist(), self.coverage.tolist(), self.radius.tolist(), strict=True)
        return [{"budget": budget, "coverage": coverage, "radius": radius} for budget, coverage, radius in values]

    def __repr__(self) -> str:
        lowest, highest = self.budgets[[0, -1]]
        return f"CoverageCurve({len(self.budgets)} budgets from {lowest} to {highest}; knee at {self.knee})"

    def _repr_html_(self) -> str:
        shown = set(np.linspace(0, len(self.budgets) - 1, _BUDGETS_SHOWN).round().astype(int).tolist())
        shown |= set(np.flatnonzero(self.budgets == self.knee).tolist())
        rows = [
            (f"{self.budgets[at]:,}", f"{100 * self.coverage[at]:.1f}", f"{self.radius[at]:.4g}")
            for at in sorted(shown)
        ]
        caption = f"Coverage of the pool by budget; knee at {self.knee:,}, sigma {self.sigma:.4g}"
        return table(["budget", "coverage, %", "farthest row"], rows, caption)


@ordinary_torch()
def coverage_curve(
    X: Any,
    budgets: int | Sequence[int],
    *,
    sampler: Any = None,
    labeled_indices: Any = None,
    sigma: float | None = None,
    random_state: Any = 0,
) -> CoverageCurve:
    """Say how much of a pool each budget would cover, and how far the farthest row would be, before paying for any.

    It looks at the embeddings only and claims nothing about accuracy.

    Parameters
    ----------
    X : array-like of shape (n, d) or Pool
        The pool.
    budgets : int or sequence of int
        An int means every budget up to it.
    sampler : sampler, default=None
        One whose smaller budgets are prefixes of larger ones, so that one fit, at the largest budget, serves all.
        None means ``MaxHerdingSampler()``.
    labeled_indices : array-like of int, or boolean mask of shape (n,), default=None
        Rows labelled already; they cover, and budgets count what is added to them.
    sigma : float, default=None
        Bandwidth of the coverage in the units of the (normalised) rows. None means the sampler's ``sigma_``, or 1.
    random_state : int, RandomState instance or None, default=0
        Seeds the sampler.

    Returns
    -------
    CoverageCurve

    Raises
    ------
    ValueError
        If the sampler's smaller budgets are no prefixes, budgets are not positive numbers, or the pool has
        too few rows for the largest of them.

    See Also
    --------
    budget_curve : Accuracy over budgets, where labels are known.
    skal.plotting.CoverageCurveDisplay : Draws the curve.

    Notes
    -----
    The sampler's fit, and one pass over the pool of ``2·n·(L + largest budget)·d`` operations in float64, with
    L labelled rows. Memory beside the sampler's: the labelled and the picked rows, and tiles of 2²³ distances.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skal.evaluation import coverage_curve
    >>> curve = coverage_curve(load_digits().data, 100)
    >>> bool((curve.coverage[1:] >= curve.coverage[:-1]).all())
    True
    >>> 2 < curve.knee < 60
    True
    """
    pool = X if isinstance(X, Pool) else Pool(X)
    make_default: Any = MaxHerdingSampler
    sampler = make_default() if sampler is None else clone(sampler)
    if "prefix" not in sampler._order:
        raise ValueError(
            f"{type(sampler).__name__} picks other rows at smaller budgets, so one fit cannot serve all; take one "
            "whose smaller budgets are prefixes, as MaxHerdingSampler, CoreSetSampler or RandomSampler."
        )
    labeled_idx = np.empty(0, dtype=np.int64)
    if labeled_indices is not None:
        labeled_idx = check_row_numbers(
            labeled_indices, pool.n_rows, "labeled_indices", accept_mask=True, distinct=True
        )
    totals = _check_budgets(budgets, pool.n_rows, len(labeled_idx))
    set_random_states(sampler, random_state)
    picks = sampler.set_params(budget=int(totals[-1])).fit(pool, labeled_indices=labeled_idx).selected_indices_
    view = pool.view(getattr(sampler, "metric", None), getattr(sampler, "device", None))
    if sigma is None:
        sigma = float(getattr(sampler, "sigma_", 1.0))
    coverage, radius = _cover(view.blocks, labeled_idx, picks, sigma * view.frame.factor)
    at_totals = totals - 1
    return CoverageCurve(
        totals, coverage[at_totals], radius[at_totals] / view.frame.factor, _knee(coverage), picks, sigma
    )


def _check_budgets(budgets: Any, n_rows: int, n_labeled: int) -> npt.NDArray[np.int64]:
    if np.ndim(budgets) == 0:
        budgets = np.arange(1, operator.index(budgets) + 1)
    given = np.asarray(budgets)
    if given.ndim != 1 or len(given) == 0 or given.dtype.kind not in "iu" or given.min() < 1:
        raise ValueError(f"budgets must be a positive int, or some; found {budgets!r}.")
    totals = np.unique(given).astype(np.int64)
    resolve_budget(int(totals[-1]), n_rows, n_labeled)
    return totals


def _cover(
    blocks: Blocks, labeled_idx: npt.NDArray[np.int64], picks: npt.NDArray[np.int64], sigma: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Coverage and radius after each pick, two of shape (n_picks,), in one pass."""
    centers = blocks.take(np.concatenate([labeled_idx, picks])).double()
    sq_norms = centers.square().sum(dim=1)
    own = torch.full((blocks.n_rows,), len(centers), device=blocks.device)
    own[torch.from_numpy(np.concatenate([labeled_idx, picks])).to(blocks.device)] = torch.arange(
        len(centers), device=blocks.device
    )
    similarity = centers.new_zeros(len(picks))
    sq_radius = centers.new_zeros(len(picks))
    rows_at_once = max(1, _ELEMENTS_AT_ONCE // len(centers))
    for tile in blocks.tiles():
        for start in range(0, len(tile.rows), rows_at_once):
            rows = tile.rows[start : start + rows_at_once].double()
            sq_dist = torch.addmm(sq_norms, rows, centers.T, alpha=-2).add_(rows.square().sum(dim=1)[:, None])
            first = tile.start + start
            _set_to_zero(sq_dist, own[first : first + len(rows)])
            least = sq_dist.clamp_(min=0).cummin(dim=1).values[:, len(labeled_idx) :]
            sq_radius = torch.maximum(sq_radius, least.amax(dim=0))
            similarity += (least / -(sigma**2)).exp_().sum(dim=0)
    return (similarity / blocks.n_rows).cpu().numpy(), sq_radius.sqrt().cpu().numpy()


def _set_to_zero(sq_dist: torch.Tensor, own: torch.Tensor) -> None:
    """Make the distance of a center to itself exactly zero; rounding leaves something of it."""
    is_center = own < sq_dist.shape[1]
    sq_dist[is_center.nonzero().flatten(), own[is_center]] = 0.0


def _knee(coverage: npt.NDArray[np.float64]) -> int:
    """Find the budget whose coverage lies highest above the line from the first to the last."""
    if len(coverage) == 1:
        return 1
    line = np.linspace(coverage[0], coverage[-1], len(coverage))
    return int((coverage - line).argmax()) + 1
