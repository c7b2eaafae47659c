"""CIFAR's pickles, read without ever running what is in them.

A pickle is a program. This one may call stand-ins, which have no attribute that it could change, and
nothing else: not numpy either, whose own reconstruction trusts the flags of a dtype it is handed.
"""

from __future__ import annotations

import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["read_batch"]


def read_batch(path: Path) -> dict[str, Any]:
    """Read a pickled dict of arrays, numbers, texts, lists and dicts.

    Parameters
    ----------
    path : Path
        As Python 2 wrote it (the published files) or Python 3 does, by any protocol.

    Returns
    -------
    dict
        Keys are str; texts are str, or bytes where Python 2 wrote them.

    Raises
    ------
    ValueError
        If the file asks for anything else, is damaged, or holds something else than a dict.
    """
    with path.open("rb") as file:
        try:
            _refuse_huge_memo(file, path.stat().st_size)
            file.seek(0)
            return _plain(_BatchUnpickler(file, encoding="bytes").load())
        except _RefusedError as error:
            raise ValueError(f"{path} is refused: {error}. CIFAR's own files hold arrays, numbers and texts.") from None
        except Exception as error:  # a damaged pickle can raise nearly anything
            raise ValueError(f"{path} is damaged or no pickle of CIFAR's: {type(error).__name__}: {error}") from error


def _refuse_huge_memo(file: Any, n_bytes: int) -> None:
    """Raise before a number in the file makes room for more than the file can hold.

    What a pickle remembers it numbers from 0 or 1 on, one by one, and the unpickler keeps room up to the largest.
    """
    for opcode, argument, position in pickletools.genops(file):
        largest = {"PUT": position, "BINPUT": position, "LONG_BINPUT": position, "FRAME": n_bytes}.get(opcode.name)
        if largest is not None and int(argument or 0) > int(largest or 0):
            raise _RefusedError(f"it makes room for {argument:,} things, and has {n_bytes:,} bytes")


def _plain(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise TypeError(f"expected a dict, found {type(content).__name__}")
    return {_text(key): value.array() if isinstance(value, _Array) else value for key, value in content.items()}


class _RefusedError(pickle.UnpicklingError):
    """The pickle asks for something that CIFAR's files do not need."""


class _BatchUnpickler(pickle.Unpickler):
    """Admits what rebuilds an array of whole numbers; everything else that is to be looked up is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _STAND_INS:
            return _STAND_INS[module, name]
        raise _RefusedError(f"it asks for {module}.{name}, and a pickle that may call functions can run any code")


class _Array:
    """An array in the making: its dtype, shape and bytes."""

    __slots__ = ("_buffer", "_dtype", "_is_fortran", "_shape")

    def __init__(self) -> None:
        self._dtype: _Dtype | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, is_fortran, buffer = state
        self.fill(buffer, dtype, shape, bool(is_fortran))

    def fill(self, buffer: Any, dtype: Any, shape: Any, is_fortran: bool) -> _Array:
        if not isinstance(dtype, _Dtype) or not isinstance(buffer, bytes | bytearray):
            raise _RefusedError("it holds an array of objects")
        self._buffer, self._dtype, self._shape, self._is_fortran = buffer, dtype, shape, is_fortran
        return self

    def array(self) -> npt.NDArray[Any]:
        if self._dtype is None:
            raise ValueError("it holds an array without content")
        values: npt.NDArray[Any] = np.frombuffer(self._buffer, self._dtype.numpy())
        return values.reshape(self._shape, order="F" if self._is_fortran else "C")


class _Dtype:
    """A dtype in the making: whole numbers only."""

    __slots__ = ("_byte_order", "_code")

    def __init__(self, code: Any) -> None:
        self._code = _text(code)
        self._byte_order = "="
        if self._code not in _WHOLE_NUMBERS:
            raise _RefusedError(f"it holds an array of dtype {self._code!r:.40}")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._byte_order = _text(state[1])

    def numpy(self) -> np.dtype[Any]:
        return np.dtype(self._byte_order + self._code)


class _StandIn:
    """What a pickle gets for a name it looks up: an object without attributes of its own."""

    __slots__ = ()


class _Named(_StandIn):
    """A class that is only handed on."""

    __slots__ = ()


class _MakeDtype(_StandIn):
    __slots__ = ()

    def __call__(self, code: Any, *flags: Any) -> _Dtype:
        return _Dtype(code)


class _MakeArray(_StandIn):
    """``numpy.core.multiarray._reconstruct``: an empty array, filled by the state that follows."""

    __slots__ = ()

    def __call__(self, kind: Any, shape: Any, code: Any) -> _Array:
        return _Array()


class _ArrayFromBytes(_StandIn):
    """``numpy.core.numeric._frombuffer``, by which protocol 5 rebuilds an array."""

    __slots__ = ()

    def __call__(self, buffer: Any, dtype: Any, shape: Any, order: Any) -> _Array:
        return _Array().fill(buffer, dtype, shape, _text(order) == "F")


class _BytesFromText(_StandIn):
    """``_codecs.encode``, by which Python 3 writes bytes for Python 2."""

    __slots__ = ()

    def __call__(self, text: Any, encoding: Any) -> bytes:
        if not isinstance(text, str) or _text(encoding) != "latin1":
            raise _RefusedError("it encodes something else than bytes")
        return text.encode("latin1")


_WHOLE_NUMBERS = {f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)}

_STAND_INS = {
    ("numpy", "ndarray"): _Named(),
    ("numpy", "dtype"): _MakeDtype(),
    ("_codecs", "encode"): _BytesFromText(),
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _MakeArray() for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _ArrayFromBytes() for core in ("core", "_core")},
}


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin1")
    if not isinstance(value, str):
        raise _RefusedError(f"it holds {type(value).__name__} where a text belongs")
    return value
