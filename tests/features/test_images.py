"""Reading and preparing images: every odd kind of file, and the geometry beside a plain oracle."""

import os
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image, features
from torch.utils.data import IterableDataset, TensorDataset

from skal.features import TorchFeatureExtractor
from skal.features._images import (
    MARKS,
    ArrayImages,
    FileImages,
    Preparation,
    UnreadableImage,
    decode,
    images_in_folder,
    open_images,
    resized_and_cropped,
)

CPU = torch.device("cpu")


@pytest.fixture
def colors(rng):
    return rng.integers(0, 256, size=(8, 6, 3), dtype=np.uint8)


def assert_same(path, expected, tolerance=0):
    image = decode(path)
    assert image.mode == "RGB"
    np.testing.assert_allclose(np.asarray(image, dtype=int), np.asarray(expected, dtype=int), atol=tolerance)


def test_plain_colors(colors, tmp_path):
    Image.fromarray(colors).save(tmp_path / "a.png")
    assert_same(tmp_path / "a.png", colors)


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "pgm"])
def test_greyscale_becomes_three_equal_channels(suffix, colors, tmp_path):
    grey = colors[:, :, 0]
    Image.fromarray(grey).save(tmp_path / f"a.{suffix}")
    assert_same(tmp_path / f"a.{suffix}", np.repeat(grey[:, :, None], 3, axis=2))


def test_one_bit(colors, tmp_path):
    bits = colors[:, :, 0] > 127
    Image.fromarray(bits).save(tmp_path / "a.png")
    assert_same(tmp_path / "a.png", np.repeat(255 * bits[:, :, None], 3, axis=2))


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_of_16_bits_the_upper_8_are_taken(suffix, rng, tmp_path):
    deep = rng.integers(0, 2**16, size=(8, 6), dtype=np.uint16)
    deep[0, 0], deep[0, 1] = 0, 65535
    Image.fromarray(deep).save(tmp_path / f"a.{suffix}")
    assert_same(tmp_path / f"a.{suffix}", np.repeat((deep // 256)[:, :, None], 3, axis=2))


def test_32_bits_within_16_and_beyond(tmp_path):
    Image.fromarray(np.full((3, 3), 65535, dtype=np.int32)).save(tmp_path / "within.tif")
    Image.fromarray(np.full((3, 3), 65536, dtype=np.int32)).save(tmp_path / "beyond.tif")
    Image.fromarray(np.full((3, 3), 0.5, dtype=np.float32)).save(tmp_path / "float.tif")
    assert_same(tmp_path / "within.tif", np.full((3, 3, 3), 255))
    with pytest.raises(UnreadableImage, match=r"beyond\.tif: holds pixels from 65536 to 65536, beyond 16 bits"):
        decode(tmp_path / "beyond.tif")
    with pytest.raises(UnreadableImage, match=r"float\.tif: holds floating-point pixels"):
        decode(tmp_path / "float.tif")


def test_cmyk(tmp_path):
    flat = np.full((16, 16, 3), (200, 100, 50), dtype=np.uint8)
    Image.fromarray(flat).convert("CMYK").save(tmp_path / "a.jpg", quality=100)
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.mode == "CMYK"
    assert_same(tmp_path / "a.jpg", flat, tolerance=4)


@pytest.mark.parametrize("transparency", [None, 0, b"\x00\x80\xff"])
def test_palette(transparency, tmp_path):
    image = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4) % 3).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    options = {} if transparency is None else {"transparency": transparency}
    image.save(tmp_path / "a.png", **options)
    palette = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90]])
    assert_same(tmp_path / "a.png", palette[np.arange(12).reshape(3, 4) % 3])


def test_transparency_is_dropped(colors, tmp_path):
    alpha = np.full((*colors.shape[:2], 1), 7, dtype=np.uint8)
    Image.fromarray(np.concatenate([colors, alpha], axis=2)).save(tmp_path / "a.png")
    assert_same(tmp_path / "a.png", colors)


def test_exif_rotation_is_undone(colors, tmp_path):
    turned = {
        1: colors,
        2: colors[:, ::-1],
        3: colors[::-1, ::-1],
        4: colors[::-1],
        5: colors.transpose(1, 0, 2),
        6: np.rot90(colors),
        7: colors[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(colors, 3),
    }
    for orientation, stored in turned.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = tmp_path / f"{orientation}.png"
        Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif)
        assert_same(path, colors)


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert_same(tmp_path / "a.gif", np.full((4, 4, 3), (255, 0, 0)))


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1), (3, 2)])
def test_tiny_and_elongated_images_can_be_prepared(size, tmp_path):
    Image.new("RGB", size, (10, 20, 30)).save(tmp_path / "a.png")
    images, preparation = open_images([tmp_path / "a.png"], lambda are_files: Preparation(256, 224))
    inputs = preparation.to_input(images.read(0, 1).images, CPU, are_cropped=images.are_cropped)
    assert inputs.shape == (1, 3, 224, 224)
    np.testing.assert_allclose(255 * inputs[0].mean(dim=(1, 2)), [10, 20, 30], rtol=1e-5)


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "bmp", "tif", "ppm"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.6])
def test_truncated_files_are_named(suffix, share, rng, tmp_path):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(rng.integers(0, 256, size=(64, 64, 3), dtype=np.uint8)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UnreadableImage, match=rf"a\.{suffix}: "):
        decode(path)


def test_what_is_no_image_is_named(tmp_path):
    (tmp_path / "notes.jpg").write_text("no pixels here")
    for name, reason in {"notes.jpg": "not an image", "gone.jpg": "there is no such file", "": "directory"}.items():
        with pytest.raises(UnreadableImage, match=reason) as error:
            decode(tmp_path / name)
        assert str(tmp_path / name) in str(error.value)


@pytest.mark.parametrize("excess", [1.5, 3])
def test_a_decompression_bomb_is_refused_without_a_warning(excess, monkeypatch, tmp_path):
    Image.new("L", (100, 100)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", int(10_000 / excess))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UnreadableImage, match=r"bomb\.png: more than PIL\.Image\.MAX_IMAGE_PIXELS = \d+ pixels"):
            decode(tmp_path / "bomb.png")


def plainly_prepared(image, resize, crop):
    """torchvision's Resize and CenterCrop in their own words: the whole image is resized, then cropped."""
    width, height = image.size
    short = min(width, height)
    size = (int(resize * width / short), int(resize * height / short))
    left, top = round((size[0] - crop) / 2), round((size[1] - crop) / 2)
    whole = image.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(whole.crop((left, top, left + crop, top + crop)), dtype=int)


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (257, 256), (31, 77), (500, 40), (256, 256)])
def test_the_centre_alone_is_resized_as_within_the_whole(size, rng):
    image = Image.fromarray(rng.integers(0, 256, size=(size[1], size[0], 3), dtype=np.uint8))
    ours = np.asarray(resized_and_cropped(image, Preparation(64, 56)), dtype=int)
    assert np.abs(ours - plainly_prepared(image, 64, 56)).max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(20, 20), (16, 40), (80, 60)])
def test_arrays_are_resized_as_files_are(size, channels, rng):
    noise = rng.integers(0, 256, size=(4, *size, channels), dtype=np.uint8)
    preparation = Preparation(24, 24, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    inputs = preparation.to_input(ArrayImages(noise, preparation).read(0, 4).images, CPU, are_cropped=False)
    for image, ours in zip(noise, inputs.numpy(), strict=True):
        rgb = Image.fromarray(np.repeat(image, 3 // channels, axis=2))
        expected = plainly_prepared(rgb, 24, 24) / 255
        pixels = ours.transpose(1, 2, 0) * preparation.std + preparation.mean
        assert np.abs(pixels - expected).max() <= 1.01 / 255


def test_values_are_scaled_and_standardised(arrays):
    preparation = Preparation(mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    inputs = preparation.to_input(ArrayImages(arrays, preparation).read(3, 7).images, CPU, are_cropped=False)
    expected = (arrays[3:7] / 255 - preparation.mean) / preparation.std
    np.testing.assert_allclose(inputs.permute(0, 2, 3, 1), expected, rtol=1e-5, atol=1e-6)
    assert inputs.dtype == torch.float32


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


def test_a_file_that_changed_has_another_fingerprint(files):
    images = FileImages(files, Preparation())
    before, marks = images.fingerprint(), images.marks(0, 23)
    assert FileImages(files[::-1], Preparation()).fingerprint() != before
    assert (images.marks(0, 7) + images.marks(7, 23)) % MARKS == marks
    assert FileImages(files[::-1], Preparation()).marks(0, 23) != marks
    Image.new("RGB", (5, 4)).save(files[3])
    assert images.fingerprint() == before
    assert images.marks(0, 23) != marks
    assert images.marks(4, 23) == FileImages(files, Preparation()).marks(4, 23)
    marks = images.marks(0, 23)
    files[3].unlink()
    assert images.marks(0, 23) != marks


def test_an_array_that_changed_has_another_fingerprint(arrays):
    before = ArrayImages(arrays, Preparation()).fingerprint()
    assert ArrayImages(np.asfortranarray(arrays), Preparation()).fingerprint() == before
    arrays[-1, -1, -1, -1] ^= 1
    assert ArrayImages(arrays, Preparation()).fingerprint() != before


def test_no_other_program_is_started_for_a_file(tmp_path, monkeypatch):
    ghostscript = tmp_path / "gs"
    ghostscript.write_text(f"#!/bin/sh\ntouch {tmp_path / 'started'}\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (tmp_path / "a.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(UnreadableImage, match=r"a\.jpg: not an image"):
        decode(tmp_path / "a.jpg")
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), MemoryError()])
def test_what_will_pass_is_not_called_a_bad_image(error, tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(type(error)) as raised:
        decode(tmp_path / "a.png")
    assert not isinstance(raised.value, UnreadableImage)


def test_linked_folders_are_walked_and_folders_are_no_images(tmp_path):
    for name in ("elsewhere/b.png", "images/a.png", "images/x.png/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    (tmp_path / "images" / "linked").symlink_to(tmp_path / "elsewhere")
    found = images_in_folder(tmp_path / "images")
    assert [str(path.relative_to(tmp_path / "images")) for path in found] == ["a.png", "linked/b.png", "x.png/c.png"]


def scaled(image, by, offset=0.0):
    return by * torch.as_tensor(np.array(image)).permute(2, 0, 1) + offset


class Scaling:
    def __init__(self, by):
        self.by = by

    def __call__(self, image):
        return scaled(image, self.by)


def closure(by):
    return lambda image: scaled(image, by)


@pytest.mark.parametrize("make", [closure, Scaling, lambda by: partial(scaled, by=by)])
def test_a_transform_is_known_by_what_it_does(make):
    one, same, other = (Preparation(custom=make(by)).describe() for by in (1, 1, 3))
    assert one == same != other


def test_a_grey_array_is_rgb_for_a_transform_too(rng):
    images = rng.integers(0, 256, size=(3, 4, 4), dtype=np.uint8)
    batch = ArrayImages(images, Preparation(custom=Scaling(1.0))).read(0, 3)
    np.testing.assert_array_equal(batch.images, np.repeat(images[:, None], 3, axis=1))
