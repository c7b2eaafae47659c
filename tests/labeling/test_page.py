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

import pytest
from PIL import Image

from skal.labeling import LabelingProject

uvicorn = pytest.importorskip("uvicorn")
pytest.importorskip("starlette")

from skal.labeling.page import make_app  # noqa: E402
from skal.labeling.page._guard import COOKIE  # noqa: E402

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
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
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
    assert [item["label"] for item in given["state"]["items"][:2]] == ["blue", None]
    assert given["state"]["items"][1]["skipped"] == "blurred"
    assert given["state"]["counts"] == {"blue": 1}
    said = [(each.row, each.annotator, each.source, each.seconds) for each in picked.ledger.history]
    assert said == [(rows[0], "Ada", "page", 1.25), (rows[1], "Ada", "page", 2.0), (rows[0], "Ada", "page", None)]
    assert [browser.post("undo")["row"] for _ in range(3)] == [rows[0], rows[1], rows[0]]
    assert picked.labels == {}
    assert "nothing to undo" in browser.post("undo", status=400)["error"]


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
    from skal.labeling.page._session import Session

    with LabelingProject.create(tmp_path / "p", photos, classes=["cat"]) as project:
        project.embed(extractor)
        row = project.select(2).rows[0]
        session = Session(project)
        with pytest.raises(ValueError, match="none of the classes cat"):
            session.label(session.version, row, "dog", None)
        session.add_class(" dog ")
        session.label(session.version, row, "dog", None)
        assert session.state()["classes"] == ["cat", "dog"]


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
    Image.new("RGB", (3000, 1000)).save(picked.path_of(row))
    answer, content = browser.ask("GET", f"/api/image/{row}")
    with Image.open(BytesIO(content)) as shown:
        assert (shown.format, shown.size) == ("JPEG", (1600, 533))
    picked.path_of(row).write_bytes(b"")
    answer, content = browser.ask("GET", f"/api/image/{row}")
    assert (answer.status, b"not an image" in content) == (422, True)


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
    for wrong in ("", "[]", "{", "null", '{"version": 1}', json.dumps({"row": row, "label": "red"})):
        assert browser.ask("POST", "/api/label", wrong, **good)[0].status in (400, 409)
    assert browser.post("label", row=row, label=7, status=400)
    assert browser.post("label", row=59_000, label="red", status=400)
    assert browser.post("skip", row=row, reason=" ", status=400)
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
    for path in ("/", "/page.js", "/page.css", "/api/state", "/api/image/0", "/nothing"):
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
def test_two_kills_of_the_server_lose_no_label(picked, tmp_path):
    picked.select(40)
    picked.close()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "skal", "label", "--no-browser", "-p", picked.folder, "--annotator", "Ada"]
    acknowledged = []
    for attempt in range(2):
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        address = urlsplit(server.stdout.readline().strip())
        browser = Browser(address.port, parse_qs(address.query)["token"][0])
        for number in range(1000):
            item = browser_item(browser, len(acknowledged))
            if item is None or not acknowledges(browser, *item, f"label {attempt} {number}"):
                break
            acknowledged.append((item[1], f"label {attempt} {number}"))
            if number == 5:
                threading.Timer(0.05 + 0.03 * attempt, server.send_signal, (signal.SIGKILL,)).start()
        server.wait()
        server.stdout.close()
    assert len(acknowledged) > 10
    with LabelingProject.open(picked.folder) as project:
        kept = [(each.row, each.label) for each in project.ledger.history]
    assert set(acknowledged) <= set(kept)
    assert len(kept) == len(set(kept)) <= len(acknowledged) + 2


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
