"""Calls that cost money: one POST for one call, and each way to fail has its own error."""

from datetime import timedelta

import pytest

from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Receipt
from elks_mcp.elks.dispatch import Dispatcher
from elks_mcp.errors import (
    NoAnswer,
    OutOfFunds,
    ProviderError,
    Rejected,
    StateUnavailable,
    Throttled,
    TooLate,
    Unauthorized,
    Unreachable,
)
from elks_mcp.sandbox import Fault, ManualClock, Sandbox
from tests.support.clocks import ManualClock as OurClock
from tests.support.clocks import autojump
from tests.support.provider import (
    PHONE,
    Permission,
    a_claim,
    a_draft,
    a_permission,
    api_of,
    posts,
    reporting_to,
)

pytestmark = pytest.mark.anyio

MEANT: dict[Fault, type[ProviderError] | None] = {
    Fault.TOO_MANY_REQUESTS: Throttled,
    Fault.ERROR_BEFORE: NoAnswer,
    Fault.ERROR_AFTER: NoAnswer,
    Fault.BAD_GATEWAY: NoAnswer,
    Fault.UNAVAILABLE: NoAnswer,
    Fault.UNAUTHORIZED: Unauthorized,
    Fault.FORBIDDEN: Rejected,
    Fault.REDIRECT: Rejected,
    Fault.DROP_BEFORE: NoAnswer,
    Fault.DROP_AFTER: NoAnswer,
    Fault.HALF_BODY: NoAnswer,
    Fault.HTML: NoAnswer,
    Fault.NOT_AN_OBJECT: NoAnswer,
    Fault.MISSING_ID: NoAnswer,
    Fault.EMPTY: NoAnswer,
    Fault.HANG: NoAnswer,
    Fault.FAILED_AT_ONCE: None,
    Fault.READ_TIMEOUT: NoAnswer,
    Fault.LATENCY: NoAnswer,
    Fault.ACCEPT_LATE: NoAnswer,
    Fault.ACCEPT_LATE_DROP: NoAnswer,
    Fault.STALE_HISTORY: None,
    Fault.WRONG_COST: None,
    Fault.CONNECTION_REFUSED: Unreachable,
    Fault.CONNECT_TIMEOUT: Unreachable,
}
"""The error of the dispatcher for each fault of the sandbox; None if it does not notice."""

NEVER_ARRIVE = {Fault.CONNECTION_REFUSED, Fault.CONNECT_TIMEOUT}
SURELY_NOT_ACCEPTED = {Throttled, Unreachable, Unauthorized, Rejected}


@pytest.fixture
def box() -> Sandbox:
    return Sandbox(clock=ManualClock())


CLAIM = a_claim(a_draft())


async def test_an_order_is_posted_unchanged_and_returns_a_receipt(box: Sandbox) -> None:
    receipt = await Dispatcher(api_of(box).post).send(
        a_claim(a_draft("Hej på dig, € 5", flash=True)), a_permission()
    )
    (post,) = posts(box)
    assert post.form == {
        "from": box.number,
        "to": PHONE.e164,
        "message": "Hej på dig, € 5",
        "flashsms": "yes",
    }
    (message,) = box.accepted
    assert receipt == Receipt(
        message_id=message.id,
        status="created",
        created_at=message.created_at,
        cost=Money(5200, "SEK"),
        parts=1,
    )
    assert [charge.amount for charge in box.charges] == [5200]


@pytest.mark.parametrize("fault", Fault)
async def test_each_fault_is_one_post_and_raises_its_error(box: Sandbox, fault: Fault) -> None:
    meant = MEANT[fault]
    box.faults.inject(fault)
    clock = OurClock()
    dispatcher = Dispatcher(api_of(box, clock=clock).post)
    if meant is None:
        await dispatcher.send(CLAIM, a_permission())
    else:
        with pytest.raises(ProviderError) as caught:
            async with autojump(clock):
                await dispatcher.send(CLAIM, a_permission())
        assert type(caught.value) is meant or (meant is NoAnswer and isinstance(caught.value, NoAnswer))
        assert "html" not in caught.value.explain()
    assert len(posts(box)) == (0 if fault in NEVER_ARRIVE else 1)
    if box.accepted:
        assert meant not in SURELY_NOT_ACCEPTED


async def test_an_account_without_money_has_an_error_of_its_own(box: Sandbox) -> None:
    box.balance = 0
    with pytest.raises(OutOfFunds, match="Not enough credits"):
        await Dispatcher(api_of(box).post).send(CLAIM, a_permission())
    assert box.accepted == []


async def test_a_throttled_post_says_when_to_retry(box: Sandbox) -> None:
    box.faults.inject(Fault.TOO_MANY_REQUESTS, retry_after=17)
    with pytest.raises(Throttled) as caught:
        await Dispatcher(api_of(box).post).send(CLAIM, a_permission())
    assert caught.value.retry_after == timedelta(seconds=17)


async def test_without_permission_to_send_nothing_is_posted(box: Sandbox) -> None:
    with pytest.raises(TooLate):
        await Dispatcher(api_of(box).post).send(CLAIM, Permission(0))
    assert box.requests == []


async def test_a_report_is_requested_at_the_address_of_the_order(box: Sandbox) -> None:
    async def address(order_id: str) -> str:
        return f"https://sms.example.com/hooks/delivery?ref={order_id}"

    await Dispatcher(api_of(box).post, reporting_to(address)).send(CLAIM, a_permission())
    (post,) = posts(box)
    assert post.form["whendelivered"] == f"https://sms.example.com/hooks/delivery?ref={CLAIM.order_id}"


async def test_no_report_is_requested_without_a_public_address(box: Sandbox) -> None:
    await Dispatcher(api_of(box).post).send(CLAIM, a_permission())
    assert "whendelivered" not in posts(box)[0].form


async def test_nothing_is_posted_if_the_address_for_the_report_cannot_be_built(box: Sandbox) -> None:
    async def address(order_id: str) -> str:
        raise StateUnavailable(order_id)

    with pytest.raises(StateUnavailable):
        await Dispatcher(api_of(box).post, reporting_to(address)).send(CLAIM, a_permission())
    assert box.requests == []
