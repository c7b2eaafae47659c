"""The step from embeddings to the images to label next."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from skal import registry
from skal._warnings import warn_user
from skal.labeling._embedding_step import EmbeddingStep
from skal.labeling._errors import NothingToDoError
from skal.labeling._pictures import kept_facts
from skal.labeling._plan import Plan, knee_of, mean_distance_to
from skal.labeling._pool import ProjectPool
from skal.labeling._problems import Problems, problems_of_pictures
from skal.labeling._selection import Selection, Standing, select
from skal.low_budget import default_sampler
from skal.rounds import Round

__all__ = ["SelectionStep"]

_PICTURES = "pictures.json"


class SelectionStep(EmbeddingStep):
    """The part of `LabelingProject` that looks at the pool and picks from it."""

    def problems(self, *, on_image: Callable[[int, int], None] | None = None) -> Problems:
        """Look for images that a label would be wasted on, by the rules in `skal.labeling.RULES`.

        Parameters
        ----------
        on_image : callable, default=None
            Told how many images are decoded, and of how many, after each; what was decoded before is remembered.

        Returns
        -------
        Problems
            Nothing is deleted, and nothing but near duplicates is kept from being picked.
        """
        missing = set(self.changes().missing)
        rows = [row for row in self._manifest.current_rows if row not in missing]
        files = [(self.images[row].sha256, self.path_of(row)) for row in rows]
        facts = kept_facts(self.folder / _PICTURES, files, keep=not self.read_only, on_image=on_image)
        found = problems_of_pictures({row: facts[self.images[row].sha256] for row in rows})
        if self._manifest.embedding is None:
            return Problems(**found, near_duplicates=(), outlying=(), is_embedded=False)
        pool, neighborhood = self.pool, self.neighborhood()
        shown = set(rows)
        members: dict[int, list[int]] = {}
        for row, group in zip(pool.rows.tolist(), neighborhood.groups().tolist(), strict=True):
            if row in shown:
                members.setdefault(group, []).append(row)
        return Problems(
            **found,
            near_duplicates=tuple(tuple(group) for group in members.values() if len(group) > 1),
            outlying=tuple(row for row in pool.rows[neighborhood.outlying()].tolist() if row in shown),
            is_embedded=True,
        )

    def plan(self, n: int, *, holdout: int = 0, sampler: Any = None, random_state: int | None = None) -> Plan:
        """Try a selection and say what it takes and covers; nothing is recorded.

        Parameters
        ----------
        n, holdout, sampler, random_state
            As of `select`.

        Returns
        -------
        Plan
        """
        pool, begin = self.pool, time.perf_counter()
        selection, standing = self._selected(n, holdout, sampler, random_state)
        seconds = time.perf_counter() - begin
        known = np.flatnonzero(standing.is_taken & ~standing.is_held_out)
        picks = pool.positions(row for row in selection.rows if row not in selection.held_out)
        left = standing.candidates(standing.is_taken)
        at_random = np.random.default_rng(0).permutation(left)[: len(picks)]
        distances = [
            mean_distance_to(pool.X, positions) if len(positions) else float("nan")
            for positions in (np.concatenate([known, picks]), np.concatenate([known, at_random]))
        ]
        now = mean_distance_to(pool.X, known) if len(known) else None
        return Plan(
            n, holdout, len(left), seconds, pool.X.nbytes, distances[0], distances[1], now, knee_of(pool.X, known, n)
        )

    def select(self, n: int, *, holdout: int = 0, sampler: Any = None, random_state: int | None = None) -> Round:
        """Pick the images to label next, and put them into the queue.

        Parameters
        ----------
        n : int
            Images to pick by the sampler, to train on.
        holdout : int, default=0
            More images, drawn at random, to test with: of each group of near duplicates at most one, none that is
            near a labelled image.
        sampler : sampler or str, default=None
            One of `skal.samplers`, or its name. None means that of the settings, and without one that of
            `skal.LowBudgetClassifier`. Its budget is overwritten.
        random_state : int, default=None
            None means that of the settings.

        Returns
        -------
        Round
            `rows`, in the order of the queue; `held_out`; `why`.

        Raises
        ------
        NothingToDoError
            If every image, or a near duplicate of it, was picked, or none is asked for.
        ValueError
            If fewer images are left than asked for, or nothing is embedded yet.
        """
        self._refuse_read_only()
        selection, _ = self._selected(n, holdout, sampler, random_state)
        return self.ledger.ask(
            selection.rows, sampler=selection.sampler, held_out=selection.held_out, why=selection.why
        )

    def _selected(self, n: int, holdout: int, sampler: Any, random_state: int | None) -> tuple[Selection, Standing]:
        if n < 0 or holdout < 0:
            raise ValueError(f"n={n} and holdout={holdout} must not be negative.")
        if n + holdout == 0:
            raise NothingToDoError("No image is asked for: pass n, holdout, or both.")
        n_together = len(self.labeled_together)
        if holdout and n_together:
            warn_user(
                f"{n_together} images were labelled many at once, so images to test with are drawn from what is left: "
                "they are no random part of the whole pool any more. Draw them in the first round."
            )
        seed = self.settings.random_state if random_state is None else random_state
        pool = self.pool
        standing = self._standing(pool)
        return select(pool, standing, n, holdout, self._sampler(sampler), seed), standing

    def _standing(self, pool: ProjectPool) -> Standing:
        labels, held_out, skipped = self.labels, set(self.held_out), set(self.skipped)
        taken = {*labels, *skipped, *held_out, *(row for each in self.ledger.rounds for row in each.rows)}
        missing = set(self.changes().missing) if self._images_folder is not None else set()
        rows = pool.rows.tolist()
        y = np.array([labels.get(row) for row in rows], dtype=object)
        return Standing(
            self.neighborhood().groups(),
            np.array([row < 0 or row in missing or not self._manifest.is_current(row) for row in rows], dtype=bool),
            np.isin(pool.rows, list(taken)),
            np.isin(pool.rows, list(held_out)),
            np.isin(pool.rows, list(skipped)),
            y,
        )

    def _sampler(self, sampler: Any) -> Any:
        sampler = self.settings.sampler if sampler is None else sampler
        if sampler is None:
            return default_sampler()
        if not isinstance(sampler, str):
            return sampler
        known = {entry.name: entry for entry in registry.samplers() if not entry.runs_rounds}
        if sampler not in known:
            raise ValueError(f"There is no sampler {sampler!r}; there are {', '.join(known)} (skal samplers).")
        return known[sampler].make()
