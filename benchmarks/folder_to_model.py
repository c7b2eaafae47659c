"""Go the way of docs/folder_to_model.md: its commands, on Fashion-MNIST, labelled through the page in a real browser.

Needs the extras `all` and `test`, Debian's packages dataset-fashion-mnist, chromium and chromium-driver. The commands
are read from the page, so that it cannot say what does not work. With --write, what they print and how long they take
is put into the page, and the pictures beside it are taken again.

    python -m benchmarks.folder_to_model
    python -m benchmarks.folder_to_model --write
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.pools import describe_machine
from skal.datasets import load_fashion_mnist
from skal.rounds import Ledger

__all__ = ["HAS_CHROMIUM", "PAGE", "Step", "Way", "chromium", "commands_of", "look", "write_photos"]

PAGE = Path(__file__).parents[1] / "docs" / "folder_to_model.md"
HAS_CHROMIUM = bool(shutil.which("chromium") and shutil.which("chromedriver"))
FOLDER, N_IMAGES = "wardrobe – гардероб", 3000
_SIZES = "SML"
_KEYS = """return [...document.querySelectorAll("#classes button")].map(
    (each) => [each.querySelector(".name").textContent, each.querySelector("kbd").textContent])"""
_DONE_ON_PICTURE = 30


@dataclass(frozen=True)
class Step:
    """A command, what it wrote to both streams, and the seconds of the processor that it took."""

    command: str
    output: str
    seconds: float


def commands_of(page: str) -> list[str]:
    """The commands of a page, but for those that install."""
    blocks = re.findall(r"```console\n(.*?)```", page, re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [line for line in lines if not line.startswith("pip ")]


def write_photos(home: Path, n_images: int = N_IMAGES) -> dict[str, str]:
    """Write images of clothes into folders as people have them; return the class of each path, relative to `FOLDER`."""
    clothes, classes = load_fashion_mnist(split="train"), {}
    for number in range(n_images):
        path = f"shelf {number % 7} – Größe {_SIZES[number % 3]}/IMG {number:04} ü (1).png"
        (home / FOLDER / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(clothes.images[number]).save(home / FOLDER / path)
        classes[path] = clothes.class_names[clothes.y[number]]
    return classes


class Way:
    """Types the commands, and labels where there is something to label.

    Parameters
    ----------
    home : Path
        Where to stand.
    classes : dict of str to str
        The true class of each image.
    driver : selenium.webdriver.Chrome
    on_page : callable, default=None
        Told the driver when the page of `skal label` is open, before each image.
    """

    def __init__(
        self, home: Path, classes: dict[str, str], driver: Any, on_page: Callable[[Any, int], None] | None = None
    ) -> None:
        self._home = home
        self._classes = classes
        self._driver = driver
        self._on_page = on_page
        self._environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONPATH": os.pathsep.join([os.fspath(PAGE.parents[1]), os.environ.get("PYTHONPATH", "")]),
            "COLUMNS": "110",
        }
        self.key_to_next: list[float] = []

    def go(self, command: str) -> Step:
        """Run one command; RuntimeError with what it wrote where it fails."""
        begin = _seconds_of_children()
        output = self._label(command) if command.startswith("skal label") else self._run(command)
        return Step(command, output, _seconds_of_children() - begin)

    def is_right(self, predictions: Path) -> list[bool]:
        """Whether each image that was not labelled is predicted right."""
        ledger = Ledger.read(self._project() / "ledger.jsonl")
        labeled = {self._paths()[row] for row in ledger.labeled_indices}
        with predictions.open(encoding="utf-8", newline="") as file:
            return [
                row["label"] == self._classes[row["path"]] for row in csv.DictReader(file) if row["path"] not in labeled
            ]

    def _run(self, command: str) -> str:
        finished = subprocess.run(  # noqa: S603
            ["bash", "-c", command],  # noqa: S607
            cwd=self._home, env=self._environment, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, encoding="utf-8",
        )  # fmt: skip
        if finished.returncode:
            raise RuntimeError(f"{command} ended with {finished.returncode}:\n{finished.stdout}")
        return finished.stdout

    def _label(self, command: str) -> str:
        serving = subprocess.Popen(  # noqa: S603
            [*shlex.split(command), "--no-browser"], cwd=self._home, env=self._environment, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, encoding="utf-8",
        )  # fmt: skip
        try:
            address = serving.stdout.readline().strip()
            if not address:
                raise RuntimeError(f"{command} gave no address:\n{serving.stderr.read()}")
            self._label_all(address)
        finally:
            serving.send_signal(signal.SIGINT)
            _, said = serving.communicate(timeout=60)
        return f"{address.partition('token=')[0]}token=…\n{said}"

    def _label_all(self, address: str) -> None:
        from selenium.webdriver.common.by import By

        paths, driver = self._paths(), self._driver
        driver.get(address)
        _wait(driver, lambda: " of " in driver.find_element(By.ID, "done").text)
        n_done, n_all = map(int, re.findall(r"\d+", driver.find_element(By.ID, "done").text)[:2])
        key_of = dict(driver.execute_script(_KEYS))
        while n_done < n_all:
            if self._on_page is not None:
                self._on_page(driver, n_done)
            row = int(driver.find_element(By.ID, "image").get_attribute("data-row"))
            begin = time.perf_counter()
            driver.switch_to.active_element.send_keys(key_of[self._classes[paths[row]]])
            n_done += 1
            done = f"{n_done} of "
            _wait(driver, lambda done=done: driver.find_element(By.ID, "done").text.startswith(done))
            self.key_to_next.append(time.perf_counter() - begin)

    def _paths(self) -> list[str]:
        """The path of each row."""
        return [image[0] for image in json.loads((self._project() / "manifest.json").read_bytes())["images"]]

    def _project(self) -> Path:
        return self._home / f"{FOLDER}.skal"


def _seconds_of_children() -> float:
    """What ended processes took of the processor: it does not depend on what else runs here."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _wait(driver: Any, condition: Callable[[], bool]) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, 20, poll_frequency=0.005).until(lambda _: condition())


@contextmanager
def chromium() -> Iterator[Any]:
    """Start a browser without a window, and end it."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def look(driver: Any, width: int, height: int, *, dark: bool = False) -> None:
    """Take another size of window, and light or dark."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="renew the page and its pictures")
    write = parser.parse_args().write
    page, images = PAGE.read_text("utf-8"), PAGE.parent / "images"
    with tempfile.TemporaryDirectory() as scratch, chromium() as driver:
        home = Path(scratch)

        def picture_of_page(driver: Any, n_done: int) -> None:
            if write and n_done == _DONE_ON_PICTURE and not (home / "way_label.png").exists():
                driver.save_screenshot(os.fspath(home / "way_label.png"))

        look(driver, 1280, 800)
        way = Way(home, write_photos(home), driver, picture_of_page)
        steps = []
        for command in commands_of(page):
            steps.append(way.go(command))
            print(f"{steps[-1].seconds:7.1f} s  {command}\n{steps[-1].output}", flush=True)
        right = way.is_right(home / "predictions.csv")
        truth = f"{sum(right) / len(right):.1%} of the {len(right):,} images that nobody labelled are predicted right"
        timings = f"{_timings(steps)}\n{truth}\n{describe_machine()}\n"
        print(timings)
        if write:
            images.mkdir(exist_ok=True)
            _save(Image.open(home / "way_label.png"), images / "way_label.png")
            take_pictures(driver, home / f"{FOLDER}.skal" / "report.html", images)
            written = _with_outputs(page, steps, scratch)
            measured = re.sub(r"```text\n.*?```", lambda _: f"```text\n{timings}```", written, flags=re.DOTALL)
            PAGE.write_text(measured, "utf-8")


def take_pictures(driver: Any, report: Path, images: Path) -> None:
    """Take the pictures of a report that the page shows."""
    look(driver, 1280, 900)
    driver.get(report.as_uri())
    for name, first, last in (
        ("accuracy", "html", "#accuracy"), ("rounds", "#rounds-bought", "#suspects"), ("map", "#map", "#map"),
    ):  # fmt: skip
        _save(_part(driver, first, last), images / f"report_{name}.png")
    columns = []
    for dark, first in ((False, "html"), (False, "#clusters"), (True, "#map")):
        look(driver, 400, 900, dark=dark)
        driver.get(report.as_uri())
        columns.append(_part(driver, first, first, height=860))
    side_by_side = Image.new("RGB", (sum(each.width + 20 for each in columns) - 20, 860), "#888888")
    for number, column in enumerate(columns):
        side_by_side.paste(column, (number * (columns[0].width + 20), 0))
    _save(side_by_side, images / "report_narrow.png")


def _part(driver: Any, first: str, last: str, height: int | None = None) -> Image.Image:
    """What is to be seen from the top of one element to the end of another."""
    script = """const [from, to] = [...arguments].map((each) => document.querySelector(each).getBoundingClientRect());
        return [from.top + scrollY, to.bottom + scrollY, document.documentElement.clientWidth]"""
    top, bottom, width = driver.execute_script(script, first, last)
    clip = {"x": 0, "y": top, "width": width, "height": height or bottom - top, "scale": 1}
    options = {"format": "png", "captureBeyondViewport": True, "clip": clip}
    taken = driver.execute_cdp_cmd("Page.captureScreenshot", options)
    return Image.open(BytesIO(b64decode(taken["data"]))).convert("RGB")


def _save(image: Image.Image, path: Path) -> None:
    image.convert("RGB").save(path, optimize=True)


def _with_outputs(page: str, steps: list[Step], home: str) -> str:
    """Put what each command wrote behind it, without where that was."""
    outputs = {}
    for step in steps:  # a command that is typed twice stands twice in the page
        outputs.setdefault(step.command, []).append(step.output.replace(home, "~").rstrip().splitlines())

    def renewed(block: re.Match[str]) -> str:
        lines = []
        for line in block[1].splitlines():
            if line.startswith("$ "):
                said = outputs.get(line.removeprefix("$ "), [])
                lines += [line, *_without_progress(said.pop(0) if said else [])]
        return "```console\n" + "".join(f"{line.rstrip()}\n" for line in lines) + "```"

    return re.sub(r"```console\n(.*?)```", renewed, page, flags=re.DOTALL)


def _without_progress(lines: list[str]) -> list[str]:
    """Of lines that say how far a command is, keep the last."""
    progress = [line for line in lines if line.startswith("[")]
    return [line for line in lines if line not in progress[:-1]]


def _timings(steps: list[Step]) -> str:
    shown = [(step.seconds, " ".join(step.command.split()[:2])) for step in steps if step.command.startswith("skal ")]
    return "".join(f"{seconds:6.1f} s  {command}\n" for seconds, command in shown)


if __name__ == "__main__":
    main()
