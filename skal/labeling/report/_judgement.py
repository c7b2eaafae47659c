"""How good the model is, what it says of the pool, and which labels it doubts."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from skal.labeling._embedding import refuse_another
from skal.labeling._embedding_step import MODEL
from skal.labeling._model import TrainedModel
from skal.labeling._scores import Evaluation
from skal.labeling.report._training import Lessons, RoundGain, Suspects

if TYPE_CHECKING:
    from skal.labeling._project import LabelingProject

__all__ = ["Confusion", "Judgement", "judgement_of"]

_MOST_CLASSES, _N_LEVELS, _ABSTAIN_BELOW = 20, 5, 0.5


@dataclass(frozen=True)
class Confusion:
    """Held-out labels against predictions.

    Parameters
    ----------
    names : tuple of str
        The classes that occur.
    cells : tuple of tuple of (int, int)
        Counts, and how much of its row each is, from 0 to 5; empty for more than 20 classes.
    pairs : tuple of (str, str, int)
        Labels, what they are taken for, and how often; the most frequent first.
    """

    names: tuple[str, ...]
    cells: tuple[tuple[tuple[int, int], ...], ...]
    pairs: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True)
class Judgement:
    """What can be said of the model; of what cannot, the notes say why.

    Parameters
    ----------
    classifier : str
        Of the model, or what training would take.
    n_trained : int
        Labels that the model knows.
    evaluation : Evaluation or None
    confusion : Confusion or None
    accuracy_note, lessons_note, suspects_note : str
    predicted : mapping of row to str
    predicted_counts : tuple of (str, int)
        Images of each predicted class, the most frequent first.
    n_unsure : int
        Predictions with a confidence below 0.5.
    gains : tuple of RoundGain
    suspects : Suspects or None
    """

    classifier: str
    n_trained: int = 0
    evaluation: Evaluation | None = None
    confusion: Confusion | None = None
    accuracy_note: str = ""
    lessons_note: str = ""
    suspects_note: str = ""
    predicted: Mapping[int, str] = field(default_factory=dict)
    predicted_counts: tuple[tuple[str, int], ...] = ()
    n_unsure: int = 0
    gains: tuple[RoundGain, ...] = ()
    suspects: Suspects | None = None


def judgement_of(project: LabelingProject) -> Judgement:
    """Use the model, and train its classifier on parts of the labels."""
    model, why_no_model = _model(project)
    classifier = project._classifier(None) if model is None else model.classifier
    evaluation, accuracy_note = None, why_no_model
    facts: dict[str, Any] = {}
    if model is not None:
        evaluation, accuracy_note = _evaluation(project, model)
        facts = _predictions(project, model)
    return Judgement(
        classifier=type(classifier).__name__,
        evaluation=evaluation,
        confusion=None if evaluation is None else _confusion(evaluation),
        accuracy_note=accuracy_note,
        **facts,
        **_lessons(project, classifier),
    )


def _model(project: LabelingProject) -> tuple[TrainedModel | None, str]:
    if not (project.folder / MODEL).exists():
        return None, "There is no model yet: skal train makes one."
    try:
        model, embedding = project.model, project._manifest.embedding
        refuse_another(model.identity, {} if embedding is None else embedding.identity)
    except (ValueError, OSError) as error:
        return None, _without_folder(project, error)
    return model, ""


def _evaluation(project: LabelingProject, model: TrainedModel) -> tuple[Evaluation | None, str]:
    held_out = project.held_out
    if not held_out:
        return None, (
            "No image is held out to test with, so how often the model is right is not known. "
            "skal select -n 0 --holdout 40 draws some at random."
        )
    if not set(held_out) & project.labels.keys():
        return None, (
            f"None of the {len(held_out)} images to test with is labelled yet, so how often the model is right is not "
            "known."
        )
    try:
        return project._evaluated(model), ""
    except ValueError as error:
        return None, _without_folder(project, error)


def _without_folder(project: LabelingProject, error: Exception) -> str:
    """What an error says, without the place of the project: another copy of it has the same report."""
    return str(error).replace(f"{os.fspath(project.folder)}{os.sep}", "")


def _predictions(project: LabelingProject, model: TrainedModel) -> dict[str, Any]:
    pool = project.pool
    rows = [row for row in project._manifest.current_rows if row in pool.position_of]
    probabilities = model.probabilities(pool.part(pool.positions(rows)))
    winners = [model.classes[winner] for winner in probabilities.argmax(axis=1).tolist()]
    counts = sorted(Counter(winners).items(), key=lambda each: (-each[1], each[0]))
    return {
        "n_trained": len(model.labels),
        "predicted": dict(zip(rows, winners, strict=True)),
        "predicted_counts": tuple(counts),
        "n_unsure": int((probabilities.max(axis=1) < _ABSTAIN_BELOW).sum()),
    }


def _confusion(evaluation: Evaluation) -> Confusion:
    matrix, names = evaluation.confusion, evaluation.classes
    occurring = np.flatnonzero(matrix.sum(axis=0) + matrix.sum(axis=1)).tolist()
    pairs = [
        (names[row], names[column], int(matrix[row, column]))
        for row in occurring
        for column in occurring
        if row != column and matrix[row, column]
    ]
    pairs.sort(key=lambda each: (-each[2], each[0], each[1]))
    cells = tuple(
        tuple(
            (int(matrix[row, column]), -(-int(matrix[row, column]) * _N_LEVELS // max(1, int(matrix[row].sum()))))
            for column in occurring
        )
        for row in occurring
    )
    shown = cells if len(occurring) <= _MOST_CLASSES else ()
    return Confusion(tuple(names[each] for each in occurring), shown, tuple(pairs))


def _lessons(project: LabelingProject, classifier: Any) -> dict[str, Any]:
    if project._manifest.embedding is None:
        note = "Nothing is embedded yet: skal embed."
        return {"lessons_note": note, "suspects_note": note}
    lessons = Lessons(project, classifier)
    if not lessons.n_labels:
        note = "There is no label to train on yet."
        return {"lessons_note": note, "suspects_note": note}
    suspects = lessons.suspects()
    note = "" if suspects is not None else "At least four labels of two classes are needed to compare labels."
    return {"gains": lessons.gains(), "suspects": suspects, "suspects_note": note}
