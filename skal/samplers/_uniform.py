"""Equal random shares of every class, which takes the label of every row."""

from __future__ import annotations

import numpy as np

from skal._core.shares import equal_shares
from skal.base import BaseSampler

__all__ = ["UniformSampler"]


class UniformSampler(BaseSampler):
    """Pick the same number of random rows of each class.

    A class-balanced draw. It reads the label of every row, which nobody has before labelling: it is
    there to compare with, not a strategy, and rows that are chosen can beat it. Shares follow one rule:
    every class rises to the same number of labelled rows, those labelled already included; a class that
    runs short leaves its share to those with rows left; the remainder goes one each to the largest
    classes, ties to the first.

    Parameters
    ----------
    budget : int or float, default=10
        Rows to pick. A float in (0, 1] is a share of the pool's rows, ``max(1, floor(share * n))``.
    random_state : int, RandomState instance or None, default=None
        Seeds the choice within the classes.

    Attributes
    ----------
    selected_indices_ : ndarray of shape (budget,), int64
        Distinct rows of the pool: the first pick of each class, then the second of each, and so on.
    selected_index_ : pandas Index of shape (budget,)
        The same as entries of X's index. Only there where X is a DataFrame.
    n_features_in_ : int
        Features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X was a DataFrame whose columns are all strings.

    See Also
    --------
    RandomSampler : Random rows without a look at the labels.

    Notes
    -----
    O(n·d) time (one pass that checks X) and O(n) memory.

    References
    ----------
    .. [1] Pourahmadi, Nooralinejad and Pirsiavash, "A Simple Baseline for Low-Budget Active
       Learning", section 4, "Uniform".

    Examples
    --------
    >>> import numpy as np
    >>> from skal.samplers import UniformSampler
    >>> X, y = np.ones((9, 2)), np.array(list("aaaaaabbc"))
    >>> picks = UniformSampler(budget=6, random_state=0).fit(X, y).selected_indices_
    >>> "".join(y[picks])
    'abcaba'
    """

    _title = "Uniform"
    _order = "one of each class, then the second of each"
    _takes = "n"
    _needs = "all labels"

    def _select_rows(self, request):
        classes, class_of = np.unique(request.labels, return_inverse=True)
        is_candidate = request.is_candidate
        n_members = np.bincount(class_of)
        n_candidates = np.bincount(class_of[is_candidate], minlength=len(classes))
        shares = equal_shares(n_candidates, n_members - n_candidates, n_members, request.budget)

        permutation = request.rng.permutation(len(class_of))
        candidates = permutation[is_candidate[permutation]]
        by_class = candidates[np.argsort(class_of[candidates], kind="stable")]
        rank_in_class = np.arange(len(by_class)) - np.repeat(np.cumsum(n_candidates) - n_candidates, n_candidates)
        is_picked = rank_in_class < shares[class_of[by_class]]
        round_robin = np.lexsort((class_of[by_class][is_picked], rank_in_class[is_picked]))
        return by_class[is_picked][round_robin]
