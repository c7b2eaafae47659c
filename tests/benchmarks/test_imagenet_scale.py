"""The pool of ImageNet's shape, and every sampler measured on a small one."""

import numpy as np
import pytest

from benchmarks.imagenet_scale import class_sizes, main
from benchmarks.pools import imagenet_sized_pool, long_tailed_sizes

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("arguments", "n", "largest", "smallest"),
    [((), 115_846, 1280, 5), ((1200, 20, 90, 5), 1200, 90, 5), ((30, 3, 20, 1), 30, 20, 1)],
)
def test_long_tailed_sizes_sum_to_the_rows(arguments, n, largest, smallest):
    sizes = long_tailed_sizes(*arguments)
    assert sizes.sum() == n
    assert (sizes[0], sizes[-1]) == (sizes.max(), sizes.min()) == (largest, smallest)
    assert (np.diff(sizes) <= 0).all()


def test_imagenet_lts_sizes_are_those_of_the_default_pool():
    np.testing.assert_array_equal(class_sizes(115_846, 1000), long_tailed_sizes())


def test_sizes_that_cannot_be():
    with pytest.raises(ValueError, match="more than 6275 and fewer than"):
        long_tailed_sizes(6275)


def test_a_pool_is_generated_once(tmp_path):
    sizes = long_tailed_sizes(500, 10, 150, 5)
    X, y = imagenet_sized_pool(tmp_path / "pool.npy", 16, 500, 10, sizes)
    np.testing.assert_array_equal(np.bincount(y), sizes)
    again, y_again = imagenet_sized_pool(tmp_path / "pool.npy", 16, 500, 10, sizes)
    np.testing.assert_array_equal(X, again)
    np.testing.assert_array_equal(y, y_again)
    with pytest.raises(SystemExit, match=r"holds \(500, 16\) and not \(600, 16\)"):
        imagenet_sized_pool(tmp_path / "pool.npy", 16, 600, 10)


def test_samplers_are_measured_in_processes_of_their_own(tmp_path, capsys, warm_children):
    options = ["--rows", "400", "--features", "8", "--classes", "5", "--budget", "20", "--long-tail"]
    main(["--pool", str(tmp_path / "pool.npy"), *options, "--samplers", "Random", "K-means"])
    lines = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][1:]
    assert [line[0].strip() for line in lines] == ["Random", "K-means"]
    for _, seconds, cpu_seconds, beside, peak in lines:
        assert float(seconds) >= 0
        assert float(cpu_seconds) >= 0
        assert 0 <= float(beside) < float(peak)


def test_a_sampler_that_fails_is_named_and_the_others_run(tmp_path, capsys, warm_children):
    options = ["--rows", "40", "--features", "8", "--classes", "4", "--budget", "37"]
    with pytest.raises(SystemExit, match="Failed: K-means"):
        main(["--pool", str(tmp_path / "pool.npy"), *options, "--samplers", "K-means"])
    assert "budget=37 is more than the 36 rows" in capsys.readouterr().out
