"""What embedding gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from skal._html import facts, in_words, place_of, size_in_words

__all__ = ["Embedded"]


@dataclass(frozen=True, eq=False, repr=False)
class Embedded:
    """Embeddings, and which images they are of.

    Parameters
    ----------
    embeddings : ndarray of shape (n, d), float32 or float16
        One row an image, with two views (n, 2·d); a read-only memmap where they lie in a file.
    valid_indices : ndarray of shape (n,), int64
        Where the image of each row stands among those that were passed, so that ``y[valid_indices]`` are the labels
        of the rows. Images that could not be read are missing.
    paths : tuple of str, or None
        The file of each row, with forward slashes. None where the images were no files.

    See Also
    --------
    TorchFeatureExtractor.embed : Makes one.
    open_shards : Makes one from files of several machines.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.features import Embedded
    >>> Embedded(np.zeros((2, 4), dtype=np.float32), np.array([0, 2]), ("cat.png", "dog.png"))
    Embedded(2 rows of 4 float32, of files)
    """

    embeddings: npt.NDArray[Any]
    valid_indices: npt.NDArray[np.int64]
    paths: tuple[str, ...] | None

    def __len__(self) -> int:
        return len(self.embeddings)

    def __repr__(self) -> str:
        n_rows, n_features = self.embeddings.shape
        what = "" if self.paths is None else ", of files"
        return f"{type(self).__name__}({n_rows} rows of {n_features} {self.embeddings.dtype}{what})"

    def _repr_html_(self) -> str:
        n_rows, n_features = self.embeddings.shape
        known = {
            "rows × features": f"{n_rows:,} × {n_features:,}",
            "dtype": self.embeddings.dtype,
            "size": size_in_words(self.embeddings.nbytes),
            "kept in": place_of(self.embeddings),
            "images": "no files" if self.paths is None else in_words(self.paths),
        }
        return facts(type(self).__name__, known)
