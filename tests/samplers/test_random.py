"""Random rows."""

import numpy as np
import pytest

from skal.samplers import RandomSampler


def test_smaller_budgets_are_prefixes(rng):
    X = rng.normal(size=(100, 3))
    largest = RandomSampler(budget=100, random_state=0).fit_select(X)
    for budget in (1, 10, 99):
        np.testing.assert_array_equal(RandomSampler(budget=budget, random_state=0).fit_select(X), largest[:budget])


@pytest.mark.slow
def test_every_row_is_equally_likely():
    X = np.zeros((10, 1))
    counts = sum(np.bincount(RandomSampler(budget=3, random_state=s).fit_select(X), minlength=10) for s in range(1000))
    np.testing.assert_allclose(counts / 1000, 0.3, atol=0.06)
