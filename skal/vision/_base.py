"""What every classifier over images does beside its training."""

from __future__ import annotations

import math
import os
from contextlib import contextmanager
from hashlib import sha256

import numpy as np
import torch
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skal._core.device import ordinary_torch, repeatable_convolutions, resolve_device
from skal._files._describe import describe
from skal._files._fingerprint import fingerprint
from skal._validation import DEVICE, Integral, Interval, Progress, StrOptions, callback_scope
from skal.classifiers._labels import encode_labels
from skal.features._backbones import load, preparation_for, refuse_unknown
from skal.features._identity import weights_sha256
from skal.vision._checkpoint import Checkpoint
from skal.vision._network import ImageNetwork
from skal.vision._prediction import outputs_of
from skal.vision._reading import open_pixels
from skal.vision._saved import load_classifier, save_classifier

__all__ = ["ImageClassifier"]

_DECIDE_NOTHING = {"verbose": 0, "device": "cpu", "num_workers": None, "checkpoint_folder": None, "random_state": None}


class ImageClassifier(ClassifierMixin, BaseEstimator):
    """Train a network on labelled images. A subclass says how, in `_make_training`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    network_ : ImageNetwork
    n_steps_ : int
    loss_curve_ : list of float
    device_ : torch.device
    seed_ : int
    """

    _parameter_constraints: dict = {
        "backbone": [str, nn.Module],
        "weights": [str, os.PathLike, None],
        "image_size": [Interval(Integral, 1, None, closed="left"), None],
        "image_transform": [StrOptions({"auto", "imagenet", "cifar10", "cifar100"}), None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "classes": ["array-like", None],
        "num_workers": [Interval(Integral, 0, None, closed="left"), None],
        "checkpoint_folder": [str, os.PathLike, None],
        "device": DEVICE,
        "autocast": [StrOptions({"auto"}), None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def predict_proba(self, X):
        """Return class probabilities.

        Parameters
        ----------
        X : images
            As for `fit`.

        Returns
        -------
        ndarray of shape (n, n_classes), float64
            0 for a class that no labelled image showed.
        """
        check_is_fitted(self, "network_")
        shown = softmax(self._logits(X).astype(np.float64), axis=1)
        probabilities = np.zeros((len(shown), len(self.classes_)))
        probabilities[:, self._shown] = shown
        return probabilities

    def predict(self, X):
        """Return the most probable class of each image.

        Parameters
        ----------
        X : images
            As for `fit`.

        Returns
        -------
        ndarray of shape (n,)
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def save(self, path):
        """Write the fitted classifier into one file of safetensors: parameters, classes and network, no pickle.

        Parameters
        ----------
        path : str or path

        Raises
        ------
        NotFittedError
            If it is not fitted.
        ImportError
            If safetensors (the extra ``vision``) is missing.

        Notes
        -----
        Parameters that are no plain values (a module as `backbone`, a generator as `random_state`) are not written;
        `load` says which it needs.
        """
        check_is_fitted(self, "network_")
        save_classifier(self, path)

    @classmethod
    def load(cls, path, **parameters):
        """Read what `save` wrote.

        Parameters
        ----------
        path : str or path
        **parameters
            Replace those in the file, as in ``device="cpu"``; a module that was the backbone must be given here.

        Returns
        -------
        object of this class
            Fitted.

        Raises
        ------
        FileNotFoundError, ValueError
            If there is no such file, it is damaged or of another class, or a parameter is needed.
        """
        return load_classifier(cls, path, parameters)

    @ordinary_torch()
    def _fit(self, X, y, X_pool=None, sample_weight=None):
        refuse_unknown(self.backbone)
        name = type(self).__name__
        images = open_pixels(X, name)
        pool = images if X_pool is None else open_pixels(X_pool, name)
        rows = np.empty((len(images), 0))  # for checks of lengths
        classes, targets = encode_labels(self, rows, y, self.classes)
        weights = self._checked_weights(rows, sample_weight)
        device = resolve_device(self.device)
        seed = _as_seed(self.random_state)
        shown, targets = np.unique(targets, return_inverse=True)
        backbone = load(self.backbone, self.weights, seed, self.image_size)
        network = self._make_network(backbone, images, len(shown), seed, device)
        self.classes_, self.device_, self.seed_ = classes, device, seed
        self._shown = shown
        if len(shown) == 1:  # nothing to tell apart
            self._keep(network, 0, [])
            return self
        training = self._make_training(network, images, targets.astype(np.int64), weights, pool)
        checkpoint = Checkpoint(self.checkpoint_folder, self._identity_of(network, images, targets, weights, pool))
        self._train(training, checkpoint)
        return self

    def _train(self, training, checkpoint):
        """Run the loop; whatever ends it, what was learned by then is kept."""
        checkpoint.resume(training)
        progress = Progress(self)

        def after_epoch(epoch, means):
            progress.advance(epoch, means["loss"], "loss")
            if not math.isfinite(means["loss"]):
                raise ValueError(
                    f"The loss became {means['loss']} in epoch {epoch}: the training has diverged. Lower the learning "
                    "rate."
                )

        try:
            with callback_scope(self), repeatable_convolutions():
                progress.begin(-(-training.n_steps // training.steps_an_epoch), "epoch")
                training.run(on_step=lambda losses: checkpoint.after_step(training), on_epoch=after_epoch)
                progress.close()
                checkpoint.keep(training)
        finally:
            self._keep(training.trained_network(), training.n_done, training.epoch_means)

    def _keep(self, network, n_steps, epoch_means):
        self.network_ = network.cpu().to(memory_format=torch.contiguous_format).eval().requires_grad_(False)
        self.n_steps_ = n_steps
        self.loss_curve_ = [means["loss"] for means in epoch_means]

    def _make_network(self, backbone, images, n_classes, seed, device):
        """A network whose last layer is drawn from the seed, on `device`."""
        features = self._outputs(backbone, images, device, at_most=1)
        if features.ndim != 2:
            raise ValueError(f"The backbone must give (n, d) for n images; it gave {features.shape} for one.")
        with _seeded(seed):
            head = nn.Linear(features.shape[1], n_classes)
        return self._assemble(backbone, head, images, device).to(device)

    def _assemble(self, backbone, head, images, device):
        return ImageNetwork(backbone, head)

    def _checked_weights(self, rows, sample_weight):
        return None

    def _make_training(self, network, images, targets, weights, pool):
        """Give the loop that trains the network."""
        raise NotImplementedError

    def _preparation_of(self, images):
        return preparation_for(self.backbone, self.image_size, self.image_transform, are_files=images.kind == "files")

    def _outputs(self, model, images, device, at_most=None):
        return outputs_of(
            model,
            images,
            self._preparation_of(images),
            device,
            autocast=self._autocast_on(device),
            batch_size=int(self.batch_size),
            n_workers=self.num_workers,
            at_most=at_most,
        )

    @ordinary_torch()
    def _logits(self, X):
        images, device = open_pixels(X, type(self).__name__), resolve_device(self.device)
        try:
            return self._outputs(self.network_, images, device)
        finally:
            self.network_.to("cpu", memory_format=torch.contiguous_format)

    def _autocast_on(self, device):
        return "bfloat16" if self.autocast == "auto" and device.type == "cuda" else None

    def _settings(self):
        """What every training takes."""
        return {
            "seed": self.seed_,
            "device": self.device_,
            "autocast": self._autocast_on(self.device_),
            "n_workers": self.num_workers,
        }

    def _identity_of(self, network, images, targets, weights, pool):
        """Name a training by all that decides where it ends, but for the device."""
        if self.checkpoint_folder is None:
            return ""
        if not isinstance(self.random_state, Integral):
            raise ValueError(
                "checkpoint_folder needs random_state=<int>: with another seed the same call would be another training "
                "and never find its checkpoint."
            )
        seen = [
            describe(clone(self).set_params(**_DECIDE_NOTHING)),
            weights_sha256(network, version=" "),
            fingerprint(targets),
            fingerprint(self.classes_),
            "" if weights is None else fingerprint(weights),
            *(f"{each.fingerprint()} {each.marks(range(len(each)))}" for each in dict.fromkeys((images, pool))),
            str(self.seed_),
        ]
        return sha256("\n".join(seen).encode()).hexdigest()[:32]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.no_validation = True
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags


def _as_seed(random_state):
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


@contextmanager
def _seeded(seed):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
