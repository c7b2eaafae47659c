"""A fit whose process is killed goes on where it was, and ends where it would have ended."""

import signal
import subprocess
from itertools import count

import numpy as np
import pytest
from sklearn.base import clone

from skal.rounds import IterativeSampler
from skal.samplers import KMeansSampler, _kmeans_checkpoint
from tests.killed_fit import BUDGET

X = np.random.default_rng(0).normal(size=(300, 20))[np.random.default_rng(1).integers(300, size=3000)]
X = (X + 0.7 * np.random.default_rng(2).normal(size=X.shape)).astype(np.float32)

FITS = {
    "lloyd": ({"budget": 20, "algorithm": "lloyd"}, None),
    "several_runs": ({"budget": 20, "algorithm": "lloyd", "init": "random", "n_init": 3}, None),
    "restricted": ({"budget": 200, "algorithm": "restricted"}, None),
    "later_round": ({"budget": 150, "algorithm": "restricted"}, np.arange(0, 3000, 50)),
    "several_runs_later": ({"budget": 15, "algorithm": "lloyd", "n_init": 2}, np.arange(0, 3000, 300)),
}


@pytest.fixture(autouse=True)
def kept_after_each_pass(monkeypatch):
    monkeypatch.setattr(_kmeans_checkpoint, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)


class Killed(BaseException):
    pass


def killed_at(monkeypatch, moment):
    """Let the process end when so many checkpoints are on disk."""
    plain, turns = _kmeans_checkpoint.write_atomically, count(1)

    def write(path, content):
        plain(path, content)
        if next(turns) == moment:
            raise Killed

    monkeypatch.setattr(_kmeans_checkpoint, "write_atomically", write)
    return turns


def assert_same(found, expected):
    np.testing.assert_array_equal(found.selected_indices_, expected.selected_indices_)
    np.testing.assert_array_equal(found.labels_, expected.labels_)
    np.testing.assert_array_equal(found.cluster_centers_, expected.cluster_centers_)
    assert (found.inertia_, found.n_iter_) == (expected.inertia_, expected.n_iter_)


@pytest.mark.slow
@pytest.mark.parametrize("name", FITS)
def test_it_ends_where_it_would_have_ended(name, tmp_path, monkeypatch):
    parameters, labeled_idx = FITS[name]
    expected = KMeansSampler(**parameters, random_state=0).fit(X, labeled_indices=labeled_idx)
    sampler = KMeansSampler(**parameters, random_state=0, checkpoint_folder=tmp_path / "made")
    turns = killed_at(monkeypatch, None)
    assert_same(sampler.fit(X, labeled_indices=labeled_idx), expected)
    n_kept = next(turns) - 1
    assert n_kept > 3
    for moment in sorted({1, 2, n_kept // 2, n_kept - 1, n_kept}):
        with monkeypatch.context() as patch:
            killed_at(patch, moment)
            with pytest.raises(Killed):
                clone(sampler).fit(X, labeled_indices=labeled_idx)
        (path,) = (tmp_path / "made").iterdir()
        turns = killed_at(monkeypatch, None)
        assert_same(sampler.fit(X, labeled_indices=labeled_idx), expected)
        assert next(turns) - 1 <= n_kept - moment + 1  # nothing was done again
        assert not path.exists()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on this system")
def test_a_process_that_is_killed_twice(tmp_path, warm_python):
    np.save(tmp_path / "pool.npy", X)
    arguments = [warm_python, "-m", "tests.killed_fit", tmp_path / "pool.npy", tmp_path / "made"]
    for n_kept in ("3", "9"):
        assert subprocess.run([*arguments, n_kept], check=False).returncode == -signal.SIGKILL
    on_disk = np.load(tmp_path / "pool.npy", mmap_mode="r")
    sampler = KMeansSampler(BUDGET, random_state=0, checkpoint_folder=tmp_path / "made", verbose=1)
    assert_same(sampler.fit(on_disk), KMeansSampler(BUDGET, random_state=0).fit(X))
    assert list((tmp_path / "made").iterdir()) == []


def killed_sampler(tmp_path, monkeypatch, moment=2):
    sampler = KMeansSampler(20, algorithm="lloyd", random_state=0, checkpoint_folder=tmp_path)
    with monkeypatch.context() as patch:
        killed_at(patch, moment)
        with pytest.raises(Killed):
            sampler.fit(X)
    (path,) = tmp_path.iterdir()
    return sampler, path


@pytest.mark.parametrize(
    "change",
    [
        lambda sampler: (sampler.set_params(budget=21), X),
        lambda sampler: (sampler.set_params(random_state=1), X),
        lambda sampler: (sampler, X[::-1]),
    ],
    ids=["parameters", "seed", "rows"],
)
def test_another_fit_does_not_go_on_from_it(change, tmp_path, monkeypatch):
    sampler, path = killed_sampler(tmp_path, monkeypatch)
    kept = path.read_bytes()
    changed, rows = change(sampler)
    found = changed.fit(rows).selected_indices_
    expected = clone(changed).set_params(checkpoint_folder=None).fit(rows).selected_indices_
    np.testing.assert_array_equal(found, expected)
    assert path.read_bytes() == kept


def test_what_decides_nothing_may_change(tmp_path, monkeypatch):
    sampler, path = killed_sampler(tmp_path, monkeypatch, moment=9)
    folder = path.parent.rename(tmp_path.with_name("moved"))
    turns = killed_at(monkeypatch, None)
    sampler.set_params(checkpoint_folder=str(folder), verbose=1, device="cpu").fit(X.astype(np.float64).astype("f4"))
    n_kept_after = next(turns) - 1
    turns = killed_at(monkeypatch, None)
    clone(sampler).fit(X)
    assert n_kept_after == next(turns) - 1 - 8


def test_another_version_is_refused(tmp_path, monkeypatch):
    sampler, _ = killed_sampler(tmp_path, monkeypatch)
    monkeypatch.setattr(_kmeans_checkpoint.skal, "__version__", "99")
    with pytest.raises(ValueError, match=r"was kept by skal .* and this is skal 99 .*remove the file to begin again"):
        sampler.fit(X)


@pytest.mark.parametrize("fault", ["cut", "other", "object"])
def test_a_file_that_cannot_be_read_is_named(fault, tmp_path, monkeypatch):
    sampler, path = killed_sampler(tmp_path, monkeypatch)
    if fault == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif fault == "other":
        np.savez(path, format=np.array("something"), facts=np.array("{}"))
    else:
        np.savez(path, format=np.array(sampler, dtype=object))
    with pytest.raises(ValueError, match=f"{path.name} is .*remove it to begin the fit again"):
        sampler.fit(X)


def test_a_seed_is_needed(tmp_path):
    with pytest.raises(ValueError, match="checkpoint_folder needs random_state=<int>"):
        KMeansSampler(20, checkpoint_folder=tmp_path).fit(X)


def test_nothing_is_written_where_a_fit_is_over_soon(tmp_path, monkeypatch):
    monkeypatch.undo()
    turns = killed_at(monkeypatch, None)
    KMeansSampler(20, random_state=0, checkpoint_folder=tmp_path).fit(X)
    assert next(turns) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_rounds_go_on_from_the_round_that_they_were_in(tmp_path, monkeypatch):
    def rounds(folder):
        inner = KMeansSampler(checkpoint_folder=folder)
        return IterativeSampler(inner, (10, 20), random_state=0)

    expected = rounds(None).fit(X, np.zeros(len(X))).selected_indices_
    turns = killed_at(monkeypatch, None)
    rounds(tmp_path).fit(X, np.zeros(len(X)))
    n_kept = next(turns) - 1
    with monkeypatch.context() as patch:
        killed_at(patch, n_kept - 1)
        with pytest.raises(Killed):
            rounds(tmp_path).fit(X, np.zeros(len(X)))
    np.testing.assert_array_equal(rounds(tmp_path).fit(X, np.zeros(len(X))).selected_indices_, expected)
