"""One pass of images through a backbone, into memory or a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from skal._core.device import ordinary_torch, resolve_device
from skal._warnings import warn_user
from skal.features._backbones import freeze, load, preparation_for, refuse_unknown
from skal.features._batches import batch_size_for
from skal.features._embedded import Embedded
from skal.features._embedding_file import EmbeddingFile
from skal.features._forward import Forward
from skal.features._identity import describe, describe_backbone, weights_sha256
from skal.features._in_memory import EmbeddingsInMemory
from skal.features._loading import Batch, Refusal, read_batches, resolve_workers
from skal.features._logits import warn_of_logits
from skal.features._preparation import Preparation
from skal.features._progress import ImageProgress
from skal.features._random_weights import seed_for
from skal.features._sources import Images

__all__ = ["EmbeddingJob"]

Sink = EmbeddingFile | EmbeddingsInMemory

_REASONS_SHOWN = 3


@dataclass(frozen=True)
class EmbeddingJob:
    """What embeds images and how; the parameters are those of `TorchFeatureExtractor`, resolved."""

    backbone: str | nn.Module
    weights: str | PathLike[str] | None
    seed: int | None
    image_size: int | None
    image_transform: str | Callable[..., Any] | None
    batch_size: int | None
    num_workers: int | None
    forward: Forward
    on_error: str
    verbose: int
    expected_n_features: int | None = None

    @classmethod
    def of(cls, extractor: Any) -> Self:
        """Make the job that the parameters of an extractor say, and what `fit` found if it was called."""
        refuse_unknown(extractor.backbone)
        device, autocast = resolve_device(extractor.device), extractor.autocast
        if autocast == "auto":
            autocast = "float16" if device.type == "cuda" else None
        drawn = getattr(extractor, "seed_", None)
        return cls(
            backbone=extractor.backbone,
            weights=extractor.weights,
            seed=seed_for(extractor.backbone, extractor.weights, extractor.random_state, drawn),
            image_size=extractor.image_size,
            image_transform=extractor.image_transform,
            batch_size=extractor.batch_size,
            num_workers=extractor.num_workers,
            forward=Forward(device, autocast, extractor.dtype, bool(extractor.normalize), int(extractor.views)),
            on_error=extractor.on_error,
            verbose=extractor.verbose,
            expected_n_features=getattr(extractor, "n_features_out_", None),
        )

    def run(self, images: Images, output: str | PathLike[str] | None, version: str = "") -> Embedded:
        """Embed images; what `output` holds already is not embedded again."""
        preparation = self._preparation_for(images)
        with ordinary_torch(), torch.inference_mode():
            model = self._load_backbone()
            with self._sink(output, images, preparation, model, version) as sink:
                self._refuse(_left_out(sink))
                model = self._frozen(model)
                if isinstance(self.backbone, nn.Module):
                    warn_of_logits(model)
                self._fill(sink, preparation, model)
                left_out = _left_out(sink)
                if len(left_out) == len(images):
                    raise _none_can_be_read(left_out)
                embeddings = sink.finish()
        _warn_of(left_out, len(images))
        rows, paths = np.delete(np.arange(len(sink.images)), sorted(sink.refused)), sink.images.paths
        return Embedded(embeddings, sink.positions[rows], None if paths is None else tuple(paths[row] for row in rows))

    def n_features(self, images: Images) -> int:
        """Embed the first image that can be read; return how long its embedding is."""
        preparation = self._preparation_for(images)
        refused: dict[int, Refusal] = {}
        with ordinary_torch(), torch.inference_mode():
            model = self._frozen(self._load_backbone())
            batches = (images.read([row], preparation.at_read) for row in range(len(images)))
            for batch, embeddings in self.forward.run(model, preparation, batches, images):
                self._refuse(batch.refused)
                if embeddings is not None:
                    return int(embeddings.shape[1])
                refused |= batch.refused
        raise _none_can_be_read(refused)

    def _fill(self, sink: Sink, preparation: Preparation, model: nn.Module) -> None:
        images = sink.images
        with ImageProgress(len(images), sink.n_read, self.verbose) as progress:
            batches = self._read(images, preparation, sink.n_read)
            for batch, embeddings in self.forward.run(model, preparation, batches, images):
                self._refuse(batch.refused)
                if embeddings is not None:
                    self._refuse_other_length(embeddings, sink.n_features, images.name_of(int(batch.rows[0])))
                sink.append(embeddings, batch)
                progress.advance(sink.n_read)

    def _load_backbone(self) -> nn.Module:
        model = load(self.backbone, self.weights, self.seed, self.image_size)
        if self.seed is not None:
            warn_user(
                f"weights=None: {self.backbone} has random weights (seed {self.seed}), as in the paper's ablation. For "
                "embeddings that mean something, pass weights=<checkpoint>."
            )
        return model

    def _frozen(self, model: nn.Module) -> nn.Module:
        return freeze(model, self.forward.device, self.forward.memory_format)

    def _preparation_for(self, images: Images) -> Preparation:
        if images.kind == "Dataset":
            return Preparation()
        return preparation_for(self.backbone, self.image_size, self.image_transform, are_files=images.kind == "files")

    def _batch_size_for(self, images: Images, preparation: Preparation) -> int:
        if self.batch_size is not None:
            return int(self.batch_size)
        n_pixels = images.n_pixels if preparation.crop is None else preparation.crop**2
        return batch_size_for(self.forward.device, None if preparation.custom is not None else n_pixels)

    def _read(self, images: Images, preparation: Preparation, start: int) -> Iterator[Batch]:
        n_images, size = len(images), self._batch_size_for(images, preparation)
        requests = [range(first, min(first + size, n_images)) for first in range(start, n_images, size)]
        asked = self.num_workers if images.takes_workers else 0
        n_workers = resolve_workers(asked, images.takes_workers_unasked, len(requests))
        return read_batches(partial(images.read, of_image=preparation.at_read), requests, n_workers)

    def _sink(
        self,
        output: str | PathLike[str] | None,
        images: Images,
        preparation: Preparation,
        model: nn.Module,
        version: str,
    ) -> Sink:
        forward, custom = self.forward, preparation.custom
        if output is None:
            return EmbeddingsInMemory(images, forward.dtype)
        identity = {
            "images": images.fingerprint(),
            "backbone": describe_backbone(self.backbone, version),
            "weights_sha256": weights_sha256(model, version),
            "image_transform": preparation.describe() if custom is None else {"custom": describe(custom, version)},
            "batch_size": self._batch_size_for(images, preparation),
            "dtype": forward.dtype,
            "normalize": forward.normalize,
            "device": forward.device.type,
            "autocast": forward.autocast,
        }
        if forward.views > 1:  # files from before there were views say nothing of them
            identity["views"] = forward.views
        return EmbeddingFile(Path(output), images, forward.dtype, identity)

    def _refuse_other_length(self, embeddings: npt.NDArray[Any], of_earlier: int | None, name: str) -> None:
        expected = self.expected_n_features if of_earlier is None else of_earlier
        if expected not in (None, embeddings.shape[1]):
            found_by = "fit found" if of_earlier is None else "those before it have"
            raise ValueError(
                f"The embedding of {name} has length {embeddings.shape[1]}, and {found_by} {expected}. A backbone that "
                "flattens gives images of another size another length: set image_size, or an image_transform that "
                "makes them alike. (After a change of parameters, call fit again.)"
            )

    def _refuse(self, refused: Mapping[int, Refusal]) -> None:
        if refused and self.on_error == "raise":
            raise ValueError(f"{refused[min(refused)].reason}. on_error='skip' leaves such images out.")


def _left_out(sink: Sink) -> dict[int, Refusal]:
    """What cannot be read of the images that were passed."""
    return {row: refusal for row, refusal in sink.refused.items() if sink.positions[row] >= 0}


def _none_can_be_read(refused: Mapping[int, Refusal]) -> ValueError:
    return ValueError(f"None of the {len(refused)} images can be read; the first: {refused[min(refused)].reason}")


def _warn_of(refused: Mapping[int, Refusal], n_images: int) -> None:
    if refused:
        shown = "; ".join(refused[row].reason for row in sorted(refused)[:_REASONS_SHOWN])
        more = "; and others" if len(refused) > _REASONS_SHOWN else ""
        warn_user(
            f"{len(refused)} of {n_images} images were left out; the valid_indices of embed say which rows are there: "
            f"{shown}{more}"
        )
