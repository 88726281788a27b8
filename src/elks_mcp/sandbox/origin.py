"""The lock on everything that is served over a socket: programs of this machine, and no other site's page.

A browser lets any page send requests to this machine, but not make up three of their headers: ``Host``,
``Origin`` and ``Sec-Fetch-Site`` (https://www.w3.org/TR/fetch-metadata/). A program that is not a browser
sends only the first.
"""

import re
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_WRONG_HOST = (
    "The sandbox answers only to its own machine's names, for instance localhost. "
    "Another name can be a web site that points to this machine."
)
_OTHER_PAGE = (
    "The sandbox does not answer pages of other sites. "
    "To see the phones, type the address into the browser instead of following a link."
)
_OWN_SITES = {"same-origin", "none"}
"""A request of our own page, or the user's own. One of a page at another port is same-site: not ours."""


class OwnOriginOnly:
    """Refuse, with 403, what a browser sends on behalf of another site's page.

    Args:
        app: what is behind the lock.
        hosts: names of this machine, without port. A request by any other name, or by none, is refused: a
            stranger's name can be made to point to this machine (DNS rebinding).
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
        """Say why a request is refused, or nothing. Of headers that come twice each has to be right."""
        hosts = {host.lower() for host in headers.getlist("host")}
        if len(hosts) != 1 or not {re.sub(r":[0-9]+$", "", host) for host in hosts} <= self._hosts:
            return _WRONG_HOST
        own = {f"{scheme}://{host}" for scheme in ("http", "https") for host in hosts}
        origins = {origin.lower() for origin in headers.getlist("origin")}
        sites = {site.lower() for site in headers.getlist("sec-fetch-site")}
        return "" if origins <= own and sites <= _OWN_SITES else _OTHER_PAGE
