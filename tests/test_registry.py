"""One list of samplers, and its facts are those of the classes."""

from pathlib import Path

import pytest

import skal.samplers
from skal import registry
from skal.base import BaseSampler


def test_every_public_sampler_is_listed_once():
    names = [entry.name for entry in registry.samplers()]
    assert names == sorted(set(names))
    assert set(skal.samplers.__all__) | {"IterativeSampler", "MultiKMeansSampler"} == set(names)
    titles = [entry.title for entry in registry.samplers()]
    assert len(titles) == len(set(titles))


@pytest.mark.parametrize("entry", registry.samplers(), ids=lambda entry: entry.name)
def test_the_facts_hold(entry):
    assert entry.needs in ("nothing", "labelled rows", "labels", "all labels")
    assert entry.title != BaseSampler._title
    assert entry.order != BaseSampler._order
    assert entry.summary
    assert entry.cost
    assert ("budgets" if entry.runs_rounds else "budget") in entry.make().get_params()
    assert registry.sampler_titled(entry.title) is entry


def test_costs_are_those_of_the_classes():
    costs = {entry.name: entry.cost for entry in registry.samplers()}
    assert costs["CoreSetSampler"] == "n·(L + budget)·d"
    assert costs["IterativeSampler"] == "that of the sampler in each round"
    assert costs["MarginSampler"] == costs["MaxEntropySampler"] == "a training, and predictions of the pool"


def test_the_guide_lists_them_as_they_are():
    guide = (Path(__file__).parents[1] / "docs" / "which_sampler.md").read_text()
    for entry in registry.samplers():
        assert f"| `{entry.name}` | {entry.title} | {entry.needs} | {entry.order} |" in guide


def test_a_wrong_title_names_the_right_ones():
    with pytest.raises(KeyError, match=r"'kmeans'; there are .*K-means"):
        registry.sampler_titled("kmeans")
