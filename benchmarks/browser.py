"""The labelling page as a person has it: a server, a real browser without a screen, keys and what is to be seen."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from selenium import webdriver
from selenium.common.exceptions import ElementNotInteractableException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from skal.labeling import LabelingProject
from skal.labeling.page import make_app

__all__ = ["HAS_CHROMIUM", "Page", "chromium", "served"]

HAS_CHROMIUM = bool(shutil.which("chromium") and shutil.which("chromedriver"))
TOKEN = "a-secret"  # noqa: S105


class Page:
    """Debian's chromium with the page open in it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, address: str) -> None:
        self.driver.get(address)
        self.wait(lambda: " of " in self.text("done"))

    def press(self, *keys: str) -> None:
        """Type where the focus is; a dialog that is being left may hold it for a moment."""
        for attempt in range(100):
            try:
                return self.driver.switch_to.active_element.send_keys(*keys)
            except ElementNotInteractableException:
                if attempt == 99:
                    raise
                time.sleep(0.01)
        return None

    def element(self, name: str) -> Any:
        return self.driver.find_element(By.ID, name)

    def elements(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def attributes(self, selector: str, name: str) -> list[str]:
        """An attribute of all elements at one moment, however soon they are replaced."""
        script = "return [...document.querySelectorAll(arguments[0])].map((each) => each.getAttribute(arguments[1]))"
        return list(self.run(script, selector, name))

    def text(self, name: str) -> str:
        """What is to be seen of it: one call, where `WebElement.text` is two, of which one walks the document."""
        script = """const found = document.getElementById(arguments[0]);
            return found.checkVisibility() ? found.innerText.trim() : ''"""
        return str(self.run(script, name))

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def shown_row(self) -> int:
        return int(self.run("return document.getElementById('image').dataset.row"))

    def is_shown(self, name: str) -> bool:
        return bool(self.element(name).is_displayed())

    def wait(self, condition: Any, seconds: float = 20) -> None:
        WebDriverWait(self.driver, seconds, poll_frequency=0.01).until(lambda _: condition())

    def wait_for_done(self, n_done: int) -> None:
        """Wait in the page: to ask it a hundred times a second keeps the browser busier than what is waited for."""
        script = """const [start, done] = arguments, element = document.getElementById('done');
            const look = () => element.innerText.startsWith(start) ? done() : setTimeout(look, 5);
            look()"""
        self.driver.execute_async_script(script, f"{n_done} of ")

    def look(self, width: int, height: int, *, dark: bool = False) -> None:
        """Take another size of window, and light or dark."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})

    def errors(self) -> list[str]:
        """What scripts of the page complained of since it was last asked."""
        return [each["message"] for each in self.driver.get_log("browser") if each["level"] == "SEVERE"]


@contextmanager
def chromium() -> Iterator[Any]:
    """Start a browser without a window, and end it."""
    options = webdriver.ChromeOptions()
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1280,900",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


@contextmanager
def served(project: LabelingProject, **options: Any) -> Iterator[str]:
    """Serve the page of a project from a thread; gives the address to open."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        app = make_app(project, token=TOKEN, port=port, **options)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}/?token={TOKEN}"
        finally:
            server.should_exit = True
            thread.join()
