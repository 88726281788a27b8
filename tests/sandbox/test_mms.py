"""MMS and their pictures in the simulated 46elks."""

import base64
import json
from datetime import datetime, timedelta
from hashlib import sha1
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import httpx2
import pytest

from elks_mcp.sandbox import MAGIC, SAMPLE, Fault, ManualClock, Rules, Sandbox

from .clients import PHONE, open_client
from .test_wire_examples import example, shape, without

pytestmark = pytest.mark.anyio
PNG = SAMPLE.content
GIF = b"GIF89a" + bytes(20)
JPEG = b"\xff\xd8\xff\xe0" + bytes(20)
STEP = timedelta(seconds=2)


def data_url(content: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def mms(box: Sandbox, **more: str) -> dict[str, str]:
    return {"from": box.number, "to": PHONE, "message": "Hej!", "image": data_url(PNG)} | more


async def test_the_answer_to_an_mms_is_the_documented_one(box: Sandbox, client: httpx2.AsyncClient) -> None:
    expected = example("send_mms")
    answer = await client.post("mms", data=expected["request"]["form"])
    assert (answer.status_code, answer.headers["content-type"]) == (200, expected["content_type"])
    assert list(answer.json()) == list(expected["body"])
    assert without(answer.json(), "id", "created") == without(expected["body"], "id", "created")
    assert answer.json()["id"].startswith("m")
    assert [(charge.message_id, charge.amount) for charge in box.charges] == [(answer.json()["id"], 12_500)]


async def test_the_history_of_mms_has_the_documented_fields(box: Sandbox, client: httpx2.AsyncClient) -> None:
    [item] = example("mms_history")["body"]["data"]
    at = datetime.fromisoformat(item["created"] + "Z")
    for created in (at - timedelta(hours=1), at):
        box.add_history(created, to=item["to"], text=item["message"], pictures=[PNG])
    box.add_history(at)
    answer = (await client.get("mms", params={"limit": "1"})).json()
    assert [without(each, "id", "status", "delivered", "images") for each in answer["data"]] == [
        without(item, "id")
    ]
    assert answer["next"] == example("mms_history")["body"]["next"]
    older = (await client.get("mms", params={"start": answer["next"]})).json()
    assert (len(older["data"]), "next" in older) == (1, False)


async def test_an_incoming_mms_has_the_documented_fields_and_the_documented_misspelling(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    message = box.receive(PHONE, "Message text.", pictures=[PNG])
    answer = (await client.get(f"mms/{message.id}")).json()
    expected = example("mms_by_id_incoming")["body"]
    assert sorted(shape(without(answer, "status", "cost", "owner"))) == sorted(shape(expected))
    assert (answer["status"], answer["images"]) == ("recieved", [f"{message.id}-i0"])


async def test_an_image_has_its_facts_and_its_content(box: Sandbox, client: httpx2.AsyncClient) -> None:
    message = box.receive(PHONE, "", pictures=[PNG, GIF])
    facts = (await client.get(f"images/{message.id}-i0")).json()
    assert shape(facts) == shape(example("image_by_id")["body"])
    assert (facts["digest"], facts["bytes"]) == (sha1(PNG, usedforsecurity=False).hexdigest(), len(PNG))
    listed = (await client.get("images", params={"limit": "1"})).json()
    assert (listed["data"], "next" in listed) == ([facts], True)
    content = await client.get(f"images/{message.id}-i1.jpg")
    assert (content.content, content.headers["content-type"]) == (GIF, "application/octet-stream")
    assert (await client.get(f"images/{message.id}-i2")).status_code == 404
    client.auth = ("nobody", "nothing")
    assert (await client.get(f"images/{message.id}-i0.jpg")).status_code == 401


async def test_an_mms_arrives_with_its_pictures_and_is_answered(
    box: Sandbox, client: httpx2.AsyncClient
) -> None:
    to = "+46701740628"
    sent = (await client.post("mms", data=mms(box, to=to, image2=data_url(JPEG, "jpeg")))).json()
    assert (await client.get(f"mms/{sent['id']}")).json()["status"] == "sent"
    box.clock.advance(STEP)
    [received] = box.handset(to).texts
    assert ([each.filetype for each in received.pictures], received.text) == (["png", "jpg"], "Hej!")
    shown = (await client.get(f"mms/{sent['id']}")).json()
    assert (shown["status"], "delivered" in shown) == ("delivered", True)
    box.clock.advance(STEP)
    answer = box.history[-1]
    assert (answer.direction, answer.is_mms, answer.pictures) == ("incoming", True, (SAMPLE,))
    assert MAGIC[to].picture == SAMPLE


@pytest.mark.parametrize(
    "image",
    [
        data_url(PNG),
        data_url(GIF, "gif"),
        f"data:,{quote_from_bytes(PNG)}",
        data_url(PNG).replace("+", " "),
        "https://example.com/cat.png",
    ],
    ids=["base64", "gif", "percent", "unencoded plus", "web address"],
)
async def test_a_picture_can_be_given_in_each_documented_way(
    box: Sandbox, client: httpx2.AsyncClient, image: str
) -> None:
    assert (await client.post("mms", data=mms(box, image=image, message=""))).status_code == 200
    assert [len(message.pictures) for message in box.accepted] == [1]


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"from": "Kliniken"}, "Invalid from number"),
        ({"to": "46elks"}, "Invalid to number"),
        ({"to": "+4791234567"}, "Sending MMS to this country is not supported"),
        ({"message": "", "image": ""}, "Missing key message or image"),
        ({"image": "cat.png"}, "Invalid image"),
        ({"image": data_url(b"%PDF-1.7")}, "Invalid image"),
        ({"image": "data:image/png;base64,%%%"}, "Invalid image"),
        ({"image2": "cat.png"}, "Invalid image2"),
        ({"image": data_url(PNG + bytes(320_000))}, "The MMS is too large"),
        ({"whendelivered": "http://localhost:1/"}, None),
    ],
)
async def test_a_request_that_cannot_be_an_mms_is_refused_and_not_charged(
    box: Sandbox, client: httpx2.AsyncClient, more: dict[str, str], line: str | None
) -> None:
    answer = await client.post("mms", data=mms(box, **more))
    assert answer.status_code == 403
    assert line is None or answer.text == line
    assert (box.accepted, box.charges) == ([], [])


async def test_an_empty_account_cannot_send_an_mms(box: Sandbox, client: httpx2.AsyncClient) -> None:
    box.balance = 0
    assert (await client.post("mms", data=mms(box))).text == "Not enough credits"


SWITCHES: list[tuple[Rules, dict[str, str], int]] = [
    (Rules(), {"from": "noreply"}, 200),
    (Rules(mms_noreply_number=""), {"from": "noreply"}, 403),
    (Rules(own_number_sends_mms=False), {}, 403),
    (Rules(own_senders_only=True), {"from": "+46701740606"}, 403),
    (Rules(mms_countries={"46", "47"}), {"to": "+4791234567"}, 200),
    (Rules(mms_too_large=None), {"image": data_url(PNG + bytes(320_000))}, 200),
    (Rules(mms_max_bytes=100), {}, 403),
]


@pytest.mark.parametrize(("rules", "more", "status"), SWITCHES)
async def test_a_switch_decides_what_is_not_documented(
    rules: Rules, more: dict[str, str], status: int
) -> None:
    box = Sandbox(clock=ManualClock(), rules=rules)
    async with open_client(box) as client:
        assert (await client.post("mms", data=mms(box, **more))).status_code == status


async def test_noreply_is_replaced_by_a_number(box: Sandbox, client: httpx2.AsyncClient) -> None:
    answer = (await client.post("mms", data=mms(box) | {"from": "noreply"})).json()
    assert answer["from"] == box.rules.mms_noreply_number


@pytest.mark.parametrize("shows", [True, False])
async def test_a_switch_decides_whether_an_mms_is_ever_called_delivered(shows: bool) -> None:
    box = Sandbox(clock=ManualClock(), rules=Rules(mms_shows_delivery=shows))
    async with open_client(box) as client:
        sent = (await client.post("mms", data=mms(box))).json()
        box.clock.advance(STEP)
        item = (await client.get(f"mms/{sent['id']}")).json()
    assert (item["status"], "delivered" in item) == ("delivered" if shows else "sent", shows)


@pytest.mark.parametrize("reports", [True, False])
async def test_a_switch_decides_whether_an_mms_is_reported(reports: bool) -> None:
    box = Sandbox(clock=ManualClock(), rules=Rules(mms_reports_delivery=reports))
    async with open_client(box) as client:
        await client.post("mms", data=mms(box, whendelivered="https://example.com/elks"))
    box.clock.advance(STEP)
    await box.settle()
    assert [attempt.form["status"] for attempt in box.webhooks] == (["sent", "delivered"] if reports else [])


@pytest.mark.parametrize("shared", [True, False])
async def test_a_switch_decides_whether_the_history_of_texts_has_mms(shared: bool) -> None:
    box = Sandbox(clock=ManualClock(), rules=Rules(mms_in_sms_history=shared))
    message = box.receive(PHONE, "", pictures=[PNG])
    async with open_client(box) as client:
        assert len((await client.get("sms")).json()["data"]) == shared
        assert (await client.get(f"sms/{message.id}")).status_code == (200 if shared else 404)
        assert len((await client.get("mms")).json()["data"]) == 1


async def test_a_text_is_not_an_mms(box: Sandbox, client: httpx2.AsyncClient) -> None:
    message = box.receive(PHONE, "Hej")
    assert (await client.get(f"mms/{message.id}")).status_code == 404
    assert (await client.get("mms")).json() == {"data": []}


@pytest.mark.parametrize("letter", ["m", "s"])
async def test_an_incoming_mms_is_posted_with_the_documented_fields(letter: str) -> None:
    box = Sandbox(clock=ManualClock(), rules=Rules(incoming_mms_id=letter))
    async with open_client(box) as client:
        [number] = (await client.get("numbers")).json()["data"]
        assert "mms" in number["capabilities"]
        await client.post(f"numbers/{number['id']}", data={"mms_url": "https://example.com/elks/mms"})
        box.receive(PHONE, "Hello how are you?", pictures=[PNG, GIF])
        box.receive(PHONE, "A text")
        await box.settle()
        await client.post(f"numbers/{number['id']}", data={"mms_url": "none"})
        box.receive(PHONE, "", pictures=[PNG])
        await box.settle()
    [attempt] = box.webhooks
    expected: dict[str, Any] = example("webhook_incoming_mms")["request"]["form"]
    assert list(attempt.form) == [*expected, "image2"]
    assert attempt.form["id"].startswith(letter)
    assert attempt.form["image2"] == f"https://api.46elks.com/a1/images/{attempt.form['id']}-i1.jpg"


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault not in {Fault.HANG, Fault.LATENCY}])
async def test_every_fault_also_affects_mms(box: Sandbox, fault: Fault) -> None:
    if fault is Fault.STALE_HISTORY:
        box.faults.inject(fault)
        async with open_client(box) as client:
            await client.post("mms", data=mms(box))
            assert (await client.get("mms")).json() == {"data": []}
            assert len((await client.get("mms")).json()["data"]) == 1
        return
    injected = box.faults.inject(fault, path="/mms", duration=timedelta(0))
    async with open_client(box) as client:
        try:
            answer = await client.post("mms", data=mms(box))
        except httpx2.TransportError:
            answer = None
        assert box.faults.waiting == []
        assert len(box.accepted) == len(box.charges) == int(injected.accepted)
        if fault is Fault.FAILED_AT_ONCE:
            assert answer is not None
            assert answer.json()["status"] == "failed"


async def test_a_phone_sends_a_picture_through_the_control_api(box: Sandbox) -> None:
    transport = httpx2.ASGITransport(app=box.app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost/_sandbox") as page:
        reply = {"number": PHONE, "text": "", "images": [data_url(PNG)]}
        shown = (await page.post("/reply", json=reply)).json()["message"]
        assert (shown["kind"], shown["pictures"]) == (
            "mms",
            [{"digest": SAMPLE.digest, "filetype": "png", "bytes": len(PNG)}],
        )
        picture = await page.get(f"/pictures/{SAMPLE.digest}")
        assert (picture.content, picture.headers["content-type"]) == (PNG, "image/png")
        assert picture.headers["x-content-type-options"] == "nosniff"
        assert (await page.get("/pictures/0")).status_code == 404
        incoming = {"from": PHONE, "text": "Se här", "images": [data_url(GIF, "gif"), data_url(PNG)]}
        assert len((await page.post("/incoming", json=incoming)).json()["message"]["pictures"]) == 2
        for wrong in ([], "x", ["x"], [1], [data_url(b"text")]):
            refused = await page.post("/reply", json={"number": PHONE, "text": "Hej", "images": wrong})
            assert refused.status_code == 400
        too_many = {"number": PHONE, "text": "", "images": [data_url(PNG + bytes(11_000_000))]}
        assert (await page.post("/reply", json=too_many)).json() == {
            "error": "The pictures are larger than 10 MB."
        }
    assert [len(message.pictures) for message in box.history] == [1, 2]


async def test_a_picture_between_two_phones_is_on_both(box: Sandbox) -> None:
    box._simulation.network.write(PHONE, "", box.clock.now(), to="+46701740606", pictures=(SAMPLE,))
    assert [text.pictures for text in box.handset("+46701740606").texts] == [(SAMPLE,)]
    assert box.handset(PHONE).texts[0].direction == "written"
    assert box.history == []


def test_a_file_that_is_no_picture_cannot_be_received(box: Sandbox) -> None:
    with pytest.raises(ValueError, match="must be a PNG, JPEG or GIF"):
        box.receive(PHONE, "", pictures=[b"text"])


async def test_a_long_field_of_a_request_is_cut(box: Sandbox, client: httpx2.AsyncClient) -> None:
    await client.post("mms", data=mms(box, image=data_url(PNG + bytes(9_000))))
    transport = httpx2.ASGITransport(app=box.app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost/_sandbox") as page:
        [request] = (await page.get("/state")).json()["requests"]
    assert request["form"]["image"].endswith(" characters)")
    assert request["is_cut"], "it cannot be copied as curl"
    assert len(json.dumps(request)) < 3_000


def test_the_documented_examples_are_all_used() -> None:
    wire = Path(__file__).parents[1] / "elks" / "wire"
    used = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_mms*.py"))
    assert [path.stem for path in wire.glob("*mms*.json") if not path.stem.startswith("error_")]
    for path in wire.glob("*mms*.json"):
        assert path.stem.startswith("error_") or f'"{path.stem}"' in used
