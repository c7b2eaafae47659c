"""What was selected and scored for one pool, kept on disk as it comes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import skal
from skal._files._describe import describe
from skal._files._fingerprint import fingerprint, joint_fingerprint
from skal._files._log import AppendLog, read_log

__all__ = ["Records", "Scored", "open_records"]

_FORMAT = "skal evaluation 1"


class Scored(NamedTuple):
    """What a score is known by."""

    classifier: str  # its description
    picks: str  # their fingerprint
    scorer: str  # its description


class Records:
    """Selections and scores by what they depend on, in memory and in an `AppendLog`.

    Picks are known by the description of their sampler and the totals so far, a score by `Scored`; whatever is asked
    for otherwise than before is not found, and so computed anew. Pool, labels and test set are the same for all.

    Parameters
    ----------
    entries : iterable of dict, default=None
        Those of the log. None keeps nothing, in memory neither.
    log : AppendLog, default=None
        Takes what comes. None where it is only read.
    version : str, default=""
        Counts as a part of every description.

    Attributes
    ----------
    keeps : bool
    only_read : bool
        Whether nothing may be computed.
    """

    def __init__(
        self, entries: Iterable[dict[str, Any]] | None = None, log: AppendLog | None = None, version: str = ""
    ) -> None:
        self.keeps = entries is not None
        self.only_read = self.keeps and log is None
        self._log = log
        self._version = version
        self._fingerprints: dict[str, str] = {}
        self._picks: dict[tuple[str, tuple[int, ...]], npt.NDArray[np.int64]] = {}
        self._scores: dict[Scored, dict[str, float]] = {}
        for entry in entries or ():
            self._take(entry)

    def belong_to(self, path: Path, fingerprints: Mapping[str, str]) -> None:
        """Note which labels or test set all of this is for; ValueError if it is for others already."""
        for name, found in fingerprints.items():
            if self._fingerprints.get(name, found) != found:
                raise ValueError(
                    f"{path} was written for other {name}; its results would be mixed with those asked for now. "
                    "Give another path, or remove the file to begin again."
                )
        self._keep(
            [{"of": name, "fingerprint": found} for name, found in fingerprints.items() - self._fingerprints.items()]
        )

    def describe(self, estimator: Any) -> str:
        """Say what decides the result of an estimator; nothing where nothing is kept."""
        return describe(estimator, version=self._version) if self.keeps else ""

    def picks(self, sampler: str, totals: tuple[int, ...]) -> npt.NDArray[np.int64] | None:
        """Return the rows that a sampler added to reach the last of `totals`; None where that is still to be done."""
        return self._picks.get((sampler, totals))

    def keep_picks(self, sampler: str, totals: tuple[int, ...], rows: npt.NDArray[np.int64]) -> None:
        self._keep([{"sampler": sampler, "totals": totals, "picks": rows.tolist()}])

    def scores(self, key: Scored) -> dict[str, float] | None:
        return self._scores.get(key)

    def keep_scores(self, scores: Sequence[tuple[Scored, Mapping[str, float]]]) -> None:
        """Keep what was trained together, all of it before anything else happens."""
        self._keep([{**key._asdict(), "scores": dict(values)} for key, values in scores])

    def _keep(self, entries: list[dict[str, Any]]) -> None:
        if not self.keeps or not entries:
            return
        if self._log is not None:
            self._log.extend(entries)
        for entry in entries:
            self._take(entry)

    def _take(self, entry: dict[str, Any]) -> None:
        if "of" in entry:
            self._fingerprints[entry["of"]] = entry["fingerprint"]
        elif "sampler" in entry:
            key = entry["sampler"], tuple(entry["totals"])
            self._picks[key] = np.array(entry["picks"], dtype=np.int64)
        else:
            self._scores[Scored(entry["classifier"], entry["picks"], entry["scorer"])] = entry["scores"]


@contextmanager
def open_records(
    path: str | os.PathLike[str] | None,
    X: Any,
    parts: Mapping[str, tuple[Any, ...]],
    *,
    only_read: bool = False,
    version: str = "",
) -> Iterator[Records]:
    """Open the records of one pool, or begin them.

    Parameters
    ----------
    path : path or None
        None keeps nothing.
    X : array-like or Pool
        Read as a whole where there is a path, to refuse the records of another pool.
    parts : mapping of str to tuple
        Other data that the records must be for, such as the labels.
    only_read : bool, default=False
        Whether to leave the file as it is; it may then be another process's, or not be there.
    version : str, default=""

    Raises
    ------
    ValueError
        If the file belongs to other data or another version of skal, is damaged, or is something else.
    RuntimeError
        If another process has it open.
    """
    if path is None:
        yield Records([] if only_read else None)
        return
    belongs_to = {"skal": skal.__version__, "pool": fingerprint(X)}
    fingerprints = {name: joint_fingerprint(*data) for name, data in parts.items()}
    if only_read:
        entries = []
        if Path(path).exists():
            entries = read_log(path, format=_FORMAT, belongs_to=belongs_to)[1]
        records = Records(entries, version=version)
        records.belong_to(Path(path), fingerprints)
        yield records
        return
    with AppendLog(path, format=_FORMAT, belongs_to=belongs_to) as log:
        records = Records(log, log, version)
        records.belong_to(Path(path), fingerprints)
        yield records
