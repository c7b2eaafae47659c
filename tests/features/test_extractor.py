"""TorchFeatureExtractor as a transformer: its own family of checks, since scikit-learn's are for arrays of numbers."""

import pickle
import sys
import warnings
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from torch.utils.data import Dataset, TensorDataset

import skal
from skal.classifiers import LinearProbe
from skal.features import TorchFeatureExtractor
from skal.features._resnet import resnet

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def patches(images):
    """What the backbone of the fixtures gives for (n, h, w, 3) images, by plain numpy."""
    inputs = (images / 255 - MEAN) / STD
    h, w = images.shape[1] // 2, images.shape[2] // 2
    quarters = [inputs[:, :h, :w], inputs[:, :h, w:], inputs[:, h:, :w], inputs[:, h:, w:]]
    rows = np.stack([quarter.mean(axis=(1, 2)) for quarter in quarters], axis=2).reshape(len(images), -1)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def write_weights(path, name="resnet18-cifar", seed=5):
    torch.manual_seed(seed)
    torch.save(resnet(name).state_dict(), path)
    return path


@dataclass(frozen=True)
class Record:
    images: object
    y: object = None


class WithLabels(Dataset):
    def __init__(self, tensors):
        self.tensors = tensors

    def __len__(self):
        return len(self.tensors)

    def __getitem__(self, row):
        return self.tensors[row], row % 2


def test_arrays_become_the_plain_answer(arrays, backbone):
    embeddings = TorchFeatureExtractor(backbone).transform(arrays)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(embeddings, patches(arrays), rtol=1e-4, atol=1e-5)
    raw = TorchFeatureExtractor(backbone, normalize=False).transform(arrays)
    np.testing.assert_allclose(raw / np.linalg.norm(raw, axis=1, keepdims=True), embeddings, rtol=1e-5, atol=1e-6)


def test_every_kind_of_images_gives_the_same_rows(arrays, files, backbone):
    extractor = TorchFeatureExtractor(backbone, image_transform=None)
    expected = extractor.transform(arrays)
    tensors = torch.from_numpy(arrays / np.float32(255)).permute(0, 3, 1, 2)
    kinds = {
        "paths": files,
        "text": [str(path) for path in files],
        "tuple": tuple(files),
        "array of text": np.array([str(path) for path in files]),
        "folder": files[0].parent,
        "folder as text": str(files[0].parent),
        "record of paths": Record(files),
        "record of an array": Record(arrays),
        "Dataset": TensorDataset(tensors),
        "Dataset with labels": WithLabels(tensors),
        "Fortran order": np.asfortranarray(arrays),
        "read-only": np.frombuffer(arrays.tobytes(), np.uint8).reshape(arrays.shape),
    }
    for kind, images in kinds.items():
        embedded = extractor.embed(images)
        np.testing.assert_allclose(embedded.embeddings, expected, rtol=1e-5, atol=1e-6, err_msg=kind)
        np.testing.assert_array_equal(embedded.valid_indices, np.arange(len(arrays)))
        assert embedded.valid_indices.dtype == np.int64
        are_files = any(word in kind for word in ("path", "text", "tuple", "folder"))
        assert embedded.paths == (tuple(map(str, files)) if are_files else None), kind


def test_greyscale_arrays_are_three_equal_channels(arrays, backbone):
    grey = arrays[..., 0]
    expected = TorchFeatureExtractor(backbone).transform(np.repeat(grey[..., None], 3, axis=3))
    for images in (grey, grey[..., None]):
        np.testing.assert_allclose(TorchFeatureExtractor(backbone).transform(images), expected, rtol=1e-5, atol=1e-6)


def test_files_are_prepared_as_for_imagenet(tmp_path, backbone, rng):
    image = Image.fromarray(rng.integers(0, 256, size=(300, 400, 3), dtype=np.uint8))
    image.save(tmp_path / "a.png")
    resized = image.resize((int(256 * 400 / 300), 256), Image.Resampling.BILINEAR)
    cropped = np.asarray(resized.crop((58, 16, 58 + 224, 16 + 224)))
    assert resized.size == (341, 256)
    ours = TorchFeatureExtractor(backbone).transform([tmp_path / "a.png"])
    np.testing.assert_allclose(ours, patches(cropped[None]), rtol=2e-3, atol=2e-3)
    small = TorchFeatureExtractor(backbone, image_size=56).transform([tmp_path / "a.png"])
    resized = np.asarray(image.resize((85, 64), Image.Resampling.BILINEAR).crop((14, 4, 70, 60)))
    np.testing.assert_allclose(small, patches(resized[None]), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("batch_size", [1, 5, 23, 1000])
@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_and_workers_change_nothing(batch_size, num_workers, files, backbone):
    expected = TorchFeatureExtractor(backbone, image_size=8).transform(files)
    extractor = TorchFeatureExtractor(backbone, image_size=8, batch_size=batch_size, num_workers=num_workers)
    np.testing.assert_allclose(extractor.transform(files), expected, rtol=1e-5, atol=1e-6)


def test_a_function_prepares_images(arrays, files, backbone):
    def halved(image):
        assert image.mode == "RGB"
        return torch.from_numpy(np.array(image.reduce(2)) / 255.0).permute(2, 0, 1)

    extractor = TorchFeatureExtractor(backbone, image_transform=halved)
    np.testing.assert_allclose(extractor.transform(arrays), extractor.transform(files))
    with pytest.raises(ValueError, match="image_size=8 has no effect"):
        extractor.set_params(image_size=8).transform(files)
    with pytest.raises(TypeError, match=r"must give a tensor of shape \(c, h, w\); of .*000\.png it gave a Image"):
        TorchFeatureExtractor(backbone, image_transform=lambda image: image).transform(files)
    with pytest.raises(ZeroDivisionError) as error:
        TorchFeatureExtractor(backbone, image_transform=lambda image: 1 / 0, on_error="skip").transform(files)
    assert "000.png" in error.value.__notes__[0]


def test_cifar_values_are_standardised_as_published(rng, backbone):
    arrays = rng.integers(0, 256, size=(2000, 4, 4, 3), dtype=np.uint8)
    for name, mean in {"cifar10": (0.4914, 0.4822, 0.4465), "cifar100": (0.5071, 0.4865, 0.4409)}.items():
        at_mean = np.broadcast_to(np.round(255 * np.array(mean)).astype(np.uint8), (1, 4, 4, 3))
        extractor = TorchFeatureExtractor(backbone, image_transform=name, normalize=False)
        assert np.abs(extractor.transform(at_mean)).max() < 0.01
        assert np.abs(extractor.transform(arrays)).max() > 0.1


def test_float16_is_stored_rounded(arrays, backbone):
    full = TorchFeatureExtractor(backbone).transform(arrays)
    half = TorchFeatureExtractor(backbone, dtype="float16").transform(arrays)
    np.testing.assert_array_equal(half, full.astype(np.float16))


def test_autocast_computes_about_the_same(arrays, tmp_path):
    weights = write_weights(tmp_path / "weights.pth")
    full, short = (
        TorchFeatureExtractor("resnet18-cifar", weights, autocast=kind, device="cpu").transform(arrays)
        for kind in (None, "bfloat16")
    )
    assert 0 < np.abs(full - short).max() < 0.02


@pytest.mark.parametrize("name", ["resnet18", "resnet50-cifar"])
def test_weights_are_loaded_and_the_embeddings_are_the_models(name, arrays, tmp_path):
    weights = write_weights(tmp_path / "weights.pth", name)
    extractor = TorchFeatureExtractor(name, weights)
    model = resnet(name).eval()
    model.load_state_dict(torch.load(weights, weights_only=True))
    inputs = torch.from_numpy(((arrays / 255 - MEAN) / STD).astype(np.float32)).permute(0, 3, 1, 2)
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(model(inputs)).numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(extractor.transform(arrays), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_random_weights_warn_and_follow_the_seed(arrays):
    def embed(extractor):
        with pytest.warns(UserWarning, match="weights=None: resnet18-cifar has random weights"):
            return extractor.transform(arrays[:3])

    before = torch.random.get_rng_state()
    seeded = [embed(TorchFeatureExtractor("resnet18-cifar", random_state=seed)) for seed in (0, 0, 1)]
    assert torch.equal(before, torch.random.get_rng_state())
    np.testing.assert_array_equal(seeded[0], seeded[1])
    assert np.abs(seeded[0] - seeded[2]).max() > 1e-3
    for random_state in (None, np.random.RandomState(0)):
        with pytest.raises(NotFittedError, match="pass random_state=<int>, call fit first"):
            TorchFeatureExtractor("resnet18-cifar", random_state=random_state).transform(arrays)
        fitted = TorchFeatureExtractor("resnet18-cifar", random_state=random_state).fit()
        np.testing.assert_array_equal(embed(fitted), embed(fitted))
        np.testing.assert_array_equal(embed(fitted), embed(pickle.loads(pickle.dumps(fitted))))
        assert np.abs(embed(fitted) - embed(clone(fitted).fit())).max() > 1e-3


def test_fit_forgets_what_other_parameters_left(arrays, backbone):
    extractor = TorchFeatureExtractor(backbone).fit(arrays)
    assert extractor.n_features_out_ == 12
    extractor.set_params(backbone="resnet50", random_state=7).fit()
    assert extractor.seed_ == 7
    assert extractor.n_features_out_ == 2048
    assert extractor.set_params(backbone=backbone).fit().seed_ is None
    assert not hasattr(extractor, "n_features_out_")


def test_only_fit_changes_the_extractor(arrays, files, backbone):
    extractor = TorchFeatureExtractor(backbone, image_size=8)
    before = dict(vars(extractor))
    extractor.transform(arrays)
    extractor.embed(files)
    assert vars(extractor) == before
    extractor.fit(files)
    assert extractor.n_features_out_ == 12
    before = dict(vars(extractor))
    extractor.transform(arrays)
    assert vars(extractor) == before


def test_one_extractor_serves_pool_and_test_set(arrays, backbone, tmp_path):
    extractor = TorchFeatureExtractor(backbone)
    pool, test = (
        extractor.embed(arrays[:20], tmp_path / "pool.npy"),
        extractor.embed(arrays[20:], tmp_path / "test.npy"),
    )
    np.testing.assert_allclose(
        np.concatenate([pool.embeddings, test.embeddings]), patches(arrays), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_array_equal(pool.embeddings, np.load(tmp_path / "pool.npy"))


def test_fit_finds_the_length_by_the_first_image_that_can_be_read(files, backbone):
    for path in files[:3]:
        path.write_text("not pixels")
    with pytest.raises(ValueError, match=r"000\.png: not an image"):
        TorchFeatureExtractor(backbone, image_size=8).fit(files)
    assert TorchFeatureExtractor(backbone, image_size=8, on_error="skip").fit(files).n_features_out_ == 12
    with pytest.raises(ValueError, match=r"None of the 3 images can be read; the first: .*000\.png"):
        TorchFeatureExtractor(backbone, image_size=8, on_error="skip").fit(files[:3])


def test_a_module_that_is_passed_stays_as_it_is(arrays, tmp_path):
    module = torch.nn.Sequential(resnet("resnet18-cifar"), torch.nn.Dropout(0.5))
    module.train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    first, second = (TorchFeatureExtractor(module).transform(arrays[:3]) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert module.training
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    torch.save(
        {name: tensor.flip(0) if tensor.ndim else tensor for name, tensor in before.items()}, tmp_path / "other.pth"
    )
    other = TorchFeatureExtractor(module, tmp_path / "other.pth").transform(arrays[:3])
    assert np.abs(other - first).max() > 1e-3
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize("on_error", ["raise", "skip"])
@pytest.mark.parametrize("num_workers", [0, 2])
def test_bad_images(on_error, num_workers, files, backbone):
    good = TorchFeatureExtractor(backbone, image_size=8).transform(files)
    files[2].write_bytes(files[2].read_bytes()[:60])
    files[11].write_text("not pixels")
    files[22].unlink()
    extractor = TorchFeatureExtractor(backbone, image_size=8, batch_size=4, num_workers=num_workers, on_error=on_error)
    if on_error == "raise":
        with pytest.raises(ValueError, match=r"images/002\.png: .* on_error='skip' leaves such images out"):
            extractor.transform(files)
        return
    with pytest.warns(UserWarning, match=r"3 of 23 images were left out.*002\.png.*011\.png.*022\.png"):
        embedded = extractor.embed(files)
    np.testing.assert_array_equal(embedded.valid_indices, np.setdiff1d(np.arange(23), [2, 11, 22]))
    np.testing.assert_allclose(embedded.embeddings, good[embedded.valid_indices], rtol=1e-5, atol=1e-6)
    assert embedded.paths == tuple(str(files[row]) for row in embedded.valid_indices)


def test_items_of_a_dataset_that_raise(backbone):
    class Torn(WithLabels):
        def __getitem__(self, row):
            if row == 3:
                raise OSError("torn")
            return super().__getitem__(row)

    dataset = Torn(torch.rand(6, 3, 4, 4))
    with pytest.raises(ValueError, match="item 3 of the Dataset: OSError: torn"):
        TorchFeatureExtractor(backbone).transform(dataset)
    extractor = TorchFeatureExtractor(backbone, on_error="skip")
    with pytest.warns(UserWarning, match="1 of 6 images"):
        embedded = extractor.embed(dataset)
    assert embedded.embeddings.shape == (5, 12)
    assert embedded.valid_indices.tolist() == [0, 1, 2, 4, 5]


def test_no_image_can_be_read(files, backbone):
    for path in files:
        path.write_text("not pixels")
    with pytest.raises(ValueError, match=r"None of the 23 images can be read; the first: .*000\.png"):
        TorchFeatureExtractor(backbone, on_error="skip").transform(files)


class Constant(torch.nn.Module):
    def __init__(self, make):
        super().__init__()
        self.make = make

    def forward(self, x):
        return self.make(x)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: x, r"must give \(n, d\) for n images; for 23 it gave shape \(23, 3, 10, 12\)"),
        (lambda x: x.sum(), r"it gave shape \(\)"),
        (lambda x: x[:2].flatten(1), r"for 23 it gave shape \(2, 360\)"),
        (lambda x: [x], "it gave list"),
        (lambda x: torch.where(torch.arange(len(x))[:, None] == 4, torch.nan, x[:, :, 0, 0]), "embedding of image 4 "),
    ],
)
def test_outputs_that_are_no_embeddings(make, message, arrays):
    with pytest.raises(ValueError, match=message):
        TorchFeatureExtractor(Constant(make)).transform(arrays)


def test_float16_that_overflows_is_refused(arrays):
    extractor = TorchFeatureExtractor(Constant(lambda x: 1e6 + x[:, :, 0, 0]), normalize=False, dtype="float16")
    with pytest.raises(ValueError, match="embedding of image 0 holds NaN or infinity in float16"):
        extractor.transform(arrays)
    assert np.isfinite(extractor.set_params(normalize=True).transform(arrays)).all()


def test_a_zero_embedding_stays_zero(arrays):
    assert not TorchFeatureExtractor(Constant(lambda x: torch.zeros(len(x), 4))).transform(arrays).any()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"backbone": "resnet19"}, "backbone='resnet19' is not known"),
        ({"backbone": 3}, "'backbone' parameter"),
        ({"image_size": 0}, "'image_size' parameter"),
        ({"image_transform": "imgenet"}, "'image_transform' parameter"),
        ({"batch_size": 0}, "'batch_size' parameter"),
        ({"num_workers": -1}, "'num_workers' parameter"),
        ({"autocast": "float8"}, "'autocast' parameter"),
        ({"dtype": "float64"}, "'dtype' parameter"),
        ({"on_error": "ignore"}, "'on_error' parameter"),
        ({"device": "gpu"}, "device='gpu' is not known"),
        ({"device": "cuda:99"}, "device='cuda:99' was asked for"),
    ],
)
def test_wrong_parameters_are_named_by_fit_and_by_transform(parameters, message, arrays):
    with pytest.raises(ValueError, match=message):
        TorchFeatureExtractor(**parameters).fit(arrays)
    with pytest.raises(ValueError, match=message):
        TorchFeatureExtractor(**parameters).transform(arrays)


def test_timm_missing_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match=r'pip install "skal-al\[timm\]"'):
        TorchFeatureExtractor("timm:vit_small_patch14_dinov2").fit()


def test_models_of_timm_where_it_is_installed(arrays, tmp_path):
    timm = pytest.importorskip("timm")
    model = timm.create_model("vit_small_patch14_dinov2", num_classes=7)
    torch.save(model.state_dict(), tmp_path / "vit.pth")
    backbone = timm.create_model("vit_small_patch14_dinov2", num_classes=0, dynamic_img_size=True)
    backbone.load_state_dict(model.state_dict(), strict=False)
    by_name = TorchFeatureExtractor("timm:vit_small_patch14_dinov2", tmp_path / "vit.pth", image_size=56)
    as_module = TorchFeatureExtractor(backbone, image_size=56)
    np.testing.assert_allclose(by_name.transform(arrays), as_module.transform(arrays), atol=2e-2)  # bicubic, bilinear
    with pytest.raises(ValueError, match="no such model"):
        TorchFeatureExtractor("timm:nothing").fit()


def test_it_is_an_estimator(arrays, files, backbone, tmp_path):
    default = TorchFeatureExtractor()
    assert clone(default).get_params() == default.get_params()
    assert not get_tags(default).requires_fit
    parameters = {"weights": "w.pth", "image_size": 8, "batch_size": 3, "dtype": "float16", "on_error": "skip"}
    assert clone(TorchFeatureExtractor(**parameters)).get_params() == {**default.get_params(), **parameters}
    assert "batch_size=3" in repr(TorchFeatureExtractor(batch_size=3))
    extractor = TorchFeatureExtractor(backbone, image_size=8)
    assert extractor.fit(files) is extractor
    assert extractor.device_ in (torch.device("cpu"), torch.device("cuda", 0))
    np.testing.assert_array_equal(extractor.transform(files), extractor.fit_transform(files, y=np.zeros(23)))
    np.testing.assert_array_equal(clone(extractor).transform(files), extractor.transform(files))


def test_a_pickle_holds_weights_by_path(arrays, tmp_path):
    weights = write_weights(tmp_path / "weights.pth")
    extractor = TorchFeatureExtractor("resnet18-cifar", str(weights))
    embeddings = extractor.fit_transform(arrays)
    content = pickle.dumps(extractor)
    assert len(content) < 10_000
    np.testing.assert_array_equal(pickle.loads(content).transform(arrays), embeddings)
    weights.unlink()
    with pytest.raises(FileNotFoundError, match=r"weights\.pth"):
        pickle.loads(content).transform(arrays)


def test_names_of_the_features(arrays, backbone):
    assert TorchFeatureExtractor("resnet50").get_feature_names_out().shape == (2048,)
    extractor = TorchFeatureExtractor(backbone)
    with pytest.raises(NotFittedError, match=r"after fit\(X\) with images"):
        extractor.fit().get_feature_names_out()
    embeddings = extractor.fit_transform(arrays)
    names = extractor.get_feature_names_out()
    assert names.tolist() == [f"torchfeatureextractor{number}" for number in range(12)]
    frame = extractor.set_output(transform="pandas").transform(arrays)
    assert frame.columns.tolist() == names.tolist()
    np.testing.assert_array_equal(frame.to_numpy(), embeddings)


class CountsItsCalls(torch.nn.Module):
    n_images = 0

    def forward(self, x):
        CountsItsCalls.n_images += len(x)
        return torch.nn.functional.adaptive_avg_pool2d(x, 2).flatten(1)


@pytest.fixture
def striped(tmp_path, rng):
    """Sixty files of two classes: bright above, or bright below."""
    folder, y = tmp_path / "striped", np.arange(60) % 2
    folder.mkdir()
    images = rng.integers(0, 100, size=(60, 8, 8, 3), dtype=np.uint8)
    paths = []
    for row, (image, target) in enumerate(zip(images, y, strict=True)):
        image[4 * target : 4 * target + 4] += 120
        paths.append(folder / f"{row}.png")
        Image.fromarray(image).save(paths[-1])
    return paths, y


def test_first_step_of_a_pipeline_with_memory(striped, tmp_path):
    paths, y = striped
    steps = [
        ("embed", TorchFeatureExtractor(CountsItsCalls(), image_size=8)),
        ("classify", skal.LowBudgetClassifier(classifier=LinearProbe(), random_state=0)),
    ]
    pipeline = Pipeline(steps, memory=str(tmp_path / "cache"))
    CountsItsCalls.n_images = 0
    pipeline.set_params(classify__sampler=skal.samplers.KMeansSampler(budget=4)).fit(paths, y)
    assert CountsItsCalls.n_images == 1 + 60  # fit tries one
    pipeline.set_params(classify__sampler=skal.samplers.KMeansSampler(budget=10)).fit(paths, y)
    assert CountsItsCalls.n_images == 1 + 60
    assert pipeline.score(paths, y) == 1.0


def test_a_search_over_budgets_from_paths(striped, tmp_path, backbone):
    paths, y = striped
    model = skal.LowBudgetClassifier(skal.samplers.KMeansSampler(), random_state=0)
    pipeline = Pipeline(
        [("embed", TorchFeatureExtractor(backbone, image_size=8)), ("classify", model)], memory=str(tmp_path / "cache")
    )
    search = GridSearchCV(pipeline, {"classify__sampler__budget": [2, 10]}, cv=3, error_score="raise").fit(paths, y)
    assert search.best_score_ == 1.0
    assert search.predict(paths).shape == (60,)


@pytest.mark.parametrize("has_rich", [True, False])
def test_progress_shows_images_per_second(has_rich, arrays, backbone, monkeypatch, capsys):
    if not has_rich:
        monkeypatch.setitem(sys.modules, "rich.progress", None)
    TorchFeatureExtractor(backbone, batch_size=4, verbose=1).transform(arrays)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "images/s" in shown.err
    assert "23" in shown.err
    TorchFeatureExtractor(backbone, batch_size=4).transform(arrays)
    assert capsys.readouterr() == ("", "")


def test_public_docstrings_say_what_a_user_needs():
    text = TorchFeatureExtractor.__doc__
    for section in ("Parameters", "Attributes", "Examples", "References", ">>>"):
        assert section in text
    for name in TorchFeatureExtractor().get_params(deep=False):
        assert f"\n    {name} :" in text, f"{name} is not documented"


@pytest.mark.gpu
def test_a_gpu_gives_about_the_same(arrays, files, tmp_path):
    weights = write_weights(tmp_path / "weights.pth")
    expected = TorchFeatureExtractor("resnet18-cifar", weights, image_size=16, device="cpu").transform(files)
    for autocast, tolerance in {None: 1e-4, "float16": 1e-2, "bfloat16": 5e-2, "auto": 1e-2}.items():
        extractor = TorchFeatureExtractor(
            "resnet18-cifar", weights, image_size=16, device="cuda", autocast=autocast, batch_size=4
        )
        np.testing.assert_allclose(extractor.transform(files), expected, atol=tolerance)
    on_cpu, on_gpu = (
        TorchFeatureExtractor("resnet18-cifar", weights, image_size=16, device=device, autocast=None).transform(arrays)
        for device in ("cpu", "cuda")
    )
    np.testing.assert_allclose(on_gpu, on_cpu, atol=5e-3)


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


class MakesTensors(torch.nn.Module):
    """As careless as modules are: what it makes has no dtype and no device."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(12, 5)

    def forward(self, x):
        x = torch.nn.functional.adaptive_avg_pool2d(x, 2).flatten(1)
        return self.layer(x) @ torch.linspace(0, 1, 25).reshape(5, 5) + torch.ones(5) / 3


def careless_transform(image):
    return torch.tensor(np.array(image) / 255).permute(2, 0, 1) - torch.full((3, 1, 1), 0.1)


SURROUNDINGS = {
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "float64": lambda: default_dtype(torch.float64),
    "another device": lambda: torch.device("meta"),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
}


@pytest.mark.parametrize("surroundings", SURROUNDINGS)
# A process that reads images has no backbone, so it is the same to it where that came from.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "num_workers"), [("named", 0), ("module", 0), ("module", 1), ("transform", 0), ("transform", 1)]
)
@pytest.mark.filterwarnings("ignore:weights=None")
def test_what_surrounds_it_changes_nothing(kind, num_workers, surroundings, files):
    torch.manual_seed(0)
    module = MakesTensors()
    parameters = {
        "named": {"backbone": "resnet18-cifar", "random_state": 0, "image_size": 8},
        "module": {"backbone": module, "image_size": 8},
        "transform": {"backbone": module, "image_transform": careless_transform},
    }[kind]
    extractor = TorchFeatureExtractor(**parameters, num_workers=num_workers, batch_size=16)
    expected = extractor.transform(files)
    with SURROUNDINGS[surroundings]():
        before = torch.get_default_dtype(), torch.get_default_device(), torch.is_autocast_enabled("cpu")
        found = extractor.transform(files)
        assert (torch.get_default_dtype(), torch.get_default_device(), torch.is_autocast_enabled("cpu")) == before
        assert extractor.fit(files).n_features_out_ == expected.shape[1]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("call", ["transform", "embed", "fit_transform"])
def test_warnings_point_at_the_line_of_the_user(call, arrays):
    extractor = TorchFeatureExtractor("resnet18-cifar", random_state=0)
    with pytest.warns(UserWarning, match="random weights") as warned:
        getattr(extractor, call)(arrays[:2])
    assert [warning.filename for warning in warned] == [__file__]
