"""A fit over a pool on disk whose process ends by SIGKILL when so many checkpoints are written.

python -m tests.killed_fit POOL.npy FOLDER N [ADDRESS OF A SCHEDULER, ELEMENTS OF A TILE]
"""

import os
import signal
import sys
from contextlib import nullcontext
from itertools import count

import numpy as np

from skal._core.restricted import _run
from skal.samplers import KMeansSampler, _kmeans_checkpoint

BUDGET = 150


def main(path, folder, n_kept, address="", tile_elements=0):
    plain, turns = _kmeans_checkpoint.write_atomically, count(1)

    def write(path, content):
        plain(path, content)
        if next(turns) == int(n_kept):
            os.kill(os.getpid(), signal.SIGKILL)

    _kmeans_checkpoint.SECONDS_BETWEEN_CHECKPOINTS = 0.0
    _kmeans_checkpoint.write_atomically = write
    pool, client = np.load(path, mmap_mode="r"), nullcontext()
    if address:
        import dask.array as da
        from distributed import Client

        _run._TILE_ELEMENTS, _run._SKETCH_TILE_ELEMENTS = int(tile_elements), 2 * int(tile_elements)
        pool, client = da.from_array(pool, chunks=(2048, -1)), Client(address)
    with client:
        KMeansSampler(BUDGET, random_state=0, checkpoint_folder=folder).fit(pool)


if __name__ == "__main__":
    main(*sys.argv[1:])
