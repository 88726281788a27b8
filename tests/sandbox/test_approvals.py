"""Waiting orders, and who may see and decide them."""

import re
from collections.abc import Sequence

import httpx2
import pytest

from elks_mcp.sandbox import Approvals, ManualClock, PageContext, Sandbox, ShownBatch, WaitingText

from .clients import PHONE, open_outside

pytestmark = pytest.mark.anyio


class Desk:
    """A program that has texts and batches waiting, as the server that runs the sandbox is."""

    def __init__(self) -> None:
        self.waiting: dict[str, WaitingText] = {}
        self.batches: list[ShownBatch] = []
        self.decided: list[tuple[str, bool]] = []

    def add(self, code: str, message: str = "Hej!", *reasons: str) -> None:
        details = {"Cost": "0.52 SEK"}
        self.waiting[code] = WaitingText(code, PHONE, "+46701740699", message, reasons, details)

    async def list_waiting(self) -> Sequence[WaitingText]:
        return list(self.waiting.values())

    async def list_batches(self) -> Sequence[ShownBatch]:
        return list(self.batches)

    async def decide(self, code: str, approve: bool) -> str:
        if code not in self.waiting:
            raise LookupError(f"{code} no longer waits.")
        del self.waiting[code]
        self.decided.append((code, approve))
        return "Sent." if approve else "Declined. Nothing is sent."


def open_desk() -> tuple[Desk, Sandbox]:
    desk = Desk()
    desk.add("A-7F3K", "Hej på dig", "The text has a link.")
    approvals = Approvals(desk.list_waiting, desk.decide, desk.list_batches)
    return desk, Sandbox(clock=ManualClock(), page=PageContext(approvals=approvals))


async def read_token(client: httpx2.AsyncClient) -> dict[str, str]:
    """Return the header that the page sends, taken from the page."""
    found = re.search('<meta name="sandbox-token" content="([^"]+)">', (await client.get("/")).text)
    assert found is not None
    assert len(found[1]) >= 40
    return {"x-sandbox-token": found[1]}


async def test_the_page_lists_waiting_orders_and_decides_each_once() -> None:
    desk, box = open_desk()
    async with open_outside(box) as client:
        token = await read_token(client)
        listed = (await client.get("/_sandbox/waiting", headers=token)).json()
        approval = {"code": "A-7F3K", "approve": True}
        first = await client.post("/_sandbox/waiting", headers=token, json=approval)
        second = await client.post("/_sandbox/waiting", headers=token, json=approval)
    (entry,) = listed["waiting"]
    assert (entry["code"], entry["message"], entry["details"]) == (
        "A-7F3K",
        "Hej på dig",
        {"Cost": "0.52 SEK"},
    )
    assert (entry["reasons"], listed["numbers"][PHONE]) == (["The text has a link."], "070-174 06 05")
    assert (first.status_code, first.json()) == (200, {"outcome": "Sent."})
    assert (second.status_code, second.json()) == (409, {"error": "A-7F3K no longer waits."})
    assert desk.decided == [("A-7F3K", True)]


PLAN = ShownBatch(
    "B-7F3K9QXR",
    "A-8G4L",
    "28 texts to 28 recipients: <i>Reminder</i>",
    "waiting",
    reasons=("It is a batch of 28 texts.",),
    details={"To": f"Åsa ({PHONE}) and 27 more", "Cost": "14.56 SEK, 28 parts"},
    left_out=("It is a fixed line. (row 7)",),
    samples=(("Row 2, to Åsa, 1 part", "Hej Åsa! <b>Kom</b>."), ("Row 29, to Bo, 1 part", "Hej Bo!")),
)
RUNNING = ShownBatch("B-AAAAAAAA", "", "12 texts", "running", "Running: 5 of 12 sent.", 5, 12)


async def test_the_page_lists_batches_apart_from_texts() -> None:
    desk, box = open_desk()
    desk.batches = [PLAN, RUNNING]
    async with open_outside(box) as client:
        listed = (await client.get("/_sandbox/waiting", headers=await read_token(client))).json()
        unseen = await client.get("/_sandbox/waiting")
    assert [each["code"] for each in listed["waiting"]] == ["A-7F3K"]
    plan, running = listed["batches"]
    assert (plan["code"], plan["left_out"]) == ("A-8G4L", ["It is a fixed line. (row 7)"])
    assert plan["samples"] == [list(each) for each in PLAN.samples]
    assert (running["status"], running["ended"], running["total"]) == ("Running: 5 of 12 sent.", 5, 12)
    assert "Running" not in unseen.text


STRANGE = [
    {},
    {"x-sandbox-token": ""},
    {"x-sandbox-token": "a" * 43},
    {"x-sandbox-token": "å"},
    {"host": "example.com"},
    {"origin": "https://example.com"},
    {"origin": "null"},
    {"origin": "http://localhost:8080"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
]


@pytest.mark.parametrize("strange", STRANGE, ids=str)
async def test_without_the_pages_token_or_from_another_site_nothing_is_shown_or_decided(
    strange: dict[str, str],
) -> None:
    desk, box = open_desk()
    async with open_outside(box) as client:
        token = await read_token(client)
        is_about_the_token = not strange or "x-sandbox-token" in strange
        headers = strange if is_about_the_token else token | strange
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        seen = await client.get("/_sandbox/waiting", headers=raw)
        decided = await client.post(
            "/_sandbox/waiting", headers=raw, json={"code": "A-7F3K", "approve": True}
        )
    assert (seen.status_code, decided.status_code) == (403, 403)
    assert "Hej" not in seen.text
    assert desk.decided == []


async def test_the_token_is_in_the_page_only_and_differs_between_sandboxes() -> None:
    _, box = open_desk()
    _, other = open_desk()
    async with open_outside(box) as client, open_outside(other) as elsewhere:
        token, foreign = await read_token(client), await read_token(elsewhere)
        secret = token["x-sandbox-token"]
        for path in (
            "/_sandbox/state",
            "/_sandbox/ledger",
            "/_sandbox/faults",
            "/page/main.js",
            "/page/store.js",
        ):
            assert secret not in (await client.get(path)).text
        assert (await client.get("/_sandbox/waiting", headers=foreign)).status_code == 403
    assert token != foreign


async def test_a_sandbox_without_a_server_has_no_approvals() -> None:
    box = Sandbox(clock=ManualClock())
    async with open_outside(box) as client:
        token = await read_token(client)
        answers = [
            await client.get("/_sandbox/waiting", headers=token),
            await client.post("/_sandbox/waiting", headers=token, json={"code": "A-7F3K", "approve": True}),
        ]
    assert [answer.status_code for answer in answers] == [404, 404]


@pytest.mark.parametrize(
    "body", [{}, {"code": "A-7F3K"}, {"approve": True}, {"code": "A-7F3K", "approve": "yes"}]
)
async def test_a_decision_has_a_code_and_is_true_or_false(body: dict[str, object]) -> None:
    desk, box = open_desk()
    async with open_outside(box) as client:
        answer = await client.post("/_sandbox/waiting", headers=await read_token(client), json=body)
    assert answer.status_code == 400
    assert desk.decided == []


async def test_a_decision_must_be_json_which_another_site_cannot_send_without_preflight() -> None:
    desk, box = open_desk()
    async with open_outside(box) as client:
        headers = await read_token(client) | {"content-type": "text/plain"}
        body = b'{"code": "A-7F3K", "approve": true}'
        answer = await client.post("/_sandbox/waiting", headers=headers, content=body)
    assert answer.status_code == 415
    assert desk.decided == []
