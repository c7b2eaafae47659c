"""Low-budget active learning for scikit-learn: embeddings in, the rows worth labelling out.

Names load on first use (PEP 562), so that ``import skal`` costs nothing.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME_OF = {
    "BaseSampler": "skal.base",
    "LowBudgetClassifier": "skal.low_budget",
    "Pool": "skal.pool",
    "SelectionRequest": "skal.base",
    "select": "skal._pipeline",
}
_SUBPACKAGES = (
    "classifiers",
    "datasets",
    "evaluation",
    "features",
    "greedy",
    "labeling",
    "plotting",
    "pool",
    "registry",
    "rounds",
    "samplers",
    "testing",
    "vision",
)

__all__ = ["BaseSampler", "LowBudgetClassifier", "Pool", "SelectionRequest", "__version__", "select", *_SUBPACKAGES]


_ROOMS_OF_CLASSES = ("samplers", "rounds", "classifiers", "features", "vision", "labeling")


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(import_module(_HOME_OF[name]), name)
    if name in _SUBPACKAGES:
        return import_module(f"skal.{name}")
    if name[:1].isupper():  # a class by its name alone: from skal import KMeansSampler
        for room in _ROOMS_OF_CLASSES:
            module = import_module(f"skal.{room}")
            if name in module.__all__:
                return getattr(module, name)
    raise AttributeError(f"module 'skal' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
