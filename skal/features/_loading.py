"""Batches of images, read in order, by processes where that pays."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

__all__ = ["Batch", "Readable", "may_fork", "read_batches", "read_borders", "stacked"]

_SECONDS_BETWEEN_LOOKS_AT_THE_PARENT = 0.5


@dataclass
class Batch:
    """What was read of rows `start` to `stop`: the good images, and why the others are not there."""

    start: int
    stop: int
    # uint8 (m, h, w, 1 or 3), still to be prepared, or float32 (m, c, h, w), prepared; None where m is 0
    images: np.ndarray | None
    refused: dict[int, str] = field(default_factory=dict)


class Readable(Protocol):
    """What batches can be read from."""

    # Whether reading may be shared out to processes, and whether that pays without having been asked for.
    takes_workers: bool
    takes_workers_unasked: bool

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int) -> Batch: ...


def stacked(images: dict[int, np.ndarray], name_of: Callable[[int], str]) -> np.ndarray | None:
    if not images:
        return None
    first = next(iter(images))
    for row, image in images.items():
        if image.shape != images[first].shape:
            raise ValueError(
                f"Images of one size are needed: {name_of(first)} has shape {images[first].shape} and {name_of(row)} "
                f"{image.shape}. Set image_size, or an image_transform that makes them alike."
            )
    return np.stack(list(images.values()))


def read_batches(images: Readable, batch_size: int, n_workers: int | None, start: int) -> Iterator[Batch]:
    """Read rows `start` and on in batches whose borders are multiples of `batch_size`, in order.

    `n_workers` processes decode; None takes as many as torch has threads, eight at the most, where there are files
    enough to pay for starting them.
    """
    borders = [(first, min(first + batch_size, len(images))) for first in range(start, len(images), batch_size)]
    n_workers = _resolve_workers(n_workers, images, len(borders))
    return read_borders(images, borders, n_workers)


def read_borders(images: Readable, borders: list[tuple[int, int]], n_workers: int) -> Iterator[Batch]:
    if n_workers == 0:
        return (images.read(*border) for border in borders)
    loader = DataLoader(
        _BatchesByBorder(images, borders),
        batch_size=None,
        num_workers=n_workers,
        collate_fn=_unchanged,
        worker_init_fn=_end_with_parent,
    )
    return iter(loader)


def _end_with_parent(worker: int) -> None:
    """End this process soon after its parent, whatever it waits for: a pipe that its siblings hold open, say."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_SECONDS_BETWEEN_LOOKS_AT_THE_PARENT)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _BatchesByBorder(Dataset):
    def __init__(self, images: Readable, borders: list[tuple[int, int]]) -> None:
        self._images = images
        self._borders = borders

    def __len__(self) -> int:
        return len(self._borders)

    def __getitem__(self, number: int) -> Batch:
        return self._images.read(*self._borders[number])


def _unchanged(batch: Any) -> Any:
    """Arrays cross to this process as they are, by pipe: tensors would need shared memory, small in containers."""
    return batch


def _resolve_workers(n_workers: int | None, images: Readable, n_batches: int) -> int:
    if not images.takes_workers:
        return 0
    if n_workers is not None:
        return n_workers
    if not images.takes_workers_unasked or n_batches < 2 or not may_fork():
        return 0
    return min(8, n_batches, torch.get_num_threads())


def may_fork() -> bool:
    """Elsewhere each worker would import torch anew, and a script without a __main__ guard break."""
    method = multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]
    return method == "fork" and not multiprocessing.current_process().daemon
