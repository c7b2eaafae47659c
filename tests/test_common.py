"""What every public estimator must do, found through `__all__`."""

import inspect
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

import skal
import skal.classifiers
import skal.samplers
from skal.base import BaseSampler

SAMPLERS = [getattr(skal.samplers, name) for name in skal.samplers.__all__]
CLASSIFIERS = [
    member for name in skal.classifiers.__all__ if isinstance(member := getattr(skal.classifiers, name), type)
]
ESTIMATORS = [*SAMPLERS, *CLASSIFIERS, skal.LowBudgetClassifier]

N, D = 40, 5


def make(sampler_class, budget, n_labeled=0, **parameters):
    """A sampler of `budget` rows; one that runs rounds counts those labelled already."""
    if "budgets" not in sampler_class().get_params():
        return sampler_class(budget=budget, **parameters)
    return sampler_class(budgets=(budget + n_labeled if n_labeled else budget,), **parameters)


def test_there_are_estimators_to_check():
    assert len(SAMPLERS) >= 3
    assert len(CLASSIFIERS) >= 2
    assert all(issubclass(sampler, BaseSampler) for sampler in SAMPLERS)


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([estimator() for estimator in ESTIMATORS])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def make_pool(kind, rng):
    X = rng.normal(size=(N, D))
    if kind == "duplicates only":
        X[:] = X[0]
    elif kind == "three distinct rows":
        X = X[rng.integers(3, size=N)]
    elif kind == "constant columns":
        X[:, :3] = 1e6
    elif kind == "zero rows":
        X[::2] = 0
    elif kind == "all zero":
        X[:] = 0
    elif kind == "integers":
        X = rng.integers(0, 3, size=(N, D))
    elif kind == "booleans":
        X = rng.integers(0, 2, size=(N, D)).astype(bool)
    elif kind == "huge and tiny":
        X = X * np.logspace(-30, 30, N)[:, None]
    elif kind == "one column":
        X = X[:, :1]
    elif kind == "Fortran order":
        X = np.asfortranarray(X)
    elif kind == "big-endian":
        X = X.astype(">f4")
    elif kind == "read-only":
        X.flags.writeable = False
    elif kind == "torch":
        X = torch.from_numpy(X)
    elif kind == "torch bfloat16":
        X = torch.from_numpy(X).bfloat16()
    elif kind == "torch with gradient":
        X = torch.from_numpy(X).requires_grad_()
    elif kind == "list":
        X = X.tolist()
    elif kind == "frame":
        X = pd.DataFrame(X, columns=[f"f{i}" for i in range(D)])
    elif kind == "float16":
        X = X.astype(np.float16)
    else:
        assert kind == "plain"
    return X


POOLS = [
    "plain", "duplicates only", "three distinct rows", "constant columns", "zero rows", "all zero", "integers",
    "booleans", "huge and tiny", "one column", "Fortran order", "big-endian", "read-only", "torch", "torch bfloat16",
    "torch with gradient", "list", "frame", "float16",
]  # fmt: skip


def assert_contract(picks, budget, n=N, labeled=()):
    assert isinstance(picks, np.ndarray)
    assert picks.dtype == np.int64
    assert picks.shape == (budget,)
    assert len(np.unique(picks)) == budget
    assert picks.min() >= 0
    assert picks.max() < n
    assert not np.isin(picks, labeled).any()


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("sampler_class", SAMPLERS)
def test_exactly_budget_distinct_rows_of_any_pool(sampler_class, kind, rng):
    y = rng.integers(0, 4, size=N)
    for budget in (1, 7, N):
        X = make_pool(kind, np.random.default_rng(1))
        assert_contract(make(sampler_class, budget, random_state=0).fit(X, y).selected_indices_, budget)


@pytest.mark.parametrize("kind", ["plain", "duplicates only", "three distinct rows"])
@pytest.mark.parametrize("as_mask", [False, True])
@pytest.mark.parametrize("sampler_class", SAMPLERS)
def test_labelled_rows_are_never_picked(sampler_class, as_mask, kind, rng):
    y = rng.integers(0, 4, size=N)
    X = make_pool(kind, rng)
    labeled = rng.permutation(N)[:15]
    labeled_indices = np.isin(np.arange(N), labeled) if as_mask else labeled.tolist()
    for budget in (1, 7, N - 15):
        picks = make(sampler_class, budget, 15, random_state=0).fit_select(X, y, labeled_indices=labeled_indices)
        assert_contract(picks, budget, labeled=labeled)


@pytest.mark.parametrize("sampler_class", SAMPLERS)
def test_budgets(sampler_class, rng):
    X, y = rng.normal(size=(N, D)), rng.integers(0, 4, size=N)
    assert_contract(make(sampler_class, np.int64(3)).fit(X, y).selected_indices_, 3)
    assert_contract(make(sampler_class, 0.29).fit(X, y).selected_indices_, 11)
    assert_contract(make(sampler_class, 1.0).fit(X, y).selected_indices_, N)
    assert_contract(make(sampler_class, 1e-9).fit(X, y).selected_indices_, 1)
    assert_contract(make(sampler_class, 1).fit(X[:1], y[:1]).selected_indices_, 1, n=1)
    assert len(sampler_class().fit(X, y).selected_indices_) == 10


@pytest.mark.parametrize("budget", [0, -1, 0.0, 1.5, "ten", None])
@pytest.mark.parametrize("sampler_class", SAMPLERS)
def test_budgets_that_mean_nothing(sampler_class, budget, rng):
    with pytest.raises(ValueError, match="budget"):
        make(sampler_class, budget).fit(rng.normal(size=(N, D)), np.zeros(N))


@pytest.mark.parametrize("sampler_class", SAMPLERS)
def test_more_than_the_pool_can_give(sampler_class, rng):
    X, y = rng.normal(size=(N, D)), np.zeros(N)
    with pytest.raises(ValueError, match=f"budget=41 .* n_samples={N}"):
        make(sampler_class, N + 1).fit(X, y)
    with pytest.raises(ValueError, match=r"budget=36 is more than the 35 rows|budget=41 is more than the 40 rows"):
        make(sampler_class, 36, 5).fit(X, y, labeled_indices=range(5))


@pytest.mark.parametrize(
    ("labeled_indices", "message"),
    [
        ([1, N], f"holds {N}, which is not a row"),
        ([-1], "holds -1"),
        ([3, 5, 3], "row 3 more than once"),
        ([0.5], "dtype float64"),
        ([[1, 2]], "one-dimensional"),
        (np.ones(N - 1, dtype=bool), f"found {N - 1}"),
    ],
)
@pytest.mark.parametrize("sampler_class", SAMPLERS)
def test_bad_labeled_indices(sampler_class, labeled_indices, message, rng):
    with pytest.raises(ValueError, match=message):
        make(sampler_class, 2).fit(rng.normal(size=(N, D)), np.zeros(N), labeled_indices=labeled_indices)


@pytest.mark.parametrize("sampler_class", SAMPLERS)
def test_no_labelled_rows_in_three_spellings(sampler_class, rng):
    X, y = rng.normal(size=(N, D)), rng.integers(0, 4, size=N)
    picks = [
        make(sampler_class, 5, random_state=0).fit_select(X, y, labeled_indices=nothing)
        for nothing in (None, [], np.zeros(N, dtype=bool))
    ]
    np.testing.assert_array_equal(picks[0], picks[1])
    np.testing.assert_array_equal(picks[0], picks[2])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("sampler_class", SAMPLERS)
def test_the_first_bad_row_is_named(sampler_class, bad, rng):
    X = rng.normal(size=(5000, 3)).astype(np.float16)
    X[4000, 1] = bad
    X[4500] = np.nan
    with pytest.raises(ValueError, match=f"{'NaN' if np.isnan(bad) else 'infinity'}: row 4000 "):
        sampler_class().fit(X, np.zeros(5000, dtype=int))


@pytest.mark.parametrize("sampler_class", SAMPLERS)
def test_y_of_another_length(sampler_class, rng):
    with pytest.raises(ValueError, match="X has 40 rows and y has 39"):
        sampler_class().fit(rng.normal(size=(N, D)), np.zeros(N - 1))


@pytest.mark.parametrize("sampler_class", [cls for cls in SAMPLERS if cls._needs != "all labels"])
def test_y_is_read_at_labelled_rows_only(sampler_class, rng):
    X, labeled = rng.normal(size=(N, D)), np.arange(0, N, 3)
    y = rng.integers(0, 4, size=N)
    garbage = np.array([None, np.nan, -1, "?"] * (N // 4), dtype=object)
    garbage[labeled] = y[labeled]
    clean, dirty = (
        make(sampler_class, 5, len(labeled), random_state=0).fit_select(X, target, labeled_indices=labeled)
        for target in (y, garbage)
    )
    np.testing.assert_array_equal(clean, dirty)
    np.testing.assert_array_equal(
        make(sampler_class, 5, random_state=0).fit_select(X),
        make(sampler_class, 5, random_state=0).fit_select(X, [None] * N),
    )


@pytest.mark.parametrize("sampler_class", SAMPLERS)
def test_a_missing_label_among_the_labelled_rows(sampler_class, rng):
    y = np.zeros(N)
    y[7] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        make(sampler_class, 2, 2).fit(rng.normal(size=(N, D)), y, labeled_indices=[3, 7])


@pytest.mark.parametrize("sampler_class", SAMPLERS)
def test_same_seed_same_picks_and_the_global_seed_is_left_alone(sampler_class, rng):
    X, y = rng.normal(size=(N, D)), rng.integers(0, 4, size=N)
    before = np.random.get_state()[1].copy(), torch.random.get_rng_state()
    first, second = (make(sampler_class, 6, random_state=3).fit(X, y).selected_indices_ for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(before[0], np.random.get_state()[1])
    assert torch.equal(before[1], torch.random.get_rng_state())


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("sampler_class", SAMPLERS)
def test_same_picks_from_memory_and_from_a_memmap_under_any_memory_budget(sampler_class, dtype, tmp_path, rng):
    X = rng.normal(size=(5000, 7)).astype(dtype)
    y = rng.integers(0, 4, size=len(X))
    path = tmp_path / "pool.npy"
    np.save(path, X)
    reference = make(sampler_class, 20, random_state=0).fit(X, y).selected_indices_
    one_tile = 2048 * 7 * 4 / 2**20
    for working_memory in (1e-6, 1.5 * one_tile, 1024):
        with config_context(working_memory=working_memory):
            mapped = np.load(path, mmap_mode="r")
            picks = make(sampler_class, 20, random_state=0).fit(mapped, y).selected_indices_
        np.testing.assert_array_equal(picks, reference)
        assert_contract(picks, 20, n=5000)


@pytest.mark.parametrize("sampler_class", SAMPLERS)
def test_select_without_a_pool_returns_the_picks(sampler_class, rng):
    X, y = rng.normal(size=(N, D)), rng.integers(0, 4, size=N)
    sampler = make(sampler_class, 6, random_state=0).fit(X, y)
    np.testing.assert_array_equal(sampler.select(), sampler.selected_indices_)
    np.testing.assert_array_equal(clone(sampler).fit_select(X, y), sampler.selected_indices_)


@pytest.mark.parametrize("sampler_class", SAMPLERS)
def test_select_from_another_pool(sampler_class, rng):
    X, y, other = rng.normal(size=(N, D)), rng.integers(0, 4, size=N), rng.normal(size=(25, D))
    sampler = make(sampler_class, 6, random_state=0).fit(X, y)
    if sampler_class._select_from is BaseSampler._select_from:
        with pytest.raises(TypeError, match=r"Samplers that can: .*KMeansSampler"):
            sampler.select(other)
        return
    assert_contract(sampler.select(other), 6, n=25)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(sampler)).select(other), sampler.select(other))
    with pytest.raises(ValueError, match="features"):
        sampler.select(other[:, :2])
    with pytest.raises(ValueError, match="NaN: row 3"):
        sampler.select(np.where(np.arange(25)[:, None] == 3, np.nan, other))
    with pytest.raises(ValueError, match="n_samples=5"):
        sampler.select(other[:5])


@pytest.mark.parametrize("sampler_class", SAMPLERS)
def test_fit_resample_gives_rows_and_labels(sampler_class, rng):
    X, y = rng.normal(size=(N, D)), rng.integers(0, 4, size=N)
    X_picked, y_picked = make(sampler_class, 6, random_state=0).fit_resample(X, y)
    picks = make(sampler_class, 6, random_state=0).fit_select(X, y)
    np.testing.assert_array_equal(X_picked, X[picks])
    np.testing.assert_array_equal(y_picked, y[picks])
    frame, series = make(sampler_class, 6, random_state=0).fit_resample(pd.DataFrame(X), pd.Series(y))
    assert frame.index.tolist() == series.index.tolist() == picks.tolist()


@pytest.mark.parametrize("estimator_class", [cls for cls in ESTIMATORS if "device" in cls().get_params()])
def test_a_device_asked_for_by_name_is_used_or_refused(estimator_class, rng):
    X, y = rng.normal(size=(N, D)), rng.integers(0, 4, size=N)
    estimator_class(device="cpu").fit(X, y)
    with pytest.raises(ValueError, match="device='gpu' is not known"):
        estimator_class(device="gpu").fit(X, y)
    with pytest.raises(ValueError, match=r"device='cuda:99' was asked for, but torch .* sees \d+ CUDA devices"):
        estimator_class(device="cuda:99").fit(X, y)


@pytest.mark.gpu
@pytest.mark.parametrize("sampler_class", [cls for cls in SAMPLERS if "device" in cls().get_params()])
def test_the_same_contract_on_a_gpu(sampler_class, rng):
    X, y = rng.normal(size=(N, D)), rng.integers(0, 4, size=N)
    assert_contract(make(sampler_class, 6, device="cuda").fit(X, y).selected_indices_, 6)
    assert_contract(make(sampler_class, 6).fit(torch.from_numpy(X).cuda(), y).selected_indices_, 6)


@pytest.mark.parametrize("estimator_class", ESTIMATORS)
def test_public_docstrings_say_what_a_user_needs(estimator_class):
    text = inspect.getdoc(estimator_class)
    for section in ("Parameters", "Attributes", "Examples", ">>>"):
        assert section in text, f"{estimator_class.__name__} lacks {section}"
    for name in estimator_class().get_params(deep=False):
        assert f"\n{name} :" in text, f"{estimator_class.__name__} does not document {name}"
