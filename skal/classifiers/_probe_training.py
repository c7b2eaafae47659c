"""What becomes of linear probes whose rows are scaled: training, in stacks, and what a probe keeps of it."""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from skal._core.softmax import SoftmaxProblem, stack_bytes, train_softmax
from skal._validation import Progress, callback_scope, working_memory_bytes
from skal.classifiers._scaling import Scaler

__all__ = ["PreparedFit", "check_milestones", "finish_fits"]


def check_milestones(milestones):
    """Check the epochs at which the learning rate falls; return them as a tuple of int."""
    given = np.asarray(milestones)
    if given.size == 0:
        return ()
    is_ascending = given.ndim == 1 and given.dtype.kind in "iu" and given[0] >= 0 and (given[1:] > given[:-1]).all()
    if not is_ascending:
        raise ValueError(f"milestones must be epochs, integers from 0 on that ascend; found {milestones!r}.")
    return tuple(given.tolist())


def finish_fits(fits):
    """Train what is prepared, as many at a time as fit scikit-learn's ``working_memory``."""
    waiting, n_waiting_bytes = [], 0
    for fit in fits:
        n_bytes = stack_bytes(fit.problem)
        if waiting and n_waiting_bytes + n_bytes > working_memory_bytes():
            _finish_at_once(waiting)
            waiting, n_waiting_bytes = [], 0
        waiting.append(fit)
        n_waiting_bytes += n_bytes
    _finish_at_once(waiting)


def _finish_at_once(fits):
    """Train what is prepared, in stacks of equal shape and settings."""
    stacks = defaultdict(list)
    for fit in fits:
        if fit.problem.n_classes == 1:
            fit.keep_only_class()
        else:
            stacks[fit.stacks_with].append(fit)
    for stack in stacks.values():
        _train_stack(stack)


def _train_stack(fits):
    with ExitStack() as scopes:
        for fit in fits:
            scopes.enter_context(callback_scope(fit.probe))
        progresses = [Progress(fit.probe) for fit in fits]
        for fit, progress in zip(fits, progresses, strict=True):
            progress.begin(fit.probe.n_epochs, "epoch")

        def report(epoch, losses):
            for progress, loss in zip(progresses, losses, strict=True):
                progress.advance(epoch + 1, loss, "loss")

        layers = train_softmax([fit.problem for fit in fits], fits[0].probe._schedule(), on_epoch=report)
        for fit, layer, progress in zip(fits, layers, progresses, strict=True):
            progress.close()
            fit.keep(layer)


@dataclass(frozen=True)
class PreparedFit:
    """A probe whose input is checked and scaled."""

    probe: Any  # a LinearProbe
    problem: SoftmaxProblem
    seen: np.ndarray  # positions in `classes_` of the classes shown
    scaler: Scaler

    @property
    def stacks_with(self):
        """Fits with an equal value can be trained in the same steps."""
        rows = self.problem.X
        return self.probe._schedule(), rows.shape, rows.dtype, rows.device

    def keep(self, layer):
        weight, bias = self._blank_layer()
        weight[:, self.seen], bias[self.seen] = layer.weight, layer.bias
        self.probe.loss_curve_ = layer.loss_curve
        self.probe._keep_layer(*self.scaler.fold_into(weight, bias))

    def keep_only_class(self):
        weight, bias = self._blank_layer()
        bias[self.seen] = 0.0
        self.probe.loss_curve_ = []
        self.probe._keep_layer(*self.scaler.fold_into(weight, bias))

    def _blank_layer(self):
        rows, n_classes = self.problem.X, len(self.probe.classes_)
        return rows.new_zeros((rows.shape[1], n_classes)), rows.new_full((n_classes,), -torch.inf)
