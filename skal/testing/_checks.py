"""The contract of a sampler, one promise a function."""

from __future__ import annotations

import pickle
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn import config_context
from sklearn.base import clone

from skal._core.blocks import TILE_ROWS
from skal.testing._pools import N_ROWS, nasty_pools, plain_pool

_Y = np.random.default_rng(3).integers(0, 4, size=N_ROWS)


def check_budget_distinct_rows_of_any_pool(sampler: Any) -> None:
    """Exactly `budget` distinct rows, whatever the pool holds."""
    for name, X in nasty_pools().items():
        for budget in (1, 7, N_ROWS):
            _assert_contract(_fitted(sampler, X, budget), budget, what=name)


def check_labelled_rows_are_never_picked(sampler: Any) -> None:
    """No row that is labelled already, given as row numbers or as a mask."""
    labeled = np.random.default_rng(4).permutation(N_ROWS)[:15]
    pools = nasty_pools()
    for name in ("plain", "copies of one row", "three distinct rows"):
        for labeled_indices in (labeled.tolist(), np.isin(np.arange(N_ROWS), labeled)):
            for budget in (1, 7, N_ROWS - 15):
                fitted = _fitted(sampler, pools[name], budget, labeled_indices)
                _assert_contract(fitted, budget, labeled=labeled, what=name)


def check_budgets(sampler: Any) -> None:
    """Numbers of numpy, shares of the pool, and a pool of one row."""
    X = plain_pool()
    for budget, n_picks in ((np.int64(3), 3), (0.29, 11), (1.0, N_ROWS), (1e-9, 1)):
        _assert_contract(_fitted(sampler, X, budget), n_picks, what=f"budget={budget!r}")
    _assert_contract(_with_budget(sampler, 1).fit(X[:1], _Y[:1]), 1, n_rows=1, what="one row")


def check_budgets_that_mean_nothing(sampler: Any) -> None:
    """A budget that is no number of rows and no share is a ValueError that says so."""
    for budget in (0, -1, 0.0, 1.5, "ten", None):
        with _raises(ValueError, "budget"):
            _fitted(sampler, plain_pool(), budget)


def check_more_than_the_pool_can_give(sampler: Any) -> None:
    """A budget above the unlabelled rows is refused, with both numbers."""
    with _raises(ValueError, f"budget={N_ROWS + 1}", f"n_samples={N_ROWS}"):
        _fitted(sampler, plain_pool(), N_ROWS + 1)
    with _raises(ValueError, "budget=", f"n_samples={N_ROWS}"):
        _fitted(sampler, plain_pool(), N_ROWS - 4, range(5))


def check_bad_labeled_indices(sampler: Any) -> None:
    """Rows that are not in the pool, repeated, or no row numbers are refused by name."""
    cases = [
        ([1, N_ROWS], f"holds {N_ROWS}"),
        ([-1], "holds -1"),
        ([3, 5, 3], "row 3 more than once"),
        ([0.5], "dtype float64"),
        ([[1, 2]], "one-dimensional"),
        (np.ones(N_ROWS - 1, dtype=bool), f"found {N_ROWS - 1}"),
    ]
    for labeled_indices, message in cases:
        with _raises(ValueError, message):
            _fitted(sampler, plain_pool(), 2, labeled_indices)


def check_no_labelled_rows_in_three_spellings(sampler: Any) -> None:
    """None, an empty list and an empty mask mean the same."""
    spellings: tuple[Any, ...] = (None, [], np.zeros(N_ROWS, dtype=bool))
    picks = [_picks(sampler, plain_pool(), 5, nothing) for nothing in spellings]
    _assert_equal(picks[0], picks[1], "labeled_indices=None and []")
    _assert_equal(picks[0], picks[2], "labeled_indices=None and an empty mask")


def check_the_first_bad_row_is_named(sampler: Any) -> None:
    """NaN or infinity is a ValueError that names the first such row."""
    for bad, name in ((np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")):
        X = plain_pool(5000).astype(np.float16)
        X[4000, 1] = bad
        X[4500] = np.nan
        with _raises(ValueError, f"{name}: row 4000 "):
            _with_budget(sampler, 10).fit(X, np.zeros(5000, dtype=int))


def check_y_of_another_length(sampler: Any) -> None:
    """y needs one entry a row."""
    with _raises(ValueError, f"X has {N_ROWS} rows and y has {N_ROWS - 1}"):
        _with_budget(sampler, 2).fit(plain_pool(), _Y[1:])


def check_y_is_read_at_labelled_rows_only(sampler: Any) -> None:
    """Elsewhere y may hold anything, and without labelled rows it is not needed."""
    if sampler._needs == "all labels":
        return
    labeled = np.arange(0, N_ROWS, 3)
    garbage = np.array([None, np.nan, -1, "?"] * (N_ROWS // 4), dtype=object)
    garbage[labeled] = _Y[labeled]
    X = plain_pool()
    clean, dirty = (_picks(sampler, X, 5, labeled, y) for y in (_Y, garbage))
    _assert_equal(clean, dirty, "y with garbage where nothing is labelled")
    _assert_equal(_picks(sampler, X, 5, y=None), _picks(sampler, X, 5, y=[None] * N_ROWS), "no y and an empty one")


def check_a_partly_labelled_y_says_what_is_labelled(sampler: Any) -> None:
    """Missing entries of y (None, NaN) stand for `labeled_indices`."""
    if sampler._needs == "all labels":
        return
    labeled = np.arange(0, N_ROWS, 3)
    partly = np.where(np.isin(np.arange(N_ROWS), labeled), _Y, np.nan)
    as_objects = partly.astype(object)
    as_objects[np.isnan(partly)] = None
    n_labeled = len(labeled)
    expected = _picks(sampler, plain_pool(), 5, labeled)
    for y in (partly, as_objects):
        fitted = _with_budget(sampler, 5, n_labeled).fit(plain_pool(), y)
        _assert_equal(fitted.selected_indices_, expected, "a partly labelled y and labeled_indices")


def check_a_missing_label_is_refused(sampler: Any) -> None:
    """A labelled row needs its label."""
    y = _Y.astype(float)
    y[7] = np.nan
    with _raises(ValueError, "NaN"):
        _fitted(sampler, plain_pool(), 2, [3, 7], y)


def check_same_seed_same_picks(sampler: Any) -> None:
    """The same seed gives the same picks, and the global generators are left alone."""
    before = _global_generators()
    first, second = (_picks(sampler, plain_pool(), 6) for _ in range(2))
    _assert_equal(first, second, "two fits with one seed")
    for name, state in _global_generators().items():
        _assert_equal(state, before[name], f"the global generator of {name} before and after")


def check_memory_and_memmap_give_the_same_picks(sampler: Any) -> None:
    """However little memory is allowed, and wherever the rows lie."""
    n_rows = TILE_ROWS["cpu"] + 52
    y = np.random.default_rng(5).integers(0, 4, size=n_rows)
    for dtype, memories in ((np.float16, (0.03,)), (np.float32, (1e-6, 0.03, 1024)), (np.float64, (0.03,))):
        X = plain_pool(n_rows).astype(dtype)
        expected = _with_budget(sampler, 20).fit(X, y).selected_indices_
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pool.npy"
            np.save(path, X)
            for working_memory in memories:
                with config_context(working_memory=working_memory):
                    picks = _with_budget(sampler, 20).fit(np.load(path, mmap_mode="r"), y).selected_indices_
                _assert_equal(picks, expected, f"a memmap of {np.dtype(dtype)} with {working_memory} MiB")


def check_an_opened_pool_gives_the_same_picks(sampler: Any) -> None:
    """A `skal.Pool` stands for its rows, at the first fit and at the next."""
    from skal.pool import Pool

    X, labeled = plain_pool(), np.arange(9)
    pool, expected = Pool(X), _picks(sampler, X, 6, labeled)
    for _ in range(2):
        _assert_equal(_picks(sampler, pool, 6, labeled), expected, "an opened pool and its rows")


def check_the_surroundings_of_a_call_change_nothing(sampler: Any) -> None:
    """Autocast, inference mode and torch's default dtype around a fit do not reach its arithmetic."""
    X, labeled = plain_pool(), np.arange(9)
    expected = _picks(sampler, X, 6, labeled)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _assert_equal(_picks(sampler, X, 6, labeled), expected, "a fit under torch.autocast")
    with torch.inference_mode():
        _assert_equal(_picks(sampler, X, 6, labeled), expected, "a fit under torch.inference_mode")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        _assert_equal(_picks(sampler, X, 6, labeled), expected, "a fit with float64 as torch's default")
    finally:
        torch.set_default_dtype(before)


def check_select_returns_the_picks(sampler: Any) -> None:
    """`select()`, and `fit_select` of a clone, give `selected_indices_`."""
    fitted = _fitted(sampler, plain_pool(), 6)
    _assert_equal(fitted.select(), fitted.selected_indices_, "select() and selected_indices_")
    _assert_equal(clone(fitted).fit_select(plain_pool(), _Y), fitted.selected_indices_, "a clone's fit_select")


def check_select_from_another_pool(sampler: Any) -> None:
    """`select(X)` picks from X by what was learned, or says that it cannot."""
    other = np.random.default_rng(6).normal(size=(25, plain_pool().shape[1]))
    fitted = _fitted(sampler, plain_pool(), 6)
    if not fitted._carries_over():
        with _raises(TypeError, "Samplers that can: "):
            fitted.select(other)
        return
    picks = fitted.select(other)
    _assert_rows(picks, 6, 25, (), "select(X)")
    _assert_equal(pickle.loads(pickle.dumps(fitted)).select(other), picks, "select(X) after pickling")  # noqa: S301
    with _raises(ValueError, "features"):
        fitted.select(other[:, :2])
    with _raises(ValueError, "NaN: row 3"):
        fitted.select(np.where(np.arange(25)[:, None] == 3, np.nan, other))
    with _raises(ValueError, "n_samples=5"):
        fitted.select(other[:5])


def check_fit_resample(sampler: Any) -> None:
    """`fit_resample` gives the picked rows and their labels, as imbalanced-learn's samplers do."""
    X = plain_pool()
    picks = _picks(sampler, X, 6)
    X_picked, y_picked = _with_budget(sampler, 6).fit_resample(X, _Y)
    _assert_equal(X_picked, X[picks], "rows of fit_resample and picked rows")
    _assert_equal(y_picked, _Y[picks], "labels of fit_resample and of the picks")


def check_a_device_is_used_or_refused(sampler: Any) -> None:
    """A device that is asked for by name never becomes another one silently."""
    if "device" not in sampler.get_params():
        return
    _fitted(clone(sampler).set_params(device="cpu"), plain_pool(), 2)
    for device in ("gpu", "cuda:99"):
        with _raises(ValueError, f"device='{device}'"):
            _fitted(clone(sampler).set_params(device=device), plain_pool(), 2)


def _global_generators() -> dict[str, np.ndarray]:
    numpy_state: Any = np.random.get_state()  # noqa: NPY002
    return {"numpy": np.array(numpy_state[1]), "torch": torch.random.get_rng_state().numpy().copy()}


def _with_budget(sampler: Any, budget: Any, n_labeled: int = 0) -> Any:
    """Clone a sampler with a budget, and with seed 0; what runs rounds counts the rows labelled already."""
    copy = clone(sampler)
    if "random_state" in copy.get_params():
        copy.set_params(random_state=0)
    if not copy._runs_rounds:
        return copy.set_params(budget=budget)
    return copy.set_params(budgets=(budget + n_labeled if n_labeled else budget,))


def _fitted(sampler: Any, X: Any, budget: Any, labeled_indices: Any = None, y: Any = _Y) -> Any:
    given = np.asarray([] if labeled_indices is None else labeled_indices)
    n_labeled = int(given.sum()) if given.dtype == bool else given.size
    return _with_budget(sampler, budget, n_labeled).fit(X, y, labeled_indices=labeled_indices)


def _picks(sampler: Any, X: Any, budget: Any, labeled_indices: Any = None, y: Any = _Y) -> np.ndarray:
    picks: np.ndarray = _fitted(sampler, X, budget, labeled_indices, y).selected_indices_
    return picks


def _assert_contract(fitted: Any, budget: int, *, n_rows: int = N_ROWS, labeled: Any = (), what: str) -> None:
    _assert_rows(fitted.selected_indices_, budget, n_rows, labeled, what)


def _assert_rows(picks: Any, budget: int, n_rows: int, labeled: Any, what: str) -> None:
    faults = {
        "is no ndarray of int64": not isinstance(picks, np.ndarray) or picks.dtype != np.int64,
        f"has shape {np.shape(picks)}, not ({budget},)": np.shape(picks) != (budget,),
        "holds a row twice": len(np.unique(picks)) < np.size(picks),
        f"holds a row outside the pool of {n_rows}": bool(np.any((picks < 0) | (picks >= n_rows))),
        "holds a labelled row": bool(np.isin(picks, labeled).any()),
    }
    found = [fault for fault, is_there in faults.items() if is_there]
    if found:
        raise AssertionError(f"selected_indices_ {', '.join(found)} ({what}): {picks!r}")


def _assert_equal(found: Any, expected: Any, what: str) -> None:
    if not np.array_equal(found, expected):
        raise AssertionError(f"{what} should be the same; found {found!r} and {expected!r}")


@contextmanager
def _raises(kind: type[Exception], *parts: str) -> Any:
    """Expect an error whose message holds all of `parts`."""
    try:
        yield
    except kind as error:
        missing = [part for part in parts if part not in str(error)]
        if missing:
            raise AssertionError(f"a {kind.__name__} should say {missing[0]!r}; it says: {error}") from error
    else:
        raise AssertionError(f"a {kind.__name__} that says {parts[0]!r} should have been raised")
