"""Make the pictures of the labelling page: python -m docs.images.make_label_images

With a folder, every view goes there, wide and narrow, light and dark, to be looked at. Needs Debian's chromium,
chromium-driver and dataset-fashion-mnist, selenium, and the extras label and vision.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
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
KEPT = (
    "single_wide", "suggestions_wide", "grid_wide", "grid_of_class_wide_dark", "help_wide", "new_class_wide",
    "finished_wide", "suggestions_narrow", "grid_narrow_dark",
)  # fmt: skip
N_IMAGES = 1500
DECODED = "await Promise.all([...document.images].filter((one) => one.checkVisibility()).map((one) => one.decode()));"
SIZES = {"wide": (1280, 860), "narrow": (400, 800)}


def make_project(folder: Path) -> tuple[LabelingProject, dict[int, str]]:
    """A project in its first round, and what is to be seen on each image."""
    loaded = load_fashion_mnist(split="train")
    (folder / "photos").mkdir()
    for number in range(N_IMAGES):
        Image.fromarray(loaded.images[number]).save(folder / f"photos/Größe {number:04}.png")
    project = LabelingProject.create(folder / "photos.skal", folder / "photos", classes=CLASSES)
    averages = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    project.embed(TorchFeatureExtractor(averages, image_size=28, batch_size=500))
    truth = {row: CLASSES[loaded.y[int(Path(image.path).stem.split()[1])]] for row, image in enumerate(project.images)}
    project.select(60, holdout=40)
    project.settings = project.settings.over(price=0.05, money=10.0)
    return project, truth


def label(project: LabelingProject, truth: dict[int, str], n_labels: int) -> None:
    for image in project.queue[:n_labels]:
        project.label(image.row, truth[image.row], annotator="Ada", seconds=1.8, source="page")


def first_round(page: Page, truth: dict[int, str]) -> Iterator[str]:
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


def second_round(page: Page, truth: dict[int, str]) -> Iterator[str]:
    page.wait(lambda: "from" in page.run("return document.getElementById('suggested-from').textContent"), seconds=60)
    while not page.elements("#suggested button"):  # an image to test with has none
        page.press(Keys.ARROW_RIGHT)
    yield "suggestions"
    page.press("g")
    shown = marked_as_the_first(page, truth, before=[])
    while not 3 <= len(page.elements("#cells button[aria-pressed=false]")) <= 9:
        page.element("others").click()
        shown = marked_as_the_first(page, truth, before=shown)
    yield "grid"
    choose = "const source = arguments[0]; source.value = 'bag'; source.dispatchEvent(new Event('change'))"
    page.run(choose, page.element("grid-source"))
    marked_as_the_first(page, truth, before=shown)
    yield "grid_of_class"
    page.press(Keys.ESCAPE)


def marked_as_the_first(page: Page, truth: dict[int, str], before: list[str]) -> list[str]:
    """Wait for other images, and take the mark from those of another class than the first; give what is shown."""
    page.wait(lambda: page.attributes("#cells button", "data-row") not in ([], before))
    are_loaded = "return [...document.querySelectorAll('#cells img')].every((each) => each.complete)"
    page.wait(lambda: page.run(are_loaded))
    shown = page.attributes("#cells button", "data-row")
    for row, cell in zip(shown, page.elements("#cells button"), strict=True):
        if truth[int(row)] != truth[int(shown[0])]:
            cell.click()
    page.run("window.scrollTo(0, 0); document.getElementById('cells').scrollTo(0, 0); document.activeElement.blur()")
    return shown


def last(page: Page, truth: dict[int, str]) -> Iterator[str]:
    yield "finished"


def pictures(page: Page) -> Iterator[str]:
    """Go through all views in all sizes; gives the name of each picture when it is to be seen."""
    for dark in (False, True):
        with tempfile.TemporaryDirectory() as scratch:
            project, truth = make_project(Path(scratch))
            for views, n_labels, n_more in ((first_round, 24, 0), (second_round, 96, 50), (last, 150, 0)):
                if n_more:
                    label(project, truth, len(project.queue))
                    project.select(n_more, holdout=10)
                    n_labels -= 76
                label(project, truth, n_labels)
                with served(project, annotator="Ada") as address:
                    for size, (width, height) in SIZES.items():
                        page.look(width, height, dark=dark)
                        page.open(address)
                        for view in views(page, truth):
                            yield f"{view}_{size}{'_dark' if dark else ''}"
            project.close()


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    folder.mkdir(exist_ok=True)
    with chromium() as driver:
        page = Page(driver)
        for name in pictures(page):
            if folder != HERE or name in KEPT:
                page.run(DECODED)
                picture = Image.open(BytesIO(page.driver.get_screenshot_as_png())).convert("RGB")
                picture.quantize(128).save(folder / f"label_{name}.png", optimize=True)


if __name__ == "__main__":
    main()
