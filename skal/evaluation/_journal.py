"""Selections and scores kept on disk as they come, so that an interrupted curve goes on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import skal

__all__ = ["Journal", "describe", "fingerprint", "joint_fingerprint", "part_fingerprint"]

_FORMAT = "skal journal 1"
_TILE_BYTES = 2**24


class Journal:
    """What was computed for one pool and test set, one JSON object a line.

    A selection is known by the full description of its sampler, a score by that of its classifier and by
    the picks; so whatever is asked for otherwise than before is computed anew, and nothing else.

    Parameters
    ----------
    path : path or None
        Read if it exists, made if it does not. None keeps nothing.
    data : str
        `fingerprint` of the data.

    Raises
    ------
    ValueError
        If the file belongs to other data or another version of skal, or is no journal.
    """

    def __init__(self, path: str | os.PathLike[str] | None, data: str) -> None:
        self._path = None if path is None else Path(path)
        self._selections: dict[str, npt.NDArray[np.int64]] = {}
        self._scores: dict[str, dict[str, float]] = {}
        if self._path is None:
            return
        header = {"format": _FORMAT, "skal": skal.__version__, "data": data}
        lines = self._read_lines()
        if lines:
            self._check_header(lines[0], header)
            for number, line in enumerate(lines[1:], start=2):
                self._take(line, number)
        else:
            self._append(header)

    def selection(self, sampler: str) -> npt.NDArray[np.int64] | None:
        return self._selections.get(sampler)

    def score(self, classifier: str, picks: npt.NDArray[np.int64]) -> dict[str, float] | None:
        return self._scores.get(_score_key(classifier, picks))

    def keep_selection(self, sampler: str, picks: npt.NDArray[np.int64]) -> None:
        self._append({"selection": sampler, "picks": picks.tolist()})

    def keep_score(self, classifier: str, picks: npt.NDArray[np.int64], scores: Mapping[str, float]) -> None:
        self._append({"score": _score_key(classifier, picks), "scores": dict(scores)})

    def _read_lines(self) -> list[bytes]:
        """Whole lines of the file; what a crash left of the last one is cut off."""
        assert self._path is not None  # noqa: S101
        if not self._path.exists():
            return []
        content = self._path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            if not whole and not content.startswith(b'{"format": "skal journal'):
                raise self._not_a_journal()
            os.truncate(self._path, len(whole))
        return whole.splitlines()

    def _check_header(self, line: bytes, expected: dict[str, str]) -> None:
        try:
            found = json.loads(line)
        except ValueError as error:
            raise self._not_a_journal() from error
        if not isinstance(found, dict) or found.get("format") != _FORMAT:
            raise self._not_a_journal()
        if found != expected:
            what = "other data" if found.get("data") != expected["data"] else f"skal {found.get('skal')}"
            raise ValueError(
                f"{self._path} was written for {what}; its results would be mixed with those asked for now. "
                "Give another path, or remove the file to begin again."
            )

    def _take(self, line: bytes, number: int) -> None:
        try:
            entry = json.loads(line)
            if "selection" in entry:
                self._selections[entry["selection"]] = np.array(entry["picks"], dtype=np.int64)
            else:
                self._scores[entry["score"]] = entry["scores"]
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"line {number} of {self._path} is damaged; remove that line to go on.") from error

    def _not_a_journal(self) -> ValueError:
        return ValueError(f"{self._path} exists and is no journal of budget_curve; give another path.")

    def _append(self, entry: dict[str, Any]) -> None:
        if self._path is None:
            return
        with self._path.open("ab") as file:
            file.write(json.dumps(entry).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def describe(value: Any) -> str:
    """Say all that decides an estimator's result: its class and every parameter, nested ones and their values too."""
    if hasattr(value, "get_params") and not isinstance(value, type):
        parameters = sorted(value.get_params(deep=False).items())
        return f"{_name(type(value))}({', '.join(f'{k}={describe(v)}' for k, v in parameters)})"
    if isinstance(value, torch.nn.Module):
        return f"{value!r} with {describe(dict(value.state_dict()))}"
    if hasattr(value, "__array__") and not isinstance(value, (type, np.generic)):
        return _describe_array(value)
    if isinstance(value, Mapping):
        items = sorted((describe(k), describe(v)) for k, v in value.items())
        return f"{_name(type(value))}({', '.join(f'{k}: {v}' for k, v in items)})"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({', '.join(map(describe, value))})"
    if isinstance(value, (set, frozenset)):
        return f"{type(value).__name__}({', '.join(sorted(map(describe, value)))})"
    return _describe_function(value) if callable(value) else repr(value)


def fingerprint(X: Any, y: Any, X_test: Any, y_test: Any) -> str:
    """Tell data sets apart by shape, dtype and every value; reads all of X and X_test, tile by tile."""
    return joint_fingerprint(part_fingerprint(X, y), part_fingerprint(X_test, y_test))


def joint_fingerprint(pool: str, test: str) -> str:
    """Return the `fingerprint` of a pool and a test set from their `part_fingerprint`."""
    return hashlib.sha256(f"{pool} {test}".encode()).hexdigest()


def part_fingerprint(X: Any, y: Any) -> str:
    """Tell rows with labels apart by shape, dtype and every value."""
    return hashlib.sha256(f"{_digest(X)} {_digest(y)}".encode()).hexdigest()


def _name(thing: Any) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"


def _describe_array(value: Any) -> str:
    axes = [
        _digest(getattr(value, axis))
        for axis in ("index", "columns")
        if hasattr(value, "iloc") and hasattr(value, axis)
    ]
    return (
        f"{_name(type(value))}({value.dtype if hasattr(value, 'dtype') else ''}, {', '.join([_digest(value), *axes])})"
    )


def _describe_function(value: Any) -> str:
    """Name a function, and what two of one name may differ in: code, defaults and the variables it closes over."""
    if isinstance(value, partial):
        return f"partial({describe(value.func)}, {describe(value.args)}, {describe(value.keywords)})"
    if isinstance(value, MethodType):
        return f"{_name(value)} of {describe(value.__self__)}"
    if not hasattr(value, "__qualname__"):
        return repr(value)
    if not isinstance(value, FunctionType):
        return _name(value)
    closed_over = [_describe_closed_over(cell.cell_contents) for cell in value.__closure__ or ()]
    parts = (_describe_code(value.__code__), describe(value.__defaults__), describe(value.__kwdefaults__), *closed_over)
    return f"{_name(value)}({', '.join(parts)})"


def _describe_closed_over(value: Any) -> str:
    """Describe a variable of a closure; a function by its code alone, for it may close over itself."""
    return _describe_code(value.__code__) if isinstance(value, FunctionType) else describe(value)


def _describe_code(code: CodeType) -> str:
    constants = [_describe_code(each) if isinstance(each, CodeType) else describe(each) for each in code.co_consts]
    content = repr((code.co_code, code.co_names, code.co_varnames, constants)).encode()
    return hashlib.sha256(content).hexdigest()


def _score_key(classifier: str, picks: npt.NDArray[np.int64]) -> str:
    return f"{classifier} on {_digest(picks)}"


def _digest(values: Any) -> str:
    """Hash shape, dtype and every value of an array, frame, tensor or list, `_TILE_BYTES` at a time."""
    if not (hasattr(values, "shape") and hasattr(values, "dtype")) and not hasattr(values, "iloc"):
        values = np.asarray(values)
    shape = tuple(values.shape)
    first = _as_array(values[:1] if shape else values)
    digest = hashlib.sha256(f"{first.dtype} {shape};".encode())
    if not shape or 0 in shape:
        digest.update(_content(first))
        return digest.hexdigest()
    n_rows = max(1, _TILE_BYTES // first.nbytes)
    positional = getattr(values, "iloc", values)
    for start in range(0, shape[0], n_rows):
        digest.update(_content(_as_array(positional[start : start + n_rows])))
    return digest.hexdigest()


def _as_array(values: Any) -> npt.NDArray[Any]:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.dtype == torch.bfloat16 else values).resolve_conj().resolve_neg()
    array: npt.NDArray[Any] = np.asarray(values)
    return array


def _content(values: npt.NDArray[Any]) -> bytes:
    if values.dtype.kind == "O":
        return "".join(f"{describe(each)}\0" for each in values.ravel().tolist()).encode()
    return values.tobytes()
