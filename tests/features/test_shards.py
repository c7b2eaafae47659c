"""Embeddings in shards: resumable, read back as one array, and embedded by workers where there are any."""

import numpy as np
import pytest
import torch

pytest.importorskip("dask.array", reason="dask is not installed; it comes with skal-al[dask]")

import dask.array as da

from skal._core.restricted import _run
from skal.features import TorchFeatureExtractor, embed_in_shards, open_shards
from skal.samplers import KMeansSampler


def make_extractor(**parameters):
    backbone = torch.nn.Sequential(torch.nn.AvgPool2d(4), torch.nn.Flatten())  # the same digits in any batch
    return TorchFeatureExtractor(backbone, image_transform="cifar10", batch_size=8, **parameters)


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, size=(50, 8, 8, 3), dtype=np.uint8)


@pytest.fixture
def image_files(images, tmp_path):
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed; it comes with skal-al[vision]")
    paths = []
    for number, pixels in enumerate(images):
        paths.append(tmp_path / f"{number:03d}.png")
        image.fromarray(pixels).save(paths[-1])
    return paths


def test_shards_are_the_embeddings_in_order(images, tmp_path):
    embedded = embed_in_shards(make_extractor(), images, tmp_path / "pool", images_per_shard=16)
    assert isinstance(embedded.embeddings, da.Array)
    np.testing.assert_array_equal(embedded.embeddings.compute(), make_extractor().transform(images))
    np.testing.assert_array_equal(embedded.valid_indices, np.arange(50))
    assert sorted(path.name for path in (tmp_path / "pool").glob("*.npy")) == [
        f"shard-{number:05d}.npy" for number in range(4)
    ]
    again = open_shards(tmp_path / "pool")
    np.testing.assert_array_equal(again.compute(), embedded.embeddings.compute())
    assert again.name == embedded.embeddings.name


def test_chunks_begin_where_tiles_do_whatever_shards_hold(images, tmp_path, monkeypatch):
    monkeypatch.setattr(_run, "_TILE_ELEMENTS", 1)  # tiles of 2048 rows, the fewest
    many = np.repeat(images, 100, axis=0)
    embedded = embed_in_shards(make_extractor(), many, tmp_path / "pool", images_per_shard=700)
    assert embedded.embeddings.chunks == ((2048, 2048, 904), (12,))
    X = embedded.embeddings.compute()
    np.testing.assert_array_equal(X[::100], make_extractor().transform(images))
    picks = [KMeansSampler(10, random_state=0).fit(pool).selected_indices_ for pool in (embedded.embeddings, X)]
    np.testing.assert_array_equal(*picks)


def test_only_what_is_missing_is_embedded_again(images, tmp_path, monkeypatch):
    folder = tmp_path / "pool"
    embed_in_shards(make_extractor(), images, folder, images_per_shard=16)
    expected = open_shards(folder).compute()
    for path in folder.glob("shard-00002.npy*"):
        path.unlink()
    before = {path: path.stat().st_mtime_ns for path in folder.glob("shard-*.npy")}
    with pytest.raises(FileNotFoundError, match=r"shard-00002.npy is not there or not finished: run embed_in_shards"):
        open_shards(folder)
    embed_in_shards(make_extractor(), images, folder, images_per_shard=16)
    np.testing.assert_array_equal(open_shards(folder).compute(), expected)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_images_that_come_later_are_appended(image_files, images, tmp_path):
    folder = tmp_path / "pool"
    embed_in_shards(make_extractor(), image_files[:30], folder, images_per_shard=16)
    first = folder / "shard-00000.npy"
    before = first.stat().st_mtime_ns
    embedded = embed_in_shards(make_extractor(), image_files, folder, images_per_shard=16)
    np.testing.assert_array_equal(embedded.embeddings.compute(), make_extractor().transform(images))
    assert embedded.paths == tuple(path.as_posix() for path in image_files)
    assert first.stat().st_mtime_ns == before


def test_files_that_cannot_be_read_are_left_out_and_warned_of(image_files, tmp_path):
    image_files[20].write_bytes(b"no image")
    extractor = make_extractor(on_error="skip")
    with pytest.warns(UserWarning, match="1 of 16 images were left out.*020.png"):
        embedded = embed_in_shards(extractor, image_files, tmp_path / "pool", images_per_shard=16)
    expected = np.delete(np.arange(50), 20)
    np.testing.assert_array_equal(embedded.valid_indices, expected)
    assert embedded.paths == tuple(image_files[number].as_posix() for number in expected)
    assert embedded.embeddings.shape == (49, 12)


def test_shards_of_another_size_and_other_folders_are_refused(images, tmp_path):
    embed_in_shards(make_extractor(), images, tmp_path / "pool", images_per_shard=16)
    with pytest.raises(ValueError, match="holds shards of 16 images, not 20: pass images_per_shard=16"):
        embed_in_shards(make_extractor(), images, tmp_path / "pool", images_per_shard=20)
    with pytest.raises(ValueError, match="images_per_shard must be at least 1; found 0"):
        embed_in_shards(make_extractor(), images, tmp_path / "pool", images_per_shard=0)
    with pytest.raises(FileNotFoundError, match="it is no folder of embed_in_shards"):
        open_shards(tmp_path)
    (tmp_path / "shards.json").write_text('{"format": "another"}')
    with pytest.raises(ValueError, match="its format is 'another'"):
        open_shards(tmp_path)
    np.save(tmp_path / "pool" / "shard-00001.npy", np.zeros((16, 8), np.float32))
    with pytest.raises(ValueError, match=r"shard-00001.npy holds rows of 8 float32, and .*shard-00000.npy of 12"):
        open_shards(tmp_path / "pool")


@pytest.mark.slow
def test_workers_embed_a_shard_each(image_files, images, tmp_path, forked_workers):
    distributed = pytest.importorskip("distributed", reason="distributed is not installed; it comes with skal-al[dask]")
    image_files[20].write_bytes(b"no image")
    extractor = make_extractor(on_error="skip", num_workers=2)
    kept = np.delete(np.arange(50), 20)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", resources={"GPU": 1}
        ) as cluster,
        distributed.Client(cluster),
    ):
        with pytest.warns(UserWarning, match="1 of 16 images were left out.*020.png"):
            embedded = embed_in_shards(extractor, image_files, tmp_path / "pool", images_per_shard=16)
        np.testing.assert_array_equal(embedded.embeddings.compute(), make_extractor().transform(images[kept]))
    np.testing.assert_array_equal(embedded.valid_indices, kept)
