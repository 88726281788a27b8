"""`elks-mcp sandbox`: a simulated 46elks under a real web server."""

import socket
from contextlib import suppress

import click
import uvicorn

from elks_mcp.cli.listening import listen
from elks_mcp.sandbox import Sandbox

_WELCOME = """\
A simulated 46elks runs at {url}. Nothing sent here reaches anybody or costs anything.

  The phones          {url}
  The API             {url}/a1
  API username        {username}
  API password        {password}
  The account's number {number}

Try it:
  curl {url}/a1/sms -u {username}:{password} \\
    -d from={number} -d to=+46701740613 --data-urlencode "message=Hej! Kommer du?"

To let elks-mcp use it, set ELKS_API_BASE_URL={url}/a1, ELKS_API_USERNAME and ELKS_API_PASSWORD as
above, ELKS_PHONE_NUMBER={number}, and DRY_RUN=false to see texts arrive.

Ctrl-C stops it, and forgets everything."""


class _Server(uvicorn.Server):
    """A server that lets go of requests that hang when it is stopped."""

    def __init__(self, config: uvicorn.Config, box: Sandbox) -> None:
        super().__init__(config)
        self._box = box

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._box.release()
        await super().shutdown(sockets)


def run(port: int) -> None:
    """Serve the sandbox on this machine until it is stopped.

    Raises:
        click.ClickException: the port is taken.
    """
    listener = listen("127.0.0.1", port)
    box = Sandbox()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    click.echo(_WELCOME.format(url=url, username=box.username, password=box.password, number=box.number))
    config = uvicorn.Config(
        box.app, log_level="critical", ws="none", timeout_graceful_shutdown=1, date_header=False
    )
    with listener, suppress(KeyboardInterrupt):
        _Server(config, box).run([listener])
