"""Serve the page on this machine until it is interrupted."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import uvicorn

from skal.labeling.page._app import make_app

if TYPE_CHECKING:
    from skal.labeling._project import LabelingProject

__all__ = ["serve"]


def serve(
    project: LabelingProject,
    *,
    port: int = 0,
    annotator: str | None = None,
    suggestions: bool = True,
    on_address: Callable[[str], None] | None = None,
) -> None:
    """Serve the labelling page of a project, to this machine only.

    Parameters
    ----------
    project : LabelingProject
        Open to write.
    port : int, default=0
        0 takes a free one.
    annotator : str, default=None
        Who labels.
    suggestions : bool, default=True
        Whether to suggest classes from the second round on.
    on_address : callable, default=None
        Told the address to open, once the port is taken; the token in it is a secret.

    Raises
    ------
    OSError
        If the port is taken.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", port))
        except OSError as error:
            raise OSError(error.errno, f"port {port} is taken; pass another --port, or 0 for a free one") from error
        listening.listen(100)  # a browser that is there before the server waits for it
        taken, token = listening.getsockname()[1], secrets.token_urlsafe(32)
        app = make_app(project, token=token, port=taken, annotator=annotator, suggestions=suggestions)
        config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, lifespan="on")
        if on_address is not None:
            on_address(f"http://127.0.0.1:{taken}/?token={token}")
        uvicorn.Server(config).run(sockets=[listening])
