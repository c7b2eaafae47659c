"""Picks of a scikit-learn Pipeline, which passes on no method that it does not know."""

from __future__ import annotations

__all__ = ["select"]


def select(sampler, X=None):
    """Return the picks of a fitted sampler, or of a scikit-learn `Pipeline` whose last step is one.

    Parameters
    ----------
    sampler : sampler or Pipeline
        Fitted. Of a pipeline the steps before the sampler transform X.
    X : array-like of shape (m, d), default=None
        Another pool. None means the one that was fitted.

    Returns
    -------
    ndarray of shape (budget,), int64
        Rows of the pool that was fitted, or of X.

    Raises
    ------
    TypeError
        If the last step is no sampler, a step before it drops rows, or the sampler learned nothing that carries over
        to X.

    See Also
    --------
    skal.evaluation.select : The picks of several samplers over budgets and seeds.

    Examples
    --------
    >>> import skal
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.pipeline import make_pipeline
    >>> from skal.samplers import KMeansSampler
    >>> X, _ = load_digits(return_X_y=True)
    >>> pipeline = make_pipeline(PCA(16), KMeansSampler(budget=5, random_state=0)).fit(X[:900])
    >>> skal.select(pipeline).shape
    (5,)
    >>> skal.select(pipeline, X[900:]).shape
    (5,)
    """
    steps = [step for _, step in getattr(sampler, "steps", [("", sampler)])]
    *before, last = steps
    if not hasattr(last, "select"):
        raise TypeError(f"{last!r} is no sampler; the last step must be one.")
    dropping = [type(step).__name__ for step in before if hasattr(step, "fit_resample")]
    if dropping:
        raise TypeError(f"{dropping[0]} drops rows before the last step, so its picks are not rows of X.")
    if X is not None and before:
        X = sampler[:-1].transform(X)
    return last.select(X)
