"""The phone page, and the locks on it: who may show it, and what it may do."""

import base64
import re
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send


def load_page() -> Response:
    """Read the page and allow it its own style and script, by their hashes, and nothing else."""
    html = files("elks_mcp.sandbox").joinpath("phone.html").read_text(encoding="utf-8")
    policy = "; ".join(
        (
            "default-src 'none'",
            f"style-src {_hash_of('style', html)}",
            f"script-src {_hash_of('script', html)}",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
    headers = {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
    }
    return HTMLResponse(html, headers=headers)


def _hash_of(tag: str, html: str) -> str:
    inline = "".join(re.findall(f"<{tag}>(.*?)</{tag}>", html, flags=re.DOTALL))
    return f"'sha256-{base64.b64encode(sha256(inline.encode()).digest()).decode()}'"


class OwnHostsOnly:
    """Refuse what a browser sends on behalf of somebody else's page.

    A Host that is not one of *hosts* means that a stranger's name was made to point at this machine; an
    Origin that is not the Host means that another page is asking.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self._app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] == "http" and not self._is_ours(Request(scope)):
            refusal = PlainTextResponse("The sandbox answers only to its own machine's names.", 403)
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_ours(self, request: Request) -> bool:
        host = request.headers.get("host", "").lower()
        origin = request.headers.get("origin")
        if re.sub(r":[0-9]+$", "", host) not in self._hosts:
            return False
        return origin is None or origin.lower() in {f"http://{host}", f"https://{host}"}
