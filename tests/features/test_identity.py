"""Identity: two jobs are the same only if what they do is."""

import functools
import logging
import re
import sys
import types

import numpy as np
import pytest
import torch

from skal.features import TorchFeatureExtractor
from skal.features._identity import describe, describe_backbone, weights_sha256


def scaled(image, by, offset=0.0):
    return by * torch.as_tensor(np.array(image)).permute(2, 0, 1) + offset


class Scaling:
    def __init__(self, by):
        self.by = by

    def __call__(self, image):
        return scaled(image, self.by)


def closure(by):
    return lambda image: scaled(image, by)


@pytest.mark.parametrize("make", [closure, Scaling, lambda by: functools.partial(scaled, by=by)])
def test_a_transform_is_known_by_what_it_does(make):
    one, same, other = (describe(make(by)) for by in (1, 1, 3))
    assert one == same != other


SOURCE = """
import functools
import torch
SCALE = 2.0
class Settings:
    offset = 0.5
    def shifted(self, x):
        return x + self.offset
SETTINGS = Settings()
def helper(x):
    return x * SCALE
def transform(image, power=1, *, sign=1):
    inner = lambda x: x - 1  # a comment
    return inner(helper(SETTINGS.shifted(image))) ** power * sign
"""


def transform_of(source, *replaced):
    for before, after in replaced:
        assert before in source
        source = source.replace(before, after)
    variables = {"__name__": "somewhere"}
    exec(compile(source, "somewhere.py", "exec"), variables)  # noqa: S102
    return variables["transform"]


def test_where_code_stands_and_comments_do_not_count():
    assert describe(transform_of("# moved" + SOURCE, ("a comment", "another"))) == describe(transform_of(SOURCE))


@pytest.mark.parametrize(
    "change",
    [
        ("SCALE = 2.0", "SCALE = 3.0"),
        ("x * SCALE", "x / SCALE"),
        ("x - 1", "x - 2"),
        ("offset = 0.5", "offset = 0.25"),
        ("x + self.offset", "x - self.offset"),
        ("power=1", "power=2"),
        ("sign=1", "sign=-1"),
        ("SETTINGS = Settings()", "SETTINGS = Settings(); SETTINGS.offset = 3"),
        ("def helper", "@functools.lru_cache\ndef helper"),
        ("* SCALE", "* torch.tensor(SCALE)"),
    ],
    ids=lambda change: change[1],
)
def test_whatever_a_function_uses_counts(change):
    assert describe(transform_of(SOURCE, change)) != describe(transform_of(SOURCE))


def test_what_is_taken_from_a_module_of_the_user_counts(monkeypatch):
    settings = types.ModuleType("settings_of_the_user")
    settings.scale, settings.other = 2.0, 1.0
    monkeypatch.setitem(sys.modules, settings.__name__, settings)
    transform = transform_of("import settings_of_the_user as s\ndef transform(x):\n    return x * s.scale\n")
    before = describe(transform)
    settings.other = 7.0
    assert describe(transform) == before
    settings.scale = 7.0
    assert describe(transform) != before


class Backbone(torch.nn.Module):
    def __init__(self, scale=2.0):
        super().__init__()
        self.inner = torch.nn.Sequential(torch.nn.Linear(3, 4))
        self.inner[0].extra = {"scale": [scale]}
        self.register_buffer("shift", torch.zeros(4), persistent=False)
        self.myself = [self]

    def forward(self, x):
        return self.inner(x.mean(dim=(2, 3))) * self.inner[0].extra["scale"][0] + self.shift


class Inverse(Backbone):
    def forward(self, x):
        return -super().forward(x)


Inverse.__qualname__ = "Backbone"


def changed(how):
    torch.manual_seed(0)
    backbone = Backbone(3.0 if how == "attribute" else 2.0)
    if how == "hook":
        backbone.inner[0].register_forward_hook(lambda module, inputs, output: 2 * output)
    if how == "method":
        backbone.forward = types.MethodType(lambda self, x: x.mean(dim=(2, 3)), backbone)
    if how == "class":
        backbone.__class__ = Inverse
    return backbone


def test_modules_alike_are_described_alike():
    assert describe_backbone(changed("nothing")) == describe_backbone(changed("nothing"))
    assert describe(changed("nothing")) == describe(changed("nothing"))


@pytest.mark.parametrize("how", ["attribute", "hook", "method", "class"])
def test_whatever_a_module_is_made_of_counts(how):
    before, after = describe_backbone(changed("nothing")), describe_backbone(changed(how))
    assert before != after
    assert before["name"] == after["name"]
    assert describe(changed(how)) != describe(changed("nothing"))


@pytest.mark.parametrize("name", ["inner.0.weight", "shift"])
def test_every_tensor_of_a_module_counts(name):
    backbone = changed("nothing")
    before = weights_sha256(backbone)
    with torch.no_grad():
        {**dict(backbone.named_parameters()), **dict(backbone.named_buffers())}[name][-1] += 1
    assert weights_sha256(backbone) != before


@pytest.mark.parametrize("dtype", [torch.bool, torch.bfloat16, torch.float64, torch.complex64, torch.int64])
def test_tensors_of_any_dtype_are_told_apart(dtype):
    one, same, other = (torch.tensor([value, 0, 1]).to(dtype) for value in (1, 1, 0))
    assert describe(one) == describe(same) != describe(other)
    assert describe(torch.zeros(0, dtype=dtype)) != describe(torch.zeros(0, 2, dtype=dtype))


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_script_is_known_by_what_it_computes():
    one, same, other = (
        torch.jit.trace(torch.nn.Sequential(torch.nn.Flatten(), layer), torch.zeros(1, 3))
        for layer in (torch.nn.ReLU(), torch.nn.ReLU(), torch.nn.Tanh())
    )
    assert describe_backbone(one) == describe_backbone(same)
    assert describe_backbone(one)["attributes"] != describe_backbone(other)["attributes"]


def iter_nothing():
    yield from ()


class Opaque:
    def __init__(self):
        self.images = iter_nothing()

    def __call__(self, image):
        return scaled(image, 1.0)


def test_what_cannot_be_looked_into_needs_a_version():
    with pytest.raises(ValueError, match=r"A builtins.generator cannot be compared .* Pass version="):
        describe(Opaque())
    assert describe(Opaque(), "1") == describe(Opaque(), "1") != describe(Opaque(), "2")
    assert describe(Scaling(1.0), "1") != describe(Scaling(2.0), "1")
    with pytest.raises(ValueError, match="Pass version="):
        describe(torch.eye(2).to_sparse())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (logging.getLogger("here"), logging.getLogger("there")),
        (re.compile("a"), re.compile("b")),
        (functools.partial(np.add, 1), functools.partial(np.multiply, 1)),
        ("a".join, "b".join),
        (np.float32, np.float64),
        (np.dtype("<f4"), np.dtype(">f4")),
        ([1, 2], (1, 2)),
        ({1: 2}, {1: 3}),
        (np.arange(3), np.arange(3.0)),
        (True, 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_things_are_told_apart(one, other):
    assert describe(one) == describe(one) != describe(other)


GLOBAL_SCALE = 2.0


def reads_a_global(image):
    return GLOBAL_SCALE * torch.from_numpy(np.array(image)).permute(2, 0, 1)


class Shifted(torch.nn.Module):
    def __init__(self, by):
        super().__init__()
        self.by = by

    def forward(self, x):
        return self.by + x.mean(dim=(2, 3))


def test_a_file_of_a_module_whose_plain_attribute_changed_is_refused(arrays, tmp_path):
    for _ in range(2):
        TorchFeatureExtractor(Shifted(1.0)).embed(arrays, tmp_path / "x.npy")
    with pytest.raises(ValueError, match=r"What differs:\nbackbone\.attributes: '\w+' there, '\w+' now$"):
        TorchFeatureExtractor(Shifted(1.5)).embed(arrays, tmp_path / "x.npy")


def test_a_file_of_a_transform_that_reads_a_changed_global_is_refused(arrays, tmp_path, monkeypatch):
    extractor = TorchFeatureExtractor(Shifted(1.0), image_transform=reads_a_global)
    extractor.embed(arrays, tmp_path / "x.npy")
    monkeypatch.setitem(globals(), "GLOBAL_SCALE", 3.0)
    with pytest.raises(ValueError, match=r"What differs:\nimage_transform\.custom: '.*reads_a_global \w+' there"):
        extractor.embed(arrays, tmp_path / "x.npy")


def test_a_version_is_part_of_what_a_file_is_known_by(arrays, tmp_path):
    extractor = TorchFeatureExtractor(Shifted(1.0), image_transform=Opaque())
    with pytest.raises(ValueError, match="Pass version="):
        extractor.embed(arrays, tmp_path / "x.npy")
    assert extractor.embed(arrays).embeddings.shape == (23, 3)
    for _ in range(2):
        extractor.embed(arrays, tmp_path / "x.npy", version="1")
    with pytest.raises(ValueError, match="What differs"):
        extractor.embed(arrays, tmp_path / "x.npy", version="2")
