"""Class labels under a low budget, where some classes may not have been met yet."""

from __future__ import annotations

import numpy as np
from sklearn.utils.class_weight import compute_sample_weight

from skal._validation import check_class_labels, check_sample_weights, check_target_length, warn_of_minus_one

__all__ = ["check_classes", "encode_labels", "weights_of_rows"]


def check_classes(classes):
    """Check the full list of classes that the caller knows; return them sorted and distinct."""
    given = np.asarray(classes)
    if given.ndim != 1 or len(given) == 0:
        raise ValueError(f"classes must be a list of the classes, or None for those in y; found {classes!r}.")
    try:
        return np.unique(check_class_labels(given))
    except ValueError as error:
        raise ValueError(f"classes={classes!r} is not a list of class labels: {error}") from error


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
    warn_of_minus_one(labels, classes)
    seen = np.unique(labels)
    if classes is None:
        return seen, np.searchsorted(seen, labels)
    known = check_classes(classes)
    is_text = [values.dtype.kind in "OTUS" for values in (seen, known)]
    unknown = seen if is_text[0] != is_text[1] else seen[~np.isin(seen, known)]
    if len(unknown):
        raise ValueError(
            f"y holds the class {unknown.tolist()[0]!r}, which classes={classes!r} does not list; "
            "add it, or leave classes=None."
        )
    return known, np.searchsorted(known, labels)


def weights_of_rows(estimator, X, targets, sample_weight):
    """Weigh the rows as `sample_weight` and the estimator's ``class_weight`` say, float64 of shape (n,)."""
    weights = np.ones(X.shape[0]) if sample_weight is None else check_sample_weights(sample_weight, X)
    if estimator.class_weight is None:
        return weights
    is_used = weights > 0
    of_class = np.ones_like(weights)
    of_class[is_used] = compute_sample_weight(estimator.class_weight, estimator.classes_[targets[is_used]])
    return check_sample_weights(weights * of_class, X)
