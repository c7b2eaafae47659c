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


@pytest.mark.parametrize(
    "wrap",
    [np.asarray, torch.from_numpy, pd.DataFrame, np.ndarray.tolist],
    ids=["array", "tensor", "frame", "list"],
)
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


def test_other_picks_on_the_same_map(blobs):
    X, y = blobs
    first = EmbeddingDisplay.from_embeddings(X, [0, 7], y)
    sampler = KMeansSampler(2, random_state=0).fit(X)
    second = EmbeddingDisplay.from_sampler(sampler, X, y, coordinates=first.coordinates)
    np.testing.assert_array_equal(second.coordinates, first.coordinates)
    np.testing.assert_array_equal(drawn([second.picks_]), first.coordinates[np.sort(sampler.selected_indices_)])


def test_of_a_map_that_is_there_the_drawn_rows_are_taken(blobs, rng):
    X, y = blobs
    given = rng.normal(size=(120, 2)).tolist()
    display = EmbeddingDisplay.from_embeddings(X, [0, 7], y, coordinates=given, max_points=30)
    assert len(display.coordinates) == 30
    assert {tuple(point) for point in display.coordinates.tolist()} <= {tuple(point) for point in given}
    np.testing.assert_array_equal(drawn([display.picks_]), np.array(given)[[0, 7]])


@pytest.mark.parametrize(
    ("shape", "message"), [((119, 2), r"shape \(119, 2\).*\(120, 2\)"), ((120, 3), r"shape \(120, 3\)")]
)
def test_a_map_of_other_rows_is_refused(shape, message, blobs):
    with pytest.raises(ValueError, match=message):
        EmbeddingDisplay.from_embeddings(blobs[0], [0], coordinates=np.zeros(shape))


def test_a_map_with_a_hole_is_refused(blobs):
    with pytest.raises(ValueError, match="NaN"):
        EmbeddingDisplay.from_embeddings(blobs[0], [0], coordinates=np.full((120, 2), np.nan))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("value", [0, 1, 1e-30, 1e25])
def test_rows_that_do_not_vary_lie_on_one_point(value, metric):
    display = EmbeddingDisplay.from_embeddings(np.full((50, 4), value), [0, 7], metric=metric)
    np.testing.assert_array_equal(display.coordinates, np.zeros((50, 2)))
    display.figure_.canvas.draw()


def test_rows_of_one_direction_lie_on_one_point_by_cosine_only(rng):
    X = np.arange(1, 51)[:, None] * rng.random(4)
    assert not EmbeddingDisplay.from_embeddings(X, [0]).coordinates.any()
    assert np.ptp(EmbeddingDisplay.from_embeddings(X, [0], metric="euclidean").coordinates, axis=0).min() > 0


@pytest.mark.parametrize("scale", [1e-30, 1e25])
def test_the_unit_of_the_rows_does_not_matter(scale, blobs):
    X, y = blobs
    display = EmbeddingDisplay.from_embeddings(X * scale, [0], y, metric="euclidean")
    sq_dist = ((display.coordinates[:, None] - display.coordinates[None]) ** 2).sum(axis=2)
    np.fill_diagonal(sq_dist, np.inf)
    assert (display.y[sq_dist.argmin(axis=1)] == display.y).mean() > 0.9


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_one_row_apart_from_many_alike_and_one_column_can_be_drawn(metric, rng):
    for X in (np.vstack([np.ones((49, 4)), [[1, 0, 0, 0]]]), rng.normal(size=(50, 1))):
        assert np.isfinite(EmbeddingDisplay.from_embeddings(X, [0, 49], metric=metric).coordinates).all()


@pytest.mark.parametrize("length", [0, 60, 121])
def test_categories_of_another_length_are_refused(length, blobs):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        EmbeddingDisplay.from_embeddings(blobs[0], [0, 7], np.zeros(length))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_missing_and_infinite_values_are_refused(value, name, metric, blobs):
    X = blobs[0].copy()
    X[3, 1] = value
    with pytest.raises(ValueError, match=name):
        EmbeddingDisplay.from_embeddings(X, [0, 7], metric=metric)


@pytest.mark.parametrize(
    ("indices", "options", "message"),
    [
        ([], {}, "one picked row or more"),
        ([120], {}, "120, which is not a row"),
        ([-1], {}, "-1, which is not a row"),
        ([True, False], {}, "boolean mask"),
        ([1], {"metric": "manhattan"}, "metric must be"),
        ([1], {"max_points": 2}, "three rows or more"),
    ],
)
def test_what_cannot_be_drawn(blobs, indices, options, message):
    X, y = blobs
    with pytest.raises(ValueError, match=message):
        EmbeddingDisplay.from_embeddings(X, indices, y, **options)


WAYS = {
    "at the picks": lambda y, picks: y[picks],
    "a list at the picks": lambda y, picks: [f"class {label}" for label in y[picks]],
    "None elsewhere": lambda y, picks: [y[row] if row in picks else None for row in range(len(y))],
    "NaN elsewhere": lambda y, picks: np.where(np.isin(np.arange(len(y)), picks), y, np.nan),
}


@pytest.mark.parametrize("way", WAYS)
def test_labels_of_the_picks_are_enough(way, blobs):
    X, y = blobs
    picks = np.array([99, 3, 50, 7, 20])
    display = EmbeddingDisplay.from_embeddings(X, picks, WAYS[way](y, picks), title="mine")
    names = sorted(set(y[picks].tolist()))
    assert display.ax_.get_title() == f"mine, {len(names)} categories among the picks"
    assert len(display.points_) == len(names)
    assert len(drawn([display.unlabeled_])) == 120 - len(picks)
    for name, points in zip(names, display.points_, strict=True):
        rows = np.sort(picks[y[picks] == name])
        np.testing.assert_array_equal(points.get_offsets(), display.coordinates[rows])
    marked = {
        tuple(offset): tuple(color)
        for offset, color in zip(display.picks_.get_offsets().tolist(), display.picks_.get_facecolors(), strict=True)
    }
    for points in display.points_:
        for offset in points.get_offsets().tolist():
            assert marked[tuple(offset)] == tuple(points.get_facecolor()[0])  # the mark shows the label it hides
    assert display.legend_.get_texts()[-1].get_text() == "no label"


def test_a_full_y_has_no_point_without_a_label(blobs):
    X, y = blobs
    display = EmbeddingDisplay.from_embeddings(X, [0, 7], y)
    assert display.unlabeled_ is None
    np.testing.assert_array_equal(display.picks_.get_facecolors(), [[0, 0, 0, 1]])
