"""The loop, and what its steps need, against plain arithmetic."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from skal._core.training import (
    EpochOrder,
    MovingAverage,
    StreamOrder,
    TrainingLoop,
    cosine_7_16,
    seed_of,
    seeded_step,
    step_decay,
)


class Regression(TrainingLoop):
    """Fit one number to those it is given."""

    def __init__(self, n_steps, steps_an_epoch):
        super().__init__(n_steps, steps_an_epoch)
        self.number = nn.Parameter(torch.zeros(()))
        self.optimizer = torch.optim.SGD([self.number], lr=0.5)
        self.optimizer.param_groups[0]["initial_lr"] = 0.5

    def batches(self, first):
        return (float(step) for step in range(first, 100))

    def losses(self, batch):
        return {"loss": 0.5 * (self.number - batch).square(), "batch": torch.tensor(batch)}

    def lr_factor(self):
        return 1.0 if self.n_done < 3 else 0.1


def test_the_loop_by_hand():
    loop, seen, epochs = Regression(n_steps=7, steps_an_epoch=3), [], []
    loop.run(
        on_step=lambda losses: seen.append((loop.n_done, float(losses["loss"]))),
        on_epoch=lambda epoch, means: epochs.append((epoch, dict(means))),
    )
    number, losses = 0.0, []
    for step in range(7):
        losses.append(0.5 * (number - step) ** 2)
        number -= (0.5 if step < 3 else 0.05) * (number - step)
    assert seen == [(step + 1, pytest.approx(loss)) for step, loss in enumerate(losses)]
    assert [epoch for epoch, _ in epochs] == [1, 2, 3]
    means = [np.mean(losses[:3]), np.mean(losses[3:6]), losses[6]]
    assert [found["loss"] for _, found in epochs] == pytest.approx(means)
    assert [found["batch"] for _, found in epochs] == [1.0, 4.0, 6.0]
    assert float(loop.number.detach()) == pytest.approx(number)


@pytest.mark.parametrize("n_before", [0, 2, 3, 7])
def test_a_loop_goes_on_from_any_step(n_before):
    """What is kept: the number, `n_done`, `epoch_sums` and `epoch_means`; at the end of an epoch before its mean is."""
    whole = Regression(7, 3)
    whole.run()
    kept = {}

    def keep(losses):
        if part.n_done == n_before:
            kept.update(number=part.number.detach().clone(), sums=dict(part.epoch_sums), means=list(part.epoch_means))

    part = Regression(7, 3)
    part.run(on_step=keep)
    later = Regression(7, 3)
    if kept:
        later.number.data = kept["number"]
        later.n_done, later.epoch_sums, later.epoch_means = n_before, kept["sums"], kept["means"]
    later.run()
    assert later.epoch_means == whole.epoch_means
    assert torch.equal(later.number, whole.number)


def test_an_epoch_or_a_step_can_be_overridden():
    class Doubled(Regression):
        def step(self, batch):
            return super().step(2 * batch)

    loop = Doubled(3, 3)
    loop.run()
    assert loop.epoch_means[0]["batch"] == 2.0


def test_rates():
    factors = [step_decay(epoch, (2, 4), 0.1) for epoch in range(6)]
    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert cosine_7_16(0, 100) == 1.0
    assert cosine_7_16(50, 100) == pytest.approx(math.cos(7 * math.pi / 32))
    assert cosine_7_16(100, 100) == pytest.approx(0.19509, abs=1e-5)


def test_the_moving_average_is_exact():
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    average = MovingAverage(network, 0.9)
    expected = {name: each.double().clone() for name, each in network.state_dict().items()}
    for step in range(5):
        with torch.no_grad():
            for each in network.parameters():
                each += torch.randn_like(each)
        network.train()(torch.randn(6, 3) + step)
        for name, each in network.state_dict().items():
            expected[name] = 0.9 * expected[name] + 0.1 * each if each.is_floating_point() else each.double()
        average.update(network)
    for name, each in average.network.state_dict().items():
        torch.testing.assert_close(each.double(), expected[name], rtol=1e-6, atol=1e-6)
    assert int(average.network[1].num_batches_tracked) == 5
    assert not average.network.training
    assert not any(each.requires_grad for each in average.network.parameters())


@pytest.mark.parametrize(("n_rows", "batch_size"), [(10, 3), (9, 8), (5, 8), (129, 128), (6, 1)])
def test_an_epoch_has_each_row_once_in_even_batches(n_rows, batch_size):
    order = EpochOrder(n_rows, batch_size, seed=0)
    epochs = [[order.rows(epoch * order.steps_an_epoch + step) for step in range(order.steps_an_epoch)]
              for epoch in range(2)]  # fmt: skip
    for batches in epochs:
        np.testing.assert_array_equal(np.sort(np.concatenate(batches)), np.arange(n_rows))
        sizes = [len(batch) for batch in batches]
        assert max(sizes) <= batch_size
        assert max(sizes) - min(sizes) <= 1
    assert order.steps_an_epoch == math.ceil(n_rows / batch_size)
    if n_rows > 5:
        assert not np.array_equal(np.concatenate(epochs[0]), np.concatenate(epochs[1]))


@pytest.mark.parametrize(("n_rows", "batch_size"), [(10, 4), (3, 8), (1, 2), (8, 8)])
def test_a_stream_has_each_row_equally_often(n_rows, batch_size):
    order = StreamOrder(n_rows, batch_size, seed=1)
    batches = [order.rows(step) for step in range(n_rows)]  # n_rows · batch_size rows: batch_size permutations
    assert {len(batch) for batch in batches} == {batch_size}
    for permutation in np.concatenate(batches).reshape(batch_size, n_rows):
        np.testing.assert_array_equal(np.sort(permutation), np.arange(n_rows))
    np.testing.assert_array_equal(StreamOrder(n_rows, batch_size, seed=1).rows(0), batches[0])


def test_a_step_draws_the_same_whatever_was_drawn_before_and_leaves_no_trace():
    torch.manual_seed(0)
    with seeded_step(3, 7, torch.device("cpu")):
        first = torch.rand(4)
    state = torch.random.get_rng_state()
    with seeded_step(3, 7, torch.device("cpu")):
        assert torch.equal(torch.rand(4), first)
    with seeded_step(3, 8, torch.device("cpu")):
        assert not torch.equal(torch.rand(4), first)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert seed_of(1, 2) != seed_of(2, 1)
