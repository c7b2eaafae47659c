"""Rounds: pick, ask for the labels, pick again."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
from sklearn.base import clone

from skal._validation import (
    HasMethods,
    Progress,
    check_target_length,
    check_totals,
    column_or_1d,
    fit_context,
    fixed_seed,
    labeled_rows,
    rows_of,
    set_random_states,
    with_callbacks,
)
from skal.base import BaseSampler
from skal.pool import open_pool
from skal.samplers._kmeans import KMeansSampler

__all__ = ["IterativeSampler"]


class IterativeSampler(BaseSampler):
    """Run a sampler in rounds, each round knowing the labels of those before.

    y is an array (a simulation, read at the picks only) or a callable, ``indices -> labels`` (an oracle:
    a person, a service). An oracle is asked exactly once for each picked row, a round at a time, the
    last round included. It may be a generator function that yields one label after the other. If it
    raises, `selected_indices_` and `labels_` hold every answer given until then; pass them as
    `labeled_indices` and `labels` to go on.

    Parameters
    ----------
    sampler : sampler, default=None
        Picks each round. None means ``KMeansSampler()``. Its budget is overwritten in each round.
    budgets : tuple of int or float, default=(5, 10)
        Ascending totals of labelled rows, rows in `labeled_indices` included; a float in (0, 1] is a
        share of the pool's rows. Totals that are reached already are skipped.
    initial : sampler, default=None
        Picks the first round where nothing is labelled. None means that `sampler` does.
    random_state : int, RandomState instance or None, default=None
        One seed for `sampler` and `initial`, the same in each round. None leaves them the seeds they have.
    verbose : int, default=0
        1 prints the number of labelled rows after each round.

    Attributes
    ----------
    selected_indices_ : ndarray, int64
        All new rows: the concatenation of `rounds_`.
    rounds_ : list of ndarray, int64
        The new rows of each round, in the order of the sampler that picked them.
    labels_ : ndarray or None
        Their labels, aligned with `selected_indices_`. None where y is None.
    sampler_ : sampler
        The fitted sampler of the last round.
    n_features_in_ : int
        Features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X was a DataFrame whose columns are all strings.

    See Also
    --------
    MultiKMeansSampler : Rounds of K-means.

    Notes
    -----
    Time and memory are those of the sampler in each round, and O(n) memory for the labels.

    References
    ----------
    .. [1] Pourahmadi, Nooralinejad and Pirsiavash, "A Simple Baseline for Low-Budget Active
       Learning", sections 3.1 and 5.1.

    Examples
    --------
    Max-Entropy from a random start, as in the paper's tables:

    >>> from sklearn.datasets import load_digits
    >>> from skal.samplers import IterativeSampler, MaxEntropySampler, RandomSampler
    >>> X, y = load_digits(return_X_y=True)
    >>> rounds = IterativeSampler(
    ...     MaxEntropySampler(), budgets=(10, 20, 50), initial=RandomSampler(), random_state=0
    ... )
    >>> rounds.fit(X, lambda indices: y[indices])
    IterativeSampler(budgets=(10, 20, 50), initial=RandomSampler(), random_state=0,
                     sampler=MaxEntropySampler())
    >>> [len(rows) for rows in rounds.rounds_]
    [10, 10, 30]
    """

    _parameter_constraints: dict = {
        "sampler": [HasMethods(["fit", "select"]), None],
        "budgets": ["array-like"],
        "initial": [HasMethods(["fit", "select"]), None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(self, sampler=None, budgets=(5, 10), initial=None, *, random_state=None, verbose=0):
        self.sampler = sampler
        self.budgets = budgets
        self.initial = initial
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, *, labeled_indices=None, labels=None):
        """Run the rounds that are still to do.

        Parameters
        ----------
        X : array-like of shape (n, d), real
            The pool, as any sampler takes it.
        y : array-like of shape (n,), callable or None, default=None
            One entry a row, read at `labeled_indices` and at the picks only; or an oracle
            ``indices -> labels``. None for samplers that need no labels.
        labeled_indices : array-like of int, or boolean mask of shape (n,), default=None
            The rows labelled already.
        labels : array-like of shape (len(labeled_indices),), default=None
            Their labels, in the same order, where y is a callable.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If `budgets` do not ascend or ask for more than the pool has, y has another length than X,
            the oracle gives another number of labels than it was asked for, or the sampler refuses.
        """
        X = open_pool(self, X, reset=True)
        n_samples = X.n_rows
        labeled_idx, _ = labeled_rows(self, X, None if callable(y) else y, labeled_indices)
        totals = check_totals(self, self.budgets, n_samples)
        known = self._known_labels(X, y, labeled_indices, labeled_idx, labels)
        seed = fixed_seed(self.random_state)
        self.rounds_, self._answers = [], []
        self._keep(labeled_idx[:0], None if y is None else [])
        progress = Progress(self)
        progress.begin(len(totals), "round")
        for n_round, total in enumerate(totals, start=1):
            if total > len(labeled_idx):
                picks = self._pick_round(X, y, known, labeled_idx, total - len(labeled_idx), seed)
                self._ask(y, picks, known)
                labeled_idx = np.union1d(labeled_idx, picks)
            progress.advance(n_round, len(labeled_idx), "labelled rows")
        progress.close()
        return self

    def fit_select(self, X, y=None, *, labeled_indices=None, labels=None):
        """Fit and return `selected_indices_`; the parameters are those of `fit`."""
        return self.fit(X, y, labeled_indices=labeled_indices, labels=labels).selected_indices_

    _title = "Iterative"
    _order = "by round"
    _runs_rounds = True

    def _select_rows(self, request):
        raise NotImplementedError("The samplers of the rounds pick.")

    def _make_sampler(self, is_first):
        """Return an unfitted sampler for a round; `is_first` where nothing is labelled."""
        template = self.initial if is_first and self.initial is not None else self.sampler
        return KMeansSampler() if template is None else clone(template)

    def _pick_round(self, X, y, known, labeled_idx, budget, seed):
        self.sampler_ = self._make_sampler(is_first=len(labeled_idx) == 0).set_params(budget=budget)
        if seed is not None:
            set_random_states(self.sampler_, seed)
        sees_all = getattr(self.sampler_, "_needs", "") == "all labels" and not callable(y)
        return self.sampler_.fit(X, y if sees_all else known, labeled_indices=labeled_idx).selected_indices_

    def _known_labels(self, X, y, labeled_indices, labeled_idx, labels):
        """Labels of the rows labelled already, None elsewhere, shape (n,); None without y."""
        if labels is not None and not callable(y):
            raise ValueError("labels= goes with an oracle; an array y holds the labels of labeled_indices itself.")
        if y is None:
            return None
        known = np.full(X.shape[0], None, dtype=object)
        if not callable(y):
            check_target_length(self, X, y)
            known[labeled_idx] = column_or_1d(np.asarray(rows_of(y, labeled_idx)), warn=True)
        elif len(labeled_idx):
            given = np.asarray(labeled_indices)
            order = np.arange(len(labeled_idx)) if given.dtype == bool else np.argsort(given)
            if labels is None or len(labels) != len(labeled_idx):
                raise ValueError(
                    f"An oracle and {len(labeled_idx)} labeled_indices need labels= with as many entries; found "
                    f"{'none' if labels is None else len(labels)}."
                )
            known[labeled_idx] = np.asarray(labels)[order]
        return known

    def _ask(self, y, picks, known):
        if y is None:
            self._keep(picks, None)
            return
        answers = y(picks) if callable(y) else rows_of(y, picks)
        if not isinstance(answers, Iterator):
            answers = column_or_1d(np.asarray(answers), warn=True)
            _check_number(len(answers), len(picks))
        given = []
        try:
            for answer in islice(answers, len(picks)):
                given.append(answer)
        finally:  # a generator may raise between two labels, and those before are paid for
            known[picks[: len(given)]] = given
            self._keep(picks[: len(given)], given)
        _check_number(len(given), len(picks))

    def _keep(self, picks, answers):
        if len(picks):
            self.rounds_.append(picks)
        self.selected_indices_ = np.concatenate([np.empty(0, dtype=np.int64), *self.rounds_])
        if answers is None:
            self.labels_ = None
            return
        self._answers.extend(answers)
        self.labels_ = _as_labels(self._answers)


def _check_number(n_given, n_asked):
    if n_given != n_asked:
        raise ValueError(f"The oracle gave {n_given} labels for {n_asked} rows; it must give one for each.")


def _as_labels(answers):
    """Give answers their common dtype; text beside something else stays as objects."""
    is_text = [isinstance(answer, str) for answer in answers]
    return np.array(answers, dtype=None if all(is_text) or not any(is_text) else object)
