"""IDX files, packed or not, and Debian's own where they are installed."""

import gzip

import numpy as np
import pytest

from skal.datasets import load_fashion_mnist


def load_small(root):
    return load_fashion_mnist(root, split="test", check_sizes=False)


def test_files_that_are_not_packed_are_mapped(write):
    written = write("fashion_mnist", pack=False)
    collection = load_small(written.root)
    assert isinstance(collection.images, np.memmap)
    assert not collection.images.flags.writeable
    np.testing.assert_array_equal(collection.images, written.splits["test"][0])
    np.testing.assert_array_equal(collection.y, written.splits["test"][1])


def test_the_file_that_is_not_packed_goes_first(write):
    written = write("fashion_mnist")
    packed = written.root / "t10k-images-idx3-ubyte.gz"
    packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    packed.write_bytes(b"never read")
    np.testing.assert_array_equal(load_small(written.root).images, written.splits["test"][0])


@pytest.fixture(params=[True, False], ids=["packed", "not packed"])
def files(request, write):
    """(root, how to read, how to write) of a copy, in terms of what is in the files."""
    written = write("fashion_mnist", pack=request.param)
    suffix = ".gz" if request.param else ""
    unpack, pack = (gzip.decompress, gzip.compress) if request.param else (bytes, bytes)

    def replace(kind, change):
        dims = {"images": 3, "labels": 1}[kind]
        path = written.root / f"t10k-{kind}-idx{dims}-ubyte{suffix}"
        path.write_bytes(pack(change(unpack(path.read_bytes()))))
        return path

    return written.root, replace


@pytest.mark.parametrize(
    ("kind", "change", "says"),
    [
        ("images", lambda content: content[:-1], "fewer than the 3920 bytes"),
        ("images", lambda content: content + b"\0", "more than the 3920 bytes"),
        ("images", lambda content: content[:9], "no IDX file"),
        ("images", lambda content: b"", "no IDX file"),
        ("images", lambda content: b"\0\0\x0d" + content[3:], "no IDX file"),
        ("images", lambda content: content[:4] + b"\xff" * 12 + content[16:], "damaged or cut off"),
        ("images", lambda content: content[:4] + bytes(12), "holds nothing"),
        ("labels", lambda content: b"\0\0\x08\x03" + content[4:], "no IDX file"),
        ("labels", lambda content: content[:8] + b"\x0a" + content[9:], "label 10"),
        ("labels", lambda content: content[:4] + b"\0\0\0\x04" + content[8:-1], "5 images, but"),
    ],
)
def test_wrong_and_truncated_files_are_refused(kind, change, says, files):
    root, replace = files
    path = replace(kind, change)
    with pytest.raises(ValueError, match=says) as caught:
        load_small(root)
    assert str(path) in str(caught.value)


def test_a_packed_file_cut_off_anywhere_is_refused(write):
    root = write("fashion_mnist").root
    path = root / "t10k-images-idx3-ubyte.gz"
    content = path.read_bytes()
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=str(path)):
            load_small(root)
    path.write_bytes(content[:50] + bytes([content[50] ^ 255]) + content[51:])
    with pytest.raises(ValueError, match=str(path)):
        load_small(root)


def test_the_files_of_debian():
    try:
        train, test = load_fashion_mnist(), load_fashion_mnist(split="test")
    except FileNotFoundError:
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    assert train.images.shape == (60_000, 28, 28)
    assert test.images.shape == (10_000, 28, 28)
    assert np.bincount(train.y).tolist() == [6_000] * 10
    assert np.bincount(test.y).tolist() == [1_000] * 10
    trousers, bags = (train.images[train.y == train.class_names.index(name)] for name in ("Trouser", "Bag"))
    assert bags.mean() > trousers.mean()  # a bag fills more of its image than trousers do
