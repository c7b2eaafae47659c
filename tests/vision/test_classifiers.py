"""What both classifiers over images hold, and what each of them learns."""

import pickle
import sys
import warnings
from contextlib import nullcontext
from functools import partial

import joblib
import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_checks
from torch import nn

import skal
from skal.datasets import ImageCollection
from skal.vision import FineTuneClassifier, FixMatchClassifier
from tests.vision.conftest import images_of, small_backbone


def fine_tune(**changes):
    settings = {"backbone": small_backbone(), "n_epochs": 8, "batch_size": 16, "lr": 0.05, "backbone_lr": 0.01}
    settings |= {"crop_scale": (0.5, 1.0), "random_state": 0, "device": "cpu"}
    return FineTuneClassifier(**(settings | changes))


def fix_match(**changes):
    settings = {"backbone": small_backbone(), "n_steps": 30, "batch_size": 8, "mu": 2, "ema_decay": 0.8, "lr": 0.1}
    settings |= {"steps_an_epoch": 10, "random_state": 0, "device": "cpu"}
    return FixMatchClassifier(**(settings | changes))


both = pytest.mark.parametrize("make", [fine_tune, fix_match])
SHORT = {fine_tune: {"n_epochs": 2}, fix_match: {"n_steps": 4}}  # where it is to do the same, whatever it learns


def in_files(images, folder, sizes=((12, 12),)):
    paths = []
    for number, image in enumerate(images):
        paths.append(folder / f"{number:03d}.png")
        Image.fromarray(image).resize(sizes[number % len(sizes)]).save(paths[-1])
    return paths


@both
@pytest.mark.slow
def test_it_learns_from_arrays_paths_folders_and_records(make, pool, tmp_path):
    images, y = pool
    paths = in_files(images, tmp_path)
    record = ImageCollection(images, np.arange(60) % 3, ("red", "green", "blue"), "train")
    with_paths = ImageCollection(paths, None, None, "all")
    from_array = make(image_transform=None).fit(images, y)
    assert from_array.score(images, y) > 0.9
    assert from_array.predict(images).dtype == y.dtype
    np.testing.assert_array_equal(from_array.classes_, ["blue", "green", "red"])
    short = make(image_transform=None, **SHORT[make]).fit(images, y)
    for same in (paths, [str(path) for path in paths], str(tmp_path), with_paths):
        other = make(image_transform=None, **SHORT[make]).fit(same, y)
        np.testing.assert_allclose(other.predict_proba(same), short.predict_proba(images), atol=1e-6)
    np.testing.assert_array_equal(from_array.predict_proba(record), from_array.predict_proba(images))


@both
def test_grey_images_are_images_of_three_equal_channels(make, pool):
    grey, y = pool[0][..., 0], pool[1]
    ways = (grey, grey[..., None], np.repeat(grey[..., None], 3, axis=3))
    found = [make(**SHORT[make]).fit(X, y).predict_proba(X) for X in ways]
    np.testing.assert_allclose(found[0], found[1])
    np.testing.assert_allclose(found[0], found[2], atol=1e-5)


@both
@pytest.mark.slow
def test_images_of_mixed_size_are_cropped_or_refused(make, pool, tmp_path):
    images, y = pool
    paths = in_files(images, tmp_path, sizes=((12, 12), (20, 14), (9, 30)))
    sized = make(image_size=12, n_epochs=2) if make is fine_tune else make(image_size=12, n_steps=5)
    assert sized.fit(paths, y).predict_proba(paths).shape == (60, 3)
    with pytest.raises(ValueError, match=r"Images of one size are needed.*Set image_size"):
        make(image_transform=None).fit(paths, y)


@both
@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.slow
def test_one_label_a_class_and_fewer_images_than_a_batch(make, n, pool):
    images, y = pool
    classifier = make().fit(images[:n], y[:n])
    assert classifier.predict_proba(images).shape == (60, n)
    np.testing.assert_array_equal(classifier.classes_, np.sort(y[:n]))
    if n == 1:
        assert classifier.n_steps_ == 0
        assert set(classifier.predict(images)) == {"red"}


@both
def test_classes_that_nobody_showed_have_probability_0(make, pool):
    images, y = pool
    shown = y != "green"
    classifier = make(classes=["red", "green", "blue", "cyan"]).fit(images[shown], y[shown])
    np.testing.assert_array_equal(classifier.classes_, ["blue", "cyan", "green", "red"])
    probabilities = classifier.predict_proba(images)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (probabilities[:, [1, 2]] == 0).all()
    assert set(classifier.predict(images)) <= {"red", "blue"}
    with pytest.raises(ValueError, match="holds the class 'red'"):
        make(classes=["blue", "green"]).fit(images, y)


@pytest.mark.slow
@both
def test_a_seed_says_it_all_whatever_surrounds_the_call(make, pool):
    images, y = pool
    make = partial(make, **SHORT[make])
    reference = make().fit(images, y).predict_proba(images)
    surroundings = (
        nullcontext(), torch.no_grad(), torch.inference_mode(), torch.autocast("cpu", torch.bfloat16),
        torch.device("meta"),
    )  # fmt: skip
    for surrounding in surroundings:
        classifier = make()
        with surrounding:
            found = classifier.fit(images, y).predict_proba(images)
        np.testing.assert_array_equal(found, reference)
    np.random.seed(3)
    classifier = make()
    torch.set_default_dtype(torch.float64)
    try:
        np.testing.assert_array_equal(classifier.fit(images, y).predict_proba(images), reference)
    finally:
        torch.set_default_dtype(torch.float32)
    assert not np.array_equal(make(random_state=1).fit(images, y).predict_proba(images), reference)
    classifier, state = make(), torch.random.get_rng_state()
    classifier.fit(images, y)
    assert torch.equal(torch.random.get_rng_state(), state)


@both
@pytest.mark.slow
def test_workers_change_nothing(make, pool, tmp_path):
    images, y = pool
    paths = in_files(images[:20], tmp_path)
    found = [make(num_workers=n, **SHORT[make]).fit(paths, y[:20]) for n in (0, 2)]
    np.testing.assert_array_equal(*(each.predict_proba(paths) for each in found))


@both
def test_parameters_cloning_and_what_is_not_fitted(make, pool):
    images, y = pool
    classifier = make()
    assert is_classifier(classifier)
    same = clone(classifier)
    assert same.get_params().keys() == classifier.get_params().keys()
    assert same.set_params(batch_size=3).batch_size == 3
    for method in (same.predict, same.predict_proba):
        with pytest.raises(NotFittedError):
            method(images)
    with pytest.raises(NotFittedError):
        same.save("nowhere")
    for name, wrong in {"batch_size": 0, "image_transform": "mnist", "device": 3, "n_wrong": 1}.items():
        with pytest.raises((ValueError, TypeError)):
            make(**{name: wrong}).fit(images, y)
    with pytest.raises(ValueError, match="backbone='resnet19' is not known"):
        make(backbone="resnet19").fit(images, y)


# Of scikit-learn's checks, those that need no rows of numbers.
@both
@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_estimator_tags_renamed,
        estimator_checks.check_valid_tag_types,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_set_params,
        estimator_checks.check_parameters_default_constructible,
    ],
    ids=lambda check: check.__name__,
)
def test_checks_of_scikit_learn(make, check):
    check(make.__name__, type(make())())


@both
def test_what_cannot_be_learned_from(make, pool, tmp_path):
    images, y = pool
    with pytest.raises(ValueError, match="X has 60 rows and y has 59 entries"):
        make().fit(images, y[:59])
    with pytest.raises(ValueError, match="NaN or None"):
        make().fit(images, np.where(y == "red", None, y))
    with pytest.raises(ValueError, match="are uint8"):
        make().fit(images / 255, y)
    dataset = torch.utils.data.TensorDataset(torch.zeros(60, 3, 8, 8))
    with pytest.raises(TypeError, match="items of a Dataset are prepared already"):
        make().fit(dataset, y)
    paths = in_files(images, tmp_path)
    paths[7].write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"007\.png: not an image.*Leave that image out"):
        make().fit(paths, y)
    with pytest.raises(ValueError, match=r"must give \(n, d\)"):
        make(backbone=nn.Conv2d(3, 4, 3)).fit(images, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match="the training has diverged"):
            make(lr=1e30, **({"start": "random"} if make is fine_tune else {})).fit(images, y)


@both
def test_pickling(make, pool, tmp_path):
    images, y = pool
    classifier = make().fit(images, y)
    joblib.dump(classifier, tmp_path / "classifier.joblib")
    for copy in (pickle.loads(pickle.dumps(classifier)), joblib.load(tmp_path / "classifier.joblib")):
        np.testing.assert_array_equal(copy.predict_proba(images), classifier.predict_proba(images))


@both
def test_progress_is_printed(make, pool, capsys):
    images, y = pool
    classifier = make(verbose=1).fit(images, y)
    lines = capsys.readouterr().out.splitlines()
    n_epochs = 8 if make is fine_tune else 3
    assert len(lines) == len(classifier.loss_curve_) == n_epochs
    assert f"epoch {n_epochs}: loss {classifier.loss_curve_[-1]:.6g}" in lines[-1]


def test_a_frozen_backbone_stays_as_it_is(pool):
    images, y = pool
    classifier = fine_tune(freeze_backbone=True, n_epochs=15).fit(images, y)
    before = small_backbone().state_dict()
    for name, tensor in classifier.network_.backbone.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert classifier.score(images, y) > 0.9
    moved = fine_tune().fit(images, y).network_.backbone.state_dict()
    assert not torch.equal(moved["0.weight"], before["0.weight"])


def test_a_pretrained_start_standardises_features_and_a_random_one_does_not(pool):
    images, y = pool
    network = fine_tune(freeze_backbone=True, n_epochs=1, image_transform=None).fit(images, y).network_
    with torch.no_grad():
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
        features = network.scaling(network.backbone(pixels))
    varying = features.std(dim=0) > 0
    assert varying.any()
    torch.testing.assert_close(features.mean(dim=0), torch.zeros(6), atol=1e-4, rtol=0)
    torch.testing.assert_close(
        features.std(dim=0, correction=0)[varying], torch.ones(int(varying.sum())), rtol=1e-3, atol=0
    )
    assert isinstance(fine_tune(start="random", n_epochs=1).fit(images, y).network_.scaling, nn.Identity)


@pytest.mark.parametrize(
    ("start", "freeze_batch_norm", "is_kept"),
    [("pretrained", None, True), ("pretrained", False, False), ("random", None, False), ("random", True, True)],
)
def test_the_statistics_of_batch_norm(pool, backbone, start, freeze_batch_norm, is_kept):
    images, y = pool
    classifier = fine_tune(backbone=backbone, start=start, freeze_batch_norm=freeze_batch_norm, n_epochs=2).fit(
        images, y
    )
    before, after = backbone[1], classifier.network_.backbone[1]
    assert torch.equal(before.running_mean, after.running_mean) == is_kept
    assert torch.equal(before.running_var, after.running_var) == is_kept
    assert not torch.equal(before.weight, after.weight)


def test_the_recipes_of_the_paper(pool):
    images, y = pool

    def training_of(classifier):
        seen = []

        class Noted(type(classifier)._training_class):
            def run(self, *arguments, **more):
                seen.append(
                    (type(self.optimizer), [group["lr"] for group in self.optimizer.param_groups], self.milestones)
                )
                raise KeyboardInterrupt

        classifier._training_class = Noted
        with pytest.raises(KeyboardInterrupt):
            classifier.fit(images, y)
        return seen[0]

    module, sgd, adam = small_backbone(), torch.optim.SGD, torch.optim.Adam
    assert training_of(FineTuneClassifier(module, device="cpu")) == (adam, [1e-2, 1e-4], (50, 75))
    assert training_of(FineTuneClassifier(module, freeze_backbone=True, device="cpu")) == (adam, [1e-2], (50, 75))
    assert training_of(FineTuneClassifier("wide_resnet28_2", device="cpu")) == (sgd, [0.1], (30, 60, 90))
    assert training_of(FineTuneClassifier(module, start="random", device="cpu")) == (sgd, [0.1], (30, 60, 90))
    assert FineTuneClassifier().n_epochs == 100
    fixed = FixMatchClassifier()
    assert (fixed.threshold, fixed.mu, fixed.lambda_u, fixed.ema_decay) == (0.95, 7, 1.0, 0.999)
    assert (fixed.momentum, fixed.weight_decay, fixed.backbone) == (0.9, 5e-4, "wide_resnet28_2")


def test_weights_of_images(pool):
    """An image without weight might as well have any label."""
    images, y = pool
    wrong = y.copy()
    wrong[:20] = np.roll(y[:20], 1)
    weights = np.where(np.arange(60) < 20, 1e-6, 1.0)
    settings = {"n_epochs": 15, "backbone_lr": 1e-9}
    weighted = fine_tune(**settings).fit(images, wrong, sample_weight=weights)
    assert weighted.score(images, y) > 0.95
    with pytest.raises(ValueError, match="at least one non-zero"):
        fine_tune().fit(images, y, sample_weight=np.zeros(60))


def test_the_pool_teaches(pool):
    """Two labels a class, the rest of the pool without: its loss falls, and all end in the right class."""
    images, y = pool
    classifier = fix_match(n_steps=80, threshold=0.8).fit(images[:6], y[:6], X_pool=images)
    assert classifier.score(images, y) > 0.95
    assert classifier.confident_curve_[0] < classifier.confident_curve_[-1] > 0.5
    alone = fix_match(n_steps=80, lambda_u=0.0).fit(images[:6], y[:6], X_pool=images)
    assert alone.confident_curve_ == [0.0] * 8
    assert not np.array_equal(alone.predict_proba(images), classifier.predict_proba(images))


def test_a_pool_smaller_than_a_batch_and_one_of_another_size(pool):
    images, y = pool
    assert fix_match(n_steps=5).fit(images[:6], y[:6], X_pool=images[:3]).n_steps_ == 5
    other = images_of(np.zeros(5, dtype=int), np.random.default_rng(0), size=(16, 16))
    with pytest.raises(ValueError, match=r"pool.*\(16, 16\).*\(12, 12\).*image_size"):
        fix_match().fit(images, y, X_pool=other)
    assert fix_match(image_size=12, n_steps=3).fit(images, y, X_pool=other).n_steps_ == 3


def test_a_training_of_your_own(pool):
    """What the guide shows: the loss of a step is overridden."""
    from skal.vision import FineTuning

    class Halved(FineTuning):
        def losses(self, batch):
            return {name: loss / 2 for name, loss in super().losses(batch).items()}

    class HalvedClassifier(FineTuneClassifier):
        _training_class = Halved

    images, y = pool
    half, whole = (cls(small_backbone(), n_epochs=1, random_state=0) for cls in (HalvedClassifier, FineTuneClassifier))
    assert half.fit(images, y).loss_curve_ == pytest.approx([each / 2 for each in whole.fit(images, y).loss_curve_])


@pytest.mark.slow
def test_a_sampler_on_embeddings_and_a_classifier_on_the_images(pool, tmp_path):
    images, y = pool
    X = images.reshape(60, -1).astype(np.float32)
    model = skal.LowBudgetClassifier(skal.samplers.KMeansSampler(9), fix_match(n_steps=4), random_state=0)
    model.fit(images, y, embeddings=X)
    expected = skal.samplers.KMeansSampler(9, random_state=0).fit_select(X)
    np.testing.assert_array_equal(model.selected_indices_, expected)
    by_hand = fix_match(n_steps=4).fit(images[expected], y[expected], X_pool=images)
    np.testing.assert_array_equal(model.predict_proba(images), by_hand.predict_proba(images))
    in_files(images, tmp_path)
    from_folder = clone(model).fit(str(tmp_path), y, embeddings=X)
    np.testing.assert_allclose(from_folder.predict_proba(images).sum(axis=1), 1)
    record = ImageCollection(images, None, None, "all")
    np.testing.assert_array_equal(clone(model).fit(record, y, embeddings=X).predict(images), model.predict(images))
    with pytest.raises(ValueError, match="X has 60 images and embeddings 59 rows"):
        clone(model).fit(images, y, embeddings=X[:59])
    oracle = clone(model).fit(images, lambda rows: y[rows], embeddings=X)
    np.testing.assert_array_equal(oracle.predict(images), model.predict(images))


def test_a_search_over_budgets_on_images(pool):
    from sklearn.model_selection import GridSearchCV

    images, y = pool
    X = images.reshape(60, -1).astype(np.float32)
    model = skal.LowBudgetClassifier(skal.samplers.KMeansSampler(), fine_tune(n_epochs=5), random_state=0)
    search = GridSearchCV(model, {"sampler__budget": [3, 12]}, cv=2).fit(images, y, embeddings=X)
    assert search.best_score_ > 0.6
    assert search.predict(images).shape == (60,)


@pytest.mark.gpu
@both
def test_cuda_gives_the_same_again_and_nearly_what_the_cpu_gives(make, pool):
    images, y = pool
    on_gpu = [make(device="cuda").fit(images, y).predict_proba(images) for _ in range(2)]
    np.testing.assert_array_equal(*on_gpu)
    exact = make(device="cuda", autocast=None).fit(images, y)
    assert exact.score(images, y) > 0.9
    assert next(exact.network_.parameters()).device.type == "cpu"


def test_files_are_decoded_once_where_they_fit(pool, tmp_path, monkeypatch):
    from sklearn import config_context

    from skal.features import _sources

    images, y = pool
    paths, decoded = in_files(images, tmp_path), []
    decode = _sources.decode_with_status
    monkeypatch.setattr(_sources, "decode_with_status", lambda path: decoded.append(str(path)) or decode(path))
    settings = {"image_size": 12, "n_steps": 10, "num_workers": 0}
    once = fix_match(**settings).fit(paths[:6], y[:6], X_pool=paths)
    assert len(decoded) == 6 + 60 + 1  # one to see how long an embedding is
    with config_context(working_memory=1e-3):
        each_step = fix_match(**settings).fit(paths[:6], y[:6], X_pool=paths)
    assert len(decoded) > 67 + 10 * 8 * 3
    np.testing.assert_array_equal(once.predict_proba(images), each_step.predict_proba(images))


@pytest.mark.parametrize(
    ("make", "package", "message"),
    [(fine_tune, "PIL", "crops need Pillow"), (fix_match, "kornia.augmentation", "augmentation needs kornia")],
)
def test_a_missing_package_is_named_with_its_extra(make, package, message, pool, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=message + r'.*pip install "skal-al\[vision\]"'):
        make().fit(*pool)


def test_the_labelled_images_alone_need_no_kornia(pool, monkeypatch):
    monkeypatch.setitem(sys.modules, "kornia.augmentation", None)
    assert fix_match(lambda_u=0.0, n_steps=2).fit(*pool).n_steps_ == 2
