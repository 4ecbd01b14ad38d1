"""The door of a web server that has no passwords: requests made by this machine's user, in the server's own pages.

Dagster's server answers whoever reaches it, and a browser reaches it for any page its user opens: a page may send
simple requests (GET, and POST of text or forms) to 127.0.0.1, and a name that its owner points at 127.0.0.1 makes the
page look like the server's own. Such a page cannot read the answers of the former, but a run is launched all the same.
So the door asks of every request, websockets included: is it addressed to this machine by a name of its own, does it
come from the server's own pages or from no page at all, and could only such a page have sent it in this form?
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({"", "same-origin", "none"})


def refusal(scope: Mapping[str, Any]) -> str | None:
    """Return why a request (an ASGI scope of type http or websocket) is refused, None where it is welcome.

    Rules: Host names this machine. Origin, where sent, is the server's own. Sec-Fetch-Site, where sent, says that the
    server's own page or the user asked; a link from elsewhere may open a page, in a window and not in a frame. GraphQL
    is not asked by GET. What changes something is sent as application/json, which no foreign page can send.
    """
    headers = _headers(scope)
    host = headers.get("host", "")
    if _name(host) not in NAMES:
        return f"it is addressed to {host[:80]!r}, and this server answers to 127.0.0.1 and localhost only"
    origin = headers.get("origin")
    if origin is not None and not _is_own(origin, host):
        return f"it comes from a page of {origin[:80]!r}"
    if scope["type"] == "websocket":
        return None
    method, path = scope["method"], scope["path"].rstrip("/")
    asks_graphql = path == "/graphql"
    site = headers.get("sec-fetch-site", "")
    opens_a_page = method in ("GET", "HEAD") and not asks_graphql and _is_navigation(headers)
    if site not in _OWN_SITES and not opens_a_page:
        return f"a page of another site sent it (Sec-Fetch-Site: {site[:20]})"
    if method in _SAFE_METHODS:
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        if asks_graphql and "query" in query:
            return "GraphQL is asked by POST here: any page can make a browser send a GET"
        return None
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        return f"its Content-Type is {kind[:80] or 'absent'}; send application/json"
    return None


class Guard:
    """An ASGI application that answers 403 to what `refusal` refuses, and hands on the rest."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection."""
        why = refusal(scope) if scope["type"] in ("http", "websocket") else None
        if why is None:
            await self._app(scope, receive, _unframed(send))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": why[:120]})  # before accepting: a 403
        else:
            text = f"refused: {why}. This server has no passwords, so it serves this machine's user only.\n".encode()
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(text)).encode())]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else text})


def _unframed(send: Any) -> Any:
    """Return `send` with a header that keeps pages out of other sites' frames, where a click can be stolen."""

    async def framed_by_nobody(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), (b"x-frame-options", b"SAMEORIGIN")]}
        await send(message)

    return framed_by_nobody


def _headers(scope: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers by name; of one sent twice all values, so that none hides behind another."""
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").strip()
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _name(host: str) -> str:
    """Return the name in a Host header without its port; empty where it is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "") if not set(host) & set("/?#@\\, ") else ""
    except ValueError:
        return ""


def _is_own(origin: str, host: str) -> bool:
    return origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}")


def _is_navigation(headers: Mapping[str, str]) -> bool:
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
