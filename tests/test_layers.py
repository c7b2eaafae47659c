"""Imports go down the layers of the design, never up."""

import ast
from pathlib import Path

import pytest

import skal
from docs.images.make_rooms import ROWS

ROOT = Path(skal.__file__).parent

LAYERS = [
    "registry", "_install", "_html", "_core", "_warnings", "greedy", "_files", "_dask", "_validation", "pool", "base",
    "_pipeline", "features", "datasets", "classifiers", "vision", "samplers", "rounds", "low_budget", "evaluation",
    "labeling", "plotting", "testing", "_demo", "cli", "__main__",
]  # fmt: skip

# Within the vision room, too: each file may import those before it.
VISION = [
    "_decoding", "_loading", "_preparation", "_sources", "_named_images", "_resnet", "_wide_resnet", "_efficientnet",
    "_checkpoints", "_backbones", "_random_weights", "_logits", "_identity", "_forward", "_embedded", "_in_memory",
    "_lock", "_npy", "_manifest", "_kept_rows", "_embedding_file", "_progress", "_batches", "_job",
    "_extractor", "_shards", "__init__",
]  # fmt: skip


def room_of(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module


FILES = [path for path in sorted(ROOT.rglob("*.py")) if path != ROOT / "__init__.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path):
    level = LAYERS.index(room_of(path))
    for module in imported_modules(path):
        top, *rest = module.split(".")
        if top == "skal" and rest:
            assert LAYERS.index(rest[0]) <= level, f"{path} imports {module}, which stands above it"
        if room_of(path) in ("_core", "_files"):
            assert top != "sklearn", f"{path} imports {module}: {room_of(path)} knows no scikit-learn"


@pytest.mark.parametrize("path", sorted((ROOT / "features").glob("*.py")), ids=lambda path: path.name)
def test_imports_within_the_vision_room_go_one_way(path):
    prefix = "skal.features."
    for module in imported_modules(path):
        if module.startswith(prefix):
            assert VISION.index(module.removeprefix(prefix)) < VISION.index(path.stem), f"{path.name}: {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_features_and_datasets_do_not_know_each_other(path):
    for room, other in (("features", "datasets"), ("datasets", "features")):
        if room_of(path) == room:
            assert not [m for m in imported_modules(path) if m.split(".")[:2] == ["skal", other]]


def test_the_picture_shows_them_as_they_are():
    drawn = [name for *_, rooms in ROWS for name, _ in rooms]
    left_out = {"registry", "_install", "_html", "_warnings", "_pipeline", "_demo", "__main__"}
    assert drawn == [room for room in LAYERS if room not in left_out]


def test_only_validation_touches_private_helpers_of_scikit_learn():
    for path in FILES:
        if room_of(path) == "_validation":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("sklearn"):
                private = [name for name in [*node.module.split("."), *(a.name for a in node.names)] if name[0] == "_"]
                assert not private, f"{path} imports {private} of scikit-learn"


def test_one_public_sampler_a_file():
    import skal.samplers

    homes = [getattr(skal.samplers, name).__module__ for name in skal.samplers.__all__]
    assert all(home.startswith("skal.samplers._") for home in homes)
    assert len(homes) == len(skal.samplers.__all__) >= 3
