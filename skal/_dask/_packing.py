"""Values on their way between processes: tensors as arrays, whole numbers in as few bytes as hold them, or bits."""

from __future__ import annotations

import io
import pickle
from typing import Any

import cloudpickle
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["Packed", "pack"]

_NARROWED_FROM = 1024  # entries
_UNSIGNED = (np.uint8, np.uint16, np.uint32)


class Packed:
    """A pickled value whose arrays stand beside the pickle, so that no transport copies them into it."""

    def __init__(self, head: bytes, buffers: list[Any]) -> None:
        self.head = head
        self.buffers = buffers

    @property
    def n_bytes(self) -> int:
        return len(self.head) + int(sum(buffer.nbytes for buffer in self.buffers))

    def load(self) -> Any:
        """Return the value; its tensors are on the CPU."""
        return pickle.loads(self.head, buffers=self.buffers)  # noqa: S301  # made by `pack`, in a process of ours

    def __sizeof__(self) -> int:  # by which dask knows what moving it costs
        return self.n_bytes


def pack(value: Any) -> Packed:
    """Pickle a value of tensors, arrays and functions."""
    head, buffers = io.BytesIO(), []  # type: tuple[io.BytesIO, list[Any]]
    pickler = _Pickler(head, protocol=5, buffer_callback=buffers.append)
    pickler.dump(value)
    return Packed(head.getvalue(), [np.frombuffer(buffer.raw(), dtype=np.uint8) for buffer in buffers])


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # which has no types; it takes what a notebook defines, too
    def reducer_override(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return super().reducer_override(value)
        array = value.detach().cpu().contiguous().numpy()
        if array.dtype == bool and array.size >= _NARROWED_FROM:
            return _bits, (np.packbits(array), array.shape)
        return _tensor, (_narrowed(array), array.dtype.str)


def _tensor(array: npt.NDArray[Any], dtype: str) -> Tensor:
    # A copy where it is not writeable, which torch has no notion of.
    return torch.from_numpy(np.require(array.astype(dtype, copy=False), requirements="W"))


def _bits(packed: npt.NDArray[np.uint8], shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(np.unpackbits(packed, count=int(np.prod(shape))).view(bool).reshape(shape))


def _narrowed(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if array.dtype != np.int64 or array.size < _NARROWED_FROM or array.min() < 0:
        return array
    largest = int(array.max())
    for dtype in _UNSIGNED:
        if largest <= np.iinfo(dtype).max:
            return array.astype(dtype)
    return array
