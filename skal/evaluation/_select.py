"""Let samplers pick, and keep what they picked."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import numpy.typing as npt

from skal._validation import Integral, is_number
from skal.evaluation._jobs import Jobs
from skal.evaluation._metrics import Categories
from skal.evaluation._records import Records, open_records
from skal.evaluation._rounds import Course, pick, plan_courses
from skal.evaluation._selections import Selection, SelectionKey, Selections

__all__ = ["check_selection", "run_courses", "select"]


def select(
    samplers: Mapping[str, Any],
    X: Any,
    y: Any = None,
    *,
    budgets: Sequence[int],
    n_seeds: int = 3,
    n_jobs: int | None = None,
    resume_from: str | os.PathLike[str] | None = None,
    only_finished: bool = False,
    version: str = "",
    on_selection: Callable[[Selection], object] | None = None,
) -> Selections:
    """Let each sampler pick at each budget and seed.

    Parameters
    ----------
    samplers : dict of str to sampler
        Cloned for each budget and seed. One that runs rounds (`IterativeSampler`, `MultiKMeansSampler`) goes through
        the budgets in one course for each seed, a round from one to the next.
    X : array-like of shape (n, d) or Pool
        The pool. Opened as a `skal.Pool`, its fits share what they learn of it.
    y : array-like of shape (n,), default=None
        Its labels; a sampler sees what its contract lets it see. Without them the coverage is not known, and
        samplers that learn from labels cannot be used.
    budgets : sequence of int
        Labels to pay for.
    n_seeds : int, default=3
        Seeds 0, 1, …; each sets every ``random_state`` of the sampler, those of its parts too. So all samplers
        with a seed that start at random start from the same rows.
    n_jobs : int, default=None
        Selections and rounds at once, by joblib. None runs one after the other, with all threads. A number gives
        each one thread, so that the picks are the same for any number.
    resume_from : path, default=None
        A file that keeps each selection, and each round, as soon as it exists; `score` may use the same one. What
        it holds already is not picked again, unless the sampler, its seed or the totals so far are others than
        then; `version` says how that is known. A budget that is added above the others costs a sampler that runs
        rounds one round. All of X is read, to refuse the file of another pool.
    only_finished : bool, default=False
        Whether to pick nothing and return what `resume_from` holds. The file may be another process's.
    version : str, default=""
        Samplers are compared by class, code and parameters. What cannot be compared (what a compiled function does,
        what a file says) counts as unchanged: change this text when it does change, and everything is picked anew.
    on_selection : callable, default=None
        Called with a `Selection` as soon as its picks are there, in no particular order, those that were resumed
        included.

    Returns
    -------
    Selections

    Raises
    ------
    ValueError
        If there is no sampler or no seed, the budgets are not distinct positive integers, a sampler refuses, or
        `resume_from` belongs to other data, is damaged or something else.
    RuntimeError
        If another process has `resume_from` open.
    OSError
        If `resume_from` cannot be written, as on a full disk. What is in it by then stays.

    See Also
    --------
    score : Says what the picks buy.
    budget_curve : Both steps in one call.

    Notes
    -----
    Time and memory are those of the samplers, times budgets and seeds.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skal.evaluation import select
    >>> from skal.samplers import KMeansSampler, RandomSampler
    >>> X, y = load_digits(return_X_y=True)
    >>> selections = select({"Random": RandomSampler(), "K-means": KMeansSampler()}, X, y, budgets=[10, 50], n_seeds=2)
    >>> selections
    Selections(2 samplers × 2 budgets × 2 seeds)
    >>> selections["K-means", 50, 0].shape
    (50,)
    """
    totals = check_selection(samplers, budgets, n_seeds)
    parts = {} if y is None else {"labels": (y,)}
    with open_records(resume_from, X, parts, only_read=only_finished, version=version) as records:
        return run_courses(records, plan_courses(samplers, totals, n_seeds), X, y, n_jobs, on_selection)


def check_selection(samplers: Mapping[str, Any], budgets: Sequence[int], n_seeds: int) -> tuple[int, ...]:
    """Check what `select` is asked for; return the budgets in ascending order."""
    if not samplers:
        raise ValueError("samplers is empty; pass a dict of name to sampler.")
    if not is_number(n_seeds, Integral) or n_seeds < 1:
        raise ValueError(f"n_seeds must be an int of at least 1; found {n_seeds!r}.")
    given = np.asarray(budgets)
    are_ints = given.ndim == 1 and len(given) > 0 and all(is_number(budget, Integral) for budget in budgets)
    if not are_ints or given.min() < 1:
        raise ValueError(f"budgets must be positive integers; found {budgets!r}.")
    if len(np.unique(given)) < len(given):
        raise ValueError(f"budgets holds a number twice: {budgets!r}.")
    return tuple(sorted(given.tolist()))


def run_courses(
    records: Records,
    courses: list[Course],
    X: Any,
    y: Any,
    n_jobs: int | None,
    on_selection: Callable[[Selection], object] | None,
) -> Selections:
    """Take courses to their ends, from where the records leave them."""
    coverage_of = None if y is None else Categories(y).coverage
    selected: dict[SelectionKey, npt.NDArray[np.int64]] = {}
    with closing(_advance(records, courses, X, y, n_jobs)) as reached:
        for course, total in reached:
            key, rows = SelectionKey(course.name, total, course.seed), course.picks[:total]
            selected[key] = rows
            if on_selection is not None:
                on_selection(Selection(*key, rows, None if coverage_of is None else coverage_of(rows)))
    names = list(dict.fromkeys(course.name for course in courses))
    return Selections({key: selected[key] for key in sorted(selected, key=lambda key: names.index(key.sampler))}, y)


def _advance(
    records: Records, courses: list[Course], X: Any, y: Any, n_jobs: int | None
) -> Generator[tuple[Course, int]]:
    """Yield each course with the total that it has just reached, what the records hold first."""
    described = records.describe_each([course.sampler for course in courses])
    if y is None:
        described = [f"{each} without labels" for each in described]
    for course, description in zip(courses, described, strict=True):
        while not course.is_finished:
            rows = records.picks(description, course.totals_so_far)
            if rows is None:
                break
            yield course, course.take(rows)
    if records.only_read:
        return
    with Jobs(n_jobs) as jobs:
        for n_rounds in range(max(len(course.totals) for course in courses)):
            at_work = [place for place, course in enumerate(courses) if course.needs_round(n_rounds)]
            for place, rows in jobs.run(_pick, ((place, courses[place], X, y) for place in at_work)):
                totals = courses[place].totals_so_far
                total = courses[place].take(rows)
                records.keep_picks(described[place], totals, rows)
                yield courses[place], total


def _pick(place: int, course: Course, X: Any, y: Any) -> tuple[int, npt.NDArray[np.int64]]:
    return place, pick(course, X, y)
