"""Images through a backbone or a whole network that is not trained."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from skal.features._forward import Forward
from skal.features._loading import read_batches, resolve_workers
from skal.features._preparation import Preparation
from skal.features._sources import Images
from skal.vision._reading import refuse_unreadable

__all__ = ["outputs_of"]


def outputs_of(
    model: nn.Module,
    images: Images,
    preparation: Preparation,
    device: torch.device,
    *,
    autocast: str | None,
    batch_size: int,
    n_workers: int | None,
    at_most: int | None = None,
) -> npt.NDArray[np.float32]:
    """Run a model in eval mode over images; return what it gives, (n, d)."""
    forward = Forward(device, autocast, "float32", normalize=False)
    n_images = len(images) if at_most is None else min(at_most, len(images))
    requests = [range(start, min(start + batch_size, n_images)) for start in range(0, n_images, batch_size)]
    asked = n_workers if images.takes_workers else 0
    workers = resolve_workers(asked, images.takes_workers_unasked, len(requests))
    batches = read_batches(partial(images.read, of_image=preparation.at_read), requests, workers)
    was_training, found = model.training, []
    model.eval().to(device, memory_format=forward.memory_format)  # type: ignore[call-overload]
    try:
        with torch.no_grad():
            for batch, outputs in forward.run(model, preparation, batches, images):
                refuse_unreadable(batch)
                found.append(outputs)
    finally:
        model.train(was_training)
    of_all: npt.NDArray[np.float32] = np.concatenate([outputs for outputs in found if outputs is not None])
    return of_all
