"""Every pick is on the map, and the title states the coverage of the whole pool."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from skal.evaluation import category_coverage
from skal.plotting import EmbeddingDisplay
from skal.samplers import KMeansSampler


def drawn(collections):
    return np.concatenate([np.asarray(points.get_offsets()) for points in collections])


@pytest.mark.parametrize("max_points", [10, 30, 60, 5000])
def test_every_pick_is_drawn_and_others_up_to_the_limit(blobs, max_points):
    X, y = blobs
    picks = np.arange(0, 120, 6)
    display = EmbeddingDisplay.from_embeddings(X, picks, y, max_points=max_points)
    n_drawn = min(120, max(max_points, len(picks)))
    assert display.coordinates.shape == (n_drawn, 2)
    assert display.is_picked.sum() == len(picks) == len(drawn([display.picks_]))
    assert len(drawn(display.points_)) == n_drawn
    np.testing.assert_array_equal(drawn([display.picks_]), display.coordinates[display.is_picked])


def test_the_map_keeps_the_groups_apart(blobs):
    X, y = blobs
    display = EmbeddingDisplay.from_embeddings(X, [0, 1, 2], y, metric="euclidean")
    sq_dist = ((display.coordinates[:, None] - display.coordinates[None]) ** 2).sum(axis=2)
    np.fill_diagonal(sq_dist, np.inf)
    assert (display.y[sq_dist.argmin(axis=1)] == display.y).mean() > 0.9


def test_from_a_sampler(blobs):
    X, y = blobs
    sampler = KMeansSampler(2, random_state=0).fit(X)
    display = EmbeddingDisplay.from_sampler(sampler, X, y)
    assert display.ax_.get_title() == f"KMeansSampler, coverage {category_coverage(y, sampler.selected_indices_):.0%}"
    assert [text.get_text() for text in display.legend_.get_texts()] == ["picked", "0", "1", "2"]
    assert len(display.points_) == 3
    for name, points in enumerate(display.points_):
        np.testing.assert_array_equal(points.get_offsets(), display.coordinates[display.y == name])


def test_without_categories_there_is_one_color_and_no_coverage(blobs):
    X, _ = blobs
    display = EmbeddingDisplay.from_embeddings(X, [5, 9], title="mine")
    assert len(display.points_) == 1
    assert display.ax_.get_title() == "mine"
    assert [text.get_text() for text in display.legend_.get_texts()] == ["picked"]


def test_many_categories_have_a_color_each_and_no_names(blobs, rng):
    X, _ = blobs
    y = np.arange(120) % 30
    display = EmbeddingDisplay.from_embeddings(X, [5, 9], y)
    assert len({tuple(points.get_facecolor()[0]) for points in display.points_}) == 30
    assert [text.get_text() for text in display.legend_.get_texts()] == ["picked"]


@pytest.mark.parametrize("wrap", [np.asarray, torch.from_numpy, pd.DataFrame], ids=["array", "tensor", "frame"])
def test_a_pool_of_any_kind_gives_the_same_map_and_is_not_changed(blobs, wrap):
    X, y = blobs
    before, wrapped = X.copy(), wrap(X)
    wanted = EmbeddingDisplay.from_embeddings(X, [0, 7], y, max_points=50).coordinates
    given = EmbeddingDisplay.from_embeddings(wrapped, [0, 7], y, max_points=50).coordinates
    np.testing.assert_array_equal(given, wanted)
    np.testing.assert_array_equal(np.asarray(wrapped), before)


def test_it_is_drawn_again_from_the_same_coordinates(blobs):
    X, y = blobs
    _, ax = plt.subplots()
    display = EmbeddingDisplay.from_embeddings(X, [0, 7], y, ax=ax)
    assert (display.ax_, display.figure_) == (ax, ax.figure)
    before = drawn(display.points_)
    assert display.plot().ax_ is not ax
    np.testing.assert_array_equal(drawn(display.points_), before)


@pytest.mark.parametrize(
    ("indices", "options", "message"),
    [
        ([], {}, "one picked row or more"),
        ([120], {}, "120, which is not a row"),
        ([-1], {}, "-1, which is not a row"),
        ([True, False], {}, "one picked row or more"),
        ([1], {"metric": "manhattan"}, "metric must be"),
        ([1], {"max_points": 2}, "three rows or more"),
    ],
)
def test_what_cannot_be_drawn(blobs, indices, options, message):
    X, y = blobs
    with pytest.raises(ValueError, match=message):
        EmbeddingDisplay.from_embeddings(X, indices, y, **options)
