"""Where the picks lie among the embeddings."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.manifold import TSNE
from sklearn.preprocessing import normalize
from sklearn.utils import check_array

from skal._validation import is_missing, local_generator, rows_of
from skal.evaluation import category_coverage
from skal.plotting._picks import check_picks
from skal.plotting._pyplot import CLASS_COLORS, NO_CLASS_COLOR, pyplot

__all__ = ["EmbeddingDisplay"]

_ROUNDING = 1e-6  # of float32, relative


class EmbeddingDisplay:
    """A t-SNE map of the embeddings, colored by category, with the picks marked and their coverage in the title.

    Parameters
    ----------
    coordinates : ndarray of shape (n_drawn, 2)
        The map.
    is_picked : ndarray of shape (n_drawn,), bool
    y : ndarray of shape (n_drawn,), default=None
        Category of each point, None where it has no label. None draws all alike.
    title : str, default=""

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    points_ : list of PathCollection
        The points of each category, picks included.
    unlabeled_ : PathCollection or None
        The points without a label, where others have one.
    picks_ : PathCollection
        The marks of the picks.
    legend_ : Legend
        Names the picks, and the categories where there are ten at most; more have colors of a scale. Where not all
        points have a label, the picks have the colors of theirs.

    See Also
    --------
    PickedImagesDisplay : The images that were picked.

    References
    ----------
    .. [1] Pourahmadi, Nooralinejad and Pirsiavash, "A Simple Baseline for Low-Budget Active Learning", Figure 2.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skal.plotting import EmbeddingDisplay
    >>> from skal.samplers import KMeansSampler
    >>> X, y = load_digits(return_X_y=True)
    >>> sampler = KMeansSampler(10, random_state=0).fit(X)
    >>> from matplotlib.figure import Figure
    >>> display = EmbeddingDisplay.from_sampler(sampler, X, y, max_points=300, ax=Figure().subplots())
    >>> display.title
    'KMeansSampler, coverage ...%'
    """

    def __init__(self, coordinates, is_picked, y=None, title=""):
        self.coordinates = coordinates
        self.is_picked = is_picked
        self.y = y
        self.title = title

    @classmethod
    def from_sampler(
        cls, sampler, X, y=None, *, coordinates=None, max_points=2000, metric="cosine", random_state=0, ax=None
    ):
        """Draw the picks of a fitted sampler; see `from_embeddings` for the parameters."""
        return cls.from_embeddings(
            X,
            sampler.selected_indices_,
            y,
            title=type(sampler).__name__,
            coordinates=coordinates,
            max_points=max_points,
            metric=metric,
            random_state=random_state,
            ax=ax,
        )

    @classmethod
    def from_embeddings(
        cls,
        X,
        indices,
        y=None,
        *,
        title="",
        coordinates=None,
        max_points=2000,
        metric="cosine",
        random_state=0,
        ax=None,
    ):
        """Map the embeddings and draw them.

        Parameters
        ----------
        X : array-like of shape (n, d)
            The pool: array, memmap, DataFrame or tensor. Only the rows that are drawn are read. Where these are all
            the same, up to float32 rounding, all points lie at the origin.
        indices : array-like of int of shape (n_picks,)
            The picked rows.
        y : array-like of shape (n,) or (n_picks,), default=None
            The category of every row, such as its label or the label's name; or what a labeller has: the labels of
            the picks, in their order, or a y that holds None or NaN elsewhere. Coverage is stated where every row
            has a label, else the number of categories among the picks. None colors nothing.
        title : str, default=""
            Stands before the coverage.
        coordinates : array-like of shape (n, 2), default=None
            A map that is there already, a point for every row of X: from UMAP, say, or the `coordinates` of a display
            that drew all rows, to show other picks on the same map. None makes one with t-SNE.
        max_points : int, default=2000
            Rows to draw: every pick, and random others up to this number.
        metric : {"cosine", "euclidean"}, default="cosine"
            "cosine" L2-normalises each row first, as the samplers do.
        random_state : int, RandomState instance or None, default=0
            Seeds the choice of the other rows, and t-SNE.
        ax : matplotlib Axes, default=None
            None makes a new figure.

        Returns
        -------
        EmbeddingDisplay

        Raises
        ------
        ValueError
            If there are fewer than three rows, no pick, a pick that is not a row, a `y` of neither X's nor the
            picks' length, `coordinates` of another shape than (n, 2), another `metric`, or NaN or infinity among what
            is drawn.

        Notes
        -----
        Time: O(m log m) for m drawn rows, some seconds for 2000. Memory: O(m · d).
        """
        if metric not in ("cosine", "euclidean"):
            raise ValueError(f"metric must be 'cosine' or 'euclidean'; found {metric!r}.")
        X = X if hasattr(X, "shape") else np.asarray(X)
        given = check_picks(indices, X.shape[0])
        labels = None if y is None else _label_of_each_row(y, given, X.shape[0])
        picks = np.unique(given)
        rng = local_generator(random_state)
        others = np.setdiff1d(np.arange(X.shape[0]), picks)
        n_others = min(len(others), max(0, max_points - len(picks)))
        rows = np.sort(np.concatenate([picks, rng.choice(others, n_others, replace=False)]))
        if len(rows) < 3:
            raise ValueError(f"A map needs three rows or more; found n_samples={X.shape[0]}, max_points={max_points}.")
        categories = None
        if labels is not None:
            categories = labels[rows]
            title = f"{title}{', ' if title else ''}{_what_was_found(labels, picks)}"
        if coordinates is None:
            points = _tsne(rows_of(X, rows), metric, int(rng.integers(2**31)))
        else:
            points = check_array(_points_of_each_row(coordinates, X.shape[0])[rows], input_name="coordinates")
        return cls(points, np.isin(rows, picks), categories, title).plot(ax=ax)

    def plot(self, *, ax=None):
        """Draw, on `ax` or a new figure, and return the display."""
        plt = pyplot()
        if ax is None:
            _, ax = plt.subplots(layout="constrained", figsize=(7, 6))
        names, category_of = _categories(self.y, len(self.coordinates))
        colors = CLASS_COLORS if len(names) <= len(CLASS_COLORS) else _scale(plt, len(names))
        is_unlabeled = category_of < 0
        self.unlabeled_ = None
        if is_unlabeled.any():
            self.unlabeled_ = ax.scatter(*self.coordinates[is_unlabeled].T, s=9, color=NO_CLASS_COLOR, linewidths=0)
        self.points_ = [
            ax.scatter(*self.coordinates[category_of == position].T, s=9, color=color, linewidths=0)
            for position, color in zip(range(len(names)), colors, strict=False)
        ]
        picked = self.coordinates[self.is_picked]
        face = "black"
        if is_unlabeled.any():  # the labels are those of the picks, whose marks would hide them
            face = [NO_CLASS_COLOR if of < 0 else colors[of] for of in category_of[self.is_picked]]
        edge = "white" if face == "black" else "black"
        self.picks_ = ax.scatter(*picked.T, s=80, c=face, edgecolors=edge, linewidths=1.5, zorder=3)
        named = {"picked": self.picks_}
        if self.y is not None and len(names) <= len(CLASS_COLORS):
            named |= dict(zip(map(str, names), self.points_, strict=True))
        if self.unlabeled_ is not None:
            named["no label"] = self.unlabeled_
        self.legend_ = ax.legend(
            named.values(), named.keys(), loc="upper left", bbox_to_anchor=(1, 1), frameon=False, borderaxespad=0.2
        )
        mark, *categories = self.legend_.legend_handles
        mark.set_facecolor("black" if face == "black" else "white")
        for handle in categories:
            handle.set_sizes([40])
        ax.set_title(self.title)
        ax.set_xticks([])
        ax.set_yticks([])
        for side in ("left", "right", "top", "bottom"):
            ax.spines[side].set(visible=True, color="0.8")
        ax.set_aspect("equal", adjustable="datalim")
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _tsne(rows, metric, seed):
    if isinstance(rows, torch.Tensor):
        rows = rows.detach().cpu().double().numpy()
    rows = check_array(rows, dtype=np.float64, order="C", input_name="X")
    if metric == "cosine":
        rows = normalize(rows)
    centered = rows - rows.mean(axis=0)
    spread = np.abs(centered).max()
    if spread <= _ROUNDING * np.abs(rows).max():  # t-SNE divides by the spread, and NaN crashes the process
        return np.zeros((len(rows), 2), dtype=np.float32)
    return TSNE(
        perplexity=min(30, (len(rows) - 1) / 3),
        init="pca" if rows.shape[1] > 1 else "random",
        random_state=seed,
    ).fit_transform((centered / spread).astype(np.float32))


def _points_of_each_row(coordinates, n_samples):
    points = np.asarray(coordinates)
    if points.shape != (n_samples, 2):
        raise ValueError(
            f"coordinates has the shape {points.shape}; it needs a point for every row of X, ({n_samples}, 2). "
            "A display has them if it drew all rows: max_points must be no less than there are."
        )
    return points


def _label_of_each_row(y, picks, n_samples):
    """Return the label of each row, (n,) objects, None where there is none."""
    n_labels = len(y)
    if n_labels not in (n_samples, len(picks)):
        raise ValueError(
            f"Found inconsistent numbers of samples: y has {n_labels} entries; it needs one a row, {n_samples}, or one "
            f"a pick, {len(picks)}."
        )
    rows = np.arange(n_samples) if n_labels == n_samples else picks
    labels = np.full(n_samples, None, dtype=object)
    labels[rows] = np.asarray(rows_of(y, np.arange(n_labels)), dtype=object)
    labels[[is_missing(label) for label in labels]] = None
    return labels


def _what_was_found(labels, picks):
    is_labeled = np.array([label is not None for label in labels])
    if is_labeled.all():
        return f"coverage {category_coverage(labels.tolist(), picks):.0%}"
    n_categories = len(set(labels[picks][is_labeled[picks]].tolist()))
    return f"{n_categories} {'category' if n_categories == 1 else 'categories'} among the picks"


def _categories(y, n_drawn):
    """Return the names of the categories and the number of each point's, -1 where it has no label."""
    if y is None:
        return [None], np.zeros(n_drawn, dtype=int)
    is_labeled = np.array([not is_missing(label) for label in y])
    category_of = np.full(n_drawn, -1)
    names, category_of[is_labeled] = np.unique(np.array(np.asarray(y)[is_labeled].tolist()), return_inverse=True)
    return names, category_of


def _scale(plt, n_colors):
    return plt.get_cmap("viridis")(np.linspace(0, 1, n_colors))
