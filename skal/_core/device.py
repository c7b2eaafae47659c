"""Where the arithmetic runs and how much of the pool may stay there."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch

__all__ = ["at_most_threads", "full_float32", "plain_torch", "resident_bytes", "resolve_device"]

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


class _ProcessWide:
    """Settings that torch keeps for the whole process, set while anybody is inside.

    Nested and concurrent uses share one saved state, restored when the last one ends.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_inside = 0
        self._saved: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._n_inside == 0:
                self._saved = self._set()
            self._n_inside += 1

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._n_inside -= 1
            if self._n_inside == 0:
                self._restore(self._saved)

    def _set(self) -> Any:
        """Set what is wanted; return what was there."""
        raise NotImplementedError

    def _restore(self, saved: Any) -> None:
        raise NotImplementedError


# torch wants convolutions and recurrent layers of one backend to agree.
_FLOAT32_BACKENDS: tuple[Any, ...] = (
    torch.backends.cuda.matmul,
    torch.backends.cudnn.conv,  # type: ignore[attr-defined]
    torch.backends.cudnn.rnn,
    torch.backends.mkldnn.matmul,  # type: ignore[attr-defined]
    torch.backends.mkldnn.conv,  # type: ignore[attr-defined]
    torch.backends.mkldnn.rnn,  # type: ignore[attr-defined]
)


class _FullFloat32(_ProcessWide):
    def _set(self) -> list[str]:
        saved = [backend.fp32_precision for backend in _FLOAT32_BACKENDS]
        for backend in _FLOAT32_BACKENDS:
            backend.fp32_precision = "ieee"
        return saved

    def _restore(self, saved: list[str]) -> None:
        for backend, precision in zip(_FLOAT32_BACKENDS, saved, strict=True):
            backend.fp32_precision = precision


class _DefaultFloat32(_ProcessWide):
    def _set(self) -> torch.dtype:
        saved = torch.get_default_dtype()
        torch.set_default_dtype(torch.float32)
        return saved

    def _restore(self, saved: torch.dtype) -> None:
        torch.set_default_dtype(saved)


_full_float32 = _FullFloat32()
_default_float32 = _DefaultFloat32()


def full_float32() -> AbstractContextManager[None]:
    """Keep float32 matrix products and convolutions in float32, whatever speed-up the process has switched on."""
    return _full_float32


@contextmanager
def plain_torch() -> Iterator[None]:
    """Compute as a fresh process would, whatever the caller has switched on around the call.

    For the body of a ``with``, or as a decorator of every public method that computes: reduced float32
    precision, autocast, a default dtype or device, no_grad and inference_mode have no effect inside.
    Precision and default dtype are torch's for the whole process, so other threads see them changed
    meanwhile; the rest is the calling thread's own.
    """
    with ExitStack() as scopes:
        scopes.enter_context(_full_float32)
        scopes.enter_context(_default_float32)
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                scopes.enter_context(torch.autocast(kind, enabled=False))
        if torch.is_inference_mode_enabled():
            scopes.enter_context(torch.inference_mode(False))
        if not torch.is_grad_enabled():
            scopes.enter_context(torch.enable_grad())
        if torch.get_default_device().type != "cpu":
            scopes.enter_context(torch.device("cpu"))
        yield


@contextmanager
def at_most_threads(n_threads: int) -> Iterator[None]:
    """Let torch and its BLAS use at most `n_threads` threads for what this thread computes."""
    before = torch.get_num_threads()
    torch.set_num_threads(min(n_threads, before))
    try:
        yield
    finally:
        torch.set_num_threads(before)
