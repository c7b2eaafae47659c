"""The linear layer against plain numpy and against torch's own Adam."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from skal._core.softmax import AdamSchedule, SoftmaxProblem, train_softmax


def make_problem(rng, n=50, d=6, n_classes=3, seed=5, weighted=False, dtype=torch.float64):
    targets = np.arange(n) % n_classes
    rng.shuffle(targets)
    return SoftmaxProblem(
        torch.from_numpy(rng.normal(size=(n, d))).to(dtype),
        torch.from_numpy(targets),
        torch.from_numpy(rng.uniform(0.5, 2, size=n) if weighted else np.ones(n)).to(dtype),
        n_classes,
        np.random.default_rng(seed),
    )


def again(problem, seed):
    """The same problem with its order from the start."""
    return replace(problem, rng=np.random.default_rng(seed))


def train_with_torch(problem, schedule, seed):
    """The same training by torch's own parts, one batch after the other; returns layer and losses."""
    n, d = problem.X.shape
    order_rng = np.random.default_rng(seed)
    weights = problem.row_weights / problem.row_weights.mean()
    linear = torch.nn.Linear(d, problem.n_classes).to(problem.X.dtype)
    torch.nn.init.zeros_(linear.weight)
    torch.nn.init.zeros_(linear.bias)
    optimizer = torch.optim.Adam(linear.parameters(), lr=schedule.lr, weight_decay=schedule.weight_decay)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, schedule.milestones, schedule.gamma)
    losses = []
    for _ in range(schedule.n_epochs):
        total = 0.0
        for batch in torch.from_numpy(order_rng.permutation(n)).split(schedule.batch_size):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(linear(problem.X[batch]), problem.targets[batch], reduction="none")
            (loss @ weights[batch] / len(batch)).backward()
            optimizer.step()
            total += float(loss.detach() @ weights[batch])
        losses.append(total / n)
        scheduler.step()
    return linear, losses


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
@pytest.mark.parametrize("batch_size", [16, 25, 64])
def test_training_is_that_of_torch(batch_size, weight_decay, weighted, rng):
    problem = make_problem(rng, weighted=weighted)
    schedule = AdamSchedule(0.01, (4, 8), 0.1, 12, batch_size, weight_decay)
    (layer,) = train_softmax([problem], schedule)
    linear, losses = train_with_torch(problem, schedule, seed=5)
    np.testing.assert_allclose(layer.weight.T, linear.weight.detach(), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(layer.bias, linear.bias.detach(), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(layer.loss_curve, losses, rtol=1e-9)


@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_each_run_of_a_stack_is_that_of_torch(weight_decay, rng):
    problems = [
        make_problem(rng, n_classes=n_classes, seed=seed, weighted=seed == 1)
        for seed, n_classes in enumerate([4, 2, 3, 4])
    ]
    schedule = AdamSchedule(0.01, (4, 8), 0.1, 12, 16, weight_decay)
    for seed, (problem, layer) in enumerate(zip(problems, train_softmax(problems, schedule), strict=True)):
        linear, losses = train_with_torch(problem, schedule, seed)
        np.testing.assert_allclose(layer.weight.T, linear.weight.detach(), rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(layer.bias, linear.bias.detach(), rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(layer.loss_curve, losses, rtol=1e-9)


def test_a_float32_run_ends_where_it_would_alone(rng):
    problems = [make_problem(rng, d=37, seed=seed, dtype=torch.float32) for seed in range(5)]
    schedule = AdamSchedule(0.01, (20, 30), 0.1, 40, 4)
    stacked = train_softmax(problems, schedule)
    for seed, (problem, layer) in enumerate(zip(problems, stacked, strict=True)):
        (alone,) = train_softmax([again(problem, seed)], schedule)
        torch.testing.assert_close(layer.weight, alone.weight, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(layer.bias, alone.bias, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(layer.loss_curve, alone.loss_curve, rtol=1e-4)


def test_every_epoch_reports_the_loss_of_each_run(rng):
    problems = [make_problem(rng, seed=seed) for seed in range(2)]
    seen = []
    layers = train_softmax(
        problems, AdamSchedule(0.01, (), 0.1, 3, 8), on_epoch=lambda epoch, losses: seen.append((epoch, losses))
    )
    assert [epoch for epoch, _ in seen] == [0, 1, 2]
    assert [list(curve) for curve in zip(*(losses for _, losses in seen), strict=True)] == [
        layer.loss_curve for layer in layers
    ]


@pytest.mark.gpu
def test_a_stack_on_a_gpu(rng):
    problems = [make_problem(rng, seed=seed, n_classes=2 + seed) for seed in range(3)]
    schedule = AdamSchedule(0.01, (4, 8), 0.1, 12, 16)
    on_cpu = train_softmax(problems, schedule)
    on_gpu = train_softmax(
        [
            replace(again(p, seed), X=p.X.cuda(), targets=p.targets.cuda(), row_weights=p.row_weights.cuda())
            for seed, p in enumerate(problems)
        ],
        schedule,
    )
    for here, there in zip(on_cpu, on_gpu, strict=True):
        torch.testing.assert_close(there.weight.cpu(), here.weight)
        torch.testing.assert_close(there.bias.cpu(), here.bias)


def test_the_learning_rate_falls_at_the_milestones():
    schedule = AdamSchedule(0.01, (50, 75), 0.1, 100, 128)
    assert [schedule.lr_at(epoch) for epoch in (0, 49, 50, 74, 75, 99)] == pytest.approx(
        [0.01] * 2 + [0.001] * 2 + [0.0001] * 2
    )
