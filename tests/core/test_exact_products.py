"""Products without an order of summation."""

import numpy as np
import pytest
import torch

from skal._core.exact_products import exact_products, split


def unit(X):
    return X / torch.linalg.vector_norm(X, dim=1, keepdim=True)


@pytest.mark.parametrize("d", [1, 2, 64, 1000, 4096])
def test_against_long_double(d, rng):
    rows, others = (unit(torch.from_numpy(rng.normal(size=(n, d)))) for n in (5, 8))
    expected = (rows.numpy().astype(np.longdouble)[:, None] * others.numpy().astype(np.longdouble)).sum(axis=2)
    digits = split(rows)
    error = np.abs(exact_products(digits, split(others)).numpy() - expected).max()
    assert error < 4 * 2.0 ** -(26 + digits.low_bits) < 1e-12
    assert error < (4e-15 if d <= 1000 else 1e-14)


@pytest.mark.parametrize("d", [64, 4096])
def test_no_order_of_the_features_changes_a_digit(d, rng):
    rows, others = (unit(torch.from_numpy(rng.normal(size=(n, d)))) for n in (40, 30))
    products = exact_products(split(rows), split(others))
    order = torch.from_numpy(rng.permutation(d))
    assert torch.equal(exact_products(split(rows[:, order]), split(others[:, order])), products)
    one_by_one = exact_products(split(rows[:, None, order]), split(others[None, :, order].expand(40, -1, -1)))[:, 0]
    assert torch.equal(one_by_one, products)


def test_the_largest_sums_stay_exact():
    """Rows whose parts are as large as they can be, and all of one sign."""
    for d in (3, 100, 4096, 65536):
        digits = split(torch.full((2, d), (round(d**-0.5 * 2**26) - 0.51) / 2**26, dtype=torch.float64))
        assert bool((digits.high.abs() @ digits.low.abs().T < 2.0**53).all())
        assert bool((digits.low.abs() > 0.45 * 2.0**digits.low_bits).all())
        assert bool((digits.high.square().sum(dim=1) < 2.0**53).all())
