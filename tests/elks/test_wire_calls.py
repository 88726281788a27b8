"""46elks' format of calls: forms, documented answers, webhooks, and what is not documented."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elks_mcp.domain.call_payload import Call
from elks_mcp.domain.callbacks import NO_CALLBACKS, Callbacks
from elks_mcp.domain.calls import CallState
from elks_mcp.domain.models import Direction
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Draft
from elks_mcp.domain.payloads import Sms
from elks_mcp.domain.phone import Number
from elks_mcp.elks import wire
from elks_mcp.errors import NoAnswer

OURS, PHONE, ORDER = Number("+46701740699"), Number("+46701740605"), "O-22222222"
DIGEST = "ab" * 32
HANG_UP = {"hangup": "reject"}
REACHABLE = Callbacks(
    report="https://example.com/hooks/s/call/O-22222222/ended",
    audio="https://example.com/audio/a.wav",
    pressed="https://example.com/hooks/s/call/O-22222222/pressed",
)
RESULTS: list[Any] = [{"result": "1"}, {"ivr": "a", "result": "9"}, {"ivr": "b"}, 5]


def example(name: str) -> dict[str, Any]:
    """Return a documented example."""
    shown = json.loads((Path(__file__).parent / "wire" / f"{name}.json").read_text("utf-8"))
    assert isinstance(shown, dict)
    return shown


def body_of(name: str, **changes: Any) -> bytes:
    """Return the body of a documented answer, with changes."""
    return json.dumps(example(name)["body"] | changes).encode()


def a_call(**fields: Any) -> Draft:
    """Return the draft of a call."""
    payload = Call(**{"text": "Driften är nere.", "audio": DIGEST, **fields})
    return Draft(to=PHONE, payload=payload, sender=OURS)


def voice_of(draft: Draft, callbacks: Callbacks = REACHABLE) -> Any:
    """Return the first action of a call."""
    return json.loads(wire.build_call(draft, callbacks=callbacks)["voice_start"])


# ── forms out ──


def test_the_form_has_the_documented_fields() -> None:
    form = wire.build_call(a_call(ring=30), callbacks=REACHABLE)
    documented = example("make_call")["request"]["form"].keys()
    assert form.keys() == documented | {"whenhangup", "timeout"}
    assert (form["from"], form["to"], form["timeout"]) == (OURS.e164, PHONE.e164, "30")
    assert form["whenhangup"] == REACHABLE.report


def test_a_call_that_asks_nothing_plays_its_audio_twice_and_hangs_up() -> None:
    plays = {"play": REACHABLE.audio, "skippable": False}
    assert voice_of(a_call()) == {**plays, "next": {**plays, "next": HANG_UP}}


@pytest.mark.parametrize("callbacks", [REACHABLE, NO_CALLBACKS])
@pytest.mark.parametrize("digits", [0, 1, 8])
@pytest.mark.parametrize("audio", ["a" * 64, ""])
def test_every_path_of_a_call_ends_by_hanging_up(callbacks: Callbacks, digits: int, audio: str) -> None:
    shown = callbacks if audio else callbacks.model_copy(update={"audio": None})
    action = voice_of(a_call(digits=digits, audio=audio), shown)
    for _ in range(3):
        if not isinstance(action, dict) or "hangup" in action:
            break
        action = action["next"]
    assert action == (REACHABLE.pressed if digits and callbacks is REACHABLE else HANG_UP)


def test_a_call_that_asks_for_digits_reports_them_at_its_own_address() -> None:
    menu = voice_of(a_call(digits=4))
    assert menu == {
        "ivr": REACHABLE.audio,
        "digits": 4,
        "timeout": 8,
        "repeat": 2,
        "next": REACHABLE.pressed,
    }


def test_without_a_public_address_there_is_no_webhook_and_46elks_speaks() -> None:
    draft = a_call(text="Press 1.", audio="", digits=1)
    assert "whenhangup" not in wire.build_call(draft)
    spoken = voice_of(draft, NO_CALLBACKS)
    assert spoken["play"] == "en_US/Press 1."
    menu = {"ivr": "sound/beep", "repeat": 2, "digits": 1, "timeout": 8}
    assert spoken["next"] == {**menu, "next": HANG_UP}


def test_no_address_of_this_server_is_in_a_call_but_that_of_its_audio_and_its_webhooks() -> None:
    written = json.dumps(wire.build_call(a_call(digits=1), callbacks=REACHABLE))
    assert written.count("https://") == 3


def test_only_a_call_is_built_as_a_call() -> None:
    with pytest.raises(TypeError):
        wire.build_call(Draft(to=PHONE, payload=Sms(text="Hej"), sender=OURS))
    with pytest.raises(TypeError):
        wire.price_call(Draft(to=PHONE, payload=Sms(text="Hej"), sender=OURS), "SEK")


@pytest.mark.parametrize(("longest", "minutes"), [(1, 1), (60, 1), (61, 2), (180, 3)])
def test_the_price_is_that_of_each_minute_that_may_be_started(longest: int, minutes: int) -> None:
    estimate = wire.price_call(a_call(longest=longest, per_minute=8000), "SEK")
    assert (estimate.price, estimate.parts) == (Money(8000 * minutes, "SEK"), minutes)


# ── answers in ──


def test_the_documented_answer_to_a_call_is_read() -> None:
    receipt = wire.parse_call_receipt(body_of("make_call"), "SEK")
    assert receipt.message_id == "c3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a"
    assert receipt.status == "ongoing"
    assert receipt.cost is None


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"id": ""}', b"<html>", b'{"id": 5}'])
def test_an_answer_without_an_id_leaves_the_outcome_open(body: bytes) -> None:
    with pytest.raises(NoAnswer):
        wire.parse_call_receipt(body, "SEK")


def test_the_documented_calls_are_read() -> None:
    incoming = wire.parse_call(body_of("call_by_id_incoming"), "SEK")
    assert (incoming.direction, incoming.state) == (Direction.INBOUND, CallState.ANSWERED)
    assert incoming.seconds == 15
    assert (incoming.cost, incoming.digits) == (Money(1500, "SEK"), None)
    failed = wire.parse_call(body_of("call_by_id_failed"), "SEK")
    assert (failed.state, failed.cost, failed.seconds) == (CallState.FAILED, None, None)
    page = wire.parse_call_page(body_of("call_history"), "SEK")
    assert [call.id for call in page.calls] == ["c3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a3a"]
    assert page.older_from == datetime(2026, 1, 14, 9, 52, 7, 302_000, tzinfo=UTC)
    assert wire.parse_call_page(body_of("call_history_last_page"), "SEK").older_from is None


@pytest.mark.parametrize(
    ("actions", "digits"),
    [
        (None, None),
        ([], None),
        ("no list", None),
        ([{"ivr": "https://example.com/a.wav"}], None),
        ([{"ivr": "https://example.com/a.wav", "result": "1"}], "1"),
        ([{"ivr": "https://example.com/a.wav", "result": "12#*"}], "12#*"),
        ([{"ivr": "https://example.com/a.wav", "result": "failed"}], ""),
        ([{"ivr": "https://example.com/a.wav", "result": "success"}], None),
        ([{"ivr": "https://example.com/a.wav", "result": 1}], None),
        ([{"ivr": "https://example.com/a.wav", "result": "1" * 9}], None),
        ([{"play": "https://example.com/a.wav", "result": "1"}], None),
        ([{"ivr": "a", "result": "1"}, {"ivr": "b", "result": "2"}], "2"),
        (RESULTS, "9"),
    ],
)
def test_digits_are_the_result_of_the_last_menu_or_unknown(actions: Any, digits: str | None) -> None:
    assert wire.parse_call(body_of("call_by_id_failed", actions=actions), "SEK").digits == digits
    form = example("webhook_hangup")["request"]["form"] | {"actions": json.dumps(actions)}
    ended = wire.parse_ended(form, ORDER)
    assert ended is not None
    assert ended.digits == digits


def test_rows_that_cannot_be_read_are_counted() -> None:
    rows = [*example("call_history")["body"]["data"], {"id": ""}, None, "text", {"to": "+46701740605"}]
    page = wire.parse_call_page(json.dumps({"data": rows}).encode(), "SEK")
    assert (len(page.calls), page.unread) == (1, 4)


def test_a_name_as_a_caller_is_cleaned_and_cut() -> None:
    call = wire.parse_call(body_of("call_by_id_incoming", **{"from": "Evil\u202e\n<b>" + "x" * 90}), "SEK")
    assert call.sender == "Evil <b>xxxxxxxxxxxx"


# ── webhooks ──


def test_the_documented_webhooks_are_read() -> None:
    pressed = wire.parse_pressed(example("webhook_voice_result")["request"]["form"], ORDER)
    assert pressed is not None
    assert (pressed.order_id, pressed.digits, pressed.state) == (ORDER, "1", CallState.ONGOING)
    ended = wire.parse_ended(example("webhook_hangup")["request"]["form"], ORDER)
    assert ended is not None
    assert (ended.state, ended.seconds, ended.cost_units) == (CallState.ANSWERED, 4, 5700)
    assert pressed.call_id == ended.call_id


def test_the_id_of_a_call_that_ended_may_have_either_name() -> None:
    form = example("webhook_hangup")["request"]["form"]
    other = {("callid" if name == "id" else name): value for name, value in form.items()}
    assert wire.parse_ended(form, ORDER) == wire.parse_ended(other, ORDER)


@pytest.mark.parametrize(
    "changes",
    [
        {"result": "success"},
        {"result": "1; DROP TABLE orders"},
        {"result": "1" * 9},
        {"result": "١"},
        {"callid": ""},
        {"callid": "å" * 3},
        {"from": ""},
        {"to": ""},
    ],
)
def test_forged_digits_are_no_webhook(changes: dict[str, str]) -> None:
    assert wire.parse_pressed(example("webhook_voice_result")["request"]["form"] | changes, ORDER) is None


def test_a_call_that_goes_on_has_not_ended() -> None:
    form = example("webhook_hangup")["request"]["form"]
    assert wire.parse_ended(form | {"state": "ongoing"}, ORDER) is None
    unknown = wire.parse_ended(form | {"state": "nonsense"}, ORDER)
    assert unknown is not None
    assert unknown.state is CallState.UNKNOWN


@pytest.mark.parametrize("cost", ["-5", "1e9", "", "٣", "9" * 30, "5.5"])
def test_a_cost_that_is_not_a_number_is_unknown(cost: str) -> None:
    ended = wire.parse_ended(example("webhook_hangup")["request"]["form"] | {"cost": cost}, ORDER)
    assert ended is not None
    assert ended.cost_units is None


FIELDS = st.sampled_from(["id", "callid", "from", "to", "state", "actions", "result"])


@given(st.dictionaries(FIELDS, st.text()))
def test_no_form_breaks_the_readers(form: dict[str, str]) -> None:
    for read in (wire.parse_pressed, wire.parse_ended):
        event = read(form, ORDER)
        assert event is None or event.order_id == ORDER
