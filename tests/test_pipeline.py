"""Samplers at the end of a scikit-learn Pipeline, and picks as entries of a DataFrame's index."""

import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skal
from skal import registry
from skal.classifiers import LinearProbe
from skal.samplers import CoreSetSampler, KMeansSampler, RandomSampler


def test_a_pipeline_answers_select_as_its_sampler_would_by_hand(blobs):
    X, X_other = blobs[0][:80], blobs[0][80:]
    pipeline = make_pipeline(StandardScaler(), PCA(3), KMeansSampler(budget=6, random_state=0)).fit(X)
    transformed = PCA(3).fit(StandardScaler().fit(X).transform(X))
    scaler = StandardScaler().fit(X)
    by_hand = KMeansSampler(budget=6, random_state=0).fit(transformed.transform(scaler.transform(X)))
    np.testing.assert_array_equal(skal.select(pipeline), by_hand.selected_indices_)
    np.testing.assert_array_equal(pipeline[-1].selected_indices_, by_hand.selected_indices_)
    other_by_hand = by_hand.select(transformed.transform(scaler.transform(X_other)))
    np.testing.assert_array_equal(skal.select(pipeline, X_other), other_by_hand)


def test_labelled_rows_go_through_a_pipeline(blobs):
    X, y = blobs
    pipeline = make_pipeline(StandardScaler(), KMeansSampler(6, random_state=0))
    picks = skal.select(pipeline.fit(X, y, kmeanssampler__labeled_indices=range(60)))
    assert (picks >= 60).all()


def test_a_sampler_alone_and_a_pipeline_of_one(blobs):
    X, _ = blobs
    sampler = KMeansSampler(6, random_state=0).fit(X)
    pipeline = make_pipeline(KMeansSampler(6, random_state=0)).fit(X)
    for fitted in (sampler, pipeline):
        np.testing.assert_array_equal(skal.select(fitted), sampler.selected_indices_)
        np.testing.assert_array_equal(skal.select(fitted, X[:30]), sampler.select(X[:30]))


def test_what_has_no_picks_is_refused(blobs):
    X, y = blobs
    with pytest.raises(TypeError, match=r"LinearProbe\(\) is no sampler; the last step must be one"):
        skal.select(make_pipeline(StandardScaler(), LinearProbe()))
    with pytest.raises(TypeError, match="CoreSetSampler learns nothing that carries over"):
        skal.select(make_pipeline(StandardScaler(), CoreSetSampler(3)).fit(X), X)
    twice = make_imblearn_pipeline(RandomSampler(40), KMeansSampler(3)).fit(X, y)
    with pytest.raises(TypeError, match="RandomSampler drops rows before the last step"):
        skal.select(twice)


@pytest.mark.parametrize("entry", registry.samplers(), ids=lambda entry: entry.name)
def test_picks_come_with_the_index_of_a_frame(entry, blobs):
    X, y = blobs
    frame = pd.DataFrame(X, index=[f"photo {row}.png" for row in range(120)])
    sampler = (entry.make(max_steps=5) if entry.title == "VAAL" else entry.make()).fit(frame, y)
    assert sampler.selected_index_.tolist() == frame.index[sampler.selected_indices_].tolist()
    sampler.fit(skal.Pool(frame), y)
    assert sampler.selected_index_.tolist() == frame.index[sampler.selected_indices_].tolist()
    assert not hasattr(sampler.fit(X, y), "selected_index_")


def test_the_classifier_has_the_index_too(blobs):
    X, y = blobs
    frame = pd.DataFrame(X, index=np.arange(120) + 1000)
    model = skal.LowBudgetClassifier(random_state=0)
    for labels in (y, lambda rows: y[rows]):
        assert model.fit(frame, labels).selected_index_.tolist() == (model.selected_indices_ + 1000).tolist()
        assert not hasattr(model.fit(X, labels), "selected_index_")


def test_a_pipeline_that_gives_frames_keeps_the_index(blobs):
    frame = pd.DataFrame(blobs[0], index=np.arange(120) + 1000)
    pipeline = make_pipeline(StandardScaler().set_output(transform="pandas"), KMeansSampler(6)).fit(frame)
    assert pipeline[-1].selected_index_.tolist() == (skal.select(pipeline) + 1000).tolist()
