"""Uniformly random rows: the baseline every strategy must beat."""

from __future__ import annotations

from skal.base import BaseSampler

__all__ = ["RandomSampler"]


class RandomSampler(BaseSampler):
    """Pick rows uniformly at random.

    The picks are the head of one permutation of the pool, so with the same `random_state` a smaller
    budget picks a prefix of a larger one.

    Parameters
    ----------
    budget : int or float, default=10
        Rows to pick. A float in (0, 1] is a share of the pool's rows, ``max(1, floor(share * n))``.
    random_state : int, RandomState instance or None, default=None
        Seeds the permutation.

    Attributes
    ----------
    selected_indices_ : ndarray of shape (budget,), int64
        Distinct rows of the pool, in the order of the permutation.
    selected_index_ : pandas Index of shape (budget,)
        The same as entries of X's index. Only there where X is a DataFrame.
    n_features_in_ : int
        Features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X was a DataFrame whose columns are all strings.

    See Also
    --------
    UniformSampler : The same number of random rows of each class.
    KMeansSampler : Rows that represent the pool; the first thing to try in place of chance.

    Notes
    -----
    O(n·d) time (one pass that checks X) and O(n) memory.

    References
    ----------
    .. [1] Pourahmadi, Nooralinejad and Pirsiavash, "A Simple Baseline for Low-Budget Active
       Learning", section 4, "Random".

    Examples
    --------
    >>> import numpy as np
    >>> from skal.samplers import RandomSampler
    >>> X = np.random.default_rng(0).normal(size=(100, 8))
    >>> three = RandomSampler(budget=3, random_state=0).fit(X).selected_indices_
    >>> five = RandomSampler(budget=5, random_state=0).fit(X).selected_indices_
    >>> bool((five[:3] == three).all())
    True
    """

    _title = "Random"
    _order = "smaller budgets are prefixes"
    _takes = "n"
    _takes_chunks = True

    def _select_rows(self, request):
        permutation = request.rng.permutation(request.pool.n_rows)
        return permutation[request.is_candidate[permutation]][: request.budget]
