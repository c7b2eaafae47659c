"""What a run would do, what data it needs, and about how long it takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from benchmarks.tables.costs import Speed, embedding_seconds, evaluation_seconds, selection_seconds
from benchmarks.tables.descriptions import Backbone, Dataset
from benchmarks.tables.groups import Group
from benchmarks.tables.running import TableRun

__all__ = ["describe"]


def describe(run: TableRun) -> str:
    """Return the plan of a run as text; nothing is computed but this machine's speed."""
    lines, total = [f"Table {run.table.number}. {run.table.caption}.", ""], 0.0
    for what, seconds in _Plan(run).pieces():
        total += seconds or 0.0
        lines.append(f"- {what}{'' if seconds is None else f': about {_readable(seconds)}'}")
    return "\n".join([*lines, "", f"In all about {_readable(total)} on this machine, right to a factor of a few."])


class _Plan:
    def __init__(self, run: TableRun) -> None:
        self.run = run
        self.groups = list(run.groups())
        self.speed = Speed(run.settings.device)
        self.n_found: dict[tuple[Dataset, str], int] = {}

    def pieces(self) -> Iterator[tuple[str, float | None]]:
        """Yield what is needed, and each piece of work with its seconds."""
        for dataset, split in dict.fromkeys(place for group in self.groups for place in group.splits):
            yield f"{dataset.title}, {split}, {_size(dataset, split)} images: {self._presence(dataset, split)}", None
        for backbone in dict.fromkeys(b for group in self.groups for b in (group.selection_backbone, group.backbone)):
            if backbone is not None and backbone.checkpoint is not None:
                yield f"weights, {backbone.checkpoint}: {self._weights()}", None
        for embeddings in dict.fromkeys(each for group in self.groups for each in group.embeddings):
            yield self._embedding(*embeddings)
        for group in self.groups:
            yield from self._selections_and_cells(group)

    def _presence(self, dataset: Dataset, split: str) -> str:
        try:
            self.n_found[dataset, split] = len(self.run.load_images(dataset, split))
        except (OSError, ValueError) as error:
            return str(error)
        return f"there, {self.n_found[dataset, split]}"

    def _weights(self) -> str:
        weights = self.run.settings.weights
        if weights is None:
            return "missing, pass --weights FILE"
        return str(weights) if weights.is_file() else f"{weights}: there is no such file"

    def _embedding(self, dataset: Dataset, split: str, backbone: Backbone) -> tuple[str, float | None]:
        what = f"embeddings of {dataset.title}, {split}, by {backbone.name}"
        if self.run.embeddings_path(dataset, split, backbone).exists():
            return f"{what}: finished", None
        n_images = self.n_found.get((dataset, split), _size(dataset, split))
        n_views = self.run.n_views(dataset, split, backbone)
        seconds = n_views * embedding_seconds(dataset, n_images, backbone, self.speed)
        return f"{what}: {n_images} to make{', both views' if n_views == 2 else ''}", seconds

    def _as_found(self, dataset: Dataset) -> Dataset:
        n_pool = self.n_found.get((dataset, "train"), dataset.n_pool)
        return replace(dataset, n_pool=n_pool, n_test=self.n_found.get((dataset, dataset.test_split), dataset.n_test))

    def _selections_and_cells(self, group: Group) -> Iterator[tuple[str, float | None]]:
        dataset, n_seeds = self._as_found(group.panel.dataset), len(self.run.seeds)
        counts = self.run.n_unfinished(group)
        n_selections, n_missing = len(group.steps) * n_seeds, counts.pop("selections")
        n_features = group.selection_backbone.n_features
        seconds = n_seeds * sum(selection_seconds(step, dataset, n_features, self.speed) for step in group.steps)
        what = f"{dataset.title} by {group.selection_backbone.name}"
        yield f"{what}: {n_missing} of {n_selections} selections to make", seconds * n_missing / n_selections
        for name, n_missing in counts.items():
            n_methods, settings = len(group.lines_of(name)), self.run.settings
            n_cells = n_methods * len(group.budgets) * n_seeds
            seconds = sum(
                evaluation_seconds(name, budget, n_methods * n_seeds, dataset, group.backbone, settings, self.speed)
                for budget in group.budgets
            )
            what_by = f"{what}, {name}" + ("" if group.backbone is None else f" on {group.backbone.name}")
            yield f"{what_by}: {n_missing} of {n_cells} cells to compute", seconds * n_missing / n_cells


def _size(dataset: Dataset, split: str) -> int:
    return dataset.n_pool if split == "train" else dataset.n_test


def _readable(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(1, round(seconds))} s"
