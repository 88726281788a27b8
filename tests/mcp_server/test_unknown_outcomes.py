"""Scheduled texts that may have been sent: how an assistant is notified of them."""

from datetime import timedelta
from pathlib import Path

import pytest

from elks_mcp.store import StateLocation
from tests.support.clocks import ManualClock
from tests.support.connecting import Person, box_on, call, connected, data, live
from tests.support.stores import change_rows

pytestmark = pytest.mark.anyio

UNKNOWN = "UPDATE orders SET state = 'unknown', status_reason = 'Two texts fit.', unreported = true"


async def test_p13_texts_that_may_have_been_sent_are_reported_once_and_listed(tmp_path: Path) -> None:
    clock = ManualClock()
    box = box_on(clock)
    environ = live(box, ELKS_STATE_DIR=str(tmp_path))
    at = (clock.now() + timedelta(minutes=10)).isoformat()
    async with connected(environ, box=box, clock=clock, person=Person()) as client:
        await call(client, "send_sms", to="+46701740605", message="Hej", sendAt=at)
        rows = ["+46701740606", "+46701740607"]
        plan = data(await call(client, "plan_batch", message="Hopp", recipients=rows, sendAt=at))
        await call(client, "start_batch", batchId=plan["batchId"])
        change_rows(StateLocation(folder=tmp_path), UNKNOWN)
        clock.advance(timedelta(seconds=2))  # a caller's missed texts are looked for once a second
        answer = data(await call(client, "list_scheduled"))
        single, batch = answer["missed"]
        assert single.startswith("Unknown whether it was sent: the text to +46701740605 for ")
        assert "Two texts fit. A person can look at 46elks.com and record it: " in single
        assert batch == f"Unknown whether it was sent: 2 texts of batch {plan['batchId']}. Two texts fit."
        why = "It may have been sent: do not send it again. Two texts fit."
        assert [each["why"] for each in answer["notSent"]] == [why]
        assert [(each["texts"], each["why"]) for each in answer["batchesNotSent"]] == [(2, why)]
        assert "missed" not in data(await call(client, "list_scheduled"))
