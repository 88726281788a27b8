"""`ELKS_SIGNATURE` ends every text, and counts wherever the text does."""

from typing import Any

import pytest

from elks_mcp.cli.doctor_settings import list_signature_costs
from elks_mcp.errors import Misconfigured
from elks_mcp.sandbox import Sandbox
from elks_mcp.settings import load
from tests.support.connecting import ERAS, PHONE, Era, Person, call, connected, data, live, posted, words

pytestmark = pytest.mark.anyio

SIGNED = {"ELKS_SIGNATURE": "/Kliniken"}


def texts(box: Sandbox) -> list[str]:
    """List the texts that reached 46elks to be sent."""
    return [form["message"] for form in posted(box)]


@pytest.mark.parametrize("era", ERAS)
async def test_every_text_ends_with_the_signature_also_in_the_question(box: Sandbox, era: Era) -> None:
    person = Person()
    async with connected(live(box, **SIGNED), box=box, way=era, person=person) as client:
        sent = await call(client, "send_sms", to=PHONE, message="Din tid är kl. 10")
        assert data(sent)["status"] == "sent"
        assert "It ends with the operator's signature" in words(sent)
    assert texts(box) == ["Din tid är kl. 10\n/Kliniken"]
    assert "\n| Din tid är kl. 10\n| /Kliniken\n" in person.questions[0]


@pytest.mark.parametrize("message", ["Hej\n/Kliniken", "Hej /Kliniken", "/Kliniken", "Hej\n/Kliniken \n"])
async def test_the_signature_is_not_added_twice(box: Sandbox, message: str) -> None:
    async with connected(live(box, **SIGNED), box=box) as client:
        await call(client, "send_sms", to=PHONE, message=message)
    assert texts(box) == [message]


async def test_a_signature_at_the_end_of_a_longer_word_does_not_count(box: Sandbox) -> None:
    async with connected(live(box, ELKS_SIGNATURE="Anna"), box=box) as client:
        await call(client, "send_sms", to=PHONE, message="Hälsa JoAnna")
        await call(client, "send_sms", to="+46701740606", message="Hälsa Anna")
    assert texts(box) == ["Hälsa JoAnna\nAnna", "Hälsa Anna"]


async def test_parts_and_price_include_the_signature(box: Sandbox) -> None:
    text = "a" * 155
    async with connected(live(box), box=box) as plain, connected(live(box, **SIGNED), box=box) as signed:
        answers = [
            data(await call(each, "estimate_sms_cost", to=PHONE, message=text)) for each in (plain, signed)
        ]
        assert [(each["parts"], each["price"]["amount"]) for each in answers] == [(1, 0.52), (2, 1.04)]
        sent = data(await call(signed, "send_sms", to=PHONE, message=text))
        assert (sent["parts"], sent["price"]["amount"]) == (2, 1.04)
    assert [charge.parts for charge in box.charges] == [2]


async def test_a_cheaper_text_is_suggested_without_the_signature(box: Sandbox) -> None:
    text = "a" * 80 + "…"
    async with connected(live(box, **SIGNED), box=box) as client:
        answer = data(await call(client, "estimate_sms_cost", to=PHONE, message=text))
        assert answer["cheaperText"] == "a" * 80 + "..."
        again = data(await call(client, "estimate_sms_cost", to=PHONE, message=answer["cheaperText"]))
        assert again["parts"] == 1


async def test_a_signature_that_makes_every_text_expensive_is_named_as_the_cause(box: Sandbox) -> None:
    for signature, is_named in (("/Kliniken 😀", True), ("/Kliniken", False)):
        async with connected(live(box, ELKS_SIGNATURE=signature), box=box) as client:
            for tool in ("estimate_sms_cost", "send_sms"):
                answer = words(await call(client, tool, to=PHONE, message=f"Hej {tool}"))
                named = "In the signature '😀' (grinning face, U+1F600) makes every text expensive"
                assert (named in answer) is is_named, answer
                assert ("Only the operator can change it (ELKS_SIGNATURE)." in answer) is is_named


async def test_repeats_and_keys_compare_the_text_with_its_signature(box: Sandbox) -> None:
    async with connected(live(box, **SIGNED), box=box) as client:

        async def send(message: str, **more: Any) -> dict[str, Any]:
            return data(await call(client, "send_sms", to=PHONE, message=message, **more))

        first = await send("Hej")
        assert (await send("Hej\n/Kliniken"))["orderId"] == first["orderId"]
        keyed = await send("Hopp", idempotencyKey="k")
        assert (await send("Hopp\n/Kliniken", idempotencyKey="k"))["orderId"] == keyed["orderId"]
    assert texts(box) == ["Hej\n/Kliniken", "Hopp\n/Kliniken"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [("a" * 101, "use 100 characters at most"), ("Hej\x00", "cannot be sent"), ("\u200b\u200d", "invisible")],
)
def test_a_signature_that_cannot_be_used_is_a_configuration_error(value: str, reason: str) -> None:
    with pytest.raises(Misconfigured, match=reason):
        load({"ELKS_SIGNATURE": value})


@pytest.mark.parametrize(
    ("value", "warned"),
    [
        ("/Kliniken", []),
        ("/Kliniken \u2013 Åsa", ["makes every text expensive"]),
        ("46elks.se", ["A web address in it makes the guard `link` ask about every text."]),
    ],
)
def test_the_doctor_warns_of_a_signature_that_is_expensive_or_needs_approval(
    value: str, warned: list[str]
) -> None:
    checks = list_signature_costs(load({"ELKS_SIGNATURE": value}))
    assert [check.mark for check in checks] == ["warn"] * len(warned)
    assert all(reason in check.text for reason, check in zip(warned, checks, strict=True))


async def test_the_policy_shows_the_signature_without_numbers(box: Sandbox) -> None:
    signed = live(box, ELKS_SIGNATURE="Kliniken\n08-123 45 67")
    async with connected(signed, box=box) as client:
        rules = data(await call(client, "explain_policy"))["rules"]
        (shown,) = [rule["now"] for rule in rules if rule["variable"] == "ELKS_SIGNATURE"]
    assert shown == '"Kliniken (number)"'
