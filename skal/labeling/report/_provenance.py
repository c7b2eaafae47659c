"""Versions, seeds, hashes and commands: what it takes to do the same again."""

from __future__ import annotations

import json
import platform
import shlex
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import skal
from skal import registry
from skal.labeling._embedding_step import EMBEDDINGS, MODEL
from skal.labeling._images import hash_file

if TYPE_CHECKING:
    from skal.labeling._project import LabelingProject

__all__ = ["Provenance", "provenance_of"]

_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "pillow", "jinja2")


@dataclass(frozen=True)
class Provenance:
    """Pairs of a name and a value, and lines to type.

    Parameters
    ----------
    versions, hashes, embedding : tuple of (str, str)
    seed : int
    commands : tuple of str
    """

    versions: tuple[tuple[str, str], ...]
    hashes: tuple[tuple[str, str], ...]
    embedding: tuple[tuple[str, str], ...]
    seed: int
    commands: tuple[str, ...]


def provenance_of(project: LabelingProject) -> Provenance:
    """Collect them; files are hashed as they are now."""
    versions = [("skal", skal.__version__), ("Python", platform.python_version())]
    return Provenance(
        (*versions, *((name, _version(name)) for name in _PACKAGES)),
        _hashes(project),
        _embedding(project),
        project.settings.random_state,
        _commands(project),
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _hashes(project: LabelingProject) -> tuple[tuple[str, str], ...]:
    images = sorted((project.images[row].path, project.images[row].sha256) for row in project._manifest.current_rows)
    found = [("images, paths and contents", sha256(json.dumps(images).encode()).hexdigest())]
    kept = {"rounds and labels": project.ledger.path}
    kept |= {"embeddings": project.folder / EMBEDDINGS, "model": project.folder / MODEL}
    for what, path in kept.items():
        if path is not None and path.exists():
            found.append((f"{what}, {path.name}", hash_file(path)))
    return tuple(found)


def _embedding(project: LabelingProject) -> tuple[tuple[str, str], ...]:
    embedding = project._manifest.embedding
    if embedding is None:
        return ()
    shape = project.pool.X.shape
    facts: dict[str, Any] = {"embeddings": f"{shape[0]} × {shape[1]}", **embedding.identity}
    return tuple((name.replace("_", " "), _said(value)) for name, value in facts.items() if name != "images")


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_said(each)}" for name, each in value.items())
    if isinstance(value, list):
        return " ".join(_said(each) for each in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _commands(project: LabelingProject) -> tuple[str, ...]:
    lines = [_init(project), "skal embed"]
    for each in project.ledger.rounds:
        select = ["skal", "select", "-n", str(len(each.rows) - len(each.held_out))]
        select += ["--holdout", str(len(each.held_out))] if each.held_out else []
        is_known = each.sampler in {entry.name for entry in registry.samplers()}
        lines += [shlex.join([*select, *(["--sampler", each.sampler] if is_known else [])]), "skal label"]
    if (project.folder / MODEL).exists():
        classifier = project.settings.classifier
        lines.append(shlex.join(["skal", "train", *([] if classifier is None else ["--classifier", classifier])]))
    return (*lines, "skal report")


def _init(project: LabelingProject) -> str:
    settings, embedding = project.settings, project._manifest.embedding
    made_by = {} if embedding is None else embedding.made_by
    backbone, weights = made_by.get("backbone", settings.backbone), made_by.get("weights", settings.weights)
    given = {
        # One with a comma in its name stands in skal.toml only.
        "--classes": None if any("," in name for name in settings.classes) else ",".join(settings.classes) or None,
        "--backbone": backbone,
        "--weights": None if weights is None else PurePath(weights).name,
        "--image-size": made_by.get("image_size", settings.image_size),
        "--seed": settings.random_state or None,
    }
    options = [part for name, value in given.items() if value is not None for part in (name, str(value))]
    return shlex.join(["skal", "init", PurePath(project._manifest.absolute_folder).name, *options])
