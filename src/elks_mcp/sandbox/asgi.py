"""The sandbox's ASGI app: API at `/a1`, control API at `/_sandbox`, phone page at `/`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from elks_mcp.sandbox.api_app import ApiApp
from elks_mcp.sandbox.control import Control
from elks_mcp.sandbox.page import load_page
from elks_mcp.sandbox.requests import BASE_PATH
from elks_mcp.sandbox.simulation import Simulation


def build_app(simulation: Simulation) -> ASGIApp:
    """Return the app. Its lifespan, which a server starts, runs the sandbox's scheduled events."""
    api_app, other = ApiApp(simulation), _build_page_and_control(simulation)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        is_api = scope["type"] == "http" and f"{scope['path']}/".startswith(f"{BASE_PATH}/")
        await (api_app if is_api else other)(scope, receive, send)

    return app


def _build_page_and_control(simulation: Simulation) -> Starlette:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with simulation.running():
            yield

    async def page(_request: Request) -> Response:
        return load_page()

    return Starlette(routes=[Route("/", page), *Control(simulation).routes()], lifespan=lifespan)
