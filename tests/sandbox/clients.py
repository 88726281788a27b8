"""How a test talks to a sandbox."""

import httpx2

from elks_mcp.sandbox import Sandbox

PHONE = "+46701740605"


def open_client(box: Sandbox, transport: httpx2.AsyncBaseTransport | None = None) -> httpx2.AsyncClient:
    """Open a client of *box* as 46elks' documentation has it: base URL and Basic authentication."""
    return httpx2.AsyncClient(
        transport=transport or box.transport(),
        base_url="http://sandbox/a1/",
        auth=(box.username, box.password),
    )


def open_outside(box: Sandbox, **headers: str) -> httpx2.AsyncClient:
    """Open a client without credentials, subject to the checks for requests over a socket."""
    transport = httpx2.ASGITransport(app=box.app)
    return httpx2.AsyncClient(transport=transport, base_url="http://localhost:4646", headers=headers)


def sms(box: Sandbox, to: str = PHONE, message: str = "Hej!", **more: str) -> dict[str, str]:
    """Fill in the form of one SMS from the account's own number."""
    return {"from": box.number, "to": to, "message": message} | more
