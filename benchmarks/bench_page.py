"""How long a label takes on the page: from the key to the next image, in a browser. python -m benchmarks.bench_page

The time is the browser's own: from the moment it says the key was pressed to the first frame that shows the next image
whole. Needs chromium, chromium-driver and selenium. Nothing else may run meanwhile, a build least of all.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.browser import Page, chromium, served
from skal.features import TorchFeatureExtractor
from skal.labeling import LabelingProject

COLORS = ("red", "green", "blue")
WATCH = """
window.seconds = [];
let pressedAt = null;
addEventListener("keydown", (event) => { pressedAt = event.timeStamp; }, true);
const image = document.getElementById("image");
new MutationObserver(async () => {
  const begin = pressedAt;
  pressedAt = null;
  if (begin === null) return;
  await image.decode();
  requestAnimationFrame(() => setTimeout(() => seconds.push((performance.now() - begin) / 1000)));
}).observe(image, { attributes: true, attributeFilter: ["data-row"] });
"""


def draw_photos(folder: Path, n_images: int, side: int) -> None:
    """Noisy red, green and blue photos."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for number in range(n_images):
        coarse = rng.integers(0, 100, (side // 8, side // 8, 3)) + 150 * np.eye(3, dtype=int)[number % 3]
        photo = Image.fromarray(coarse.astype(np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
        photo.save(folder / f"{number:05}.jpg", quality=90)


def measured(page: Page, project: LabelingProject, n_keys: int) -> list[float]:
    """Press keys at a person's pace; give the seconds that each took."""
    page.run(WATCH)
    truth = {image.row: COLORS[int(image.path.stem) % 3] for image in project.queue}
    for number in range(n_keys):
        page.press(str(1 + COLORS.index(truth[page.shown_row()])))
        page.wait(lambda number=number: page.run("return seconds.length") > number)
    return list(map(float, page.run("return seconds")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=100)
    parser.add_argument("--images", type=int, default=2000, help="of the pool")
    parser.add_argument("--side", type=int, default=1024, help="pixels")
    options = parser.parse_args()
    backbone = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten())
    with tempfile.TemporaryDirectory() as scratch, chromium() as driver:
        folder = Path(scratch)
        draw_photos(folder / "photos", options.images, options.side)
        with LabelingProject.create(folder / "p", folder / "photos", classes=COLORS) as project:
            project.embed(TorchFeatureExtractor(backbone, image_size=64))
            for name, n_picks in (("first round", options.keys + 1), ("second round", options.keys + 1)):
                project.select(n_picks)
                page = Page(driver)
                with served(project, annotator="Ada") as address:
                    page.open(address)
                    seconds = 1000 * np.array(measured(page, project, options.keys))
                    trained = project.may_suggest and page.run("return (await fetch('/api/suggestions')).json()")
                for image in project.queue:
                    project.label(image.row, COLORS[int(image.path.stem) % 3])
                low, high = np.quantile(seconds, [0.05, 0.95])
                background = f", {trained['number']} trainings in the background" if trained else ""
                print(
                    f"{name}: median {statistics.median(seconds):.0f} ms of {len(seconds)} keys, "
                    f"90 % between {low:.0f} and {high:.0f} ms{background}"
                )


if __name__ == "__main__":
    main()
