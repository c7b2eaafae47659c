"""Run the contract of a sampler against a sampler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skal.testing import _checks

__all__ = ["check_sampler", "sampler_checks"]


def sampler_checks() -> list[Callable[[Any], None]]:
    """Return the checks of the sampler's contract, each a function of an unfitted sampler.

    They are what `check_sampler` runs, one by one, for ``pytest.mark.parametrize``.

    See Also
    --------
    check_sampler : Runs all of them.

    Examples
    --------
    >>> from skal.testing import sampler_checks
    >>> [check.__name__ for check in sampler_checks()][:2]
    ['check_budget_distinct_rows_of_any_pool', 'check_labelled_rows_are_never_picked']
    """
    return [member for name, member in vars(_checks).items() if name.startswith("check_")]


def check_sampler(sampler: Any) -> None:
    """Check that a sampler keeps the contract of `skal.BaseSampler`.

    Fits clones of it, with budgets of their own, on pools of 40 rows that hold copies, constant columns, zero rows,
    huge and tiny values; with labelled rows as numbers and as masks; with garbage where nothing is labelled; from
    arrays, memmaps, tensors and frames. Takes a few seconds for a fast sampler.

    Parameters
    ----------
    sampler : sampler
        Unfitted; its parameters but for the budget and the seed are kept.

    Raises
    ------
    AssertionError
        If the contract is broken; says which check found it, and what was picked.
    Exception
        Whatever the sampler raises where it should pick, with a note that names the check.

    See Also
    --------
    sklearn.utils.estimator_checks.check_estimator : What scikit-learn asks of every estimator.

    Examples
    --------
    >>> from skal.samplers import RandomSampler
    >>> from skal.testing import check_sampler
    >>> check_sampler(RandomSampler())
    """
    for check in sampler_checks():
        try:
            check(sampler)
        except Exception as error:
            error.add_note(f"found by skal.testing.{check.__name__} for {sampler!r}")
            raise
