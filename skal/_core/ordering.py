"""Order entries by whole numbers that are small, such as labels."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["positions_by_group", "rank_within", "stable_order"]


def stable_order(groups: Tensor, n_groups: int) -> Tensor:
    """Positions of entries below `n_groups`, in order; equal ones in that of their positions."""
    if n_groups == 1:
        return torch.arange(len(groups), device=groups.device)
    if groups.device.type != "cpu":
        return torch.argsort(groups, stable=True)
    narrow = groups.numpy().astype(np.min_scalar_type(n_groups))  # which NumPy sorts by their digits
    return torch.from_numpy(np.argsort(narrow, kind="stable"))


def positions_by_group(groups: Tensor, n_groups: int) -> list[Tensor]:
    """Positions in `groups` (m,) of each group, ascending."""
    sizes = torch.bincount(groups, minlength=n_groups).tolist()
    return list(stable_order(groups, n_groups).split(sizes))


def rank_within(groups: Tensor, n_groups: int) -> Tensor:
    """How many earlier entries are in the same group, shape (m,)."""
    order = stable_order(groups, n_groups)
    sizes = torch.bincount(groups, minlength=n_groups)
    first = sizes.cumsum(dim=0) - sizes
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(groups), device=groups.device) - first[groups[order]]
    return rank
