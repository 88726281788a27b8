"""The operator's rules when a scheduled text goes out: those in force then, but not the contacts."""

from datetime import timedelta
from pathlib import Path

import pytest

from elks_mcp.sandbox import Sandbox
from tests.support.clocks import ManualClock, pass_time
from tests.support.connecting import PHONE, box_on, call, connected, data, live, posted

pytestmark = pytest.mark.anyio

LATER = {"to": PHONE, "message": "Hej", "sendAt": "2026-11-23T13:10"}
"""Ten minutes after the clock of these tests begins, in Sweden."""

MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def box(clock: ManualClock) -> Sandbox:
    """A 46elks that has the server's clock."""
    return box_on(clock)


@pytest.mark.parametrize(
    "rule", [{"ELKS_ALLOWED_COUNTRIES": "NO"}, {"ELKS_ALLOWED_RECIPIENTS": "+46701740699"}], ids=str
)
async def test_a_rule_that_became_stricter_stops_a_scheduled_text(
    box: Sandbox, clock: ManualClock, tmp_path: Path, rule: dict[str, str]
) -> None:
    environ = live(box, ELKS_STATE_DIR=str(tmp_path))
    async with connected(environ, box=box, clock=clock) as client:
        order_id = data(await call(client, "send_sms", **LATER))["orderId"]
    async with connected({**environ, **rule}, box=box, clock=clock) as client:
        await pass_time(clock, 11 * MINUTE)
        (line,) = data(await call(client, "list_scheduled"))["missed"]
        assert order_id in line
        assert next(iter(rule)) in line
    assert posted(box) == []


async def test_contacts_that_cannot_be_read_at_its_time_do_not_stop_a_scheduled_text(
    box: Sandbox, clock: ManualClock, tmp_path: Path
) -> None:
    people = tmp_path / "people.csv"
    people.write_text(f"namn,telefon\nÅsa,{PHONE}\n", "utf-8")
    limited = {"ELKS_CONTACTS": str(people), "ELKS_ALLOWED_RECIPIENTS": "contacts"}
    environ = live(box, ELKS_STATE_DIR=str(tmp_path / "state"), **limited)
    async with connected(environ, box=box, clock=clock) as client:
        await call(client, "send_sms", **LATER)
    people.unlink()
    async with connected(environ, box=box, clock=clock):
        await pass_time(clock, 11 * MINUTE)
    assert [form["to"] for form in posted(box)] == [PHONE]
