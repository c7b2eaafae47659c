"""The labelling page: what it answers, and whom."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from io import BytesIO
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image

from skal.labeling import LabelingProject

uvicorn = pytest.importorskip("uvicorn")
pytest.importorskip("starlette")

from skal.labeling.page import make_app  # noqa: E402
from skal.labeling.page._guard import COOKIE  # noqa: E402
from skal.labeling.page._session import Session  # noqa: E402

TOKEN = "a-secret"  # noqa: S105


class Browser:
    """Sends what a browser would, from the page, unless told otherwise."""

    def __init__(self, port, token=TOKEN):
        self.port = port
        self.headers = {"Cookie": f"{COOKIE}={token}", "Sec-Fetch-Site": "same-origin"}

    def ask(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        sent = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {name: value for name, value in sent.items() if value is not None})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer, content

    def state(self):
        return json.loads(self.ask("GET", "/api/state")[1])

    def post(self, what, *, status=200, version=None, **content):
        body = json.dumps({"version": version or self.state()["version"], **content})
        answer, given = self.ask("POST", f"/api/{what}", body, Content_Type="application/json", X_Skal="1")
        assert answer.status == status, given
        return json.loads(given)


@pytest.fixture
def picked(project):
    project.select(6, holdout=2)
    return project


@pytest.fixture
def browser(picked):
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    app = make_app(picked, token=TOKEN, port=port, annotator="Ada")
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield Browser(port)
    server.should_exit = True
    thread.join()
    listening.close()


def test_label_skip_undo_and_change(browser, picked):
    state = browser.state()
    rows = [item["row"] for item in state["items"]]
    assert rows == list(picked.ledger.rounds[0].rows)
    assert all(item["label"] is None and item["skipped"] is None for item in state["items"])
    browser.post("label", row=rows[0], label="red", seconds=1.25)
    browser.post("skip", row=rows[1], reason="blurred", seconds=2)
    given = browser.post("label", row=rows[0], label="blue")  # looked back, and changed
    assert [(item["row"], item["label"]) for item in given["changed"]] == [(rows[0], "blue")]
    assert given["classes"] == [{"name": "blue", "key": "1", "count": 1}]
    items = browser.state()["items"]
    assert [(item["label"], item["skipped"]) for item in items[:2]] == [("blue", None), (None, "blurred")]
    said = [(each.row, each.annotator, each.source, each.seconds) for each in picked.ledger.history]
    assert said == [(rows[0], "Ada", "page", 1.25), (rows[1], "Ada", "page", 2.0), (rows[0], "Ada", "page", None)]
    assert [browser.post("undo")["changed"][0]["row"] for _ in range(3)] == [rows[0], rows[1], rows[0]]
    assert picked.labels == {}
    assert "nothing to undo" in browser.post("undo", status=400)["error"]


def test_what_others_said_is_not_taken_back(browser, picked):
    row = browser.state()["items"][0]["row"]
    browser.post("label", row=row, label="red")
    picked.label(row, "blue", annotator="Grace", source="csv labels.csv")
    picked.label(row + 1, "blue", annotator="Ada", source="csv labels.csv")
    assert "nothing to undo" in browser.post("undo", status=400)["error"]
    picked.undo(row)
    assert browser.post("undo")["changed"][0]["row"] == row
    assert picked.labels == {row + 1: "blue"}


def test_what_a_page_is_told_of_changes_adds_up_to_the_state(browser, picked):
    items = {item["row"]: item for item in browser.state()["items"]}
    rows, rng = list(items), np.random.default_rng(0)
    for _ in range(60):
        what, row = rng.choice(["label", "label", "skip", "undo", "many"]), int(rng.choice(rows))
        if what == "many":
            near = browser.ask("GET", f"/api/grid?near={row}")
            if near[0].status != 200:
                continue
            given = browser.post("many", rows=json.loads(near[1])["rows"][:3], label="red")
        elif what == "undo":
            given = browser.post("undo", status=200 if picked.labels or picked.skipped else 400)
        else:
            given = browser.post(what, row=row, label=str(rng.choice(["red", "blue"])), reason="blurred")
        for item in given.get("changed", ()):
            items[item["row"]] = item
            if item.get("is_gone"):
                del items[item["row"]]
        state = browser.state()
        assert items == {item["row"]: item for item in state["items"]}
        assert {row: item["label"] for row, item in items.items() if item["label"]} == picked.labels
        assert {each["name"]: each["count"] for each in state["classes"]} == picked.counts()


def test_every_answer_is_on_disk_before_it_is_acknowledged(browser, picked):
    for number, item in enumerate(browser.state()["items"], start=1):
        browser.post("label", row=item["row"], label="red")
        looking = LabelingProject.open(picked.folder, read_only=True)
        assert len(looking.ledger.history) == number


def test_two_tabs_cannot_diverge(browser, picked):
    version = browser.state()["version"]
    rows = picked.ledger.rounds[0].rows
    browser.post("label", row=rows[0], label="red", version=version)
    given = browser.post("label", row=rows[0], label="blue", version=version, status=409)
    assert "another tab" in given["error"]
    assert given["state"]["items"][0]["label"] == "red"
    assert picked.labels == {rows[0]: "red"}


def test_a_class_that_is_added_midway(photos, extractor, tmp_path):
    with LabelingProject.create(tmp_path / "p", photos, classes=["cat"]) as project:
        project.embed(extractor)
        row = project.select(2).rows[0]
        project.label(row, "cow", new_class=True)
        session = Session(project)
        with pytest.raises(ValueError, match="none of the classes cat"):
            session.label(session.version, row, "dog", None)
        given = session.add_class(" dog ", "d")
        assert [(each["name"], each["key"]) for each in given["classes"]] == [("cat", "1"), ("cow", "2"), ("dog", "d")]
        session.label(session.version, row, "dog", None)
        session.label(session.version, row, "cow", None)
    with LabelingProject.open(project.folder) as project:
        session = Session(project)
        session.label(session.version, row, "dog", None)
        assert [each["name"] for each in session.state()["classes"]] == ["cat", "cow", "dog"]


def test_from_21_classes_on_they_are_typed_unless_each_has_a_key(photos, extractor, tmp_path):
    with LabelingProject.create(tmp_path / "p", photos, classes=[f"class {n}" for n in range(20)]) as project:
        project.embed(extractor)
        project.select(2)
        session = Session(project)
        assert not session.state()["is_searched"]
        assert session.add_class("another")["is_searched"]
        keys = dict(zip(project.classes, "abcdefhijklmnopqrtvwxy", strict=False))
        project.settings = project.settings.over(keys=keys)
        assert not session.state()["is_searched"]


def test_money(browser, picked):
    assert browser.state()["money"] is None
    picked.settings = picked.settings.over(price=0.5)
    rows = [item["row"] for item in browser.state()["items"]]
    assert browser.state()["money"] == {"spent": 0, "left": 4}
    browser.post("label", row=rows[0], label="red")
    browser.post("label", row=rows[0], label="blue")  # changed, and not paid for again
    assert browser.post("skip", row=rows[1], reason="blurred")["money"] == {"spent": 1, "left": 3}
    picked.settings = picked.settings.over(money=10)
    assert browser.state()["money"] == {"spent": 1, "left": 9}
    assert browser.post("undo")["money"] == {"spent": 0.5, "left": 9.5}


def test_images_are_shown_by_the_number_of_a_picked_one_only(browser, picked, photos):
    row = picked.ledger.rounds[0].rows[0]
    answer, content = browser.ask("GET", f"/api/image/{row}")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/png")
    with Image.open(BytesIO(content)) as shown, Image.open(picked.path_of(row)) as kept:
        assert shown.tobytes() == kept.tobytes()
    other = next(row for row in range(60) if row not in picked.ledger.rounds[0].rows)
    for path in (
        f"/api/image/{other}", "/api/image/-1", "/api/image/1000", "/api/image/..%2f..%2fskal.toml",
        "/api/image/../../skal.toml", "/../skal.toml", "/skal.toml", "/static/page.js", "/%2e%2e/manifest.json",
        "/api/nothing",
    ):  # fmt: skip
        answer, content = browser.ask("GET", path)
        assert answer.status in (404, 405), path
        assert b"skal project" not in content
    assert browser.ask("GET", f"/api/image/{row}?size=../../skal.toml")[0].status == 404
    Image.new("RGB", (8, 8)).save(picked.path_of(row))
    answer, content = browser.ask("GET", f"/api/image/{row}")
    assert (answer.status, b"changed since it was taken in" in content) == (422, True)
    picked.path_of(row).write_bytes(b"")
    answer, content = browser.ask("GET", f"/api/image/{row}")
    assert (answer.status, b"not an image" in content) == (422, True)


def test_sizes_of_images_which_are_upright(tmp_path, extractor):
    (tmp_path / "photos").mkdir()
    left_half = Image.new("RGB", (3000, 1000), "blue")
    left_half.paste("red", (0, 0, 1500, 1000))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: what is left in the file belongs above
    exif[0x010E] = "where it was taken"
    for number in range(3):
        left_half.save(tmp_path / f"photos/{number}.jpg", exif=exif)
    with LabelingProject.create(tmp_path / "p", tmp_path / "photos") as project:
        project.embed(extractor)
        row = project.select(1).rows[0]
        session = Session(project)
        for size, expected in (("usual", (533, 1600)), ("small", (80, 240)), ("full", (1000, 3000))):
            content, kind = session.image(row, size)
            with Image.open(BytesIO(content)) as shown:
                assert (shown.size, shown.getexif()) == (expected, {})
                above, below = (shown.getpixel((30, y)) for y in (10, shown.height - 10))
            assert above[0] > 200 > 50 > above[2]
            assert below[2] > 200 > 50 > below[0]
        assert kind == "image/jpeg"
        with pytest.raises(KeyError):
            session.image(1 - row)


@pytest.mark.slow
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:80"},
        {"Host": "127.0.0.1"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Cookie": None},
        {"Cookie": f"{COOKIE}=wrong"},
        {"Cookie": f"{COOKIE}="},
        {"Cookie": f"other={TOKEN}"},
    ],
)
def test_strangers_are_refused(browser, picked, headers):
    body = json.dumps({"version": browser.state()["version"], "row": picked.ledger.rounds[0].rows[0], "label": "red"})
    for method, path in (("GET", "/"), ("GET", "/api/state"), ("GET", "/page.js"), ("POST", "/api/label")):
        sent = {"Content_Type": "application/json", "X_Skal": "1"} | headers
        answer, content = browser.ask(method, path, body if method == "POST" else None, **sent)
        assert answer.status == 403, (path, content)
        assert b"items" not in content
    assert picked.ledger.history == ()


def test_forms_and_requests_that_a_form_could_make_are_refused(browser, picked):
    row = picked.ledger.rounds[0].rows[0]
    body = json.dumps({"version": browser.state()["version"], "row": row, "label": "red"})
    for headers in (
        {"Content_Type": "application/x-www-form-urlencoded", "X_Skal": "1"},
        {"Content_Type": "text/plain", "X_Skal": "1"},
        {"Content_Type": "application/json"},
        {},
    ):
        assert browser.ask("POST", "/api/label", body, **headers)[0].status == 415
    good = {"Content_Type": "application/json", "X_Skal": "1"}
    assert browser.ask("POST", "/api/label", " " * 10_001, **good)[0].status == 413
    assert browser.ask("POST", "/api/label", iter([body.encode()]), **good)[0].status == 413  # chunks, of no known size
    for wrong in ("", "[]", "{", "null", '{"version": 1}', json.dumps({"row": row, "label": "red"})):
        assert browser.ask("POST", "/api/label", wrong, **good)[0].status in (400, 409)
    assert browser.post("label", row=row, label=7, status=400)
    assert browser.post("label", row=59_000, label="red", status=400)
    assert browser.post("skip", row=row, reason=" ", status=400)
    assert browser.post("many", rows=[row, row], label="red", status=400)
    assert browser.post("many", rows=[], label="red", status=400)
    assert browser.post("many", rows=[59_000], label="red", status=400)
    assert browser.post("class", name=["x"], status=400)
    assert browser.post("class", name="x", key="s", status=400)
    assert browser.post("nothing", status=404)
    assert browser.ask("DELETE", "/api/state", "", **good)[0].status == 405
    assert picked.ledger.history == ()


def test_the_token_is_swapped_for_a_cookie(browser):
    answer, _ = browser.ask("GET", "/?token=a-secret", Cookie=None)
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"{COOKIE}={TOKEN}")
    assert {"httponly", "samesite=strict"} <= {part.strip().lower() for part in cookie.split(";")}
    for wrong in ("/?token=wrong", "/?token=", "/?other=1"):
        assert browser.ask("GET", wrong, Cookie=None)[0].status == 403


def test_headers_that_keep_the_page_to_itself(browser):
    for path in (
        "/", "/page.js", "/grid.js", "/page.css", "/api/state", "/api/grid", "/api/suggestions", "/api/image/0", "/no",
    ):  # fmt: skip
        answer, content = browser.ask("GET", path)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "http://" not in content.decode("latin-1")
        assert "https://" not in content.decode("latin-1")
    page = browser.ask("GET", "/")[1].decode()
    assert "<script src=" in page
    assert all(f"on{event}=" not in page for event in ("click", "load", "error"))
    assert " style=" not in page


@pytest.mark.slow
def test_a_kill_of_the_server_loses_no_label(picked, tmp_path):
    picked.select(40)
    picked.close()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "skal", "label", "--no-browser", "-p", picked.folder, "--annotator", "Ada"]
    acknowledged = []
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    address = urlsplit(server.stdout.readline().strip())
    browser = Browser(address.port, parse_qs(address.query)["token"][0])
    for number in range(1000):
        item = browser_item(browser, number)
        if item is None or not acknowledges(browser, *item, f"label {number}"):
            break
        acknowledged.append((item[1], f"label {number}"))
        if number == 10:
            threading.Timer(0.05, server.send_signal, (signal.SIGKILL,)).start()
    server.wait()
    server.stdout.close()
    assert len(acknowledged) > 10
    with LabelingProject.open(picked.folder) as project:
        kept = [(each.row, each.label) for each in project.ledger.history]
    assert set(acknowledged) <= set(kept)
    assert len(kept) == len(set(kept)) <= len(acknowledged) + 1


def browser_item(browser, place):
    try:
        state = browser.state()
    except (OSError, http.client.HTTPException):
        return None
    return state["version"], state["items"][place % len(state["items"])]["row"]


def acknowledges(browser, version, row, label):
    try:
        browser.post("label", version=version, row=row, label=label)
    except (OSError, http.client.HTTPException):
        return False
    return True
