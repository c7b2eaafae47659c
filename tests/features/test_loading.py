"""Loading: batches in the order they are asked for, by any number of processes."""

import os
from functools import partial

import numpy as np
import pytest
import torch

from skal.features._loading import Batch, read_batches, resolve_workers
from skal.features._sources import FileImages


def jittered(images, request):
    """Read as a training step would: rows in any order, and crops that follow from a seed, in two views."""
    rows, seed = request
    rng = np.random.default_rng(seed)

    def two_crops(image, name):
        corners = rng.integers(0, 3, size=(2, 2))
        return np.stack([np.asarray(image.crop((x, y, x + 8, y + 8))) for x, y in corners])

    return images.read(rows, two_crops)


@pytest.mark.parametrize("n_workers", [1, 2])
def test_random_crops_of_shuffled_rows_are_the_same_by_any_number_of_processes(n_workers, arrays, files):
    images, order = FileImages(files), np.random.default_rng(0).permutation(23)
    requests = [(order[start : start + 5], start) for start in range(0, 23, 5)]
    alone = list(read_batches(partial(jittered, images), requests))
    shared = list(read_batches(partial(jittered, images), requests, n_workers))
    assert len(alone) == len(shared) == 5
    for one, other in zip(alone, shared, strict=True):
        assert one.images.shape == (len(one.rows), 2, 8, 8, 3)
        np.testing.assert_array_equal(one.images, other.images)
        np.testing.assert_array_equal(one.rows, other.rows)
    np.testing.assert_array_equal(np.concatenate([batch.rows for batch in alone]), order)


def pid_of(request):
    return Batch(np.array([os.getpid()]), None)


def test_with_workers_other_processes_read():
    assert next(read_batches(pid_of, [0])).rows[0] == os.getpid()
    assert next(read_batches(pid_of, [0], 1)).rows[0] != os.getpid()


@pytest.mark.parametrize(
    ("asked", "pays", "n_batches", "expected"),
    [(0, True, 9, 0), (3, True, 1, 3), (3, False, 9, 3), (None, False, 9, 0), (None, True, 1, 0), (None, True, 2, 1)],
)
def test_how_many_processes_read(asked, pays, n_batches, expected, monkeypatch):
    monkeypatch.setattr("torch.get_num_threads", lambda: 1)
    assert resolve_workers(asked, pays, n_batches) == expected


def test_no_more_processes_than_threads_batches_and_eight(monkeypatch):
    monkeypatch.setattr("torch.get_num_threads", lambda: 64)
    assert [resolve_workers(None, True, n_batches) for n_batches in (3, 100)] == [3, 8]


@pytest.mark.parametrize("n_workers", [0, 1])
def test_reading_draws_nothing_from_the_generator_of_the_process(n_workers):
    before = torch.random.get_rng_state()
    list(read_batches(pid_of, [0, 1], n_workers))
    assert torch.equal(torch.random.get_rng_state(), before)
