"""The curve of coverage against plain numpy."""

import numpy as np
import pytest
from sklearn.preprocessing import normalize

import skal
from skal.evaluation import _coverage_curve, coverage_curve
from skal.samplers import CoreSetSampler, KMeansSampler, MaxHerdingSampler, RandomSampler


@pytest.mark.parametrize("elements_at_once", [1, 1 << 23])
@pytest.mark.parametrize("labeled", [None, [3, 500, 9]])
@pytest.mark.parametrize("sampler", [None, CoreSetSampler(metric="euclidean"), RandomSampler()], ids=str)
def test_coverage_and_radius_of_each_prefix(sampler, labeled, elements_at_once, digits, monkeypatch):
    monkeypatch.setattr(_coverage_curve, "_ELEMENTS_AT_ONCE", elements_at_once)
    X = digits[0][:600]
    curve = coverage_curve(X, [20, 1, 5], sampler=sampler, labeled_indices=labeled, sigma=0.4)
    rows = (X if isinstance(sampler, CoreSetSampler) else normalize(X)).astype(np.float64)
    assert curve.budgets.tolist() == [1, 5, 20]
    assert len(curve.picks) == 20
    for budget, coverage, radius in zip(curve.budgets, curve.coverage, curve.radius, strict=True):
        centers = [*(labeled or []), *curve.picks[:budget]]
        sq_dist = np.square(rows[:, None] - rows[centers]).sum(axis=2).min(axis=1)
        assert radius == pytest.approx(np.sqrt(sq_dist.max()), rel=1e-6)
        assert coverage == pytest.approx(np.exp(-sq_dist / 0.4**2).mean(), rel=1e-5)
    assert curve.to_rows()[1] == {"budget": 5, "coverage": curve.coverage[1], "radius": curve.radius[1]}


def test_the_knee_lies_highest_above_the_line_from_first_to_last(digits):
    X = digits[0][:400]
    curve = coverage_curve(X, 60)
    assert curve.budgets.tolist() == list(range(1, 61))
    line = curve.coverage[0] + (curve.coverage[-1] - curve.coverage[0]) * np.arange(60) / 59
    assert curve.knee == np.argmax(curve.coverage - line) + 1
    few = coverage_curve(X, [60])
    assert few.knee == curve.knee
    assert coverage_curve(X, 1).knee == 1
    assert repr(curve) == f"CoverageCurve(60 budgets from 1 to 60; knee at {curve.knee})"


def test_a_pool_of_groups_has_its_knee_at_their_number(rng):
    X = np.repeat(10 * np.eye(12), 30, axis=0) + 0.3 * rng.normal(size=(360, 12))
    assert coverage_curve(X, 40, sampler=MaxHerdingSampler(sigma=0.5), sigma=0.5).knee == 12


def test_the_bandwidth_is_the_samplers(digits):
    X = digits[0][:400]
    fitted = MaxHerdingSampler(25, random_state=0).fit(X)
    curve = coverage_curve(skal.Pool(X), 25)
    assert curve.sigma == fitted.sigma_
    assert curve.coverage[-1] == pytest.approx(fitted.coverage_, rel=1e-6)
    np.testing.assert_array_equal(curve.picks, fitted.selected_indices_)


def test_all_rows_picked_leave_nothing_uncovered(digits):
    X = digits[0][:50]
    curve = coverage_curve(X, 50)
    assert curve.coverage[-1] == 1.0
    assert curve.radius[-1] == 0.0


def test_samplers_without_prefixes_and_bad_budgets_are_refused(digits):
    X = digits[0][:50]
    with pytest.raises(ValueError, match="KMeansSampler picks other rows at smaller budgets"):
        coverage_curve(X, 5, sampler=KMeansSampler())
    for budgets in (0, [], [0, 3], [[1]], [0.5]):
        with pytest.raises(ValueError, match="budgets must be"):
            coverage_curve(X, budgets)
    with pytest.raises(ValueError, match="budget=48 is more than the 47 rows"):
        coverage_curve(X, 48, labeled_indices=[1, 2, 3])
