"""Row numbers of what was picked."""

from __future__ import annotations

from skal._validation import check_row_numbers

__all__ = ["check_picks"]


def check_picks(indices, n_samples):
    """Return the picks in their order, int64 of shape (n_picks,); ValueError says what is wrong."""
    picks = check_row_numbers(indices, n_samples, "indices")
    if len(picks) == 0:
        raise ValueError("indices holds no row; pass the numbers of one picked row or more.")
    return picks
