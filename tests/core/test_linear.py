"""Logits in groups of rows."""

import pytest
import torch

from skal._core.linear import linear_logits


@pytest.mark.parametrize("n", [0, 1, 127, 128, 129, 2048])
@pytest.mark.parametrize("n_classes", [1, 37])
def test_logits(n, n_classes):
    rows, coef, intercept = torch.randn(n, 30), torch.randn(n_classes, 30), torch.randn(n_classes)
    torch.testing.assert_close(linear_logits(rows, coef, intercept), rows @ coef.T + intercept)


@pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="the same bits are promised for MKL")
@pytest.mark.parametrize("n", [7, 40, 200, 1500])
@pytest.mark.parametrize("n_classes", [10, 37, 100])
def test_the_number_of_threads_does_not_matter(n, n_classes):
    rows, coef, intercept = torch.randn(n, 512), torch.randn(n_classes, 512), torch.randn(n_classes)
    before, found = torch.get_num_threads(), []
    try:
        for n_threads in (1, 2, 4):
            torch.set_num_threads(n_threads)
            found.append(linear_logits(rows, coef, intercept))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
