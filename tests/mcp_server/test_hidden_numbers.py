"""Names and handles stand for numbers with `ELKS_SHOW_NUMBERS=false`, and tools take them."""

from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp_types import TextContent

from elks_mcp.domain.policy import Policy
from elks_mcp.mcp_server.server import build_misconfigured_server
from elks_mcp.sandbox import Sandbox
from tests.support.connecting import ERAS, Era, Person, call, connected, data, live, new_box, posted, words
from tests.support.people import Book, person

pytestmark = pytest.mark.anyio

ASA, STRANGER, MENTIONED, SECOND_OWN = "+46701740621", "+46701740624", "+46701740627", "+46701740641"


@pytest.fixture
def box() -> Sandbox:
    """A 46elks to text through."""
    return new_box()


def hiding(box: Sandbox, **more: str) -> dict[str, str]:
    """Return the environment of a live server that hides numbers."""
    return live(box, ELKS_SHOW_NUMBERS="false", **more)


async def test_a_stranger_is_texted_by_the_handle_of_a_list(box: Sandbox) -> None:
    box.receive(STRANGER, "Hej, ring 070-174 06 27.")
    async with connected(hiding(box, ELKS_TOOLSETS="all"), box=box) as client:
        [received] = data(await call(client, "get_sms_messages"))["messages"]
        handle, mentioned = received["from"], received["untrusted"].removeprefix("Hej, ring ").rstrip(".")
        sent = data(await call(client, "send_sms", to=handle, message="Hej"))
        box.reply(STRANGER, "Tack")
        waited = data(await call(client, "wait_for_reply", sender=handle.lower(), timeout=0))
        listed = data(await call(client, "get_sms_messages", person=handle))
        priced = await call(client, "estimate_sms_cost", to=mentioned, message="Hej")
    assert [form["to"] for form in posted(box)] == [STRANGER]
    assert {sent["to"], waited["from"], listed["with"]} == {handle}
    assert not priced.is_error


async def test_a_contact_is_shown_by_a_name_that_can_be_written(box: Sandbox) -> None:
    contacts = Book(person("Åsa Lind", ASA), person("Bo", STRANGER), person("Bo", "+46701740625"))
    async with connected(hiding(box), box=box, contacts=contacts) as client:
        sent = await call(client, "send_sms", to="Åsa", message="Hej")
        assert (data(sent)["to"], data(sent)["toName"]) == ("Åsa Lind (…21)", "Åsa Lind")
        assert "To Åsa Lind (…21, Sweden) from you (…" in words(sent)
        for to in (STRANGER, "Bo (…24)", "Bo (...24)"):
            assert data(await call(client, "send_sms", to=to, message="Hej"))["to"] == "Bo (…24)"
    assert [form["to"] for form in posted(box)] == [ASA, STRANGER]


async def test_a_contact_whose_name_and_digits_are_ambiguous_has_a_handle(box: Sandbox) -> None:
    contacts = Book(person("Åsa", ASA), person("Åsa", "+46701740721"))
    async with connected(hiding(box), box=box, contacts=contacts) as client:
        sent = data(await call(client, "send_sms", to=ASA, message="Hej"))
        again = data(await call(client, "send_sms", to=sent["to"], message="Hej då"))
    assert sent["to"].startswith("P-")
    assert (again["to"], sent["toName"]) == (sent["to"], "Åsa")
    assert [form["to"] for form in posted(box)] == [ASA, ASA]


async def test_a_name_or_group_with_a_number_in_it_is_understood_as_shown(box: Sandbox) -> None:
    contacts = Book(
        person("Kallepelle Margareta 0701740621", ASA, groups="jour070-1740627"),
        person("Kallepelle Margareta 0701740624", STRANGER, aliases=("Kalle Margareta 0701740624",)),
    )
    async with connected(hiding(box), box=box, contacts=contacts) as client:
        first, second = data(await call(client, "find_contact", query="Kallepelle"))["contacts"]
        assert first["name"].startswith("Kallepelle Margareta P-")
        for shown, number in (
            (first["name"], ASA),
            (first["name"].lower(), ASA),
            (f"{first['name']} (…21)", ASA),
            (second["also"][0], STRANGER),
        ):
            sent = await call(client, "send_sms", to=shown, message=f"Hej {shown[:3]} {len(posted(box))}")
            assert not sent.is_error, words(sent)
            assert posted(box)[-1]["to"] == number
        [group] = first["groups"]
        assert group.startswith("@jourP-")
        found = data(await call(client, "find_contact", query=group))
        assert [each["name"] for each in found["contacts"]] == [first["name"]]


async def test_the_account_is_shown_as_you_and_the_sender_can_be_chosen(box: Sandbox) -> None:
    async with connected(hiding(box, ELKS_ALLOWED_SENDERS=SECOND_OWN), box=box) as client:
        sent = data(await call(client, "send_sms", to=ASA, message="Hej", sender="you (…41)"))
        wrong = await call(client, "send_sms", to=ASA, message="Hej", sender="you (…98)")
    assert sent["from"] == "you (…41)"
    assert [form["from"] for form in posted(box)] == [SECOND_OWN]
    assert "The account has 0 numbers that end in 98." in words(wrong)


async def test_the_line_that_saves_a_number_has_the_name_and_the_handle(box: Sandbox) -> None:
    box.receive(STRANGER, "Hej, det är Rut")
    async with connected(hiding(box), box=box, contacts=Book(person("Åsa", ASA))) as client:
        [received] = data(await call(client, "get_sms_messages"))["messages"]
        saved = words(await call(client, "find_contact", query=f"Rut {received['from'].lower()}"))
        unknown = await call(client, "find_contact", query="Rut P-22222222")
    assert f"Rut,{received['from']}" in saved
    assert unknown.is_error
    assert "No known number has the handle P-22222222." in words(unknown)


async def test_an_unknown_handle_is_refused_and_nothing_is_sent(box: Sandbox) -> None:
    async with connected(hiding(box), box=box) as client:
        refused = await call(client, "send_sms", to="P-22222222", message="Hej")
    assert refused.is_error
    assert words(refused).startswith("Not sent: No known number has the handle P-22222222.")
    assert not posted(box)


@pytest.mark.parametrize("era", ERAS)
async def test_a_form_shows_the_person_the_whole_number(box: Sandbox, era: Era) -> None:
    approver = Person()
    async with connected(hiding(box, ELKS_CONFIRM="always"), box=box, way=era, person=approver) as client:
        await call(client, "send_sms", to=ASA, message="Hej")
    assert f"Send this text to {ASA}" in approver.questions[0]
    assert len(posted(box)) == 1


async def test_handles_are_also_accepted_while_numbers_are_shown(box: Sandbox, tmp_path: Path) -> None:
    box.receive(STRANGER, "Hej")
    state = {"ELKS_STATE_DIR": str(tmp_path)}
    async with connected(hiding(box, **state), box=box) as client:
        handle = data(await call(client, "get_sms_messages"))["messages"][0]["from"]
    async with connected(live(box, **state), box=box) as client:
        assert data(await call(client, "get_sms_messages", person=handle))["with"] == STRANGER


async def test_the_prices_times_and_ids_of_an_answer_are_not_hidden(box: Sandbox) -> None:
    async def ask(environ: dict[str, str]) -> list[Any]:
        async with connected(environ, box=box) as client:
            status = data(await call(client, "check_sms_status", messageId=received.id))
            policy = data(await call(client, "explain_policy"))
            return [status["messageId"], status["createdAt"], status["cost"], policy["budget"]["most"]]

    received = box.receive(STRANGER, "Hej")
    assert await ask(hiding(box)) == await ask(live(box))


async def test_the_sandboxs_phones_have_handles(box: Sandbox) -> None:
    async with connected({"ELKS_SANDBOX": "true", "ELKS_SHOW_NUMBERS": "false"}) as client:
        phones = data(await call(client, "explain_policy"))["sandbox"]["numbers"]
        failing = next(handle for handle, does in phones.items() if "fail" in does.casefold())
        assert failing.startswith("P-")
        assert not (await call(client, "send_sms", to=failing, message="Hej")).is_error


async def test_the_rule_is_listed(box: Sandbox) -> None:
    async with connected(hiding(box), box=box) as client:
        rules = data(await call(client, "explain_policy"))["rules"]
    [now] = [rule["now"] for rule in rules if rule["variable"] == "ELKS_SHOW_NUMBERS"]
    assert now.startswith("hidden")


async def test_a_rule_that_lists_numbers_shows_two_digits_of_each(box: Sandbox) -> None:
    environ = hiding(box, ELKS_ALLOWED_SENDERS=f"{SECOND_OWN},+46701740658")
    async with connected(environ, box=box) as client:
        answer = await call(client, "explain_policy")
    [now] = [rule["now"] for rule in data(answer)["rules"] if rule["variable"] == "ELKS_ALLOWED_SENDERS"]
    assert sorted(now.removeprefix("only ").split(", ")) == ["you (…41)", "you (…58)"]
    assert "*" not in words(answer)


async def test_a_misconfigured_server_also_hides_numbers() -> None:
    server = build_misconfigured_server(["Wrong: 070-174 06 24x."], Policy(show_numbers=False))
    async with Client(server) as client:
        (content,) = (await client.call_tool("explain_policy", {})).content
    assert isinstance(content, TextContent)
    assert "Wrong: …24x." in content.text
