"""Who may talk to the page: the browser that was given the token, on this machine, from the page itself.

That a server listens on the loopback address keeps other machines out, but not other web pages: they can name this
address in a form or a script, or have their own name resolve to it. So each request must name the right host, come from
the page's own origin, and bring the cookie that the token was swapped for.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response

__all__ = ["COOKIE", "HEADER", "Guard"]

COOKIE, HEADER = "skal_token", "x-skal"
_MAX_BODY = 10_000
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class Guard:
    """Let a request through to `app`, or answer why not.

    Parameters
    ----------
    app : ASGI application
    token : str
        The secret in the address that is opened first.
    port : int
        Of the server.
    """

    def __init__(self, app: Any, token: str, port: int) -> None:
        self._app = app
        self._token = token
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        target = self._app if refusal is None else refusal

        async def send_with_headers(event: Any) -> None:
            if event["type"] == "http.response.start":
                headers = MutableHeaders(scope=event)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(event)

        await target(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if host not in self._hosts:
            return _refused(f"This page is not served under the name {host!r}.")
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        if origin not in (None, f"http://{host}") or site not in ("none", "same-origin"):
            return _refused("This request comes from another page.")
        if scope["path"] == "/" and scope["method"] == "GET" and scope["query_string"]:
            return self._swapped(scope)
        if not self._knows(_cookie(headers)):
            return _refused("Open the address that `skal label` printed; it holds the token.")
        return _fault_of_post(headers) if scope["method"] not in ("GET", "HEAD") else None

    def _swapped(self, scope: Scope) -> Response:
        """Swap the token in the address for a cookie, so that it stays in no history and no log."""
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if not self._knows(given):
            return _refused("The token is wrong; open the address that `skal label` printed last.")
        response = RedirectResponse("/", status_code=303)
        response.set_cookie(COOKIE, self._token, httponly=True, samesite="strict", path="/")
        return response

    def _knows(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self._token.encode())


def _fault_of_post(headers: Headers) -> Response | None:
    """A form or an image of another page can send neither JSON nor a header of ours."""
    if headers.get("content-type", "").split(";")[0].strip() != "application/json" or HEADER not in headers:
        return _refused("Only JSON from the page is taken.", 415)
    length = headers.get("content-length", "")
    if not length.isdecimal() or int(length) > _MAX_BODY:
        return _refused("The request is too long.", 413)
    return None


def _cookie(headers: Headers) -> str:
    morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    return "" if morsel is None else morsel.value


def _refused(why: str, status: int = 403) -> Response:
    return PlainTextResponse(why, status_code=status)
