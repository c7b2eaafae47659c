"""Embeddings of a folder that moves, and of one that is copied without its times."""

import os
import shutil
from hashlib import sha256

import numpy as np
import pytest

from skal.features import NamedImages, TorchFeatureExtractor


def extractor(backbone):
    return TorchFeatureExtractor(backbone, batch_size=4, image_size=8)


def named(folder, n_images=None):
    return {str(number): path for number, path in enumerate(sorted(folder.iterdir())[:n_images])}


def hashes(folder):
    return {name: sha256(path.read_bytes()).hexdigest() for name, path in named(folder).items()}


def test_rows_are_those_of_plain_paths(files, backbone):
    embedded = extractor(backbone).embed(NamedImages(named(files[0].parent)))
    np.testing.assert_array_equal(embedded.embeddings, extractor(backbone).embed(files).embeddings)
    assert embedded.paths == tuple(map(str, range(23)))


def test_a_folder_that_moved_is_not_embedded_again(files, backbone, tmp_path):
    folder, output = files[0].parent, tmp_path / "pool.npy"
    rows = np.array(extractor(backbone).embed(NamedImages(named(folder, 20)), output).embeddings)
    moved = folder.rename(tmp_path / "elsewhere")
    after = extractor(backbone).embed(NamedImages(named(moved)), output)
    np.testing.assert_array_equal(after.embeddings[:20], rows)
    assert after.paths == tuple(map(str, range(23)))


def test_a_copy_without_its_times_is_the_same_by_its_contents_only(files, backbone, tmp_path):
    folder = files[0].parent
    extractor(backbone).embed(NamedImages(named(folder), hashes(folder)), tmp_path / "hashed.npy")
    extractor(backbone).embed(NamedImages(named(folder)), tmp_path / "timed.npy")
    copy = shutil.copytree(folder, tmp_path / "copy")
    for path in copy.iterdir():
        os.utime(path, (1, 1))
    extractor(backbone).embed(NamedImages(named(copy), hashes(copy)), tmp_path / "hashed.npy")
    with pytest.raises(ValueError, match="sizes or times have changed"):
        extractor(backbone).embed(NamedImages(named(copy)), tmp_path / "timed.npy")


def test_a_file_that_is_gone_keeps_its_row_under_its_name(files, backbone, tmp_path):
    folder, output = files[0].parent, tmp_path / "pool.npy"
    names, contents = named(folder), hashes(folder)
    rows = np.array(extractor(backbone).embed(NamedImages(names, contents), output).embeddings)
    files[3].unlink()
    np.testing.assert_array_equal(extractor(backbone).embed(NamedImages(names, contents), output).embeddings, rows)


def test_other_contents_are_refused(files, backbone, tmp_path):
    folder, output = files[0].parent, tmp_path / "pool.npy"
    extractor(backbone).embed(NamedImages(named(folder), hashes(folder)), output)
    shutil.copy(files[0], files[1])
    with pytest.raises(ValueError, match="have changed"):
        extractor(backbone).embed(NamedImages(named(folder), hashes(folder)), output)


def test_an_unreadable_file_is_named_by_its_path(files, backbone):
    files[3].write_bytes(b"")
    with pytest.raises(ValueError, match=r"003\.png"):
        extractor(backbone).embed(NamedImages(named(files[0].parent)))
