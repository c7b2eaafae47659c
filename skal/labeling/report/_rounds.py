"""What was picked, and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from skal import registry

if TYPE_CHECKING:
    from skal.labeling._project import LabelingProject
    from skal.rounds import Round

__all__ = ["Pick", "RoundFacts", "kinds_of", "rounds_of"]

_SHOWN = 60


@dataclass(frozen=True)
class Pick:
    """An image that was picked: why, what it is, and what was said of it."""

    row: int
    why: str
    kind: str
    said: str


@dataclass(frozen=True)
class RoundFacts:
    """One round.

    Parameters
    ----------
    number : int
    time : datetime
        UTC.
    sampler, summary : str
        What picked, and by what rule; the rule is empty where it is none of the library's samplers.
    n_picked, n_held_out : int
    n_labeled, n_skipped : int
        Of both.
    picks : tuple of Pick
        The first 60.
    """

    number: int
    time: datetime
    sampler: str
    summary: str
    n_picked: int
    n_held_out: int
    n_labeled: int
    n_skipped: int
    picks: tuple[Pick, ...]


def kinds_of(project: LabelingProject) -> dict[int, str]:
    """Say of each picked or labelled image what it is: "to train on", "to test with", "skipped" or "waiting"."""
    labels, skipped, held_out = project.labels, project.skipped, set(project.held_out)
    rows = [*(row for each in project.ledger.rounds for row in each.rows), *labels, *skipped]
    return {row: _kind(row, labels, skipped, held_out) for row in sorted(set(rows))}


def rounds_of(project: LabelingProject) -> tuple[RoundFacts, ...]:
    """Describe each round."""
    kinds, labels, skipped = kinds_of(project), project.labels, project.skipped
    summaries = {entry.name: entry.summary for entry in registry.samplers()}
    return tuple(
        RoundFacts(
            each.number,
            each.time.astimezone(UTC),
            each.sampler,
            summaries.get(each.sampler, ""),
            len(each.rows) - len(each.held_out),
            len(each.held_out),
            sum(row in labels for row in each.rows),
            sum(row in skipped for row in each.rows),
            _picks(each, kinds, labels, skipped),
        )
        for each in project.ledger.rounds
    )


def _picks(each: Round, kinds: dict[int, str], labels: dict[int, str], skipped: dict[int, str]) -> tuple[Pick, ...]:
    reasons = each.why or ("",) * len(each.rows)
    return tuple(
        Pick(row, _shortened(why, each.sampler), kinds[row], _said(row, labels, skipped))
        for row, why in list(zip(each.rows, reasons, strict=True))[:_SHOWN]
    )


def _said(row: int, labels: dict[int, str], skipped: dict[int, str]) -> str:
    return labels[row] if row in labels else f"skipped: {skipped[row]}" if row in skipped else "no answer yet"


def _shortened(why: str, sampler: str) -> str:
    """Leave out the sampler, which the round names."""
    return (
        why.replace(f" by {sampler}", "")
        .replace(f"({sampler}, ", "(")
        .replace("drawn at random, to test with", "at random")
    )


def _kind(row: int, labels: dict[int, str], skipped: dict[int, str], held_out: set[int]) -> str:
    if row in skipped:
        return "skipped"
    if row not in labels:
        return "waiting"
    return "to test with" if row in held_out else "to train on"
