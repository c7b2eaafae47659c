"""What every public estimator must do, found through `__all__`."""

import inspect

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.utils._param_validation import Interval as SklearnInterval
from sklearn.utils.estimator_checks import parametrize_with_checks

import skal
import skal.classifiers
import skal.samplers
import skal.testing
from skal import registry
from skal._core.blocks import TILE_ROWS
from skal.base import BaseSampler
from skal.testing import check_sampler

SAMPLERS = [entry.cls for entry in registry.samplers()]
CLASSIFIERS = [
    member for name in skal.classifiers.__all__ if isinstance(member := getattr(skal.classifiers, name), type)
]
ESTIMATORS = [*SAMPLERS, *CLASSIFIERS, skal.LowBudgetClassifier]
# Scikit-learn's checks have odd numbers of features, which are no two views.
SETTINGS = {"MultiViewClassifier": {"n_views": 1}}
ROUNDS = ("IterativeSampler", "MultiKMeansSampler")


def test_there_are_estimators_to_check():
    assert len(SAMPLERS) >= 3
    assert len(CLASSIFIERS) >= 2
    assert {cls.__name__ for cls in SAMPLERS if not issubclass(cls, BaseSampler)} == set(ROUNDS)


@pytest.mark.parametrize("make_sparse", [sparse.csr_matrix, sparse.csr_array, sparse.coo_array, "torch"])
@pytest.mark.parametrize("estimator_class", ESTIMATORS)
def test_sparse_rows_are_refused_with_the_way_to_make_them_dense(estimator_class, make_sparse, rng):
    X = np.eye(40, 5)
    given = torch.from_numpy(X).to_sparse() if make_sparse == "torch" else make_sparse(X)
    with pytest.raises(TypeError, match=r"Sparse data .* \(40, 5\).*TruncatedSVD"):
        estimator_class().fit(given, rng.integers(0, 4, size=40))


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([estimator(**SETTINGS.get(estimator.__name__, {})) for estimator in ESTIMATORS])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


N, D = 40, 5


def quick(entry):
    """An unfitted sampler whose training is short."""
    less = {"VAAL": {"max_steps": 5}, "Consensus coverage": {"n_clusterings": 6}}
    return entry.make(**less.get(entry.title, {}))


LONG = [
    "check_budget_distinct_rows_of_any_pool",
    "check_labelled_rows_are_never_picked",
    "check_memory_and_memmap_give_the_same_picks",
]


def of_any_length(check):
    return pytest.param(check, marks=[pytest.mark.slow] if check.__name__ in LONG else [], id=check.__name__)


@pytest.mark.parametrize("check", [of_any_length(check) for check in skal.testing.sampler_checks()])
@pytest.mark.parametrize("entry", registry.samplers(), ids=lambda entry: entry.name)
def test_the_contract_of_a_sampler(entry, check, monkeypatch):
    monkeypatch.setitem(TILE_ROWS, "cpu", 256)  # pools of more than a tile are what takes long
    check(quick(entry))


@pytest.mark.parametrize("entry", registry.samplers(), ids=lambda entry: entry.name)
def test_ten_rows_unless_told_otherwise(entry, rng):
    X, y = rng.normal(size=(N, D)), rng.integers(0, 4, size=N)
    assert len(quick(entry).fit(X, y).selected_indices_) == 10


@pytest.mark.parametrize("entry", registry.samplers(), ids=lambda entry: entry.name)
def test_fit_resample_keeps_frames(entry, rng):
    X, y = rng.normal(size=(N, D)), rng.integers(0, 4, size=N)
    frame, series = quick(entry).fit_resample(pd.DataFrame(X), pd.Series(y))
    assert frame.index.tolist() == series.index.tolist()
    assert len(frame) == 10


@pytest.mark.parametrize("estimator_class", [cls for cls in ESTIMATORS if "device" in cls().get_params()])
def test_a_device_asked_for_by_name_is_used_or_refused(estimator_class, rng):
    X, y = rng.normal(size=(N, D)), rng.integers(0, 4, size=N)
    estimator_class(device="cpu").fit(X, y)
    with pytest.raises(ValueError, match="device='gpu' is not known"):
        estimator_class(device="gpu").fit(X, y)
    with pytest.raises(ValueError, match=r"device='cuda:99' was asked for, but torch .* sees \d+ CUDA devices"):
        estimator_class(device="cuda:99").fit(X, y)


@pytest.mark.gpu
@pytest.mark.parametrize("entry", registry.samplers(), ids=lambda entry: entry.name)
def test_the_same_contract_on_a_gpu(entry, rng):
    X, y = rng.normal(size=(N, D)), rng.integers(0, 4, size=N)
    on_gpu = {"device": "cuda"} if "device" in entry.make().get_params() else {}
    picks = entry.make(**on_gpu).fit(X, y).selected_indices_
    np.testing.assert_array_equal(entry.make().fit(torch.from_numpy(X).cuda(), y).selected_indices_.shape, picks.shape)
    check_sampler(quick(entry).set_params(**on_gpu))


@pytest.mark.parametrize("estimator_class", ESTIMATORS)
def test_public_docstrings_say_what_a_user_needs(estimator_class):
    text = inspect.getdoc(estimator_class)
    for section in ("Parameters", "Attributes", "Examples", ">>>"):
        assert section in text, f"{estimator_class.__name__} lacks {section}"
    for name in estimator_class().get_params(deep=False):
        assert f"\n{name} :" in text, f"{estimator_class.__name__} does not document {name}"


NUMBERS = [
    (estimator_class, name)
    for estimator_class in [*ESTIMATORS, skal.features.TorchFeatureExtractor]
    for name, constraints in estimator_class._parameter_constraints.items()
    if any(isinstance(constraint, SklearnInterval) for constraint in constraints)
]


@pytest.mark.parametrize("value", [True, False, np.True_], ids=repr)
@pytest.mark.parametrize(("estimator_class", "name"), NUMBERS)
def test_true_and_false_are_no_numbers(estimator_class, name, value, rng):
    X, y = rng.normal(size=(N, D)), rng.integers(0, 4, size=N)
    with pytest.raises(ValueError, match=rf"'{name}' parameter of {estimator_class.__name__} .* Got {value!r}"):
        estimator_class(**{name: value}).fit(X, y)


@pytest.mark.parametrize("estimator_class", [skal.rounds.IterativeSampler, skal.rounds.MultiKMeansSampler])
def test_true_is_no_total(estimator_class, rng):
    with pytest.raises(ValueError, match=r"'budgets' parameter .* Got True"):
        estimator_class(budgets=(True, 5)).fit(rng.normal(size=(N, D)))
