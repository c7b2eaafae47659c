"""Embeddings of a folder that moves, and of one that is copied without its times."""

import os
import shutil
from hashlib import sha256

import numpy as np
import pytest

from skal.features import FolderImages, TorchFeatureExtractor


def extractor(backbone):
    return TorchFeatureExtractor(backbone, batch_size=4, image_size=8)


def hashes(folder):
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_rows_are_those_of_plain_paths(files, backbone):
    folder, names = files[0].parent, [path.name for path in files]
    embedded = extractor(backbone).embed(FolderImages(folder, names))
    np.testing.assert_array_equal(embedded.embeddings, extractor(backbone).embed(files).embeddings)
    assert embedded.paths == tuple(names)


def test_a_folder_that_moved_is_not_embedded_again(files, backbone, tmp_path):
    folder, names, output = files[0].parent, [path.name for path in files], tmp_path / "pool.npy"
    rows = np.array(extractor(backbone).embed(FolderImages(folder, names[:20]), output).embeddings)
    moved = folder.rename(tmp_path / "elsewhere")
    after = extractor(backbone).embed(FolderImages(moved, names), output)
    np.testing.assert_array_equal(after.embeddings[:20], rows)
    assert after.paths == tuple(names)


def test_a_copy_without_its_times_is_the_same_by_its_contents_only(files, backbone, tmp_path):
    folder, names = files[0].parent, [path.name for path in files]
    extractor(backbone).embed(FolderImages(folder, names, hashes(folder)), tmp_path / "hashed.npy")
    extractor(backbone).embed(FolderImages(folder, names), tmp_path / "timed.npy")
    copy = shutil.copytree(folder, tmp_path / "copy")
    for path in copy.iterdir():
        os.utime(path, (1, 1))
    extractor(backbone).embed(FolderImages(copy, names, hashes(copy)), tmp_path / "hashed.npy")
    with pytest.raises(ValueError, match="sizes or times have changed"):
        extractor(backbone).embed(FolderImages(copy, names), tmp_path / "timed.npy")


def test_other_contents_are_refused(files, backbone, tmp_path):
    folder, names, output = files[0].parent, [path.name for path in files], tmp_path / "pool.npy"
    extractor(backbone).embed(FolderImages(folder, names, hashes(folder)), output)
    shutil.copy(files[0], files[1])
    with pytest.raises(ValueError, match="have changed"):
        extractor(backbone).embed(FolderImages(folder, names, hashes(folder)), output)
