"""Image files that are known by their paths below a folder, wherever that folder lies."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path

from skal.features._sources import FileImages

__all__ = ["FolderImages"]


class FolderImages(FileImages):
    """Images below a folder that may move: a file of embeddings knows them by their paths below it.

    Embeddings of plain paths belong to those paths, so that a moved folder is another pool. These belong to the
    relative paths, and, with `contents`, to what is in the files instead of their sizes and times, which a copy of a
    folder need not keep.

    Parameters
    ----------
    folder : path
    paths : iterable of str or path
        Relative to `folder`.
    contents : mapping of str to str, default=None
        What stands for the content of each file, such as its hash, by its path with forward slashes. The caller answers
        for it. None compares sizes and times of change.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import torch
    >>> from PIL import Image
    >>> from skal.features import FolderImages, TorchFeatureExtractor
    >>> folder = tempfile.mkdtemp()
    >>> Image.fromarray(np.full((8, 8, 3), 200, dtype=np.uint8)).save(f"{folder}/sky.png")
    >>> backbone = torch.nn.Sequential(torch.nn.AvgPool2d(8), torch.nn.Flatten())
    >>> TorchFeatureExtractor(backbone, image_size=8).embed(FolderImages(folder, ["sky.png"])).paths
    ('sky.png',)
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        paths: Iterable[str | os.PathLike[str]],
        contents: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(paths)
        self.folder = Path(folder)
        self._contents = contents

    def file_of(self, row: int) -> str:
        """Where the file lies that is opened."""
        return os.fspath(self.folder / self.paths[row])

    def reordered(self, paths: Iterable[str]) -> FolderImages:
        """The same kind of images in another order; some may be missing, or have been there before."""
        return FolderImages(self.folder, paths, self._contents)

    def _mark(self, path: str, status: os.stat_result | None) -> int:
        if self._contents is not None:
            return _hashed(f"{path} {self._contents.get(path, '')}")
        try:
            status = os.stat(self.folder / path) if status is None else status
        except (OSError, ValueError):
            return 0
        return _hashed(f"{path} {status.st_size} {status.st_mtime_ns}")


def _hashed(facts: str) -> int:
    return int.from_bytes(sha256(facts.encode(errors="surrogateescape")).digest()[:8], "little")
