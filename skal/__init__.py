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
}
_SUBPACKAGES = (
    "classifiers",
    "datasets",
    "evaluation",
    "features",
    "greedy",
    "plotting",
    "pool",
    "registry",
    "rounds",
    "samplers",
    "testing",
)

__all__ = ["BaseSampler", "LowBudgetClassifier", "Pool", "SelectionRequest", "__version__", *_SUBPACKAGES]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(import_module(_HOME_OF[name]), name)
    if name in _SUBPACKAGES:
        return import_module(f"skal.{name}")
    raise AttributeError(f"module 'skal' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
