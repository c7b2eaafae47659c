"""Logits in groups of rows."""

import numpy as np
import pytest
import torch

from skal._core.linear import linear_logits, linear_winners


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


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_sure_winner_is_that_of_float64(normalize, dtype, rng):
    rows = rng.normal(size=(3000, 40))
    coef, intercept = rng.normal(size=(5, 40)), rng.normal(size=5)
    coef[1] = coef[0] * (1 + 1e-7)  # so that many are near ties
    intercept[1] = intercept[0]
    intercept[4] = -np.inf
    rows[0], rows[1], rows[2] = 0, rows[1] * 1e-30, rows[2] * 1e25
    rows = torch.from_numpy(rows).to(dtype)
    exact = rows.double().numpy()
    if normalize:
        exact = exact / np.maximum(np.linalg.norm(exact, axis=1, keepdims=True), 1e-300)
    logits = exact @ coef.T + intercept
    found = linear_winners(rows, torch.from_numpy(coef), torch.from_numpy(intercept), normalize=normalize)
    winners, is_sure = (a.numpy() for a in found)
    assert (winners == logits.argmax(axis=1))[is_sure].all()
    assert not is_sure[:3].any()
    is_tie = np.abs(logits[:, 0] - logits[:, 1]) < 1e-8
    assert not is_sure[is_tie & (logits.argmax(axis=1) < 2)].any()
    assert is_sure.sum() > 1000
