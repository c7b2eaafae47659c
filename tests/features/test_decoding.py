"""Decoding: every odd kind of file becomes upright RGB, or is named."""

import contextlib
import errno
import os
import socket
import sys
import warnings

import numpy as np
import pytest
from PIL import Image

from skal.features import TorchFeatureExtractor
from skal.features._decoding import UnreadableImage, decode


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

    (tmp_path / "a.png").touch()
    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(type(error)) as raised:
        decode(tmp_path / "a.png")
    assert not isinstance(raised.value, UnreadableImage)


def special(kind, path):
    """Something that is no file to read, by the name of an image."""
    if kind == "pipe":
        os.mkfifo(path)
    if kind == "link to itself":
        path.symlink_to(path)
    if kind == "link to nowhere":
        path.symlink_to(path.with_name("nowhere.png"))
    if kind == "socket":
        with socket.socket(socket.AF_UNIX) as server, contextlib.chdir(path.parent):
            server.bind(path.name)
    if kind == "device":
        path.symlink_to("/dev/zero")
    if kind == "directory":
        path.mkdir()
    return path


SPECIAL = {
    "pipe": "is a named pipe, not a file",
    "link to itself": "Too many levels of symbolic links",
    "link to nowhere": "there is no such file",
    "socket": "No such device or address",
    "device": "is a device, not a file",
    "directory": "is a directory, not a file",
}


@pytest.mark.skipif(os.name != "posix", reason="what POSIX has")
@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_file_is_named_at_once(kind, tmp_path):
    path = special(kind, tmp_path / "a.png")
    with pytest.raises(UnreadableImage, match=rf"a\.png: {SPECIAL[kind]}$"):
        decode(path)


@pytest.mark.skipif(os.name != "posix", reason="what POSIX has")
def test_what_is_no_file_is_skipped(tmp_path, backbone, colors):
    folder = tmp_path / "images"
    folder.mkdir()
    Image.fromarray(colors).save(folder / "good.png")
    for kind in SPECIAL.keys() - {"directory"}:
        special(kind, folder / f"{kind}.png")
    extractor = TorchFeatureExtractor(backbone, image_size=8, on_error="skip")
    with pytest.warns(UserWarning, match="5 of 6 images were left out"):
        embedded = extractor.embed(folder)
    assert embedded.paths == ((folder / "good.png").as_posix(),)
    listed = [*map(str, folder.iterdir()), "with\0null.png", "x" * 5000 + ".png", str(folder)]
    with pytest.warns(UserWarning, match="8 of 9 images were left out"):
        assert extractor.embed(listed).paths == embedded.paths


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path, colors):
    Image.fromarray(colors).save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    with pytest.raises(UnreadableImage, match=r"a\.png: Permission denied$"):
        decode(tmp_path / "a.png")


def test_a_file_that_may_not_be_read_is_named_to_root_too(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise PermissionError(errno.EACCES, "Permission denied", arguments[0])

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(UnreadableImage, match=r"a\.png: Permission denied$"):
        decode(tmp_path / "a.png")


def test_pillow_missing_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r'pip install "skal-al\[vision\]"'):
        decode(tmp_path / "a.png")
