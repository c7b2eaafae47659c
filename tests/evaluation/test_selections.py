"""A record of picks, whoever made them."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from skal.evaluation import Selections, category_coverage, select
from skal.samplers import KMeansSampler, RandomSampler, UniformSampler

Y = np.array(["cat", "dog", "dog", "owl", "cat", "owl"])
PICKS = {
    ("K-means", 3, 1): [4, 0, 2],
    ("by hand", 2, 0): np.array([5, 1], dtype=np.uint8),
    ("K-means", 3, 0): [1, 2, 3],
    ("K-means", 2, 0): (0, 4),
}


@pytest.fixture
def selections():
    return Selections(PICKS, Y)


def test_they_are_a_mapping_in_order(selections):
    assert [tuple(key) for key in selections] == [
        ("K-means", 2, 0),
        ("K-means", 3, 0),
        ("K-means", 3, 1),
        ("by hand", 2, 0),
    ]
    assert (selections.samplers, selections.budgets, selections.seeds) == (("K-means", "by hand"), (2, 3), (0, 1))
    for key, picks in PICKS.items():
        assert selections[key].tolist() == list(picks)
        assert selections[key].dtype == np.int64
        assert selections.coverage[key] == category_coverage(Y, picks)
    assert repr(selections) == "Selections(2 samplers × 2 budgets × 2 seeds)"
    assert len(selections) == 4
    with pytest.raises(KeyError):
        selections["K-means", 5, 0]


def test_without_labels_the_coverage_is_not_known():
    selections = Selections(PICKS)
    assert selections.coverage == {}
    assert {**selections} == {key: selections[key] for key in selections}


def test_several_are_joined_as_dicts_are(selections):
    more = Selections({("Random", 2, 0): [0, 1]})
    joined = Selections({**more, **selections}, Y)
    assert joined.samplers == ("Random", "K-means", "by hand")
    assert joined.coverage == {("Random", 2, 0): 2 / 3, **selections.coverage}


@pytest.mark.parametrize("y", [Y, None])
def test_what_is_saved_is_the_same_when_loaded(y, tmp_path):
    selections, path = Selections(PICKS, y), tmp_path / "selections.json"
    path.write_text("an older file")
    selections.save(path)
    loaded = Selections.load(path)
    assert list(loaded) == list(selections)
    assert all(np.array_equal(loaded[key], selections[key]) for key in selections)
    assert loaded.coverage == selections.coverage
    assert [file.name for file in tmp_path.iterdir()] == ["selections.json"]


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"format": "skal selections 9"}', "not json"])
def test_a_file_that_holds_none(content, tmp_path):
    (tmp_path / "other").write_text(content)
    with pytest.raises(ValueError, match="holds no selections that this version of skal saved"):
        Selections.load(tmp_path / "other")


@pytest.mark.parametrize(
    ("key", "picks", "message"),
    [
        (("a", 2, 0), [1, 1], "holds row 1 more than once"),
        (("a", 2, 0), [-1, 1], "holds -1, which is not a row of the pool"),
        (("a", 3, 0), [0, 1], "must be as many as the budget says; found 2"),
        (("a", 2, 0), [[0, 1]], "must be one-dimensional"),
        (("a", 2, 0), [0.0, 1.0], "must hold row numbers"),
        (("a", 6, 0), [True] * 6, "is a boolean mask"),
        (("a", 2, 0), [0, 6], "holds 6, which is not a row of the pool: n_samples=6"),
        (("a", 2), [0, 1], r"known by \(sampler, budget, seed\)"),
    ],
)
def test_picks_that_mean_nothing(key, picks, message):
    with pytest.raises(ValueError, match=message):
        Selections({key: picks}, Y)


def test_select_gives_what_the_samplers_give(blobs):
    X, y = blobs
    samplers = {"K-means": KMeansSampler(), "Random": RandomSampler()}
    selections = select(samplers, X, budgets=[9, 4], n_seeds=2)
    assert selections.samplers == ("K-means", "Random")
    assert selections.coverage == {}
    for key, picks in selections.items():
        alone = samplers[key.sampler].set_params(budget=key.budget, random_state=key.seed).fit_select(X)
        np.testing.assert_array_equal(picks, alone)
    with pytest.raises(ValueError, match="requires y"):
        select({"Uniform": UniformSampler()}, X, budgets=[4])
    assert select({"Uniform": UniformSampler()}, X, y, budgets=[3], n_seeds=1).coverage == {("Uniform", 3, 0): 1.0}


class ForeignSampler(BaseEstimator):
    """A sampler that is none of ours, and picks a row again and again."""

    def __init__(self, budget=10):
        self.budget = budget

    def fit(self, X, y):
        self.selected_indices_ = [0] * self.budget
        return self


def test_picks_that_are_wrong_are_refused_and_not_kept(blobs, tmp_path):
    X, y = blobs
    assert select({"Foreign": ForeignSampler()}, X, y, budgets=[1], n_seeds=1)["Foreign", 1, 0].tolist() == [0]
    path = tmp_path / "records"
    with pytest.raises(ValueError, match="Foreign must pick 3 new rows to go from 0 to 3; found 3, 1 of them"):
        select({"Foreign": ForeignSampler()}, X, y, budgets=[3], n_seeds=1, resume_from=path)
    assert len(select({"Foreign": ForeignSampler()}, X, y, budgets=[3], resume_from=path, only_finished=True)) == 0


@pytest.mark.parametrize("options", [{"budgets": [True, 5]}, {"budgets": [np.True_]}, {"n_seeds": True}])
def test_true_is_neither_a_budget_nor_a_number_of_seeds(options, blobs):
    with pytest.raises(ValueError, match=r"(budgets must be positive integers|n_seeds must be an int).*True"):
        select({"Random": RandomSampler()}, blobs[0], **{"budgets": [5], **options})
