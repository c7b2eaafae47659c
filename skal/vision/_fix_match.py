"""FixMatch: a network learns from a few labelled images and all the others."""

from __future__ import annotations

from skal._validation import Integral, Interval, Real, fit_context
from skal.vision._base import ImageClassifier
from skal.vision._fix_match_training import FixMatchTraining, sgd_without_decay_of_scales
from skal.vision._reading import decoded_once
from skal.vision._training import LabeledImages

__all__ = ["FixMatchClassifier"]


class FixMatchClassifier(ImageClassifier):
    """Train a network on labelled images and on its own confident guesses about a pool of others.

    FixMatch: each step takes labelled images, mirrored and shifted, and `mu` times as many of the pool, once so and
    once strongly distorted. Where the network is sure of the first form, its guess is the label that it must give the
    second. A moving average of the network predicts.

    Parameters
    ----------
    backbone : str or torch.nn.Module, default="wide_resnet28_2"
        As `skal.features.TorchFeatureExtractor` takes it; the default is FixMatch's own for images of 32 × 32. A module
        must give (n, d); a copy of it is trained.
    weights : str or path, default=None
        A checkpoint to start from, as the extractor takes it. None leaves a module its weights, and gives a named
        backbone random ones from `random_state`.
    n_steps : int, default=16384
        Steps of the training. The original takes 2**20, which is days.
    batch_size : int, default=64
        Labelled images a step; where there are fewer, they are repeated, each time with another augmentation.
    mu : int, default=7
        How many times as many images of the pool a step.
    threshold : float, default=0.95
        The probability from which on a guess counts.
    lambda_u : float, default=1.0
        Weight of the pool's loss. 0 trains on the labelled images alone, and all else alike.
    ema_decay : float, default=0.999
        Of the moving average, ``decay * average + (1 - decay) * network`` a step. It remembers some
        ``1 / (1 - decay)`` steps, its random start too: take 0.99 for a thousand steps.
    lr : float, default=0.03
        Learning rate of SGD with Nesterov's momentum; in step k of K times ``cos(7 * pi * k / (16 * K))``.
    momentum : float, default=0.9
    weight_decay : float, default=5e-4
        Of weights; biases and batch norm's scales do not decay. The original takes 1e-3 for CIFAR-100.
    steps_an_epoch : int, default=256
        After how many steps progress and the mean losses are reported.
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
        Seeds random weights, the last layer, the batches and the augmentation.
    verbose : int, default=0
        1 prints the mean loss of each epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Known classes, sorted.
    network_ : torch.nn.Module
        The moving average: from prepared images to logits of the classes that were shown; on the CPU, in eval mode.
    loss_curve_ : list of float
        Mean loss of each epoch.
    confident_curve_ : list of float
        Share of the pool's images that counted, in each epoch. 0 throughout says that nothing was learned from the
        pool: train longer, or lower `threshold`.
    n_steps_ : int
        Steps taken.
    device_ : torch.device
        Where it was trained.
    seed_ : int
        What `random_state` gave.

    See Also
    --------
    FineTuneClassifier : Labelled images alone, from a pre-trained start.
    skal.LowBudgetClassifier : Picks by embeddings what this learns from as images.

    Notes
    -----
    `KeyboardInterrupt` passes through `fit`, and leaves a classifier that is fitted as far as it got, as does any other
    error once the training has begun. With one class there is nothing to train.

    The weak augmentation mirrors with probability ½ and shifts by an eighth of the side at most. The strong one adds
    two operations of RandAugment at one random magnitude, drawn anew for every 16 images, and a grey square, by kornia.
    A class that no labelled image shows is never guessed. Files are resized and cropped as for embeddings, once where
    all of them then fit scikit-learn's ``working_memory``, else at each step, and augmented.

    Time: ``n_steps * batch_size * (1 + 2 * mu)`` images through the network, and back. Memory: four networks, the
    activations of that many images, and the pixels of all files or a few batches of them for each worker.

    References
    ----------
    .. [1] Sohn et al., "FixMatch: Simplifying semi-supervised learning with consistency and confidence", NeurIPS 2020.
    .. [2] Cubuk, Zoph, Shlens and Le, "RandAugment: Practical automated data augmentation with a reduced search space",
       NeurIPS 2020.
    .. [3] Pourahmadi, Nooralinejad and Pirsiavash, "A Simple Baseline for Low-Budget Active Learning", section 4.5 and
       Table 10.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from skal.vision import FixMatchClassifier
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["dark", "bright"], 20)
    >>> images = rng.integers(0, 100, size=(40, 8, 8, 3), dtype=np.uint8)
    >>> images[y == "bright"] += 150
    >>> labeled = [0, 1, 20, 21]
    >>> backbone = torch.nn.Sequential(torch.nn.AvgPool2d(4), torch.nn.Flatten())
    >>> classifier = FixMatchClassifier(backbone, n_steps=30, batch_size=4, ema_decay=0.8, random_state=0)
    >>> classifier.fit(images[labeled], y[labeled], X_pool=images).predict(images).shape
    (40,)
    """

    _parameter_constraints: dict = {
        **ImageClassifier._parameter_constraints,
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "steps_an_epoch": [Interval(Integral, 1, None, closed="left")],
        "mu": [Interval(Integral, 1, None, closed="left")],
        "threshold": [Interval(Real, 0, 1, closed="both")],
        "lambda_u": [Interval(Real, 0, None, closed="left")],
        "ema_decay": [Interval(Real, 0, 1, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "momentum": [Interval(Real, 0, 1, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
    }

    _training_class = FixMatchTraining

    def __init__(
        self,
        backbone="wide_resnet28_2",
        weights=None,
        *,
        n_steps=2**14,
        batch_size=64,
        mu=7,
        threshold=0.95,
        lambda_u=1.0,
        ema_decay=0.999,
        lr=0.03,
        momentum=0.9,
        weight_decay=5e-4,
        steps_an_epoch=256,
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
        self.n_steps = n_steps
        self.batch_size = batch_size
        self.mu = mu
        self.threshold = threshold
        self.lambda_u = lambda_u
        self.ema_decay = ema_decay
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.steps_an_epoch = steps_an_epoch
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
    def fit(self, X, y, *, X_pool=None):
        """Train on labelled images and a pool.

        Parameters
        ----------
        X : list of paths, folder, array or record
            The labelled images: paths of image files; a folder; an array (n, h, w) or (n, h, w, c), uint8, c being 1 or
            3; or an object that has one of these as `images`.
        y : array-like of shape (n,)
            Their classes.
        X_pool : images, default=None
            The whole pool, the labelled ones included or not. None means X.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If an image cannot be read (its path is named), images of X and `X_pool` end in different sizes, a label is
            missing or not in `classes`, the lengths differ, the weights are not the backbone's, or the loss becomes
            infinite.
        TypeError
            If X or `X_pool` is a Dataset, whose items are prepared already.
        ImportError
            If kornia, Pillow or safetensors (the extra ``vision``) or timm (``timm``) is needed and missing.
        """
        return self._fit(X, y, X_pool)

    def _keep(self, network, n_steps, epoch_means):
        super()._keep(network, n_steps, epoch_means)
        self.confident_curve_ = [means.get("confident", 0.0) for means in epoch_means]

    def _make_training(self, network, images, targets, weights, pool):
        labeled, preparation = decoded_once(images, self._preparation_of(images), self.num_workers)
        others, pool_preparation = labeled, preparation
        if pool is not images and self.lambda_u > 0:
            others, pool_preparation = decoded_once(pool, self._preparation_of(pool), self.num_workers)
        return self._training_class(
            LabeledImages(labeled, targets, preparation),
            others,
            pool_preparation,
            network,
            sgd_without_decay_of_scales(network, self.lr, self.momentum, self.weight_decay),
            n_steps=self.n_steps,
            steps_an_epoch=min(self.steps_an_epoch, self.n_steps),
            batch_size=self.batch_size,
            mu=self.mu,
            threshold=self.threshold,
            lambda_u=self.lambda_u,
            ema_decay=self.ema_decay,
            **self._settings(),
        )
