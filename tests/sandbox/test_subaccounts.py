"""Subaccounts of the sandbox: credentials, limit, and the switches for what is not known."""

from typing import Any

import httpx2
import pytest

from elks_mcp.sandbox import ManualClock, Rules, Sandbox

from .clients import PHONE, open_client, sms
from .test_wire_examples import example, shape, without

pytestmark = pytest.mark.anyio
PRICE = 5_200


async def create(client: httpx2.AsyncClient, **form: str) -> dict[str, Any]:
    answer = await client.post("subaccounts", data={"name": "Exempel AB"} | form)
    assert answer.status_code == 200, answer.text
    created: dict[str, Any] = answer.json()
    return created


def as_subaccount(box: Sandbox, created: dict[str, Any]) -> httpx2.AsyncClient:
    """Open a client with the credentials of a subaccount."""
    client = open_client(box)
    client.auth = httpx2.BasicAuth(created["id"], created["secret"])
    return client


async def test_a_subaccount_is_created_changed_and_listed_as_documented(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    created = await create(client, usagelimit="9000000")
    assert shape(created) == shape(example("subaccount_created")["body"])
    box.subaccounts.charge(created["id"], 12_300)
    path = f"subaccounts/{created['id']}"
    changed = (await client.post(path, data={"usagelimit": "99999999999"})).json()
    expected = example("subaccount_updated")["body"]
    assert shape(changed) == shape(expected)
    assert without(changed, "id", "secret", "created") == without(expected, "id", "secret", "created")
    shown = (await client.get(path)).json()
    assert shape(shown) == shape(example("subaccount")["body"])
    assert (await client.get("subaccounts")).json() == {"data": [shown]}
    unlimited = (await client.post(path, data={"usagelimit": "none"})).json()
    assert unlimited == without(shown, "usagelimit")


async def test_a_subaccount_spends_and_is_refused_at_its_limit(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    created = await create(client, usagelimit=f"{2 * PRICE + 1}")
    async with as_subaccount(box, created) as other:
        for _ in range(2):
            assert (await other.post("sms", data=sms(box))).status_code == 200
        refused = await other.post("sms", data=sms(box))
        assert (refused.status_code, refused.text) == (403, "Usage limit reached")
        assert (await other.post("sms", data=sms(box, dryrun="yes"))).status_code == 200
        assert (await other.post("sms", data=sms(box, to="+46700000000"))).status_code == 200
    shown = (await client.get(f"subaccounts/{created['id']}")).json()
    assert shown["balanceused"] == 2 * PRICE
    assert box.balance == 1_000_000 - 2 * PRICE, "its money is the account's"
    assert (await client.post("sms", data=sms(box))).status_code == 200, "the account itself has no limit"


async def test_a_limit_that_is_not_exact_refuses_only_once_it_is_used_up() -> None:
    box = Sandbox(clock=ManualClock(), rules=Rules(limit_is_exact=False, limit_refusal="No"))
    created = box.subaccounts.add("x", box.clock.now(), usage_limit=1)
    async with as_subaccount(box, {"id": created.id, "secret": created.secret}) as other:
        assert (await other.post("sms", data=sms(box))).status_code == 200
        assert (await other.post("sms", data=sms(box))).text == "No"


@pytest.mark.parametrize("is_none", [True, False])
async def test_whether_a_limit_of_0_means_none_has_a_switch(*, is_none: bool) -> None:
    box = Sandbox(clock=ManualClock(), rules=Rules(zero_is_no_limit=is_none))
    created = box.subaccounts.add("x", box.clock.now(), usage_limit=0)
    async with as_subaccount(box, {"id": created.id, "secret": created.secret}) as other:
        assert (await other.post("sms", data=sms(box))).status_code == (200 if is_none else 403)


async def test_a_deactivated_subaccount_stays_so_and_has_no_secret(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    created = await create(client)
    path = f"subaccounts/{created['id']}"
    number = next(iter(box.numbers))
    number.owner = created["id"]
    assert (await client.post(path, data={"active": "no"})).status_code == 403, "it has a number"
    number.owner = ""
    ended = (await client.post(path, data={"active": "no"})).json()
    expected = example("subaccounts")["body"]["data"][1]
    assert sorted(shape(ended)) == sorted(shape(without(expected, "usagelimit", "balanceused")))
    assert (await client.post(path, data={"active": "yes"})).json()["active"] == "no"
    assert (await client.get("subaccounts", params={"active": "yes"})).json() == {"data": []}
    async with as_subaccount(box, created) as other:
        assert (await other.get("sms")).status_code == 401


async def test_a_new_secret_replaces_the_old_one(box: Sandbox, client: httpx2.AsyncClient) -> None:
    created = await create(client)
    await client.post(f"subaccounts/{created['id']}", data={"secret": "F1A42948A3" * 3})
    async with as_subaccount(box, created) as other:
        assert (await other.get("sms")).status_code == 401
    async with as_subaccount(box, created | {"secret": "F1A42948A3" * 3}) as other:
        assert (await other.get("sms")).status_code == 200


async def test_a_subaccount_reaches_no_other_and_creates_none(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    created, another = await create(client), await create(client)
    async with as_subaccount(box, created) as other:
        assert (await other.get(f"subaccounts/{created['id']}")).json()["id"] == created["id"]
        for method, path in [
            ("GET", "subaccounts"),
            ("POST", "subaccounts"),
            ("GET", f"subaccounts/{another['id']}"),
            ("POST", f"subaccounts/{created['id']}"),
        ]:
            refused = await other.request(method, path, data={"name": "x", "usagelimit": "none"})
            assert refused.status_code == 403, (method, path)
    assert len(box.subaccounts) == 2


@pytest.mark.parametrize("allowed", [True, False])
async def test_each_thing_that_is_not_known_of_a_subaccount_has_a_switch(*, allowed: bool) -> None:
    rules = Rules(
        subaccounts_read_account=allowed,
        subaccounts_read_themselves=allowed,
        subaccounts_use_numbers=allowed,
        subaccounts_see_everything=allowed,
        usage_limit_at_creation=allowed,
    )
    box = Sandbox(clock=ManualClock(), rules=rules)
    expected = 200 if allowed else 403
    async with open_client(box) as client:
        created = await create(client, usagelimit="9")
        assert ("usagelimit" in created) == allowed
        ours = (await client.post("sms", data=sms(box))).json()
    async with as_subaccount(box, created) as other:
        box.receive(PHONE, "STOP")
        assert (await other.get("me")).status_code == expected
        assert (await other.get(f"subaccounts/{created['id']}")).status_code == expected
        assert (await other.post("sms", data=sms(box, dryrun="yes"))).status_code == expected
        assert len((await other.get("numbers")).json()["data"]) == int(allowed)
        assert len((await other.get("sms")).json()["data"]) == (2 if allowed else 0)
        assert (await other.get(f"sms/{ours['id']}")).status_code == (200 if allowed else 404)
        named = await other.post("sms", data=sms(box, to="+46700000000") | {"from": "Kliniken"})
        assert named.status_code == 200
        assert (await other.get(f"sms/{named.json()['id']}")).status_code == 200, "it sees its own"
