"""The labelling page in a real browser: Debian's chromium and chromium-driver, with selenium."""

import shutil
import socket
import statistics
import threading
import time

import pytest

from skal.labeling import LabelingProject

uvicorn = pytest.importorskip("uvicorn")
pytest.importorskip("selenium")
if not (shutil.which("chromium") and shutil.which("chromedriver")):
    pytest.skip("chromium and chromium-driver are not installed", allow_module_level=True)

from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

from skal.labeling.page import make_app  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]
TOKEN = "a-secret"  # noqa: S105
COLORS = ("blue", "green", "red")


class Page:
    """The page as a person has it: keys and what is to be seen."""

    def __init__(self, driver):
        self.driver = driver
        self.body = driver.find_element(By.TAG_NAME, "body")

    def press(self, *keys):
        self.driver.switch_to.active_element.send_keys(*keys)

    def text(self, element):
        return self.driver.find_element(By.ID, element).text

    def shown_row(self):
        return int(self.driver.find_element(By.ID, "image").get_attribute("data-row"))

    def wait(self, condition):
        WebDriverWait(self.driver, 10, poll_frequency=0.01).until(lambda _: condition())

    def wait_for_done(self, n_done):
        self.wait(lambda: self.text("done").startswith(f"{n_done} of "))


@pytest.fixture(scope="module")
def driver():
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,900"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def opened(photos, extractor, tmp_path):
    """A project with 40 picked images."""
    with LabelingProject.create(tmp_path / "p", photos, classes=COLORS) as project:
        project.embed(extractor)
        project.select(30, holdout=10)
        yield project


@pytest.fixture
def page(opened, driver):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        app = make_app(opened, token=TOKEN, port=port, annotator="Ada")
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        driver.get(f"http://127.0.0.1:{port}/?token={TOKEN}")
        page = Page(driver)
        page.wait_for_done(0)
        yield page
        driver.get("about:blank")
        server.should_exit = True
        thread.join()


def test_one_key_labels_saves_and_goes_on(page, opened):
    assert "token" not in page.driver.current_url
    truth = {image.row: int(image.path.stem.split()[-1]) % 3 for image in opened.queue}
    key_of = {0: "3", 1: "2", 2: "1"}  # red, green, blue
    seconds = []
    for number in range(1, 41):
        row, begin = page.shown_row(), time.perf_counter()
        page.press(key_of[truth[row]])
        page.wait_for_done(number)
        seconds.append(time.perf_counter() - begin)
    assert opened.labels == {row: COLORS[2 - number] for row, number in truth.items()}
    assert {each.annotator for each in opened.ledger.history} == {"Ada"}
    assert all(each.seconds is not None and 0 < each.seconds < 10 for each in opened.ledger.history)
    assert "All are done" in page.text("done")
    assert statistics.median(seconds) < 1  # the brief of this page says 0.1 s on a quiet machine


def test_undo_look_back_skip_and_a_new_class(page, opened):
    rows = [image.row for image in opened.queue]
    for number, key in enumerate("123", start=1):
        page.press(key)
        page.wait_for_done(number)
    page.press(Keys.BACKSPACE)
    page.wait_for_done(2)
    page.press(Keys.BACKSPACE)
    page.wait_for_done(1)
    assert page.shown_row() == rows[1]
    assert opened.labels == {rows[0]: "blue"}
    page.press(Keys.ARROW_LEFT)
    assert page.shown_row() == rows[0]
    assert page.text("caption").endswith(": blue")
    page.press("2")
    page.wait(lambda: opened.labels == {rows[0]: "green"})
    page.wait(lambda: page.shown_row() == rows[1])
    page.press(Keys.ESCAPE)
    page.press("two ", "things", Keys.ENTER)
    page.wait_for_done(2)
    assert opened.skipped == {rows[1]: "two things"}
    page.press("s")  # no class has this key
    page.press("+")
    page.press("pale green", Keys.ENTER)
    page.wait(lambda: "pale green" in page.text("classes"))
    page.press("4")
    page.wait_for_done(3)
    assert opened.labels[rows[2]] == "pale green"


def test_two_tabs(page, opened):
    rows = [image.row for image in opened.queue]
    first, address = page.driver.current_window_handle, page.driver.current_url
    page.driver.switch_to.new_window("tab")
    page.driver.get(address)
    page.wait_for_done(0)
    page.press("1")
    page.wait_for_done(1)
    page.driver.close()
    page.driver.switch_to.window(first)
    page.press("2")
    page.wait_for_done(1)
    assert "another tab" in page.text("message")
    assert page.shown_row() == rows[1]
    assert opened.labels == {rows[0]: "blue"}


@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_is_cut_off(page, width, tmp_path):
    page.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    )
    page.driver.execute_script("window.scrollTo(0, 0)")
    assert page.driver.execute_script("return document.documentElement.scrollWidth") <= width
    for element in page.driver.find_elements(By.CSS_SELECTOR, "button"):
        if element.is_displayed():
            assert element.rect["x"] >= 0
            assert element.rect["x"] + element.rect["width"] <= width
    assert page.driver.find_element(By.ID, "image").rect["height"] >= 250
    page.driver.save_screenshot(f"{tmp_path}/{width}.png")
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_no_script_of_the_page_fails(page):
    page.driver.get_log("browser")  # of earlier pages
    page.press("?")
    assert page.driver.find_element(By.ID, "help").is_displayed()
    page.press(Keys.ENTER)
    page.wait(lambda: not page.driver.find_element(By.ID, "help").is_displayed())
    page.press("1")
    page.wait_for_done(1)
    severe = [each["message"] for each in page.driver.get_log("browser") if each["level"] == "SEVERE"]
    assert [each for each in severe if "favicon" not in each] == []
