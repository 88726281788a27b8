"""Delivery reports and incoming texts by webhook: what is sent, the retries, and the effect of an answer."""

import base64
from datetime import timedelta
from urllib.parse import parse_qsl

import anyio
import anyio.abc
import httpx2
import pytest

from elks_mcp.sandbox import ManualClock, Rules, Sandbox
from tests.support.clocks import HANG

from .clients import PHONE, open_client, sms

pytestmark = pytest.mark.anyio
SECOND = timedelta(seconds=1)
HOOK = "https://example.com/hook"


class Receiver(httpx2.AsyncBaseTransport):
    """A web server that records requests and gives the answers that the test sets, then 204."""

    def __init__(self, *answers: httpx2.Response) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []
        self.forms: list[dict[str, str]] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        self.forms.append(dict(parse_qsl((await request.aread()).decode())))
        return self.answers.pop(0) if self.answers else httpx2.Response(204)


def make_box(transport: httpx2.AsyncBaseTransport | None, rules: Rules | None = None) -> Sandbox:
    return Sandbox(clock=ManualClock(), webhook_transport=transport, rules=rules)


async def set_sms_url(box: Sandbox, url: str, **more: str) -> None:
    async with open_client(box) as client:
        [number] = (await client.get("numbers")).json()["data"]
        answer = await client.post(f"numbers/{number['id']}", data={"sms_url": url} | more)
        assert answer.status_code == 200


async def test_each_status_change_is_reported_once() -> None:
    receiver = Receiver()
    box = make_box(receiver)
    async with open_client(box) as client:
        sent = (await client.post("sms", data=sms(box, whendelivered=HOOK))).json()
    box.clock.advance(10 * SECOND)
    await box.settle()
    await box.settle()
    assert receiver.forms == [
        {"id": sent["id"], "status": "sent"},
        {"id": sent["id"], "status": "delivered", "delivered": "2026-01-15T12:00:02.429389"},
    ]


async def test_the_test_number_is_reported_as_delivered_and_reaches_no_phone() -> None:
    receiver = Receiver()
    box = make_box(receiver)
    async with open_client(box) as client:
        await client.post("sms", data=sms(box, to="+46700000000", whendelivered=HOOK))
    box.clock.advance(10 * SECOND)
    await box.settle()
    assert [form["status"] for form in receiver.forms] == ["sent", "delivered"]
    assert box.handset("+46700000000").texts == []


async def test_credentials_in_the_address_become_basic_authentication_and_are_not_stored() -> None:
    """docs/sms-delivery-reports: user info in the URL, and any query."""
    receiver = Receiver()
    box = make_box(receiver)
    async with open_client(box) as client:
        url = "https://moose:s%40crown@example.com/hook?ref=7"
        await client.post("sms", data=sms(box, to="+46701740611", whendelivered=url))
    box.clock.advance(SECOND)
    await box.settle()
    [request] = receiver.requests
    assert request.headers["authorization"] == "Basic " + base64.b64encode(b"moose:s@crown").decode()
    assert str(request.url) == box.webhooks[0].url == "https://example.com/hook?ref=7"


async def test_a_webhook_is_retried_every_five_minutes_for_six_hours() -> None:
    receiver = Receiver(*[httpx2.Response(500)] * 100)
    box = make_box(receiver)
    await set_sms_url(box, HOOK)
    box.receive(PHONE, "Hej?")
    box.clock.advance(timedelta(hours=24))
    await box.settle()
    assert len(receiver.forms) == len(box.webhooks) == 73
    assert box.webhooks[-1].at - box.webhooks[0].at == timedelta(hours=6)
    assert [attempt.number for attempt in box.webhooks] == list(range(1, 74))
    assert {form["message"] for form in receiver.forms} == {"Hej?"}


@pytest.mark.parametrize(("status", "tries"), [(200, 1), (204, 1), (205, 2), (302, 2), (404, 2), (500, 2)])
async def test_only_200_to_204_ends_the_retries_and_redirects_are_not_followed(
    status: int, tries: int
) -> None:
    receiver = Receiver(httpx2.Response(status, headers={"location": "https://example.com/elsewhere"}))
    box = make_box(receiver)
    await set_sms_url(box, HOOK)
    box.receive(PHONE, "Hej?")
    box.clock.advance(timedelta(minutes=20))
    await box.settle()
    assert [str(request.url) for request in receiver.requests] == [HOOK] * tries


async def test_a_webhook_that_does_not_answer_in_time_is_tried_again() -> None:
    class Silent(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            await anyio.Event().wait()
            raise NotImplementedError(request.url)

    rules = Rules(webhook_timeout=timedelta(milliseconds=5), webhook_retry_for=timedelta(minutes=5))
    box = make_box(Silent(), rules)
    await set_sms_url(box, HOOK)
    box.receive(PHONE, "Hej?")
    box.clock.advance(timedelta(hours=1))
    await box.settle()
    assert [attempt.problem for attempt in box.webhooks] == ["no answer in time"] * 2


async def test_an_incoming_text_is_posted_as_a_form_and_its_answer_is_sent_and_charged() -> None:
    receiver = Receiver(httpx2.Response(200, text="Vi har öppet till 19.\n"))
    box = make_box(receiver)
    await set_sms_url(box, HOOK)
    received = box.receive(PHONE, "Öppettider?")
    box.clock.advance(5 * SECOND)
    await box.settle()
    assert receiver.forms == [
        {
            "direction": "incoming",
            "id": received.id,
            "from": PHONE,
            "to": box.number,
            "created": "2026-01-15T12:00:00.429389",
            "message": "Öppettider?",
        }
    ]
    [reply], [charge] = box.accepted, box.charges
    assert (reply.direction, reply.sender, reply.to) == ("outgoing-reply", box.number, PHONE)
    assert (reply.text, charge.amount) == ("Vi har öppet till 19.", 5_200)
    assert box.handset(PHONE).texts[-1].text == "Vi har öppet till 19."


@pytest.mark.parametrize(
    ("body", "to", "text"),
    [
        ('{"reply": "Hej!"}', PHONE, "Hej!"),
        ('{"forward": "+46701740606", "prefix": "Från kund: "}', "+46701740606", "Från kund: Hej?"),
        ("<html>OK</html>", PHONE, "<html>OK</html>"),
        ("[1]", PHONE, "[1]"),
    ],
)
async def test_the_answer_can_be_an_action_and_anything_else_is_sent_unchanged(
    body: str, to: str, text: str
) -> None:
    box = make_box(Receiver(httpx2.Response(200, text=body)))
    await set_sms_url(box, HOOK)
    box.receive(PHONE, "Hej?")
    await box.settle()
    assert [(message.to, message.text) for message in box.accepted] == [(to, text)]


@pytest.mark.parametrize("body", ["", " \n", "{}", '{"reply": ""}', '{"reply": 7}', '{"forward": "moose"}'])
async def test_an_empty_or_invalid_answer_sends_nothing(body: str) -> None:
    box = make_box(Receiver(httpx2.Response(200, text=body)))
    await set_sms_url(box, HOOK)
    box.receive(PHONE, "Hej?")
    await box.settle()
    assert box.accepted == []


async def test_no_reply_is_sent_to_a_name_or_without_money_or_with_replies_off() -> None:
    box = make_box(Receiver(*[httpx2.Response(200, text="Hej!") for _ in range(3)]))
    await set_sms_url(box, HOOK)
    box.receive("Banken", "Hej?")
    await box.settle()
    box.balance = 0
    box.receive(PHONE, "Hej?")
    await box.settle()
    box.balance = 10_000
    await set_sms_url(box, HOOK, sms_replies="no")
    box.receive(PHONE, "Hej?")
    await box.settle()
    assert (len(box.webhooks), box.accepted) == (3, [])


async def test_an_action_can_replace_the_address_and_none_clears_it() -> None:
    """docs/configure-number."""
    box = make_box(Receiver())
    await set_sms_url(box, '{"reply": "Vi svarar i morgon."}')
    box.receive(PHONE, "Hej?")
    await set_sms_url(box, "none")
    box.receive(PHONE, "Hallå?")
    await box.settle()
    assert [message.text for message in box.accepted] == ["Vi svarar i morgon."]
    assert box.webhooks == []


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/hook",
        "http://192.0.2.1/",
        "http://localhost.example.com/",
        "http://127.0.0.1@192.0.2.1/",
        "ftp://localhost/",
        "moose",
        "http://[",
    ],
)
async def test_by_default_the_sandbox_calls_only_this_machine(url: str) -> None:
    box = make_box(None)
    await set_sms_url(box, url)
    box.receive(PHONE, "Hej?")
    box.clock.advance(timedelta(hours=24))
    await box.settle()
    [attempt] = box.webhooks
    assert attempt.status is None
    assert "refused" in attempt.problem or "not a web address" in attempt.problem


async def test_a_webhook_on_this_machine_is_really_called() -> None:
    got: list[bytes] = []

    async def serve(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            while not got or b"message=" not in got[-1]:
                got.append(await stream.receive())
            await stream.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    box = make_box(None)
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as group,
    ):
        group.start_soon(listener.serve, serve)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - not Django
        box.webhook_ports.add(port)
        await set_sms_url(box, f"http://localhost:{port}/hook")
        box.receive(PHONE, "Hej?")
        await box.settle()
        group.cancel_scope.cancel()
    assert [attempt.status for attempt in box.webhooks] == [204]
    assert b"POST /hook HTTP/1.1" in got[0]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.8.8.8", "user:password@localhost"])
async def test_a_port_of_this_machine_that_was_not_allowed_is_refused_with_the_reason(host: str) -> None:
    """Another program of this machine would treat a POST without an Origin as one of its user."""
    box = make_box(None)
    box.webhook_ports.add(8046)
    urls = {443: f"https://{host}/", 80: f"http://{host}/hook", 5432: f"http://{host}:5432/"}
    async with open_client(box) as client:
        [number] = (await client.get("numbers")).json()["data"]
        for port, url in urls.items():
            refusal = f"refused: the sandbox was not started with --webhook-port {port}"
            for form in (sms(box, whendelivered=url), sms(box, whendelivered=url, dryrun="yes")):
                answer = await client.post("sms", data=form)
                assert (answer.status_code, answer.text) == (403, f"whendelivered {refusal}")
            answer = await client.post(f"numbers/{number['id']}", data={"sms_url": url})
            assert (answer.status_code, answer.text) == (403, f"sms_url {refusal}")
            assert box.requests[-1].error == answer.text
        accepted = await client.post("sms", data=sms(box, whendelivered=f"http://{host}:8046/hook"))
        assert accepted.status_code == 200
    assert len(box.accepted) == 1


async def test_a_webhook_to_a_port_that_is_no_longer_allowed_is_not_sent_and_the_log_says_why() -> None:
    box, reached = make_box(None), anyio.Event()

    async def serve(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            reached.set()

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as group,
    ):
        group.start_soon(listener.serve, serve)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - not Django
        box.webhook_ports.add(port)
        await set_sms_url(box, f"http://localhost:{port}/hook")
        box.webhook_ports.clear()
        box.receive(PHONE, "Hej?")
        box.clock.advance(timedelta(hours=24))
        await box.settle()
        group.cancel_scope.cancel()
    assert not reached.is_set()
    [attempt] = box.webhooks
    assert attempt.problem == f"refused: the sandbox was not started with --webhook-port {port}"


async def test_a_webhook_whose_delivery_was_cancelled_is_tried_again() -> None:
    started = anyio.Event()

    class Slow(Receiver):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            if not started.is_set():
                started.set()
                await anyio.Event().wait()
            return await super().handle_async_request(request)

    receiver = Slow()
    box = make_box(receiver)
    await set_sms_url(box, HOOK)
    async with box.running():
        box.receive(PHONE, "Hej?")
        with anyio.fail_after(HANG):
            await started.wait()
    await box.settle()
    assert [form["message"] for form in receiver.forms] == ["Hej?"]


async def test_deliveries_and_webhooks_happen_in_the_order_of_the_clock() -> None:
    box = make_box(Receiver(httpx2.Response(200, text="Ja, till 19.")))
    await set_sms_url(box, HOOK)
    box.receive(PHONE, "Har ni öppet?")
    box.clock.advance(SECOND)
    async with open_client(box) as client:
        await client.post("sms", data=sms(box, message="Välkommen!"))
    box.clock.advance(60 * SECOND)
    await box.settle()
    assert [text.text for text in box.handset(PHONE).texts] == ["Har ni öppet?", "Ja, till 19.", "Välkommen!"]
