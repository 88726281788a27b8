"""The sandbox's ASGI app: API at `/a1`, control API at `/_sandbox`, phone page at `/`."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from elks_mcp.sandbox.api_app import ApiApp
from elks_mcp.sandbox.approval_routes import ApprovalRoutes
from elks_mcp.sandbox.call_control import CallControl
from elks_mcp.sandbox.control import Control
from elks_mcp.sandbox.page import load_file, load_page
from elks_mcp.sandbox.page_context import PageContext
from elks_mcp.sandbox.page_events import PageEvents
from elks_mcp.sandbox.requests import BASE_PATH
from elks_mcp.sandbox.simulation import Simulation


def build_app(simulation: Simulation, context: PageContext) -> ASGIApp:
    """Return the app. Its lifespan, which a server starts, runs the sandbox's scheduled events."""
    api_app, other = ApiApp(simulation), _build_page_and_control(simulation, context)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        is_api = scope["type"] == "http" and f"{scope['path']}/".startswith(f"{BASE_PATH}/")
        await (api_app if is_api else other)(scope, receive, send)

    return app


def _build_page_and_control(simulation: Simulation, context: PageContext) -> Starlette:
    token, run = secrets.token_urlsafe(32), secrets.token_hex(8)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with simulation.running():
            yield

    async def page(_request: Request) -> Response:
        return load_page(token)

    async def file(request: Request) -> Response:
        return load_file(request.path_params["name"]) or PlainTextResponse("Not found", 404)

    async def events(request: Request) -> Response:
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        stream = PageEvents(simulation, context, run).stream()
        return StreamingResponse(
            stream, media_type="text/event-stream", headers={"cache-control": "no-store"}
        )

    routes = [
        Route("/", page),
        Route("/page/{name}", file),
        Route("/_sandbox/events", events),
        *Control(simulation).routes(),
        *CallControl(simulation).routes(),
        *ApprovalRoutes(simulation, context, token).routes(),
    ]
    return Starlette(routes=routes, lifespan=lifespan)
