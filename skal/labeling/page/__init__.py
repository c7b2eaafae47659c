"""The labelling page: a server for one person on this machine, and what the browser shows."""

from skal.labeling.page._app import make_app
from skal.labeling.page._serve import serve

__all__ = ["make_app", "serve"]
