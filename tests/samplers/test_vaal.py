"""VAAL: what can be said of a trained discriminator."""

import pickle

import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.preprocessing import normalize

from skal.samplers import KMeansSampler, RandomSampler, VAALSampler


def relu_layers(rows, layers):
    """The forward pass in plain numpy."""
    linear = [layer for layer in layers if hasattr(layer, "weight")]
    for position, layer in enumerate(linear):
        rows = rows @ layer.weight.detach().numpy().T.astype(np.float64) + layer.bias.detach().numpy()
        rows = np.maximum(rows, 0) if position < len(linear) - 1 else rows
    return rows


def oracle_logits(sampler, X):
    scaled = normalize(np.asarray(X, dtype=np.float64)) * np.sqrt(X.shape[1])
    mean = relu_layers(scaled, sampler._model.encoder)[:, : sampler.n_latent]
    return relu_layers(mean, sampler._model.discriminator)[:, 0]


@pytest.mark.parametrize("kind", ["groups", "copies", "zero rows", "one column"])
def test_the_surest_to_be_unlabelled_given_the_layers(kind, blobs):
    X, _ = blobs
    X = {"groups": X, "copies": np.repeat(X[:3], 40, axis=0), "zero rows": X * (np.arange(120) % 2)[:, None],
         "one column": X[:, :1]}[kind]  # fmt: skip
    labeled = np.arange(0, 30)
    sampler = VAALSampler(25, max_steps=40, random_state=0).fit(X, labeled_indices=labeled)
    logits = oracle_logits(sampler, X)
    np.testing.assert_allclose(logits[sampler.selected_indices_], np.sort(logits[30:])[:25], atol=1e-4)
    assert sampler.selected_indices_.min() >= 30
    other = sampler.select(X[:40])
    np.testing.assert_allclose(logits[other], np.sort(logits[:40])[:25], atol=1e-4)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(sampler)).select(X[:40]), other)


def test_it_finds_the_group_that_nobody_labelled(blobs):
    X, y = blobs
    labeled = np.flatnonzero(y != 2)[:40]
    picks = VAALSampler(20, max_steps=150, n_epochs=150, random_state=0).fit_select(X, labeled_indices=labeled)
    assert (y[picks] == 2).mean() > 0.8


def test_nothing_labelled_is_a_cold_start(blobs):
    X, _ = blobs
    sampler = VAALSampler(6, random_state=0).fit(X)
    expected = KMeansSampler(6, random_state=0).fit(X)
    np.testing.assert_array_equal(sampler.selected_indices_, expected.selected_indices_)
    np.testing.assert_array_equal(sampler.select(X[:50]), expected.select(X[:50]))
    random = VAALSampler(6, initial=RandomSampler(), random_state=0).fit(X)
    np.testing.assert_array_equal(random.selected_indices_, RandomSampler(6, random_state=0).fit_select(X))
    random.set_params(max_steps=3).fit(X, labeled_indices=[0])
    assert not hasattr(random, "initial_")
    assert random.n_steps_ == 3


def test_steps_follow_the_epochs_on_a_small_pool(blobs):
    X, _ = blobs
    sampler = VAALSampler(2, batch_size=50, n_epochs=4).fit(X, labeled_indices=range(10))
    assert sampler.n_steps_ == 4 * 3


def test_same_seed_same_picks_for_any_memory_budget_and_no_global_seed(tmp_path, rng):
    X = rng.normal(size=(5000, 6)).astype(np.float16)
    np.save(tmp_path / "pool.npy", X)
    before = np.random.get_state()[1].copy(), torch.random.get_rng_state()
    reference = VAALSampler(15, max_steps=20, random_state=1).fit_select(X, labeled_indices=range(9))
    for working_memory in (1e-6, 0.1):
        with config_context(working_memory=working_memory):
            mapped = np.load(tmp_path / "pool.npy", mmap_mode="r")
            picks = VAALSampler(15, max_steps=20, random_state=1).fit_select(mapped, labeled_indices=range(9))
        np.testing.assert_array_equal(picks, reference)
    assert set(VAALSampler(15, max_steps=20, random_state=2).fit_select(X, labeled_indices=range(9))) != set(reference)
    np.testing.assert_array_equal(before[0], np.random.get_state()[1])
    assert torch.equal(before[1], torch.random.get_rng_state())


def test_verbose_prints_each_step(blobs, capsys):
    VAALSampler(2, max_steps=3, verbose=1).fit(blobs[0], labeled_indices=[0])
    assert len(capsys.readouterr().out.splitlines()) == 3
