"""The linear layer against plain numpy and against torch's own Adam."""

import numpy as np
import pytest
import torch

from skal._core.softmax import AdamSchedule, cross_entropy_and_gradient, train_softmax


def numpy_loss(X, targets, row_weights, weight, bias):
    logits = X @ weight + bias
    log_sum = np.log(np.exp(logits).sum(axis=1))
    return float((row_weights * (log_sum - logits[np.arange(len(X)), targets])).sum())


def test_the_gradient_is_that_of_the_loss(rng):
    X, targets, row_weights = rng.normal(size=(7, 3)), rng.integers(0, 4, size=7), rng.random(7)
    weight, bias = rng.normal(size=(3, 4)), rng.normal(size=4)
    tensors = [torch.from_numpy(a) for a in (X, targets, row_weights, weight, bias)]
    loss, weight_gradient, bias_gradient = cross_entropy_and_gradient(*tensors)
    assert float(loss) == pytest.approx(numpy_loss(X, targets, row_weights, weight, bias))
    for parameter, gradient in ((weight, weight_gradient), (bias, bias_gradient)):
        for where in np.ndindex(parameter.shape):
            step = np.zeros_like(parameter)
            step[where] = 1e-6
            up, down = (
                numpy_loss(X, targets, row_weights, weight + s * step, bias)
                if parameter is weight
                else numpy_loss(X, targets, row_weights, weight, bias + s * step)
                for s in (1, -1)
            )
            assert float(gradient[where]) == pytest.approx((up - down) / 2e-6, abs=1e-7)


@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_training_is_that_of_torch(weight_decay, rng):
    X = torch.from_numpy(rng.normal(size=(50, 6)))
    targets = torch.from_numpy(rng.integers(0, 3, size=50))
    schedule = AdamSchedule(0.01, (4, 8), 0.1, 12, 16, weight_decay)
    layer = train_softmax(X, targets, torch.ones(50).double(), 3, schedule, np.random.default_rng(5))

    order_rng = np.random.default_rng(5)
    linear = torch.nn.Linear(6, 3).double()
    torch.nn.init.zeros_(linear.weight)
    torch.nn.init.zeros_(linear.bias)
    optimizer = torch.optim.Adam(linear.parameters(), lr=0.01, weight_decay=weight_decay)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [4, 8], 0.1)
    losses = []
    for _ in range(12):
        total = 0.0
        for batch in torch.from_numpy(order_rng.permutation(50)).split(16):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(linear(X[batch]), targets[batch])
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(batch)
        losses.append(total / 50)
        scheduler.step()
    np.testing.assert_allclose(layer.weight.T, linear.weight.detach(), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(layer.bias, linear.bias.detach(), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(layer.loss_curve, losses, rtol=1e-9)


def test_the_learning_rate_falls_at_the_milestones():
    schedule = AdamSchedule(0.01, (50, 75), 0.1, 100, 128)
    assert [schedule.lr_at(epoch) for epoch in (0, 49, 50, 74, 75, 99)] == pytest.approx(
        [0.01] * 2 + [0.001] * 2 + [0.0001] * 2
    )
