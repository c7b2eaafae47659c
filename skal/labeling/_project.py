"""A folder of images, the labels one can pay for, and what comes of them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from skal._html import counts_in_words, facts
from skal.features import NamedImages, TorchFeatureExtractor
from skal.labeling._embedding import extractor_again, read_identity, refuse_another
from skal.labeling._embedding_step import MODEL
from skal.labeling._evaluation_step import EvaluationStep
from skal.labeling._images import scan
from skal.labeling._model import TrainedModel
from skal.labeling._predictions import Predictions
from skal.labeling._reading import why_unreadable
from skal.labeling._status import ProjectStatus, next_command

__all__ = ["LabelingProject"]

_REPORT = "report.html"


class LabelingProject(EvaluationStep):
    """A folder that holds all that is done with some images: embed, select, label, train, predict.

    Make one with `create`, come back to it with `open`. The images stay as they are. Whatever a method was given is on
    disk before it returns, so that the process may be killed at any moment; one process writes at a time.

    Attributes
    ----------
    folder : Path
        Of the project: ``manifest.json`` (the images), ``skal.toml`` (settings), ``ledger.jsonl`` (rounds and labels),
        ``embeddings.npy``, ``model.npz``.
    settings : Settings
        Of ``skal.toml``; environment variables such as ``SKAL_BACKBONE`` take precedence.
    ledger : Ledger
        Every round and every answer.
    read_only : bool

    See Also
    --------
    skal.rounds.Ledger : The record of rounds and labels.
    skal.rounds.IterativeSampler : Rounds in a script, with a function that is asked for the labels.
    skal.features.TorchFeatureExtractor : Embeds the images.

    Notes
    -----
    Some labels can be held out: drawn at random, labelled in the same queue, and never trained on, so that `evaluate`
    says how good the model is on the pool. Near duplicates never lie on both sides, and one label is spent on a group
    of them: the rule is cleanlab's, a cosine distance below 0.13 times the median distance to the nearest neighbour.

    Finding them takes what `skal.Pool.neighbors` takes, once for each state of the pool: n² · d operations up to 65,536
    images. Of more images a neighbour in twenty may be missed, and with it a near duplicate.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import torch
    >>> from PIL import Image
    >>> from skal.features import TorchFeatureExtractor
    >>> from skal.labeling import LabelingProject
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "photos").mkdir()
    >>> rng = np.random.default_rng(0)
    >>> for number in range(40):
    ...     picture = rng.integers(0, 60, (8, 8, 3)) + 150 * np.eye(3, dtype=int)[number % 2]
    ...     Image.fromarray(picture.astype(np.uint8)).save(folder / f"photos/{number}.png")
    >>> means = torch.nn.Sequential(torch.nn.AvgPool2d(4), torch.nn.Flatten())
    >>> with LabelingProject.create(folder / "project", folder / "photos") as project:
    ...     project.embed(TorchFeatureExtractor(means, image_size=8))
    ...     picked = project.select(6, holdout=4)
    ...     for image in project.queue:
    ...         project.label(image.row, "red" if int(image.path.stem) % 2 == 0 else "green")
    ...     model = project.train()
    ...     print(project.evaluate())
    40
    100.0% of 4 held-out labels (4 right); with 95 % confidence between 51.0% and 100.0%
    """

    # ------------------------------------------------------------------ model

    @property
    def model(self) -> TrainedModel:
        """The model that `train` kept."""
        return self._load_model()

    def predict(
        self,
        images: str | os.PathLike[str] | None = None,
        *,
        abstain_below: float = 0.5,
        extractor: TorchFeatureExtractor | None = None,
        weights: str | os.PathLike[str] | None = None,
        verbose: int = 0,
    ) -> Predictions:
        """Predict the class of each image.

        Parameters
        ----------
        images : path, default=None
            A folder of other images. They are embedded as the project's were, in a file that is removed at the end.
            None means the images of the project.
        abstain_below : float, default=0.5
            A prediction with less confidence says "abstain".
        extractor : TorchFeatureExtractor, default=None
            Only where the images were embedded by one of your own.
        weights : path, default=None
            Where the checkpoint lies now, if it was moved.
        verbose : int, default=0

        Returns
        -------
        Predictions

        Raises
        ------
        ValueError
            If the images would be embedded by something else than the model knows.
        FileNotFoundError
            If there is no model, or no such folder.
        """
        model = self.model
        if images is not None:
            extractor = extractor_again(model.made_by, extractor)
            moved = {} if weights is None else {"weights": os.path.abspath(weights)}
            extractor.set_params(on_error="skip", verbose=verbose, **moved)
            return self._predict_folder(Path(images), model, extractor, abstain_below)
        embedding, pool = self._manifest.embedding, self.pool
        refuse_another(model.identity, {} if embedding is None else embedding.identity)
        rows = list(self._manifest.current_rows)
        place_of = {row: place for place, row in enumerate(rows)}
        positions = pool.positions(rows)
        places = np.array([place_of[row] for row in pool.rows[positions].tolist()], dtype=np.int64)
        paths = [self.images[row].path for row in rows]
        problem_of = (
            {} if self._images_folder is None else self._problems_of(set(rows) - set(pool.position_of), place_of)
        )
        return Predictions.of(model, pool.part(positions), places, paths, problem_of, abstain_below)

    # ------------------------------------------------------------------ status and report

    def status(self, *, compare_images: bool = True) -> ProjectStatus:
        """Say what is there and what to do next.

        Parameters
        ----------
        compare_images : bool, default=True
            Look for images that are missing, new or changed; of 100,000 files this takes seconds.

        Returns
        -------
        ProjectStatus
        """
        ledger, labels, held_out = self.ledger, self.labels, set(self.held_out)
        embedding, current = self._manifest.embedding, set(self._manifest.current_rows)
        changes = self.changes() if compare_images and self._images_folder is not None else None
        has_model = (self.folder / MODEL).exists()
        status = ProjectStatus(
            folder=os.fspath(self.folder),
            images_folder="" if self._images_folder is None else os.fspath(self._images_folder),
            n_images=len(current),
            n_embedded=0 if embedding is None else len(current & set(embedding.rows)),
            n_unread=0 if embedding is None else len(current & set(embedding.unread)),
            n_rounds=len(ledger.rounds),
            n_picked=sum(len(each.rows) for each in ledger.rounds),
            n_pending=sum(self._manifest.is_current(row) for row in ledger.pending.tolist()),
            n_labeled=len(labels.keys() - held_out),
            n_held_out=len(held_out),
            n_held_out_labeled=len(labels.keys() & held_out),
            n_skipped=len(self.skipped),
            n_disagreements=len(self.disagreements()),
            n_missing=0 if changes is None else len(changes.missing),
            n_changed=0 if changes is None else len(changes.changed),
            n_new=0 if changes is None else len(changes.new),
            n_renamed=0 if changes is None else len(changes.renamed),
            classes=dict(self.counts().most_common()),
            n_labeled_together=len(self.labeled_together),
            has_model=has_model,
            n_labels_of_model=TrainedModel.n_labels_in(self.folder / MODEL),
        )
        return replace(status, next_command=next_command(status))

    def report(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        price: float | None = None,
        on_image: Callable[[int, int], None] | None = None,
    ) -> Path:
        """Write all that is known as one HTML file that needs nothing else; the same project gives the same bytes.

        The pool, the picks, labels, time and money, accuracy on the held-out labels, mistakes, suspect labels, what the
        rounds bought, and what it takes to do it again. Where something is missing, the page says so.

        Parameters
        ----------
        path : path, default=None
            None means ``report.html`` in the folder of the project.
        price : float, default=None
            Of one answer, in any currency. None means that of the settings, if they have one.
        on_image : callable, default=None
            Told how many images are decoded, and of how many, after each; what was decoded before is remembered.

        Returns
        -------
        Path
            What was written.

        Raises
        ------
        ImportError
            If Jinja2 is not installed.
        ValueError
            If `price` is negative, or no number.

        Notes
        -----
        Time: the model's classifier is trained once a round and ten times on parts of the labels, the pool is divided
        by K-means, and images that were not decoded before are decoded.
        """
        if price is not None and not 0 <= price < float("inf"):
            raise ValueError(f"price={price!r} must be a number of at least 0.")
        from skal.labeling.report import write

        price = self.settings.price if price is None else price
        return write(self, self.folder / _REPORT if path is None else Path(path), price=price, on_image=on_image)

    def __repr__(self) -> str:
        n_labels = len(self.labels)
        return f"<LabelingProject {os.fspath(self.folder)!r}: {len(self.images)} images, {n_labels} labelled>"

    def _repr_html_(self) -> str:
        known = {
            "folder": self.folder,
            "images": f"{len(self.images):,}",
            "rounds": len(self.ledger.rounds),
            "labelled": f"{len(self.labels):,}",
            "pending": f"{len(self.ledger.pending):,}",
            "skipped": f"{len(self.skipped):,}",
            "labels of each class": counts_in_words(dict(self.counts().most_common())) or "none yet",
            "more": "status() compares this with the images, and says what to do next",
        }
        return facts(type(self).__name__, known)

    # ------------------------------------------------------------------ what the above stand on

    def _problems_of(self, rows: set[int], place_of: dict[int, int]) -> dict[int, str]:
        return {place_of[row]: why_unreadable(self.path_of(row)) or "not embedded yet" for row in sorted(rows)}

    def _predict_folder(
        self, folder: Path, model: TrainedModel, extractor: TorchFeatureExtractor, below: float
    ) -> Predictions:
        paths = scan(folder)
        files = {path: folder / path for path in paths}
        readable = next((path for path in paths if why_unreadable(files[path]) is None), None)
        if readable is None:
            raise ValueError(f"None of the {len(paths)} images in {folder} can be read.")
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="predict-") as scratch:
            # One image tells what would embed the others: before hours are spent on something the model does not know.
            extractor.embed(NamedImages({readable: files[readable]}), Path(scratch, "first.npy"))
            refuse_another(model.identity, read_identity(Path(scratch, "first.npy")))
            embedded = extractor.embed(NamedImages(files), Path(scratch, "all.npy"))
            unread = set(range(len(paths))) - set(embedded.valid_indices.tolist())
            problem_of = {place: why_unreadable(files[paths[place]]) or "no embedding" for place in sorted(unread)}
            return Predictions.of(model, embedded.embeddings, embedded.valid_indices, paths, problem_of, below)
