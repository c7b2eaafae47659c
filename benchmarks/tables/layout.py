"""A table as the paper lays it out, with our number, the published one and the difference in each cell."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as RichTable

from benchmarks.tables.descriptions import Backbone, Line, Panel, Table
from benchmarks.tables.published import PublishedCell, find_published, read_published
from benchmarks.tables.running import Results

__all__ = ["Cell", "lay_out", "to_csv", "to_markdown", "to_rich", "width_of"]

CSV_COLUMNS = (
    "table", "dataset", "selection_backbone", "backbone", "method", "evaluation", "metric", "budget", "mean", "std",
    "n_seeds", "published", "published_std", "difference",
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One cell, in per cent."""

    panel: Panel
    line: Line
    budget: int
    mean: float
    std: float | None  # None for one seed; ddof = 1
    n_seeds: int
    published: PublishedCell | None

    @property
    def difference(self) -> float | None:
        return None if self.published is None else self.mean - self.published.value

    @property
    def ours(self) -> str:
        return f"{self.mean:.1f}" + ("" if self.std is None else f" ± {self.std:.1f}")

    @property
    def theirs(self) -> str:
        """The published number and how far ours is from it; a dash where the paper has none that can be read."""
        if self.published is None:
            return "–"
        return f"{self.published.value:g}" + ("" if self.difference is None else f" ({self.difference:+.1f})")


def lay_out(table: Table, columns: list[tuple[int, int]], results: Results) -> list[tuple[Line, list[Cell]]]:
    """Return the lines of a table with their cells; `columns` are pairs of a panel's position and a budget."""
    published = read_published(table.number)

    def cell_at(line: Line, position: int, budget: int) -> Cell:
        panel = table.panels[position]
        known = find_published(published, panel, line, budget)
        scores = 100 * np.array(results[position, line, budget])
        std = float(scores.std(ddof=1)) if len(scores) > 1 else None
        return Cell(panel, line, budget, float(scores.mean()), std, len(scores), known)

    return [(line, [cell_at(line, *column) for column in columns]) for line in table.lines()]


def to_rich(table: Table, lines: list[tuple[Line, list[Cell]]]) -> RichTable:
    """Return a table for the terminal: our mean ± std, and below it the paper's number with the difference."""
    shown = RichTable(title=f"Table {table.number}. {table.caption}", caption=_legend(table), title_justify="left")
    for name in _label_names(table):
        shown.add_column(name, no_wrap=True)
    for cell in lines[0][1]:
        shown.add_column("\n".join(_column_name(table, cell)), justify="right", no_wrap=True)
    for position, (line, cells) in enumerate(lines):
        if position and line.evaluation != lines[position - 1][0].evaluation:
            shown.add_section()
        shown.add_row(*_labels(table, line), *(f"{cell.ours}\n[dim]{cell.theirs}[/dim]" for cell in cells))
    return shown


def width_of(shown: RichTable) -> int:
    """Return the columns of a terminal that show the whole table."""
    wide = Console(width=10_000)
    return Measurement.get(wide, wide.options, shown).maximum


def to_markdown(table: Table, lines: list[tuple[Line, list[Cell]]]) -> str:
    header = [*_label_names(table), *(", ".join(_column_name(table, cell)) for cell in lines[0][1])]
    rows = [header, ["---"] * len(header)]
    for line, cells in lines:
        rows.append([*_labels(table, line), *(f"{cell.ours}<br>{cell.theirs}" for cell in cells)])
    body = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"**Table {table.number}.** {table.caption}\n\n{body}\n\n{_legend(table)}\n"


def to_csv(table: Table, lines: list[tuple[Line, list[Cell]]]) -> str:
    """Return one line a cell, the columns of the published CSVs first, in per cent."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for line, cells in lines:
        for cell in cells:
            theirs = (None, None) if cell.published is None else (cell.published.value, cell.published.std)
            numbers = (cell.mean, cell.std, cell.n_seeds, *theirs, cell.difference)
            writer.writerow(
                [
                    table.number,
                    cell.panel.dataset.name,
                    line.selection_backbone.name,
                    "" if line.backbone is None else line.backbone.name,
                    line.method,
                    line.evaluation,
                    cell.panel.metric,
                    cell.budget,
                    *("" if number is None else f"{number:.6g}" for number in numbers),
                ]
            )
    return file.getvalue()


def _legend(table: Table) -> str:
    metrics = ", ".join(dict.fromkeys(panel.metric for panel in table.panels))
    return f"{metrics}, %: ours, mean ± std over the seeds; below, the paper's number (ours minus the paper's)."


def _label_names(table: Table) -> list[str]:
    of_backbones = ["Selection on", "Classifier on"] if len(table.backbones) > 1 else []
    return ["Method", *of_backbones, *(table.evaluations if len(table.evaluations) > 1 else ())]


def _column_name(table: Table, cell: Cell) -> list[str]:
    """Return the dataset, where there are several, the budget, and its share of the pool, where it is the paper's."""
    dataset = cell.panel.dataset
    in_thousands = dataset.n_pool > 100_000 and cell.budget % 1000 == 0
    budget = f"{cell.budget // 1000}K" if in_thousands else str(cell.budget)
    title = [dataset.title] if len(table.panels) > 1 else []
    share = [f"{100 * cell.budget / dataset.n_pool:.2g}%"] if cell.budget in cell.panel.budgets else []
    return [*title, budget, *share]


def _labels(table: Table, line: Line) -> list[str]:
    labels = [line.method]
    if len(table.backbones) > 1:
        labels += [_initialisation(line.selection_backbone), _initialisation(line.backbone)]
    if len(table.evaluations) > 1:
        labels += ["✓" if line.evaluation == evaluation else "" for evaluation in table.evaluations]
    return labels


def _initialisation(backbone: Backbone | None) -> str:
    if backbone is None:
        return ""
    return "random" if backbone.checkpoint is None else "SSL"
