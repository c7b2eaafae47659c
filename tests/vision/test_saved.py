"""Classifiers in files without pickle."""

import json
import pickle

import numpy as np
import pytest
import torch
from safetensors import safe_open

from skal.features import wide_resnet
from skal.vision import FineTuneClassifier, FixMatchClassifier
from tests.vision.conftest import small_backbone


@pytest.mark.parametrize("kind", [FineTuneClassifier, FixMatchClassifier])
@pytest.mark.parametrize("kind_of_y", ["text", "int", "objects"])
def test_what_is_loaded_predicts_the_same(kind, kind_of_y, pool, tmp_path, monkeypatch):
    images, names = pool
    y = {"text": names, "int": np.arange(60) % 3 + 7, "objects": names.astype(object)}[kind_of_y]
    steps = {"n_epochs": 2} if kind is FineTuneClassifier else {"n_steps": 3}
    classifier = kind(small_backbone(), classes=sorted({*y.tolist(), y[0] * 2}), random_state=0, device="cpu", **steps)
    classifier.fit(images, y).save(tmp_path / "classifier.safetensors")
    monkeypatch.setattr(pickle, "loads", None)  # nothing of it is pickle
    loaded = kind.load(tmp_path / "classifier.safetensors", backbone=small_backbone(5), device="cpu")
    np.testing.assert_array_equal(loaded.predict_proba(images), classifier.predict_proba(images))
    np.testing.assert_array_equal(loaded.predict(images), classifier.predict(images))
    assert loaded.classes_.dtype == classifier.classes_.dtype
    for name, value in classifier.get_params().items():
        if name != "backbone":
            assert np.array_equal(getattr(loaded, name), value), name
    assert (loaded.loss_curve_, loaded.n_steps_) == (classifier.loss_curve_, classifier.n_steps_)


def test_a_named_backbone_needs_nothing_else(pool, tmp_path):
    images, y = pool
    torch.save(wide_resnet(28, 2).state_dict(), tmp_path / "weights.pth")
    classifier = FineTuneClassifier(
        "wide_resnet28_2", tmp_path / "weights.pth", n_epochs=1, random_state=0, milestones=np.array([1]), device="cpu"
    )
    classifier.fit(images[:6], y[:6]).save(tmp_path / "classifier.safetensors")
    (tmp_path / "weights.pth").unlink()
    loaded = FineTuneClassifier.load(tmp_path / "classifier.safetensors")
    np.testing.assert_array_equal(loaded.predict_proba(images[:4]), classifier.predict_proba(images[:4]))
    assert loaded.weights == str(tmp_path / "weights.pth")
    with safe_open(tmp_path / "classifier.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["skal"])["classes"]["values"] == ["blue", "green", "red"]


def test_what_cannot_be_loaded(pool, tmp_path):
    images, y = pool
    path = tmp_path / "classifier.safetensors"
    FineTuneClassifier(small_backbone(), n_epochs=1, device="cpu").fit(images, y).save(path)
    with pytest.raises(ValueError, match=r"does not hold backbone.*load\(.*backbone=\.\.\.\)"):
        FineTuneClassifier.load(path)
    with pytest.raises(ValueError, match="holds a FineTuneClassifier, not a FixMatchClassifier"):
        FixMatchClassifier.load(path, backbone=small_backbone())
    with pytest.raises(ValueError, match="The backbone is not the one that was saved"):
        FineTuneClassifier.load(path, backbone=wide_resnet(10, 1))
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        FineTuneClassifier.load(tmp_path / "nowhere")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="it is damaged"):
        FineTuneClassifier.load(path, backbone=small_backbone())
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="was not written by skal"):
        FineTuneClassifier.load(path)
