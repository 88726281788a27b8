"""Refuses requests that a browser sends for a page of another site.

A browser lets any page send requests to this machine, but a page cannot set three of their headers: `Host`,
`Origin` and `Sec-Fetch-Site` (https://www.w3.org/TR/fetch-metadata/). A program that is not a browser sends
only the first.
"""

import re
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_WRONG_HOST = (
    "The sandbox answers only requests to a name of this machine, such as localhost. "
    "Another name can be a web site that points to this machine."
)
_OTHER_PAGE = (
    "The sandbox does not answer requests from pages of other sites. "
    "To see the phones, type the address into the browser instead of following a link."
)
_OWN_SITES = {"same-origin", "none"}
"""Requests of the sandbox's own page, or of the user. A page at another port is `same-site`, which is
refused."""


class SameOriginMiddleware:
    """Answers 403 to requests that a browser sends for a page of another site.

    Args:
        app: the app that gets the other requests.
        hosts: names of this machine, without port. A request to any other name, or to none, is refused,
            since an attacker's name can be made to point to this machine (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self._app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        refusal = self._find_refusal(Headers(scope=scope)) if scope["type"] == "http" else ""
        app = PlainTextResponse(refusal, 403) if refusal else self._app
        await app(scope, receive, send)

    def _find_refusal(self, headers: Headers) -> str:
        """Return why a request is refused, or "". A header that is sent twice has to be right twice."""
        hosts = {host.lower() for host in headers.getlist("host")}
        if len(hosts) != 1 or not {re.sub(r":[0-9]+$", "", host) for host in hosts} <= self._hosts:
            return _WRONG_HOST
        own = {f"{scheme}://{host}" for scheme in ("http", "https") for host in hosts}
        origins = {origin.lower() for origin in headers.getlist("origin")}
        sites = {site.lower() for site in headers.getlist("sec-fetch-site")}
        return "" if origins <= own and sites <= _OWN_SITES else _OTHER_PAGE
