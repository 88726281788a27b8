"""The audio of calls, at addresses below `/audio/` that cannot be guessed and expire.

46elks fetches it when somebody picks up. A wrong address, and one that has expired, are answered alike: with
404 and an empty body. There is no list.
"""

import logging
from collections.abc import Callable

from starlette.types import Receive, Scope, Send

from elks_mcp.app import App
from elks_mcp.errors import log_errors
from elks_mcp.inbound.call_addresses import read_audio_path
from elks_mcp.runtime.metrics import as_label

log = logging.getLogger(__name__)

_FOUND, _NOT_FOUND, _NOT_GET, _TRY_AGAIN = 200, 404, 405, 503
_TYPES = {"wav": b"audio/wav", "mp3": b"audio/mpeg", "ogg": b"audio/ogg"}


class AudioServer:
    """The ASGI application for audio; `app` returns the running `App`."""

    def __init__(self, app: Callable[[], App]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer one request with the audio of a call, or with an empty body."""
        status, headers, content = await self._answer(scope)
        headers = [*headers, (b"content-length", str(len(content)).encode()), (b"cache-control", b"private")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else content
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        if scope["method"] not in {"GET", "HEAD"}:
            return _NOT_GET, [(b"allow", b"GET, HEAD")], b""
        status, content = _TRY_AGAIN, b""
        headers: list[tuple[bytes, bytes]] = []
        with log_errors(log, "The audio of a call cannot be read", level=logging.ERROR):
            app = self._app()
            found = await _find(app, scope["path"])
            status = _FOUND if found else _NOT_FOUND
            if found:
                audio_format, content = found
                headers = [(b"content-type", _TYPES[audio_format])]
            else:
                app.bursts.note("Audio was requested at an address that is wrong, or whose time is over.")
            result = as_label("found" if found else "not found")
            app.counters.count("elks_mcp_audio_requests_total", result=result)
        return status, headers, content


async def _find(app: App, path: str) -> tuple[str, bytes] | None:
    """Return the format and the content of the audio at a path; None if there is none."""
    wanted = read_audio_path(await app.storage.find_hasher(), path, app.clock.now())
    if wanted is None:
        return None
    stored = await (await app.storage.open()).calls.find_audio(wanted.digest)
    return (stored.format, stored.content) if stored and stored.format == wanted.format else None
