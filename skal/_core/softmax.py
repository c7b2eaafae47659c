"""Training of linear layers under softmax cross-entropy: one, or many as one stacked problem."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.optim.adam import adam

from skal._core.workers import map_on, n_workers_here, on_workers

__all__ = ["AdamSchedule", "SoftmaxLayer", "SoftmaxProblem", "stack_bytes", "train_softmax"]

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8
# The columns of a layer are padded to whole vector registers, so that the elementwise kernels treat a run's
# entries alike at any place in the stack, and its result does not depend on its neighbours.
_ALIGNMENT = 16
_BYTES_GATHERED_AT_ONCE = 2**20
_MULTIPLICATIONS_THAT_NEED_THREADS = 2**24  # of one step of one run
_MULTIPLICATIONS_BETWEEN_MEETINGS = 2**30  # of a stack, until it waits for the others and tells of its epochs


@dataclass(frozen=True)
class AdamSchedule:
    """Adam with a step-wise learning rate (Kingma and Ba, 2015; the constants are theirs)."""

    lr: float
    milestones: Sequence[int]
    gamma: float
    n_epochs: int
    batch_size: int
    weight_decay: float = 0.0

    def lr_at(self, epoch: int) -> float:
        """Learning rate in `epoch`, counted from 0."""
        return self.lr * self.gamma ** sum(epoch >= milestone for milestone in self.milestones)


@dataclass(frozen=True)
class SoftmaxProblem:
    """The rows one layer is trained on, and the order they come in."""

    X: Tensor  # (n, d)
    targets: Tensor  # (n,) int64, values in [0, n_classes)
    row_weights: Tensor  # (n,) positive; the loss of a batch is Σ wᵢ lossᵢ over batch size times the mean weight
    n_classes: int
    rng: np.random.Generator


@dataclass(frozen=True)
class SoftmaxLayer:
    """``logits = X @ weight + bias``."""

    weight: Tensor  # (d, n_classes)
    bias: Tensor  # (n_classes,)
    loss_curve: list[float]  # the mean training loss of each epoch


def train_softmax(
    problems: Sequence[SoftmaxProblem],
    schedule: AdamSchedule,
    on_epoch: Callable[[int, list[float]], object] = lambda epoch, losses: None,
) -> list[SoftmaxLayer]:
    """Train a linear layer for each problem, from zero, by mini-batch Adam, all in the same steps.

    The start is zero because the problem is convex, so a random start adds only noise, which a
    handful of labels cannot wash out. Batches come from a new permutation each epoch; the order of
    a run depends on its `rng` alone, not on the device nor on the other runs. Where torch computes
    with MKL (its builds for x86), a run ends on the same bits alone and in any stack, for any number
    of threads, unless one step takes more than 2²⁴ multiplications: threads then share it, and the
    end is the same to float rounding, as it is on other processors.

    Parameters
    ----------
    problems : sequence of R SoftmaxProblem
        All with the same number of rows and features, dtype and device; classes may differ in number.
    schedule : AdamSchedule
    on_epoch : callable
        Gets the epoch and the mean training loss of each run; after short epochs, of several in turn.

    Returns
    -------
    list of R SoftmaxLayer

    Notes
    -----
    Time ``4 · n_epochs · n · d · ΣC`` operations. Memory: `stack_bytes`.
    """
    if _needs_threads(problems, schedule.batch_size):
        return _train_stacks([_Stack(problems, range(len(problems)))], schedule, on_epoch)
    with on_workers():
        n_stacks = min(n_workers_here(), len(problems)) if problems[0].X.device.type == "cpu" else 1
        parts = [range(first, len(problems), n_stacks) for first in range(n_stacks)]
        stacks = [_Stack([problems[place] for place in part], part) for part in parts]
        return _train_stacks(stacks, schedule, on_epoch)


def _needs_threads(problems: Sequence[SoftmaxProblem], batch_size: int) -> bool:
    """Say whether one step of one run is so much work that threads should share it."""
    n, d = problems[0].X.shape
    most_classes = max(problem.n_classes for problem in problems)
    return most_classes * min(batch_size, n) * _padded_width(d) > _MULTIPLICATIONS_THAT_NEED_THREADS


def _train_stacks(
    stacks: Sequence[_Stack], schedule: AdamSchedule, on_epoch: Callable[[int, list[float]], object]
) -> list[SoftmaxLayer]:
    """Train stacks beside each other, and put together what is known of their runs."""
    device = stacks[0].rows.device
    place_of = np.argsort([place for stack in stacks for place in stack.places])
    loss_curves: list[list[float]] = [[] for _ in place_of]
    n_at_once = max(1, _MULTIPLICATIONS_BETWEEN_MEETINGS // max(stack.n_multiplications for stack in stacks))
    for first in range(0, schedule.n_epochs, n_at_once):
        epochs = range(first, min(first + n_at_once, schedule.n_epochs))

        def train(stack: _Stack, epochs: range = epochs) -> list[list[float]]:
            return [stack.train_epoch(schedule, epoch) for epoch in epochs]

        for epoch, *of_stacks in zip(epochs, *map_on(device, train, stacks), strict=True):
            run_losses = [loss for of_stack in of_stacks for loss in of_stack]
            losses = [run_losses[run] for run in place_of]
            for curve, loss in zip(loss_curves, losses, strict=True):
                curve.append(loss)
            on_epoch(epoch, losses)
    layers = [stack.layer(run) for stack in stacks for run in range(stack.n_runs)]
    in_place = (layers[run] for run in place_of)
    return [SoftmaxLayer(weight, bias, curve) for (weight, bias), curve in zip(in_place, loss_curves, strict=True)]


def stack_bytes(problem: SoftmaxProblem) -> int:
    """Bytes of one run in a stack: its rows, here and there, and four layers."""
    n, d = problem.X.shape
    return (2 * n + 4 * problem.n_classes) * _padded_width(d) * problem.X.element_size()


class _SameClasses(NamedTuple):
    """Runs of a stack with equally many classes.

    They share their matrix products and no others do: BLAS takes another kernel for another shape, which
    rounds otherwise, and Adam can make a whole step of a rounding error.
    """

    runs: slice
    n_classes: int
    layers: Tensor  # (runs, n_classes, width)
    gradient: Tensor  # (runs, n_classes, width)

    def of(self, values: Tensor) -> Tensor:
        """The part of `values` (R, most classes, n) that belongs to these runs."""
        return values[self.runs, : self.n_classes]


class _Stack:
    """R layers and the rows of their runs; a last column of ones makes the biases part of the weights.

    They are in ascending order of their number of classes; `places` are those that the problems were given in.
    """

    def __init__(self, problems: Sequence[SoftmaxProblem], places: Sequence[int]) -> None:
        by_classes = sorted(range(len(problems)), key=lambda run: problems[run].n_classes)
        self.places = [places[run] for run in by_classes]
        problems = [problems[run] for run in by_classes]
        n, d = problems[0].X.shape
        self.n_runs, self.n_rows, self.n_features = len(problems), n, d
        self.rngs = [problem.rng for problem in problems]
        self.n_classes = [problem.n_classes for problem in problems]

        self.rows = problems[0].X.new_zeros(len(problems) * n, _padded_width(d))
        for run, problem in enumerate(problems):
            self.rows[run * n : (run + 1) * n, :d] = problem.X
        self.rows[:, d] = 1
        self.targets = torch.cat([problem.targets for problem in problems])
        self.weights = _relative_weights(problems)

        shape = (4, sum(self.n_classes), self.rows.shape[1])
        self.layers, self.gradient, self.first_moment, self.second_moment = self.rows.new_zeros(shape).unbind()
        self.groups = self._groups()
        self.n_steps = torch.zeros((), dtype=torch.float32, device=self.rows.device)
        self.minus_one = self.rows.new_full((len(problems), 1, n), -1.0)

    def _groups(self) -> list[_SameClasses]:
        groups, run, first = [], 0, 0
        for n_classes, same in groupby(self.n_classes):
            n_same = len(list(same))
            rows = slice(first, first + n_same * n_classes)
            layers, gradient = (of_all[rows].view(n_same, n_classes, -1) for of_all in (self.layers, self.gradient))
            groups.append(_SameClasses(slice(run, run + n_same), n_classes, layers, gradient))
            run, first = run + n_same, rows.stop
        return groups

    @property
    def n_multiplications(self) -> int:
        """Of an epoch."""
        return 2 * self.n_rows * self.layers.numel()

    def train_epoch(self, schedule: AdamSchedule, epoch: int) -> list[float]:
        """Pass once over the rows of every run; return each run's mean loss."""
        loss = self.rows.new_zeros(self.n_runs)
        for batches in self._gathered_batches(schedule.batch_size):
            loss += self._train_batches(batches, schedule, schedule.lr_at(epoch))
        return (loss / self.n_rows).tolist()

    def _gathered_batches(self, batch_size: int) -> Iterator[Tensor]:
        """Row numbers in `rows`, shape (steps, R, rows a batch), several steps at a time."""
        order = np.stack([rng.permutation(self.n_rows) for rng in self.rngs])
        order += self.n_rows * np.arange(self.n_runs)[:, None]
        n_full, n_left = divmod(self.n_rows, batch_size)
        full, left = np.split(order, [n_full * batch_size], axis=1)
        bytes_a_step = self.n_runs * batch_size * self.rows.shape[1] * self.rows.element_size()
        steps_at_once = max(1, _BYTES_GATHERED_AT_ONCE // bytes_a_step)
        if n_full:
            by_step = full.reshape(self.n_runs, n_full, batch_size).swapaxes(0, 1)
            yield from torch.from_numpy(by_step).to(self.rows.device).split(steps_at_once)
        if n_left:
            yield torch.from_numpy(left[None]).to(self.rows.device)

    def _train_batches(self, batches: Tensor, schedule: AdamSchedule, lr: float) -> Tensor:
        """One Adam step for each of `batches`; return the summed loss of each run."""
        n_steps, n_runs, n_rows = batches.shape
        flat = batches.reshape(-1)
        rows = self.rows.index_select(0, flat).view(n_steps, n_runs, n_rows, -1)
        targets = self.targets.index_select(0, flat).view(n_steps, n_runs, 1, n_rows)
        weights = None if self.weights is None else self.weights.index_select(0, flat).view_as(targets)
        logits = rows.new_full((n_runs, self.n_classes[-1], n_rows), -torch.inf)  # stays so where a run has no class
        residual = torch.empty_like(logits)
        forward = [(g.layers, rows[:, g.runs].mT.unbind(), g.of(logits)) for g in self.groups]
        backward = [(g.gradient, g.of(residual), rows[:, g.runs].unbind()) for g in self.groups]
        log_probabilities = rows.new_empty(n_steps, *logits.shape)
        minus_one = self.minus_one[:, :, :n_rows]
        for step, (at_target, log_p) in enumerate(zip(targets.unbind(), log_probabilities.unbind(), strict=True)):
            for layers, columns, group_logits in forward:
                _multiply(layers, columns[step], out=group_logits)
            torch.log_softmax(logits, 1, out=log_p)
            torch.exp(log_p, out=residual).scatter_add_(1, at_target, minus_one)
            if weights is not None:
                residual *= weights[step]
            for gradient, group_residual, X in backward:
                gradient.baddbmm_(group_residual, X[step], beta=0, alpha=1 / n_rows)
            self._adam_step(lr, schedule.weight_decay)
        losses = log_probabilities.gather(2, targets).neg_()
        if weights is not None:
            losses *= weights
        return losses.sum(dim=(0, 2, 3))

    def _adam_step(self, lr: float, weight_decay: float) -> None:
        adam(
            [self.layers],
            [self.gradient],
            [self.first_moment],
            [self.second_moment],
            [],
            [self.n_steps],
            foreach=False,
            fused=True,
            amsgrad=False,
            beta1=_BETA_1,
            beta2=_BETA_2,
            lr=lr,
            weight_decay=weight_decay,
            eps=_EPSILON,
            maximize=False,
        )

    def layer(self, run: int) -> tuple[Tensor, Tensor]:
        """Weight (d, n_classes) and bias (n_classes,) of one run."""
        first = sum(self.n_classes[:run])
        layer = self.layers[first : first + self.n_classes[run]]
        return layer[:, : self.n_features].T.clone(), layer[:, self.n_features].clone()


def _multiply(layers: Tensor, columns: Tensor, out: Tensor) -> None:
    """Put into `out` (R, n_classes, n) the logits of n rows, the columns of (R, width, n), of each run.

    A single row is summed without BLAS, whose product of a matrix and a vector depends on how many there are.
    """
    if columns.shape[2] == 1:
        torch.sum(layers * columns.mT, dim=2, keepdim=True, out=out)
    elif out.is_contiguous():
        torch.bmm(layers, columns, out=out)
    else:  # into which torch would multiply one run after the other, each shared among threads
        out.copy_(torch.bmm(layers, columns))


def _padded_width(n_features: int) -> int:
    """Columns of a layer: the features, the bias, and zeros up to the next multiple of the alignment."""
    return -(-(n_features + 1) // _ALIGNMENT) * _ALIGNMENT


def _relative_weights(problems: Sequence[SoftmaxProblem]) -> Tensor | None:
    """Each row's weight over its run's mean, shape (R · n,); None where all are equal."""
    if all(bool((problem.row_weights == problem.row_weights[0]).all()) for problem in problems):
        return None
    return torch.cat([problem.row_weights / problem.row_weights.mean() for problem in problems])
