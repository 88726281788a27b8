"""46elks' format: forms, documented answers, times."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elks_mcp.domain.callbacks import Callbacks
from elks_mcp.domain.mms_payload import Mms, PreparedImage
from elks_mcp.domain.models import Direction
from elks_mcp.domain.money import Money
from elks_mcp.domain.numbers import NumberChange
from elks_mcp.domain.orders import Draft
from elks_mcp.domain.payloads import Sms
from elks_mcp.domain.phone import Number, SenderId, parse_number, parse_sender
from elks_mcp.elks import wire
from elks_mcp.elks.wire import subaccounts
from elks_mcp.errors import NoAnswer, OutOfFunds, Rejected, Unauthorized
from tests.support.wire_cases import encoded

Example = dict[str, Any]


EXAMPLES: dict[str, Example] = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((Path(__file__).parent / "wire").glob("*.json"))
}


NOT_USED = {name for name in EXAMPLES if name.startswith(("webhook_", "make_call", "call_", "recording"))} | {
    "sms_deleted",
    "mms_deleted",
    "images",
}


SUCCESSES = sorted(name for name in set(EXAMPLES) - NOT_USED if EXAMPLES[name]["status"] == 200)


REFUSALS = sorted(name for name, shown in EXAMPLES.items() if shown.get("status", 200) != 200)


def body_of(name: str) -> bytes:
    body = EXAMPLES[name]["body"]
    return (body if isinstance(body, str) else json.dumps(body)).encode()


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


# ── forms out ──


@pytest.mark.parametrize("name", ["send_sms", "send_sms_dryrun"])
def test_the_form_is_the_documented_one(name: str) -> None:
    form = EXAMPLES[name]["request"]["form"]
    payload, sender = Sms(text=form["message"]), parse_sender(form["from"])
    draft = Draft(to=parse_number(form["to"]), payload=payload, sender=sender)
    assert wire.build_sms(draft) | (wire.DRY_RUN if name == "send_sms_dryrun" else {}) == form


def test_a_flash_text_from_a_name_adds_only_the_flash_field() -> None:
    draft = Draft(to=Number("+46701740605"), payload=Sms(text="Hej", flash=True), sender=SenderId("Kliniken"))
    assert wire.build_sms(draft) == {
        "from": "Kliniken",
        "to": "+46701740605",
        "message": "Hej",
        "flashsms": "yes",
    }


@pytest.mark.parametrize(("message", "address"), [("Hej", None), ("", "https://sms.example.com/x")])
def test_an_mms_is_its_picture_as_a_data_url(message: str, address: str | None) -> None:
    url = EXAMPLES["send_mms"]["request"]["form"]["image"]
    image = PreparedImage(name="cat.png", data_url=url, digest="0" * 64, width=1, height=1, size=70)
    payload, sender = Mms(text=message, image=image), Number("+46701740699")
    form = {"from": "+46701740699", "to": "+46701740605", "image": url}
    form |= {"message": message} if message else {}
    form |= {"whendelivered": address} if address else {}
    draft = Draft(to=Number("+46701740605"), payload=payload, sender=sender)
    assert wire.build_mms(draft, callbacks=Callbacks(report=address)) == form


def test_a_webhook_of_an_mms_names_its_pictures_by_id_and_no_address_is_kept() -> None:
    form = EXAMPLES["webhook_incoming_mms"]["request"]["form"]
    first = form["image"].rpartition("/")[2].removesuffix(".jpg")
    more = {
        "image2": form["image"].replace("-i0", "-i1"),
        "image3": "https://evil.example/x",
        "image4": first,
    }
    message = wire.parse_incoming({**form, **more}, utc(2026, 1, 15, 12))
    assert message is not None
    assert message.is_picture
    assert message.image_ids == (first, first.replace("-i0", "-i1"))


def test_a_report_is_requested_only_with_an_address() -> None:
    draft = Draft(to=Number("+46701740605"), payload=Sms(text="Hej"), sender=SenderId("Kliniken"))
    address = "https://sms.example.com/hooks/x/delivery?ref=O-22222222"
    assert wire.build_sms(draft, callbacks=Callbacks(report=address))["whendelivered"] == address
    assert "whendelivered" not in wire.build_sms(draft)


def test_the_newer_bound_is_called_start_and_pages_keep_46elks_limit() -> None:
    before = datetime(2026, 1, 14, 10, 44, 34, 135_000, tzinfo=UTC)
    query = wire.build_history_query(limit=500, before=before)
    assert query == {"limit": "100", "start": "2026-01-14T10:44:34.135000"}
    assert wire.build_history_query(limit=7) == {"limit": "7"}


@given(st.datetimes(timezones=st.timezones(), min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)))  # noqa: DTZ001
def test_a_time_reads_back_as_it_was_written(moment: datetime) -> None:
    text = wire.build_time(moment)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}", text)
    assert wire.parse_time(text) == moment.astimezone(UTC)


# ── documented answers ──


def check_receipt(shown: Example) -> None:
    receipt = wire.parse_receipt(json.dumps(shown["body"]).encode(), "SEK")
    assert receipt.message_id == shown["body"]["id"]
    assert receipt.status == "created"
    assert receipt.cost == Money(shown["body"]["cost"], "SEK")
    assert receipt.parts == shown["body"].get("parts")
    assert receipt.created_at == wire.parse_time(shown["body"]["created"]) is not None


def check_estimate(shown: Example) -> None:
    estimate = wire.parse_estimate(json.dumps(shown["body"]).encode(), "EUR")
    assert estimate.price == Money(shown["body"]["estimated_cost"], "EUR")
    assert estimate.parts == shown["body"]["parts"]


def check_message(shown: Example) -> None:
    body = shown["body"]
    message = wire.parse_message(json.dumps(body).encode(), "SEK")
    inbound = body["direction"] == "incoming"
    assert message.id == body["id"]
    assert message.direction is (Direction.INBOUND if inbound else Direction.OUTBOUND)
    assert message.is_reply is (body["direction"] == "outgoing-reply")
    assert (message.sender, message.to, message.text) == (body["from"], body["to"], body.get("message"))
    assert message.status == ("received" if inbound else body.get("status", "unknown"))
    assert message.image_ids == tuple(body.get("images", ()))
    assert message.is_picture is body["id"].startswith("m")
    assert message.created_at == wire.parse_time(body["created"]) is not None
    assert message.delivered_at == wire.parse_time(body.get("delivered"))
    assert (message.delivered_at is None) is ("delivered" not in body)
    assert message.cost == (Money(body["cost"], "SEK") if "cost" in body else None)


def check_page(shown: Example) -> None:
    page = wire.parse_page(json.dumps(shown["body"]).encode(), "SEK")
    assert [message.id for message in page.messages] == [sms["id"] for sms in shown["body"]["data"]]
    assert page.older_from == wire.parse_time(shown["body"].get("next"))
    for sms in shown["body"]["data"]:
        check_message({"body": sms})


def check_image(shown: Example) -> None:
    facts = wire.parse_image(json.dumps(shown["body"]).encode())
    assert (facts.digest, facts.size) == (shown["body"]["digest"], shown["body"]["bytes"])


def check_account(shown: Example) -> None:
    account = wire.parse_account(json.dumps(shown["body"]).encode())
    assert account.balance == Money(shown["body"]["balance"], shown["body"]["currency"])
    assert set(type(account).model_fields) == {"id", "balance"}


def check_subaccount(shown: Example) -> None:
    body = shown["body"]
    read = subaccounts.parse_subaccount(json.dumps(body).encode(), "SEK")
    assert (read.id, read.name) == (body["id"], body["name"])
    assert (read.secret.get_secret_value() if read.secret else None) == body.get("secret")
    assert read.limit == Money(body["usagelimit"], "SEK")
    assert read.used == Money(body.get("balanceused", 0), "SEK")
    assert read.is_active is (body.get("active") != "no")


def check_subaccounts(shown: Example) -> None:
    read, following = subaccounts.parse_subaccounts(json.dumps(shown["body"]).encode(), "SEK")
    assert [each.id for each in read] == [each["id"] for each in shown["body"]["data"]]
    assert following is None
    for each in shown["body"]["data"]:
        check_subaccount({"body": each})


def check_numbers(shown: Example) -> None:
    listed = shown["body"].get("data", [shown["body"]])
    read = wire.parse_numbers(json.dumps({"data": listed}).encode())
    for number, body in zip(read, listed, strict=True):
        assert (number.id, number.number, number.name) == (body["id"], body["number"], body["name"])
        assert list(number.capabilities) == body["capabilities"]
        assert number.is_active is (body["active"] == "yes")
        assert all(
            getattr(number, name) == body.get(name, "") for name in ("sms_url", "mms_url", "voice_start")
        )


def check_of(shown: Example) -> Callable[[Example], None]:
    """Find the parser of an answer by its request."""
    request = shown["request"]
    if request.get("form", {}).get("dryrun") == "yes":
        return check_estimate
    resource, *rest = request["path"].removeprefix("/a1/").split("/")
    return CHECKS[f"{request['method']} {resource}{'/id' if rest else ''}"]


CHECKS: Mapping[str, Callable[[Example], None]] = {
    "POST sms": check_receipt,
    "POST mms": check_receipt,
    "GET sms": check_page,
    "GET mms": check_page,
    "GET sms/id": check_message,
    "GET mms/id": check_message,
    "GET images/id": check_image,
    "GET me": check_account,
    "GET subaccounts": check_subaccounts,
    "POST subaccounts": check_subaccount,
    "GET subaccounts/id": check_subaccount,
    "POST subaccounts/id": check_subaccount,
    "GET numbers": check_numbers,
    "GET numbers/id": check_numbers,
    "POST numbers/id": check_numbers,
}
"""The parser of the answer to each request; a new example adds its own here."""


@pytest.mark.parametrize("name", SUCCESSES)
def test_a_documented_answer_is_read_completely(name: str) -> None:
    check_of(EXAMPLES[name])(EXAMPLES[name])


@pytest.mark.parametrize("name", REFUSALS)
def test_a_documented_refusal_raises_its_error(name: str) -> None:
    shown = EXAMPLES[name]
    error = wire.parse_refusal(shown["status"], {"content-type": shown["content_type"]}, body_of(name))
    kind = {401: Unauthorized, 403: Rejected, 404: Rejected}[shown["status"]]
    assert type(error) is (OutOfFunds if "credits" in shown["body"] else kind)
    assert (error.status, error.said) == (shown["status"], shown["body"])
    assert shown["body"] in str(error)


def test_there_are_examples_of_every_kind() -> None:
    checks = {check_of(EXAMPLES[name]).__name__ for name in SUCCESSES}
    assert checks == {
        "check_receipt",
        "check_estimate",
        "check_message",
        "check_page",
        "check_image",
        "check_account",
        "check_subaccount",
        "check_subaccounts",
        "check_numbers",
    }
    assert len(REFUSALS) >= 5


# ── amounts of a subaccount ──


@pytest.mark.parametrize("field", ["usagelimit", "balanceused", "usage"])
@pytest.mark.parametrize("value", ["many", 1.5, True, [], {}])
def test_an_amount_of_a_subaccount_that_cannot_be_read_is_not_taken_for_none(
    field: str, value: object
) -> None:
    with pytest.raises(NoAnswer):
        subaccounts.parse_subaccount(encoded(id="a" + "1" * 32, **{field: value}), "SEK")
    if field != "usagelimit":  # a limit of 20 digits or more limits nothing
        with pytest.raises(NoAnswer):
            subaccounts.parse_subaccount(encoded(id="a" + "1" * 32, **{field: 10**30}), "SEK")


@pytest.mark.parametrize(("limit", "units"), [(None, None), ("none", None), ("", None), ("100", 100), (0, 0)])
def test_a_limit_may_be_none_or_written_as_text(limit: object, units: int | None) -> None:
    read = subaccounts.parse_subaccount(encoded(id="a" + "1" * 32, usagelimit=limit, usage="7"), "SEK")
    assert read.limit == (None if units is None else Money(units, "SEK"))
    assert read.used == Money(7, "SEK")


def test_a_subaccount_does_not_show_its_secret() -> None:
    read = subaccounts.parse_subaccount(body_of("subaccount"), "SEK")
    assert EXAMPLES["subaccount"]["body"]["secret"] not in repr(read) + read.explain()


# ── numbers ──


def test_only_what_changes_is_in_the_form_of_a_number_and_none_removes_it() -> None:
    change = NumberChange(name="", sms_url="https://sms.example.com/x", replies=False)
    assert wire.build_number(change) == {
        "name": "none",
        "sms_url": "https://sms.example.com/x",
        "sms_replies": "no",
    }
    assert wire.build_number(NumberChange()) == {}
    form = EXAMPLES["number_configured"]["request"]["form"]
    assert wire.build_number(NumberChange(**form)) == form


# ── times ──


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2018-06-25T08:40:22.109482", utc(2018, 6, 25, 8, 40, 22, 109_482)),
        ("2017-03-14T09:52:10Z", utc(2017, 3, 14, 9, 52, 10)),
        ("2016-11-03 12:30:18.937464", utc(2016, 11, 3, 12, 30, 18, 937_464)),
        ("2016-12-01T07:52:15", utc(2016, 12, 1, 7, 52, 15)),
        ("2016-10-01T12:00:00:00.11", utc(2016, 10, 1, 12, 0, 0)),
        ("2026-11-23T13:00:00+01:00", utc(2026, 11, 23, 12, 0, 0)),
        ("2016-13-01T12:00:00", None),
        ("2016-10-32T12:00:00:00.11", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("9999-12-31T23:59:59.999999", None),
        ("٢٠١٦-10-01T12:00:00x", None),
        ("yesterday", None),
        ("", None),
        (None, None),
        (1480578735, None),
        (["2017-03-14T09:52:10Z"], None),
    ],
)
def test_every_form_of_time_is_read_as_utc_or_refused(text: object, moment: datetime | None) -> None:
    parsed = wire.parse_time(text)
    assert parsed == moment
    assert parsed is None or parsed.tzinfo is UTC


# ── lenient, but never wrong ──


def test_a_receipt_needs_only_an_id() -> None:
    receipt = wire.parse_receipt(b'{"id": "s1"}', "SEK")
    assert (receipt.message_id, receipt.status) == ("s1", "created")
    assert (receipt.cost, receipt.parts, receipt.created_at) == (None, None, None)


def test_invalid_fields_beside_an_id_do_not_hide_the_acceptance() -> None:
    odd = b'{"id": "s1", "status": {}, "cost": NaN, "parts": -1, "created": 7, "x": "\xff\n\\ud83d"}'
    receipt = wire.parse_receipt(b"\xef\xbb\xbf" + odd, "SEK")
    assert receipt.message_id == "s1"
    assert (receipt.status, receipt.cost, receipt.parts) == ("created", None, None)


@pytest.mark.parametrize("number", ["9" * 5000, "1e400", "-Infinity", '"nine"', "[1]"])
def test_an_impossible_amount_is_absent(number: str) -> None:
    receipt = wire.parse_receipt(f'{{"id": "s1", "cost": {number}}}'.encode(), "SEK")
    assert receipt.cost is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"OK",
        b"null",
        b"[]",
        b'[{"id": "s1"}]',
        b'{"status": "created"}',
        b'{"id": ""}',
        b'{"id": null}',
        b'{"id": 5}',
        b'{"id": "s1\\u202e"}',
        b'{"id": "s 1"}',
        b'{"id": "s1"',
        encoded(id="s" * 101),
        b"<html>Log in</html>",
        b"[" * 100_000,
        b'{"id":' * 100_000,
    ],
)
def test_a_success_without_an_id_is_an_invalid_answer(body: bytes) -> None:
    with pytest.raises(NoAnswer) as caught:
        wire.parse_receipt(body, "SEK")
    assert caught.value.status == 200
    assert "Log in" not in str(caught.value)


@pytest.mark.parametrize("cost", [None, -1, 5200.5, "dear", float("nan"), 10**16])
def test_an_estimate_without_a_valid_price_is_an_invalid_answer(cost: object) -> None:
    with pytest.raises(NoAnswer, match="estimated_cost"):
        wire.parse_estimate(encoded(estimated_cost=cost), "SEK")


def test_one_invalid_message_does_not_hide_a_page() -> None:
    odd = {"id": "s1", "from": None, "to": 5, "direction": "outgoing", "message": "a\ud83d", "created": "?"}
    fine = {"id": "s2", "from": "+46701740605", "to": "+46701740699", "direction": "incoming"}
    page = wire.parse_page(encoded(data=[odd, fine]), "SEK")
    first, second = page.messages
    assert (first.sender, first.to, first.text, first.status) == ("", "", "a�", "unknown")
    assert (second.direction, second.status) == (Direction.INBOUND, "received")
    page.model_dump_json()


def test_an_unreadable_next_does_not_count_as_the_end_of_history() -> None:
    sms = {"id": "s1", "created": "2026-01-14T09:52:07.302000"}
    page = wire.parse_page(encoded(data=[sms], next="/sms?start=x"), "SEK")
    assert page.older_from == utc(2026, 1, 14, 9, 52, 7, 302_000)
    with pytest.raises(NoAnswer, match="next"):
        wire.parse_page(encoded(data=[{"id": "s1"}], next="/sms?start=x"), "SEK")
    assert wire.parse_page(encoded(data=[], next="/sms?start=x"), "SEK").older_from is None


def test_text_from_46elks_is_cleaned_and_cut() -> None:
    sms = {"id": "s1", "status": "se\u202ent\x00" + "!" * 500, "from": "Kli\u200bniken", "to": "+467\x07"}
    message = wire.parse_message(encoded(**sms, direction="outgoing"), "SEK")
    assert message.status == ("sent" + "!" * 500)[:20]
    assert (message.sender, message.to) == ("Kliniken", "+467")


@pytest.mark.parametrize("currency", [None, "", "kronor", 5, "SEK" * 2000])
def test_an_account_without_a_currency_still_has_a_balance(currency: object) -> None:
    account = wire.parse_account(encoded(balance=10_000, currency=currency, id=None))
    assert account.balance == Money(10_000, "")
