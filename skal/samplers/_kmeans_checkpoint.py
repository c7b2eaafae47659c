"""Runs of K-means that go on after the process has ended."""

from __future__ import annotations

import io
import json
import time
import zipfile
from hashlib import sha256
from numbers import Integral
from pathlib import Path

import numpy as np
import torch
from sklearn.base import clone

import skal
from skal._core.kmeans import KMeansResult, Partition
from skal._core.run_state import RunState
from skal._files._atomic import write_atomically
from skal._files._describe import describe
from skal._files._fingerprint import joint_fingerprint

__all__ = ["KMeansCheckpoint"]

# A checkpoint takes as long as the disk takes; this much work may have to be done again.
SECONDS_BETWEEN_CHECKPOINTS = 60.0

_FORMAT = "skal K-means checkpoint 2"
_STATE, _BEST = "state.", "best."
_DECIDE_NOTHING = {"checkpoint_folder": None, "verbose": 0, "device": "cpu", "random_state": None}


class KMeansCheckpoint:
    """Where the runs of one fit are kept: all that the next pass depends on, and nothing in pickle.

    Parameters
    ----------
    sampler : KMeansSampler
        Nothing is kept where its `checkpoint_folder` is None.
    request : SelectionRequest
        Its generator is brought to where it was.
    device : torch.device
    """

    def __init__(self, sampler, request, device):
        self._path = None
        self._rng, self._device = request.rng, device
        self._last = time.monotonic()
        self._n_runs, self._best, self._cost, self._state = 0, None, np.inf, None
        if sampler.checkpoint_folder is not None:
            folder = Path(sampler.checkpoint_folder)
            folder.mkdir(parents=True, exist_ok=True)
            self._path = folder / f"{_identity_of(sampler, request, device)}.npz"
            if self._path.exists():
                self._restore()

    def best_of(self, n_runs, run, cost):
        """Make runs, and return the result of the first that costs least; what was kept of them is removed.

        Parameters
        ----------
        n_runs : int
        run : callable of (resume, keep)
            Makes a run, as `skal._core.kmeans.lloyd` does, and returns its KMeansResult.
        cost : callable of KMeansResult
            Not asked where there is one run.
        """
        while self._n_runs < n_runs:
            resume, self._state = self._state, None
            result = run(resume, self._keep)
            result_cost = 0.0 if n_runs == 1 else cost(result)
            if self._best is None or result_cost < self._cost:
                self._best, self._cost = result, result_cost
            self._n_runs += 1
            self._keep(lambda: RunState({}, {}))
        return self._best

    def remove(self):
        """Forget the fit, which has come to its end."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _keep(self, make):
        if self._path is None or time.monotonic() - self._last < SECONDS_BETWEEN_CHECKPOINTS:
            return
        state = make()
        facts = {
            "version": _version(),
            "n_runs": self._n_runs,
            "rng": self._rng.bit_generator.state,
            "n_spawned": self._rng.bit_generator.seed_seq.n_children_spawned,
            "state": dict(state.facts),
        }
        tensors = {f"{_STATE}{name}": tensor for name, tensor in state.tensors.items()}
        if self._best is not None:
            best = self._best
            facts["best"] = {"cost": self._cost, "inertia": best.partition.inertia, "n_iter": best.n_iter}
            kept = {"centers": best.centers, "labels": best.partition.labels, "sq_dist": best.partition.sq_dist}
            tensors |= {f"{_BEST}{name}": tensor for name, tensor in kept.items()}
        content = io.BytesIO()
        arrays = {name: _narrowed(tensor.cpu().numpy()) for name, tensor in tensors.items()}
        np.savez(content, format=np.array(_FORMAT), facts=np.array(json.dumps(facts)), **arrays)
        write_atomically(self._path, content.getbuffer())
        self._last = time.monotonic()

    def _restore(self):
        facts, arrays = _read(self._path)
        if facts["version"] != _version():
            raise ValueError(
                f"{self._path} was kept by {facts['version']}, and this is {_version()}, which may come to other "
                "picks: end the fit with that version, or remove the file to begin again."
            )
        tensors = {name: torch.from_numpy(_widened(array)).to(self._device) for name, array in arrays.items()}
        self._n_runs = facts["n_runs"]
        seeds = self._rng.bit_generator.seed_seq
        seeds.spawn(facts["n_spawned"] - seeds.n_children_spawned)
        self._rng.bit_generator.state = facts["rng"]
        if facts["state"]:
            self._state = RunState(_named(_STATE, tensors), facts["state"])
        if "best" in facts:
            best, of_best = _named(_BEST, tensors), facts["best"]
            rows = Partition(best["labels"], best["sq_dist"], of_best["inertia"])
            self._best, self._cost = KMeansResult(best["centers"], rows, of_best["n_iter"]), of_best["cost"]


def _identity_of(sampler, request, device):
    """Name a fit by all that decides where it ends, but for versions."""
    if not isinstance(sampler.random_state, Integral):
        raise ValueError(
            "checkpoint_folder needs random_state=<int>: with another seed the same call would be another fit, which "
            "does not find its checkpoint."
        )
    parameters = describe(clone(sampler).set_params(**_DECIDE_NOTHING))
    rows = joint_fingerprint(request.pool, request.labeled_idx)
    seen = f"{parameters} {int(sampler.random_state)} {device.type} {rows}"
    return f"kmeans-{sha256(seen.encode()).hexdigest()[:32]}"


def _version():
    return f"skal {skal.__version__} with torch {torch.__version__}"


def _read(path):
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            arrays = dict(kept)
        if str(arrays.pop("format")) == _FORMAT:
            return json.loads(str(arrays.pop("facts"))), arrays
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is damaged; remove it to begin the fit again.") from error
    raise ValueError(f"{path} is no {_FORMAT}; remove it to begin the fit again.")


def _named(prefix, tensors):
    return {name.removeprefix(prefix): each for name, each in tensors.items() if name.startswith(prefix)}


def _narrowed(array):
    if array.dtype != np.int64 or array.size == 0 or array.min() < 0:
        return array
    return array.astype(np.min_scalar_type(array.max()))


def _widened(array):
    return array.astype(np.int64) if array.dtype.kind == "u" else array
