"""Products and sums that do not depend on the number of threads."""

import numpy as np
import pytest
import torch

from skal._core.blocks import Blocks
from skal._core.products import affine, product, total
from skal._core.projection import principal_axes

N_THREADS = (1, 2, 3, 4, 7)


def of_each_number_of_threads(compute):
    """What is computed with each number of threads."""
    before = torch.get_num_threads()
    try:
        return [(torch.set_num_threads(n_threads), compute())[1] for n_threads in N_THREADS]
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("n_columns", [1, 5, 17, 36, 100, 200])
@pytest.mark.parametrize("n_rows", [0, 1, 5, 17, 255, 256, 700])
def test_a_product_is_the_same_for_any_number_of_threads(n_rows, n_columns, rng):
    rows = torch.from_numpy(rng.normal(size=(n_rows, 40)).astype(np.float32))
    columns = torch.from_numpy(rng.normal(size=(n_columns, 40)).astype(np.float32)).T
    offset = torch.from_numpy(rng.normal(size=n_columns).astype(np.float32))
    first, *others = of_each_number_of_threads(lambda: affine(offset, rows, columns, alpha=-1))
    assert all(torch.equal(first, other) for other in others)
    expected = offset.double() - rows.double() @ columns.double()
    torch.testing.assert_close(first.double(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(product(rows, columns).double(), offset.double() - expected, rtol=1e-5, atol=1e-5)


def test_a_sum_is_the_same_for_any_number_of_threads(rng):
    values = torch.from_numpy(rng.normal(size=(3000, 40)).astype(np.float32))
    first, *others = of_each_number_of_threads(lambda: total(values))
    assert others == [first] * len(others)
    assert first == pytest.approx(values.double().numpy().sum())


@pytest.mark.parametrize("n_features", [33, 100, 1030])
def test_principal_axes_are_the_same_for_any_number_of_threads(n_features, rng):
    X = (rng.normal(size=(600, n_features)) * rng.uniform(0.1, 3, n_features)).astype(np.float32)
    pool = Blocks(X, torch.device("cpu"))
    first, *others = of_each_number_of_threads(lambda: principal_axes(pool, 24))
    assert all(torch.equal(first.directions, other.directions) for other in others)
    assert all(first.captured == other.captured for other in others)
