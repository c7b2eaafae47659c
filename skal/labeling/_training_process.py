"""The process that trains while somebody labels: a line comes in, suggestions go out, until the page ends.

Training in the server itself would hold up the next image.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import torch

from skal.labeling._errors import NothingToDoError
from skal.labeling._project import LabelingProject
from skal.labeling._suggestions import Suggestions
from skal.pool import Pool

__all__ = ["LENGTH", "PROBLEM"]

LENGTH = 8  # bytes, before each answer
PROBLEM = b"problem: "  # instead of suggestions; nothing at all where there are too few labels


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints meanwhile is no answer
    with suppress(AttributeError, OSError):
        os.nice(10)
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))
    warnings.simplefilter("ignore")
    trainer = _Trainer(Path(sys.argv[1]))
    with suppress(BrokenPipeError, KeyboardInterrupt):  # the page has ended meanwhile
        for _ in sys.stdin:
            content = trainer.answer()
            answers.write(len(content).to_bytes(LENGTH, "big") + content)
            answers.flush()


class _Trainer:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pool: Pool | None = None
        self._pool_is_of: tuple[str, int] | None = None

    def answer(self) -> bytes:
        """Train on what the ledger holds now; the suggestions, or why there are none, as bytes."""
        try:
            return self._suggested().to_bytes()
        except NothingToDoError:
            return b""
        except Exception as error:  # the page says so, and labelling goes on
            return PROBLEM + str(error).encode()

    def _suggested(self) -> Suggestions:
        with LabelingProject.open(self._folder, read_only=True) as project:
            X = project.pool.X
            embedding = project._manifest.embedding
            is_of = json.dumps(dict(embedding.identity) if embedding else {}, sort_keys=True), len(X)
            if self._pool is None or self._pool_is_of != is_of:
                self._pool, self._pool_is_of = Pool(X), is_of
            return project.suggest(pool=self._pool)


if __name__ == "__main__":
    main()
