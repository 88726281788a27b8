"""The attack table of acknowledgements: none of these texts silences an alert."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import NamedTuple

import pytest

from elks_mcp.domain.alerts import Alert
from elks_mcp.domain.escalation import AlertState
from elks_mcp.domain.models import Direction, Message
from elks_mcp.store import StateLocation
from tests.support.pagers import FIRST, SECOND_PERSON, THIRD, Pager, open_pager
from tests.support.provider import OURS
from tests.support.stores import MINUTE, on_both_databases

pytestmark = pytest.mark.anyio

Forge = Callable[[Pager, Alert, str], Awaitable[None]]


class Forgery(NamedTuple):
    """A text that is to silence an alert, and how it arrives."""

    name: str
    forge: Forge


async def by_a_stranger(pager: Pager, alert: Alert, code: str) -> None:
    pager.answer(f"OK {code}", THIRD)


async def by_a_person_not_reached_yet(pager: Pager, alert: Alert, code: str) -> None:
    pager.answer(f"OK {code}", SECOND_PERSON)


async def by_a_name(pager: Pager, alert: Alert, code: str) -> None:
    pager.backend.world.box.receive("Jouren", f"OK {code}")


async def by_the_account_itself(pager: Pager, alert: Alert, code: str) -> None:
    """Let the account text its own number in the name of a person, and get that back."""
    box, now = pager.backend.world.box, pager.clock.now()
    box.add_history(now, sender=FIRST.e164, to=OURS.e164, text=f"OK {code}")
    box.add_history(now, direction="incoming", sender=FIRST.e164, to=OURS.e164, text=f"OK {code}")


async def by_a_quotation(pager: Pager, alert: Alert, code: str) -> None:
    pager.answer(f"Liked “Disken är full\nReply OK {code} to acknowledge.”")


async def by_an_automatic_answer(pager: Pager, alert: Alert, code: str) -> None:
    pager.answer(f"Jag är på semester. Du skrev: Disken är full Reply OK {code} to acknowledge.")


async def by_many_codes_in_one_text(pager: Pager, alert: Alert, code: str) -> None:
    others = [f"OK {number:04}" for number in range(1, 60) if f"{number:04}" != code]
    pager.answer(" ".join([*others, f"OK {code}"]))


async def by_trying_codes(pager: Pager, alert: Alert, code: str) -> None:
    for number in [number for number in range(1, 40) if f"{number:04}" != code]:
        pager.answer(f"OK {number:04}")
    await pager.backend.history.refresh(timedelta())
    pager.answer(f"OK {code}")


async def by_the_code_of_another_alert(pager: Pager, alert: Alert, code: str) -> None:
    other = await pager.page("En annan disk")
    await pager.pass_time(MINUTE / 2)
    pager.answer(f"OK {await pager.code(other)}")


async def by_a_text_from_before_the_alert(pager: Pager, alert: Alert, code: str) -> None:
    long_ago = alert.created_at - timedelta(hours=2)
    pager.backend.world.box.add_history(
        long_ago, direction="incoming", sender=FIRST.e164, to=OURS.e164, text=f"OK {code}"
    )


async def by_an_outgoing_text(pager: Pager, alert: Alert, code: str) -> None:
    """Let history claim that the account sent the code to the person."""
    box = pager.backend.world.box
    box.add_history(pager.clock.now(), sender=OURS.e164, to=FIRST.e164, text=f"OK {code}")


async def by_lookalike_digits(pager: Pager, alert: Alert, code: str) -> None:
    pager.answer("OK " + "".join(chr(0x0660 + int(digit)) for digit in code))


FORGERIES = [
    Forgery(forge.__name__.replace("_", " "), forge)
    for forge in (
        by_a_stranger,
        by_a_person_not_reached_yet,
        by_a_name,
        by_the_account_itself,
        by_a_quotation,
        by_an_automatic_answer,
        by_many_codes_in_one_text,
        by_trying_codes,
        by_the_code_of_another_alert,
        by_a_text_from_before_the_alert,
        by_an_outgoing_text,
        by_lookalike_digits,
    )
]


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda each: each.name)
async def test_a_forged_acknowledgement_silences_no_alert(location: StateLocation, forgery: Forgery) -> None:
    async with open_pager(location) as pager:
        alert = await pager.page()
        await pager.pass_time(MINUTE)
        await forgery.forge(pager, alert, await pager.code(alert))
        await pager.pass_time(MINUTE)
        assert (await pager.get(alert)).state is AlertState.RUNNING
        await pager.pass_time(5 * MINUTE)
        assert SECOND_PERSON.e164 in pager.reached


@on_both_databases
async def test_an_acknowledgement_that_arrives_by_both_roads_counts_once(location: StateLocation) -> None:
    async with open_pager(location) as pager:
        alert = await pager.page()
        await pager.pass_time(MINUTE)
        code = await pager.code(alert)
        wrong = "1234" if code != "1234" else "4321"
        store = await pager.backend.storage.open()
        for number, text in enumerate([wrong, code]):
            message = Message(
                id=f"s{number:032x}",
                direction=Direction.INBOUND,
                sender=FIRST.e164,
                to=OURS.e164,
                created_at=pager.clock.now(),
                status="received",
                text=f"OK {text}",
            )
            await store.inbound.record_webhooks([message], [])
            await store.inbound.record([message])
        over = await pager.get(alert)
        assert (over.state, over.acknowledged_by) == (AlertState.ACKNOWLEDGED, FIRST)
        assert over.attempts[0].wrong_codes == 1
        assert over.late_at is None
