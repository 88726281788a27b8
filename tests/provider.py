"""Our side of the road to 46elks, built over a sandbox or a socket."""

from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from elks_mcp.api import Api, Credentials
from elks_mcp.client import ElksClient
from elks_mcp.models import Approver, Draft, Estimate, Order, Quote
from elks_mcp.money import Money
from elks_mcp.phone import Number
from elks_mcp.sandbox import ApiRequest, Sandbox
from elks_mcp.text import measure

OURS = Number("+46701740699")
PHONE = Number("+46701740605")
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
"""When a ManualClock begins."""

PATIENCE = timedelta(seconds=5)


def api_of(box: Sandbox, timeout: timedelta = PATIENCE) -> Api:
    """Build the road to a sandbox in this process."""
    return Api(
        Credentials(box.username, SecretStr(box.password)),
        base_url="http://localhost/a1",
        timeout=timeout,
        transport=box.transport(),
    )


def client_of(box: Sandbox) -> ElksClient:
    """Build a client of a sandbox in this process."""
    return ElksClient(api_of(box))


def a_draft(text: str = "Hej!", *, key: str | None = None, flash: bool = False) -> Draft:
    """Draft a text from our number to a handset of the sandbox."""
    return Draft(to=PHONE, text=text, sender=OURS, flash=flash, idempotency_key=key)


def an_order(number: int = 1, *, key: str | None = None, at: datetime = NOON) -> Order:
    """Make an order as `Orders.place` does, without asking 46elks for the price."""
    draft = a_draft(f"Text {number}", key=key)
    quote = Quote(
        id=f"Q-{number:08}",
        draft=draft,
        size=measure(draft.text),
        estimate=Estimate(price=Money(5200, "SEK"), parts=1),
        findings=(),
        quoted_at=at,
    )
    return Order(id=f"O-{number:08}", quote=quote, approver=Approver.POLICY, placed_at=at)


def posts(box: Sandbox, *, dry_run: bool = False) -> list[ApiRequest]:
    """List the POSTs of /sms that reached 46elks: those that cost, or the dry runs."""
    found = [each for each in box.requests if (each.method, each.path) == ("POST", "/a1/sms")]
    return [each for each in found if (each.form.get("dryrun") == "yes") is dry_run]


def gets(box: Sandbox, path: str) -> list[ApiRequest]:
    """List the GETs of a path that reached 46elks."""
    return [each for each in box.requests if (each.method, each.path) == ("GET", f"/a1{path}")]
