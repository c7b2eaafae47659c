"""What a sampler that learns from labels does while there are too few."""

from __future__ import annotations

from copy import copy

import numpy as np
from sklearn.base import clone

from skal._validation import set_random_states
from skal.samplers._kmeans import KMeansSampler

__all__ = ["ColdStartMixin", "highest"]


class ColdStartMixin:
    """Picks by `initial` where nothing can be learned yet; keeps it as `initial_`."""

    def _select_cold(self, X, labeled_idx, budget):
        self.initial_ = KMeansSampler() if self.initial is None else clone(self.initial)
        self._set_seed(self.initial_)
        return self.initial_.set_params(budget=budget).fit(X, labeled_indices=labeled_idx).selected_indices_

    def _select_from_cold(self, X, budget):
        return copy(self.initial_).set_params(budget=budget).select(X)

    def _forget(self, *names):
        """Drop what an earlier fit learned: which of it is there says how the batch was picked."""
        for name in names:
            vars(self).pop(name, None)

    def _set_seed(self, part):
        if self.random_state is not None:
            set_random_states(part, self.random_state)


def highest(scores, is_candidate, budget):
    """Return the `budget` candidates (bool, (n,)) with the highest scores (n,), ties to the lowest row."""
    candidate_idx = np.flatnonzero(is_candidate)
    order = np.argsort(-scores[candidate_idx], kind="stable")
    return candidate_idx[order[:budget]]
