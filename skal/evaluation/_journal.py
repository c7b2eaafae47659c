"""Selections and scores kept on disk as they come, so that an interrupted curve goes on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import skal
from skal._validation import rows_of

__all__ = ["Journal", "describe", "fingerprint"]

_FORMAT = "skal journal 1"
_N_ROWS_COMPARED = 256


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
    """Say all that decides an estimator's result: its class and every parameter, nested ones too."""
    if hasattr(value, "get_params") and not isinstance(value, type):
        parameters = sorted(value.get_params(deep=False).items())
        kind = type(value)
        return f"{kind.__module__}.{kind.__qualname__}({', '.join(f'{k}={describe(v)}' for k, v in parameters)})"
    if isinstance(value, np.ndarray):
        return f"array({value.dtype}, {value.shape}, {_digest(value)})"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({', '.join(map(describe, value))})"
    return repr(value)


def fingerprint(X: Any, y: Any, X_test: Any, y_test: Any) -> str:
    """Tell data sets apart by shape, dtype, evenly spaced rows and all labels, without reading X whole."""
    digest = hashlib.sha256()
    for rows, labels in ((X, y), (X_test, y_test)):
        n_rows = len(rows)
        compared = np.unique(np.linspace(0, n_rows - 1, _N_ROWS_COMPARED).astype(np.int64))
        some = rows_of(rows, compared)
        some = some.detach().cpu().float().numpy() if isinstance(some, torch.Tensor) else np.asarray(some)
        digest.update(f"{n_rows} {some.dtype} {some.shape} {_digest(some)} {_digest(np.asarray(labels))};".encode())
    return digest.hexdigest()


def _score_key(classifier: str, picks: npt.NDArray[np.int64]) -> str:
    return f"{classifier} on {_digest(picks)}"


def _digest(values: npt.NDArray[Any]) -> str:
    if values.dtype.kind == "O":
        content = "\0".join(map(repr, values.ravel().tolist())).encode()
    else:
        content = np.ascontiguousarray(values).tobytes()
    return hashlib.sha256(content).hexdigest()
