"""A job that is killed at ten random moments and then finished, run by test_embedding_file.py.

python killed_job.py OUTPUT SEED: prints one line a kill, how many rows the manifest counted after it.

Each attempt is a process that SIGKILL ends; they are forked from this one, which has imported torch once.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch

from skal.features import TorchFeatureExtractor, _embedding_file


class SlowPatches(torch.nn.Module):
    def forward(self, x):
        time.sleep(0.004)
        return torch.nn.functional.adaptive_avg_pool2d(x, 4).flatten(1)


def images():
    return np.random.default_rng(0).integers(0, 256, size=(4000, 8, 8, 3), dtype=np.uint8)


def embed(output):
    torch.set_num_threads(1)
    return TorchFeatureExtractor(SlowPatches(), batch_size=8).embed(images(), output).embeddings


def attempt(output):
    child = os.fork()
    if child == 0:
        embed(output)
        os._exit(0)
    return child


def main():
    output, seed = Path(sys.argv[1]), int(sys.argv[2])
    _embedding_file.SECONDS_BETWEEN_CHECKPOINTS = 0.01
    rng = np.random.default_rng(seed)
    for _ in range(10):
        child = attempt(output)
        time.sleep(rng.uniform(0.02, 0.35))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        manifest = output.with_name(output.name + ".json")
        n_read = json.loads(manifest.read_text())["n_read"] if manifest.exists() else 0
        sys.stdout.write(json.dumps({"killed": os.WIFSIGNALED(status), "n_read": n_read}) + "\n")
        sys.stdout.flush()  # or the next child would write it again
    _, status = os.waitpid(attempt(output), 0)
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
