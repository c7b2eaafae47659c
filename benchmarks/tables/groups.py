"""What is run together: the lines of a table that share their selections."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.tables.descriptions import Backbone, Dataset, Line, Panel
from benchmarks.tables.strategies import Step, plan_steps

__all__ = ["Group", "Settings"]


@dataclass(frozen=True)
class Settings:
    """What the command line says."""

    data: Path
    output: Path
    weights: Path | None = None
    device: str = "auto"
    n_seeds: int | None = None  # None: the paper's
    budgets: tuple[int, ...] | None = None  # None: the paper's
    n_workers: int | None = None  # None: the extractor's default
    any_size: bool = False
    n_steps: int | None = None  # of FixMatch; None: the original's
    batch_size: int | None = None  # of labelled images, in FixMatch; None: the original's
    n_epochs: int | None = None  # of fine-tuning; None: the paper's


@dataclass(frozen=True)
class Group:
    """The lines of one panel that share their backbones, and so their selections."""

    position: int  # of the panel
    panel: Panel
    budgets: tuple[int, ...]
    selection_backbone: Backbone
    backbone: Backbone | None  # None where the classifier has a network of its own
    lines: tuple[Line, ...]

    def lines_of(self, evaluation: str) -> list[Line]:
        return [line for line in self.lines if line.evaluation == evaluation]

    @property
    def evaluations(self) -> list[str]:
        return list(dict.fromkeys(line.evaluation for line in self.lines))

    @property
    def methods(self) -> list[str]:
        return list(dict.fromkeys(line.method for line in self.lines))

    @property
    def steps(self) -> list[Step]:
        return [step for method in self.methods for step in plan_steps(method, self.panel, self.budgets)]

    @property
    def splits(self) -> list[tuple[Dataset, str]]:
        """What is needed of the dataset."""
        dataset = self.panel.dataset
        return [(dataset, "train")] + ([] if self.evaluations == ["picks"] else [(dataset, dataset.test_split)])

    @property
    def embeddings(self) -> list[tuple[Dataset, str, Backbone]]:
        """What is needed, by which backbones."""
        of_classifiers = [] if self.backbone is None else [(*split, self.backbone) for split in self.splits]
        return [(self.panel.dataset, "train", self.selection_backbone), *of_classifiers]
