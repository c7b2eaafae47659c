"""Neighbours beside the file of a pool, so that no later process searches again."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import numpy as np

from skal._core.graph import Neighbors
from skal._files._atomic import write_atomically

__all__ = ["read_neighbors", "write_neighbors"]

_FORMAT = "skal neighbors 1"


def read_neighbors(path: str | os.PathLike[str], identity: str) -> Neighbors | None:
    """Return what a file holds, or None where there is no file.

    Parameters
    ----------
    path : path
    identity : str
        Of the rows, the metric and the algorithm.

    Raises
    ------
    ValueError
        If the file is none of ours, is damaged, or belongs to something else.
    """
    if not Path(path).exists():
        return None
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as kept:  # np.load leaves a bad one open
            is_ours = str(kept["format"]) == _FORMAT
            found = str(kept["identity"]), Neighbors(kept["indices"], kept["sq_dist"], float(kept["recall"]))
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no file of neighbours, or is damaged; remove it or name another.") from error
    if not is_ours or found[0] != identity:
        raise ValueError(
            f"{path} holds neighbours of other rows, or by another metric or algorithm; remove it or name another."
        )
    return found[1]


def write_neighbors(path: str | os.PathLike[str], identity: str, found: Neighbors) -> None:
    """Replace the file as a whole."""
    content = io.BytesIO()
    np.savez(
        content,
        format=np.array(_FORMAT),
        identity=np.array(identity),
        indices=found.indices,
        sq_dist=found.sq_dist,
        recall=np.array(found.recall),
    )
    write_atomically(path, content.getvalue())
