"""The pool that row numbers belong to, and their names in messages."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["name_rows", "refuse_another_pool"]

_WHAT_TO_DO = "Its row numbers no longer match. Pass the pool that it was begun with, or begin another ledger."


def name_rows(rows: Sequence[int]) -> str:
    """Name rows in a message: the first ten, and how many more."""
    more = f" and {len(rows) - 10} more" if len(rows) > 10 else ""
    return f"row{'s' * (len(rows) > 1)} {', '.join(map(str, rows[:10]))}{more}"


def refuse_another_pool(
    ledger: str, n_expected: int | None, expected: str | None, n_samples: int, fingerprint: str | None
) -> None:
    """Compare a pool with the one that a ledger says it belongs to; None says nothing."""
    if n_expected not in (None, n_samples):
        raise ValueError(f"{ledger} is of a pool of {n_expected} rows, and this one has {n_samples}. {_WHAT_TO_DO}")
    if fingerprint is not None and expected not in (None, fingerprint):
        raise ValueError(
            f"{ledger} is of another pool of {n_samples} rows: the fingerprint there is {expected}, and that of this "
            f"one {fingerprint}. {_WHAT_TO_DO}"
        )
