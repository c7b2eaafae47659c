"""Trainings on selections: planned, run together where they can be, and kept."""

from __future__ import annotations

import operator
from collections import defaultdict
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from skal._files._fingerprint import fingerprint
from skal._validation import set_random_states
from skal.classifiers._fitting import fit_each_on_labeled_rows, trains_stacked
from skal.evaluation._curve import BudgetCurve, CurveKey, Score
from skal.evaluation._jobs import Jobs
from skal.evaluation._metrics import COVERAGE, Categories
from skal.evaluation._records import Records, Scored
from skal.evaluation._scoring import Scoring
from skal.evaluation._selections import SelectionKey, Selections

__all__ = ["Trial", "run_trial"]

# Of large budgets few classifiers are trained together, so that an interruption costs little.
_ROWS_TOGETHER = 100_000

# What each scorer gave, by its name: values by their own names.
Values = dict[str, dict[str, float]]
# X, y, X_test, y_test
Data = tuple[Any, Any, Any, Any]


class Trial:
    """What selections are tried by: classifiers and metrics, checked.

    The parameters are those of `score`.
    """

    def __init__(self, classifiers: Mapping[str, Any], scoring: Any, training_seed: Any, version: str) -> None:
        self.classifiers = classifiers
        self.scoring = Scoring(scoring, version)
        self.scoring.check(classifiers.values())
        self.training_seed = None if training_seed is None else operator.index(training_seed)

    def seeded(self, name: str, seed: int) -> Any:
        """Return one of the classifiers, not fitted, for selections of a seed."""
        classifier = clone(self.classifiers[name])
        set_random_states(classifier, self.seed_of_training(seed))
        return classifier

    def seed_of_training(self, seed: int) -> int:
        return seed if self.training_seed is None else self.training_seed


@dataclass
class _Training:
    """A classifier on the picks of one selection, and what is known of it."""

    key: SelectionKey
    name: str
    seed: int
    classifier: Any
    picks: npt.NDArray[np.int64]
    known_by: dict[str, Scored]  # by the name of the scorer
    values: Values

    @property
    def what_decides(self) -> tuple[str, int, bytes]:
        """What is the same for trainings that are the same, as where several strategies start from the same rows."""
        return self.name, self.seed, self.picks.tobytes()

    def missing(self, scoring: Scoring) -> list[str]:
        return [name for name in scoring.scorers if name not in self.values]


def run_trial(
    records: Records,
    selections: Selections,
    trial: Trial,
    data: Data,
    n_jobs: int | None,
    on_score: Callable[[Score], object] | None,
) -> BudgetCurve:
    """Train and measure what the records do not hold."""
    X, y, _, _ = data
    _refuse_rows_outside(selections, len(X))
    trainings = _plan(records, selections, trial)
    found: dict[CurveKey, float] = {}
    with closing(_train(records, trainings, trial.scoring, data, n_jobs)) as trained:
        for training in trained:
            values = trial.scoring.named({name: training.values[name] for name in trial.scoring.scorers})
            found |= {CurveKey(*training.key, training.name, metric): value for metric, value in values.items()}
            if on_score is not None:
                on_score(Score(*training.key, training.name, training.seed, values))
    coverage_of = Categories(y).coverage
    coverage = {CurveKey(*key, None, COVERAGE): coverage_of(rows) for key, rows in selections.items()}
    place = {(*training.key, training.name): place for place, training in enumerate(trainings)}
    in_order = dict(sorted(found.items(), key=lambda item: place[*item[0][:3], str(item[0].classifier)]))
    return BudgetCurve(selections, tuple(trial.classifiers), in_order | coverage, trial.training_seed)


def _refuse_rows_outside(selections: Selections, n_rows: int) -> None:
    for key, rows in selections.items():
        if rows.max(initial=-1) >= n_rows:
            raise IndexError(f"The picks of {tuple(key)} hold row {rows.max()}; X has {n_rows} rows.")


def _plan(records: Records, selections: Selections, trial: Trial) -> list[_Training]:
    """Return all trainings, each with the values that the records hold."""
    scorers = trial.scoring.described if records.keeps else dict.fromkeys(trial.scoring.scorers, "")
    classifiers = {(name, seed): trial.seeded(name, seed) for name in trial.classifiers for seed in selections.seeds}
    descriptions = {key: records.describe(classifier) for key, classifier in classifiers.items()}
    trainings = []
    for key, picks in selections.items():
        digest = fingerprint(picks) if records.keeps else ""
        for name in trial.classifiers:
            description = descriptions[name, key.seed]
            known_by = {scorer: Scored(description, digest, what) for scorer, what in scorers.items()}
            values = {scorer: found for scorer in known_by if (found := records.scores(known_by[scorer])) is not None}
            seed = trial.seed_of_training(key.seed)
            trainings.append(_Training(key, name, seed, classifiers[name, key.seed], picks, known_by, values))
    return trainings


def _train(
    records: Records, trainings: list[_Training], scoring: Scoring, data: Data, n_jobs: int | None
) -> Generator[_Training]:
    """Yield each training once all its values are known, those that the records hold first."""
    waiting: dict[Any, list[_Training]] = defaultdict(list)
    for training in trainings:
        if training.missing(scoring):
            waiting[training.what_decides].append(training)
        else:
            yield training
    if records.only_read:
        return
    together = _trained_together([same[0] for same in waiting.values()])
    with Jobs(n_jobs) as jobs:
        arguments = ((place, some, scoring, data) for place, some in enumerate(together))
        for place, measured in jobs.run(_fit_and_measure, arguments):
            trained = list(zip(together[place], measured, strict=True))
            records.keep_scores([(t.known_by[name], found) for t, values in trained for name, found in values.items()])
            for first, values in trained:
                for training in waiting[first.what_decides]:
                    training.values |= values
                    yield training


def _trained_together(trainings: list[_Training]) -> list[list[_Training]]:
    """Collect what one job trains: several of one name and budget where they can be stacked, else one."""
    jobs: list[list[_Training]] = []
    stacks: dict[tuple[str, int], list[_Training]] = defaultdict(list)
    for training in trainings:
        budget = training.key.budget
        stack = stacks[training.name, budget]
        if not stack or not trains_stacked(training.classifier) or (len(stack) + 1) * budget > _ROWS_TOGETHER:
            stack = stacks[training.name, budget] = []
            jobs.append(stack)
        stack.append(training)
    return jobs


def _fit_and_measure(place: int, trainings: list[_Training], scoring: Scoring, data: Data) -> tuple[int, list[Values]]:
    X, y, X_test, y_test = data
    classifiers = [clone(training.classifier) for training in trainings]
    fit_each_on_labeled_rows(classifiers, X, y, [training.picks for training in trainings])
    pairs = zip(classifiers, trainings, strict=True)
    return place, [scoring.measure(each, training.missing(scoring), X_test, y_test) for each, training in pairs]
