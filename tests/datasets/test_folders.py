"""Folders of one's own."""

from pathlib import Path

import pytest

from skal.datasets import load_flat_folder, load_image_folder


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
    assert load_flat_folder(root, recursive=True).images == sorted(root.rglob("*.jpg"))


def test_what_is_no_image_or_hidden_is_left_out(tree):
    root = tree("a/1.JPG", "a/._1.jpg", "a/.cache/2.jpg", "a/list.csv", ".git/3.jpg", "README.md", "a/4.jpg.txt")
    collection = load_image_folder(root)
    assert collection.images == [root / "a" / "1.JPG"]
    assert collection.class_names == ("a",)
    assert load_flat_folder(root / "a").images == [root / "a" / "1.JPG"]


def test_a_folder_named_like_an_image_is_a_folder(tree):
    root = tree("a/odd.jpg/1.png")
    assert load_image_folder(root).images == [root / "a" / "odd.jpg" / "1.png"]


def test_a_flat_folder_is_not_searched_unless_asked(tree):
    root = tree("1.jpg", "inner/2.jpg")
    assert load_flat_folder(root).images == [root / "1.jpg"]
    assert load_flat_folder(root, recursive=True).images == [root / "1.jpg", root / "inner" / "2.jpg"]
    with pytest.raises(FileNotFoundError, match="recursive=True"):
        load_flat_folder(tree("outer/in/3.jpg") / "outer")


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
