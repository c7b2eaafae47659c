"""Make the pictures of the labelling page: python -m docs.images.make_label_images [FOLDER]

Needs Debian's chromium, chromium-driver and dataset-fashion-mnist, selenium, and the extras label and vision.
"""

from __future__ import annotations

import sys
import tempfile
from io import BytesIO
from pathlib import Path

import torch
from PIL import Image
from selenium.webdriver.common.keys import Keys

from benchmarks.browser import Page, chromium, served
from skal.datasets import load_fashion_mnist
from skal.features import TorchFeatureExtractor
from skal.labeling import LabelingProject

HERE = Path(__file__).parent
CLASSES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
SIZES = {"wide": (1280, 860), "narrow": (400, 800)}


def make_project(folder: Path, n_images: int) -> tuple[LabelingProject, dict[int, str]]:
    """A project in its second round, some images into it, and what is to be seen on each image."""
    loaded = load_fashion_mnist(split="train")
    (folder / "photos").mkdir()
    for number in range(n_images):
        Image.fromarray(loaded.images[number]).save(folder / f"photos/Größe {number:04}.png")
    project = LabelingProject.create(folder / "photos.skal", folder / "photos", classes=CLASSES)
    averages = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    project.embed(TorchFeatureExtractor(averages, image_size=28, batch_size=500))
    truth = {row: CLASSES[loaded.y[int(Path(image.path).stem.split()[1])]] for row, image in enumerate(project.images)}
    for n_picks, n_labels in ((60, 100), (50, 20)):
        project.select(n_picks, holdout=40 * (n_picks == 60) + 10 * (n_picks == 50))
        for image in project.queue[:n_labels]:
            project.label(image.row, truth[image.row], annotator="Ada", seconds=1.8, source="page")
    return project, truth


def save(page: Page, folder: Path, name: str) -> None:
    """Save what is to be seen, with few colours so that it stays small."""
    picture = Image.open(BytesIO(page.driver.get_screenshot_as_png())).convert("RGB")
    picture.quantize(128).save(folder / f"label_{name}.png", optimize=True)


def views(page: Page, project: LabelingProject, truth: dict[int, str]):
    """Go through what the page shows; gives the name of each view when it is there."""
    page.wait(lambda: page.elements("#suggested button"), seconds=60)
    while not page.elements("#suggested button"):
        page.press(Keys.ARROW_RIGHT)
    yield "suggestions"
    while page.elements("#suggested button"):  # an image to test with has none
        page.press(Keys.ARROW_RIGHT)
    yield "single"
    page.press("z")
    yield "zoom"
    page.press(Keys.ESCAPE, "?")
    yield "help"
    page.press(Keys.ESCAPE)
    page.press("+")
    page.press("scarf")
    yield "new_class"
    page.press(Keys.ESCAPE)
    page.press("s")
    yield "skip"
    page.press(Keys.ESCAPE)
    page.press("g")
    page.wait(lambda: len(page.elements("#cells img")) > 20)
    rows = [int(cell.get_attribute("data-row")) for cell in page.elements("#cells button")]
    for row, cell in zip(rows, page.elements("#cells button"), strict=True):
        if truth[row] != truth[rows[0]]:
            cell.click()
    page.run("window.scrollTo(0, 0); document.activeElement.blur()")
    page.wait(lambda: page.run("return [...document.querySelectorAll('#cells img')].every((each) => each.complete)"))
    yield "grid"
    source = page.element("grid-source")
    page.run(
        "arguments[0].value = 'bag'; arguments[0].dispatchEvent(new Event('change'))",
        source,
    )
    page.wait(lambda: " of " in page.text("grid-text"))
    page.wait(lambda: page.run("return [...document.querySelectorAll('#cells img')].every((each) => each.complete)"))
    yield "grid_of_class"
    page.press(Keys.ESCAPE)


def main(folder: Path = HERE) -> None:
    folder.mkdir(exist_ok=True)
    for dark in (False, True):
        with tempfile.TemporaryDirectory() as scratch, chromium() as driver:
            project, truth = make_project(Path(scratch), 1500)
            project.settings = project.settings.over(price=0.05, money=10.0)
            page = Page(driver)
            with project, served(project, annotator="Ada") as address:
                for size, (width, height) in SIZES.items():
                    suffix = f"{size}{'_dark' if dark else ''}"
                    page.look(width, height, dark=dark)
                    page.open(address)
                    for name in views(page, project, truth):
                        save(page, folder, f"{name}_{suffix}")
            with LabelingProject.open(project.folder) as again:
                for image in again.queue:
                    again.label(image.row, truth[image.row], annotator="Ada", seconds=2, source="page")
                with served(again, annotator="Ada") as address:
                    for size, (width, height) in SIZES.items():
                        page.look(width, height, dark=dark)
                        page.open(address)
                        save(page, folder, f"finished_{size}{'_dark' if dark else ''}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
