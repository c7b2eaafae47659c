"""Fine-tuning and training from scratch, the paper's two ways with images."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from skal._validation import Integral, Interval, Real, StrOptions, check_sample_weights, fit_context
from skal.classifiers._probe_training import check_milestones
from skal.vision._base import ImageClassifier
from skal.vision._network import ImageNetwork, Standardization
from skal.vision._training import FineTuning, LabeledImages

__all__ = ["FineTuneClassifier"]

# What None stands for in lr, milestones and weight_decay.
_PRETRAINED = {"lr": 1e-2, "milestones": (50, 75), "weight_decay": 0.0}
_RANDOM = {"lr": 0.1, "milestones": (30, 60, 90), "weight_decay": 1e-4}
_MOMENTUM = 0.9


class FineTuneClassifier(ImageClassifier):
    """Train a backbone and a linear layer on labelled images, from pre-trained or from random weights.

    From a pre-trained start: Adam with a small learning rate for the backbone and a larger one for the layer, which
    gets standardised features. From a random start: SGD with one learning rate for all. In each epoch every image is
    seen once, as a random crop resized to the full size, mirrored or not. Both are the paper's, in its Table 13.

    Parameters
    ----------
    backbone : str or torch.nn.Module, default="resnet18"
        As `skal.features.TorchFeatureExtractor` takes it. A module must give (n, d); a copy of it is trained.
    weights : str or path, default=None
        A checkpoint, as the extractor takes it. None leaves a module its weights, and gives a named backbone random
        ones from `random_state`.
    start : {"auto", "pretrained", "random"}, default="auto"
        Which of the two recipes. "auto" is "pretrained" with `weights` or a module, else "random".
    freeze_backbone : bool, default=False
        Train the layer alone, on the backbone's features of crops and mirrored images: the linear probe with
        augmentation, as in the authors' scripts. The recipe is the pre-trained one.
    freeze_batch_norm : bool, default=None
        Keep the running statistics of the backbone's batch norm and train with them; its weights are trained all the
        same. None means True from a pre-trained start, False from a random one. False trains with the statistics of
        each batch, as the paper's runs over thousands of labels do.
    n_epochs : int, default=100
        Passes over the labelled images.
    batch_size : int, default=128
        Images a step, at most: the batches of an epoch are as even as they can be.
    lr : float, default=None
        Learning rate of the layer, and from a random start of all. None means 0.01 from a pre-trained start, 0.1 from
        a random one.
    backbone_lr : float, default=1e-4
        Learning rate of a pre-trained backbone.
    milestones : array-like of int, default=None
        Epochs, from 0 on, at which the learning rates are multiplied by `gamma`. None means (50, 75) or (30, 60, 90).
    gamma : float, default=0.1
    weight_decay : float, default=None
        None means 0, or 1e-4 from a random start.
    crop_scale : tuple of two floats, default=(0.08, 1.0)
        Smallest and largest share of an image's area in a crop.
    image_size : int, default=None
        Pixels a side. None means what the backbone expects for files, and the size they have for arrays.
    image_transform : {"auto", "imagenet", "cifar10", "cifar100"} or None, default="auto"
        As the extractor takes it, but for functions.
    classes : array-like of shape (n_classes,), default=None
        The full list of classes, where it is known; one that no labelled image shows gets probability 0.
    num_workers : int, default=None
        Processes that read files. None means as many as torch has threads, eight at the most. Arrays need none.
    checkpoint_folder : str or path, default=None
        Where the training is kept once a minute. The same `fit` on the same images, killed at any moment and called
        again, goes on from there and ends on the same bits on one device; one that was finished ends at once. Other
        images, labels, parameters or seeds have another file. Needs an int as `random_state`.
    device : {"auto", "cpu", "cuda", "cuda:i"} or torch.device, default="auto"
        Where to compute. "auto" takes a CUDA device where there is one.
    autocast : "auto" or None, default="auto"
        "auto" computes in bfloat16 on CUDA. None computes in float32 everywhere.
    random_state : int, RandomState instance or None, default=None
        Seeds random weights, the layer, the batches and the augmentation.
    verbose : int, default=0
        1 prints the mean loss of each epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Known classes, sorted.
    network_ : torch.nn.Module
        From prepared images to logits of the classes that were shown; on the CPU, in eval mode.
    loss_curve_ : list of float
        Mean loss of each epoch.
    n_steps_ : int
        Steps taken.
    device_ : torch.device
        Where it was trained.
    seed_ : int
        What `random_state` gave.

    See Also
    --------
    FixMatchClassifier : Learns from the images without labels too.
    skal.classifiers.LinearProbe : A layer on embeddings, in a fraction of the time.

    Notes
    -----
    `KeyboardInterrupt` passes through `fit`, and leaves a classifier that is fitted as far as it got, as does any other
    error once the training has begun. With one class there is nothing to train.

    Features are standardised by the labelled images' mean and deviation under the backbone as it was at the start. The
    statistics of a few dozen images are others than those it learned with, and its running ones do not catch up with
    them in a few dozen steps: with 40 labels of Fashion-MNIST the network so trained predicted far worse than one
    that was not trained at all, hence `freeze_batch_norm`. The paper does not say its momentum and weight decay; 0.9
    and 1e-4 are what ImageNet is trained with. Without `freeze_batch_norm`, a batch of one image has no statistics
    where the features are one pixel high and wide; a step has one only if there is one image, or `batch_size` is 1.

    Time: `n_epochs` passes of the images through the network, and back. Memory: four networks at the most, the
    activations of a batch and a few batches of pixels for each worker.

    References
    ----------
    .. [1] Pourahmadi, Nooralinejad and Pirsiavash, "A Simple Baseline for Low-Budget Active Learning", section 5.2 and
       Table 13.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from skal.vision import FineTuneClassifier
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["dark", "bright"], 10)
    >>> images = rng.integers(0, 100, size=(20, 8, 8, 3), dtype=np.uint8)
    >>> images[y == "bright"] += 150
    >>> backbone = torch.nn.Sequential(torch.nn.AvgPool2d(4), torch.nn.Flatten())
    >>> classifier = FineTuneClassifier(backbone, n_epochs=10, random_state=0).fit(images, y)
    >>> classifier.score(images, y)
    1.0
    """

    _parameter_constraints: dict = {
        **ImageClassifier._parameter_constraints,
        "start": [StrOptions({"auto", "pretrained", "random"})],
        "freeze_backbone": ["boolean"],
        "freeze_batch_norm": ["boolean", None],
        "n_epochs": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither"), None],
        "backbone_lr": [Interval(Real, 0, None, closed="neither")],
        "milestones": ["array-like", None],
        "gamma": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left"), None],
        "crop_scale": [tuple, list],
    }

    _training_class = FineTuning

    def __init__(
        self,
        backbone="resnet18",
        weights=None,
        *,
        start="auto",
        freeze_backbone=False,
        freeze_batch_norm=None,
        n_epochs=100,
        batch_size=128,
        lr=None,
        backbone_lr=1e-4,
        milestones=None,
        gamma=0.1,
        weight_decay=None,
        crop_scale=(0.08, 1.0),
        image_size=None,
        image_transform="auto",
        classes=None,
        num_workers=None,
        checkpoint_folder=None,
        device="auto",
        autocast="auto",
        random_state=None,
        verbose=0,
    ):
        self.backbone = backbone
        self.weights = weights
        self.start = start
        self.freeze_backbone = freeze_backbone
        self.freeze_batch_norm = freeze_batch_norm
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.backbone_lr = backbone_lr
        self.milestones = milestones
        self.gamma = gamma
        self.weight_decay = weight_decay
        self.crop_scale = crop_scale
        self.image_size = image_size
        self.image_transform = image_transform
        self.classes = classes
        self.num_workers = num_workers
        self.checkpoint_folder = checkpoint_folder
        self.device = device
        self.autocast = autocast
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Train on labelled images.

        Parameters
        ----------
        X : list of paths, folder, array or record
            Paths of image files; a folder; an array (n, h, w) or (n, h, w, c), uint8, c being 1 or 3; or an object
            that has one of these as `images`.
        y : array-like of shape (n,)
            Their classes.
        sample_weight : array-like of shape (n,), default=None
            Weights of the images in the loss.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If an image cannot be read (its path is named), images keep different sizes, a label is missing or not in
            `classes`, the lengths differ, the weights are not the backbone's, or the loss becomes infinite.
        TypeError
            If X is a Dataset, whose items are prepared already.
        ImportError
            If Pillow or safetensors (the extra ``vision``) or timm (``timm``) is needed and missing.
        """
        return self._fit(X, y, sample_weight=sample_weight)

    def _checked_weights(self, rows, sample_weight):
        return None if sample_weight is None else check_sample_weights(sample_weight, rows)

    def _assemble(self, backbone, head, images, device):
        scaling = None
        if self._is_pretrained:
            scaling = Standardization(torch.from_numpy(self._outputs(backbone, images, device)))
        freeze_batch_norm = self._is_pretrained if self.freeze_batch_norm is None else self.freeze_batch_norm
        return ImageNetwork(
            backbone,
            head,
            scaling,
            is_backbone_frozen=self.freeze_backbone,
            is_batch_norm_frozen=freeze_batch_norm,
        )

    def _make_training(self, network, images, targets, weights, pool):
        recipe = _PRETRAINED if self._is_pretrained else _RANDOM
        given = {name: getattr(self, name) for name in recipe if getattr(self, name) is not None}
        recipe = recipe | given
        return self._training_class(
            LabeledImages(images, targets, self._preparation_of(images), weights),
            network,
            self._make_optimizer(network, recipe["lr"], recipe["weight_decay"]),
            n_epochs=self.n_epochs,
            batch_size=self.batch_size,
            milestones=check_milestones(recipe["milestones"]),
            gamma=self.gamma,
            crop_scale=_checked_scale(self.crop_scale),
            **self._settings(),
        )

    def _make_optimizer(self, network, lr, weight_decay):
        if not self._is_pretrained:
            return torch.optim.SGD(network.parameters(), lr=lr, momentum=_MOMENTUM, weight_decay=weight_decay)
        groups = [{"params": list(network.head.parameters()), "lr": lr}]
        of_backbone = [each for each in network.backbone.parameters() if each.requires_grad]
        if of_backbone:
            groups.append({"params": of_backbone, "lr": self.backbone_lr})
        return torch.optim.Adam(groups, weight_decay=weight_decay)

    @property
    def _is_pretrained(self):
        if self.freeze_backbone or self.start == "pretrained":
            return True
        return self.start == "auto" and (self.weights is not None or isinstance(self.backbone, nn.Module))


def _checked_scale(scale):
    shares = np.asarray(scale, dtype=float)
    if shares.shape != (2,) or not 0 < shares[0] <= shares[1] <= 1:
        raise ValueError(f"crop_scale must be two shares of an image, 0 < smallest <= largest <= 1; found {scale!r}.")
    return float(shares[0]), float(shares[1])
