"""Pools that break what is not thought through."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

__all__ = ["N_FEATURES", "N_ROWS", "nasty_pools", "plain_pool"]

N_ROWS, N_FEATURES = 40, 5


def plain_pool(n_rows: int = N_ROWS) -> np.ndarray:
    """Normally distributed rows, float64 of shape (n_rows, N_FEATURES)."""
    return np.random.default_rng(1).normal(size=(n_rows, N_FEATURES))


def nasty_pools() -> dict[str, Any]:
    """Pools of `N_ROWS` rows by what is odd about them."""
    X = plain_pool()
    rng = np.random.default_rng(2)
    read_only = X.copy()
    read_only.flags.writeable = False
    pools = {
        "plain": X,
        "copies of one row": np.repeat(X[:1], N_ROWS, axis=0),
        "three distinct rows": X[rng.integers(3, size=N_ROWS)],
        "constant columns": np.hstack([np.full((N_ROWS, 3), 1e6), X[:, 3:]]),
        "zero rows": X * (np.arange(N_ROWS) % 2)[:, None],
        "all zero": np.zeros_like(X),
        "integers": rng.integers(0, 3, size=X.shape),
        "booleans": rng.integers(0, 2, size=X.shape).astype(bool),
        "huge and tiny rows": X * np.logspace(-30, 30, N_ROWS)[:, None],
        "huge": X * 1e25,
        "tiny": X * 1e-25,
        "far from zero": X + 1e7,
        "a tight cone": np.ones(N_FEATURES) + 3e-4 * X,
        "one column": X[:, :1],
        "Fortran order": np.asfortranarray(X),
        "big-endian": X.astype(">f4"),
        "read-only": read_only,
        "float16": X.astype(np.float16),
        "a list": X.tolist(),
        "a tensor": torch.from_numpy(X),
        "a bfloat16 tensor": torch.from_numpy(X).bfloat16(),
        "a tensor with gradient": torch.from_numpy(X.copy()).requires_grad_(),
    }
    return pools | _frames(X)


def _frames(X: np.ndarray) -> dict[str, Any]:
    try:
        import pandas as pd
    except ImportError:
        return {}
    return {"a frame": pd.DataFrame(X, columns=[f"f{i}" for i in range(N_FEATURES)])}
