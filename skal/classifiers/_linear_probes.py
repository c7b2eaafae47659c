"""Many linear probes trained at once."""

from __future__ import annotations

from itertools import zip_longest

from skal._core.device import full_float32
from skal._core.softmax import stack_bytes
from skal._validation import working_memory_bytes
from skal.classifiers._probe_training import UnlabeledPool, finish_fits

__all__ = ["fit_linear_probes"]


def fit_linear_probes(probes, labeled_sets, *, X_unlabeled=None):
    """Fit many probes at once; each ends where its own `fit` would leave it, to float rounding.

    Probes with the same settings and the same number of labelled rows are trained in the same steps, as
    one stacked problem with one Adam; they may differ in seed, rows, labels and classes. Statistics of
    the pool are computed once for all.

    Parameters
    ----------
    probes : sequence of R LinearProbe
        Fitted in place. A probe may not occur twice.
    labeled_sets : iterable of R pairs (X, y)
        What each is trained on: array-like of shape (n, d) and (n,), as `LinearProbe.fit` takes them. A
        generator is read as far as the next stack needs.
    X_unlabeled : array-like of shape (m, d), default=None
        The pool of all of them, as `LinearProbe.fit` takes it.

    Returns
    -------
    list of R LinearProbe
        `probes`, fitted.

    Raises
    ------
    ValueError
        If there are not as many labelled sets as probes, a probe occurs twice, or as `LinearProbe.fit` does.

    Notes
    -----
    Operations are those of the single fits. What a stack saves is the fixed cost of each small step, so
    it pays where a batch of a few rows meets few classes. Two copies of the rows and four layers of all
    probes that are trained together fit scikit-learn's ``working_memory``; one probe alone may take more.

    References
    ----------
    .. [1] Pourahmadi, Nooralinejad and Pirsiavash, "A Simple Baseline for Low-Budget Active
       Learning", section 4, "Linear classification".

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skal.classifiers import LinearProbe, fit_linear_probes
    >>> X, y = load_digits(return_X_y=True)
    >>> draws = [np.random.default_rng(seed).permutation(1200)[:100] for seed in range(3)]
    >>> probes = [LinearProbe(random_state=seed) for seed in range(3)]
    >>> probes = fit_linear_probes(probes, [(X[rows], y[rows]) for rows in draws], X_unlabeled=X[:1200])
    >>> [bool(probe.score(X[1200:], y[1200:]) > 0.7) for probe in probes]
    [True, True, True]
    """
    probes = list(probes)
    if len({id(probe) for probe in probes}) < len(probes):
        raise ValueError("A probe occurs twice in probes; clone it, as each fit replaces the one before.")
    pool = UnlabeledPool(X_unlabeled)
    waiting, n_waiting_bytes = [], 0
    with full_float32():
        for probe, (X, y) in _equally_many(probes, labeled_sets):
            prepared = probe._prepare_fit(X, y, None, pool)
            n_bytes = stack_bytes(prepared.problem)
            if waiting and n_waiting_bytes + n_bytes > working_memory_bytes():
                finish_fits(waiting)
                waiting, n_waiting_bytes = [], 0
            waiting.append(prepared)
            n_waiting_bytes += n_bytes
        finish_fits(waiting)
    return probes


def _equally_many(probes, labeled_sets):
    for probe, labeled_set in zip_longest(probes, labeled_sets):
        if probe is None or labeled_set is None:
            raise ValueError(f"{len(probes)} probes need as many labeled_sets (X, y); found another number of them.")
        yield probe, labeled_set
