"""Image files under names of the caller's own, wherever they lie."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from hashlib import sha256

from skal.features._sources import FileImages

__all__ = ["NamedImages"]


class NamedImages(FileImages):
    """Image files that are known by names, so that a file of embeddings outlasts a folder that is moved.

    Embeddings of plain paths are tied to those paths, so the same files in another folder count as another pool.
    Embeddings of named images are tied to the names instead and, with `contents`, to what is in the files rather than
    to their sizes and times, which may change when a folder is copied. `Embedded.paths` holds the names.

    Parameters
    ----------
    files : mapping of str to path
        From each name to the file. A file whose row is there already may be missing.
    contents : mapping of str to str, default=None
        What stands for the content of each file, such as its hash, by its name. The caller answers for it. None
        compares sizes and times of change.

    See Also
    --------
    skal.datasets.load_flat_folder : All images of a folder.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import torch
    >>> from PIL import Image
    >>> from skal.features import NamedImages, TorchFeatureExtractor
    >>> folder = tempfile.mkdtemp()
    >>> Image.fromarray(np.full((8, 8, 3), 200, dtype=np.uint8)).save(f"{folder}/IMG_0001.png")
    >>> images = NamedImages({"sky": f"{folder}/IMG_0001.png"})
    >>> backbone = torch.nn.Sequential(torch.nn.AvgPool2d(8), torch.nn.Flatten())
    >>> TorchFeatureExtractor(backbone, image_size=8).embed(images).paths
    ('sky',)
    """

    def __init__(self, files: Mapping[str, str | os.PathLike[str]], contents: Mapping[str, str] | None = None) -> None:
        super().__init__(files)
        self._files = files
        self._contents = contents

    def file_of(self, row: int) -> str:
        """Where the file lies that is opened."""
        return os.fspath(self._files[self.paths[row]])

    def name_of(self, row: int) -> str:
        return self.file_of(row)

    def reordered(self, paths: Iterable[str]) -> NamedImages:
        """The same kind of images in another order; some may be missing, or have been there before."""
        return NamedImages({name: self._files.get(name, "") for name in paths}, self._contents)

    def _mark(self, path: str, status: os.stat_result | None) -> int:
        if self._contents is not None:
            return _hashed(f"{path} {self._contents.get(path, '')}")
        try:
            status = os.stat(self._files[path]) if status is None else status
        except (KeyError, OSError, ValueError):
            return 0
        return _hashed(f"{path} {status.st_size} {status.st_mtime_ns}")


def _hashed(facts: str) -> int:
    return int.from_bytes(sha256(facts.encode(errors="surrogateescape")).digest()[:8], "little")
