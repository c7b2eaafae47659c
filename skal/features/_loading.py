"""Batches of images, read in the order they are asked for, by processes where that pays."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset

__all__ = ["Batch", "Refusal", "may_fork", "read_batches", "resolve_workers"]

Request = TypeVar("Request")

_MOST_WORKERS_UNASKED = 8
_SECONDS_BETWEEN_LOOKS_AT_THE_PARENT = 0.5


class Refusal(NamedTuple):
    """Why an image gave nothing, and what marked its file then (0 where there is none)."""

    reason: str
    mark: int = 0


@dataclass
class Batch:
    """What was read: the good images beside the rows they are of, so that ``y[batch.rows]`` are their labels.

    Parameters
    ----------
    rows : ndarray of shape (m,), int64
    images : ndarray or None
        uint8 (m, h, w, 1 or 3), still to be made a backbone's input, or float32 (m, c, h, w), one already. None
        where m is 0.
    refused : dict of int to Refusal
        The other rows that were asked for.
    marks : int
        What marked the files of `rows` as they were read, summed; 0 where there are none.
    """

    rows: npt.NDArray[np.int64]
    images: npt.NDArray[Any] | None
    refused: dict[int, Refusal] = field(default_factory=dict)
    marks: int = 0


def read_batches(read: Callable[[Request], Batch], requests: Sequence[Request], n_workers: int = 0) -> Iterator[Batch]:
    """Yield ``read(request)`` for each request, in order.

    What a request is, is between the caller and `read`: row numbers, or row numbers and a seed for random crops. A
    sequence that makes its items when they are asked for can stand for many epochs.

    Parameters
    ----------
    read : callable
        From a request to a `Batch`. With workers it must not touch a CUDA device.
    requests : sequence
    n_workers : int, default=0
        Processes that read. With 0, this one does.
    """
    if n_workers == 0:
        return map(read, requests)
    loader = DataLoader(
        _Requests(read, requests),
        batch_size=None,
        num_workers=n_workers,
        collate_fn=_unchanged,
        worker_init_fn=_end_with_parent,
        generator=torch.Generator(),  # else the seeds of the processes are drawn from torch's own, which is the user's
    )
    return iter(loader)


def resolve_workers(asked: int | None, pays_unasked: bool, n_batches: int) -> int:
    """Turn `num_workers` into a number of processes.

    None takes as many as torch has threads, eight at the most, where reading takes long enough (`pays_unasked`) and
    there are batches enough to pay for starting them.
    """
    if asked is not None:
        return int(asked)
    if not pays_unasked or n_batches < 2 or not may_fork():
        return 0
    return min(_MOST_WORKERS_UNASKED, n_batches, torch.get_num_threads())


def may_fork() -> bool:
    """Tell whether processes can be forked.

    Elsewhere each worker would import torch anew, and a script without a __main__ guard break.
    """
    method = multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]
    return method == "fork" and not multiprocessing.current_process().daemon


class _Requests(Dataset[Batch], Generic[Request]):
    def __init__(self, read: Callable[[Request], Batch], requests: Sequence[Request]) -> None:
        self._read = read
        self._requests = requests

    def __len__(self) -> int:
        return len(self._requests)

    def __getitem__(self, number: int) -> Batch:
        return self._read(self._requests[number])


def _end_with_parent(worker: int) -> None:
    """End this process soon after its parent, whatever it waits for: a pipe that its siblings hold open, say."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_SECONDS_BETWEEN_LOOKS_AT_THE_PARENT)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _unchanged(batch: Any) -> Any:
    """Arrays cross to this process as they are, by pipe: tensors would need shared memory, small in containers."""
    return batch
