"""Batches through a backbone: where it is computed, how exactly, and what comes out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from skal._core.rows import unit_rows
from skal.features._loading import Batch
from skal.features._preparation import Preparation
from skal.features._sources import Images

__all__ = ["Forward"]

Embeddings = npt.NDArray[np.float32] | npt.NDArray[np.float16]


@dataclass(frozen=True)
class Forward:
    """Run a frozen backbone over batches.

    Parameters
    ----------
    device : torch.device
    autocast : {"float16", "bfloat16"} or None
        The type that torch's autocast computes in.
    dtype : {"float32", "float16"}
        Of the embeddings.
    normalize : bool
        L2-normalise each embedding.
    views : {1, 2}
        2 puts the embedding of the mirrored image behind that of the image.
    """

    device: torch.device
    autocast: str | None
    dtype: str
    normalize: bool
    views: int = 1

    @property
    def memory_format(self) -> torch.memory_format:
        """Channels last pays on CUDA and in bfloat16; in float32 on the CPU it does not."""
        is_plain = self.device.type == "cpu" and self.autocast is None
        return torch.contiguous_format if is_plain else torch.channels_last

    def run(
        self, model: nn.Module, preparation: Preparation, batches: Iterable[Batch], images: Images
    ) -> Iterator[tuple[Batch, Embeddings | None]]:
        """Yield each batch and its embeddings, None where none of its images could be read."""
        for batch, outputs in self._outputs(model, preparation, batches):
            yield batch, None if batch.images is None else self._as_embeddings(outputs, batch, images)

    def _outputs(
        self, model: nn.Module, preparation: Preparation, batches: Iterable[Batch]
    ) -> Iterator[tuple[Batch, Any]]:
        """Yield each batch and what the backbone gives for it; on CUDA one behind, so that it works meanwhile."""
        n_behind = 1 if self.device.type == "cuda" else 0
        under_way: deque[tuple[Batch, Any]] = deque()
        for batch in batches:
            outputs = None
            if batch.images is not None:
                inputs = preparation.to_input(batch.images, self.device)
                with self._precision():
                    outputs = [
                        model(view.contiguous(memory_format=self.memory_format)) for view in self._views_of(inputs)
                    ]
            under_way.append((batch, outputs))
            if len(under_way) > n_behind:
                yield under_way.popleft()
        yield from under_way

    def _views_of(self, inputs: Tensor) -> list[Tensor]:
        return [inputs] if self.views == 1 else [inputs, inputs.flip(3)]

    def _precision(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, getattr(torch, self.autocast)) if self.autocast else nullcontext()

    def _as_embeddings(self, outputs: Any, batch: Batch, images: Images) -> Embeddings:
        embeddings = torch.cat([self._of_one_view(each, len(batch.rows)) for each in outputs], dim=1)
        is_bad = ~torch.isfinite(embeddings).all(dim=1)
        if bool(is_bad.any()):
            row = int(batch.rows[int(is_bad.nonzero()[0])])
            raise ValueError(
                f"The embedding of {images.name_of(row)} holds NaN or infinity in {self.dtype}, computed with "
                f"autocast={self.autocast!r}; check the weights, or try autocast=None."
            )
        as_array: Embeddings = embeddings.numpy()
        return as_array

    def _of_one_view(self, outputs: Any, n_rows: int) -> Tensor:
        if not isinstance(outputs, Tensor) or outputs.ndim != 2 or len(outputs) != n_rows:
            what = f"shape {tuple(outputs.shape)}" if isinstance(outputs, Tensor) else type(outputs).__name__
            raise ValueError(f"The backbone must give (n, d) for n images; for {n_rows} it gave {what}.")
        embeddings = outputs.to("cpu", torch.float32)
        if self.normalize:
            embeddings = unit_rows(embeddings)
        converted: Tensor = embeddings.to(getattr(torch, self.dtype))
        return converted
