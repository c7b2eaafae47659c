"""What is there, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from skal._html import counts_in_words, facts

__all__ = ["ProjectStatus"]


@dataclass(frozen=True)
class ProjectStatus:
    """A project in numbers.

    Parameters
    ----------
    folder, images_folder : str
        The second is empty where the images are not found.
    n_images : int
    n_embedded : int
    n_unread : int
        Images that gave no embedding.
    n_rounds : int
    n_picked : int
        Images asked so far, those to test with included.
    n_pending : int
        Of them neither labelled nor skipped.
    n_labeled : int
        Labelled images, picked or not, without those to test with.
    n_labeled_together : int
        Of `n_labeled`: those whose label was given to many images at once.
    n_held_out, n_held_out_labeled : int
    n_skipped : int
    n_disagreements : int
        Images that people label differently.
    n_missing, n_changed, n_new, n_renamed : int
        How the folder of images differs from what the project knows.
    classes : dict of str to int
        Labels of each class.
    has_model : bool
    n_labels_of_model : int
        Labels that the model was trained on.
    next_command : str
        What to type next.

    See Also
    --------
    LabelingProject.status : Makes one.
    """

    folder: str
    images_folder: str
    n_images: int
    n_embedded: int
    n_unread: int
    n_rounds: int
    n_picked: int
    n_pending: int
    n_labeled: int
    n_held_out: int
    n_held_out_labeled: int
    n_skipped: int
    n_disagreements: int
    n_missing: int = 0
    n_changed: int = 0
    n_new: int = 0
    n_renamed: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    n_labeled_together: int = 0
    has_model: bool = False
    n_labels_of_model: int = 0
    next_command: str = ""

    def _repr_html_(self) -> str:
        known = self.to_dict() | {"classes": counts_in_words(self.classes)}
        names = {name: name.removeprefix("n_").replace("_", " ").replace("labeled", "labelled") for name in known}
        return facts(type(self).__name__, {names[name]: value for name, value in known.items() if value})

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return dict(vars(self))


def next_command(status: ProjectStatus) -> str:
    """Name the command that gets the project further."""
    if not status.images_folder:
        return "skal status --images FOLDER"
    if status.n_new or status.n_changed or status.n_renamed:
        return "skal update"
    if status.n_embedded + status.n_unread + status.n_missing < status.n_images:
        return "skal embed"
    if not status.n_picked and not status.n_labeled:
        return "skal select -n 60 --holdout 40"
    if status.n_pending:
        return "skal label (or skal export --to label-studio tasks.json, and later skal import)"
    if status.n_labeled > status.n_labels_of_model:
        return "skal train"
    if status.n_held_out_labeled:
        return "skal report, or skal predict -o predictions.csv"
    return "skal predict -o predictions.csv, or skal select -n 50 for another round"
