"""Sources: what images may be given as, and what makes two of them the same."""

import numpy as np
import pytest
import torch
from PIL import Image, features
from torch.utils.data import IterableDataset, TensorDataset

from skal.features import TorchFeatureExtractor
from skal.features._decoding import decode
from skal.features._sources import MARKS, ArrayImages, DatasetImages, FileImages, images_in_folder


def test_a_folder_gives_its_images_in_order(tmp_path):
    names = ["b/2.PNG", "b/10.jpg", "a/x.jpeg", "z.webp", ".hidden/a.png", "a/.b.png", "readme.txt", "b/labels.csv"]
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = [path.relative_to(tmp_path).as_posix() for path in images_in_folder(tmp_path)]
    assert found == ["a/x.jpeg", "b/10.jpg", "b/2.PNG", "z.webp"]


def test_every_kind_of_file_that_a_folder_takes_can_be_read(colors, tmp_path):
    suffixes = ["bmp", "gif", "jpg", "jpeg", "png", "pgm", "ppm", "tif", "tiff"]
    suffixes += ["webp"] if features.check("webp") else []
    for suffix in suffixes:
        Image.fromarray(colors).save(tmp_path / f"a.{suffix}")
    assert len(images_in_folder(tmp_path)) == len(suffixes)
    assert all(decode(path).size == (6, 8) for path in images_in_folder(tmp_path))


class Endless(IterableDataset):
    def __iter__(self):
        yield torch.zeros(3, 4, 4)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "list of images is empty"),
        (np.zeros((0, 4, 4), np.uint8), "array is empty"),
        (TensorDataset(torch.zeros(0, 3, 4, 4)), "Dataset is empty"),
        (np.zeros((2, 4, 4), np.float32), r"are uint8, from 0 to 255; found float32"),
        (np.zeros((2, 4, 4, 4), np.uint8), r"found \(2, 4, 4, 4\)"),
        (np.zeros((4, 4), np.uint8), r"found \(4, 4\)"),
        (np.zeros((2, 0, 4), np.uint8), r"found \(2, 0, 4\)"),
        ("nowhere", "nowhere: there is no such folder"),
        (3, "found a int"),
        ([3], "found a int at position 0"),
        (["a.png", np.zeros((4, 4), np.uint8)], "found a ndarray at position 1"),
        (torch.zeros(2, 4, 4), "found a Tensor"),
        (Endless(), "Endless has no rows by number"),
        (TensorDataset(torch.zeros(2, 3, 4, 4, dtype=torch.uint8)), r"item 0 .* gives a tensor of torch\.uint8"),
    ],
)
def test_what_are_no_images(images, message, backbone):
    with pytest.raises((ValueError, TypeError, FileNotFoundError), match=message):
        TorchFeatureExtractor(backbone).transform(images)


def test_one_file_and_a_folder_without_images(tmp_path, backbone):
    (tmp_path / "a.txt").touch()
    with pytest.raises(ValueError, match="holds no images"):
        TorchFeatureExtractor(backbone).transform(tmp_path)
    with pytest.raises(ValueError, match="is one file; pass a folder, or a list of paths"):
        TorchFeatureExtractor(backbone).transform(tmp_path / "a.txt")


def test_images_of_several_sizes_need_a_size(files, backbone):
    Image.new("RGB", (5, 4)).save(files[3])
    with pytest.raises(ValueError, match=r"000\.png has shape \(10, 12, 3\) and .*003\.png \(4, 5, 3\)\. Set"):
        TorchFeatureExtractor(backbone, image_transform=None).transform(files)
    assert TorchFeatureExtractor(backbone, image_transform=None, image_size=6).transform(files).shape == (23, 12)


def test_a_file_that_changed_has_another_mark(files):
    images = FileImages(files)
    marks = images.marks(range(23))
    assert (images.marks(range(7)) + images.marks(range(7, 23))) % MARKS == marks
    assert images.read([3, 1]).marks == images.marks([1, 3])
    Image.new("RGB", (5, 4)).save(files[3])
    assert images.marks(range(23)) != marks
    assert images.marks(range(4, 23)) == FileImages(files).marks(range(4, 23))
    marks = images.marks(range(23))
    files[3].unlink()
    assert images.marks(range(23)) != marks


def test_an_array_that_changed_has_another_fingerprint(arrays):
    before = ArrayImages(arrays).fingerprint()
    assert ArrayImages(np.asfortranarray(arrays)).fingerprint() == before
    arrays[-1, -1, -1, -1] ^= 1
    assert ArrayImages(arrays).fingerprint() != before


@pytest.mark.parametrize("kind", ["array", "files", "Dataset"])
def test_any_rows_are_read_in_any_order(kind, arrays, files):
    """As a training step needs them, with what belongs to a row beside it."""
    tensors = torch.from_numpy(arrays / np.float32(255)).permute(0, 3, 1, 2)
    images = {
        "array": ArrayImages(arrays),
        "files": FileImages(files),
        "Dataset": DatasetImages(TensorDataset(tensors)),
    }
    rows, expected = np.array([7, 0, 22, 7]), tensors.numpy() if kind == "Dataset" else arrays
    batch = images[kind].read(rows)
    np.testing.assert_array_equal(batch.images, expected[rows])
    np.testing.assert_array_equal(batch.rows, rows)


def test_rows_of_files_that_cannot_be_read_are_missing_beside_their_labels(arrays, files):
    files[7].write_text("not pixels")
    batch = FileImages(files).read([7, 3, 22])
    np.testing.assert_array_equal(batch.images, arrays[batch.rows])
    assert batch.rows.tolist() == [3, 22]
    assert list(batch.refused) == [7]


def test_linked_folders_are_walked_and_folders_are_no_images(tmp_path):
    for name in ("elsewhere/b.png", "images/a.png", "images/x.png/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    (tmp_path / "images" / "linked").symlink_to(tmp_path / "elsewhere")
    found = images_in_folder(tmp_path / "images")
    assert [str(path.relative_to(tmp_path / "images")) for path in found] == ["a.png", "linked/b.png", "x.png/c.png"]
