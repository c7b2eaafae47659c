"""Embed, select, evaluate: one table, each finished piece kept."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.tables.descriptions import Backbone, Dataset, Line, Panel, Table
from benchmarks.tables.evaluations import EVALUATIONS, Split, Trial, make_classifiers
from benchmarks.tables.store import SelectionKey, Store
from benchmarks.tables.strategies import Step, plan_steps, take_step
from skal.datasets import ImageCollection, load_dataset
from skal.evaluation import category_coverage
from skal.evaluation._curve import per_class
from skal.evaluation._journal import part_fingerprint
from skal.features import TorchFeatureExtractor

__all__ = ["Group", "Results", "Settings", "TableRun"]

# (position of the panel, line, budget) → the score of each seed, fractions
Results = dict[tuple[int, Line, int], list[float]]


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


@dataclass(frozen=True)
class Group:
    """The lines of one panel that share their backbones, and so their selections."""

    position: int  # of the panel
    panel: Panel
    budgets: tuple[int, ...]
    selection_backbone: Backbone
    backbone: Backbone
    lines: tuple[Line, ...]

    def lines_of(self, evaluation: str) -> list[Line]:
        return [line for line in self.lines if line.evaluation == evaluation]

    @property
    def evaluations(self) -> list[str]:
        return list(dict.fromkeys(line.evaluation for line in self.lines))

    @property
    def steps(self) -> list[Step]:
        methods = dict.fromkeys(line.method for line in self.lines)
        return [step for method in methods for step in plan_steps(method, self.panel, self.budgets)]

    @property
    def splits(self) -> list[tuple[Dataset, str]]:
        """What is needed of the dataset."""
        dataset = self.panel.dataset
        return [(dataset, "train")] + ([] if self.evaluations == ["picks"] else [(dataset, dataset.test_split)])

    @property
    def embeddings(self) -> list[tuple[Dataset, str, Backbone]]:
        """What is needed, by which backbones."""
        of_classifiers = [(*split, self.backbone) for split in self.splits]
        return [(self.panel.dataset, "train", self.selection_backbone), *of_classifiers]

    def step_to(self, method: str, budget: int) -> Step:
        (step,) = [step for step in self.steps if (step.method, step.budget) == (method, budget)]
        return step


class TableRun:
    """One table with some settings. What is on disk already is not computed again.

    Parameters
    ----------
    table : Table
    settings : Settings
    on_step : callable
        Gets a line of text as each selection and each stack of cells ends.
    """

    def __init__(self, table: Table, settings: Settings, on_step: Callable[[str], object] = lambda what: None) -> None:
        self.table = table
        self.settings = settings
        self.on_step = on_step
        self.store = Store(settings.output)
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
            pool = self.embed(group.panel.dataset, "train", group.selection_backbone)
            for step in group.steps:
                for seed in self.seeds:
                    self._select(step, pool, group.panel.dataset, seed)
            for budget in group.budgets:
                results |= self._coverages(group, pool, budget) | self._accuracies(group, pool, budget)
        return results

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
        classifiers = make_classifiers(group.evaluations, group.panel.dataset, self.settings.device)
        every_cell = {name: len(group.lines_of(name)) * len(group.budgets) * len(self.seeds) for name in classifiers}
        if pool is None:
            return {"selections": len(group.steps) * len(self.seeds), **every_cell}
        keys = [key_of(step, pool, seed) for step in group.steps for seed in self.seeds]
        counts = {"selections": sum(self.store.load_selection(key) is None for key in keys), **every_cell}
        trials = [self._trial(group, pool, budget, self.finished_split) for budget in group.budgets]
        if all(trial is not None for trial in trials):
            counts |= {name: sum(trial.n_unfinished(name) for trial in trials) for name in classifiers}
        return counts

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

    def _select(self, step: Step, pool: Split, dataset: Dataset, seed: int) -> None:
        key = key_of(step, pool, seed)
        if self.store.load_selection(key) is not None:
            return
        previous = None if step.previous is None else self.store.load_selection(key_of(step.previous, pool, seed))
        picks = take_step(step, pool.X, pool.y, dataset.n_classes, seed, self.settings.device, previous)
        self.store.save_selection(key, picks)
        self.on_step(f"{dataset.title}: {step.method} picked {step.budget}, seed {seed}")

    def _coverages(self, group: Group, pool: Split, budget: int) -> Results:
        """Return the coverages of the lines that ask for them; they take no time."""
        found: Results = {}
        for line in group.lines_of("picks"):
            keys = [key_of(group.step_to(line.method, budget), pool, seed) for seed in self.seeds]
            found[group.position, line, budget] = [
                category_coverage(pool.y, self.store.load_selection(key)) for key in keys
            ]
        return found

    def _accuracies(self, group: Group, pool: Split, budget: int) -> Results:
        """Score the selections of one budget that have no scores yet; return the scores of all."""
        trial = self._trial(group, pool, budget, self.embed)
        if not trial.classifiers:
            return {}
        found: Results = {}
        for curve in trial.run(lambda what: self.on_step(f"{group.panel.dataset.title}: {what}")):
            for line in group.lines:
                if line.method in curve.samplers and line.evaluation in curve.classifiers:
                    measure = line.evaluation if group.panel.metric == "top-1" else per_class(line.evaluation)
                    found[group.position, line, budget] = curve.scores(line.method, budget, measure).tolist()
        return found

    def _trial(
        self, group: Group, pool: Split, budget: int, split_of: Callable[[Dataset, str, Backbone], Split | None]
    ) -> Trial | None:
        """Return what is to be scored at one budget, on what `split_of` gives; None where that is not all there."""
        dataset = group.panel.dataset
        classifiers = make_classifiers(group.evaluations, dataset, self.settings.device)
        train = split_of(dataset, "train", group.backbone)
        test = split_of(dataset, dataset.test_split, group.backbone) if classifiers else train
        if train is None or test is None:
            return None
        histories = {
            line.method: group.step_to(line.method, budget).history
            for line in group.lines
            if line.evaluation in classifiers
        }
        return Trial(train, test, classifiers, budget, histories, pool.name, self.seeds, self.store)


def _is_random(place: tuple[Dataset, str, Backbone]) -> bool:
    """Sort what needs a checkpoint before what does not, so that a wrong one is met first."""
    _, _, backbone = place
    return backbone.checkpoint is None


def _split(dataset: Dataset, split: str, backbone: Backbone, X: np.ndarray, y: np.ndarray) -> Split:
    found = part_fingerprint(X, y)
    return Split(f"{dataset.name}-{backbone.name}-{split}-{found[:12]}", X, y, found)


def key_of(step: Step, pool: Split, seed: int) -> SelectionKey:
    return SelectionKey(pool.name, step.method, seed, step.history)
