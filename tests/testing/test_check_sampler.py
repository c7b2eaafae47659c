"""The published checks find each kind of broken sampler."""

import numpy as np
import pytest
import torch
from sklearn import get_config

from skal import Pool
from skal.base import BaseSampler
from skal.samplers import CoreSetSampler, KMeansSampler, MaxEntropySampler
from skal.testing import check_sampler, sampler_checks
from skal.testing._checks import _Y


class Sound(BaseSampler):
    """Picks the longest rows."""

    def _select_rows(self, request):
        scores = np.abs(np.asarray(request.pool, dtype=np.float64)[request.candidate_idx, 0])
        return request.candidate_idx[np.argsort(-scores, kind="stable")][: request.budget]


class Repeating(Sound):
    def _select_rows(self, request):
        return np.zeros(request.budget, dtype=int)


class ForgettingLabels(Sound):
    def _select_rows(self, request):
        return np.arange(request.budget)


class Unseeded(Sound):
    def _select_rows(self, request):
        return np.random.default_rng().permutation(request.candidate_idx)[: request.budget]


class GlobalSeed(Sound):
    def _select_rows(self, request):
        torch.rand(1)
        return super()._select_rows(request)


class Peeking(Sound):
    """Looks at labels where nobody has paid for them."""

    def fit(self, X, y=None, *, labeled_indices=None):
        self.seen = "" if y is None else str(list(y))
        return super().fit(X, y, labeled_indices=labeled_indices)

    def _select_rows(self, request):
        picks = super()._select_rows(request)
        return picks[::-1] if "?" in self.seen else picks


class MemoryBound(Sound):
    """Picks by as many rows as fit."""

    def _select_rows(self, request):
        picks = super()._select_rows(request)
        return picks if get_config()["working_memory"] > 1 else picks[::-1]


class BadCarryOver(Sound):
    def _select_from(self, pool, budget):
        return np.zeros(budget, dtype=int)


class NotItsOwnPool(Sound):
    def fit(self, X, y=None, *, labeled_indices=None):
        self.was_pool = isinstance(X, Pool)
        return super().fit(X, y, labeled_indices=labeled_indices)

    def _select_rows(self, request):
        picks = super()._select_rows(request)
        return picks[::-1] if self.was_pool else picks


BROKEN = {
    Repeating: "check_budget_distinct_rows_of_any_pool",
    ForgettingLabels: "check_labelled_rows_are_never_picked",
    Unseeded: "check_no_labelled_rows_in_three_spellings",
    GlobalSeed: "check_same_seed_same_picks",
    Peeking: "check_y_is_read_at_labelled_rows_only",
    MemoryBound: "check_memory_and_memmap_give_the_same_picks",
    BadCarryOver: "check_select_from_another_pool",
    NotItsOwnPool: "check_an_opened_pool_gives_the_same_picks",
}


def test_a_sound_sampler_passes():
    check_sampler(Sound())


@pytest.mark.parametrize("broken", BROKEN, ids=lambda cls: cls.__name__)
def test_a_broken_sampler_is_found_out(broken):
    with pytest.raises((AssertionError, RuntimeError)) as caught:
        check_sampler(broken())
    assert caught.value.__notes__ == [f"found by skal.testing.{BROKEN[broken]} for {broken()!r}"]


@pytest.mark.parametrize("sampler", [KMeansSampler(metric="euclidean"), CoreSetSampler(init="random")], ids=str)
@pytest.mark.slow
def test_parameters_are_kept(sampler):
    check_sampler(sampler)


def test_a_sampler_that_learns_from_labels_is_checked_with_labels():
    assert len(np.unique(_Y)) > 2
    seen = []

    class Noting(MaxEntropySampler):
        def _select_rows(self, request):
            seen.append(request.labels is not None)
            return super()._select_rows(request)

    for check in sampler_checks():
        if check.__name__ == "check_labelled_rows_are_never_picked":
            check(Noting())
    assert all(seen)
