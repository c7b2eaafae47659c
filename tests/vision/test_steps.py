"""One step of each training against plain arithmetic."""

import copy
import math

import numpy as np
import torch
from torch import nn

from skal._core.training import seeded_step
from skal.features._preparation import Preparation
from skal.features._sources import ArrayImages
from skal.vision._augment import flip, shift_and_flip
from skal.vision._fix_match_training import FixMatchTraining, fix_match_losses, sgd_without_decay_of_scales
from skal.vision._network import ImageNetwork
from skal.vision._training import FineTuning, LabeledImages
from tests.vision.conftest import small_backbone

CPU = torch.device("cpu")
SETTINGS = {"seed": 5, "device": CPU, "autocast": None, "n_workers": 0}
PREPARATION = Preparation(mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4), on_device=True)


def labeled_images(pool, n=9, weights=None):
    images, _ = pool
    return LabeledImages(ArrayImages(images[:n]), np.arange(n) % 3, PREPARATION, weights)


def make_network():
    backbone = small_backbone()
    return ImageNetwork(backbone, nn.Linear(6, 3))


def cross_entropies(logits, targets):
    """In plain numpy."""
    logits = logits.detach().double().numpy()
    return np.array([np.log(np.exp(row).sum()) - row[t] for row, t in zip(logits, targets.tolist(), strict=True)])


def test_a_step_of_fine_tuning(pool):
    weights = np.arange(1.0, 10.0)
    network = make_network()
    before = copy.deepcopy(network)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2)
    training = FineTuning(
        labeled_images(pool, weights=weights), network, optimizer, n_epochs=4, batch_size=5, milestones=(1,), gamma=0.1,
        crop_scale=(0.5, 1.0), **SETTINGS,
    )  # fmt: skip
    batch = next(iter(training.batches(0)))
    inputs, targets, batch_weights = batch
    assert inputs.shape == (4, 3, 12, 12)
    rows = training.order.rows(0)
    np.testing.assert_array_equal(targets, rows % 3)
    torch.testing.assert_close(batch_weights, torch.from_numpy(weights[rows] / weights.mean()).float())
    losses = training.step(batch)

    before.train()
    with seeded_step(5, 0, CPU):
        logits = before(flip(inputs))
    expected = (batch_weights.numpy() * cross_entropies(logits, targets)).mean()
    np.testing.assert_allclose(losses["loss"], expected, rtol=1e-5)
    torch.autograd.backward((batch_weights * nn.functional.cross_entropy(logits, targets, reduction="none")).mean())
    for old, new in zip(before.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(new, old - 0.1 * (old.grad + 1e-2 * old), rtol=1e-5, atol=1e-7)


def test_learning_rates_fall_together(pool):
    network = make_network()
    groups = [{"params": network.head.parameters(), "lr": 1e-2}, {"params": network.backbone.parameters(), "lr": 1e-4}]
    training = FineTuning(
        labeled_images(pool), network, torch.optim.Adam(groups), n_epochs=4, batch_size=5, milestones=(1, 3), gamma=0.1,
        crop_scale=(0.5, 1.0), **SETTINGS,
    )  # fmt: skip
    rates = []
    training.run(on_step=lambda losses: rates.append([group["lr"] for group in training.optimizer.param_groups]))
    factors = np.repeat([1, 0.1, 0.1, 0.01], 2)  # two steps an epoch
    np.testing.assert_allclose(rates, factors[:, None] * [1e-2, 1e-4])


def test_the_losses_of_fix_match():
    generator = torch.Generator().manual_seed(0)
    labeled, weak, strong = (4 * torch.randn(n, 3, generator=generator) for n in (4, 30, 30))
    targets = torch.tensor([0, 2, 1, 1])
    found = fix_match_losses(labeled, targets, weak.requires_grad_(), strong.requires_grad_(), 0.9, 0.5)
    probabilities = np.exp(weak.detach().double().numpy())
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    counts, guesses = probabilities.max(axis=1) >= 0.9, torch.from_numpy(probabilities.argmax(axis=1))
    assert 5 < counts.sum() < 25
    of_pool = (counts * cross_entropies(strong, guesses)).sum() / 30
    of_labeled = cross_entropies(labeled, targets).mean()
    np.testing.assert_allclose(found["pool loss"].detach(), of_pool, rtol=1e-5)
    np.testing.assert_allclose(found["labelled loss"], of_labeled, rtol=1e-5)
    np.testing.assert_allclose(found["loss"].detach(), of_labeled + 0.5 * of_pool, rtol=1e-5)
    np.testing.assert_allclose(found["confident"], counts.mean(), rtol=1e-6)
    torch.autograd.backward(found["loss"])
    assert weak.grad is None  # guesses are labels
    np.testing.assert_array_equal(strong.grad.any(dim=1), counts)


def test_a_step_of_fix_match(pool):
    images, _ = pool
    network = make_network()
    before = copy.deepcopy(network)
    training = FixMatchTraining(
        labeled_images(pool), ArrayImages(images), PREPARATION, network,
        sgd_without_decay_of_scales(network, lr=0.03, momentum=0.9, weight_decay=1e-2), n_steps=10, steps_an_epoch=4,
        batch_size=4, mu=3, threshold=0.3, lambda_u=2.0, ema_decay=0.75, **SETTINGS,
    )  # fmt: skip
    stream = iter(training.batches(0))
    batch = next(stream)
    pixels, targets, others = batch
    np.testing.assert_allclose(pixels, images[training.labeled_order.rows(0)].transpose(0, 3, 1, 2) / 255, atol=1e-6)
    np.testing.assert_allclose(others, images[training.pool_order.rows(0)].transpose(0, 3, 1, 2) / 255, atol=1e-6)
    np.testing.assert_array_equal(targets, training.labeled_order.rows(0) % 3)
    losses = training.step(batch)

    before.train()
    mean, std = torch.tensor(PREPARATION.mean).view(3, 1, 1), torch.tensor(PREPARATION.std).view(3, 1, 1)
    with seeded_step(5, 0, CPU):
        views = shift_and_flip(pixels), shift_and_flip(others), training._strong(shift_and_flip(others))
        logits = before((torch.cat(views) - mean) / std)
    expected = fix_match_losses(logits[:4], targets, logits[4:16], logits[16:], 0.3, 2.0)
    assert float(losses["loss"]) == float(expected["loss"].detach())
    assert float(losses["pool loss"]) > 0
    torch.autograd.backward(expected["loss"])
    for old, new, average in zip(
        before.parameters(), network.parameters(), training.average.network.parameters(), strict=True
    ):
        gradient = old.grad + (1e-2 * old if old.ndim > 1 else 0.0)
        stepped = old - 0.03 * (1 + 0.9) * gradient  # Nesterov's first step
        torch.testing.assert_close(new, stepped, rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(average, 0.75 * old + 0.25 * new, rtol=1e-5, atol=1e-7)
    training.n_done = 1  # `run` counts
    training.step(next(stream))
    rate = 0.03 * math.cos(7 * math.pi / 160)
    assert [group["lr"] for group in training.optimizer.param_groups] == [rate, rate]
