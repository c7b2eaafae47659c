"""What every reader keeps."""

import inspect
import os
from pathlib import Path

import numpy as np
import pytest

from skal.datasets import DATASETS, ImageCollection, load_dataset

OWN_FOLDERS = ("flat_folder", "image_folder")
PUBLISHED = [name for name in DATASETS if name not in OWN_FOLDERS]
LISTED_OR_PACKED = [name for name in PUBLISHED if name != "imagenet"]


@pytest.fixture(params=list(DATASETS))
def name(request):
    return request.param


def assert_as_written(collection, written, split):
    images, y = written.splits[split]
    assert isinstance(collection, ImageCollection)
    assert len(collection) == len(images) > 0
    assert collection.split == split
    assert collection.class_names == written.class_names
    if isinstance(images, np.ndarray):
        assert collection.images.dtype == np.uint8
        np.testing.assert_array_equal(collection.images, images)
    else:
        assert collection.images == [written.root / path for path in images]
    if y is None:
        assert collection.y is None
    else:
        assert collection.y.dtype == np.int64
        np.testing.assert_array_equal(collection.y, y)


def test_each_split_is_read_as_it_was_written(name, write):
    written = write(name)
    assert len(written.splits) >= 2
    for split in written.splits:
        assert_as_written(load_dataset(name, written.root, split=split, **written.options), written, split)


def test_the_order_of_a_directory_does_not_matter(name, write, monkeypatch):
    written = write(name)
    split = next(iter(written.splits))
    scandir = os.scandir

    class Reversed:
        def __init__(self, folder):
            with scandir(folder) as entries:
                self.entries = list(entries)[::-1]

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(os, "scandir", Reversed)
    assert_as_written(load_dataset(name, written.root, split=split, **written.options), written, split)


def test_the_root_may_be_text(name, write):
    written = write(name)
    split = next(iter(written.splits))
    assert_as_written(DATASETS[name](str(written.root), split=split, **written.options), written, split)


def test_the_signature_is_the_same(name):
    root, split, *options = inspect.signature(DATASETS[name]).parameters.values()
    assert (root.name, split.name) == ("root", "split")
    assert split.default == (None if name in OWN_FOLDERS else "train")
    assert all(option.kind is inspect.Parameter.KEYWORD_ONLY for option in [split, *options])
    assert ("check_sizes" in {option.name for option in options}) == (name in PUBLISHED)


def test_a_missing_folder_is_named(name, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_dataset(name, tmp_path / "nowhere")


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_missing_dataset_says_what_is_expected_and_how_to_get_it(name, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        load_dataset(name, tmp_path)
    message = str(caught.value)
    assert str(tmp_path) in message
    assert "Expected in" in message
    assert "https://" in message
    assert "Nothing is downloaded" in message


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_unknown_split_is_refused_with_those_there_are(name, write):
    written = write(name)
    with pytest.raises(ValueError, match="'validate'") as caught:
        load_dataset(name, written.root, split="validate")
    assert all(repr(split) in str(caught.value) for split in written.splits)


@pytest.mark.parametrize("name", LISTED_OR_PACKED)
def test_a_missing_file_is_named_or_was_not_needed(name, write):
    written = write(name)
    split = next(iter(written.splits))
    missing = {}
    for path in sorted(path for path in written.root.rglob("*") if path.is_file()):
        content = path.read_bytes()
        path.unlink()
        try:
            collection = load_dataset(name, written.root, split=split, **written.options)
        except FileNotFoundError as error:
            missing[path.name] = str(error)
        else:
            assert_as_written(collection, written, split)
        path.write_bytes(content)
    n_images_on_disk = 0 if isinstance(written.splits[split][0], np.ndarray) else len(written.splits[split][0])
    assert len(missing) > n_images_on_disk
    assert all(file_name in message for file_name, message in missing.items())


@pytest.mark.parametrize("name", PUBLISHED)
def test_another_size_is_refused_unless_it_is_meant(name, write):
    written = write(name)
    for split, (images, _) in written.splits.items():
        with pytest.raises(ValueError, match="check_sizes=False") as caught:
            load_dataset(name, written.root, split=split, **(written.options | {"check_sizes": True}))
        found = {f"found {len(images)} ", f"found {len(written.class_names)} "}
        assert any(count in str(caught.value) for count in found)


def test_names_are_those_of_the_loaders():
    import skal.datasets

    assert all(DATASETS[name] is getattr(skal.datasets, f"load_{name}") for name in DATASETS)
    loaders = {name for name in skal.datasets.__all__ if name.startswith("load_")} - {"load_dataset"}
    assert loaders == {f"load_{name}" for name in DATASETS}


def test_load_dataset_refuses_what_it_cannot_know():
    with pytest.raises(ValueError, match="'mnist'; there are aircraft, cifar10"):
        load_dataset("mnist", ".")
    with pytest.raises(ValueError, match="needs a root"):
        load_dataset("cifar10")
    assert Path(inspect.signature(DATASETS["fashion_mnist"]).parameters["root"].default).is_absolute()
