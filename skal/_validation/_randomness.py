"""Seeds and generators, from scikit-learn's meaning of `random_state`."""

from __future__ import annotations

from typing import Any

import numpy as np

from skal._validation._sklearn import Integral, check_random_state

__all__ = ["fixed_seed", "local_generator", "set_random_states"]


def local_generator(random_state: Any) -> np.random.Generator:
    """Make a generator for one fit."""
    seed = check_random_state(random_state).randint(0, 2**32, size=4, dtype=np.uint32)
    return np.random.default_rng(seed)


def fixed_seed(random_state: Any) -> int | None:
    """Return one seed for all parts of a fit: an int as it is, None as it is, else one drawn."""
    if random_state is None:
        return None
    return _as_seed(random_state)


def set_random_states(estimator: Any, random_state: Any) -> None:
    """Give every ``random_state`` of `estimator` and of its parts one seed: an int as it is, else one drawn."""
    seed = _as_seed(random_state)
    names = [name for name in estimator.get_params() if name == "random_state" or name.endswith("__random_state")]
    estimator.set_params(**dict.fromkeys(names, seed))


def _as_seed(random_state: Any) -> int:
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))
