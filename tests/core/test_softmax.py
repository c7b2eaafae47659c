"""The linear layer against plain numpy and against torch's own Adam."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skal._core import softmax
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


needs_mkl = pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="the same bits are promised for MKL")


def assert_same_bits(layer, other):
    assert torch.equal(layer.weight, other.weight)
    assert torch.equal(layer.bias, other.bias)


@needs_mkl
@given(
    class_counts=st.lists(st.sampled_from([2, 3, 4, 9, 10, 33]), min_size=1, max_size=6),
    n=st.integers(33, 41),
    d=st.sampled_from([1, 7, 15, 37, 64]),
    batch_size=st.sampled_from([1, 4, 40, 64]),
    lr=st.sampled_from([0.01, 1.0]),  # of steps so long that Adam makes whole steps of rounding errors
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 2**16),
)
@pytest.mark.slow
def test_a_run_ends_on_the_same_bits_alone_and_in_any_stack(class_counts, n, d, batch_size, lr, dtype, seed):
    schedule = AdamSchedule(lr, (4,), 0.5, 6, batch_size, weight_decay=0.01)
    rng = np.random.default_rng(seed)
    problems = [make_problem(rng, n, d, n_classes, weighted=True, dtype=dtype) for n_classes in class_counts]
    stacked = train_softmax([again(problem, run) for run, problem in enumerate(problems)], schedule)
    for run, (problem, layer) in enumerate(zip(problems, stacked, strict=True)):
        (alone,) = train_softmax([again(problem, run)], schedule)
        assert_same_bits(layer, alone)
        np.testing.assert_allclose(layer.loss_curve, alone.loss_curve, rtol=1e-4)


@pytest.fixture
def n_threads():
    """Let a test set torch's threads."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@needs_mkl
@pytest.mark.parametrize("class_counts", [[10], [10, 9, 10, 9, 10]])
@pytest.mark.parametrize("d", [5, 17, 512])
def test_the_number_of_threads_does_not_matter(d, class_counts, n_threads, rng):
    schedule = AdamSchedule(0.01, (), 0.1, 5, 128)
    problems = [make_problem(rng, 100, d, n_classes, dtype=torch.float32) for n_classes in class_counts]
    results = []
    for n in (1, 2, 4):
        n_threads(n)
        results.append(train_softmax([again(problem, run) for run, problem in enumerate(problems)], schedule))
        assert torch.get_num_threads() == n
    for result in results[1:]:
        for layer, expected in zip(result, results[0], strict=True):
            assert_same_bits(layer, expected)


@pytest.mark.parametrize(("n_multiplications", "expected"), [(2**24, 1), (1, 3)])
def test_only_a_large_step_of_one_run_is_shared_among_threads(n_multiplications, expected, n_threads, monkeypatch, rng):
    n_threads(3)
    monkeypatch.setattr(softmax, "_MULTIPLICATIONS_THAT_NEED_THREADS", n_multiplications)
    used = []
    schedule = AdamSchedule(0.01, (), 0.1, 1, 8)
    train_softmax([make_problem(rng)], schedule, on_epoch=lambda *_: used.append(torch.get_num_threads()))
    assert used == [expected]


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


def test_how_often_stacks_meet_changes_nothing(n_threads, monkeypatch, rng):
    n_threads(2)
    problems = [make_problem(rng, seed=seed) for seed in range(3)]
    results = []
    for n_epochs_at_once in (1, 2, 5):
        stack = softmax._Stack([again(problem, run) for run, problem in enumerate(problems)][:2], range(2))
        n_multiplications = n_epochs_at_once * stack.n_multiplications
        monkeypatch.setattr(softmax, "_MULTIPLICATIONS_BETWEEN_MEETINGS", n_multiplications)
        epochs = []
        layers = train_softmax(
            [again(problem, run) for run, problem in enumerate(problems)],
            AdamSchedule(0.01, (2,), 0.1, 5, 8),
            on_epoch=lambda epoch, losses, epochs=epochs: epochs.append(epoch),
        )
        assert epochs == list(range(5))
        results.append(layers)
    for others in results[1:]:
        for layer, expected in zip(others, results[0], strict=True):
            torch.testing.assert_close(layer.weight, expected.weight)
            assert layer.loss_curve == pytest.approx(expected.loss_curve)


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
