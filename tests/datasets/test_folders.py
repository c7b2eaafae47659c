"""Folders of one's own."""

from pathlib import Path

import pytest

from skal._files._images import IMAGE_SUFFIXES, UNREAD_SUFFIXES
from skal.datasets import load_dataset, load_flat_folder, load_image_folder
from skal.features._sources import open_images


@pytest.fixture
def tree(tmp_path):
    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path

    return make


def test_class_folders_directly_in_the_root(tree):
    root = tree("dog/1.jpg", "cat/1.jpg", "cat/sub/0.jpg", "Zebra/1.jpg")
    collection = load_image_folder(root)
    assert collection.split == "all"
    assert collection.class_names == ("Zebra", "cat", "dog")
    oracle = sorted(root.rglob("*.jpg"))
    assert collection.images == oracle
    assert [collection.class_names[label] for label in collection.y] == [
        path.relative_to(root).parts[0] for path in oracle
    ]


def test_nested_images_are_sorted_by_the_parts_of_their_paths(tree):
    root = tree("a/b/1.jpg", "a/b-c/1.jpg", "a/b.jpg", "a/a.jpg")
    assert load_image_folder(root).images == sorted(root.rglob("*.jpg"))
    assert load_flat_folder(root).images == sorted(root.rglob("*.jpg"))


def test_what_is_no_image_or_hidden_is_left_out(tree):
    root = tree("a/1.JPG", "a/._1.jpg", "a/.cache/2.jpg", "a/list.csv", ".git/3.jpg", "README.md", "a/4.jpg.txt")
    collection = load_image_folder(root)
    assert collection.images == [root / "a" / "1.JPG"]
    assert collection.class_names == ("a",)
    assert load_flat_folder(root / "a").images == [root / "a" / "1.JPG"]


def test_a_folder_named_like_an_image_is_a_folder(tree):
    root = tree("a/odd.jpg/1.png")
    assert load_image_folder(root).images == [root / "a" / "odd.jpg" / "1.png"]


def test_a_flat_folder_is_searched_whole(tree):
    root = tree("1.jpg", "inner/2.jpg", "inner/most/3.jpg")
    assert load_flat_folder(root).images == [
        root / "1.jpg",
        root / "inner" / "2.jpg",
        root / "inner" / "most" / "3.jpg",
    ]
    assert load_flat_folder(root).images == [Path(path) for path in open_images(root).paths]


LEFT_OUT = r"1 \.dng, 2 \.heic \(images of a kind that is not read: convert .*\), 1 that are no images .*, 2 hidden"


def test_images_of_a_kind_that_is_not_read_are_counted_in_a_warning(tree):
    root = tree("a/1.jpg", "a/2.HEIC", "a/b/3.heic", "c/4.dng", "c/notes.txt", "c/.5.heic", ".d/6.heic", "c/7.png")
    for name, load in {
        "flat": load_flat_folder, "classes": load_image_folder, "embed": open_images,
        "by name": lambda root: load_dataset("flat_folder", root),
    }.items():  # fmt: skip
        with pytest.warns(UserWarning, match=rf"^{root}: 2 images, 6 files left out: {LEFT_OUT}\.$") as warned:
            load(root)
        assert [warning.filename for warning in warned] == [__file__], name
    with pytest.raises(FileNotFoundError, match=r"holds no image .* Left out: 1 \.heic"):
        load_flat_folder(root / "a" / "b")
    with pytest.raises(ValueError, match=r"holds no images, .* Left out: 1 \.heic"):
        open_images(root / "a" / "b")
    (root / "c" / "7.png").unlink()
    with pytest.raises(ValueError, match=r"c holds no image \(left out: 1 \.dng .*\); fill"):
        load_image_folder(root)


def test_no_suffix_is_both_read_and_not():
    assert not {*IMAGE_SUFFIXES} & {*UNREAD_SUFFIXES}
    assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in (*IMAGE_SUFFIXES, *UNREAD_SUFFIXES))


def test_images_without_a_class_are_refused(tree):
    with pytest.raises(FileNotFoundError, match=r"1 images lie in it directly.*load_flat_folder"):
        load_image_folder(tree("1.jpg"))
    with pytest.raises(ValueError, match=r"beside its class folders.*1\.jpg"):
        load_image_folder(tree("a/2.jpg"))


def test_an_empty_class_is_refused(tree):
    root = tree("a/1.jpg", "b/notes.txt")
    with pytest.raises(ValueError, match=f"{root / 'b'} holds no image"):
        load_image_folder(root)


def test_links_are_followed_but_not_in_circles(tree):
    root = tree("a/1.jpg", "store/2.jpg")
    (root / "b").symlink_to(root / "store")
    (root / "b2.jpg").symlink_to(root / "gone.jpg")
    with pytest.raises(ValueError, match=r"b2\.jpg"):  # a link to nowhere is an image that cannot be read, not none
        load_image_folder(root)
    (root / "b2.jpg").unlink()
    assert load_image_folder(root).class_names == ("a", "b", "store")
    (root / "a" / "back").symlink_to(root / "a")
    with pytest.raises(ValueError, match="leads back"):
        load_image_folder(root)


def test_the_split_is_a_folder(tree):
    root = tree("train/a/1.jpg")
    assert load_image_folder(root, split="train").images == [root / "train" / "a" / "1.jpg"]
    for load in (load_image_folder, load_flat_folder):
        with pytest.raises(FileNotFoundError, match=str(Path(root, "val"))):
            load(root, split="val")
