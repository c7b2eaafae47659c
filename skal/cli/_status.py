"""skal status"""

from __future__ import annotations

from skal.cli._options import AsJson, ImagesFolder, ProjectFolder, open_project
from skal.cli._output import as_json, data

__all__ = ["status"]


def status(project: ProjectFolder = None, images: ImagesFolder = None, json: AsJson = False) -> None:
    """Say what is there, and the next command to type."""
    with open_project(project, images=images, read_only=images is None) as opened:
        found = opened.status()
    if json:
        as_json(found.to_dict())
        return
    together = f" ({found.n_labeled_together} of them labelled many at once)" if found.n_labeled_together else ""
    lines = [
        f"project    {found.folder}",
        f"images     {found.images_folder or 'not found'}: {found.n_images}, {found.n_embedded} embedded"
        + "".join(
            f", {count} {what}"
            for count, what in (
                (found.n_unread, "unreadable"),
                (found.n_missing, "missing"),
                (found.n_changed, "changed"),
                (found.n_new, "new"),
                (found.n_renamed, "renamed"),
            )
            if count
        ),
        f"picked     {found.n_picked} in {found.n_rounds} rounds, {found.n_pending} left, {found.n_skipped} skipped",
        f"labels     {found.n_labeled} to train on{together}, "
        f"{found.n_held_out_labeled} of {found.n_held_out} to test with",
    ]
    if found.classes:
        lines.append("classes    " + ", ".join(f"{name} {count}" for name, count in found.classes.items()))
    if found.n_disagreements:
        lines.append(f"differ     {found.n_disagreements} images that people label differently")
    model = f"trained on {found.n_labels_of_model} labels" if found.has_model else "none yet"
    data("\n".join([*lines, f"model      {model}", f"next       {found.next_command}"]))
