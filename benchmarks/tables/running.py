"""Embed, select, evaluate: one table, each finished piece kept."""

from __future__ import annotations

import hashlib
import shutil
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import skal
from benchmarks.tables.descriptions import Backbone, Dataset, Line, Panel, Table
from benchmarks.tables.evaluations import METRICS, ON_IMAGES, Split, checkpoints, make_classifiers
from benchmarks.tables.groups import Group, Settings
from benchmarks.tables.strategies import make_strategies
from skal.datasets import ImageCollection, load_dataset
from skal.evaluation import BudgetCurve, Score, Selection, Selections, score, select
from skal.features import TorchFeatureExtractor

__all__ = ["Results", "TableRun"]

# (position of the panel, line, budget) → the score of each seed, fractions
Results = dict[tuple[int, Line, int], list[float]]


@dataclass(frozen=True)
class Data:
    """What one evaluation trains and tests on, and the name of the file that keeps its scores."""

    name: str
    X: Any
    y: np.ndarray
    X_test: Any
    y_test: np.ndarray


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
            for evaluation in self.classifiers_of(group):
                results |= self._scores(group, evaluation, self.score(group, evaluation, selections))
        return results

    def classifiers_of(self, group: Group) -> dict:
        return make_classifiers(group.evaluations, group.panel.dataset, group.backbone, self.settings)

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

    def score(self, group: Group, evaluation: str, selections: Selections) -> BudgetCurve:
        """Score the selections of a group by one evaluation as far as they are not scored yet."""
        data = self.data_for(group, evaluation)
        finished = self._scored(group, evaluation, selections, data, only_finished=True)
        n_known, n_old = Counter(), Counter()

        def say(score: Score) -> None:
            place = score.sampler, score.budget
            is_old = (*place, score.seed, score.classifier, "accuracy") in finished.values
            n_known[place] += 1
            n_old[place] += is_old
            if evaluation in ON_IMAGES and not is_old:  # the score is on disk: its network is not needed any more
                shutil.rmtree(checkpoints(self.settings), ignore_errors=True)
            if n_known[place] == len(self.seeds) > n_old[place]:
                self.on_step(f"{group.panel.dataset.title}: {evaluation} of {score.sampler} at {score.budget}")

        return self._scored(group, evaluation, selections, data, on_score=say)

    def data_for(self, group: Group, evaluation: str, *, only_finished: bool = False) -> Data | None:
        """Return what an evaluation trains and tests on; None where that is not finished and may not be made."""
        split_of = self.finished_split if only_finished else self.embed
        if group.backbone is not None:
            splits = [split_of(*split, group.backbone) for split in group.splits]
            if None in splits:
                return None
            (pool, test), name = splits, f"{splits[0].name}/{splits[-1].name}"
        if evaluation in ON_IMAGES:
            pool, test = (self.load_images(*split) for split in group.splits)
            own = f"{group.panel.dataset.name}-FixMatch" if group.backbone is None else f"{name}-images"
            return Data(own, _paths_or_pixels(pool), pool.y, _paths_or_pixels(test), test.y)
        if evaluation == "LIN":
            return Data(f"{name}-both-views", pool.both_views, pool.y, test.both_views, test.y)
        return Data(name, pool.pool, pool.y, test.pool, test.y)

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
                extractor = self._extractor(dataset, backbone).set_params(views=self.n_views(*place))
                X = extractor.embed(images, path).embeddings
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
        left = {name: len(group.lines_of(name)) * n_cells for name in self.classifiers_of(group)}
        n_selections = len(group.steps) * len(self.seeds)
        if pool is None:
            return {"selections": n_selections, **left}
        made = self._selected(group, pool, only_finished=True)
        wanted = Selections({key: made[key] for key in made if key.budget in group.budgets})
        for evaluation in left:
            data = self.data_for(group, evaluation, only_finished=True)
            if data is not None:
                scored = self._scored(group, evaluation, wanted, data, only_finished=True)
                left[evaluation] -= sum(key.metric == "accuracy" for key in scored.values)
        return {"selections": n_selections - len(made), **left}

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

    def n_views(self, dataset: Dataset, split: str, backbone: Backbone) -> int:
        """Both views where a linear layer is trained on them, or where another table has made them."""
        return 2 if "LIN" in self.table.evaluations or self._path(dataset, split, backbone, 2).exists() else 1

    def embeddings_path(self, *place: Any) -> Path:
        return self._path(*place, self.n_views(*place))

    def _path(self, dataset: Dataset, split: str, backbone: Backbone, n_views: int) -> Path:
        name = f"{dataset.name}-{backbone.name}-{split}{'-both-views' if n_views == 2 else ''}.npy"
        return self.settings.output / "embeddings" / name

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
                if backbone is not None and backbone.checkpoint is not None and self.settings.weights is None:
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

    def _scored(self, group: Group, evaluation: str, selections: Selections, data: Data, **more: Any) -> BudgetCurve:
        path = self.settings.output / "scores" / f"{data.name}.jsonl"
        if not more.get("only_finished"):
            path.parent.mkdir(parents=True, exist_ok=True)
        classifiers = {evaluation: self.classifiers_of(group)[evaluation]}
        return score(
            selections, classifiers, data.X, data.y, data.X_test, data.y_test,
            scoring=tuple(METRICS.values()), resume_from=path, **more,
        )  # fmt: skip

    def _coverages(self, group: Group, selections: Selections) -> Results:
        return {
            (group.position, line, budget): [selections.coverage[line.method, budget, seed] for seed in self.seeds]
            for line in group.lines_of("picks")
            for budget in group.budgets
        }

    def _scores(self, group: Group, evaluation: str, curve: BudgetCurve) -> Results:
        metric = METRICS[group.panel.metric]
        return {
            (group.position, line, budget): curve.scores(line.method, budget, evaluation, metric).tolist()
            for line in group.lines_of(evaluation)
            for budget in group.budgets
        }


def _is_random(place: tuple[Dataset, str, Backbone]) -> bool:
    """Sort what needs a checkpoint before what does not, so that a wrong one is met first."""
    _, _, backbone = place
    return backbone.checkpoint is None


def _split(dataset: Dataset, split: str, backbone: Backbone, X: np.ndarray, y: np.ndarray) -> Split:
    has_both_views = X.shape[1] == 2 * backbone.n_features
    pool = skal.Pool(X[:, : backbone.n_features])
    found = hashlib.sha256(f"{pool.fingerprint()} {y.tolist()}".encode()).hexdigest()
    name = f"{dataset.name}-{backbone.name}-{split}-{found[:12]}"
    return Split(name, pool, y, skal.Pool(X) if has_both_views else None)


def _paths_or_pixels(images: ImageCollection) -> Any:
    return images.images if isinstance(images.images, np.ndarray) else [str(path) for path in images.images]
