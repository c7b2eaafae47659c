"""Datasets whose splits are lists of images: Flowers-102, DTD, Aircraft and ImageNet-LT."""

import codecs
import itertools

import numpy as np
import pytest
from scipy.io import savemat

from skal.datasets import load_aircraft, load_dataset, load_dtd, load_flowers102, load_imagenet, load_imagenet_lt

# Table 15 of the paper
FLOWERS = {"train": 1_020, "val": 1_020, "test": 6_149}
DTD_OF_EACH = 1_880
AIRCRAFT = {"train": 5_367, "val": 1_300, "trainval": 6_667, "test": 3_333}
AIRCRAFT_OFFICIAL = {"train": 3_334, "val": 3_333, "trainval": 6_667, "test": 3_333}


@pytest.mark.slow
def test_flowers_of_the_published_size_pass(write):
    starts = np.cumsum([1, *FLOWERS.values()])
    sets = [range(start, stop) for start, stop in itertools.pairwise(starts)]
    written = write("flowers102", labels=[number % 102 + 1 for number in range(sum(FLOWERS.values()))], sets=sets)
    for split, n_images in FLOWERS.items():
        assert len(load_flowers102(written.root, split=split)) == n_images


def test_flowers_may_lie_in_a_folder_of_that_name(write, tmp_path):
    written = write("flowers102")
    written.root.rename(tmp_path / "flowers-102")
    assert len(load_flowers102(tmp_path, check_sizes=False)) == len(written.splits["train"][0])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"setid": 1}, "no variable 'trnid'"),
        ({"trnid": [[1, 8]]}, "lists image 8, but"),
        ({"trnid": [[1, 3, 1]]}, r"setid\.mat lists '1' twice"),
        ({"trnid": [[0, 1]]}, "from 1"),
        ({"trnid": [[1.5]]}, "from 1"),
        ({"trnid": np.zeros((1, 0))}, "from 1"),
        ({"trnid": "text"}, "from 1"),
    ],
)
def test_flowers_with_a_wrong_matlab_file_are_refused(content, says, write):
    written = write("flowers102")
    savemat(written.root / "setid.mat", content)
    with pytest.raises(ValueError, match=says):
        load_flowers102(written.root, check_sizes=False)


def test_flowers_with_a_matlab_file_cut_off_are_refused(write):
    written = write("flowers102")
    path = written.root / "imagelabels.mat"
    content = path.read_bytes()
    for length in range(0, len(content), 8):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=str(path)):
            load_flowers102(written.root, check_sizes=False)


@pytest.mark.slow
def test_textures_of_the_published_size_pass(write):
    written = write("dtd", names=tuple(f"texture{number:02d}" for number in range(47)), n_per_class=40)
    for split in ("train", "val", "test"):
        collection = load_dtd(written.root, split=split)
        assert len(collection) == DTD_OF_EACH
        assert np.bincount(collection.y).tolist() == [40] * 47
    with pytest.raises(ValueError, match=r"found 46 classes, expected 47 \(Table 15 of the paper\)"):
        load_dtd(write("dtd", names=tuple(f"texture{number:02d}" for number in range(46))).root)


def test_textures_of_another_partition(write):
    written = write("dtd")
    labels = written.root / "dtd" / "labels"
    (labels / "train7.txt").write_text((labels / "test1.txt").read_text())
    collection = load_dtd(written.root / "dtd", partition=7, check_sizes=False)
    assert collection.images == [written.root / path for path in written.splits["test"][0]]
    for partition in (0, 11, "1"):
        with pytest.raises(ValueError, match="1 to 10"):
            load_dtd(written.root, partition=partition)


def test_textures_listed_outside_of_a_class_are_refused(write):
    written = write("dtd")
    images, labels = written.root / "dtd" / "images", written.root / "dtd" / "labels"
    (images / "astray.jpg").touch()
    (labels / "train1.txt").write_text("banded/banded_0000.jpg\nastray.jpg\n")
    with pytest.raises(ValueError, match=r"astray\.jpg.*expected <class>/<image>"):
        load_dtd(written.root, check_sizes=False)


@pytest.fixture(scope="module")
def aircraft(tmp_path_factory):
    """Aircraft of the published size: 100 variants of 100 images, files without content."""
    data = tmp_path_factory.mktemp("aircraft") / "data"
    (data / "images").mkdir(parents=True)
    for number in range(10_000):
        (data / "images" / f"{number:07d}.jpg").touch()
    (data / "variants.txt").write_text("\n".join(f"variant {number}" for number in range(100)))
    rows = {"train": range(3_334), "val": range(3_334, 6_667), "trainval": range(6_667), "test": range(6_667, 10_000)}
    for split, numbers in rows.items():
        lines = [f"{number:07d} variant {number % 100}" for number in numbers]
        (data / f"images_variant_{split}.txt").write_text("\n".join(lines))
    return data.parent


@pytest.mark.slow
def test_aircraft_of_the_published_size_pass(aircraft):
    for split in AIRCRAFT:
        assert len(load_aircraft(aircraft, split=split)) == AIRCRAFT[split]
        assert len(load_aircraft(aircraft / "data", split=split, val="official")) == AIRCRAFT_OFFICIAL[split]


def test_the_paper_draws_a_fifth_of_each_variant_for_validation(aircraft):
    train, val, both = (load_aircraft(aircraft, split=split) for split in ("train", "val", "trainval"))
    assert set(train.images).isdisjoint(val.images)
    assert sorted(train.images + val.images) == both.images
    np.testing.assert_array_equal(np.bincount(val.y), np.bincount(both.y) // 5)
    label_of = dict(zip(both.images, both.y, strict=True))
    assert [label_of[path] for path in val.images] == val.y.tolist()
    again, other = (load_aircraft(aircraft, split="val", random_state=seed) for seed in (0, 1))
    assert again.images == val.images
    assert set(other.images) != set(val.images)


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(0), 0.5])
@pytest.mark.parametrize("split", ["train", "val"])
def test_aircraft_refuse_to_draw_otherwise_for_each_split(split, random_state, aircraft):
    with pytest.raises(ValueError, match=r"random_state=.* is no int.*overlap"):
        load_aircraft(aircraft, split=split, random_state=random_state)


def test_aircraft_take_the_ints_of_numpy(aircraft):
    drawn = load_aircraft(aircraft, split="val", random_state=np.int64(3))
    assert drawn.images == load_aircraft(aircraft, split="val", random_state=3).images


def test_aircraft_refuse_what_they_do_not_know(write):
    written = write("aircraft")
    with pytest.raises(ValueError, match="'random'"):
        load_aircraft(written.root, val="random")
    path = written.root / "fgvc-aircraft-2013b" / "data" / "images_variant_test.txt"
    path.write_text("0000001 707-321\n")
    with pytest.raises(ValueError, match=r"707-321.*a variant of variants\.txt"):
        load_aircraft(written.root, split="test", check_sizes=False)


@pytest.fixture
def imagenet_lt(tmp_path):
    """1,000 classes of one image, each under 116 names; lists of any length up to the published one."""
    folders = [f"n{label:08d}" for label in range(1_000)]
    for folder in folders:
        (tmp_path / "train" / folder).mkdir(parents=True)
        (tmp_path / "train" / folder / "1.JPEG").touch()
    for number in range(116):
        (tmp_path / "train" / f"again{number}").symlink_to(tmp_path / "train")

    def write_list(n_lines):
        rows = ((f"train/again{row // 1_000}/{folders[row % 1_000]}/1.JPEG", row % 1_000) for row in range(n_lines))
        (tmp_path / "ImageNet_LT_train.txt").write_text("".join(f"{name} {label}\n" for name, label in rows))
        return tmp_path

    return write_list


@pytest.mark.slow
def test_imagenet_lt_of_the_published_size_passes_and_one_less_does_not(imagenet_lt):
    collection = load_imagenet_lt(imagenet_lt(115_846))
    assert len(collection) == 115_846
    assert len(collection.class_names) == 1_000
    with pytest.raises(ValueError, match=r"found 115,845 images.*expected 115,846"):
        load_imagenet_lt(imagenet_lt(115_845))


def test_the_lists_of_imagenet_lt_may_lie_elsewhere(write, tmp_path):
    written = write("imagenet_lt")
    (tmp_path / "lists").mkdir()
    path = written.root / "ImageNet_LT_val.txt"
    path.rename(tmp_path / "lists" / path.name)
    collection = load_imagenet_lt(written.root, split="val", lists=tmp_path / "lists", check_sizes=False)
    assert collection.images == [written.root / path for path in written.splits["val"][0]]


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("", "is empty"),
        ("train/n01440764/b.JPEG\n", "divided by a space"),
        ("train/n01440764/b.JPEG x\n", "divided by a space"),
        ("train/n01440764/b.JPEG -1\n", "divided by a space"),
        ("/etc/passwd 0\n", "outside the dataset's folder"),
        ("train/../../secret.JPEG 0\n", "outside the dataset's folder"),
        ("train/n01440764/b.JPEG 1\n", "leaves out labels"),
        ("train/n01440764/b.JPEG 0\ntrain/n01443537/a.JPEG 0\n", "label 0 to images of n01440764 and of n01443537"),
        ("train/n01440764/b.JPEG 0\ntrain/n01440764/c.JPEG 1\n", "several labels"),
        ("train/n01440764/b.JPEG 0\ntrain/n01440764/./b.JPEG 0\n", r"lists 'train/n01440764/\./b\.JPEG' twice"),
        (b"\xff\xfe\x00", "no text file"),
    ],
)
def test_a_wrong_list_is_refused(lines, says, write):
    written = write("imagenet_lt")
    path = written.root / "ImageNet_LT_train.txt"
    path.write_bytes(lines if isinstance(lines, bytes) else lines.encode())
    with pytest.raises(ValueError, match=says) as caught:
        load_imagenet_lt(written.root, check_sizes=False)
    assert str(path) in str(caught.value)


def test_an_image_that_is_listed_twice_is_refused(write):
    written = write("dtd")
    path = written.root / "dtd" / "labels" / "train1.txt"
    path.write_text(path.read_text() + "banded/banded_0001.jpg\n")
    with pytest.raises(ValueError, match=r"train1\.txt lists 'banded/banded_0001\.jpg' twice"):
        load_dtd(written.root, check_sizes=False)
    written = write("aircraft")
    data = written.root / "fgvc-aircraft-2013b" / "data"
    path = data / "images_variant_train.txt"
    path.write_text(path.read_text() + "0000001 F/A-18\n")
    with pytest.raises(ValueError, match=r"images_variant_train\.txt lists '0000001' twice"):
        load_aircraft(written.root, check_sizes=False, val="official")
    (data / "variants.txt").write_text("707-320\nF/A-18\nBoeing 717\nF/A-18\n")
    with pytest.raises(ValueError, match=r"variants\.txt lists 'F/A-18' twice"):
        load_aircraft(written.root, check_sizes=False, val="official")


@pytest.mark.parametrize("name", ["dtd", "aircraft", "imagenet_lt"])
def test_a_list_may_begin_with_a_byte_order_mark(name, write):
    """As editors on Windows write it."""
    written = write(name)
    expected = load_dataset(name, written.root, **written.options)
    for path in written.root.rglob("*.txt"):
        path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    found = load_dataset(name, written.root, **written.options)
    assert found.images == expected.images
    assert found.class_names == expected.class_names


@pytest.mark.slow
def test_many_missing_images_are_counted(imagenet_lt):
    root = imagenet_lt(20_000)
    for name in ("n00000000", "n00000007"):
        (root / "train" / name / "1.JPEG").unlink()
    with pytest.raises(FileNotFoundError, match=r"n00000000/1\.JPEG.*and 37 more"):
        load_imagenet_lt(root, check_sizes=False)


def test_imagenet_whose_validation_images_were_not_sorted_says_so(write):
    written = write("imagenet")
    for path in sorted((written.root / "val").rglob("*.JPEG")):
        path.rename(written.root / "val" / path.name)
        path.parent.rmdir()
    with pytest.raises(FileNotFoundError, match="2 images lie in it directly"):
        load_imagenet(written.root, split="val")
