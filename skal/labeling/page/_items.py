"""What the page knows of each image, as JSON can say it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from statistics import median
from typing import TYPE_CHECKING, Any

from skal.labeling._keys import class_keys
from skal.labeling._votes import agreed_answer, is_together, latest_of_each
from skal.rounds import Answer, SetAside

if TYPE_CHECKING:
    from skal.labeling._project import LabelingProject

__all__ = ["PAGE", "Items"]

PAGE = "page"  # the source of what is said here
MOST_WITH_KEYS = 20


class Items:
    """The images of a project's rounds in order, behind them those labelled many at once that no round picked.

    It is kept beside the ledger, and told which rows changed, so that an answer costs the same in a large project.

    Parameters
    ----------
    project : LabelingProject
    """

    def __init__(self, project: LabelingProject) -> None:
        self._project = project
        rounds, held_out = project.ledger.rounds, set(project.held_out)
        self._round_of = {row: each.number for each in rounds for row in each.rows if project.is_current(row)}
        self._held_out = held_out
        self._items: dict[int, dict[str, Any]] = {}
        self._n_answers: dict[int, int] = {}
        history = project.ledger.history
        self._seconds = [each.seconds for each in history if each.source == PAGE and each.seconds]
        together = {each.row for each in history if is_together(each)}
        self.update([*self._round_of, *sorted(together - self._round_of.keys())])
        self._labels_elsewhere = {label for row, label in project.labels.items() if row not in self._items}
        self._n_answers |= {row: self._count(row) for row in {each.row for each in history}}

    def __contains__(self, row: int) -> bool:
        return row in self._items

    @property
    def is_first_round_done(self) -> bool:
        """Whether there is a second round, or nothing left to label in the first."""
        return max(self._round_of.values(), default=0) > 1 or not any(map(self._is_open, self._round_of))

    def rows_to_suggest_for(self) -> list[int]:
        """Images without label from the second round on, and none that is to test with."""
        return [
            row for row, number in self._round_of.items()
            if number > 1 and row not in self._held_out and self._is_open(row)
        ]  # fmt: skip

    @property
    def classes(self) -> tuple[str, ...]:
        """As `LabelingProject.classes`."""
        listed = self._project.settings.classes
        given = self._labels_elsewhere | {item["label"] for item in self._items.values() if item["label"] is not None}
        return (*listed, *sorted(given - set(listed)))

    def update(self, rows: Iterable[int]) -> list[dict[str, Any]]:
        """Look again at what was said of some images; return what there is to know of them now."""
        return [self._updated(row) for row in rows]

    def took(self, seconds: float | None) -> None:
        """Count how long a label took."""
        if seconds:
            self._seconds.append(seconds)

    def all(self) -> list[dict[str, Any]]:
        return list(self._items.values())

    def totals(self) -> dict[str, Any]:
        """Classes with their keys and counts, progress, time and money."""
        items, classes = self._items.values(), self.classes
        keys = class_keys(classes, self._project.settings.keys)
        counts = Counter(item["label"] for item in items)
        return {
            "is_searched": self._is_searched(classes),
            "classes": [{"name": name, "key": keys[name], "count": counts[name]} for name in classes],
            "n_picked": len(self._round_of),
            "n_held_out": len(self._held_out & self._round_of.keys()),
            "n_together": sum(item["is_together"] for item in items),
            "seconds": median(self._seconds) if self._seconds else None,
            "money": self._money(),
        }

    def _is_searched(self, classes: tuple[str, ...]) -> bool:
        """Whether classes are typed: where there are too many for keys, and not each was given one."""
        return len(classes) > MOST_WITH_KEYS and not set(classes) <= self._project.settings.keys.keys()

    def _money(self) -> dict[str, float] | None:
        price, money = self._project.settings.price, self._project.settings.money
        if price is None:
            return None
        spent = price * sum(self._n_answers.values())
        left = price * sum(map(self._is_open, self._round_of)) if money is None else money - spent
        return {"spent": spent, "left": left}

    def _updated(self, row: int) -> dict[str, Any]:
        said = agreed_answer(self._project.ledger.standing(row))
        item = {
            "row": row,
            "label": str(said.label) if isinstance(said, Answer) else None,
            "skipped": said.reason if isinstance(said, SetAside) else None,
            "is_alone": row in self._held_out,
            "is_together": said is not None and is_together(said),
            "round": self._round_of.get(row),
        }
        self._n_answers[row] = self._count(row)
        if said is not None or row in self._round_of:
            self._items[row] = item
            return item
        self._items.pop(row, None)
        return item | {"is_gone": True}

    def _count(self, row: int) -> int:
        """Answers that are paid for: one for each person."""
        return len(latest_of_each(self._project.ledger.standing(row)))

    def _is_open(self, row: int) -> bool:
        item = self._items[row]
        return item["label"] is None and item["skipped"] is None
