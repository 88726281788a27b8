"""Answers, questions and completions name people as the contacts do."""

from pathlib import Path

import pytest
from mcp_types import PromptReference

from tests.support.connecting import EITHER_ERA, Era, Person, call, connected, data, live, new_box, words
from tests.support.people import Book, person
from tests.support.stores import files_with

pytestmark = pytest.mark.anyio

ASA, STRANGER = "+46701740605", "+46701740609"
PEOPLE = Book(person("Åsa Lind", ASA), person("Åke", "+46701740606"), person("Bo", "+46701740607"))


@pytest.mark.parametrize("era", EITHER_ERA)
async def test_an_answer_about_a_contact_has_the_name_and_the_number(era: Era) -> None:
    box = new_box()
    async with connected(live(box), box=box, way=era, contacts=PEOPLE) as client:
        price = await call(client, "estimate_sms_cost", to="Åsa Lind", message="Hej")
        sent = await call(client, "send_sms", to="Åsa Lind", message="Hej")
        status = await call(client, "check_sms_status", messageId=data(sent)["orderId"])
        silence = await call(client, "wait_for_reply", sender="Bo", timeout=0)
    assert words(price).startswith("To Åsa Lind: it would cost 0.52 SEK")
    assert f" To Åsa Lind ({ASA}, Sweden) from {box.number}: 1 part" in words(sent)
    assert f"\nTo Åsa Lind ({ASA}) from {box.number}, created" in words(status)
    assert words(silence).startswith("No reply from Bo yet.")
    assert [data(each)["toName"] for each in (price, sent, status)] == ["Åsa Lind"] * 3
    assert (data(sent)["to"], data(silence)["fromName"]) == (ASA, "Bo")


async def test_a_reply_of_a_contact_has_the_name() -> None:
    contacts = Book(person("Svea", "+46701740614"))  # in the sandbox, this number answers
    async with connected({"ELKS_SANDBOX": "true"}, contacts=contacts) as client:
        answer = await call(client, "ask_by_sms", to="Svea", message="Kommer du?", timeout=30)
        status = await call(client, "check_sms_status", messageId=data(answer)["reply"]["message"]["id"])
    assert data(answer)["reply"]["fromName"] == "Svea"
    assert "A text from Svea was received." in words(answer)
    assert "from Svea (+46701740614)" in words(status)


async def test_an_answer_about_a_number_that_is_no_contact_is_as_without_contacts() -> None:
    answers = []
    for contacts in (PEOPLE, None):
        box = new_box()
        async with connected(live(box), box=box, contacts=contacts) as client:
            answer = await call(client, "estimate_sms_cost", to=STRANGER, message="Hej")
            answers.append((words(answer), data(answer)))
            sent = await call(client, "send_sms", to=STRANGER, message="Hej")
            assert "toName" not in data(sent)
            assert f"To {STRANGER} (Sweden)" in words(sent)
    assert answers[0] == answers[1]


async def test_a_refusal_names_the_contact_and_the_stored_order_does_not(tmp_path: Path) -> None:
    box = new_box()
    environ = live(box, ELKS_MAX_PER_NUMBER="1", ELKS_STATE_DIR=str(tmp_path))
    async with connected(environ, box=box, contacts=PEOPLE) as client:
        for to, sent_before in ((ASA, False), (ASA, True), (STRANGER, False), (STRANGER, True)):
            answer = await call(client, "send_sms", to=to, message=f"Hej {sent_before}")
            assert answer.is_error is sent_before
            assert ('The recipient is "Åsa Lind".' in words(answer)) is (sent_before and to == ASA)
    assert files_with(tmp_path, "sa Lind") == []


async def test_a_refusal_names_the_contact_if_numbers_are_hidden() -> None:
    box = new_box()
    environ = live(box, ELKS_MAX_PER_NUMBER="1", ELKS_SHOW_NUMBERS="false")
    async with connected(environ, box=box, contacts=PEOPLE) as client:
        assert not (await call(client, "send_sms", to="Åsa Lind", message="Hej")).is_error
        answer = await call(client, "send_sms", to="Åsa Lind", message="Hej då")
    assert "1 texts to Åsa Lind (…05) were sent, are scheduled or wait for a person" in words(answer)
    assert 'The recipient is "Åsa Lind".' in words(answer)


async def test_the_question_names_the_contact_and_the_whole_number() -> None:
    box, approver = new_box(), Person("decline")
    async with connected(
        live(box, ELKS_CONFIRM="always"), box=box, person=approver, contacts=PEOPLE
    ) as client:
        await call(client, "send_sms", to="Bo", message="Hej")
    (question,) = approver.questions
    assert question.startswith(f"Send this text to Bo, +46701740607 (Sweden) from {box.number}?")
    assert "It goes to Bo, +46701740607 (Sweden) for 1 part, 0.52 SEK." in question


async def test_a_number_of_two_contacts_has_both_names() -> None:
    box = new_box()
    both = Book(person("Åsa", ASA), person("Bo", ASA))
    async with connected(live(box), box=box, contacts=both) as client:
        sent = await call(client, "send_sms", to="Bo", message="Hej")
    assert data(sent)["toName"] == "Åsa or Bo"


async def test_a_recipient_is_completed_with_earlier_numbers_and_with_names() -> None:
    box = new_box()
    async with connected(live(box), box=box, contacts=PEOPLE) as client:
        await call(client, "send_sms", to=STRANGER, message="Hej")

        async def complete(beginning: str) -> list[str]:
            argument = {"name": "recipient", "value": beginning}
            found = await client.complete(PromptReference(type="ref/prompt", name="text_somebody"), argument)
            return list(found.completion.values)

        assert await complete("") == [STRANGER, "Bo", "Åke", "Åsa Lind"]
        assert await complete("ås") == ["Åsa Lind"]
        assert await complete("+46") == [STRANGER]


SEVERAL = (
    person("Åsa", ASA),
    person("Åsa", STRANGER),
    person("Bo", ("+46701740607", "mobile"), ("+46846500405", "work")),
    person("Familj", "+46701740610"),
    person("Tor", "+46701740610"),
    person("Eva", "+46701740611"),
    person("Eva", "+46701740711"),
)
LABELS = {
    ASA: "Åsa (…05)",
    STRANGER: "Åsa (…09)",
    "+46701740607": "Bo",
    "+46846500405": "Bo (…05)",
    "+46701740610": "Familj",
    "+46701740611": "+46701740611",  # two of that name, with the same last digits
    "+46701740612": "+46701740612",
}
"""How lists name each number."""


async def test_each_name_in_a_list_resolves_to_its_number() -> None:
    box = new_box()
    received = {number: box.receive(number, "Hej") for number in LABELS}
    async with connected(live(box), box=box, contacts=Book(*SEVERAL)) as client:
        listed = await call(client, "get_sms_messages", limit=10)
        asked = ",".join(each.id for each in received.values())
        statuses = data(await call(client, "check_sms_status", messageId=asked))["texts"]
        for number, label in LABELS.items():
            found = data(await call(client, "get_sms_messages", person=label))
            assert (found["count"], found.get("with")) == (2 if label == "Bo" else 1, label), number
    assert [entry["from"] for entry in data(listed)["messages"]] == list(LABELS.values())[::-1]
    assert [entry["from"] for entry in statuses] == list(LABELS.values())
    assert all(f" from {label}: Hej" in words(listed) for label in LABELS.values())


async def test_a_conversation_has_the_texts_of_all_numbers_of_a_contact() -> None:
    box = new_box()
    contacts = Book(*SEVERAL, person("Kim", ("+46701740621", "home"), ("+46701740622", "work")))
    for number in ("+46701740607", "+46846500405", "+46701740621", "+46701740622", STRANGER):
        box.receive(number, "Hej")
    async with connected(live(box), box=box, contacts=contacts) as client:
        both = await call(client, "get_sms_messages", person="Bo")
        assert [each["from"] for each in data(both)["messages"]] == ["Bo (…05)", "Bo"]
        assert words(both).startswith("2 messages with Bo.")
        one = data(await call(client, "get_sms_messages", person="Bo (…05), work"))
        assert (one["with"], len(one["messages"]), "from" in one["messages"][0]) == ("Bo (…05)", 1, False)
        unclear = data(await call(client, "get_sms_messages", person="kim"))
        labels = [each["from"] for each in unclear["messages"]]
        assert (unclear["with"], labels) == ("Kim", ["Kim (…22)", "Kim (…21)"])
        assert (await call(client, "get_sms_messages", person="Åsa")).is_error, "two contacts"


async def test_a_reply_says_which_of_two_contacts_with_one_name_it_is_from() -> None:
    box = new_box()
    async with connected(live(box), box=box, contacts=Book(*SEVERAL)) as client:
        await call(client, "send_sms", to=ASA, message="Kommer du?")
        box.reply(ASA, "Ja")
        answer = await call(client, "wait_for_reply", sender="Åsa (…05)", timeout=0)
    assert data(answer)["fromName"] == "Åsa (…05)"
    assert "from Åsa (…05)" in words(answer)


@pytest.mark.parametrize("name", ["Nan", "nil", "NONE", "Null", "undefined"])
async def test_a_contact_named_null_does_not_make_a_call_apply_to_everybody(name: str) -> None:
    box, other = new_box(), STRANGER
    for number in (ASA, other):
        box.receive(number, "Hej")
    async with connected(live(box), box=box, contacts=Book(person(name.title(), ASA))) as client:
        for tool, argument in (("get_sms_messages", "person"), ("wait_for_reply", "sender")):
            refused = await call(client, tool, **{argument: name})
            assert refused.is_error
            assert f'"{name}", which is a contact\'s name and a word for no value.' in words(refused)
            assert f'Write "{name.title()} (…05)" for the contact' in words(refused)
        listed = data(await call(client, "get_sms_messages", person=f"{name} (…05)"))
        assert (listed["with"], listed["count"]) == (name.title(), 1)
    async with connected(live(box), box=box, contacts=PEOPLE) as client:
        assert data(await call(client, "get_sms_messages", person=name))["count"] == 2
