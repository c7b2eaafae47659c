"""Class labels under a low budget, where some classes may not have been met yet."""

from __future__ import annotations

import numpy as np

from skal._validation import check_class_labels, check_target_length

__all__ = ["encode_labels"]


def encode_labels(estimator, X, y, classes):
    """Check `y` and number its classes.

    Parameters
    ----------
    classes : array-like or None
        The full list, where it is known; None means the classes in `y`.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        Sorted.
    targets : ndarray of shape (n,), int64
        Positions in `classes`.
    """
    check_target_length(estimator, X, y)
    labels = check_class_labels(y)
    seen = np.unique(labels)
    if classes is None:
        return seen, np.searchsorted(seen, labels)
    known = np.unique(np.asarray(classes))
    unknown = seen[~np.isin(seen, known)]
    if len(unknown):
        raise ValueError(
            f"y holds the class {unknown[0]!r}, which classes={classes!r} does not list; add it, or leave classes=None."
        )
    return known, np.searchsorted(known, labels)
