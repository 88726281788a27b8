"""`send_mms`: what goes out, at which price, after which question."""

import os
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from elks_mcp.mcp_server.tools.audit import write_audit_line
from elks_mcp.sandbox import SAMPLE, Rules, Sandbox
from tests.images.drawing import draw, draw_noise, draw_with_secrets, gif_of, open_result, png_claiming
from tests.support.connecting import (
    EITHER_ERA,
    ERAS,
    PHONE,
    Era,
    Person,
    call,
    connected,
    data,
    live,
    new_box,
    posted,
    words,
)
from tests.support.mms_cases import PNG, STRANGER, data_url, sent_picture, with_mms
from tests.support.tool_cases import later
from tests.support.web import site

pytestmark = pytest.mark.anyio
URL_CANARY = "data:image/png;base64,CANARY"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "cat.png").write_bytes(PNG)
    return folder


@pytest.mark.parametrize("era", ERAS)
async def test_a_picture_goes_out_with_its_text(box: Sandbox, pictures: Path, era: Era) -> None:
    async with connected(with_mms(box, pictures), box=box, way=era) as client:
        sent = await call(client, "send_mms", to="070-174 06 05", image="cat.png", message="Titta!")
    [form] = posted(box)
    assert (form["from"], form["to"], form["message"]) == (box.number, PHONE, "Titta!")
    assert open_result(sent_picture(form)).size == (60, 40)
    assert data(sent)["status"] == "sent"
    assert data(sent)["price"] == {"amount": 1.25, "currency": "SEK"}
    assert data(sent)["picture"]["digest"] == sha256(sent_picture(form)).hexdigest()
    assert "46elks reports no delivery of an MMS" in words(sent)
    later(box, 3)
    [received] = box.handset(PHONE).texts
    assert (received.text, len(received.pictures)) == ("Titta!", 1)


async def test_a_picture_needs_no_text_and_may_be_in_the_call(box: Sandbox) -> None:
    async with connected(with_mms(box), box=box) as client:
        await call(client, "send_mms", to=PHONE, image=data_url(PNG))
    [form] = posted(box)
    assert "message" not in form
    assert open_result(sent_picture(form)).size == (60, 40)


async def test_the_signature_ends_an_mms_too(box: Sandbox) -> None:
    async with connected(with_mms(box, ELKS_SIGNATURE="/Salongen"), box=box) as client:
        await call(client, "send_mms", to=PHONE, image=data_url(PNG), message="Klart")
        await call(client, "send_mms", to=PHONE, image=data_url(PNG))
    assert [form["message"] for form in posted(box)] == ["Klart\n/Salongen", "/Salongen"]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF"])
async def test_no_position_or_comment_leaves_with_a_picture(box: Sandbox, pictures: Path, kind: str) -> None:
    (pictures / "photo.jpg").write_bytes(draw_with_secrets(kind))
    async with connected(with_mms(box, pictures), box=box) as client:
        await call(client, "send_mms", to=PHONE, image="photo.jpg")
    [form] = posted(box)
    assert b"SECRET" not in sent_picture(form)
    assert dict(open_result(sent_picture(form)).getexif()) == {}


async def test_a_large_picture_is_made_small_enough_for_46elks(box: Sandbox, pictures: Path) -> None:
    (pictures / "big.png").write_bytes(draw_noise("PNG", (1700, 900)))
    async with connected(with_mms(box, pictures), box=box) as client:
        sent = await call(client, "send_mms", to=PHONE, image="big.png", message="å" * 5000)
    assert data(sent)["status"] == "sent"
    assert len(sent_picture(posted(box)[0])) <= 300_000


async def test_an_animation_is_sent_as_its_first_frame_and_the_answer_says_so(
    box: Sandbox, pictures: Path
) -> None:
    target = BytesIO()
    frames = [Image.new("RGB", (8, 8), name) for name in ("red", "blue")]
    frames[0].save(target, "GIF", save_all=True, append_images=frames[1:])
    (pictures / "party.gif").write_bytes(target.getvalue())
    async with connected(with_mms(box, pictures), box=box) as client:
        sent = await call(client, "send_mms", to=PHONE, image="party.gif")
    assert "Only the first frame of the animation is sent." in words(sent)


TOOLS = {
    "send_mms": ["to", "image", "message", "from", "dryRun", "idempotencyKey"],
    "get_image": ["messageId", "index"],
}


async def test_the_tools_are_as_documented(box: Sandbox) -> None:
    async with connected(live(box, ELKS_TOOLSETS="mms"), box=box) as client:
        tools = (await client.list_tools()).tools
    assert {tool.name: sorted(tool.input_schema["properties"]) for tool in tools} == {
        name: sorted(parameters) for name, parameters in TOOLS.items()
    }
    for tool in tools:
        assert tool.title
        assert len(tool.description or "") <= 700
        assert tool.input_schema["additionalProperties"] is False
        assert tool.annotations
        assert tool.annotations.read_only_hint is (tool.name == "get_image")


@pytest.mark.parametrize("tool", TOOLS)
def test_the_audit_line_shows_each_parameter(tool: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "elks_mcp.audit"):
        write_audit_line(tool, dict.fromkeys(TOOLS[tool], URL_CANARY), "ok", 0)
    (line,) = caplog.records
    assert list(vars(line)["arguments"]) == TOOLS[tool]
    assert URL_CANARY not in str(vars(line))


# ── prices ──


@pytest.mark.parametrize("era", EITHER_ERA)
async def test_a_dry_run_is_the_bill_and_sends_nothing(box: Sandbox, era: Era) -> None:
    async with connected(with_mms(box, DRY_RUN="true"), box=box, way=era) as client:
        sent = await call(client, "send_mms", to=PHONE, image=data_url(PNG))
    assert (data(sent)["status"], data(sent)["price"]["amount"]) == ("dry_run", 1.25)
    assert "46elks quotes none" in words(sent)
    assert [request.method for request in box.requests if request.method == "POST"] == []


async def test_without_a_price_of_the_operator_the_last_one_seen_counts(box: Sandbox) -> None:
    box.add_history(box.clock.now(), text="", pictures=[SAMPLE.content], cost=15_000)
    async with connected(with_mms(box, ELKS_MMS_PRICE=""), box=box) as client:
        sent = await call(client, "send_mms", to=PHONE, image=data_url(PNG), dryRun=True)
    assert data(sent)["price"] == {"amount": 1.5, "currency": "SEK"}


@pytest.mark.parametrize("dry_run", [True, None])
async def test_without_any_price_nothing_is_sent_and_the_answer_says_what_to_set(
    box: Sandbox, dry_run: bool | None
) -> None:
    box.receive(STRANGER, "", pictures=[SAMPLE.content])
    async with connected(with_mms(box, ELKS_MMS_PRICE=""), box=box) as client:
        sent = await call(client, "send_mms", to=PHONE, image=data_url(PNG), dryRun=dry_run)
    assert sent.is_error
    assert "ELKS_MMS_PRICE" in words(sent)
    assert (posted(box), box.accepted) == ([], [])


async def test_a_price_that_turns_out_higher_counts_for_the_budget(tmp_path: Path) -> None:
    box = Sandbox(clock=new_box().clock, rules=Rules(mms_price=40_000))
    environ = with_mms(box, ELKS_BUDGET_PER_DAY="5")
    async with connected(environ, box=box) as client:
        sent = await call(client, "send_mms", to=PHONE, image=data_url(PNG))
        refused = await call(client, "send_mms", to=STRANGER, image=data_url(PNG))
    assert "46elks charged 4.00 SEK" in words(sent)
    assert "Refused by daily_budget" in words(refused)
    assert len(box.accepted) == 1


# ── guards ──


@pytest.mark.parametrize(
    ("arguments", "environ", "guard"),
    [
        ({"to": "+4791234567"}, {"ELKS_ALLOWED_COUNTRIES": "SE,NO"}, "mms_deliverable"),
        ({"sender": "Salongen"}, {"ELKS_ALLOWED_SENDERS": "Salongen"}, "mms_deliverable"),
        ({}, {"ELKS_BUDGET_PER_MESSAGE": "1"}, "message_budget"),
        ({}, {"ELKS_BUDGET_PER_DAY": "1"}, "daily_budget"),
        ({"sender": "+46701740607"}, {}, "unknown_sender"),
        ({}, {"ELKS_ALLOWED_RECIPIENTS": STRANGER}, "allowed_recipient"),
    ],
)
async def test_an_mms_that_a_guard_refuses_is_not_sent(
    box: Sandbox, arguments: dict[str, Any], environ: dict[str, str], guard: str
) -> None:
    async with connected(with_mms(box) | environ, box=box) as client:
        sent = await call(client, "send_mms", **{"to": PHONE, "image": data_url(PNG)} | arguments)
    assert sent.is_error
    assert f"Refused by {guard}: " in words(sent)
    assert (posted(box), box.accepted) == ([], [])


async def test_noreply_is_a_sender_of_mms(box: Sandbox) -> None:
    async with connected(with_mms(box), box=box) as client:
        sent = await call(client, "send_mms", to=PHONE, image=data_url(PNG), sender="noreply")
    assert [form["from"] for form in posted(box)] == ["noreply"]
    assert "unknown_sender" not in words(sent)


async def test_texts_and_mms_share_the_limit_of_a_number(box: Sandbox) -> None:
    async with connected(with_mms(box, ELKS_MAX_PER_NUMBER="2"), box=box) as client:
        await call(client, "send_sms", to=PHONE, message="Ett")
        await call(client, "send_mms", to=PHONE, image=data_url(PNG), message="Två")
        refused = await call(client, "send_mms", to=PHONE, image=data_url(PNG), message="Tre")
    assert "Refused by velocity" in words(refused)
    assert len(box.accepted) == 2


async def test_the_same_picture_with_the_same_text_is_a_repeat(box: Sandbox) -> None:
    async with connected(with_mms(box), box=box) as client:
        first = await call(client, "send_mms", to=PHONE, image=data_url(PNG), message="Hej")
        again = await call(client, "send_mms", to=PHONE, image=data_url(PNG), message="Hej")
        other = await call(client, "send_mms", to=PHONE, image=data_url(draw("PNG", (50, 50))), message="Hej")
        text = await call(client, "send_sms", to=PHONE, message="Hej")
    assert data(again)["deduplicated"]
    assert data(again)["orderId"] == data(first)["orderId"]
    assert not data(other)["deduplicated"]
    assert not data(text)["deduplicated"]
    assert len(box.accepted) == 3


# ── approval ──


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("send", [True, False])
async def test_the_form_says_which_picture_goes_out(
    box: Sandbox, pictures: Path, era: Era, *, send: bool
) -> None:
    person = Person(send=send)
    environ = with_mms(box, pictures, ELKS_CONFIRM="always")
    async with connected(environ, box=box, way=era, person=person) as client:
        await call(client, "send_mms", to=PHONE, image="cat.png", message="Titta!")
    [question] = person.questions
    first, second, *_ = question.splitlines()
    assert first.startswith(
        f"Send this MMS to {PHONE} (Sweden) from {box.number}, with the picture cat.png (60 × 40"
    )
    assert second.startswith("1.25 SEK")
    assert "| Titta!" in question
    assert len(box.accepted) == int(send)
    if send:
        assert f"SHA-256 {sha256(sent_picture(posted(box)[0])).hexdigest()[:8]}" in first


async def test_a_form_without_text_says_so(box: Sandbox) -> None:
    person = Person()
    async with connected(with_mms(box, ELKS_CONFIRM="always"), box=box, person=person) as client:
        await call(client, "send_mms", to=PHONE, image=data_url(PNG))
    assert "It has no text." in person.questions[0]
    assert "|" not in person.questions[0]


# ── files ──


async def test_every_road_out_of_the_directory_is_refused(box: Sandbox, pictures: Path) -> None:
    outside = pictures.parent / "secret.png"
    outside.write_bytes(PNG)
    (pictures / "link.png").symlink_to(outside)
    (pictures / "folder").symlink_to(pictures.parent)
    os.mkfifo(pictures / "pipe.png")
    (pictures / "directory.png").mkdir()
    (pictures / "cat.txt").write_bytes(PNG)
    (pictures / "hard.png").mkdir()
    names = ["../secret.png", str(outside), "link.png", "folder/secret.png", "pipe.png", "directory.png"]
    names += ["cat.txt", "./../secret.png", "a/../../secret.png", "..\\secret.png", "C:secret.png", "no.png"]
    names += ["file:///etc/passwd", "https://example.com/cat.png", "cat.png\0.txt", ".png", "/etc/passwd"]
    async with connected(with_mms(box, pictures), box=box) as client:
        for name in names:
            sent = await call(client, "send_mms", to=PHONE, image=name)
            assert sent.is_error, name
            assert str(pictures.parent) not in words(sent).replace(name, ""), name
    assert posted(box) == []


async def test_a_server_without_a_directory_reads_no_files(box: Sandbox) -> None:
    async with connected(with_mms(box), box=box) as client:
        sent = await call(client, "send_mms", to=PHONE, image="cat.png")
    assert "ELKS_FILES_DIR" in words(sent)


async def test_over_http_no_file_is_read(box: Sandbox, pictures: Path) -> None:
    more = {"ELKS_TOOLSETS": "all", "ELKS_MMS_PRICE": "1.25", "ELKS_FILES_DIR": str(pictures)}
    async with site(box, environ=more) as served, served.client() as client:
        refused = await call(client, "send_mms", to=PHONE, image="cat.png")
        sent = await call(client, "send_mms", to=PHONE, image=data_url(PNG))
    assert "This server reads no files, so it cannot read a picture" in words(refused)
    assert data(sent)["status"] == "sent"
    assert len(posted(box)) == 1


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (data_url(b"text"), "not a PNG, JPEG or GIF"),
        (data_url(png_claiming(90_000, 90_000)), "pixels are the most"),
        (data_url(PNG[:60]), "damaged"),
        (data_url(gif_of(300)), "more than 200 frames"),
        ("data:image/png;base64,%%%", "not base64"),
        ("data:text/html,hello", "cannot be read"),
        ("data:image/png;base64," + "A" * 8_193, "8,192 are the most"),
        ("data:image/png;base64," + "A" * 9_000, "is the most"),
    ],
)
async def test_a_data_url_that_cannot_be_used_is_refused_in_a_sentence(
    box: Sandbox, image: str, said: str
) -> None:
    async with connected(with_mms(box), box=box) as client:
        sent = await call(client, "send_mms", to=PHONE, image=image)
    assert sent.is_error
    assert said in words(sent)
    assert posted(box) == []
