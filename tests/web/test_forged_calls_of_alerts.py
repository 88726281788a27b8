"""The attack table of alerts that call: no forged webhook acknowledges one, and the true digit does."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import pytest
from mcp import Client

from elks_mcp.inbound.call_addresses import CallHook, build_call_path
from elks_mcp.sandbox import Sandbox
from elks_mcp.sandbox.voice.call_log import StoredCall
from elks_mcp.store.store import Store
from elks_mcp.web.call_webhooks import ANSWER_WITHIN
from tests.support.call_cases import calling_site
from tests.support.clocks import ManualClock
from tests.support.connecting import call, come_true, data, until
from tests.support.web import Site, post
from tests.web.test_call_webhooks import ringing

pytestmark = pytest.mark.anyio

FIRST, OTHER = "+46701740630", "+46701740631"
POLICY_TEXT = f"""\
policies:
  jour:
    cost_cap: 50
    steps:
      - {{whom: "{FIRST}", by: call, wait: 30}}
  other:
    cost_cap: 50
    steps:
      - {{whom: "{OTHER}", by: call, wait: 30}}
"""


class Alerted(NamedTuple):
    """Two alerts whose calls ring. Attacks are made on the first."""

    box: Sandbox
    served: Site
    client: Client
    alert_id: str
    made: StoredCall
    other: StoredCall
    hook: str
    other_hook: str

    def form(self, **changes: str) -> dict[str, str]:
        """Return what 46elks posts after a key was pressed in the call of the first alert."""
        parties = {"callid": self.made.id, "from": self.made.sender, "to": self.made.to}
        return {"direction": "outgoing", **parties, "result": "1", **changes}

    async def find_status(self, alert_id: str = "") -> Any:
        """Return the status of the first alert, or of another."""
        answer = data(await call(self.client, "check_alert", alertId=alert_id or self.alert_id))
        return answer["status"]


async def list_ongoing(store: Store) -> dict[str, str]:
    """Map the calls that go on to their orders."""
    return {each.call_id: each.order_id for each in await store.calls.list_ongoing()}


@asynccontextmanager
async def alerted(folder: Path, **environ: str) -> AsyncIterator[Alerted]:
    """Raise both alerts over HTTP, and wait until both phones ring."""
    policies = folder / "paging.yaml"
    policies.write_text(POLICY_TEXT, "utf-8")
    more = {"ELKS_TOOLSETS": "sms,escalation", "ELKS_ESCALATION": str(policies), **environ}
    async with calling_site(None, **more) as (box, served), served.client() as client:
        raised = []
        for policy in ("jour", "other"):
            arguments = {"message": "Disken är full", "policy": policy}
            raised.append(data(await call(client, "alert_until_acknowledged", **arguments)))
        await until(lambda: len(box.calls.ringing) == len(raised))
        made, other = sorted(box.calls.ringing, key=lambda each: each.to)
        store = await served.app.storage.open()

        async def are_known() -> bool:
            return {made.id, other.id} == set(await list_ongoing(store))

        await come_true(are_known)
        orders, hasher = await list_ongoing(store), await served.app.storage.find_hasher()
        hooks = [
            f"{served.url}/hooks/{build_call_path(hasher, CallHook(orders[each.id], 'pressed'))}"
            for each in (made, other)
        ]
        yield Alerted(box, served, client, raised[0]["alertId"], made, other, *hooks)


Forge = Callable[[Alerted], Awaitable[None]]


async def by_a_guessed_token(on: Alerted) -> None:
    for token in ("0" * 64, "", "x", "%2e%2e", on.hook.split("/")[-4][:-1]):
        await post(re.sub(r"/hooks/[0-9a-f]+/", f"/hooks/{token}/", on.hook), on.form())


async def by_no_token(on: Alerted) -> None:
    await post(re.sub(r"/hooks/[0-9a-f]+/", "/hooks/", on.hook), on.form())


async def by_the_token_of_another_call(on: Alerted) -> None:
    order = on.hook.split("/")[-2]
    await post(re.sub(r"O-[0-9A-Z]{8}", order, on.other_hook), on.form())


async def by_the_token_of_other_webhooks(on: Alerted) -> None:
    for kind in ("sms", "delivery", "mms"):
        url = await on.served.hook(kind)
        await post(url, on.form())
        await post(f"{url.rpartition('/')[0]}/call/{'/'.join(on.hook.split('/')[-2:])}", on.form())


async def by_the_id_of_another_call(on: Alerted) -> None:
    await post(on.hook, on.form(callid=on.other.id))
    await post(on.hook, on.form(callid=on.other.id, to=on.other.to))


async def by_a_call_that_is_not_ours(on: Alerted) -> None:
    await post(on.hook, on.form(callid="c" + "0" * 32))
    await post(on.hook, on.form(to=OTHER))
    await post(on.hook, on.form(direction="incoming", **{"from": on.made.to, "to": on.made.sender}))


async def by_other_digits(on: Alerted) -> None:
    for digits in ("11", "01", "1#", "١", "1 ", "failed", "success", "", "1\n1"):
        await post(on.hook, on.form(result=digits))


async def by_an_oversized_body(on: Alerted) -> None:
    await post(on.hook, on.form(padding="x" * 70_000))
    await post(on.hook, on.form(**{f"field{number}": "" for number in range(80)}))


async def by_another_content_type(on: Alerted) -> None:
    kinds = ("application/json", "text/plain", "multipart/form-data; boundary=x", "")
    for kind in kinds:
        await post(on.hook, on.form(), **{"content-type": kind})


async def by_two_results(on: Alerted) -> None:
    pairs = "&".join(f"{name}={value.replace('+', '%2B')}" for name, value in on.form(result="2").items())
    await post(on.hook, f"{pairs}&result=1".encode())


async def by_the_address_of_the_end(on: Alerted) -> None:
    await post(re.sub(r"/pressed$", "/ended", on.hook), on.form(state="success", id=on.made.id))


FORGERIES: list[Forge] = [
    by_a_guessed_token,
    by_no_token,
    by_the_token_of_another_call,
    by_the_token_of_other_webhooks,
    by_the_id_of_another_call,
    by_a_call_that_is_not_ours,
    by_other_digits,
    by_an_oversized_body,
    by_another_content_type,
    by_two_results,
    by_the_address_of_the_end,
]


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
async def test_a_forged_webhook_acknowledges_no_alert_and_the_true_digit_does(
    tmp_path: Path, forge: Forge
) -> None:
    async with alerted(tmp_path) as on:
        await forge(on)
        assert await on.find_status() == "running"
        on.box.calls.answer(on.made)
        await until(lambda: bool(on.made.playing))
        on.box.calls.press(on.made, "1")

        async def is_acknowledged() -> bool:
            return bool(await on.find_status() == "acknowledged")

        await come_true(is_acknowledged)


@pytest.mark.long
async def test_forged_webhooks_acknowledge_no_alert_on_a_shared_database(
    tmp_path: Path, postgres_database: str
) -> None:
    shared = {"ELKS_DATABASE_URL": postgres_database, "ELKS_SECRET_KEY": "a key for tests, no secret at all"}
    async with alerted(tmp_path, **shared) as on:
        for forge in FORGERIES:
            await forge(on)
            assert await on.find_status() == "running", forge.__name__
        assert (await post(on.hook, on.form())).status_code == 200

        async def is_acknowledged() -> bool:
            return bool(await on.find_status() == "acknowledged")

        await come_true(is_acknowledged)


async def test_a_replayed_webhook_acknowledges_neither_another_alert_nor_the_same_again(
    tmp_path: Path,
) -> None:
    async with alerted(tmp_path) as on:
        on.box.calls.answer(on.made)
        await until(lambda: bool(on.made.playing))
        on.box.calls.press(on.made, "1")
        await until(lambda: {"voice", "hangup"} <= {each.kind for each in on.box.webhooks})
        [true] = [each for each in on.box.webhooks if each.kind == "voice"]
        before = data(await call(on.client, "check_alert", alertId=on.alert_id))
        for url in (true.url, on.other_hook, true.url):
            answer = await post(url, true.form)
            assert answer.status_code in {200, 204}
        await on.served.app.alerts.escalations.look()
        after = data(await call(on.client, "check_alert", alertId=on.alert_id))
        assert (after, before["notes"]) == (before, [])
        store = await on.served.app.storage.open()
        states = {each.id: each.state for each in await store.alerts.list_latest(10)}
    assert states.pop(on.alert_id) == "acknowledged"
    assert list(states.values()) == ["running"]


async def test_a_webhook_whose_body_does_not_arrive_keeps_no_call_waiting() -> None:
    clock = ManualClock()
    async with ringing(clock) as on:
        path = (await on.url()).removeprefix(on.served.url)
        host, _, port = on.served.url.removeprefix("http://").partition(":")
        head = f"POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 90\r\n"
        head += "content-type: application/x-www-form-urlencoded\r\n\r\ndirection=outgoing"
        waiting = on.served.under_way
        async with await anyio.connect_tcp(host, int(port)) as stream:
            await stream.send(head.encode())
            await until(lambda: on.served.under_way > waiting)
            clock.advance(ANSWER_WITHIN)
            answer = await stream.receive()
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.endswith(b'{"hangup":"reject"}')
        assert (await on.outcome()).digits is None
