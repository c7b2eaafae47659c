"""CIFAR's pickles: what they hold, and what is refused."""

import pickle

import numpy as np
import pytest

from skal.datasets import load_cifar10, load_cifar100


def test_each_way_of_writing_gives_the_same_pixels(write, dump):
    for name, load in (("cifar10", load_cifar10), ("cifar100", load_cifar100)):
        written = write(name, dump=dump)
        images, y = written.splits["test"]
        collection = load(written.root, split="test", check_sizes=False)
        np.testing.assert_array_equal(collection.images, images)
        np.testing.assert_array_equal(collection.y, y)
        assert collection.class_names == written.class_names
        assert collection.images.flags.c_contiguous


def test_the_root_may_be_the_folder_itself(write):
    written = write("cifar10")
    inside = load_cifar10(written.root / "cifar-10-batches-py", check_sizes=False)
    np.testing.assert_array_equal(inside.images, written.splits["train"][0])


def test_coarse_labels(write):
    written = write("cifar100")
    coarse = load_cifar100(written.root, labels="coarse", check_sizes=False)
    np.testing.assert_array_equal(coarse.y, written.splits["train"][1] // 5)
    assert coarse.class_names == tuple(f"group {number}" for number in range(20))
    with pytest.raises(ValueError, match="'medium'"):
        load_cifar100(written.root, labels="medium")


def test_the_published_size_passes(write, python2):
    written = write("cifar10")
    n_images = 10_000
    batch = {"data": np.zeros((n_images, 3072), dtype=np.uint8), "labels": [0] * n_images}
    (written.root / "cifar-10-batches-py" / "test_batch").write_bytes(python2(batch))
    assert len(load_cifar10(written.root, split="test")) == n_images


GOOD = {"data": np.zeros((2, 3072), dtype=np.uint8), "labels": [0, 9]}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"labels": [0]}, "1 labels for 2 images"),
        ({"labels": [0, 10]}, "among them 10"),
        ({"labels": [0, "9"]}, "among them b'9'"),
        ({"labels": 3}, "labels as int"),
        ({"data": np.zeros((2, 784), dtype=np.uint8)}, r"\(2, 784\)"),
        ({"data": [0]}, "images as list"),
    ],
)
def test_a_batch_that_is_none_is_refused(changed, says, write, python2):
    written = write("cifar10")
    path = written.root / "cifar-10-batches-py" / "test_batch"
    path.write_bytes(python2(GOOD))
    assert len(load_cifar10(written.root, split="test", check_sizes=False)) == 2
    path.write_bytes(python2(GOOD | changed))
    with pytest.raises(ValueError, match=says) as caught:
        load_cifar10(written.root, split="test", check_sizes=False)
    assert str(path) in str(caught.value)


def test_a_file_of_the_other_cifar_is_refused(write):
    ten, hundred = write("cifar10").root / "cifar-10-batches-py", write("cifar100").root / "cifar-100-python"
    (ten / "test_batch").write_bytes((hundred / "test").read_bytes())
    with pytest.raises(ValueError, match=r"no entry 'labels'.*another dataset"):
        load_cifar10(ten, split="test", check_sizes=False)


def test_class_names_must_be_texts(write, python2):
    written = write("cifar10")
    (written.root / "cifar-10-batches-py" / "batches.meta").write_bytes(python2({"label_names": [1, 2]}))
    with pytest.raises(ValueError, match=r"batches\.meta names a class by int"):
        load_cifar10(written.root)


@pytest.mark.parametrize(("names", "found"), [("airplane", "bytes"), (3, "int"), ({"airplane": 0}, "dict")])
def test_class_names_must_be_a_list(names, found, write, python2):
    written = write("cifar10")
    (written.root / "cifar-10-batches-py" / "batches.meta").write_bytes(python2({"label_names": names}))
    with pytest.raises(ValueError, match=rf"batches\.meta holds class names as {found}; expected a list"):
        load_cifar10(written.root, check_sizes=False)


def test_no_class_names_at_all(write):
    written = write("cifar10")
    (written.root / "cifar-10-batches-py" / "batches.meta").write_bytes(pickle.dumps({"label_names": None}))
    with pytest.raises(ValueError, match=r"batches\.meta holds class names as NoneType"):
        load_cifar10(written.root, check_sizes=False)


@pytest.mark.parametrize(("labels", "n_classes"), [("fine", 100), ("coarse", 20)])
def test_another_number_of_classes_is_refused(labels, n_classes, write, python2):
    written = write("cifar100")
    names = {f"{labels}_label_names": [f"thing {number}" for number in range(n_classes + 1)]}
    (written.root / "cifar-100-python" / "meta").write_bytes(python2(names))
    with pytest.raises(ValueError, match=rf"found {n_classes + 1} class names, expected {n_classes} "):
        load_cifar100(written.root, labels=labels)
    assert len(load_cifar100(written.root, labels=labels, check_sizes=False).class_names) == n_classes + 1
