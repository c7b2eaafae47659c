"""The images that were picked."""

from __future__ import annotations

import numpy as np
from sklearn.utils import check_consistent_length

from skal._validation import rows_of
from skal.plotting._images import images_of, pixels_of
from skal.plotting._picks import check_picks
from skal.plotting._pyplot import pyplot

__all__ = ["PickedImagesDisplay"]


class PickedImagesDisplay:
    """The images a sampler picked, in the order of the picks.

    Parameters
    ----------
    images : sequence of n_picks arrays of shape (h, w) or (h, w, 3)
    titles : sequence of str, default=None
        One an image.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : ndarray of Axes
        One an image, and empty ones that fill the last line.
    images_ : list of AxesImage

    See Also
    --------
    EmbeddingDisplay : Where the picks lie among all rows.
    """

    def __init__(self, images, titles=None):
        self.images = images
        self.titles = titles

    @classmethod
    def from_indices(cls, images, indices, *, titles=None, n_columns=10, ax=None):
        """Draw the images at `indices`.

        Parameters
        ----------
        images : array-like of shape (n, h, w[, c]), sequence of paths, ImageCollection or Embedded
            The whole pool. Of files, only those that are picked are opened.
        indices : array-like of int of shape (n_picks,)
            Drawn in this order.
        titles : array-like of shape (n,), default=None
            Of the whole pool, such as its labels. Taken by position, not by the labels of a Series.
        n_columns : int, default=10
        ax : matplotlib Axes, default=None
            Filled with the images as axes of their own; None makes a figure.

        Returns
        -------
        PickedImagesDisplay

        Raises
        ------
        TypeError
            If `images` is a folder, whose order changes as photos are added.
        ValueError
            If an image cannot be read (its path is named), there is no pick, a pick that is not an image (negative
            numbers do not count from the end), a mask instead of numbers, or `titles` of another length than `images`.
        """
        images = images_of(images)
        picks = check_picks(indices, len(images))
        if titles is not None:
            check_consistent_length(images, titles)
            titles = [str(title) for title in np.asarray(rows_of(titles, picks), dtype=object)]
        return cls([pixels_of(images[index]) for index in picks], titles).plot(n_columns=n_columns, ax=ax)

    def plot(self, *, n_columns=10, ax=None):
        """Draw `n_columns` images a line, into `ax` or a new figure, and return the display."""
        n_columns = min(n_columns, len(self.images))
        n_lines = -(-len(self.images) // n_columns)
        axes = self._new_axes(n_lines, n_columns) if ax is None else _inner_axes(ax, n_lines, n_columns)
        self.images_ = []
        for position, image_ax in enumerate(axes.flat):
            image_ax.set_axis_off()
            if position < len(self.images):
                self.images_.append(image_ax.imshow(self.images[position], cmap="gray_r"))
                if self.titles is not None:
                    image_ax.set_title(self.titles[position], fontsize=9, pad=2)
        self.figure_, self.axes_ = axes.flat[0].figure, axes
        return self

    def _new_axes(self, n_lines, n_columns):
        line_height = 0.8 if self.titles is None else 1.0
        _, axes = pyplot().subplots(
            n_lines,
            n_columns,
            figsize=(0.8 * n_columns, line_height * n_lines + 0.4),
            squeeze=False,
            layout="constrained",
        )
        return axes


def _inner_axes(ax, n_lines, n_columns):
    """Axes in the place of `ax`, line by line from the top, with a little room between them."""
    ax.set_axis_off()
    width, height = 1 / n_columns, 1 / n_lines
    corners = [(column * width, 1 - (line + 1) * height) for line in range(n_lines) for column in range(n_columns)]
    inner = [ax.inset_axes((left, low, 0.92 * width, 0.8 * height)) for left, low in corners]
    return np.array(inner, dtype=object).reshape(n_lines, n_columns)
