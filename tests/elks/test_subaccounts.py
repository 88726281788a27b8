"""The requests about subaccounts: each is listed once, and none is created twice."""

from datetime import timedelta

import pytest

from elks_mcp.domain.money import Money
from elks_mcp.elks.subaccounts import SubaccountClient
from elks_mcp.errors import InvalidInput, NoAnswer, Rejected
from elks_mcp.sandbox import Fault, ManualClock, Sandbox
from tests.support.provider import api_of

pytestmark = pytest.mark.anyio
HUNDRED = Money.parse("100", "SEK")


@pytest.fixture
def box() -> Sandbox:
    return Sandbox(clock=ManualClock())


@pytest.fixture
def subaccounts(box: Sandbox) -> SubaccountClient:
    return SubaccountClient(api_of(box))


async def test_all_active_subaccounts_are_listed_over_several_pages(
    box: Sandbox, subaccounts: SubaccountClient
) -> None:
    added = []
    for number in range(205):
        box.clock.advance(timedelta(seconds=1))
        added.append(box.subaccounts.add(f"{number}", box.clock.now()))
    added[7].deactivated_at = box.clock.now()
    listed = await subaccounts.list_active()
    assert [each.name for each in listed] == [f"{number}" for number in range(204, -1, -1) if number != 7]


async def test_a_subaccount_is_created_with_its_limit_and_can_be_changed(
    box: Sandbox, subaccounts: SubaccountClient
) -> None:
    await subaccounts.client.get_account()
    created = await subaccounts.create("elks-mcp", HUNDRED)
    assert (created.name, created.limit, created.used.units) == ("elks-mcp", HUNDRED, 0)
    assert created.secret
    assert created.secret.get_secret_value() == next(iter(box.subaccounts)).secret
    assert (await subaccounts.set_limit(created.id, None)).limit is None
    assert (await subaccounts.set_limit(created.id, HUNDRED)).limit == HUNDRED
    assert (await subaccounts.get(created.id)).limit == HUNDRED


@pytest.mark.parametrize("fault", [Fault.DROP_AFTER, Fault.DROP_BEFORE, Fault.ERROR_AFTER, Fault.HALF_BODY])
async def test_a_lost_answer_never_creates_a_second_subaccount(
    box: Sandbox, subaccounts: SubaccountClient, fault: Fault
) -> None:
    accepted = box.faults.inject(fault, method="POST", path="/subaccounts").accepted
    with pytest.raises(NoAnswer):
        await subaccounts.create("elks-mcp", HUNDRED)
    assert len(box.subaccounts) == int(accepted)


async def test_a_subaccount_of_another_account_is_not_found(subaccounts: SubaccountClient) -> None:
    with pytest.raises(Rejected) as caught:
        await subaccounts.get("a" + "1" * 32)
    assert caught.value.status == 404
    with pytest.raises(InvalidInput):
        await subaccounts.get("../me")
