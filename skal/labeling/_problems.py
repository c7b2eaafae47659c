"""What is wrong with images, by stated rules, before a label is paid for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from skal.labeling._duplicates import IQR_FACTOR, N_NEIGHBORS, SHARE_OF_MEDIAN
from skal.labeling._pictures import PictureFacts

__all__ = ["RULES", "Problems", "problems_of_pictures"]

_DARK, _LIGHT, _ODD_IQR, _TINY_SIDE = 0.32, 0.95, 3.0, 32

#: By what rule a problem of each kind is found.
RULES = {
    "unreadable": "Pillow cannot decode the file",
    "same pictures": "the same pixels, whatever the files are called",
    "near duplicates": (
        f"a chain of images, each nearer to the next than {SHARE_OF_MEDIAN} times the median cosine distance to the "
        "nearest neighbour (cleanlab's rule); one label is spent on each such group"
    ),
    "outlying": (
        f"the mean cosine distance to the {N_NEIGHBORS} nearest neighbours exceeds the third quartile by "
        f"{IQR_FACTOR} interquartile ranges (cleanlab's rule)"
    ),
    "dark": f"the 99th percentile of the brightness is below {_DARK} (cleanvision's rule)",
    "light": f"the 5th percentile of the brightness is above {_LIGHT} (cleanvision's rule)",
    "tiny": f"the shorter side has fewer than {_TINY_SIDE} pixels and less than half of what is usual in the pool",
    "odd size": (
        f"the root of the area lies {_ODD_IQR:.0f} interquartile ranges outside the quartiles (cleanvision's rule)"
    ),
}


@dataclass(frozen=True)
class Problems:
    """Images to look at before labels are paid for; nothing is deleted, and all but near duplicates can be picked.

    Parameters
    ----------
    unreadable : dict of int to str
        Rows that cannot be read, and why.
    same_pictures, near_duplicates : tuple of tuple of int
        Groups of rows.
    outlying, dark, light, tiny, odd_size : tuple of int
        Rows.
    is_embedded : bool
        Whether near duplicates and outlying images could be looked for.

    See Also
    --------
    LabelingProject.problems : Finds them.
    """

    unreadable: dict[int, str]
    same_pictures: tuple[tuple[int, ...], ...]
    near_duplicates: tuple[tuple[int, ...], ...]
    outlying: tuple[int, ...]
    dark: tuple[int, ...]
    light: tuple[int, ...]
    tiny: tuple[int, ...]
    odd_size: tuple[int, ...]
    is_embedded: bool

    def counts(self) -> dict[str, int]:
        """Images of each kind; of groups, those that are more than one a group."""
        return {kind: len(rows) for kind, rows in self.by_kind().items()}

    def by_kind(self) -> dict[str, tuple[int, ...]]:
        """Rows of each kind, in the order of `RULES`; of groups, all but the first of each."""
        return {
            "unreadable": tuple(self.unreadable),
            "same pictures": tuple(row for group in self.same_pictures for row in group[1:]),
            "near duplicates": tuple(row for group in self.near_duplicates for row in group[1:]),
            "outlying": self.outlying,
            "dark": self.dark,
            "light": self.light,
            "tiny": self.tiny,
            "odd size": self.odd_size,
        }


def problems_of_pictures(facts: Mapping[int, PictureFacts]) -> dict[str, Any]:
    """Apply the rules that need pixels only.

    Parameters
    ----------
    facts : mapping of row to PictureFacts

    Returns
    -------
    dict
        Fields of `Problems`.
    """
    good = {row: each for row, each in facts.items() if not each.error}
    rows = list(good)
    sides = np.array([min(each.width, each.height) for each in good.values()], dtype=np.float64)
    sizes = np.sqrt([float(each.width) * each.height for each in good.values()])
    is_tiny = (sides < _TINY_SIDE) & (sides < np.median(sides) / 2) if rows else np.empty(0, dtype=bool)
    return {
        "unreadable": {row: each.error for row, each in facts.items() if each.error},
        "same_pictures": _groups(good),
        "dark": tuple(row for row, each in good.items() if each.high < _DARK),
        "light": tuple(row for row, each in good.items() if each.low > _LIGHT),
        "tiny": _chosen(rows, is_tiny),
        "odd_size": _chosen(rows, _is_far(sizes)),
    }


def _groups(good: Mapping[int, PictureFacts]) -> tuple[tuple[int, ...], ...]:
    of_pixels: dict[str, list[int]] = {}
    for row, each in good.items():
        of_pixels.setdefault(each.pixels, []).append(row)
    return tuple(tuple(group) for group in of_pixels.values() if len(group) > 1)


def _is_far(sizes: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    if not len(sizes):
        return np.empty(0, dtype=bool)
    lower, upper = np.quantile(sizes, [0.25, 0.75])
    margin = _ODD_IQR * (upper - lower)
    is_far: npt.NDArray[np.bool_] = (sizes < lower - margin) | (sizes > upper + margin)
    return is_far


def _chosen(rows: list[int], mask: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(row for row, is_chosen in zip(rows, mask.tolist(), strict=True) if is_chosen)
