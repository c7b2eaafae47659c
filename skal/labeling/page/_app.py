"""The addresses of the page."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from skal.labeling.page._guard import Guard
from skal.labeling.page._session import OutdatedError, Session

if TYPE_CHECKING:
    from skal.labeling._project import LabelingProject

__all__ = ["make_app"]

_FILES = {
    "/": ("index.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
}


def make_app(project: LabelingProject, *, token: str, port: int, annotator: str | None = None) -> Guard:
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

    Returns
    -------
    Guard
    """
    session = Session(project, annotator)
    static = {path: _static(name, kind) for path, (name, kind) in _FILES.items()}

    async def file(request: Request) -> Response:
        return static[request.url.path]

    async def state(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(session.state))

    async def image(request: Request) -> Response:
        try:
            content, kind = await run_in_threadpool(session.image, request.path_params["row"])
        except KeyError:
            return JSONResponse({"error": "This image was not picked."}, 404)
        except (ValueError, OSError) as error:
            return JSONResponse({"error": str(error)}, 422)
        return Response(content, media_type=kind, headers={"Cache-Control": "private, max-age=3600"})

    async def change(request: Request) -> Response:
        return await run_in_threadpool(_changed, session, request.path_params["what"], await request.body())

    routes = [Route(path, file) for path in _FILES]
    routes += [
        Route("/api/state", state),
        Route("/api/image/{row:int}", image),
        Route("/api/{what}", change, methods=["POST"]),
    ]
    return Guard(Starlette(routes=routes), token, port)


def _changed(session: Session, what: str, body: bytes) -> Response:
    try:
        given = json.loads(body)
        shown = _carry_out(session, what, given)
    except OutdatedError as error:
        return JSONResponse({"error": str(error), "state": session.state()}, 409)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return JSONResponse({"error": str(error)}, 400)
    except (OSError, RuntimeError) as error:
        return JSONResponse({"error": f"Not recorded: {error}"}, 500)
    if shown is None and what not in ("label", "skip", "class"):
        return JSONResponse({"error": "There is no such address."}, 404)
    return JSONResponse({"state": session.state(), "row": shown})


def _carry_out(session: Session, what: str, given: dict[str, Any]) -> int | None:
    seconds = given.get("seconds")
    seconds = float(seconds) if isinstance(seconds, int | float) and 0 <= seconds < 86400 else None
    if what == "label":
        session.label(str(given["version"]), int(given["row"]), given["label"], seconds)
    elif what == "skip":
        session.skip(str(given["version"]), int(given["row"]), str(given["reason"]), seconds)
    elif what == "undo":
        return session.undo(str(given["version"]))
    elif what == "class":
        session.add_class(given["name"])
    return None


def _static(name: str, kind: str) -> Response:
    content = files("skal.labeling.page").joinpath("static", name).read_bytes()
    return Response(content, media_type=kind)
