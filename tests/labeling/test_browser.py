"""The labelling page in a real browser: Debian's chromium and chromium-driver, with selenium."""

import time
from itertools import product

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("uvicorn")
pytest.importorskip("selenium")

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.keys import Keys

from benchmarks.browser import HAS_CHROMIUM, Page, chromium, served
from skal.labeling import LabelingProject
from tests.labeling.conftest import draw_images, true_label

if not HAS_CHROMIUM:
    pytest.skip("chromium and chromium-driver are not installed", allow_module_level=True)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]
COLORS = ("blue", "green", "red")
KEY_OF = {"blue": "1", "green": "2", "red": "3"}


@pytest.fixture(scope="module")
def driver():
    with chromium() as driver:
        yield driver


@pytest.fixture
def opened(photos, extractor, tmp_path, warm_children):
    """A project with 40 picked images."""
    with LabelingProject.create(tmp_path / "p", photos, classes=COLORS) as project:
        project.embed(extractor)
        project.select(30, holdout=10)
        yield project


@pytest.fixture
def open_page(driver):
    """Serve projects, one after the other, and open their pages; no script may have failed in the end."""
    servers = []

    def show(project, **options):
        servers.append(served(project, annotator="Ada", **options))
        page = Page(driver)
        page.look(1280, 900)
        page.errors()  # of earlier pages
        page.open(servers[-1].__enter__())
        return page

    yield show
    errors = Page(driver).errors()
    driver.get("about:blank")
    for server in servers:
        server.__exit__(None, None, None)
    assert [each for each in errors if "409 (Conflict)" not in each and "400 (Bad Request)" not in each] == []


@pytest.fixture
def page(opened, open_page):
    return open_page(opened)


@pytest.fixture
def second_round(opened, label_queue, open_page):
    """A page in its second round, with 8 images to label and 4 to test with."""
    label_queue(opened, annotator="Ada", source="page")
    opened.select(8, holdout=4)
    page = open_page(opened)
    page.wait(lambda: "30 labels" in page.run("return document.getElementById('suggested-from').textContent"), 120)
    return page


def test_one_key_labels_saves_and_goes_on(page, opened):
    assert "token" not in page.driver.current_url
    truth = {image.row: true_label(image.path) for image in opened.queue}
    for number in range(1, 41):
        page.press(KEY_OF[truth[page.shown_row()]])
        page.wait_for_done(number)
    assert opened.labels == truth
    assert {each.annotator for each in opened.ledger.history} == {"Ada"}
    assert all(each.seconds is not None and 0 < each.seconds < 100 for each in opened.ledger.history)
    assert page.text("finished-title") == "All are done"
    assert "40 labelled, 0 skipped; 10 of them are to test with" in page.text("finished-text")
    page.press("1", "s", "z")  # nothing is shown that they could mean
    page.press(Keys.ARROW_LEFT)
    assert page.text("caption") == f"Image 40 of 40: {list(truth.values())[-1]}"
    assert len(opened.ledger.history) == 40


def test_undo_look_back_skip_and_a_new_class(page, opened):
    rows = [image.row for image in opened.queue]
    for number, key in enumerate("123", start=1):
        page.press(key)
        page.wait_for_done(number)
    page.press(Keys.BACKSPACE)
    page.wait_for_done(2)
    page.press("u")
    page.wait_for_done(1)
    assert page.shown_row() == rows[1]
    assert opened.labels == {rows[0]: "blue"}
    page.press(Keys.ARROW_LEFT)
    assert page.shown_row() == rows[0]
    assert page.text("caption").endswith(": blue")
    page.press("2")
    page.wait(lambda: opened.labels == {rows[0]: "green"})
    page.wait(lambda: page.shown_row() == rows[1])
    page.press("s")
    page.press("two ", "things", Keys.ENTER)
    page.wait_for_done(2)
    assert opened.skipped == {rows[1]: "two things"}
    page.press("s")
    page.press(Keys.ESCAPE)  # left, and nothing said
    page.press("+")
    page.press("pale green", Keys.ENTER)
    page.wait(lambda: "pale green" in page.text("classes"))
    page.press("4")
    page.wait_for_done(3)
    assert opened.labels[rows[2]] == "pale green"
    page.press("+")
    page.press("pink", Keys.TAB, "s", Keys.ENTER)
    page.wait(lambda: "is that of 'skip'" in page.text("message"))
    page.press("+")
    page.press("pink", Keys.TAB, "P", Keys.ENTER)
    page.wait(lambda: "pink" in page.text("classes"))
    page.press("p")
    page.wait_for_done(4)
    assert opened.labels[rows[3]] == "pink"
    assert 'keys = {"pink" = "P"}' in (opened.folder / "skal.toml").read_text()


SLOW_STATE = """
const quick = window.fetch;
window.fetch = async (path, ...rest) => {
  const answer = await quick(path, ...rest);
  if (path === "/api/state") await new Promise((go) => setTimeout(() => { window.isLate = true; go(); }, 700));
  return answer;
};
window.dispatchEvent(new Event("focus"));
"""


def test_an_old_state_that_comes_late_does_not_take_a_label_back(page):
    page.run(SLOW_STATE)
    page.press("1")
    page.wait_for_done(1)
    page.wait(lambda: page.run("return window.isLate"))
    page.run("return new Promise((go) => setTimeout(go, 50))")
    assert page.text("done").startswith("1 of ")


def test_two_tabs(page, opened):
    rows = [image.row for image in opened.queue]
    first, address = page.driver.current_window_handle, page.driver.current_url
    page.run("window.dispatchEvent = () => true")
    page.driver.switch_to.new_window("tab")
    page.open(address)
    page.press("1")
    page.wait_for_done(1)
    page.driver.close()
    page.driver.switch_to.window(first)
    page.wait_for_done(1)  # it comes to the front, and catches up by itself
    assert page.shown_row() == rows[1]
    assert opened.labels == {rows[0]: "blue"}


def test_a_tab_that_is_behind_records_nothing(page, opened):
    rows = [image.row for image in opened.queue]
    page.run(  # as another tab would, while this one stays in front
        "const state = await (await fetch('/api/state')).json();"
        "await fetch('/api/label', {method: 'POST', headers: {'Content-Type': 'application/json', 'X-Skal': '1'},"
        " body: JSON.stringify({version: state.version, row: arguments[0], label: 'blue'})});",
        rows[0],
    )
    page.press("2")
    page.wait_for_done(1)
    assert "another tab" in page.text("message")
    assert page.shown_row() == rows[1]
    assert opened.labels == {rows[0]: "blue"}


def test_zoom_by_keys_and_pointer(page):
    def scale():
        matrix = page.run("return getComputedStyle(document.getElementById('image')).transform")
        return 1.0 if matrix == "none" else float(matrix.removeprefix("matrix(").split(",")[0])

    def shift():
        return page.run("return new DOMMatrix(getComputedStyle(document.getElementById('image')).transform).e")

    row = page.shown_row()
    for expected in (2, 4, 8, 1, 2):
        page.press("z")
        assert scale() == expected
    before = shift()
    page.press(Keys.ARROW_RIGHT)
    assert shift() < before
    assert page.shown_row() == row  # the arrow looked around
    for _ in range(9):
        page.press(Keys.ARROW_LEFT)
    assert shift() == 0  # no farther than the edge
    page.press(Keys.ESCAPE)
    assert scale() == 1
    page.press(Keys.ARROW_RIGHT)
    assert page.shown_row() != row
    frame = page.element("frame")
    pointer = ScrollOrigin.from_element(frame, 200, 100)
    ActionChains(page.driver).scroll_from_origin(pointer, 0, -300).perform()
    page.wait(lambda: scale() == 2)
    before = shift()
    ActionChains(page.driver).drag_and_drop_by_offset(frame, 40, 0).perform()
    assert shift() > before
    ActionChains(page.driver).double_click(frame).perform()
    assert scale() == 1
    page.press("z")
    page.press("1")
    page.wait_for_done(1)
    assert scale() == 1  # the next image is shown whole


def test_a_large_image_is_fetched_whole_when_somebody_looks_closer(tmp_path, extractor, open_page):
    (tmp_path / "photos").mkdir()
    for number in range(2):
        Image.new("RGB", (2000, 1000), (number, 0, 0)).save(tmp_path / f"photos/{number}.jpg")
    with LabelingProject.create(tmp_path / "p", tmp_path / "photos", classes=COLORS) as project:
        project.embed(extractor)
        project.select(1)
        page = open_page(project)
        width = "return document.getElementById('image').naturalWidth"
        page.wait(lambda: page.run(width) == 1600)
        page.press("z")
        page.wait(lambda: page.run(width) == 2000)


def test_more_than_20_classes_are_typed(photos, extractor, tmp_path, open_page):
    classes = [f"class {number:02}" for number in range(25)]
    with LabelingProject.create(tmp_path / "p", photos, classes=classes) as project:
        project.embed(extractor)
        project.select(9)
        rows = [image.row for image in project.queue]
        page = open_page(project)
        page.press("SS 1")
        page.wait(lambda: len(page.elements("#classes button")) == 10)
        page.press("7", Keys.ENTER)
        page.wait_for_done(1)
        assert project.labels == {rows[0]: "class 17"}
        page.press("zz")  # no such class
        page.press(Keys.ENTER)
        page.press(Keys.ESCAPE)
        page.press(Keys.ARROW_RIGHT)
        assert page.shown_row() == rows[2]
        page.press(Keys.ESCAPE, "s")
        page.wait(lambda: page.is_shown("ask"))
        page.press("blurred", Keys.ENTER)
        page.wait_for_done(2)
        assert project.skipped == {rows[2]: "blurred"}
        page.press(Keys.BACKSPACE)
        page.wait_for_done(1)


def test_a_pick_and_the_images_most_like_it_get_one_label(page, opened):
    held_out = set(opened.held_out)
    first = next(image.row for image in opened.queue if image.row not in held_out)
    page.press("g")
    page.wait(lambda: len(page.elements("#cells button")) > 9)
    rows = list(map(int, page.attributes("#cells button", "data-row")))
    assert rows[0] == first
    assert not held_out & set(rows)
    page.press(Keys.ARROW_RIGHT)  # to the first
    page.press(Keys.ARROW_RIGHT, Keys.SPACE)
    page.press(Keys.ARROW_DOWN, Keys.SPACE)
    n_columns = page.run("return getComputedStyle(cells).gridTemplateColumns.split(' ').length")
    left = {rows[1], rows[1 + n_columns]}
    marked = set(map(int, page.attributes("#cells button[aria-pressed=true]", "data-row")))
    assert marked == set(rows) - left
    page.press("3")
    page.wait(lambda: f"{len(marked)} labelled many at once" in page.text("done"))
    assert opened.labels == dict.fromkeys(marked, "red")
    assert set(opened.labeled_together) == marked
    assert {each.source for each in opened.ledger.history} == {"page, many at once"}
    page.wait(lambda: int(page.attributes("#cells button", "data-row")[0]) not in marked)
    page.press("u")  # all of them
    page.wait(lambda: not opened.labels)
    page.wait(lambda: "many at once" not in page.text("done"))
    page.press(Keys.ESCAPE)
    assert page.is_shown("image")


def test_all_images_that_one_class_is_predicted_for(second_round, opened):
    page = second_round
    page.press("g")
    page.wait(lambda: "predicted: red" in page.text("grid-source"))
    page.element("grid-source").click()
    page.press("predicted: red", Keys.ENTER)
    page.wait(lambda: page.elements("#classes button.predicted"))
    expected = opened.suggest().predicted("red")
    page.wait(lambda: len(page.elements("#cells button")) <= len(expected))
    rows = list(map(int, page.attributes("#cells button", "data-row")))
    assert rows
    assert set(rows) <= set(expected)
    page.element("mark").click()
    assert page.text("grid-text").startswith("0 marked")
    page.press("3")
    page.element("mark").click()
    page.press("3")
    page.wait(lambda: set(opened.labeled_together) == set(rows))
    page.wait(lambda: "No image is left here" in page.text("grid-text"))


def test_suggestions_and_their_switch(second_round, opened):
    page, held_out = second_round, set(opened.held_out)
    for image in list(opened.queue):
        page.wait(lambda row=image.row: page.shown_row() == row)
        found = [each.text.split("\n") for each in page.elements("#suggested button")]
        if image.row in held_out:
            assert found == []
            assert "none for this image" in page.text("suggested-from")
        else:
            assert page.text("suggested-from") == "Suggestions from 30 labels"
            assert found[0][1] == true_label(image.path)
            assert len(found) == 3
            assert sum(int(share.removesuffix(" %")) for _, _, share in found) == pytest.approx(100, abs=2)
            assert page.run("return spoken.textContent").endswith(" %.")
        page.press(Keys.ARROW_RIGHT)
    page.press(*[Keys.ARROW_LEFT] * 3)
    page.element("suggesting").click()
    page.wait(lambda: page.text("suggesting") == "Suggestions off")
    assert not page.is_shown("suggestions")
    page.element("suggesting").click()
    page.wait(lambda: page.is_shown("suggestions"))


def test_no_suggestions_in_the_first_round(page):
    assert not page.is_shown("suggestions")
    assert not page.is_shown("suggesting")


def test_money_and_progress(opened, open_page):
    opened.settings = opened.settings.over(price=0.05)
    page = open_page(opened)
    assert page.text("money") == "0.00 spent, 2.00 left"
    page.press("1")
    page.wait_for_done(1)
    assert page.text("money") == "0.05 spent, 1.95 left"
    assert "s a label" in page.text("done")
    assert page.run("return progress.value / progress.max") == pytest.approx(1 / 40)
    assert page.elements("#classes button")[0].text.split("\n") == ["1", "blue", "1"]


def test_nothing_is_cut_off_and_all_can_be_read(page):
    for width, dark in product((1280, 400), (False, True)):
        page.look(width, 800, dark=dark)
        see_that_nothing_is_cut_off(page, width)


def see_that_nothing_is_cut_off(page, width):
    views = (("", "image"), ("z", "image"), ("?", "help"), ("+", "ask"), ("g", "grid"), (Keys.ESCAPE, "image"))
    for keys, seen in views:
        page.press(*keys)
        page.wait(lambda seen=seen: page.is_shown(seen))
        if keys == "g":
            page.wait(lambda: page.elements("#cells button"))
        assert page.run("return document.documentElement.scrollWidth") <= width
        edges = page.run(
            "return [...document.querySelectorAll('button, select, input')].filter((each) => each.checkVisibility())"
            ".map((each) => each.getBoundingClientRect()).map(({ left, right }) => [left, right])"
        )
        assert edges
        assert all(0 <= left <= right <= width for left, right in edges), edges
        assert lowest_contrast(page) >= 4.5
        if seen in ("help", "ask"):
            page.press(Keys.ESCAPE)
    assert page.element("frame").rect["height"] >= 250


def lowest_contrast(page):
    """Of text with its ground, as WCAG measures it; 4.5 is its AA."""
    pairs = page.run(
        "return [...document.querySelectorAll('p, button:enabled, figcaption, dt, dd, label')].filter((each) =>"
        "  each.checkVisibility() && each.textContent.trim()).map((each) => {"
        "  let behind = each;"
        "  while (behind.parentElement && getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)')"
        "    behind = behind.parentElement;"
        "  return [getComputedStyle(each).color, getComputedStyle(behind).backgroundColor];"
        "})"
    )
    assert pairs
    return min(contrast(*map(rgb, pair)) for pair in pairs)


def rgb(text):
    return np.array([float(part) for part in text.split("(")[1].rstrip(")").split(",")[:3]]) / 255


def contrast(one, other):
    linear = [np.where(each <= 0.04045, each / 12.92, ((each + 0.055) / 1.055) ** 2.4) for each in (one, other)]
    lower, higher = sorted(float(each @ [0.2126, 0.7152, 0.0722]) for each in linear)
    return (higher + 0.05) / (lower + 0.05)


def test_what_a_screen_reader_says(page, opened):
    assert page.element("image").get_attribute("alt") == "Image 1 of 40"
    page.press("1")
    page.wait_for_done(1)
    page.wait(lambda: page.run("return spoken.textContent") == "Labelled blue. Image 2 of 40")
    page.press("u")
    page.wait(lambda: page.run("return spoken.textContent").startswith("Taken back."))
    assert page.element("spoken").get_attribute("aria-live") == "polite"
    assert page.element("message").get_attribute("role") == "alert"
    nameless = page.run(
        "return [...document.querySelectorAll('button, input, select, progress, section, dialog, img')].filter("
        "(each) => !(each.textContent.trim() || each.ariaLabel || each.labels?.length || each.alt ||"
        " each.getAttribute('aria-labelledby'))).map((each) => each.outerHTML)"
    )
    assert nameless == []
    assert [each.get_attribute("aria-keyshortcuts") for each in page.elements("#classes button")] == ["1", "2", "3"]


def test_help(page):
    page.press("?")
    assert page.is_shown("help")
    page.press("1")  # labels nothing meanwhile
    page.press(Keys.ENTER)
    page.wait(lambda: not page.is_shown("help"))
    assert page.text("done").startswith("0 of 40")


def test_everything_can_be_done_with_the_keyboard(page):
    """Tab reaches every button that is shown, and no dialog or field keeps it."""
    usable = [each for each in page.elements("button:enabled") if each.is_displayed()]
    wanted = {each.get_attribute("id") or each.text for each in usable}
    reached = set()
    for _ in range(len(wanted) + 3):
        page.press(Keys.TAB)
        active = page.driver.switch_to.active_element
        reached.add(active.get_attribute("id") or active.text)
    assert wanted <= reached


def test_100_fed_labels_lose_none(tmp_path, extractor, open_page):
    draw_images(tmp_path / "photos", n_images=110)
    with LabelingProject.create(tmp_path / "p", tmp_path / "photos", classes=COLORS) as project:
        project.embed(extractor)
        project.select(80, holdout=20)
        truth = {image.row: true_label(image.path) for image in project.queue}
        page = open_page(project)
        # Keys come from within the browser, as fast as it shows the images.
        page.run(
            "window.fed = [];"
            "const truth = arguments[0], keys = arguments[1];"
            "new MutationObserver(() => {"
            "  const row = image.dataset.row;"
            "  if (fed.at(-1)?.[0] === row || single.hidden) return;"
            "  fed.push([row, truth[row]]);"
            "  document.body.dispatchEvent(new KeyboardEvent('keydown', { key: keys[truth[row]], bubbles: true }));"
            "}).observe(spoken, { childList: true });",
            truth,
            KEY_OF,
        )
        begin = time.monotonic()
        page.press(Keys.ARROW_RIGHT)
        page.wait(lambda: page.is_shown("finished"), 300)
        fed = {int(row): label for row, label in page.run("return fed")}
        assert (len(fed), page.text("finished-title")) == (100, "All are done")
        assert fed == truth, time.monotonic() - begin
    with LabelingProject.open(tmp_path / "p") as project:
        assert project.labels == truth
        assert len(project.ledger.history) == 100
