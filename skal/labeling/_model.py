"""A trained classifier in a file that holds arrays and JSON, and no code."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import skal.classifiers
from skal._files._atomic import write_atomically
from skal._validation import has_fit_parameter

__all__ = ["TrainedModel"]

_FORMAT = "skal model 1"
_FACTS = "model.json"
# Kept by their labelled rows and fitted again: they hold rows, of the pool too, and little is trained.
_FITTED_AGAIN = ("CosineKNNClassifier", "GraphClassifier")


@dataclass(frozen=True)
class TrainedModel:
    """A trained classifier, and what it has to be given to predict.

    Parameters
    ----------
    classifier : classifier of skal.classifiers
        Fitted.
    made_by : mapping
        The settings of the extractor whose embeddings it knows.
    identity : mapping
        What decides the numbers of those embeddings.
    trained_on : ndarray of shape (n_labels,), int64
        The images whose labels it knows.
    labeled_X : ndarray of shape (n_labels, d)
        Their embeddings.
    labels : ndarray of shape (n_labels,)
        Their labels.
    n_pool : int
        Embeddings of the pool that it was trained in; the pool may have grown since.

    See Also
    --------
    LabelingProject.train : Makes one.
    """

    classifier: Any
    made_by: Mapping[str, Any]
    identity: Mapping[str, Any]
    trained_on: npt.NDArray[np.int64]
    labeled_X: npt.NDArray[Any]
    labels: npt.NDArray[np.str_]
    n_pool: int

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that it tells apart."""
        return tuple(map(str, self.classifier.classes_))

    def save(self, path: Path) -> None:
        """Write a .npz with a member model.json; whoever opens it runs nothing.

        Raises
        ------
        TypeError
            If the classifier is none of skal.classifiers, or holds what neither an array nor JSON can.
        """
        name = type(self.classifier).__name__
        if getattr(skal.classifiers, name, None) is not type(self.classifier):
            raise TypeError(f"{name} is no class of skal.classifiers; only those can be loaded without running code.")
        arrays: dict[str, Any] = {"trained_on": self.trained_on, "labels": self.labels}
        values: dict[str, Any] = {}
        if name in _FITTED_AGAIN:
            arrays["labeled_X"] = np.asarray(self.labeled_X)
        else:
            fitted, values = _fitted_state(self.classifier)
            arrays |= {f"fitted.{each}": array for each, array in fitted.items()}
        facts = {
            "format": _FORMAT, "skal": skal.__version__, "classifier": name, "parameters": _parameters(self.classifier),
            "fitted": values, "n_pool": self.n_pool, "made_by": dict(self.made_by), "identity": dict(self.identity),
        }  # fmt: skip
        content = BytesIO()
        np.savez(content, **arrays)
        with zipfile.ZipFile(content, "a") as archive:
            archive.writestr(_FACTS, json.dumps(facts, indent=1))
        write_atomically(path, content.getvalue())

    @classmethod
    def load(cls, path: Path, pool: npt.NDArray[Any]) -> TrainedModel:
        """Read what `save` wrote.

        Parameters
        ----------
        path : Path
        pool : ndarray of shape (n, d)
            The embeddings of the project, which a classifier that stands on the pool is fitted on again.

        Raises
        ------
        FileNotFoundError
            If there is none.
        ValueError
            If the file is damaged, of another version, or no such model.
        """
        if not path.exists():
            raise FileNotFoundError(f"There is no model {path}; call train() first (skal train).")
        try:
            with np.load(path, allow_pickle=False) as kept:
                facts = json.loads(kept[_FACTS])
                arrays = {name: kept[name] for name in kept.files if name != _FACTS}
            if facts["format"] != _FORMAT:
                raise ValueError(f"it is of format {facts['format']!r}, and this version reads {_FORMAT!r}")
            return cls(
                _loaded(facts, arrays, pool), facts["made_by"], facts["identity"], arrays["trained_on"],
                arrays.get("labeled_X", np.empty((0, 0))), arrays["labels"],
                int(facts["n_pool"]),
            )  # fmt: skip
        except (ValueError, KeyError, TypeError, EOFError, AttributeError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} is no model of skal, or damaged: {error}. Train again.") from error

    @staticmethod
    def n_labels_in(path: Path) -> int:
        """How many labels a kept model knows; nothing is fitted."""
        try:
            with np.load(path, allow_pickle=False) as kept:
                return len(kept["trained_on"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return 0

    def probabilities(self, X: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return class probabilities, shape (n, n_classes), in the order of `classes`."""
        return np.asarray(self.classifier.predict_proba(X), dtype=np.float64)


def _parameters(classifier: Any) -> dict[str, Any]:
    parameters = classifier.get_params(deep=False)
    return {name: _plain(value, f"parameter {name}") for name, value in parameters.items()}


def _fitted_state(classifier: Any) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    parameters, arrays, values = classifier.get_params(deep=False), {}, {}
    for name, value in vars(classifier).items():
        if name in parameters:
            continue
        if isinstance(value, np.ndarray) and value.ndim and not value.dtype.hasobject:
            arrays[name] = value
        else:
            values[name] = _plain(value, f"attribute {name}")
    return arrays, values


def _plain(value: Any, what: str) -> Any:
    if isinstance(value, np.generic | np.ndarray) and not value.dtype.hasobject:
        value = value.tolist()
    if isinstance(value, torch.device):
        return {"device": str(value)}
    if isinstance(value, tuple):
        return {"tuple": [_plain(each, what) for each in value]}
    try:
        return json.loads(json.dumps(value))
    except TypeError as error:
        raise TypeError(f"A model is kept as arrays and JSON, and its {what} is a {type(value).__name__}.") from error


def _made(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {"device"}:
        return torch.device(value["device"])
    if isinstance(value, dict) and value.keys() == {"tuple"}:
        return tuple(map(_made, value["tuple"]))
    return value


def _loaded(facts: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]], pool: npt.NDArray[Any]) -> Any:
    if facts["classifier"] not in skal.classifiers.__all__:
        raise ValueError(f"it holds a {facts['classifier']!r}, which this version does not know")
    cls = getattr(skal.classifiers, facts["classifier"])
    classifier = cls(**{name: _made(value) for name, value in facts["parameters"].items()})
    if facts["classifier"] in _FITTED_AGAIN:
        if len(pool) < facts["n_pool"]:
            raise ValueError(f"it knows a pool of {facts['n_pool']} embeddings, and there are {len(pool)}")
        rows = pool[: facts["n_pool"]]
        of_pool = {"X_pool": rows} if has_fit_parameter(classifier, "X_pool") else {}
        return classifier.fit(arrays["labeled_X"], arrays["labels"], **of_pool)
    fitted = {name: _made(value) for name, value in facts["fitted"].items()}
    fitted |= {name.removeprefix("fitted."): array for name, array in arrays.items() if name.startswith("fitted.")}
    for name, value in fitted.items():
        if hasattr(cls, name) or not name.isidentifier() or name.startswith("__"):
            raise ValueError(f"it sets {name!r}, which is no fitted attribute")
        setattr(classifier, name, value)
    return classifier
