"""VAAL: pick what a discriminator is surest is unlabelled."""

from __future__ import annotations

import math

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from skal._core.device import resident_bytes, resolve_device
from skal._core.vaal import VAALSchedule, image_tile_rows, labeled_logits, train_vaal
from skal._validation import DEVICE, HasMethods, Integral, Interval, Real, working_memory_bytes
from skal.base import BaseSampler
from skal.samplers._cold_start import ColdStartMixin, highest, scores_of

__all__ = ["VAALSampler"]


class VAALSampler(ColdStartMixin, BaseSampler):
    """Pick the rows that look least like those labelled, to an adversarially trained discriminator.

    Variational adversarial active learning, on embeddings and on images given as arrays: a β-VAE learns
    latents of all rows, and a discriminator learns to tell the labelled from the unlabelled by them. It
    needs no labels, only which rows are labelled; with none, `initial` picks the batch.

    A baseline of the paper's tables, not a recommendation: with few labels it is about as good as
    random rows or worse (see the benchmarks), and others who used the original report the same.

    Parameters
    ----------
    budget : int or float, default=10
        Rows to pick. A float in (0, 1] is a share of the pool's rows, ``max(1, floor(share * n))``.
    n_latent : int, default=32
        Dimensions of the latents.
    beta : float, default=1.0
        Weight of the divergence from the prior.
    adversary_weight : float, default=1.0
        Weight of fooling the discriminator.
    lr : float, default=5e-4
        Adam's learning rate, of both parts.
    batch_size : int, default=128
        Labelled rows, and as many unlabelled ones, a step.
    n_epochs : int, default=100
        Passes over the unlabelled rows.
    max_steps : int, default=1000
        Training ends here if the epochs are not over. On 50,000 rows, 100 epochs are 39,000 steps: set
        this higher to train as long as the original.
    initial : sampler, default=None
        Picks while nothing is labelled, of images by their flattened rows. None means
        ``KMeansSampler()``; the paper's tables set ``RandomSampler()``.
    device : {"auto", "cpu", "cuda", "cuda:i"} or torch.device, default="auto"
        Where to compute. "auto" takes a CUDA device where there is one.
    random_state : int, RandomState instance or None, default=None
        Seeds the layers, the batches and the initial sampler.
    verbose : int, default=0
        1 prints the discriminator's loss at each step.

    Attributes
    ----------
    selected_indices_ : ndarray of shape (budget,), int64
        Distinct rows of the pool, the surest to be unlabelled first, ties to the lowest row; after a cold
        start in the order of the initial sampler.
    initial_ : sampler
        The fitted initial sampler. Only there after a cold start.
    n_steps_ : int
        Steps trained. Not there after a cold start.
    scores_ : ndarray of shape (n,), float64
        How sure the discriminator is that each candidate is unlabelled (minus its logit of "labelled"); NaN
        where a row is labelled. Not there after a cold start.
    device_ : torch.device
        Where it was computed.
    image_shape_ : tuple of int or None
        (h, w) or (h, w, c) of the images seen during `fit`. None after embeddings.
    selected_index_ : pandas Index of shape (budget,)
        The same as entries of X's index. Only there where X is a DataFrame.
    n_features_in_ : int
        Features seen during `fit`; of images, h·w·c.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X was a DataFrame whose columns are all strings.

    See Also
    --------
    CoreSetSampler : Rows far from the labelled ones, without training.
    RandomSampler : About as good with few labels, in no time.

    Notes
    -----
    Embeddings are L2-normalised; encoder and decoder have two hidden layers of 256. Images are scaled so
    that the lowest value of the fitted pool is -1 and the highest 1 (the original has 0 and 1, and batch
    norm to center them). Encoder and decoder are the original's 4 × 4 convolutions of stride 2 and their
    transposes, two of them for 8 × 8, four from 17 × 17 on, with a quarter of its channels (32, 64, 128 and
    256). Height and width are padded to a multiple of the strides. Batch norm is left out: with it a row's
    latents would depend on the others of its batch, where the few labelled rows stand many times. The
    discriminator has two hidden layers of 512.

    Time: ``n_steps_`` passes of 2 × batch_size rows through the layers, and two passes of the pool. Memory
    beside X: the layers, two vectors of length n, and a float32 copy of as much of the pool as fits
    scikit-learn's ``working_memory``; for images also 2048 of them in float32 while they are checked, and
    the layers' activations and patches, of a batch or of 2^20 pixels when scoring.

    References
    ----------
    .. [1] Sinha, Ebrahimi and Darrell, "Variational adversarial active learning", ICCV 2019.
    .. [2] Pourahmadi, Nooralinejad and Pirsiavash, "A Simple Baseline for Low-Budget Active
       Learning", section 4, "VAAL".

    Examples
    --------
    >>> import numpy as np
    >>> from skal.samplers import VAALSampler
    >>> X = np.random.default_rng(0).normal(size=(60, 8))
    >>> sampler = VAALSampler(budget=5, random_state=0).fit(X, labeled_indices=[0, 1, 2])
    >>> sampler.selected_indices_.shape
    (5,)
    """

    _parameter_constraints: dict = {
        **BaseSampler._parameter_constraints,
        "n_latent": [Interval(Integral, 1, None, closed="left")],
        "beta": [Interval(Real, 0, None, closed="left")],
        "adversary_weight": [Interval(Real, 0, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "n_epochs": [Interval(Integral, 1, None, closed="left")],
        "max_steps": [Interval(Integral, 1, None, closed="left")],
        "initial": [HasMethods(["fit", "select"]), None],
        "device": DEVICE,
        "verbose": ["verbose"],
    }

    _title = "VAAL"
    _order = "surest first"
    _takes = "a training of two networks"
    _needs = "labelled rows"

    def __init__(
        self,
        budget=10,
        *,
        n_latent=32,
        beta=1.0,
        adversary_weight=1.0,
        lr=5e-4,
        batch_size=128,
        n_epochs=100,
        max_steps=1000,
        initial=None,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        super().__init__(budget, random_state=random_state)
        self.n_latent = n_latent
        self.beta = beta
        self.adversary_weight = adversary_weight
        self.lr = lr
        self.batch_size = batch_size
        self.n_epochs = n_epochs
        self.max_steps = max_steps
        self.initial = initial
        self.device = device
        self.verbose = verbose

    def fit(self, X, y=None, *, labeled_indices=None):
        """Pick `budget` more rows of the pool.

        Parameters
        ----------
        X : array-like of shape (n, d), or array of shape (n, h, w) or (n, h, w, c), real
            The pool: one embedding or one image a row. Images are an ndarray, a memmap or a torch tensor of
            any real dtype, uint8 included; their channels come last. They are viewed as rows, not copied,
            if each image is contiguous.
        y : array-like of shape (n,), default=None
            Not needed; read at `labeled_indices` only.
        labeled_indices : array-like of int, or boolean mask of shape (n,), default=None
            The rows labelled already.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If X has more than four dimensions, or for the reasons of any sampler: X holds NaN or infinity
            (the first such row is named), the budget is more than the unlabelled rows, y has another
            length than X, or `labeled_indices` are out of range or repeated.
        """
        rows, self.image_shape_ = _as_rows(X)
        return super().fit(rows, y, labeled_indices=labeled_indices)

    def select(self, X=None):
        """Return the picks, or the rows of another pool that are surest to be unlabelled.

        Parameters
        ----------
        X : array-like of shape (m, d), or array of shape (m, h, w) or (m, h, w, c), default=None
            Another pool, of the shape of the one fitted but for m. None means the pool that was fitted.

        Returns
        -------
        ndarray of shape (budget,), int64
            `selected_indices_`, or distinct rows of X.

        Raises
        ------
        ValueError
            If the images of X have another shape than those fitted, X holds NaN or infinity, or the
            budget is more than its rows.
        """
        check_is_fitted(self, "selected_indices_")
        if X is None:
            return super().select()
        rows, image_shape = _as_rows(X)
        if image_shape != self.image_shape_:
            raise ValueError(
                f"X holds {_kind(image_shape)}, but {type(self).__name__} was fitted on {_kind(self.image_shape_)}; "
                "pass what it was fitted on, or fit it again."
            )
        return super().select(rows)

    def _select_rows(self, request):
        self._forget("initial_", "n_steps_", "scores_")
        self.device_ = resolve_device(self.device)
        if len(request.labeled_idx) == 0:
            return self._select_cold(request)
        candidate_idx = request.candidate_idx
        blocks = self._blocks(request.pool, self.device_)
        self.n_steps_ = min(self.max_steps, self.n_epochs * -(-len(candidate_idx) // self.batch_size))
        request.progress.begin(self.n_steps_, "step")
        model = train_vaal(
            blocks,
            request.labeled_idx,
            candidate_idx,
            VAALSchedule(self.n_latent, self.beta, self.adversary_weight, self.lr, self.batch_size, self.n_steps_),
            request.rng,
            on_step=lambda step, loss: request.progress.advance(step, loss, "discriminator's loss"),
            image_shape=self.image_shape_,
        )
        self._model = model.to(torch.device("cpu"))
        self.scores_ = scores_of(-labeled_logits(blocks, model), request)
        return highest(self.scores_, candidate_idx, request.budget)

    def _select_from(self, pool, budget):
        if hasattr(self, "initial_"):
            return self._select_from_cold(pool, budget)
        device = resolve_device(self.device)
        logits = labeled_logits(self._blocks(pool, device), self._model.to(device))
        return highest(-logits, np.arange(pool.n_rows), budget)

    def _blocks(self, pool, device):
        if self.image_shape_ is None:
            return pool.view("cosine", device).blocks
        kept = resident_bytes(device, working_memory_bytes())
        return pool.raw_blocks(device, resident_bytes=kept, tile_rows=image_tile_rows(self.image_shape_))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def _as_rows(X):
    """View images (n, h, w) or (n, h, w, c) as rows (n, h·w·c); return them and the image shape, or X and None."""
    shape = tuple(getattr(X, "shape", ()))
    if len(shape) < 3:
        return X, None  # whatever else is wrong with it, the base class says
    if len(shape) > 4:
        raise ValueError(f"Images are arrays of shape (n, h, w) or (n, h, w, c); found shape {shape}.")
    return X.reshape(shape[0], math.prod(shape[1:])), shape[1:]


def _kind(image_shape):
    return "embeddings" if image_shape is None else f"images of shape {image_shape}"
