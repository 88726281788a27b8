"""Why a person is asked."""

from itertools import product

import pytest

from elks_mcp.domain.approval import explain_asking, reasons_to_ask, write_question
from elks_mcp.domain.contacts import Contacts
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Approver, Effect, Finding, Order, OrderState
from elks_mcp.domain.payloads import Sms
from elks_mcp.domain.policy import Confirm, Policy
from tests.support.provider import NOON, OURS, PHONE

LINK = Finding(guard="link", effect=Effect.ASK, reason="The text contains a web address.")


def waiting(approver: Approver, *findings: Finding) -> Order:
    """Return an order that waits for a person."""
    return Order(
        id="O-22222222",
        state=OrderState.WAITING,
        to=PHONE,
        sender=OURS,
        payload=Sms(text="Hej!"),
        parts=1,
        price=Money(5200, "SEK"),
        findings=findings,
        approver=approver,
        placed_at=NOON,
        changed_at=NOON,
    )


@pytest.mark.parametrize(
    ("confirm", "dry_run", "findings"), list(product(Confirm, [False, True], [(), (LINK,)]))
)
def test_a_server_asks_for_its_own_reasons_or_says_that_the_rules_were_different(
    confirm: Confirm, *, dry_run: bool, findings: tuple[Finding, ...]
) -> None:
    policy = Policy(dry_run=dry_run, confirm=confirm, sender=OURS)
    reasons = explain_asking(waiting(Approver.PERSON, *findings), policy)
    if expected := reasons_to_ask(policy, findings, lifts_dry_run=dry_run):
        assert reasons == expected
    else:
        assert [each.reason for each in reasons] == [
            "It was requested under earlier rules and still waits for a person."
        ]


@pytest.mark.parametrize(("approver", "findings"), list(product(Approver, [(), (LINK,)])))
def test_a_command_without_the_rules_also_names_a_reason(
    approver: Approver, findings: tuple[Finding, ...]
) -> None:
    assert explain_asking(waiting(approver, *findings))


def test_a_guard_with_two_reasons_is_named_once_and_both_reasons_are_listed() -> None:
    reasons = tuple(
        Finding(guard="tainted", effect=Effect.ASK, reason=each) for each in ("Sent.", "Cancelled.")
    )
    question = write_question(waiting(Approver.TERMINAL, *reasons), reasons, Contacts())
    assert "because of: tainted.\n" in question
    assert "Sent." in question
    assert "Cancelled." in question
