"""The webhooks about calls: forged, repeated and late ones, and a database that does not answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio
import httpx2
import pytest

from elks_mcp.domain.calls import CallOutcome
from elks_mcp.inbound.call_addresses import CallHook, CallStep, build_call_path
from elks_mcp.sandbox import Sandbox
from elks_mcp.sandbox.voice.call_log import StoredCall
from elks_mcp.store.store import Store
from tests.support.call_cases import calling_site, making_call, rings
from tests.support.clocks import ManualClock
from tests.support.connecting import come_true, until
from tests.support.stores import failing, hanging
from tests.support.web import Site, http_client, post

pytestmark = pytest.mark.anyio

FORM = "application/x-www-form-urlencoded"
HANG_UP = b'{"hangup":"reject"}'


class Ringing:
    """A call that rings, and the addresses that 46elks got for it."""

    def __init__(self, box: Sandbox, served: Site, made: StoredCall, order_id: str) -> None:
        self.box, self.served, self.made, self.order_id = box, served, made, order_id

    async def url(self, step: CallStep = "pressed", order_id: str = "") -> str:
        """Return the address of a webhook about this call."""
        hasher = await self.served.app.storage.find_hasher()
        return f"{self.served.url}/hooks/{build_call_path(hasher, CallHook(order_id or self.order_id, step))}"

    def form(self, **changes: str) -> dict[str, str]:
        """Return what 46elks posts after a key was pressed."""
        parties = {"callid": self.made.id, "from": self.made.sender, "to": self.made.to}
        return {"direction": "outgoing", **parties, "result": "1", **changes}

    async def outcome(self) -> CallOutcome:
        """Return what is known of the call."""
        found = await self.served.app.calls.outcomes.find(self.order_id)
        assert found is not None
        return found

    def count(self, result: str) -> int:
        """Return how many webhooks had this result."""
        lines = self.served.app.counters.write()
        wanted = f'elks_mcp_webhooks_total{{result="{result}"}} '
        return sum(int(line.rpartition(" ")[2]) for line in lines if line.startswith(wanted))


@asynccontextmanager
async def ringing(clock: ManualClock | None = None, **environ: str) -> AsyncIterator[Ringing]:
    """Call a phone that only the test answers."""
    async with (
        calling_site(clock, **environ) as (box, served),
        served.client() as client,
        making_call(client),
    ):
        made = await rings(box)
        store = await served.app.storage.open()
        await come_true(lambda: has_ongoing(store))
        [ongoing] = await store.calls.list_ongoing()
        yield Ringing(box, served, made, ongoing.order_id)
        if made.is_ringing:
            box.calls.decline(made)


async def has_ongoing(store: Store) -> bool:
    """Return whether the answer that 46elks makes a call was recorded."""
    return bool(await store.calls.list_ongoing())


async def test_pressed_digits_are_stored_and_the_call_is_ended() -> None:
    async with ringing() as call:
        answer = await post(await call.url(), call.form())
        assert (answer.status_code, answer.content) == (200, HANG_UP)
        assert answer.headers["content-type"] == "application/json"
        assert (await call.outcome()).digits == "1"


async def test_repeated_and_later_digits_change_nothing() -> None:
    async with ringing() as call:
        for digits in ("1", "1", "2", "failed"):
            assert (await post(await call.url(), call.form(result=digits))).status_code == 200
        assert (await call.outcome()).digits == "1"


@pytest.mark.parametrize(
    "changes",
    [
        {"callid": "c" + "0" * 32},
        {"from": "+46701740690"},
        {"to": "+46701740690"},
        {"result": "12"},
        {"result": "success"},
        {"result": ""},
        {"callid": ""},
    ],
)
async def test_digits_that_do_not_belong_to_the_call_are_not_stored_and_end_it(
    changes: dict[str, str],
) -> None:
    async with ringing() as call:
        answer = await post(await call.url(), call.form(**changes))
        assert (answer.status_code, answer.content) == (200, HANG_UP)
        if changes != {"result": ""}:  # nothing was pressed, which is true for now
            assert call.count("dropped") == 1
            assert (await call.outcome()).digits is None
        assert not (await call.outcome()).digits


async def test_an_address_is_for_one_call_and_one_step_only() -> None:
    async with ringing() as call:
        url, ended = await call.url(), await call.url("ended")
        secret = url.removeprefix(f"{call.served.url}/hooks/").partition("/")[0]
        other = f"{call.served.url}/hooks/{secret}/call/O-22222222/pressed"
        wrong_step = f"{call.served.url}/hooks/{secret}/call/{call.order_id}/ended"
        texts = f"{call.served.url}/hooks/{secret}/sms"
        reports = f"{call.served.url}/hooks/{secret}/delivery"
        guessed = f"{call.served.url}/hooks/{'0' * 64}/call/{call.order_id}/pressed"
        delivery = (await call.served.hook("delivery")).rpartition("/")[0]
        forms: list[tuple[str, dict[str, str]]] = [
            *((each, call.form()) for each in (other, texts, reports, guessed, f"{url}/", f"{url}x")),
            (wrong_step, call.form(state="success")),
            (f"{delivery}/call/{call.order_id}/pressed", call.form()),
            (await call.url(order_id="O-22222222"), call.form()),
        ]
        for each, form in forms:
            answer = await post(each, form)
            ends_a_call = each.endswith("/pressed")  # whatever its secret: the answer tells nothing about it
            expected = (200, HANG_UP) if ends_a_call else (204, b"")
            assert (answer.status_code, answer.content) == expected, each
        assert (await call.outcome()).digits is None
        assert call.count("dropped") == len(forms)
        assert ended != url


async def test_a_webhook_from_elsewhere_is_dropped() -> None:
    async with ringing(ELKS_API_BASE_URL="http://localhost/a1", ELKS_TRUSTED_PROXIES="127.0.0.1") as call:
        answer = await post(await call.url(), call.form(), **{"x-forwarded-for": "203.0.113.9"})
        assert (answer.status_code, answer.content) == (200, HANG_UP)
        assert (await call.outcome()).digits is None


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE"])
async def test_only_a_post_is_a_webhook(method: str) -> None:
    async with ringing() as call, http_client() as client:
        answer = await client.request(method, await call.url())
        assert (answer.status_code, answer.content, answer.headers["allow"]) == (405, b"", "POST")


@pytest.mark.parametrize("content", [b"x" * 70_000, b"result=1&result=2", b"&".join([b"a=1"] * 100)])
async def test_an_odd_body_is_dropped(content: bytes) -> None:
    async with ringing() as call:
        answer = await post(await call.url("ended"), content)
        assert (answer.status_code, answer.content) == (204, b"")


async def test_a_database_that_fails_does_not_keep_the_call_waiting() -> None:
    async with ringing() as call:
        url, form = await call.url(), call.form()
        with failing(await call.served.app.storage.open()):
            answer = await post(url, form)
        assert (answer.status_code, answer.content) == (200, HANG_UP)
        assert call.count("failed") == 1


async def test_a_database_that_hangs_delays_the_answer_for_two_seconds_at_most() -> None:
    clock = ManualClock()
    async with ringing(clock) as call:
        url, form = await call.url(), call.form()
        answers: list[httpx2.Response] = []

        async def ask() -> None:
            answers.append(await post(url, form))

        store = await call.served.app.storage.open()
        with hanging(store, "calls") as fault:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask)
                await until(lambda: bool(fault.is_over or call.served.under_way >= 2))
                await until(lambda: clock.next_at is not None)
                clock.advance(timedelta(seconds=2))
        [answer] = answers
        assert (answer.status_code, answer.content) == (200, HANG_UP)


async def test_the_end_of_a_call_is_stored_once_and_tried_again_if_that_fails() -> None:
    async with ringing() as call:
        url = await call.url("ended")
        form = call.form(id=call.made.id, state="busy", actions="[]", legs="[]")
        del form["callid"], form["result"]
        with failing(await call.served.app.storage.open()):
            assert (await post(url, form)).status_code == 503
        for _ in range(2):
            answer = await post(url, form)
            assert (answer.status_code, answer.content) == (204, b"")
        assert (await call.outcome()).state == "busy"
