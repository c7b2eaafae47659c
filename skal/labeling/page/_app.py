"""The addresses of the page."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from skal.labeling.page._guard import Guard
from skal.labeling.page._images import SIZES
from skal.labeling.page._session import OutdatedError, Session

if TYPE_CHECKING:
    from skal.labeling._project import LabelingProject

__all__ = ["make_app"]

_KINDS = {".svg": "image/svg+xml", ".html": "text/html", ".js": "text/javascript", ".css": "text/css"}


def make_app(
    project: LabelingProject, *, token: str, port: int, annotator: str | None = None, suggestions: bool = True
) -> Guard:
    """Make the ASGI application of the page.

    Parameters
    ----------
    project : LabelingProject
        Open to write.
    token : str
        The secret that the first address holds, ``http://127.0.0.1:<port>/?token=<token>``.
    port : int
        That it is served on.
    annotator : str, default=None
        Who labels.
    suggestions : bool, default=True
        Whether to suggest classes from the second round on.

    Returns
    -------
    Guard
        The end of its lifespan ends the process that trains.
    """
    session = Session(project, annotator, suggestions=suggestions)
    static = _static_files()

    async def file(request: Request) -> Response:
        return static[request.url.path]

    async def state(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(session.state))

    async def suggested(request: Request) -> Response:
        known = request.query_params.get("known", "")
        return JSONResponse(await run_in_threadpool(session.suggestions, int(known) if known.isdecimal() else -1))

    async def grid(request: Request) -> Response:
        return await run_in_threadpool(_grid, session, request.query_params)

    async def image(request: Request) -> Response:
        size = request.query_params.get("size", "usual")
        return await run_in_threadpool(_image, session, request.path_params["row"], size)

    async def change(request: Request) -> Response:
        return await run_in_threadpool(_changed, session, request.path_params["what"], await request.body())

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(session.close)

    routes = [Route(path, file) for path in static]
    routes += [
        Route("/api/state", state),
        Route("/api/suggestions", suggested),
        Route("/api/grid", grid),
        Route("/api/image/{row:int}", image),
        Route("/api/{what}", change, methods=["POST"]),
    ]
    return Guard(Starlette(routes=routes, lifespan=lifespan), token, port)


def _image(session: Session, row: int, size: str) -> Response:
    if size not in SIZES:
        return JSONResponse({"error": f"There is no size {size!r}."}, 404)
    try:
        content, kind = session.image(row, size)
    except KeyError:
        return JSONResponse({"error": "This image was not picked."}, 404)
    except (ValueError, OSError) as error:
        return JSONResponse({"error": str(error)}, 422)
    return Response(content, media_type=kind, headers={"Cache-Control": "private, max-age=3600"})


def _grid(session: Session, asked: Any) -> Response:
    try:
        if "near" in asked:
            return JSONResponse(session.grid(near=int(asked["near"])))
        return JSONResponse(session.grid(label=asked.get("label"), go_on="go_on" in asked))
    except ValueError as error:
        return JSONResponse({"error": str(error)}, 400)


def _changed(session: Session, what: str, body: bytes) -> Response:
    carry_out = _CHANGES.get(what)
    if carry_out is None:
        return JSONResponse({"error": "There is no such address."}, 404)
    try:
        return JSONResponse(carry_out(session, json.loads(body)))
    except OutdatedError as error:
        return JSONResponse({"error": str(error), "state": session.state()}, 409)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return JSONResponse({"error": str(error)}, 400)
    except (OSError, RuntimeError) as error:
        return JSONResponse({"error": f"Not recorded: {error}"}, 500)


def _seconds(given: dict[str, Any]) -> float | None:
    seconds = given.get("seconds")
    return float(seconds) if isinstance(seconds, int | float) and 0 <= seconds < 86400 else None


def _rows(given: dict[str, Any]) -> list[int]:
    return [int(row) for row in given["rows"]]


def _suggest(session: Session, given: dict[str, Any]) -> dict[str, Any]:
    session.suggest(given["is_on"] is True)
    return session.suggestions()


_CHANGES: dict[str, Callable[[Session, dict[str, Any]], dict[str, Any]]] = {
    "label": lambda session, given: session.label(
        str(given["version"]), int(given["row"]), given["label"], _seconds(given)
    ),
    "many": lambda session, given: session.label_many(
        str(given["version"]), _rows(given), given["label"], _seconds(given)
    ),
    "skip": lambda session, given: session.skip(
        str(given["version"]), int(given["row"]), str(given["reason"]), _seconds(given)
    ),
    "undo": lambda session, given: session.undo(str(given["version"])),
    "class": lambda session, given: session.add_class(given["name"], given.get("key") or None),
    "suggestions": _suggest,
}


def _static_files() -> dict[str, Response]:
    """What the browser is sent as it is, by its address."""
    found = {}
    for entry in files("skal.labeling.page").joinpath("static").iterdir():
        kind = _KINDS.get(entry.name[entry.name.rfind(".") :])
        if kind is not None:
            address = "/" if entry.name == "index.html" else f"/{entry.name}"
            found[address] = Response(entry.read_bytes(), media_type=kind)
    return found
