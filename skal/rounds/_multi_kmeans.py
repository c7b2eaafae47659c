"""K-means in rounds."""

from __future__ import annotations

from skal._validation import DEVICE, StrOptions
from skal.rounds._iterative import IterativeSampler
from skal.samplers import KMeansSampler

__all__ = ["MultiKMeansSampler"]


class MultiKMeansSampler(IterativeSampler):
    """Run K-means in rounds: each clusters the whole pool and picks where no row is labelled yet.

    A round that goes from one total to the next is
    ``KMeansSampler(budget=difference).fit(X, labeled_indices=picked)``: what was picked before has clusters of
    its own, which give nothing. ``labeled_rows="skip"`` is the paper's multi K-means, which takes in each of
    `difference` clusters the row nearest the centroid that is not labelled yet, near-copies of labelled rows included.
    No labels are needed, so y may be left out. Other settings of K-means:
    ``IterativeSampler(KMeansSampler(...), budgets)``.

    Parameters
    ----------
    budgets : tuple of int or float, default=(5, 10)
        Ascending totals of labelled rows, rows in `labeled_indices` included; a float in (0, 1] is a
        share of the pool's rows. Totals that are reached already are skipped.
    labeled_rows : {"cover", "skip"}, default="cover"
        What rows labelled already mean to a round; see `KMeansSampler`.
    metric : {"cosine", "euclidean"}, default="cosine"
        "cosine" L2-normalises each row first, as the paper does; a zero row stays zero.
    device : {"auto", "cpu", "cuda", "cuda:i"} or torch.device, default="auto"
        Where to compute. "auto" takes a CUDA device where there is one.
    random_state : int, RandomState instance or None, default=None
        The seed of each round: the same in all of them.
    verbose : int, default=0
        1 prints the number of labelled rows after each round.

    Attributes
    ----------
    selected_indices_ : ndarray, int64
        All new rows: the concatenation of `rounds_`.
    rounds_ : list of ndarray, int64
        The new rows of each round, the row of the largest cluster first.
    selected_labels_ : ndarray or None
        Their labels, aligned with `selected_indices_`. None where y is None.
    ledger_ : Ledger
        Everything that was asked and answered.
    sampler_ : KMeansSampler
        The fitted sampler of the last round, with its centroids.
    n_features_in_ : int
        Features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X was a DataFrame whose columns are all strings.

    See Also
    --------
    KMeansSampler : All picks in one batch; better where the whole budget is known.

    Notes
    -----
    Time and memory are those of `KMeansSampler` in each round.

    References
    ----------
    .. [1] Pourahmadi, Nooralinejad and Pirsiavash, "A Simple Baseline for Low-Budget Active
       Learning", section 3.2, "Multi-batch K-means".

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skal.rounds import MultiKMeansSampler
    >>> X, y = load_digits(return_X_y=True)
    >>> rounds = MultiKMeansSampler(budgets=(10, 20, 50), random_state=0).fit(X)
    >>> [len(rows) for rows in rounds.rounds_]
    [10, 10, 30]
    """

    _parameter_constraints: dict = {
        "budgets": ["array-like"],
        "labeled_rows": [StrOptions({"cover", "skip"})],
        "metric": [StrOptions({"cosine", "euclidean"})],
        "device": DEVICE,
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    _title = "Multi K-means"
    _order = "by round, in each the largest cluster first"

    def __init__(
        self, budgets=(5, 10), *, labeled_rows="cover", metric="cosine", device="auto", random_state=None, verbose=0
    ):
        self.budgets = budgets
        self.labeled_rows = labeled_rows
        self.metric = metric
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _make_sampler(self, is_first):
        return KMeansSampler(metric=self.metric, labeled_rows=self.labeled_rows, device=self.device)
