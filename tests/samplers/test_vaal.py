"""VAAL: what can be said of a trained discriminator."""

import pickle

import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.preprocessing import normalize
from torch.nn.functional import conv2d, conv_transpose2d

from skal._core.vaal_layers import StridedConvolution, TransposedConvolution, convolutions
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
@pytest.mark.slow
def test_the_surest_to_be_unlabelled_given_the_layers(kind, blobs):
    X, _ = blobs
    X = {"groups": X, "copies": np.repeat(X[:3], 40, axis=0), "zero rows": X * (np.arange(120) % 2)[:, None],
         "one column": X[:, :1]}[kind]  # fmt: skip
    labeled = np.arange(0, 30)
    sampler = VAALSampler(25, max_steps=5, random_state=0).fit(X, labeled_indices=labeled)
    logits = oracle_logits(sampler, X)
    np.testing.assert_allclose(logits[sampler.selected_indices_], np.sort(logits[30:])[:25], atol=1e-4)
    assert sampler.selected_indices_.min() >= 30
    other = sampler.select(X[:40])
    np.testing.assert_allclose(logits[other], np.sort(logits[:40])[:25], atol=1e-4)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(sampler)).select(X[:40]), other)


@pytest.mark.slow
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


@pytest.mark.slow
def test_same_seed_same_picks_for_any_memory_budget_and_no_global_seed(tmp_path, rng):
    X = rng.normal(size=(5000, 6)).astype(np.float16)
    np.save(tmp_path / "pool.npy", X)
    before = np.random.get_state()[1].copy(), torch.random.get_rng_state()
    reference = VAALSampler(15, max_steps=3, random_state=1).fit_select(X, labeled_indices=range(9))
    for working_memory in (1e-6, 0.1):
        with config_context(working_memory=working_memory):
            mapped = np.load(tmp_path / "pool.npy", mmap_mode="r")
            picks = VAALSampler(15, max_steps=3, random_state=1).fit_select(mapped, labeled_indices=range(9))
        np.testing.assert_array_equal(picks, reference)
    assert set(VAALSampler(15, max_steps=3, random_state=2).fit_select(X, labeled_indices=range(9))) != set(reference)
    np.testing.assert_array_equal(before[0], np.random.get_state()[1])
    assert torch.equal(before[1], torch.random.get_rng_state())


def test_verbose_prints_each_step(blobs, capsys):
    VAALSampler(2, max_steps=3, verbose=1).fit(blobs[0], labeled_indices=[0])
    assert len(capsys.readouterr().out.splitlines()) == 3


def bars(shape, n, rng):
    """Noisy uint8 images (n, *shape); where y is 0 the rows alternate, where it is 1 the columns do."""
    y = rng.integers(2, size=n)
    height, width = np.indices(shape[:2]) % 2
    lit = np.where(y[:, None, None], width, height)
    lit = lit if len(shape) == 2 else np.repeat(lit[..., None], shape[2], axis=-1)
    return (150 * lit + rng.integers(100, size=(n, *shape))).astype(np.uint8), y


def oracle_image_logits(sampler, X, pool):
    """Scaling, padding, convolutions and the discriminator, in plain numpy."""
    height, width = X.shape[1:3]
    planes = np.asarray(X, dtype=np.float64).reshape(len(X), height, width, -1).transpose(0, 3, 1, 2)
    planes = 2 * (planes - pool.min()) / np.ptp(pool) - 1
    layers = [layer for layer in sampler._model.encoder if hasattr(layer, "weight")]
    weights = [(layer.weight.detach().numpy(), layer.bias.detach().numpy().ravel()) for layer in layers]
    step = 2 ** (len(layers) - 1)
    planes = np.pad(planes, ((0, 0), (0, 0), (0, -height % step), (0, -width % step)))
    for weight, bias in weights[:-1]:
        padded = np.pad(planes, ((0, 0), (0, 0), (1, 1), (1, 1)))
        planes = np.empty((len(X), len(bias), planes.shape[2] // 2, planes.shape[3] // 2))
        for i, j in np.ndindex(planes.shape[2:]):
            patch = padded[:, :, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4].reshape(len(X), -1)
            planes[:, :, i, j] = np.maximum(patch @ weight.T + bias, 0)
    mean = (planes.reshape(len(X), -1) @ weights[-1][0].T + weights[-1][1])[:, : sampler.n_latent]
    return relu_layers(mean, sampler._model.discriminator)[:, 0]


@pytest.mark.parametrize("shape", [(8, 8), (9, 7, 3)])
def test_images_the_surest_to_be_unlabelled_given_the_layers(shape, rng):
    X, _ = bars(shape, 60, rng)
    sampler = VAALSampler(12, max_steps=10, batch_size=32, random_state=0)
    picks = sampler.fit_select(X, labeled_indices=range(20))
    logits = oracle_image_logits(sampler, X, X)
    assert sampler.image_shape_ == shape
    assert picks.min() >= 20
    assert len(np.unique(picks)) == 12
    np.testing.assert_allclose(logits[picks], np.sort(logits[20:])[:12], atol=1e-4)
    dark = X[:40] // 2
    logits = oracle_image_logits(sampler, dark, X)  # scaled as the pool that was fitted
    other = sampler.select(dark)
    np.testing.assert_allclose(logits[other], np.sort(logits)[:12], atol=1e-4)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(sampler)).select(dark), other)


@pytest.mark.parametrize("shape", [(8, 8), (9, 7, 3)])
@pytest.mark.slow
def test_it_finds_the_images_of_the_pattern_that_nobody_labelled(shape, rng):
    X, y = bars(shape, 120, rng)
    labeled = np.flatnonzero(y == 0)[:30]
    sampler = VAALSampler(20, max_steps=40, batch_size=32, random_state=0).fit(X, labeled_indices=labeled)
    assert (y[sampler.selected_indices_] == 1).mean() > 0.9
    other, y_other = bars(shape, 120, rng)
    assert (y_other[sampler.select(other)] == 1).mean() > 0.9


def test_images_same_picks_mapped_and_under_any_memory_budget_and_no_global_seed(tmp_path, rng):
    X, _ = bars((8, 8), 2500, rng)
    np.save(tmp_path / "pool.npy", X)
    before = np.random.get_state()[1].copy(), torch.random.get_rng_state()
    sampler = VAALSampler(15, max_steps=3, batch_size=16, random_state=1)
    reference = sampler.fit_select(X.astype(np.float32), labeled_indices=range(9))
    for working_memory in (1e-6, 0.6):  # nothing, and one tile of two
        with config_context(working_memory=working_memory):
            mapped = np.load(tmp_path / "pool.npy", mmap_mode="r")
            np.testing.assert_array_equal(sampler.fit_select(mapped, labeled_indices=range(9)), reference)
    assert set(sampler.set_params(random_state=2).fit_select(X, labeled_indices=range(9))) != set(reference)
    np.testing.assert_array_equal(before[0], np.random.get_state()[1])
    assert torch.equal(before[1], torch.random.get_rng_state())


def test_images_cold_start_by_their_flattened_rows(rng):
    X, y = bars((9, 7, 3), 50, rng)
    rows = X.reshape(50, -1)
    sampler = VAALSampler(6, random_state=0).fit(X)
    expected = KMeansSampler(6, random_state=0).fit(rows)
    np.testing.assert_array_equal(sampler.selected_indices_, expected.selected_indices_)
    np.testing.assert_array_equal(sampler.select(X[:30]), expected.select(rows[:30]))
    X_selected, y_selected = sampler.fit_resample(X, y)
    np.testing.assert_array_equal(X_selected, X[expected.selected_indices_])
    np.testing.assert_array_equal(y_selected, y[expected.selected_indices_])


@pytest.mark.parametrize("kind", ["constant", "float64", "booleans", "one pixel", "torch", "one channel"])
def test_exactly_budget_distinct_rows_of_any_images(kind, rng):
    X = rng.normal(size=(12, 5, 6))
    X = {"constant": 0 * X + 7, "float64": X * 1e30, "booleans": X > 0, "one pixel": X[:, :1, :1],
         "torch": torch.from_numpy(X), "one channel": X[..., None]}[kind]  # fmt: skip
    picks = VAALSampler(9, max_steps=2, random_state=0).fit_select(X, labeled_indices=[0, 5, 11])
    assert sorted(picks) == [1, 2, 3, 4, 6, 7, 8, 9, 10]


def test_images_that_are_refused(rng):
    X = rng.normal(size=(20, 8, 8)).astype(np.float32)
    sampler = VAALSampler(3, max_steps=1, random_state=0).fit(X, labeled_indices=[0])
    with pytest.raises(ValueError, match=r"shape \(8, 8, 3\), .* shape \(8, 8\)"):
        sampler.select(np.zeros((5, 8, 8, 3)))
    with pytest.raises(ValueError, match=r"holds embeddings, .* shape \(8, 8\)"):
        sampler.select(X.reshape(20, 64))
    with pytest.raises(ValueError, match=r"\(20, 8, 8, 1, 1\)"):
        sampler.fit(X[..., None, None])
    X[[7, 9], 3, 3] = np.nan
    for labeled in (None, [0]):
        with pytest.raises(ValueError, match="NaN: row 7 is the first"):
            VAALSampler(3).fit(X, labeled_indices=labeled)
    embedded = VAALSampler(3, max_steps=1).fit(rng.normal(size=(20, 64)), labeled_indices=[0])
    assert embedded.image_shape_ is None
    with pytest.raises(ValueError, match=r"shape \(8, 8\), .* embeddings"):
        embedded.select(np.zeros((5, 8, 8)))


def test_convolutions_are_those_of_torch():
    generator, cpu = torch.Generator().manual_seed(0), torch.device("cpu")
    planes = torch.randn(2, 3, 6, 8, generator=generator)
    down = StridedConvolution(3, 5, generator, cpu)
    expected = conv2d(planes, down.weight.reshape(5, 3, 4, 4), down.bias.flatten(), stride=2, padding=1)
    torch.testing.assert_close(down(planes), expected)
    up = TransposedConvolution(3, 5, generator, cpu)
    weight = up.weight.reshape(5, 4, 4, 3).permute(3, 0, 1, 2)
    expected = conv_transpose2d(planes, weight, up.bias.flatten(), stride=2, padding=1)
    torch.testing.assert_close(up(planes), expected)


@pytest.mark.parametrize("shape", [(1, 1), (2, 9), (8, 8), (9, 7, 3), (17, 5, 2), (40, 33)])
def test_encoder_and_decoder_of_any_image_size(shape):
    generator = torch.Generator().manual_seed(0)
    encoder, decoder = convolutions(shape, 6, generator, torch.device("cpu"))
    rows = torch.randn(4, int(np.prod(shape)), generator=generator)
    assert encoder(rows).shape == (4, 12)
    assert decoder(encoder(rows)[:, :6]).shape == rows.shape
    torch.testing.assert_close(decoder[-1](encoder[0](rows)), rows)  # padded and cut: each value back in its place
