"""What the picks bought, by the engine of `budget_curve`, of selections that are on disk already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.base import clone

from benchmarks.tables.descriptions import Dataset
from benchmarks.tables.store import SelectionKey, Store
from skal._validation import set_random_states
from skal.base import BaseSampler
from skal.classifiers import CosineKNNClassifier, LinearProbe
from skal.evaluation import BudgetCurve
from skal.evaluation._budget_curve import evaluate
from skal.evaluation._journal import Journal, describe, joint_fingerprint

__all__ = ["EVALUATIONS", "Split", "Trial", "make_classifiers"]

EVALUATIONS = ("LIN", "NN", "picks")  # those that can be run; the classifiers of the others are still to come

# Of large budgets few runs are trained together, so that an interruption costs little; small ones gain most by many.
ROWS_AT_ONCE = 100_000


@dataclass(frozen=True)
class Split:
    """Embeddings of one split with their labels, and a name that no other embeddings have."""

    name: str
    X: np.ndarray
    y: np.ndarray
    fingerprint: str  # read from all of X and y once, as both may be large


class StoredSampler(BaseSampler):
    """Give the rows that a strategy picked before, of `history` and of the seed in `random_state`."""

    _parameter_constraints: dict = {
        **BaseSampler._parameter_constraints,
        "folder": [str],
        "pool": [str],
        "method": [str],
        "history": [str],
    }
    _reads_every_row = True  # nothing of X is read, so nothing needs a check

    def __init__(self, budget=10, *, folder=".", pool="", method="", history="", random_state=None):
        super().__init__(budget, random_state=random_state)
        self.folder = folder
        self.pool = pool
        self.method = method
        self.history = history

    def _select_rows(self, X, y, labeled_idx, budget, rng):
        key = SelectionKey(self.pool, self.method, self.random_state, self.history)
        return Store(Path(self.folder)).load_selection(key)


def make_classifiers(evaluations: Iterable[str], dataset: Dataset, device: str) -> dict:
    """Return the paper's classifiers by name; "picks" needs none."""
    known = {
        "LIN": LinearProbe(batch_size=dataset.batch_size, device=device),
        "NN": CosineKNNClassifier(device=device),
    }
    return {name: known[name] for name in evaluations if name in known}


@dataclass(frozen=True)
class Trial:
    """Selections of one budget, to be scored by some classifiers on one pool and test set."""

    pool: Split
    test: Split
    classifiers: dict
    budget: int
    histories: dict[str, str]  # of each method
    selection_pool: str  # whose embeddings the rows were picked by
    seeds: Sequence[int]
    store: Store

    @property
    def journal_path(self) -> Path:
        folder = self.store.folder / "scores" / self.pool.name / self.test.name
        return folder / f"picked-on-{self.selection_pool}-{self.budget}.jsonl"

    def run(self, on_step: Callable[[str], object]) -> Iterator[BudgetCurve]:
        """Score what has no scores yet; yield the scores of all, some methods at a time."""
        self.journal_path.parent.mkdir(parents=True, exist_ok=True)
        methods = list(self.histories)
        n_at_once = max(1, ROWS_AT_ONCE // (self.budget * len(self.seeds)))
        for first in range(0, len(methods), n_at_once):
            some, n_bytes = methods[first : first + n_at_once], self._journal_bytes()
            yield evaluate(
                {method: self._sampler(method) for method in some},
                self.classifiers,
                (self.pool.X, self.pool.y, self.test.X, self.test.y),
                (self.budget,),
                n_seeds=len(self.seeds),
                journal=self._journal(),
            )
            if self._journal_bytes() > n_bytes:
                on_step(f"{' and '.join(self.classifiers)} of {', '.join(some)} at {self.budget}")

    def n_unfinished(self, classifier: str) -> int:
        """Count the cells of one classifier that `run` would still compute."""
        picks = [
            self.store.load_selection(SelectionKey(self.selection_pool, method, seed, history))
            for method, history in self.histories.items()
            for seed in self.seeds
        ]
        if not self.journal_path.exists():
            return len(picks)
        journal = self._journal()
        seeded = []
        for seed in self.seeds:
            seeded.append(clone(self.classifiers[classifier]))
            set_random_states(seeded[-1], seed)
        trained = [describe(each) for _ in self.histories for each in seeded]
        return sum(rows is None or journal.score(name, rows) is None for name, rows in zip(trained, picks, strict=True))

    def _journal(self) -> Journal:
        return Journal(self.journal_path, joint_fingerprint(self.pool.fingerprint, self.test.fingerprint))

    def _journal_bytes(self) -> int:
        return self.journal_path.stat().st_size if self.journal_path.exists() else 0

    def _sampler(self, method: str) -> StoredSampler:
        return StoredSampler(
            folder=str(self.store.folder), pool=self.selection_pool, method=method, history=self.histories[method]
        )
