"""Alerts on the sandbox's page: what a person reads, and decides once."""

import pytest

from elks_mcp.contacts.accepted import AcceptedContacts
from elks_mcp.contacts.source import ContactSource
from elks_mcp.domain.escalation import AlertState
from elks_mcp.domain.policy import Confirm
from elks_mcp.sending.page_approvals import PageApprovals
from elks_mcp.store import StateLocation
from elks_mcp.workflows.alert_plans import AlertRequest
from elks_mcp.workflows.alerts import AlertNeedsApproval
from tests.support.pagers import FIRST, Pager, open_pager
from tests.support.provider import UNLIMITED
from tests.support.stores import MINUTE

pytestmark = pytest.mark.anyio

ALWAYS = UNLIMITED.model_copy(update={"confirm": Confirm.ALWAYS})


def page_of(pager: Pager) -> PageApprovals:
    backend = pager.backend
    return PageApprovals(backend.outbox, backend.storage, ALWAYS, AcceptedContacts(ContactSource()))


async def wait(pager: Pager) -> AlertNeedsApproval:
    """Have an alert wait for a person outside the client."""
    prepared = await pager.alerts.prepare(AlertRequest(message="Hej", policy="jour"), can_ask=False)
    assert isinstance(prepared, AlertNeedsApproval)
    return prepared


async def test_p2_the_page_shows_text_people_waits_and_cost(location: StateLocation) -> None:
    async with open_pager(location, ALWAYS) as pager:
        plan = (await wait(pager)).plan
        [shown] = await page_of(pager).list_waiting()
        assert (shown.to, shown.message) == (FIRST.e164, f"Hej\nReply OK {plan.code} to acknowledge.")
        assert shown.details["Step 1"] == f"Text {FIRST.e164} (Sweden) for 0.52 SEK, then wait 5 minutes."
        assert shown.details["At most"] == "1.04 SEK, 2 hours"
        assert "The operator requires approval of every text." in shown.reasons


async def test_p3_an_alert_approved_on_the_page_starts_once(location: StateLocation) -> None:
    async with open_pager(location, ALWAYS) as pager:
        await wait(pager)
        page = page_of(pager)
        [shown] = await page.list_waiting()
        assert await page.decide(shown.code, True) == "Approved. It begins now."
        with pytest.raises(LookupError, match="no longer waits"):
            await page.decide(shown.code, True)
        await pager.pass_time(MINUTE)
        assert pager.reached == [FIRST.e164]
        assert await page.list_waiting() == []


async def test_an_alert_declined_on_the_page_reaches_nobody(location: StateLocation) -> None:
    async with open_pager(location, ALWAYS) as pager:
        needed = await wait(pager)
        page = page_of(pager)
        [shown] = await page.list_waiting()
        assert await page.decide(shown.code, False) == "Declined. Nobody is alerted."
        await pager.pass_time(MINUTE)
        assert pager.reached == []
        assert (await pager.alerts.get(needed.plan.id)).state is AlertState.ENDED
