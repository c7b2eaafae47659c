"""Where the arithmetic runs and how much of the pool may stay there."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch

__all__ = [
    "at_most_threads",
    "full_float32",
    "ordinary_torch",
    "repeatable_convolutions",
    "resident_bytes",
    "resolve_device",
]

_CUDA_SHARE_FOR_THE_POOL = 0.6


def resolve_device(device: str | torch.device) -> torch.device:
    """Turn ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:i"`` into a device that exists.

    ``"auto"`` takes the current CUDA device where there is one and the CPU elsewhere. A device
    that was asked for by name is used or refused, never replaced.

    Raises
    ------
    ValueError
        If the name is none of the above, or names a CUDA device that this machine lacks.
    """
    name = str(device)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return torch.device("cpu")
    if re.fullmatch(r"cuda(:\d+)?", name) is None:
        raise ValueError(f"device={name!r} is not known; use 'auto', 'cpu', 'cuda' or 'cuda:<index>'.")
    n_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    resolved = torch.device(name)
    if (resolved.index or 0) >= n_devices:
        raise ValueError(
            f"device={name!r} was asked for, but torch {torch.__version__} sees {n_devices} CUDA "
            "devices on this machine; use device='auto' or device='cpu', or install a CUDA build of torch."
        )
    return resolved if resolved.index is not None else torch.device("cuda", torch.cuda.current_device())


def resident_bytes(device: torch.device, host_bytes: int) -> int:
    """Bytes of prepared pool that may stay on `device`: `host_bytes` on the CPU, a share of the free memory on CUDA."""
    if device.type == "cpu":
        return host_bytes
    free_bytes, _ = torch.cuda.mem_get_info(device)
    return int(free_bytes * _CUDA_SHARE_FOR_THE_POOL)


class _Shared:
    """A state of the process: nested and concurrent uses share what they found, restored when the last one ends."""

    def __init__(self, read: Callable[[], Any], write: Callable[[Any], None], wanted: Any) -> None:
        self._read, self._write, self._wanted = read, write, wanted
        self._lock = threading.Lock()
        self._n_inside = 0
        self._found: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._n_inside == 0:
                self._found = self._read()
                self._write(self._wanted)
            self._n_inside += 1

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._n_inside -= 1
            if self._n_inside == 0:
                self._write(self._found)


# torch wants convolutions and recurrent layers of one backend to agree.
_FLOAT32_BACKENDS: tuple[Any, ...] = (
    torch.backends.cuda.matmul,
    torch.backends.cudnn.conv,  # type: ignore[attr-defined]
    torch.backends.cudnn.rnn,
    torch.backends.mkldnn.matmul,  # type: ignore[attr-defined]
    torch.backends.mkldnn.conv,  # type: ignore[attr-defined]
    torch.backends.mkldnn.rnn,  # type: ignore[attr-defined]
)


def _read_precisions() -> list[str]:
    return [backend.fp32_precision for backend in _FLOAT32_BACKENDS]


def _write_precisions(precisions: list[str]) -> None:
    for backend, precision in zip(_FLOAT32_BACKENDS, precisions, strict=True):
        backend.fp32_precision = precision


_full_float32 = _Shared(_read_precisions, _write_precisions, ["ieee"] * len(_FLOAT32_BACKENDS))
_float32_by_default = _Shared(torch.get_default_dtype, torch.set_default_dtype, torch.float32)


def _read_cudnn() -> tuple[bool, bool]:
    return torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark


def _write_cudnn(flags: tuple[bool, bool]) -> None:
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = flags


_repeatable_convolutions = _Shared(_read_cudnn, _write_cudnn, (True, False))


def repeatable_convolutions() -> AbstractContextManager[None]:
    """Let cuDNN take only algorithms that give the same digits again, and not try which is fastest."""
    return _repeatable_convolutions


def full_float32() -> AbstractContextManager[None]:
    """Keep float32 matrix products and convolutions in float32, whatever speed-up the process has switched on."""
    return _full_float32


@contextmanager
def ordinary_torch() -> Iterator[None]:
    """Compute as torch does by itself, whatever surrounds it.

    There is no autocast, no `no_grad` and no `inference_mode`, float32 is the default dtype and is kept
    (`full_float32`), and a tensor made without a device lies on the CPU. Stands around the body of every public method
    that computes, after ``with`` or as a decorator. The dtype and precision are those of the whole process, so other
    threads see them too while it lasts; the rest is the calling thread's own.
    """
    with ExitStack() as stack:
        stack.enter_context(full_float32())
        stack.enter_context(_float32_by_default)
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        if not torch.is_grad_enabled():
            stack.enter_context(torch.enable_grad())
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield


@contextmanager
def at_most_threads(n_threads: int) -> Iterator[None]:
    """Let torch and its BLAS use at most `n_threads` threads for what the calling thread computes."""
    before = torch.get_num_threads()
    if before <= n_threads:
        yield
        return
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
