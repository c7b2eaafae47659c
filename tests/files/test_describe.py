"""Whatever decides a result is seen in its description."""

import importlib.util
import os
import random
import runpy
import subprocess
import sys
import threading
from functools import cached_property, lru_cache, partial
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from skal._files import _describe
from skal._files._describe import describe, describe_each
from skal.samplers import KMeansSampler, MaxEntropySampler

DRAWING = {  # from a generator that everybody shares, and in place of that
    "numpy": (np.random.rand, np.random.standard_normal),
    "python": (random.random, random.gauss),
    "a method of Python's": (random.choice, random.shuffle),
    "torch": (torch.default_generator.seed, torch.default_generator.initial_seed),
    "numpy's own": (np.random.mtrand._rand, np.random.RandomState(0)),
}


@pytest.mark.parametrize("name", DRAWING)
def test_a_shared_generator_counts_by_name(name):
    draw, other = DRAWING[name]
    before = describe(Holder(draw))
    np.random.rand(), random.random(), torch.rand(1)  # noqa: S311
    assert describe(Holder(draw)) == before
    assert describe(Holder(other)) != before


LARGE = np.arange(5000.0)


class Holder(BaseEstimator):
    def __init__(self, value=None):
        self.value = value


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Write a module of the user's and import it, as a new process would."""

    def load(source, name="of_the_user"):
        path = tmp_path / f"{name}.py"
        path.write_text(source)
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        exec(compile(source, path, "exec"), vars(module))  # not its cached bytecode  # noqa: S102
        return module

    return load


@pytest.mark.parametrize(
    "wrap",
    [
        np.array,
        torch.tensor,
        lambda values: torch.tensor(values, dtype=torch.bfloat16),
        pd.Series,
        lambda values: pd.DataFrame({"a": values, "b": "text"}),
        lambda values: values.astype(object),
        lambda values: {"inner": [{"weights": torch.tensor(values)}]},
        lambda values: np.array([values, None], dtype=object),
        lambda values: MappingProxyType({"values": values}),
        lambda values: (set(values.tolist()), None),
    ],
)
def test_one_value_in_the_middle_of_a_large_parameter_is_seen(wrap):
    changed = LARGE.copy()
    changed[2500] = -1
    assert describe(Holder(wrap(LARGE))) == describe(Holder(wrap(LARGE.copy())))
    assert describe(Holder(wrap(LARGE))) != describe(Holder(wrap(changed)))


def test_plain_values_of_different_types_are_told_apart():
    values = [1, 1.0, True, "1", b"1", 1j, np.int64(1), np.float32(1), None, (1,), [1], {1}, {1: 1}, range(1), slice(1)]
    values += [np.array([[1, None]]), np.array([1, None])]
    values += [np.float32, float, torch.float32, np.dtype("f4"), torch.device("cpu"), {"a": 1}, {"a": 2}, {"b": 1}]
    assert len({describe(value) for value in values}) == len(values)
    assert describe({"a": 1, "b": 2}) == describe({"b": 2, "a": 1})


def test_an_array_that_many_hold_is_read_once(monkeypatch):
    read, fingerprint = [], _describe.fingerprint
    monkeypatch.setattr(_describe, "fingerprint", lambda values: read.append(values) or fingerprint(values))
    one, other, another = describe_each([Holder(LARGE), Holder([LARGE, 1]), Holder(LARGE)])
    assert len(read) == 1
    assert one == another == describe(Holder(LARGE)) != other == describe(Holder([LARGE, 1]))


def test_the_names_of_a_frame_are_seen():
    frame = pd.DataFrame({"a": LARGE})
    assert describe(frame) != describe(frame.rename(columns={"a": "b"}))
    assert describe(frame) != describe(frame.set_axis(frame.index + 1))


def test_parameters_of_parts_are_seen_and_fitted_state_is_not(blobs):
    one, other = (MaxEntropySampler(classifier=LogisticRegression(C=C)) for C in (1.0, 2.0))
    assert describe(one) != describe(other)
    fitted = KMeansSampler(random_state=0)
    before = describe(fitted)
    assert describe(fitted.fit(blobs[0])) == before != describe(fitted.set_params(budget=11))


def test_what_is_frozen_counts_with_its_fitted_state(blobs):
    X, y = blobs
    one, other = (FrozenEstimator(LogisticRegression().fit(X, labels)) for labels in (y, y[::-1]))
    assert describe(one) == describe(FrozenEstimator(LogisticRegression().fit(X, y)))
    assert describe(one) != describe(other)


def closing_over(value):
    return lambda rows: rows * value


def test_functions_are_told_apart_by_what_they_do():
    functions = [
        np.linalg.norm,
        len,
        "".join,
        ",".join,
        np.add,
        str.join,
        closing_over,
        Holder,
        Holder().set_params,
        Holder(1).set_params,
        closing_over(LARGE),
        closing_over(-LARGE),
        partial(closing_over, 1),
        partial(closing_over, 2),
        lambda rows: rows + 1,
        lambda rows: rows + 2,
        lambda rows, by=1: rows + by,
        lambda rows, by=2: rows + by,
        lambda rows, by: rows + by,
        lambda rows, *, by: rows + by,
        lambda rows, *, by=1: rows + by,
        lambda rows, *, by=2: rows + by,
        lru_cache(lambda rows: rows + 1),
        lru_cache(lambda rows: rows + 2),
    ]
    assert len({describe(function) for function in functions}) == len(functions)
    assert describe(closing_over(LARGE)) == describe(closing_over(LARGE.copy()))


SAMPLER = """
import threading
import numpy as np
import helpers
from skal.base import BaseSampler

LOCK = threading.Lock()
FACTOR, LIMIT = 2, 5

def order(rows):
    return helpers.inner.reverse(rows) * FACTOR

class Base(BaseSampler):
    offset = 1
    def _order(self, rows):
        return order(rows)  # a comment

class Sampler(Base):
    def __init__(self, budget=10, *, power=2, random_state=None):
        super().__init__(budget, random_state=random_state)
        self.power = power
    def _select_rows(self, X, y, labeled_idx, budget, rng):
        with LOCK:
            return np.argsort(self._order(X[:, 0]) ** self.power)[: budget]
    @property
    def half(self):
        return sorted(range(self.budget), key=lambda each: each > LIMIT)
"""
HELPERS = "import inner\nUNUSED = 1\n"
INNER = "def reverse(rows):\n    return rows[::-1]\ndef unused():\n    return 1\n"


@pytest.fixture
def sampler(load):
    def make(source=SAMPLER, helpers=HELPERS, inner=INNER):
        load(inner, "inner")
        load(helpers, "helpers")
        return load(source).Sampler(budget=5)

    return make


@pytest.mark.parametrize(
    ("part", "old", "new"),
    [
        ("source", "[: budget]", "[-budget :]"),  # the hook
        ("source", "** self.power", "- self.power"),
        ("source", "offset = 1", "offset = 2"),  # a value in the body of a base class
        ("source", "return order(rows)", "return order(rows + 0)"),  # a method of a base class
        ("source", "= 2, 5", "= 3, 5"),  # a global of a helper
        ("source", "= 2, 5", "= 2, 6"),  # a global of a function inside a method
        ("source", "power=2", "power=3"),  # a default, and so a parameter
        ("source", "each > LIMIT", "each < LIMIT"),  # a function inside a property
        ("source", "(Base):", "(Base, object):\n    __slots__ = ()"),
        ("inner", "rows[::-1]", "rows[::1]"),  # a helper in a module that a module imports
        ("helpers", "import inner", "class inner:\n    reverse = staticmethod(abs)"),
    ],
)
def test_an_edit_anywhere_is_seen(part, old, new, sampler):
    sources = {"source": SAMPLER, "helpers": HELPERS, "inner": INNER}
    before = describe(sampler())
    assert old in sources[part]
    assert describe(sampler(**{part: sources[part].replace(old, new)})) != before
    assert describe(sampler()) == before


@pytest.mark.parametrize(
    ("part", "old", "new"),
    [
        ("source", "# a comment", "# another comment"),
        ("source", "\nimport threading", "\n\n\nimport threading"),
        ("helpers", "UNUSED = 1", "UNUSED = 2"),
        ("inner", "return 1", "return 2"),
    ],
)
def test_what_decides_nothing_is_not_seen(part, old, new, sampler):
    sources = {"source": SAMPLER, "helpers": HELPERS, "inner": INNER}
    before = describe(sampler())
    assert old in sources[part]
    assert describe(sampler(**{part: sources[part].replace(old, new)})) == before


SAME_REPR = """
class Kernel:
    def __init__(self, width):
        self.width = width
    def __repr__(self):
        return "Kernel()"
    def __call__(self, rows):
        return rows / self.width

class Slotted(Kernel):
    __slots__ = ("height",)
"""


def test_objects_with_the_same_repr_are_told_apart(load):
    module = load(SAME_REPR)
    assert describe(Holder(module.Kernel(1))) == describe(Holder(module.Kernel(1)))
    assert describe(Holder(module.Kernel(1))) != describe(Holder(module.Kernel(2)))
    one, other = module.Slotted(1), module.Slotted(1)
    one.height, other.height = 1, 2
    assert describe(one) != describe(other)


class Scaled(torch.nn.Sequential):
    def __init__(self, *parts, scale=1.0):
        super().__init__(*parts)
        self.scale = scale

    def forward(self, x):
        return self.scale * super().forward(x)


def test_weights_attributes_and_order_of_a_module_are_seen():
    torch.manual_seed(0)
    module = Scaled(torch.nn.Linear(3, 3), torch.nn.ReLU())
    before = describe(module)
    assert describe(module) == before
    module.scale = 2.0
    assert describe(module) != before
    module.scale = 1.0
    module[1].inplace = True
    assert describe(module) != before
    module[1].inplace = False
    assert describe(module) == before
    with torch.no_grad():
        module[0].weight[0, 0] += 1
    assert describe(module) != before
    named = {"a": torch.nn.ReLU(), "b": torch.nn.Sigmoid()}
    reversed_ = dict(reversed(named.items()))
    assert len({describe(torch.nn.ModuleDict(parts)) for parts in (named, reversed_)}) == 2


def test_a_scripted_module_can_be_described():
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        one, other = (torch.jit.script(torch.nn.Sequential(part)) for part in (torch.nn.ReLU(), torch.nn.Sigmoid()))
    assert describe(one) != describe(other)


class Cyclic:
    def __init__(self, value):
        self.me, self.value = self, value

    @cached_property
    def half(self):
        return even(self.value)


def even(n):
    return n == 0 or odd(n - 1)


def odd(n):
    return n != 0 and even(n - 1)


def test_cycles_end():
    assert describe(even) != describe(odd)
    assert describe(Cyclic(1)) == describe(Cyclic(1)) != describe(Cyclic(2))
    endless = [1]
    endless.append(endless)
    assert describe(endless)


def test_what_cannot_be_looked_into_needs_a_version():
    stream = (each for each in range(3))
    with pytest.raises(ValueError, match=r"A builtins.generator cannot be compared.*Pass version="):
        describe(Holder(stream))
    assert describe(Holder(stream), version="1") != describe(Holder(stream), version="2")
    assert describe(Holder(stream), version="1") == describe(Holder(each for each in ""), version="1")
    assert describe(Holder(1), version="1") != describe(Holder(2), version="1")


def test_locks_decide_nothing():
    assert describe(Holder(threading.Lock())) == describe(Holder(threading.Lock()))


@pytest.mark.slow
def test_another_process_describes_alike(tmp_path, capfdbinary):
    """What estimators are, and what embeds images."""
    script = tmp_path / "script.py"
    script.write_text(
        "from skal._files._describe import describe\n"
        "from skal.features import _identity\n"
        "from sklearn.base import BaseEstimator, ClassifierMixin\n"
        "import enum, logging, numpy as np, torch\n"
        "LOGGER, RNG = logging.getLogger(__name__), np.random.default_rng(0)\n"
        "class Color(enum.Enum):\n    RED = 1\n"
        "class Own(ClassifierMixin, BaseEstimator):\n"
        "    def fit(self, X, y, sample_weight=None):\n        LOGGER.info(RNG.normal(), Color.RED)\n"
        "    def transform(self, X):\n        return X\n"
        "def outer(by):\n    return lambda text: text in {'a', 'b', 'c'} and any(each == by for each in text)\n"
        "print(describe([outer, outer(3), {'x': 1, 'y': {'d', 'e', 'f'}}, len, Own(), torch.nn.Linear, Color.RED]))\n"
        "class Backbone(torch.nn.Module):\n"
        "    names = {'a', 'b', 'c'}\n"
        "    def forward(self, x):\n        return x if x in {1, 'z', None} else len(self.names)\n"
        "def transform(x, of=frozenset({'p', 'q'})):\n    return [each for each in x if each in {'r', 's', 't'}]\n"
        "print(_identity.describe(transform), _identity.describe_backbone(Backbone()))\n"
    )
    runpy.run_path(str(script), run_name="__main__")
    here = capfdbinary.readouterr().out
    another = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    environment = {**os.environ, "PYTHONHASHSEED": another}
    there = subprocess.run([sys.executable, script], env=environment, check=True, capture_output=True).stdout
    assert here == there
    assert b"@" in there
