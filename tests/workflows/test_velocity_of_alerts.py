"""How often alerts may reach one person: the guard `velocity`, at each step."""

import pytest

from elks_mcp.domain.escalation import AlertState
from elks_mcp.sending.plan import Decision
from elks_mcp.store import StateLocation
from elks_mcp.workflows.alert_plans import AlertRequest
from elks_mcp.workflows.alerts import AlertNeedsApproval
from tests.support.pagers import FIRST, SECOND_PERSON, open_pager
from tests.support.provider import UNLIMITED
from tests.support.stores import MINUTE, SECOND, on_both_databases

pytestmark = pytest.mark.anyio

AT_MOST_TWO = UNLIMITED.model_copy(update={"max_per_number": 2})
OFTEN = f"""
policies:
  jour:
    rounds: 5
    steps:
      - {{whom: {FIRST.e164}, by: sms, wait: 1}}
    cost_cap: 50
"""


@on_both_databases
async def test_alerts_that_begin_together_flood_nobody_and_name_whom_they_skip(
    location: StateLocation, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_pager(location, AT_MOST_TWO) as pager:
        requests = [AlertRequest(message=f"Disk {number}", policy="jour") for number in range(5)]
        prepared = [await pager.alerts.prepare(each, can_ask=True) for each in requests]
        begun = []
        for needed in prepared:
            assert isinstance(needed, AlertNeedsApproval)
            begun.append(await pager.alerts.start(needed, Decision.APPROVED))
        await pager.pass_time(20 * SECOND)
        assert sorted(pager.reached) == [FIRST.e164] * 2 + [SECOND_PERSON.e164] * 2
        now = [await pager.get(each) for each in begun]
        skipped = [each for alert in now for each in alert.attempts if each.skipped]
        assert sorted(each.to.e164 for each in skipped if each.to) == [FIRST.e164] * 3 + [SECOND_PERSON.e164]
        for each in skipped:
            assert each.skipped.startswith(
                "Refused by velocity: In the last 10 minutes, 2 texts to the number were sent"
            )
        assert [alert.state for alert in now].count(AlertState.RUNNING) == 4
        [failed] = [alert for alert in now if alert.state is not AlertState.RUNNING]
        assert failed.state is AlertState.FAILED
        assert "Nobody on the path could be reached" in failed.reason
        assert f"Step 1 of the alert {failed.id} skips 1." in caplog.text


async def test_the_rounds_of_an_alert_do_not_count_for_itself(location: StateLocation) -> None:
    async with open_pager(location, AT_MOST_TWO, paging=OFTEN) as pager:
        alert = await pager.page()
        await pager.pass_time(4 * MINUTE + 20 * SECOND)
        assert pager.reached == [FIRST.e164] * 5
        assert (await pager.get(alert)).state is AlertState.RUNNING
