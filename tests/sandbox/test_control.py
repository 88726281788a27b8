"""Controlling a sandbox over HTTP, and which requests may not."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from elks_mcp.sandbox import Sandbox

from .clients import PHONE, open_client, open_outside, sms

pytestmark = pytest.mark.anyio
STATIC = Path(__file__).parents[2] / "src" / "elks_mcp" / "sandbox" / "static"


@pytest.fixture
def steering(box: Sandbox) -> httpx2.AsyncClient:
    """A client without credentials: the control API wants none."""
    outside = open_outside(box)
    outside.base_url = httpx2.URL("http://localhost:4646/_sandbox/")
    return outside


async def test_the_state_shows_phones_with_their_screens_and_what_never_arrived(
    box: Sandbox, client: httpx2.AsyncClient, steering: httpx2.AsyncClient
) -> None:
    await client.post("sms", data=sms(box, message="Hej på dig"))
    await client.post("sms", data=sms(box, to="+46701740610"))
    advanced = await steering.post("clock", json={"seconds": 10})
    state = (await steering.get("state")).json()
    assert advanced.json() == {"now": "2026-01-15T12:00:10.429Z"}
    assert (state["balance"], state["currency"], state["number"]) == (989_600, "SEK", box.number)
    reached, failing = state["handsets"]
    assert [text["text"] for text in reached["texts"]] == ["Hej på dig"]
    assert (failing["texts"], [message["status"] for message in failing["underway"]]) == ([], ["failed"])
    assert [request["status"] for request in state["requests"]] == [200, 200]
    assert len(state["messages"]) == 2


async def test_strangers_and_phones_can_text_the_account_over_http(
    box: Sandbox, steering: httpx2.AsyncClient
) -> None:
    await steering.post("incoming", json={"from": "+46701740606", "text": "Hej?"})
    await steering.post("incoming", json={"from": "Banken", "text": "Kod 1234", "to": "+46701740698"})
    answer = await steering.post("reply", json={"number": PHONE, "text": "Hej själv"})
    assert answer.json()["message"]["sender"] == PHONE
    assert [(message.sender, message.text) for message in box.history] == [
        ("+46701740606", "Hej?"),
        ("Banken", "Kod 1234"),
        (PHONE, "Hej själv"),
    ]


async def test_a_sender_name_cannot_be_answered_over_http(
    box: Sandbox, client: httpx2.AsyncClient, steering: httpx2.AsyncClient
) -> None:
    await client.post("sms", data=sms(box) | {"from": "Kliniken"})
    box.clock.advance(timedelta(seconds=2))
    answer = await steering.post("reply", json={"number": PHONE, "text": "Hej"})
    assert answer.status_code == 409


async def test_the_ledger_shows_requests_charges_and_webhooks(
    box: Sandbox, client: httpx2.AsyncClient, steering: httpx2.AsyncClient
) -> None:
    sent = await client.post("sms", data=sms(box, whendelivered="https://example.com/"))
    await steering.post("clock", json={"seconds": 1})
    ledger = (await steering.get("ledger")).json()
    assert ledger["requests"][0]["form"]["message"] == "Hej!"
    assert [charge["message_id"] for charge in ledger["charges"]] == [sent.json()["id"]]
    assert "refused" in ledger["webhooks"][0]["problem"]
    assert box.password not in str(ledger)


async def test_faults_are_injected_listed_and_cancelled_over_http(
    client: httpx2.AsyncClient, steering: httpx2.AsyncClient
) -> None:
    fault = {"fault": "too_many_requests", "method": "GET", "times": None, "retry_after": 3}
    listed = (await steering.post("faults", json=fault)).json()["faults"]
    assert [(entry["fault"], entry["left"]) for entry in listed] == [("too_many_requests", None)]
    assert (await client.get("me")).headers["retry-after"] == "3"
    assert (await steering.delete("faults")).json() == (await steering.get("faults")).json() == {"faults": []}
    assert (await client.get("me")).status_code == 200


async def test_a_late_acceptance_can_be_requested_and_triggered_over_http(
    box: Sandbox, client: httpx2.AsyncClient, steering: httpx2.AsyncClient
) -> None:
    await steering.post("faults", json={"fault": "accept_late_drop", "duration_seconds": 3})
    with pytest.raises(httpx2.ReadError):
        await client.post("sms", data=sms(box))
    await steering.post("clock", json={"seconds": 2})
    early = (await steering.get("ledger")).json()["charges"]
    await steering.post("clock", json={"seconds": 1})
    late = (await steering.get("ledger")).json()["charges"]
    assert (len(early), len(late)) == (0, 1)


async def test_a_reset_over_http_clears_the_state(
    box: Sandbox, client: httpx2.AsyncClient, steering: httpx2.AsyncClient
) -> None:
    await client.post("sms", data=sms(box))
    assert (await steering.post("reset", json={})).json() == {"balance": 1_000_000}
    assert (box.history, box.requests) == ([], [])


async def test_with_the_real_clock_an_event_due_soon_can_be_triggered_now() -> None:
    box = Sandbox()
    async with open_client(box) as client:
        await client.post("sms", data=sms(box))
        await client.post("sms", data=sms(box, to="+46701740612"))
        await client.post("http://sandbox/_sandbox/clock", json={"seconds": 2})
        assert [message.status for message in box.accepted] == ["delivered", "sent"]
        await client.post("http://sandbox/_sandbox/clock", json={"seconds": 60})
    assert [message.status for message in box.accepted] == ["delivered", "delivered"]
    assert all(message.delivered_at <= box.clock.now() for message in box.accepted if message.delivered_at)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults", {}),
        ("faults", {"fault": "moose"}),
        ("faults", {"fault": "hang", "times": "often"}),
        ("faults", {"fault": "hang", "unknown": 1}),
        ("faults", {"fault": "hang", "times": 0}),
        ("faults", {"fault": "hang", "duration_seconds": "long"}),
        ("faults", {"fault": "accept_late", "accepted": False}),
        ("clock", {"seconds": -1}),
        ("clock", {"seconds": 1e300}),
        ("clock", {}),
        ("incoming", {"from": PHONE}),
        ("incoming", {"from": PHONE, "text": "Hej", "to": "moose"}),
        ("reply", {"number": "moose", "text": "Hej"}),
        ("reply", {"number": PHONE, "text": 7}),
        ("reset", []),
        ("phone", {"number": "moose"}),
        ("phone", {"number": "070"}),
        ("behaviour", {"number": PHONE, "behaviour": "moose"}),
        ("behaviour", {"number": PHONE, "behaviour": "answers"}),
        ("behaviour", {"number": "moose", "behaviour": "off"}),
        ("fail-next", {"fails": "moose"}),
    ],
)
async def test_a_senseless_request_is_answered_with_400_and_a_reason(
    steering: httpx2.AsyncClient, path: str, body: Any
) -> None:
    answer = await steering.post(path, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data"]
)
async def test_a_post_that_another_site_can_send_without_preflight_is_refused(
    box: Sandbox, steering: httpx2.AsyncClient, content_type: str
) -> None:
    """The three types that a browser sends across origins without asking first (CORS)."""
    for path in ("incoming", "reply", "faults", "clock", "reset", "phone", "behaviour", "fail-next"):
        body = b'{"from": "+46701740605", "text": "Hej"}'
        answer = await steering.post(path, content=body, headers={"content-type": content_type})
        assert answer.status_code == 415
    assert box.history == []


async def test_the_page_may_run_only_its_own_script(steering: httpx2.AsyncClient) -> None:
    page = await steering.get("http://localhost:4646/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "require-trusted-types-for 'script'" in policy
    files = re.findall(r'(?:src|href)="(page/[a-z.]+)"', page.text)
    assert len(files) == 4
    for file in files:
        answer = await steering.get(f"http://localhost:4646/{file}")
        assert answer.status_code == 200
        assert answer.headers["content-security-policy"] == policy
        assert answer.headers["x-content-type-options"] == "nosniff"
    for missing in ("moose.js", "index.html", "..%2fpage.py", "%2e%2e/page.py"):
        assert (await steering.get(f"http://localhost:4646/page/{missing}")).status_code == 404


def test_the_page_names_no_other_host_and_parses_no_text_as_html() -> None:
    """The icon's name space is a name, not an address."""
    for file in STATIC.iterdir():
        source = file.read_text("utf-8").replace("xmlns='http://www.w3.org/2000/svg'", "")
        assert not re.search(
            r"https?://|innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", source
        ), file
        assert len(source.splitlines()) <= 300
