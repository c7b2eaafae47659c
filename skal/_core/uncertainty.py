"""How unsure a classifier is of a row: class probabilities in, one score a row out, the most uncertain highest."""

from __future__ import annotations

import numpy as np
from scipy.special import entr

__all__ = ["entropy", "lack_of_confidence", "lack_of_margin"]


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Return ``−Σ p log p`` of each row of (m, n_classes), in nats, shape (m,)."""
    scores: np.ndarray = entr(probabilities).sum(axis=1)
    return scores


def lack_of_confidence(probabilities: np.ndarray) -> np.ndarray:
    """Return ``1 − p₁`` of each row of (m, n_classes), p₁ the highest probability, shape (m,)."""
    scores: np.ndarray = 1.0 - probabilities.max(axis=1)
    return scores


def lack_of_margin(probabilities: np.ndarray) -> np.ndarray:
    """Return ``p₂ − p₁`` of each row of (m, n_classes), the two highest probabilities, shape (m,)."""
    two_highest = np.partition(probabilities, -2, axis=1)[:, -2:]
    scores: np.ndarray = two_highest[:, 0] - two_highest[:, 1]
    return scores
