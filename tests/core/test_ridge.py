"""Ridge regression and its leave-one-out errors against refitting without each row."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from skal._core import ridge
from skal._core.ridge import RidgePath, logit_scale


def problem(m, d, rng, k=3):
    rows, targets = rng.normal(size=(m, d)), rng.normal(size=(m, k))
    return rows, targets, rng.uniform(0.2, 3, size=m)


def solved(rows, targets, weights, penalty):
    weighted = rows.T * weights
    return np.linalg.solve(weighted @ rows + penalty * np.eye(rows.shape[1]), weighted @ targets)


def without_each(rows, targets, weights, penalty, is_mean_fitted):
    """The oracle: predict each row by the fit to the others."""
    predictions = np.empty_like(targets)
    for row in range(len(rows)):
        rest = np.arange(len(rows)) != row
        shares = weights[rest] / weights[rest].sum()
        center, mean = (shares @ rows[rest], shares @ targets[rest]) if is_mean_fitted else (0.0, 0.0)
        coef = solved(rows[rest] - center, targets[rest] - mean, weights[rest], penalty)
        predictions[row] = (rows[row] - center) @ coef + mean
    return predictions


@pytest.mark.parametrize("elements_at_once", [1, 1 << 22])
@pytest.mark.parametrize("is_mean_fitted", [False, True])
@pytest.mark.parametrize(("m", "d"), [(8, 30), (30, 8), (12, 12), (2, 5)])
def test_leaving_a_row_out_is_refitting_without_it(m, d, is_mean_fitted, elements_at_once, rng, monkeypatch):
    monkeypatch.setattr(ridge, "_ELEMENTS_AT_ONCE", elements_at_once)
    rows, targets, weights = problem(m, d, rng)
    shares = weights / weights.sum()
    center, mean = (shares @ rows, shares @ targets) if is_mean_fitted else (0.0, 0.0)
    given = [torch.from_numpy(a) for a in (rows - center, targets - mean, weights)]
    path = RidgePath(*given, is_mean_fitted=is_mean_fitted)
    penalties = torch.tensor([0.01, 1.0, 50.0], dtype=torch.float64)
    some = torch.arange(0, m, 2)
    errors = path.loo_errors(penalties, some)
    for penalty, error in zip(penalties.tolist(), errors.tolist(), strict=True):
        expected = without_each(rows, targets, weights, penalty, is_mean_fitted)
        found = path.loo_predictions(penalty, torch.arange(m)).numpy() + mean
        np.testing.assert_allclose(found, expected, atol=1e-9)
        sq_error = np.square(targets - expected).sum(axis=1)
        assert error == pytest.approx(np.average(sq_error[some], weights=weights[some]))
        coef = solved(rows - center, targets - mean, weights, penalty)
        np.testing.assert_allclose(path.coefficients(penalty), coef, atol=1e-9)


def test_the_logit_scale_is_the_most_probable_one(rng):
    scores, weights = rng.normal(size=(40, 3)), rng.uniform(0.5, 2, size=40)
    targets = rng.dirichlet(np.ones(3), size=40)

    def cost(log_factor):
        return 0.5 * log_factor**2 - weights @ (targets * log_softmax(2 * np.exp(log_factor) * scores, axis=1)).sum(1)

    found = logit_scale(*(torch.from_numpy(a) for a in (scores, targets, weights)), prior=2.0)
    assert found == pytest.approx(2 * np.exp(minimize_scalar(cost, bracket=(-1, 1)).x), rel=1e-4)


def test_without_labels_the_logit_scale_is_the_guess():
    nothing = torch.empty((0, 3), dtype=torch.float64)
    assert logit_scale(nothing, nothing, nothing[:, 0], prior=7.0) == pytest.approx(7.0, rel=1e-4)
