"""Embed, select, evaluate: one table, each finished piece kept."""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import skal
from benchmarks.tables.descriptions import Backbone, Dataset, Line, Panel, Table
from benchmarks.tables.evaluations import EVALUATIONS, METRICS, Split, make_classifiers
from benchmarks.tables.groups import Group, Settings
from benchmarks.tables.strategies import make_strategies
from skal.datasets import ImageCollection, load_dataset
from skal.evaluation import BudgetCurve, Score, Selection, Selections, score, select
from skal.features import TorchFeatureExtractor

__all__ = ["Results", "TableRun"]

# (position of the panel, line, budget) → the score of each seed, fractions
Results = dict[tuple[int, Line, int], list[float]]


class TableRun:
    """One table with some settings. What is on disk already is not computed again.

    Parameters
    ----------
    table : Table
    settings : Settings
    on_step : callable
        Gets a line of text as each selection is made, and as all cells of a method and budget are.
    """

    def __init__(self, table: Table, settings: Settings, on_step: Callable[[str], object] = lambda what: None) -> None:
        self.table = table
        self.settings = settings
        self.on_step = on_step
        self._images: dict[tuple[Dataset, str], ImageCollection] = {}
        self._splits: dict[tuple[Dataset, str, Backbone], Split] = {}
        self._finished_splits: dict[tuple[Dataset, str, Backbone], Split] = {}

    @property
    def seeds(self) -> range:
        return range(self.settings.n_seeds or self.table.n_seeds)

    def groups(self) -> Iterator[Group]:
        """Yield what can be run, in the paper's order."""
        for position, panel in enumerate(self.table.panels):
            budgets = self.budgets_of(panel)
            by_backbones = defaultdict(list)
            for line in self.table.lines():
                if line.evaluation in EVALUATIONS and line.backbone is not None:
                    by_backbones[line.selection_backbone, line.backbone].append(line)
            for backbones, lines in by_backbones.items():
                if budgets:
                    yield Group(position, panel, budgets, *backbones, tuple(lines))

    def budgets_of(self, panel: Panel) -> tuple[int, ...]:
        """Return a panel's columns: its own, or those asked for but for what another panel alone has."""
        if self.settings.budgets is None:
            return panel.budgets
        of_others = {budget for other in self.table.panels for budget in other.budgets} - set(panel.budgets)
        return tuple(sorted(set(self.settings.budgets) - of_others))

    def columns(self) -> list[tuple[int, int]]:
        """Return the columns of the table as pairs of a panel's position and a budget."""
        return [
            (position, budget) for position, panel in enumerate(self.table.panels) for budget in self.budgets_of(panel)
        ]

    def run(self) -> Results:
        """Do what is not done yet; return the scores of the whole table."""
        results: Results = {}
        groups = list(self.groups())
        self._refuse_early(groups)
        for place in sorted(dict.fromkeys(place for group in groups for place in group.embeddings), key=_is_random):
            self.embed(*place)
        for group in groups:
            selections = self.select(group)
            results |= self._coverages(group, selections)
            if self.classifiers_of(group):
                results |= self._scores(group, self.score(group, selections))
        return results

    def classifiers_of(self, group: Group) -> dict:
        return make_classifiers(group.evaluations, group.panel.dataset, self.settings.device)

    def select(self, group: Group) -> Selections:
        """Make the selections of a group that are not made yet; return those at its budgets."""
        pool = self.embed(group.panel.dataset, "train", group.selection_backbone)
        finished = self._selected(group, pool, only_finished=True)

        def say(selection: Selection) -> None:
            if (selection.sampler, selection.budget, selection.seed) not in finished:
                self.on_step(
                    f"{group.panel.dataset.title}: {selection.sampler} picked {selection.budget}, seed {selection.seed}"
                )

        made = self._selected(group, pool, on_selection=say)
        return Selections({key: made[key] for key in made if key.budget in group.budgets}, pool.y)

    def score(self, group: Group, selections: Selections) -> BudgetCurve:
        """Score the selections of a group as far as they are not scored yet."""
        splits = [self.embed(*split, group.backbone) for split in group.splits]
        finished = self._scored(group, selections, splits, only_finished=True)
        n_classifiers = len(finished.classifiers)
        n_known, n_old = Counter(), Counter()

        def say(score: Score) -> None:
            place = score.sampler, score.budget
            n_known[place] += 1
            n_old[place] += (*place, score.seed, score.classifier, "accuracy") in finished.values
            if n_known[place] == n_classifiers * len(self.seeds) > n_old[place]:
                what = " and ".join(finished.classifiers)
                self.on_step(f"{group.panel.dataset.title}: {what} of {score.sampler} at {score.budget}")

        return self._scored(group, selections, splits, on_score=say)

    def embed(self, dataset: Dataset, split: str, backbone: Backbone) -> Split:
        """Return one split through one backbone, from disk as far as it is there."""
        place = (dataset, split, backbone)
        if place not in self._splits:
            images = self.load_images(dataset, split)
            path = self.embeddings_path(dataset, split, backbone)
            path.parent.mkdir(parents=True, exist_ok=True)
            with warnings.catch_warnings():
                if backbone.checkpoint is None:
                    warnings.filterwarnings("ignore", message="weights=None")
                X = self._extractor(dataset, backbone).embed(images, path).embeddings
            self._splits[place] = _split(dataset, split, backbone, X, images.y)
        return self._splits[place]

    def finished_split(self, dataset: Dataset, split: str, backbone: Backbone) -> Split | None:
        """Return the embeddings that are on disk, as they are; None where they are not finished."""
        path = self.embeddings_path(dataset, split, backbone)
        if not path.exists():
            return None
        place = (dataset, split, backbone)
        if place not in self._finished_splits:
            y = self.load_images(dataset, split).y
            self._finished_splits[place] = _split(*place, np.load(path, mmap_mode="r"), y)
        return self._finished_splits[place]

    def n_unfinished(self, group: Group) -> dict[str, int]:
        """Count what is still to compute: "selections", and the cells of each classifier."""
        pool = self.finished_split(group.panel.dataset, "train", group.selection_backbone)
        n_cells = len(group.budgets) * len(self.seeds)
        every_cell = {name: len(group.lines_of(name)) * n_cells for name in self.classifiers_of(group)}
        n_selections = len(group.steps) * len(self.seeds)
        if pool is None:
            return {"selections": n_selections, **every_cell}
        made = self._selected(group, pool, only_finished=True)
        left = {"selections": n_selections - len(made), **every_cell}
        splits = [self.finished_split(*split, group.backbone) for split in group.splits]
        if None in splits or not every_cell:
            return left
        wanted = Selections({key: made[key] for key in made if key.budget in group.budgets})
        for key in self._scored(group, wanted, splits, only_finished=True).values:
            if key.classifier is not None and key.metric == "accuracy":
                left[key.classifier] -= 1
        return left

    def load_images(self, dataset: Dataset, split: str) -> ImageCollection:
        """Read which images there are, once; FileNotFoundError says what is missing and how to get it."""
        if (dataset, split) in self._images:
            return self._images[dataset, split]
        named = self.settings.data / dataset.name
        root = named if named.is_dir() else self.settings.data
        try:
            images = load_dataset(dataset.name, root, split=split, check_sizes=not self.settings.any_size)
        except ValueError as error:
            raise ValueError(str(error).replace("pass check_sizes=False", "pass --any-size")) from error
        if images.y is None:
            raise ValueError(f"{dataset.title}, {split}: the images have no labels, and a table needs them.")
        self._images[dataset, split] = images
        return images

    def embeddings_path(self, dataset: Dataset, split: str, backbone: Backbone) -> Path:
        return self.settings.output / "embeddings" / f"{dataset.name}-{backbone.name}-{split}.npy"

    def _extractor(self, dataset: Dataset, backbone: Backbone) -> TorchFeatureExtractor:
        extractor = TorchFeatureExtractor(
            backbone.architecture,
            None if backbone.checkpoint is None else str(self.settings.weights),
            image_transform=dataset.name if dataset.name.startswith("cifar") else "imagenet",
            device=self.settings.device,
            normalize=False,  # samplers and NN normalise rows themselves; LIN and Max-Entropy take them as they are
            random_state=0,
            verbose=1,
        )
        if self.settings.n_workers is not None:
            extractor.set_params(num_workers=self.settings.n_workers)
        return extractor

    def _refuse_early(self, groups: list[Group]) -> None:
        """Refuse what would fail after hours of embedding: missing weights or images, budgets too large."""
        for group in groups:
            for backbone in (group.selection_backbone, group.backbone):
                if backbone.checkpoint is not None and self.settings.weights is None:
                    raise ValueError(f"Table {self.table.number} needs --weights FILE: {backbone.checkpoint}.")
            n_pool, *_ = [len(self.load_images(*split)) for split in group.splits]
            if max(group.budgets) > n_pool:
                raise ValueError(
                    f"{group.panel.dataset.title} has {n_pool} images to pick from here, fewer than a budget of "
                    f"{max(group.budgets)}; pass smaller --budgets."
                )

    def _selected(self, group: Group, pool: Split, **more: Any) -> Selections:
        """Return all selections of a group, those on the way of strategies in rounds included."""
        path = self.settings.output / "selections" / f"{pool.name}.jsonl"
        if not more.get("only_finished"):
            path.parent.mkdir(parents=True, exist_ok=True)
        found: dict[Any, np.ndarray] = {}
        for strategies, budgets in make_strategies(group.methods, group.panel, group.budgets, self.settings.device):
            common = {"budgets": budgets, "n_seeds": len(self.seeds), "resume_from": path}
            found |= select(strategies, pool.pool, pool.y, **common, **more)
        return Selections(found)

    def _scored(self, group: Group, selections: Selections, splits: list[Split], **more: Any) -> BudgetCurve:
        pool, test = splits[0], splits[-1]
        path = self.settings.output / "scores" / pool.name / f"{test.name}.jsonl"
        if not more.get("only_finished"):
            path.parent.mkdir(parents=True, exist_ok=True)
        return score(
            selections, self.classifiers_of(group), pool.pool, pool.y, test.pool, test.y,
            scoring=tuple(METRICS.values()), resume_from=path, **more,
        )  # fmt: skip

    def _coverages(self, group: Group, selections: Selections) -> Results:
        return {
            (group.position, line, budget): [selections.coverage[line.method, budget, seed] for seed in self.seeds]
            for line in group.lines_of("picks")
            for budget in group.budgets
        }

    def _scores(self, group: Group, curve: BudgetCurve) -> Results:
        return {
            (group.position, line, budget): curve.scores(
                line.method, budget, line.evaluation, METRICS[group.panel.metric]
            ).tolist()
            for line in group.lines
            if line.evaluation in curve.classifiers
            for budget in group.budgets
        }


def _is_random(place: tuple[Dataset, str, Backbone]) -> bool:
    """Sort what needs a checkpoint before what does not, so that a wrong one is met first."""
    _, _, backbone = place
    return backbone.checkpoint is None


def _split(dataset: Dataset, split: str, backbone: Backbone, X: np.ndarray, y: np.ndarray) -> Split:
    pool = skal.Pool(X)
    found = hashlib.sha256(f"{pool.fingerprint()} {y.tolist()}".encode()).hexdigest()
    return Split(f"{dataset.name}-{backbone.name}-{split}-{found[:12]}", pool, y)
