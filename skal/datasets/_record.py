"""The one record that every reader gives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from skal._html import counts_in_words, facts, in_words

__all__ = ["ImageCollection"]


@dataclass(frozen=True, eq=False, repr=False)
class ImageCollection:
    """Images, their labels where there are any, and what the classes are called.

    Parameters
    ----------
    images : list of pathlib.Path, or ndarray of shape (n, h, w) or (n, h, w, c), uint8
        Files, none of which is open or read yet, or pixels in [0, 255], which may be mapped from disk.
    y : ndarray of shape (n,), int64, or None
        Class of each image, a position in `class_names`. None where nothing is labelled.
    class_names : tuple of str, or None
        What class 0, 1, … is called. None where there are no classes.
    split : str
        Which part of the dataset: "train", "val", "test", …; "all" where it has no parts.

    Raises
    ------
    TypeError
        If a field is of another kind than listed.
    ValueError
        If shapes or lengths disagree, or a label is no position in `class_names`.

    See Also
    --------
    load_image_folder : Makes one from a folder for each class.
    load_flat_folder : Makes one from images without labels.
    skal.features.TorchFeatureExtractor : Takes one and gives its embeddings.

    Notes
    -----
    Checking takes O(n) time and copies nothing. Two records are equal only where they are the same object.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.datasets import ImageCollection
    >>> pixels = np.zeros((3, 28, 28), dtype=np.uint8)
    >>> pool = ImageCollection(pixels, np.array([0, 1, 0]), ("shirt", "bag"), "train")
    >>> pool
    ImageCollection('train', 3 images of (28, 28) uint8, 2 classes)
    >>> len(pool)
    3
    """

    images: list[Path] | npt.NDArray[np.uint8]
    y: npt.NDArray[np.int64] | None
    class_names: tuple[str, ...] | None
    split: str

    def __post_init__(self) -> None:
        _check_images(self.images)
        if self.y is not None:
            _check_labels(self.y, len(self.images))
        if self.class_names is not None:
            _check_names(self.class_names, self.y)
        if not isinstance(self.split, str):
            raise TypeError(f"split must be a str; found {type(self.split).__name__}.")

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        what = f"images of {self.images.shape[1:]} uint8" if isinstance(self.images, np.ndarray) else "image files"
        labels = "no labels" if self.y is None else "labelled"
        classes = labels if self.class_names is None else f"{len(self.class_names)} classes"
        return f"{type(self).__name__}({self.split!r}, {len(self)} {what}, {classes})"

    def _repr_html_(self) -> str:
        known = {"split": self.split, "images": f"{len(self):,}"}
        if isinstance(self.images, np.ndarray):
            known["pixels of each"] = " × ".join(map(str, self.images.shape[1:]))
        else:
            known["files"] = in_words(self.images)
        if self.class_names is not None:
            known["classes"] = f"{len(self.class_names):,}"
        known["images of each class"] = "no labels" if self.y is None else counts_in_words(self._counts())
        return facts(type(self).__name__, known)

    def _counts(self) -> dict[str, int]:
        """Images of each class that has any."""
        if self.y is None:
            return {}
        counts = np.bincount(self.y)
        names = list(map(str, range(len(counts)))) if self.class_names is None else self.class_names
        return {names[label]: int(counts[label]) for label in np.flatnonzero(counts)}


def _check_images(images: Any) -> None:
    if isinstance(images, np.ndarray):
        if images.dtype != np.uint8:
            raise TypeError(f"images as an array must be uint8, 0 to 255; found {images.dtype}.")
        if images.ndim not in (3, 4):
            raise ValueError(f"images as an array must be (n, h, w) or (n, h, w, c); found shape {images.shape}.")
    elif not isinstance(images, list):
        raise TypeError(f"images must be a list of pathlib.Path or a uint8 array; found {type(images).__name__}.")
    else:
        other = next((position for position, path in enumerate(images) if not isinstance(path, Path)), None)
        if other is not None:
            found = type(images[other]).__name__
            raise TypeError(f"images as a list must hold pathlib.Path only; found {found} at position {other}.")


def _check_labels(y: Any, n_images: int) -> None:
    if not isinstance(y, np.ndarray) or y.dtype != np.int64:
        found = f"an array of {y.dtype}" if isinstance(y, np.ndarray) else type(y).__name__
        raise TypeError(f"y must be an int64 array, or None where nothing is labelled; found {found}.")
    if y.shape != (n_images,):
        raise ValueError(f"y needs one label an image: found shape {y.shape} for {n_images} images.")
    if n_images and y.min() < 0:
        raise ValueError(f"y holds the label {y.min()}; labels are positions in class_names, from 0.")


def _check_names(names: Any, y: npt.NDArray[np.int64] | None) -> None:
    if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"class_names must be a tuple of str, or None; found {names!r:.80}.")
    if y is not None and len(y) and y.max() >= len(names):
        raise ValueError(f"y holds the label {y.max()}, but class_names has {len(names)} names: 0 to {len(names) - 1}.")
