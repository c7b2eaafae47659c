"""A job that is killed at ten random moments and then finished, run by test_embedding_file.py.

python killed_job.py OUTPUT SEED [FOLDER LATER]: prints one line a kill, how many images the manifest counted after it
and how many rows the file had. The images are pixels, or those of a folder that was embedded when those of another one
are added to it.

Each attempt is a process that SIGKILL ends; they are forked from this one, which has imported torch once.
"""

import json
import os
import shutil
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


def embed(images, output):
    torch.set_num_threads(1)
    return TorchFeatureExtractor(SlowPatches(), image_transform=None, batch_size=8, num_workers=0).embed(images, output)


def arrays():
    return np.random.default_rng(0).integers(0, 256, size=(4000, 8, 8, 3), dtype=np.uint8)


def attempt(images, output):
    child = os.fork()
    if child == 0:
        embed(images, output)
        os._exit(0)
    return child


def main():
    output, seed = Path(sys.argv[1]), int(sys.argv[2])
    images = sys.argv[3] if len(sys.argv) > 3 else arrays()
    if len(sys.argv) > 3:
        embed(images, output)
        shutil.copytree(sys.argv[4], images, dirs_exist_ok=True)
    _embedding_file.SECONDS_BETWEEN_CHECKPOINTS = 0.01
    rng = np.random.default_rng(seed)
    for _ in range(10):
        child = attempt(images, output)
        time.sleep(rng.uniform(0.02, 0.35))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        manifest = output.with_name(output.name + ".json")
        n_read = json.loads(manifest.read_text())["n_read"] if manifest.exists() else 0
        n_rows = len(np.load(output)) if output.exists() else 0
        sys.stdout.write(json.dumps({"killed": os.WIFSIGNALED(status), "n_read": n_read, "n_rows": n_rows}) + "\n")
        sys.stdout.flush()  # or the next child would write it again
    _, status = os.waitpid(attempt(images, output), 0)
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
