"""An honest accuracy from few labels: those of rows drawn at random, and an interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from skal._validation import check_class_labels, check_row_numbers, local_generator, rows_of

__all__ = ["HoldoutEstimate", "draw_holdout", "holdout_estimate"]


@dataclass(frozen=True)
class HoldoutEstimate:
    """An accuracy with a confidence interval; what `holdout_estimate` returns.

    Attributes
    ----------
    accuracy : float
        Of the rows of the pool that are not labelled, estimated.
    low, high : float
        Ends of Wilson's interval.
    confidence : float
    n_labels : int
        Rows that were looked at.
    n_effective : float
        How many independent rows tell as much; what the interval is computed from. Near-duplicates tell less than as
        many rows, strata may tell more.

    See Also
    --------
    holdout_estimate : Makes one.
    """

    accuracy: float
    low: float
    high: float
    confidence: float
    n_labels: int
    n_effective: float

    def __str__(self) -> str:
        interval = f"[{self.low:.1%}, {self.high:.1%}]"
        return f"{self.accuracy:.1%} {interval} at {self.confidence:.0%} from {self.n_labels} labels"


def draw_holdout(
    n_samples: int,
    size: int,
    *,
    labeled_indices: Any = None,
    strata: Any = None,
    groups: Any = None,
    random_state: Any = None,
) -> npt.NDArray[np.int64]:
    """Draw rows at random to be labelled for an estimate: what `holdout_estimate` takes.

    Parameters
    ----------
    n_samples : int
        Rows of the pool.
    size : int
        Rows to draw.
    labeled_indices : array-like of int, or boolean mask of shape (n_samples,), default=None
        Rows labelled already, which are left out.
    strata : array-like of shape (n_samples,), default=None
        Draw from each stratum in proportion to its rows, two at least: clusters of the pool, say.
    groups : array-like of shape (n_samples,), default=None
        Near-duplicates have one number. Groups that hold a labelled row are left out.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    ndarray of shape (size,), int64
        Distinct rows, ascending.

    Raises
    ------
    ValueError
        If fewer rows are left than wanted, or `size` is less than two a stratum.

    See Also
    --------
    holdout_estimate : The accuracy, from the labels of these rows.

    Examples
    --------
    >>> from skal.evaluation import draw_holdout
    >>> draw_holdout(12, 3, labeled_indices=range(9), random_state=0)
    array([ 9, 10, 11])
    """
    left = _unlabeled(n_samples, labeled_indices, groups)
    if not 1 <= size <= len(left):
        raise ValueError(f"size={size} must be in [1, {len(left)}], the rows that are left to draw from.")
    rng = local_generator(random_state)
    if strata is None:
        return np.sort(rng.choice(left, size=size, replace=False))
    _, stratum, counts = np.unique(
        _a_row_each(strata, n_samples, "strata")[left], return_inverse=True, return_counts=True
    )
    shares = _proportional(size, counts)
    drawn = [rng.choice(left[stratum == s], size=share, replace=False) for s, share in enumerate(shares)]
    return np.sort(np.concatenate(drawn))


def _proportional(size: int, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Divide rows over strata in proportion to theirs, two each at least where a stratum has two."""
    least = np.minimum(counts, 2)
    if size < least.sum():
        raise ValueError(
            f"size={size} is less than two rows for each of {len(counts)} strata; draw more or merge some."
        )
    shares: npt.NDArray[np.int64] = np.maximum(least, size * counts // counts.sum())
    while shares.sum() > size:
        shares[np.where(shares > least, shares / counts, -1.0).argmax()] -= 1
    while shares.sum() < size:
        shares[np.where(shares < counts, shares / counts, 2.0).argmin()] += 1
    return shares


def holdout_estimate(
    classifier: Any,
    X: Any,
    y: Any,
    holdout_indices: Any,
    *,
    labeled_indices: Any,
    strata: Any = None,
    groups: Any = None,
    confidence: float = 0.95,
) -> HoldoutEstimate:
    """Estimate the accuracy of a classifier on a pool from the labels of a few random rows.

    Rows that a sampler picked are not random, and the classifier may have been trained on them, so they are refused.
    So are rows of a group of near-duplicates that holds one of them.

    Parameters
    ----------
    classifier : fitted classifier
    X : array-like of shape (n, d) or Pool
        The pool.
    y : array-like of shape (n,)
        Read at `holdout_indices` only.
    holdout_indices : array-like of int
        Rows drawn at random from those that are not labelled, as by `draw_holdout`; that cannot be checked.
    labeled_indices : array-like of int, or boolean mask of shape (n,)
        The rows that were picked and trained on.
    strata : array-like of shape (n,), default=None
        Strata that the rows were drawn from, in any numbers; each weighs as much as it has unlabelled rows.
    groups : array-like of shape (n,), default=None
        Near-duplicates have one number. Rows of a group succeed or fail together, so the interval counts groups.
    confidence : float, default=0.95

    Returns
    -------
    HoldoutEstimate

    Raises
    ------
    ValueError
        If a row is labelled already or in a group with one that is, rows repeat, a stratum has no row, or both
        `strata` and `groups` are given.

    See Also
    --------
    draw_holdout : Draws the rows to label for it.

    Notes
    -----
    Wilson's interval of n_effective rows. Alone, that is their number, and so it is where no two are in one group. With
    groups of several it is ``p(1 − p) / v``, v being the variance of the ratio of two sums over groups; at most the
    number of rows, and the number of groups where all agree. With strata v is ``Σ w² q(1 − q) / m``, q being
    ``(correct + 1) / (m + 2)`` of the m rows of a stratum of weight w. That the pool is finite is left out of account.

    References
    ----------
    .. [1] Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927.
    .. [2] Cochran, "Sampling techniques", 3rd edition, 1977, sections 5.3 and 9A.7.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skal.classifiers import RidgeProbe
    >>> from skal.evaluation import draw_holdout, holdout_estimate
    >>> X, y = load_digits(return_X_y=True)
    >>> picked = range(100)
    >>> probe = RidgeProbe().fit(X[:100], y[:100], X_pool=X)
    >>> rows = draw_holdout(len(X), 200, labeled_indices=picked, random_state=0)
    >>> print(holdout_estimate(probe, X, y, rows, labeled_indices=picked))
    77.0% [70.7%, 82.3%] at 95% from 200 labels
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1; found {confidence!r}.")
    if strata is not None and groups is not None:
        raise ValueError("strata and groups cannot be combined; pass one of them.")
    n_samples = len(X)
    rows = check_row_numbers(holdout_indices, n_samples, "holdout_indices", distinct=True)
    if len(rows) == 0:
        raise ValueError("holdout_indices is empty; draw some rows and have them labelled.")
    left = _unlabeled(n_samples, labeled_indices, groups)
    _refuse_labeled(rows, left, _labeled(n_samples, labeled_indices))
    labels = check_class_labels(rows_of(y, rows))
    is_correct = np.asarray(classifier.predict(rows_of(X, rows))) == labels
    if strata is not None:
        accuracy, n_effective = _stratified(is_correct, rows, left, _a_row_each(strata, n_samples, "strata"))
    elif groups is not None:
        accuracy, n_effective = _grouped(is_correct, _a_row_each(groups, n_samples, "groups")[rows])
    else:
        accuracy, n_effective = float(is_correct.mean()), float(len(rows))
    low, high = _wilson(accuracy, n_effective, confidence)
    return HoldoutEstimate(accuracy, low, high, confidence, len(rows), n_effective)


def _labeled(n_samples: int, labeled_indices: Any) -> npt.NDArray[np.int64]:
    given = [] if labeled_indices is None else labeled_indices
    return check_row_numbers(given, n_samples, "labeled_indices", accept_mask=True)


def _unlabeled(n_samples: int, labeled_indices: Any, groups: Any) -> npt.NDArray[np.int64]:
    """Rows that are not labelled, nor near-duplicates of one that is, ascending."""
    labeled_idx = _labeled(n_samples, labeled_indices)
    is_left = np.ones(n_samples, dtype=bool)
    is_left[labeled_idx] = False
    if groups is not None:
        group = _a_row_each(groups, n_samples, "groups")
        is_left &= ~np.isin(group, group[labeled_idx])
    return np.flatnonzero(is_left)


def _a_row_each(values: Any, n_samples: int, name: str) -> npt.NDArray[Any]:
    given = np.asarray(values)
    if given.shape != (n_samples,):
        raise ValueError(f"{name} needs one entry a row: found shape {given.shape}, n_samples={n_samples}.")
    return given


def _refuse_labeled(
    rows: npt.NDArray[np.int64], left: npt.NDArray[np.int64], labeled_idx: npt.NDArray[np.int64]
) -> None:
    refused = rows[~np.isin(rows, left)]
    if len(refused) == 0:
        return
    what = "is labelled already" if refused[0] in labeled_idx else "is in a group with a labelled row"
    raise ValueError(
        f"{len(refused)} of the {len(rows)} rows in holdout_indices were picked or copy what was: row {refused[0]} "
        f"{what}. An estimate from them would be too high; draw rows at random from the others, as draw_holdout does."
    )


def _grouped(is_correct: npt.NDArray[np.bool_], group: npt.NDArray[Any]) -> tuple[float, float]:
    """Accuracy and effective number of rows whose groups are drawn as a whole."""
    _, member_of, sizes = np.unique(group, return_inverse=True, return_counts=True)
    n_groups, accuracy = len(sizes), float(is_correct.mean())
    deviations = np.bincount(member_of, weights=is_correct) - accuracy * sizes
    variance = n_groups / max(n_groups - 1, 1) * float(np.square(deviations).sum()) / len(group) ** 2
    if variance == 0 or n_groups == len(group):
        return accuracy, float(n_groups)
    return accuracy, min(float(len(group)), accuracy * (1 - accuracy) / variance)


def _stratified(
    is_correct: npt.NDArray[np.bool_],
    rows: npt.NDArray[np.int64],
    left: npt.NDArray[np.int64],
    stratum: npt.NDArray[Any],
) -> tuple[float, float]:
    """Accuracy and effective number of rows drawn from each stratum by itself."""
    names, counts = np.unique(stratum[left], return_counts=True)
    weights = counts / counts.sum()
    of_row = np.searchsorted(names, stratum[rows])
    n_drawn = np.bincount(of_row, minlength=len(names))
    if (n_drawn == 0).any():
        raise ValueError(
            f"No row was drawn from stratum {names[n_drawn == 0].tolist()[0]!r}; draw from each, or merge strata."
        )
    n_correct = np.bincount(of_row, weights=is_correct, minlength=len(names))
    accuracy = float(weights @ (n_correct / n_drawn))
    smoothed = (n_correct + 1) / (n_drawn + 2)
    variance = float(np.square(weights) @ (smoothed * (1 - smoothed) / n_drawn))
    overall = float(weights @ smoothed)
    return accuracy, overall * (1 - overall) / variance


def _wilson(accuracy: float, n_rows: float, confidence: float) -> tuple[float, float]:
    z = float(norm.isf((1 - confidence) / 2))
    center = accuracy + z**2 / (2 * n_rows)
    half_width = z * np.sqrt(accuracy * (1 - accuracy) / n_rows + z**2 / (4 * n_rows**2))
    low, high = ((center - half_width) / (1 + z**2 / n_rows), (center + half_width) / (1 + z**2 / n_rows))
    return max(0.0, float(low)), min(1.0, float(high))
