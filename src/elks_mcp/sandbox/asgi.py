"""The one ASGI app: ``/a1`` for clients, ``/_sandbox`` to steer it, ``/`` for people."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from elks_mcp.sandbox.control import Control
from elks_mcp.sandbox.door import Door
from elks_mcp.sandbox.page import load_page
from elks_mcp.sandbox.requests import BASE_PATH
from elks_mcp.sandbox.world import World


def build_app(world: World) -> ASGIApp:
    """Put the parts together; the app's lifespan, which a server starts, keeps the sandbox running."""
    door, people = Door(world), _build_people_app(world)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        is_api = scope["type"] == "http" and f"{scope['path']}/".startswith(f"{BASE_PATH}/")
        await (door if is_api else people)(scope, receive, send)

    return app


def _build_people_app(world: World) -> Starlette:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with world.running():
            yield

    async def page(_request: Request) -> Response:
        return load_page()

    return Starlette(routes=[Route("/", page), *Control(world).routes()], lifespan=lifespan)
