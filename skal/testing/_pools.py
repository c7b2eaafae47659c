"""Pools that break what is not thought through."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

__all__ = ["DRAWN_KINDS", "N_FEATURES", "N_ROWS", "drawn_pool", "nasty_pools", "plain_pool"]

N_ROWS, N_FEATURES = 40, 5

DRAWN_KINDS = [
    "plain", "copies", "all alike", "groups of near copies", "groups that differ in the last bit", "a cone",
    "zero rows", "constant columns", "far from zero", "one direction each", "signs", "a grid", "booleans",
    "a few far away", "lengths far apart", "squares that overflow float32",
]  # fmt: skip


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


def drawn_pool(kind: str, n_rows: int, n_features: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a pool of one of `DRAWN_KINDS`, of any size, float64 or bool."""
    X = rng.normal(size=(n_rows, n_features))
    smallest = 10.0 ** rng.integers(-16, 0)
    few = rng.integers(5, size=n_rows) % n_rows
    pools: dict[str, np.ndarray] = {
        "plain": X,
        "copies": X[few],
        "all alike": np.repeat(X[:1], n_rows, axis=0),
        "groups of near copies": X[few] + smallest * rng.normal(size=X.shape),
        "groups that differ in the last bit": np.nextafter(X[few], rng.choice([-9, 9], size=X.shape)),
        "a cone": X[:1] + smallest * X,
        "zero rows": X * rng.integers(0, 2, size=(n_rows, 1)),
        "constant columns": np.where(np.arange(n_features) < n_features // 2, 1e6, X),
        "far from zero": X + 10.0 ** rng.integers(0, 9),
        "one direction each": np.eye(n_features)[rng.integers(n_features, size=n_rows)],
        "signs": np.sign(X),
        "a grid": rng.integers(-1, 2, size=X.shape) / 7,
        "booleans": X > 0,
        "a few far away": X * np.where(rng.random((n_rows, 1)) < 0.1, 1e5, 1.0),
        "lengths far apart": X * 10.0 ** rng.integers(-12, 12, size=(n_rows, 1)),
        "squares that overflow float32": X * 10.0 ** rng.integers(-30, 30, size=(n_rows, 1)),
    }
    return pools[kind]
