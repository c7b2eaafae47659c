"""Samplers and heads against K-means, on resampled pools."""

import numpy as np
import pytest

from benchmarks import beyond
from benchmarks.beyond import Cell
from benchmarks.pools import LabeledPool


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["beyond", "--quick", "--pools", "wine", "--heads", "1-NN", "graph", *arguments])
    beyond.main()
    return capsys.readouterr().out


@pytest.mark.slow
def test_it_goes_on_where_it_was_and_reports(tmp_path, monkeypatch, capsys):
    asked = ("--samplers", "K-means", "Random", "Margin", "--work", str(tmp_path))
    first = run(monkeypatch, capsys, *asked)
    assert "| Margin | graph | " in first
    assert "| oracle | 1-NN | " in first
    assert "wine, repetition 2: 24 scores" in first
    monkeypatch.setattr("skal.samplers._kmeans.lloyd", None)  # nothing is picked again
    monkeypatch.setattr("skal.classifiers._graph.spread_labels", None)
    again, report = run(monkeypatch, capsys, *asked), run(monkeypatch, capsys, *asked, "--report")
    assert first == again == report


def test_nested_samplers_pick_once():
    assert beyond.is_nested("Graph coverage")
    assert beyond.is_nested("Core-set")
    assert not beyond.is_nested("K-means")
    assert not beyond.is_nested("MaxHerding")  # its bandwidth follows the budget
    assert not beyond.is_nested("UHerding")  # in rounds


def test_every_head_of_the_tables_is_there_or_not_yet():
    assert {"1-NN", "LIN", "graph"} <= set(beyond.make_heads()) <= set(beyond._HEADS)


def test_other_rows_at_each_repetition(rng):
    pool = LabeledPool("p", rng.normal(size=(90, 3)), np.arange(90), np.empty((0, 3)), np.empty(0))
    first, second = (beyond.resample(pool, repetition) for repetition in range(2))
    assert len(first.y) == 54
    assert not set(first.y) & set(first.y_test)
    assert set(first.y) != set(second.y)
    np.testing.assert_array_equal(first.X, pool.X[first.y])
    kept = LabeledPool("p", pool.X, pool.y, pool.X[:7], pool.y[:7])
    assert len(beyond.resample(kept, 0).y) == 81
    assert len(beyond.resample(kept, 0).y_test) == 7


def test_the_oracle_does_not_see_what_measures():
    found = {
        (1, "K-means", "NN"): {"chooses": 60.0, "measures": 50.0},
        (1, "Random", "NN"): {"chooses": 50.0, "measures": 70.0},
    }
    assert beyond.add_oracle(found)[1, "oracle", "NN"]["measures"] == 50.0


def test_wins_and_losses_are_counted_by_their_intervals(capsys):
    scores = {
        Cell("p", n, sampler, "NN"): dict(enumerate(50 + np.array(gaps)))
        for n, sampler, gaps in [
            (1, "K-means", [0, 1, 2, 3]), (1, "A", [5, 6.1, 7, 8]),
            (2, "K-means", [0, 1, 2, 3]), (2, "A", [-4, -3, -2.1, -1]),
            (5, "K-means", [0, 1, 2, 3]), (5, "A", [3, 2, 1, 0]),
        ]
    }  # fmt: skip
    beyond.print_wins(scores, ["K-means", "A"], ["NN"])
    assert "| A | 1 / 1 / 1 |" in capsys.readouterr().out
    beyond.print_losses(scores, ["K-means", "A"], ["NN"])
    printed = capsys.readouterr().out
    assert "| A | p, NN: 2 (-4.0) |" in printed
    assert "| K-means |" not in printed


def test_means_over_pools_are_of_the_repetitions_that_all_have(capsys):
    scores = {
        Cell("p", 1, "K-means", "NN"): {0: 50.0, 1: 51.0, 2: 52.0},
        Cell("p", 1, "A", "NN"): {0: 52.0, 1: 54.0, 2: 99.0},
        Cell("q", 1, "K-means", "NN"): {0: 10.0, 1: 11.0},
        Cell("q", 1, "A", "NN"): {0: 14.0, 1: 16.0},
    }
    beyond.print_means(scores, ["K-means", "A"], ["NN"])
    printed = capsys.readouterr().out
    assert "mean of 2 pools" in printed
    assert f"| A | NN | {beyond.paired(np.array([3.0, 4.0]))} |" in printed
    assert "| K-means |" not in printed


def test_pairs_are_compared_with_the_better_head_of_k_means(capsys):
    scores = {
        Cell("p", 1, "K-means", "1-NN"): {0: 50.0, 1: 52.0},
        Cell("p", 1, "K-means", "LIN"): {0: 60.0, 1: 60.0},
        Cell("p", 1, "A", "graph"): {0: 65.0, 1: 65.0, 2: 99.0},
    }
    beyond.print_pool("p", scores, ["A"], ["graph"])
    assert "| A | graph | +5.0 ± 0.0 |" in capsys.readouterr().out
