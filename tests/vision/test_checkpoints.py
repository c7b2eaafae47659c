"""A training that is killed or interrupted, and goes on."""

import os
import signal
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from skal.vision import FineTuneClassifier, FixMatchClassifier, _checkpoint
from tests.vision.conftest import images_of, small_backbone

KINDS = {"fine-tuned": FineTuneClassifier, "from scratch": FineTuneClassifier, "FixMatch": FixMatchClassifier}


def make_classifier(kind, **changes):
    settings = {"backbone": small_backbone(), "batch_size": 16, "random_state": 0, "device": "cpu"}
    settings |= {
        "fine-tuned": {"n_epochs": 10, "milestones": (4,)},
        "from scratch": {"n_epochs": 10, "start": "random", "milestones": (4,)},
        "FixMatch": {"n_steps": 40, "mu": 1, "steps_an_epoch": 7},
    }[kind]
    return KINDS[kind](**(settings | changes))


@cache
def never_interrupted(kind):
    """A training of the images of `pool`."""
    y = np.arange(60) % 3
    return make_classifier(kind).fit(images_of(y, np.random.default_rng(0)), np.array(["red", "green", "blue"])[y])


def assert_same_end(found, expected):
    assert found.loss_curve_ == expected.loss_curve_
    assert found.n_steps_ == expected.n_steps_
    tensors = found.network_.state_dict()
    assert all(torch.equal(tensors[name], each) for name, each in expected.network_.state_dict().items())


@pytest.mark.slow
def test_killed_and_resumed_they_end_on_the_same_bits(tmp_path, warm_python):
    from tests.vision.killed_training import data

    kinds = ["fine-tuned", "FixMatch"]
    command = [warm_python, "-m", "tests.vision.killed_training", str(tmp_path), *kinds]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    said = subprocess.run(command, stdout=subprocess.PIPE, env=environment, text=True, check=True).stdout
    assert said.split() == [str(-signal.SIGKILL)] * 2
    images, y = data()
    for kind in kinds:
        (kept,) = (tmp_path / kind).glob("*.safetensors")
        _, facts = _checkpoint.read_tensors(kept)
        assert 17 <= facts["n_done"] < 40
        resumed = make_classifier(kind, checkpoint_folder=tmp_path / kind).fit(images, y)
        assert_same_end(resumed, make_classifier(kind).fit(images, y))


class Interrupted(Exception):
    """What ends a training from without."""


def interrupt_after(monkeypatch, n_steps, error):
    """Let the checkpoint after a number of steps be the last thing that happens."""
    after_step = _checkpoint.Checkpoint.after_step

    def stop(self, training):
        after_step(self, training)
        if training.n_done == n_steps:
            raise error

    monkeypatch.setattr(_checkpoint.Checkpoint, "after_step", stop)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_steps", [1, 7, 8, *(pytest.param(n, marks=pytest.mark.slow) for n in (28, 39, 40))])
def test_interrupted_at_any_step_it_is_usable_and_goes_on(kind, n_steps, pool, tmp_path, monkeypatch):
    images, y = pool
    monkeypatch.setattr(_checkpoint, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    whole = never_interrupted(kind)
    assert whole.n_steps_ == 40
    classifier = make_classifier(kind, checkpoint_folder=tmp_path)
    with monkeypatch.context() as patch:
        interrupt_after(patch, n_steps, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            classifier.fit(images, y)
    assert classifier.n_steps_ == n_steps
    assert set(classifier.predict(images)) <= set(y)
    np.testing.assert_allclose(classifier.predict_proba(images).sum(axis=1), 1)
    assert_same_end(make_classifier(kind, checkpoint_folder=tmp_path).fit(images, y), whole)


def test_a_finished_training_ends_at_once_and_another_has_another_file(pool, tmp_path, monkeypatch):
    images, y = pool
    first = make_classifier("FixMatch", checkpoint_folder=tmp_path).fit(images, y, X_pool=images)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 1, Interrupted())
        again = make_classifier("FixMatch", checkpoint_folder=str(tmp_path), verbose=1, num_workers=0)
        assert_same_end(again.fit(images, y, X_pool=images), first)
        others = [
            (make_classifier("FixMatch", n_steps=39), images, y, images),
            (make_classifier("FixMatch", random_state=1), images, y, images),
            (make_classifier("FixMatch", backbone=small_backbone(1)), images, y, images),
            (make_classifier("FixMatch"), images[::-1], y, images),
            (make_classifier("FixMatch"), images, np.roll(y, 1), images),
            (make_classifier("FixMatch"), images, y, images[:50]),
            (make_classifier("FixMatch"), images, np.where(y == "red", "Red", y), images),
        ]
        for classifier, X, labels, X_pool in others:
            classifier.set_params(checkpoint_folder=tmp_path)
            with pytest.raises(Interrupted):
                classifier.fit(X, labels, X_pool=X_pool)


def test_other_weights_under_the_same_name_are_another_training(pool, tmp_path, monkeypatch):
    images, y = pool
    weights = tmp_path / "weights.pth"
    for seed in (0, 1):
        torch.save(small_backbone(seed).state_dict(), weights)
        classifier = make_classifier("fine-tuned", weights=weights, checkpoint_folder=tmp_path / "kept")
        classifier.fit(images, y)
        assert len(list((tmp_path / "kept").glob("*.safetensors"))) == seed + 1


def test_a_checkpoint_needs_a_seed_and_a_damaged_one_is_named(pool, tmp_path):
    images, y = pool
    with pytest.raises(ValueError, match="checkpoint_folder needs random_state=<int>"):
        make_classifier("FixMatch", random_state=None, checkpoint_folder=tmp_path).fit(images, y)
    make_classifier("FixMatch", n_steps=3, checkpoint_folder=tmp_path).fit(images, y)
    (kept,) = tmp_path.glob("*.safetensors")
    kept.write_bytes(kept.read_bytes()[:-10])
    with pytest.raises(ValueError, match=f"{kept.name} cannot be read; it is damaged"):
        make_classifier("FixMatch", n_steps=3, checkpoint_folder=tmp_path).fit(images, y)


def test_any_error_while_training_leaves_what_was_learned(pool, monkeypatch):
    images, y = pool
    classifier = make_classifier("fine-tuned")
    interrupt_after(monkeypatch, 11, Interrupted())
    with pytest.raises(Interrupted):
        classifier.fit(images, y)
    assert (classifier.n_steps_, len(classifier.loss_curve_)) == (11, 2)
    assert classifier.predict(images).shape == (60,)
