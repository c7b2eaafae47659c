"""Rounds: pick, ask for the labels, pick again."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone

from skal._files._fingerprint import fingerprint
from skal._html import in_words
from skal._validation import (
    CallbackSupportMixin,
    HasMethods,
    Progress,
    check_totals,
    fit_context,
    fixed_seed,
    labeled_rows,
    refuse_chunks,
    rows_of,
    set_random_states,
    with_callbacks,
)
from skal.base import SelectionMixin
from skal.pool import open_pool
from skal.rounds._given import labels_in_order, take_in
from skal.rounds._ledger import Ledger
from skal.rounds._running import Running
from skal.samplers import KMeansSampler

__all__ = ["IterativeSampler"]


_OF_ROWS = "rows "  # what a fingerprint of embeddings begins with, to tell it from one that a user chose


class IterativeSampler(SelectionMixin, MetaEstimatorMixin, CallbackSupportMixin, BaseEstimator):
    """Run a sampler in rounds, each round knowing the labels of those before.

    y is an array (a simulation, read at the picks only) or an oracle: a callable, ``indices -> labels``, that
    stands for a person or a service. It is asked once for each picked row, a round at a time, the last round
    included, and may give

    - an array, list or Series of labels, in the order of the rows;
    - a dict row → label, or a Series whose index holds the rows that were asked;
    - one label after the other, as a generator does; each is recorded before the next one is asked for;
    - None or NaN for a row that it cannot label: the row is set aside, and another one is asked for in its place.

    Every answer is recorded in a ledger as it comes. If the oracle fails, or its answers do not fit the rows, those
    that can be told to belong to a row are kept. With ``ledger="labels.jsonl"`` they are on disk, and the same call
    goes on after any end: a round that was asked is not picked again, and a row that was answered is not asked again.

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
        The rows that were picked and labelled: the concatenation of `rounds_`. After a fit that an oracle ended by
        an error, all rows whose labels are known, those of `labeled_indices` included.
    selected_index_ : pandas Index
        `selected_indices_` as entries of X's index. Only there where X is a DataFrame.
    selected_labels_ : ndarray or None
        Their labels, aligned with `selected_indices_`. None where y is None.
    rounds_ : list of ndarray, int64
        The rows of each round, in the order of the sampler that picked them; those asked in place of rows that were
        set aside come last. With a ledger, those of earlier runs too; without rows of `labeled_indices`.
    ledger_ : Ledger
        Everything that was asked and answered, rows set aside included. Closed where `ledger` was a path.
    sampler_ : sampler
        The fitted sampler of the last round. Not there where all totals had been reached.
    n_features_in_ : int
        Features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X was a DataFrame whose columns are all strings.

    See Also
    --------
    MultiKMeansSampler : Rounds of K-means.
    skal.labeling.LabelingProject : Rounds over a folder of images, with a page to label on.
    Ledger : The record of rounds and labels.

    Notes
    -----
    Time and memory are those of the sampler in each round; labels are kept by row, not as n objects. With a
    ledger on file, each fit and step reads X once more, to refuse a ledger that belongs to other rows.

    References
    ----------
    .. [1] Pourahmadi, Nooralinejad and Pirsiavash, "A Simple Baseline for Low-Budget Active
       Learning", sections 3.1 and 5.1.

    Examples
    --------
    Max-Entropy from a random start, as in the paper's tables:

    >>> from sklearn.datasets import load_digits
    >>> from skal.rounds import IterativeSampler
    >>> from skal.samplers import MaxEntropySampler, RandomSampler
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

    # What `skal.registry` says of it.
    _title = "Iterative"
    _order = "by round"
    _needs = "nothing"
    _runs_rounds = True
    _takes_chunks = True

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
    def fit(self, X, y=None, *, labeled_indices=None, labels=None, ledger=None):
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
        ledger : Ledger or path, default=None
            Where rounds and labels are recorded, and what earlier runs recorded there: a file, made where there is
            none, or a ledger that is open. None begins a new one in memory. Of a ledger on file, rows may have been
            added to the pool behind those that were there.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If `budgets` do not ascend or ask for more than the pool has, y has another length than X, the answers
            of the oracle do not fit the rows, it labels none of ten rows one after the other, the ledger belongs to
            another pool, or the sampler refuses.
        RuntimeError
            If somebody else writes to the ledger.

        Warns
        -----
        UserWarning
            If so many rows were set aside that the pool cannot give the last totals.
        """
        with self._over(X, y, labeled_indices, labels, ledger) as (running, totals):
            progress = Progress(self)
            progress.begin(len(totals), "round")
            running.finish_round()
            for n_round, total in enumerate(totals, start=1):
                running.reach(total)
                progress.advance(n_round, running.n_labeled(), "labelled rows")
            progress.close()
        return self

    @fit_context(prefer_skip_nested_validation=False)
    def step(self, X, y=None, *, ledger):
        """Run the next round only: pick, ask, record.

        A round that was asked but is not answered yet is the next one. Without y, the rows are recorded as asked,
        and whoever labels them answers through the ledger, ``ledger.answer(row, label)``.

        Parameters
        ----------
        X, y
            As in `fit`.
        ledger : Ledger or path
            As in `fit`; it says which rounds are done.

        Returns
        -------
        ndarray, int64
            The rows that this step picked, or got labels for. Empty where all totals are reached.
        """
        with self._over(X, y, None, None, ledger) as (running, totals):
            asked = [row for each in running.ledger.rounds for row in each.rows]
            before = set(filter(running.counts, asked))
            total = next((total for total in totals if total > running.n_labeled()), 0)
            running.finish_round()
            running.reach(total)
        return np.array([row for row in self.selected_indices_.tolist() if row not in before], dtype=np.int64)

    def fit_resample(self, X, y, **fit_params):
        """Return the picked rows and their labels, as imbalanced-learn's samplers do; y may be an oracle."""
        if not callable(y):
            return super().fit_resample(X, y, **fit_params)
        picks = self.fit_select(X, y, **fit_params)
        return rows_of(X, picks), self.selected_labels_

    @contextmanager
    def _over(self, X, y, labeled_indices, labels, ledger):
        """Give what `Running` needs and the totals; show on every way out what was selected."""
        pool = open_pool(self, X, reset=True)
        for is_first in (True, False):
            refuse_chunks(self._make_sampler(is_first), pool)
        labeled_idx, known = labeled_rows(self, pool, None if callable(y) else y, labeled_indices)
        totals = check_totals(self, self.budgets, pool.n_rows)
        if callable(y) or labels is not None:
            known = labels_in_order(y, labeled_indices, labeled_idx, labels)
        seed = fixed_seed(self.random_state)
        book = ledger if isinstance(ledger, Ledger) else Ledger(ledger)
        try:
            _bind(book, pool)
            elsewhere = take_in(book, labeled_idx, known, has_oracle=callable(y))
            running = Running(pool, y, book, elsewhere, lambda is_first: self._seeded(is_first, seed))
            try:
                yield running, totals
            except BaseException:
                self._show(running, labeled_idx, has_failed=True)
                raise
            self._show(running, labeled_idx, has_failed=False)
        finally:
            if book is not ledger:
                book.close()

    def _make_sampler(self, is_first):
        """Return an unfitted sampler for a round; `is_first` where nothing is labelled."""
        template = self.initial if is_first and self.initial is not None else self.sampler
        return KMeansSampler() if template is None else clone(template)

    def _seeded(self, is_first, seed):
        sampler = self._make_sampler(is_first)
        if seed is not None:
            set_random_states(sampler, seed)
        return sampler

    def _facts(self):
        found = super()._facts()
        if found:
            found["rows of each round"] = in_words([len(rows) for rows in self.rounds_])
            found["set aside"] = len(self.ledger_.skipped)
        return found

    def _show(self, running, labeled_idx, *, has_failed):
        """Set the fitted attributes from the ledger."""
        self.ledger_ = ledger = running.ledger
        given = set(labeled_idx.tolist())
        rounds = [[row for row in each.rows if running.counts(row) and row not in given] for each in ledger.rounds]
        self.rounds_ = [np.array(rows, dtype=np.int64) for rows in rounds if rows]
        picks = np.concatenate([np.empty(0, dtype=np.int64), *self.rounds_])
        self._keep_picks(ledger.labeled_indices if has_failed and running.has_oracle else picks, running.pool)
        self.selected_labels_ = None if running.y is None else _labels_at(ledger, self.selected_indices_)
        vars(self).pop("sampler_", None)
        if running.sampler is not None:
            self.sampler_ = running.sampler


def _bind(ledger, pool):
    """Refuse a ledger of another pool; on file, one of other rows too, unless its owner tells pools apart.

    One that knows the first rows takes those that were added.
    """
    is_on_file = ledger.path is not None
    is_ours = ledger.fingerprint is None or ledger.fingerprint.startswith(_OF_ROWS)
    n_known = ledger.n_samples or 0
    if is_on_file and is_ours and 0 < n_known < pool.n_rows and _print_of(pool, n_known) == ledger.fingerprint:
        ledger.grow(pool.n_rows, _print_of(pool))
        return
    ledger.bind(pool.n_rows)
    if is_on_file and is_ours:
        ledger.bind(pool.n_rows, _print_of(pool))


def _print_of(pool, n_rows=None):
    """What tells the first rows of a pool from others; None means all of them."""
    return _OF_ROWS + fingerprint(pool.rows[:n_rows])


def _labels_at(ledger, rows):
    """Return the labels of `rows`, all of the dtype that the ledger gives its labels; None where one is not known."""
    labels = ledger.labels_by_row()[rows]
    is_complete = all(label is not None for label in labels)
    return labels.astype(ledger.labels.dtype) if is_complete else labels
