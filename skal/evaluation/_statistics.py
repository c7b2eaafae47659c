"""What several seeds say together."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

__all__ = ["summary", "t_interval"]


def summary(scores: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Return the mean, the sample deviation (ddof = 1; NaN for one score) and the number of scores."""
    std = float(scores.std(ddof=1)) if len(scores) > 1 else float("nan")
    return {"mean": float(scores.mean()), "std": std, "n_seeds": len(scores)}


def t_interval(differences: npt.NDArray[np.float64], confidence: float) -> dict[str, Any]:
    """Return the mean of paired differences between the bounds of Student's t, and their number."""
    found = summary(differences)
    n_seeds = found["n_seeds"]
    half = float(stats.t.ppf((1 + confidence) / 2, n_seeds - 1)) * found["std"] / n_seeds**0.5
    return {"mean": found["mean"], "low": found["mean"] - half, "high": found["mean"] + half, "n_seeds": n_seeds}
