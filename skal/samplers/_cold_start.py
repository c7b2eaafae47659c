"""What a sampler that learns from labels does while there are too few."""

from __future__ import annotations

from copy import copy

import numpy as np
from sklearn.base import clone

from skal._validation import set_random_states
from skal.samplers._kmeans import KMeansSampler

__all__ = ["ColdStartMixin", "highest", "scores_of"]


class ColdStartMixin:
    """Picks by `initial` where nothing can be learned yet; keeps it as `initial_`."""

    def _select_cold(self, request):
        self.initial_ = self._default_initial() if self.initial is None else clone(self.initial)
        self._set_seed(self.initial_)
        self.initial_.set_params(budget=request.budget)
        return self.initial_.fit(request.pool, labeled_indices=request.labeled_idx).selected_indices_

    def _facts(self):
        found = super()._facts()
        if found and hasattr(self, "initial_"):
            found["order"] = self.initial_._order
            found["picked by"] = f"{type(self.initial_).__name__}, as too little was labelled to learn from"
        return found

    def _default_initial(self):
        return KMeansSampler()

    def _select_from_cold(self, pool, budget):
        return copy(self.initial_).set_params(budget=budget).select(pool)

    def _forget(self, *names):
        """Drop what an earlier fit learned: which of it is there says how the batch was picked."""
        for name in names:
            vars(self).pop(name, None)

    def _set_seed(self, part):
        if self.random_state is not None:
            set_random_states(part, self.random_state)


def highest(scores, candidate_idx, budget):
    """Return the `budget` candidates with the highest scores (n,), ties to the lowest row."""
    order = np.argsort(-scores[candidate_idx], kind="stable")
    return candidate_idx[order[:budget]]


def scores_of(scores, request):
    """Keep the scores (n,) of the candidates; NaN where a row is labelled."""
    return np.where(request.is_candidate, scores, np.nan)
