"""All that the report says of a project, as plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from skal.labeling._problems import RULES
from skal.labeling.report._answers import answers_of
from skal.labeling.report._judgement import Judgement, judgement_of
from skal.labeling.report._map import WIDTH, clusters_of, map_of
from skal.labeling.report._pictures import Picture, Pictures
from skal.labeling.report._provenance import provenance_of
from skal.labeling.report._rounds import kinds_of, rounds_of

if TYPE_CHECKING:
    from skal.labeling._project import LabelingProject

__all__ = ["facts_of"]

_SHOWN_PROBLEMS = 8


@dataclass(frozen=True)
class Problem:
    """Images of one kind of problem: the rule, some pictures, and how many there are."""

    kind: str
    rule: str
    n: int
    pictures: tuple[Picture, ...]


def facts_of(
    project: LabelingProject, price: float | None, on_image: Callable[[int, int], None] | None
) -> dict[str, Any]:
    """Gather what the templates show.

    Where something is missing, its place holds None or nothing, and a note says why.
    """
    status = project.status()
    changes = project.changes() if status.images_folder else None
    pictures = Pictures(project, changes)
    judgement = judgement_of(project)
    answers = answers_of(project)
    return {
        "name": PurePosixPath(project._manifest.absolute_folder).name or "/",
        "status": status,
        "answers": answers,
        "price": price,
        "cost": None if price is None else price * answers.n_answers,
        "judgement": judgement,
        "picture": pictures.of,
        "picture_path": lambda row: project.images[row].path,
        "rounds": rounds_of(project),
        "pool": _pool_facts(project),
        "problems": _problems(project, pictures, on_image) if changes is not None else (),
        "provenance": provenance_of(project),
        **_views(project, judgement),
    }


def _pool_facts(project: LabelingProject) -> dict[str, Any]:
    images = [project.images[row] for row in project._manifest.current_rows]
    suffixes: dict[str, int] = {}
    for image in images:
        suffix = PurePosixPath(image.path).suffix.lower() or "no suffix"
        suffixes[suffix] = suffixes.get(suffix, 0) + 1
    return {
        "n_folders": len({PurePosixPath(image.path).parent for image in images}),
        "n_mebibytes": sum(image.size for image in images) / 2**20,
        "suffixes": sorted(suffixes.items(), key=lambda each: (-each[1], each[0])),
    }


def _problems(
    project: LabelingProject, pictures: Pictures, on_image: Callable[[int, int], None] | None
) -> tuple[Problem, ...]:
    found = project.problems(on_image=on_image).by_kind()
    return tuple(
        Problem(kind, RULES[kind], len(rows), tuple(pictures.of(row) for row in rows[:_SHOWN_PROBLEMS]))
        for kind, rows in found.items()
    )


def _views(project: LabelingProject, judgement: Judgement) -> dict[str, Any]:
    """The map and the clusters; a note in place of them where nothing is embedded."""
    if project._manifest.embedding is None:
        return {"map": None, "map_width": WIDTH, "clusters": (), "pool_note": "Nothing is embedded yet: skal embed."}
    pool, kinds, labels, predicted = project.pool, kinds_of(project), project.labels, judgement.predicted
    clusters = clusters_of(pool, kinds, labels, predicted, project.settings.random_state)
    too_few = "" if clusters else "There are too few images with an embedding for clusters."
    return {
        "map": map_of(pool, kinds, labels, predicted),
        "map_width": WIDTH,
        "clusters": clusters,
        "pool_note": too_few,
    }
