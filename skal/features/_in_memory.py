"""Embeddings that go to memory."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from skal.features._loading import Batch, Refusal
from skal.features._sources import Images

__all__ = ["EmbeddingsInMemory"]


class EmbeddingsInMemory:
    """An array that is made once the length of an embedding is known; used as `EmbeddingFile` is."""

    def __init__(self, images: Images, dtype: str) -> None:
        self.images = images
        self.positions = np.arange(len(images), dtype=np.int64)
        self.n_features: int | None = None
        self.n_read = 0
        self.refused: dict[int, Refusal] = {}
        self._dtype = dtype
        self._embeddings = np.empty((0, 0), dtype=dtype)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def append(self, embeddings: npt.NDArray[Any] | None, batch: Batch) -> None:
        if embeddings is not None:
            if self.n_features is None:
                self.n_features = embeddings.shape[1]
                self._embeddings = np.empty((len(self.images), self.n_features), dtype=self._dtype)
            start = self.n_read - len(self.refused)
            self._embeddings[start : start + len(embeddings)] = embeddings
        self.n_read += len(batch.rows) + len(batch.refused)
        self.refused.update(batch.refused)

    def finish(self) -> npt.NDArray[Any]:
        return self._embeddings[: self.n_read - len(self.refused)]
