"""The routes by which the phone page shows what waits for a person, and decides it."""

import hmac
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from elks_mcp.sandbox.control import BadRequestError, Body, posted, text
from elks_mcp.sandbox.number_format import format_number
from elks_mcp.sandbox.page_context import Approvals, PageContext
from elks_mcp.sandbox.simulation import Simulation

TOKEN_HEADER = "x-sandbox-token"  # noqa: S105  (the name of a header)


class ApprovalRoutes:
    """`/_sandbox/waiting`: 404 without approvals, and 403 without the token that is in the page.

    The check of the whole app (`origin.py`) refuses other sites' pages, which cannot read the token either.

    Args:
        token: known to this process and to the page that it serves.
    """

    def __init__(self, simulation: Simulation, page: PageContext, token: str) -> None:
        self._simulation, self._page, self._token = simulation, page, token

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [
            Route("/_sandbox/waiting", self._list, methods=["GET"]),
            Route("/_sandbox/waiting", self._decide, methods=["POST"]),
        ]

    async def _list(self, request: Request) -> Response:
        refusal = self._find_refusal(request)
        if refusal or self._page.approvals is None:
            return refusal or _not_found()
        waiting = await self._page.approvals.list_waiting()
        batches = await self._page.approvals.list_batches()
        own = self._simulation.own.number
        numbers = {each: format_number(each, own) for entry in waiting for each in (entry.to, entry.sender)}
        listed = {
            "waiting": [asdict(each) for each in waiting],
            "batches": [asdict(each) for each in batches],
        }
        return JSONResponse({**listed, "numbers": numbers})

    async def _decide(self, request: Request) -> Response:
        approvals = self._page.approvals
        refusal = self._find_refusal(request)
        if refusal or approvals is None:
            return refusal or _not_found()

        async def decide(body: Body) -> Body:
            return await self._decide_one(approvals, body)

        return await posted(decide)(request)

    async def _decide_one(self, approvals: Approvals, body: Body) -> Body:
        approve = body.get("approve")
        if not isinstance(approve, bool):
            raise BadRequestError("“approve” must be true or false.")
        try:
            outcome = await approvals.decide(text(body, "code"), approve)
        except LookupError as error:
            raise BadRequestError(str(error.args[0]) if error.args else "It no longer waits.", 409) from None
        self._simulation.notify()
        return {"outcome": outcome}

    def _find_refusal(self, request: Request) -> Response | None:
        given = request.headers.getlist(TOKEN_HEADER)
        if len(given) == 1 and hmac.compare_digest(given[0].encode(), self._token.encode()):
            return None
        return JSONResponse({"error": "Only the sandbox's own page can see and decide what waits."}, 403)


def _not_found() -> Response:
    return JSONResponse({"error": "Nothing can wait for a person here."}, 404)
