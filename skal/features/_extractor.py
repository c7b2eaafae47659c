"""From images to embeddings, as a scikit-learn transformer."""

from __future__ import annotations

import os
import warnings
from collections import deque
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state

from skal._core.device import full_float32, resolve_device
from skal._core.rows import unit_rows
from skal._validation import DEVICE, Integral, Interval, StrOptions, fit_context
from skal.features import _backbones
from skal.features._images import CIFAR10, CIFAR100, Preparation, open_images, read_batches
from skal.features._progress import ImageProgress
from skal.features._resnet import RESNETS, n_features_of
from skal.features._store import EmbeddingFile, EmbeddingsInMemory

__all__ = ["TorchFeatureExtractor"]

_NATIVE_VALUES = {"cifar10": CIFAR10, "cifar100": CIFAR100, None: ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))}
_REASONS_SHOWN = 3


class TorchFeatureExtractor(TransformerMixin, BaseEstimator):
    """Run a backbone over images and give the embeddings that samplers and classifiers work on.

    Nothing is learned: `fit` only checks the parameters, and `transform` works without it.

    Parameters
    ----------
    backbone : str or torch.nn.Module, default="resnet18"
        ``"resnet18"``, ``"resnet34"``, ``"resnet50"`` or ``"resnet101"``, torchvision's without the last layer;
        with ``"-cifar"`` behind the name, the first convolution is 3 × 3 of stride 1 and nothing is pooled after it.
        ``"timm:<name>"`` is a model of timm, where it is installed (``pip install skal[timm]``). A module must give
        (n, d); a copy of it is used, in eval mode.
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
        with timm's own sizes and means for timm's models. "cifar10" and "cifar100" have their means, None has values
        from 0 to 1; both keep the size unless `image_size` is given. A callable turns a PIL image into a tensor
        (c, h, w).
    batch_size : int, default=128
        Images a step.
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
    output : str or path, default=None
        A ``.npy`` file to write block by block, for long jobs: killed at any moment and run again, `transform` goes
        on where it stopped, and ends with the same bytes. ``<output>.json`` beside it says what is embedded, by
        what, and how far it is; other images or another backbone are refused. A finished file is returned at once.
    on_error : {"raise", "skip"}, default="raise"
        What to do about an image that cannot be read: raise, naming it, or leave it out and warn at the end.
    random_state : int, RandomState instance or None, default=None
        Seeds random weights.
    verbose : int, default=0
        1 shows a progress bar with images per second.

    Attributes
    ----------
    device_ : torch.device
        Where it was computed.
    valid_indices_ : ndarray of shape (n,), int64
        Which of the images that were passed the rows of the last `transform` are: all, unless some were skipped.
    n_features_out_ : int
        d, the length of an embedding. Of a module or one of timm's known after the first `transform`.
    seed_ : int or None
        Of the random weights, drawn once, so that all calls have the same; None where there are none.

    See Also
    --------
    skal.LowBudgetClassifier : What comes after it in a `Pipeline`.

    Notes
    -----
    Image files are turned upright by their EXIF tag and made RGB, whatever they are: CMYK, palette, greyscale, 16 bits
    (the upper 8 are taken), transparent (transparency is dropped), 1 × 1. Refused, by name: what is truncated, not an
    image, of floating-point pixels, or of more pixels than ``PIL.Image.MAX_IMAGE_PIXELS``.

    In a `Pipeline` with ``memory=``, embeddings are cached by the paths and not by what is in the files. Pickles hold
    `weights` by path. ``on_error="skip"`` gives fewer rows than images, so that a y beside them must be indexed by
    `valid_indices_`.

    A job with `output` is known by the paths of its files and the sizes and times of those it has read (by the values
    of an array, by length and 16 items of a Dataset), by the backbone, a hash of its weights, the transform,
    `batch_size`, `dtype`, `normalize`, `autocast`, and the device's type. On a CUDA device a resumed file may differ
    in the last bits.

    Time: a pass of the images through the backbone. Memory: the backbone, the activations of a batch, a few batches
    of pixels for each worker, and the embeddings, unless `output` is given.

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
    """

    _parameter_constraints: dict = {
        "backbone": [str, torch.nn.Module],
        "weights": [str, os.PathLike, None],
        "image_size": [Interval(Integral, 1, None, closed="left"), None],
        "image_transform": [StrOptions({"auto", "imagenet", "cifar10", "cifar100"}), callable, None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "num_workers": [Interval(Integral, 0, None, closed="left"), None],
        "device": DEVICE,
        "autocast": [StrOptions({"auto", "float16", "bfloat16"}), None],
        "dtype": [StrOptions({"float32", "float16"})],
        "normalize": ["boolean"],
        "output": [str, os.PathLike, None],
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
        batch_size=128,
        num_workers=None,
        device="auto",
        autocast="auto",
        dtype="float32",
        normalize=True,
        output=None,
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
        self.output = output
        self.on_error = on_error
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X=None, y=None):
        """Check the parameters; nothing is learned.

        Parameters
        ----------
        X : ignored
        y : ignored

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If a parameter is wrong, or a device is named that this machine lacks.
        """
        _backbones.refuse_unknown(self.backbone)
        self.device_ = resolve_device(self.device)
        for name in ("seed_", "n_features_out_"):
            self.__dict__.pop(name, None)
        self._resolve_seed()
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def transform(self, X):
        """Embed images.

        Parameters
        ----------
        X : list of paths, folder, array, torch Dataset or record
            Paths of image files; a folder (every image below it, in order of their paths); an array (n, h, w) or
            (n, h, w, c), uint8, c being 1 or 3; a map-style Dataset, whose items, or their first elements, are
            float tensors (c, h, w) to which nothing more is done; or an object that has one of these as `images`.

        Returns
        -------
        ndarray of shape (n, d), float32 or float16
            One row an image, in order; with `output` a read-only memmap of that file.

        Raises
        ------
        ValueError
            If an image cannot be read (its path is named), images of one batch differ in size, an embedding is not
            finite, the weights are not the backbone's, or `output` holds something else.
        FileNotFoundError
            If there is no such folder, or no such file of weights.
        RuntimeError
            If another process is writing to `output`.
        ImportError
            If something optional is needed and missing: Pillow and safetensors (``skal[vision]``), timm
            (``skal[timm]``).
        """
        self.device_ = resolve_device(self.device)
        images, preparation = open_images(X, self._preparation_for)
        self._resolve_seed()
        model = _backbones.load(self.backbone, self.weights, self.seed_, self.image_size)
        with self._sink(images, preparation, model) as sink, full_float32(), torch.inference_mode():
            sink.refuse_changed_files(images.marks(0, sink.n_read))
            self._refuse(sink.refused)
            model = _backbones.prepare(model, self.device_, self._memory_format())
            with ImageProgress(len(images), sink.n_read, self.verbose) as progress:
                for batch, outputs in self._outputs(images, preparation, model, sink.n_read):
                    self._refuse(batch.refused)
                    marks = images.marks(batch.start, batch.stop)
                    sink.append(self._as_embeddings(outputs, images, batch), batch.stop, batch.refused, marks)
                    progress.advance(batch.stop)
            if len(sink.refused) == len(images):
                raise ValueError(f"None of the {len(images)} images can be read; the first: {sink.refused[0]}")
            embeddings = sink.finish()
        self.n_features_out_ = embeddings.shape[1]
        self.valid_indices_ = np.delete(np.arange(len(images), dtype=np.int64), sorted(sink.refused))
        _warn_of(sink.refused, len(images))
        return embeddings

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
            If d is not known before the first `transform`.
        """
        if hasattr(self, "n_features_out_"):
            n_features = self.n_features_out_
        elif self.backbone in RESNETS:
            n_features = n_features_of(self.backbone)
        else:
            raise NotFittedError(
                f"How long an embedding of this {type(self).__name__} is will be known after its first transform."
            )
        return np.array([f"torchfeatureextractor{number}" for number in range(n_features)], dtype=object)

    def _resolve_seed(self):
        """Keep a seed that was drawn, so that every transform has the same random weights; an int is its own seed."""
        if self.weights is not None or not isinstance(self.backbone, str):
            self.seed_ = None
        elif isinstance(self.random_state, Integral):
            self.seed_ = int(self.random_state)
        elif getattr(self, "seed_", None) is None:
            self.seed_ = int(check_random_state(self.random_state).randint(2**31 - 1))

    def _preparation_for(self, are_files):
        if callable(self.image_transform):
            if self.image_size is not None:
                raise ValueError(
                    f"image_size={self.image_size} has no effect with an image_transform that is a function; let the "
                    "function resize, or leave one of them out."
                )
            return Preparation(custom=self.image_transform)
        image_size = None if self.image_size is None else int(self.image_size)
        expected = _backbones.expected_input(self.backbone)
        if self.image_transform in _NATIVE_VALUES:
            mean, std = _NATIVE_VALUES[self.image_transform]
            return Preparation(image_size, image_size, mean, std, expected.bicubic)
        if self.image_transform == "imagenet":
            expected = _backbones.ExpectedInput(expected.size, expected.is_size_fixed)
        crop = image_size
        if crop is None and (are_files or expected.is_size_fixed):
            crop = expected.size
        resize = round(crop / expected.crop_share) if are_files else crop
        return Preparation(resize, crop, expected.mean, expected.std, expected.bicubic)

    def _sink(self, images, preparation, model):
        if self.output is None:
            return EmbeddingsInMemory(len(images), self.dtype)
        identity = {
            "images": images.fingerprint(),
            "backbone": _backbones.describe(self.backbone),
            "weights_sha256": _backbones.weights_sha256(model),
            "image_transform": preparation.describe(),
            "batch_size": int(self.batch_size),
            "dtype": self.dtype,
            "normalize": bool(self.normalize),
            "device": self.device_.type,
            "autocast": self._autocast_type(),
        }
        return EmbeddingFile(Path(self.output), len(images), self.dtype, identity)

    def _autocast_type(self):
        if self.autocast == "auto":
            return "float16" if self.device_.type == "cuda" else None
        return self.autocast

    def _memory_format(self):
        """Channels last pays on CUDA and in bfloat16; in float32 on the CPU it does not."""
        is_plain = self.device_.type == "cpu" and self._autocast_type() is None
        return torch.contiguous_format if is_plain else torch.channels_last

    def _outputs(self, images, preparation, model, start):
        """Yield each batch and what the backbone gives for it; on CUDA one behind, so that it works meanwhile."""
        autocast_type = self._autocast_type()
        precision = torch.autocast(self.device_.type, getattr(torch, autocast_type)) if autocast_type else nullcontext()
        memory_format = self._memory_format()
        n_behind = 1 if self.device_.type == "cuda" else 0
        under_way = deque()
        for batch in read_batches(images, self.batch_size, self.num_workers, start):
            outputs = None
            if batch.images is not None:
                inputs = preparation.to_input(batch.images, self.device_, are_cropped=images.are_cropped)
                with precision:
                    outputs = model(inputs.contiguous(memory_format=memory_format))
            under_way.append((batch, outputs))
            if len(under_way) > n_behind:
                yield under_way.popleft()
        yield from under_way

    def _as_embeddings(self, outputs, images, batch):
        if outputs is None:
            return None
        rows = [row for row in range(batch.start, batch.stop) if row not in batch.refused]
        if not isinstance(outputs, torch.Tensor) or outputs.ndim != 2 or len(outputs) != len(rows):
            what = f"shape {tuple(outputs.shape)}" if isinstance(outputs, torch.Tensor) else type(outputs).__name__
            raise ValueError(f"The backbone must give (n, d) for n images; for {len(rows)} it gave {what}.")
        embeddings = outputs.to("cpu", torch.float32)
        if self.normalize:
            embeddings = unit_rows(embeddings)
        embeddings = embeddings.to(getattr(torch, self.dtype))
        is_bad = ~torch.isfinite(embeddings).all(dim=1)
        if bool(is_bad.any()):
            row = rows[int(is_bad.nonzero()[0])]
            raise ValueError(
                f"The embedding of {images.name_of(row)} holds NaN or infinity in {self.dtype}, computed with "
                f"autocast={self._autocast_type()!r}; check the weights, or try autocast=None."
            )
        return embeddings.numpy()

    def _refuse(self, refused):
        if refused and self.on_error == "raise":
            raise ValueError(f"{refused[min(refused)]}. on_error='skip' leaves such images out.")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.no_validation = True
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags


def _warn_of(refused, n_images):
    if refused:
        shown = "; ".join(refused[row] for row in sorted(refused)[:_REASONS_SHOWN])
        more = "; and others" if len(refused) > _REASONS_SHOWN else ""
        warnings.warn(
            f"{len(refused)} of {n_images} images were left out; valid_indices_ says which rows are there: "
            f"{shown}{more}",
            UserWarning,
            stacklevel=4,  # the caller of transform
        )
