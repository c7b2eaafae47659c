"""The step from images to embeddings."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np

from skal.features import NamedImages, TorchFeatureExtractor
from skal.labeling._duplicates import Neighborhood, kept_neighborhood
from skal.labeling._embedding import decides_embeddings, extractor_again, extractor_for, facts_of, read_identity
from skal.labeling._images import is_changed
from skal.labeling._labels import Labels
from skal.labeling._manifest import Embedding
from skal.labeling._model import TrainedModel
from skal.labeling._pool import ProjectPool

__all__ = ["EMBEDDINGS", "MODEL", "EmbeddingStep"]

EMBEDDINGS, _NEIGHBORS, MODEL = "embeddings.npy", "neighbors.npz", "model.npz"
# The file of embeddings compares the weights themselves, wherever they lie.
_NOT_DECISIVE = ("device", "num_workers", "verbose", "on_error", "weights")


class EmbeddingStep(Labels):
    """The part of `LabelingProject` that embeds."""

    def embed(
        self,
        extractor: TorchFeatureExtractor | None = None,
        *,
        backbone: str | None = None,
        weights: str | os.PathLike[str] | None = None,
        image_size: int | None = None,
        batch_size: int | None = None,
        device: str | None = None,
        again: bool = False,
        verbose: int = 0,
    ) -> int:
        """Embed the images that have no embedding yet; after an interruption the same call goes on.

        Parameters
        ----------
        extractor : TorchFeatureExtractor, default=None
            What embeds. None means what the other parameters and the settings say, and later on what embedded first.
        backbone, weights, image_size, batch_size, device
            Go before the settings.
        again : bool, default=False
            Forget the embeddings and begin anew, with another backbone perhaps. Labels stay.
        verbose : int, default=0
            1 shows how many images a second.

        Returns
        -------
        int
            Images that were embedded now.

        Raises
        ------
        ValueError
            If what embeds is not what embedded before, or files changed since they were taken in.
        """
        self._refuse_read_only()
        weights = None if weights is None else os.path.abspath(weights)
        given = {"backbone": backbone, "weights": weights, "image_size": image_size}
        given |= {"batch_size": batch_size, "device": device}
        if again:
            self._forget_embeddings()
        extractor = self._extractor(extractor, given)
        made_by = facts_of(extractor)
        rows = self._rows_to_embed()
        before = self._manifest.embedding
        n_before = 0 if before is None else len(before.rows)
        extractor.set_params(on_error="skip", verbose=verbose)
        names = {str(row): self.path_of(row) for row in rows}
        contents = {str(row): self.images[row].sha256 for row in rows}
        output = self.folder / EMBEDDINGS
        embedded = extractor.embed(NamedImages(names, contents), output)
        embedded_rows = [int(name) for name in embedded.paths or ()]
        # A file that was replaced while it was read: its embedding may be of what it holds now.
        torn = {row for row in embedded_rows[n_before:] if is_changed(self.images_folder, self.images[row])}
        kept = list(before.rows if before is not None else ()) + [
            -1 if row in torn else row for row in embedded_rows[n_before:]
        ]
        unread = tuple(row for row in rows if row not in set(embedded_rows))
        embedding = Embedding(made_by, read_identity(output), tuple(kept), unread)
        self._replace_manifest(replace(self._manifest, embedding=embedding))
        return len(embedded_rows) - n_before

    @property
    def pool(self) -> ProjectPool:
        """The embeddings, `X`, and which image each is of, `rows`."""
        return ProjectPool.open(self.folder / EMBEDDINGS, self._manifest)

    def _load_model(self) -> TrainedModel:
        if not (self.folder / MODEL).exists():
            raise FileNotFoundError(f"There is no model {self.folder / MODEL}; call train() first (skal train).")
        return TrainedModel.load(self.folder / MODEL, self.pool.X)

    def neighborhood(self) -> Neighborhood:
        """The nearest neighbours of each embedding, which say what near duplicates and outlying images are."""
        pool, embedding = self.pool, self._manifest.embedding
        identity = {} if embedding is None else decides_embeddings(embedding.identity)
        return kept_neighborhood(self.folder / _NEIGHBORS, pool.X, identity, keep=not self.read_only)

    def _extractor(self, extractor: TorchFeatureExtractor | None, given: dict[str, Any]) -> TorchFeatureExtractor:
        asked = {name: value for name, value in given.items() if value is not None}
        if extractor is not None and asked:
            raise ValueError(f"Pass extractor= or {', '.join(asked)}, not both.")
        embedding = self._manifest.embedding
        if embedding is None:
            return extractor_for(self.settings.over(**asked)) if extractor is None else extractor_again({}, extractor)
        wanted = {**embedding.made_by, **asked} if extractor is None else facts_of(extractor)
        differing = [name for name in sorted(wanted) if wanted[name] != embedding.made_by.get(name)]
        decisive = [name for name in differing if name not in _NOT_DECISIVE]
        if decisive and "custom" not in embedding.made_by:
            listed = "; ".join(
                f"{name}: {embedding.made_by.get(name)!r} then, {wanted[name]!r} now" for name in decisive
            )
            raise ValueError(
                f"The images were embedded by something else ({listed}). Leave it out to embed the rest as before; "
                "embed(again=True) (skal embed --again) begins anew and keeps the labels."
            )
        return (
            extractor_again(embedding.made_by, extractor)
            if not differing or extractor
            else extractor_again(wanted, None)
        )

    def _rows_to_embed(self) -> list[int]:
        """All rows that are embedded or can be, by number; refuse files that changed before they were."""
        embedding = self._manifest.embedding
        done = set() if embedding is None else {*embedding.rows, *embedding.unread}
        changes = self.changes()
        changed = [row for row in changes.changed if row not in done]
        if changed:
            names = ", ".join(self.images[row].path for row in changed[:3])
            more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
            raise ValueError(
                f"Images changed since they were taken in: {names}{more}. Call update() first (skal update)."
            )
        gone = {*changes.missing, *(row for row, _ in changes.renamed)}
        return [
            row
            for row in range(len(self.images))
            if row in done or (self._manifest.is_current(row) and row not in gone)
        ]

    def _forget_embeddings(self) -> None:
        self._replace_manifest(replace(self._manifest, embedding=None))
        for path in self.folder.glob(f"{EMBEDDINGS}*"):
            path.unlink()
        for name in (_NEIGHBORS, MODEL):
            (self.folder / name).unlink(missing_ok=True)

    def _near(self, rows: set[int]) -> set[int]:
        """These rows and their near duplicates."""
        pool, groups = self.pool, self.neighborhood().groups()
        is_near = np.isin(groups, groups[pool.positions(rows)])
        return rows | set(pool.rows[is_near].tolist())
