"""The guards and contacts: who is known, and who may be texted."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elks_mcp.domain.allowed_recipients import (
    ContactReference,
    allows_contact,
    show_allowed_recipients,
)
from elks_mcp.domain.contacts import Contacts
from elks_mcp.domain.guards import Facts, check_draft
from elks_mcp.domain.models import Recall, Taint
from elks_mcp.domain.orders import Draft, Effect
from elks_mcp.domain.payloads import Sms
from elks_mcp.domain.phone import Number
from elks_mcp.domain.policy import Policy
from elks_mcp.domain.text import measure
from tests.support.people import book, person
from tests.support.strategies import contact_books, drafts, facts_about, policies

ASA, BO, EVA, STRANGER = (Number(f"+467017406{last}") for last in ("05", "06", "07", "08"))
SHOP = Number("+46701740699")
NOON = datetime(2026, 11, 18, 11, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
PEOPLE = (
    person("Åsa Lind", ASA.e164, groups="jour"),
    person("Åsa Berg", BO.e164),
    person("Eva", EVA.e164, "+46701740617", groups="Jour"),
)
REFUSE, ASK, WARN = Effect.REFUSE, Effect.ASK, Effect.WARN


def find(policy: Policy, to: Number, text: str = "Hej!", **facts: Any) -> dict[str, tuple[Effect, str]]:
    """Return what the guards find about a text, by guard."""
    draft = Draft(to=to, payload=Sms(text=text), sender=SHOP)
    known = Facts(**{"size": measure(text), "now": NOON, "live": True, "contacts": book(*PEOPLE), **facts})
    return {each.guard: (each.effect, each.reason) for each in check_draft(draft, known, policy)}


def test_a_contact_is_never_a_first_contact() -> None:
    policy = Policy(sender=SHOP)
    assert "first_contact" not in find(policy, ASA, recall=Recall())
    assert find(policy, STRANGER, recall=Recall())["first_contact"][0] is ASK
    assert find(policy, ASA, recall=Recall(), contacts=Contacts())["first_contact"][0] is ASK


@pytest.mark.parametrize(
    ("to", "text", "changed_at", "texted", "effect"),
    [
        (ASA, "Larm", NOON - HOUR, 0, WARN),
        (ASA, "Larm", NOON, 0, ASK),  # as old as the text
        (ASA, "Larm", NOON + HOUR, 0, ASK),
        (STRANGER, "Larm", NOON - HOUR, 0, ASK),
        (ASA, "Larm https://46elks.se", NOON - HOUR, 0, ASK),
        (ASA, "Larm", NOON - HOUR, 1, WARN),
        (ASA, "Larm", NOON - HOUR, 2, ASK),
    ],
)
def test_a_contact_is_known_if_the_contacts_are_older_than_the_strangers_text(
    to: Number, text: str, changed_at: datetime, texted: int, effect: Effect
) -> None:
    taint, contacts = Taint(created_at=NOON, texted=texted), book(*PEOPLE, changed_at=changed_at)
    found = find(Policy(sender=SHOP), to, text, taint=taint, contacts=contacts)
    assert found["tainted"][0] is effect


@pytest.mark.parametrize(
    ("listed", "allowed"),
    [
        ("contacts", {ASA, BO, EVA}),
        ("Contacts", {ASA, BO, EVA}),
        ("@jour", {ASA, EVA}),
        ("@JOUR", {ASA, EVA}),
        ("@tom", set()),
        ("@", set()),
        ("åsa lind", {ASA}),
        ("Åsa", set()),  # two have that name
        ("Åsa (…05)", {ASA}),
        ("Asa Lind", set()),
        ("Eva", {EVA}),
        ("Kim", set()),
    ],
)
def test_a_list_of_contacts_allows_the_people_in_it(listed: str, allowed: set[Number]) -> None:
    policy = Policy(sender=SHOP, allowed_recipients=frozenset({ContactReference(listed)}))
    refused = {to for to in (ASA, BO, EVA, STRANGER) if "allowed_recipient" in find(policy, to)}
    assert refused == {ASA, BO, EVA, STRANGER} - allowed
    for to in (ASA, BO, EVA, STRANGER):
        assert "allowed_recipient" in find(policy, to, contacts=Contacts()), "no contacts, nobody"


def test_p7_a_name_that_two_contacts_have_allows_none_of_their_numbers() -> None:
    office = Number("+46846500405")
    both = book(person("Bo", BO.e164), person("Bo", BO.e164, office.e164))
    for listed, allowed in (("Bo", set()), ("Bo (…06)", {BO}), ("Bo (…05)", {office})):
        policy = Policy(sender=SHOP, allowed_recipients=frozenset({ContactReference(listed)}))
        refused = {to for to in (BO, office) if "allowed_recipient" in find(policy, to, contacts=both)}
        assert refused == {BO, office} - allowed, listed


def test_a_contact_of_changed_contacts_is_refused_with_the_reason() -> None:
    policy = Policy(sender=SHOP, allowed_recipients=frozenset({ContactReference("contacts")}))
    held: dict[str, Any] = {
        "held_contacts": book(person("Kim", STRANGER.e164)),
        "why_held": "The contacts changed.",
    }
    effect, reason = find(policy, STRANGER, **held)["allowed_recipient"]
    assert (effect, reason) == (
        REFUSE,
        "+46701740608 is not one of the allowed recipients yet. The contacts changed.",
    )
    effect, reason = find(policy, ASA, **held)["allowed_recipient"]
    gone = "is not one of the allowed recipients any more, according to the current contacts."
    assert (effect, reason) == (REFUSE, f"+46701740605 {gone} The contacts changed.")
    by_number = policy.model_copy(update={"allowed_recipients": frozenset({*policy.allowed_recipients, ASA})})
    assert "allowed_recipient" not in find(by_number, ASA, **held)
    assert "ELKS_ALLOWED_RECIPIENTS" in find(policy, Number("+46701740609"), **held)["allowed_recipient"][1]


@given(drafts, policies, st.booleans(), st.data())
def test_contacts_never_lift_a_refusal_unless_the_operator_lists_contacts(
    draft: Draft, policy: Policy, live: bool, data: st.DataObject
) -> None:
    """P7: a file does not extend what the operator limits elsewhere."""
    facts = data.draw(facts_about(draft, live=live))
    by_numbers = {each for each in policy.allowed_recipients if isinstance(each, Number)}
    policy = policy.model_copy(update={"allowed_recipients": frozenset(by_numbers)})
    without = facts.model_copy(update={"contacts": Contacts()})

    def list_refusals(known: Facts) -> set[str]:
        return {each.guard for each in check_draft(draft, known, policy) if each.effect is REFUSE}

    assert list_refusals(facts) == list_refusals(without)


@given(st.sampled_from(["@jour", "Kim", "Åsa", "@none"]), contact_books, st.data())
def test_the_entry_contacts_allows_whatever_a_name_or_a_group_allows(
    listed: str, contacts: Contacts, data: st.DataObject
) -> None:
    owned = [each.number for contact in contacts.people for each in contact.numbers]
    number = data.draw(st.sampled_from([*owned, STRANGER]))
    if allows_contact({ContactReference(listed)}, number, contacts):
        assert allows_contact({ContactReference("contacts")}, number, contacts)
        assert number in owned


@pytest.mark.parametrize(
    ("listed", "shown"),
    [
        ([], "any number in these countries"),
        ([ASA], "only 1 number, not shown here"),
        ([ASA, BO], "only 2 numbers, not shown here"),
        (["contacts"], "only all contacts"),
        (["@jour", "Åsa Lind", ASA], "only @jour, 1 number, 1 contact, not shown here"),
    ],
)
def test_the_policy_report_describes_allowed_recipients_without_names_and_numbers(
    listed: list[str | Number], shown: str
) -> None:
    allowed = frozenset(ContactReference(each) if isinstance(each, str) else each for each in listed)
    assert show_allowed_recipients(allowed) == shown
