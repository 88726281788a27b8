"""Guards on calls: which of them differ from those on texts."""

from datetime import UTC, datetime
from typing import Any

import pytest

from elks_mcp.domain.call_payload import Call
from elks_mcp.domain.guards import Facts, check_draft
from elks_mcp.domain.models import Recall, Taint
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Draft, Estimate
from elks_mcp.domain.phone import Number, parse_number
from elks_mcp.domain.policy import Policy
from tests.tables.phones import KINDS

SHOP, ANNA = Number("+46701740699"), Number("+46701740605")
NOON, NIGHT = datetime(2026, 11, 18, 11, 0, tzinfo=UTC), datetime(2026, 11, 18, 23, 0, tzinfo=UTC)
COSTLY = {"premium rate", "shared cost", "toll-free", "satellite or other international network", "pager"}
EVERYWHERE = frozenset({"SE", "NO", "DK", "FI", "IT", "FR", "GB", "GG", "IM", "US", "JM", "AU", "DE", ""})


def found(
    policy: Policy | None = None, *, to: Number = ANNA, text: str = "Hej!", **facts: Any
) -> dict[str, str]:
    """Run all guards on one call, and return their findings."""
    draft = Draft(to=to, payload=Call(text=text), sender=SHOP)
    known = Facts(**{"size": None, "now": NOON, "live": True, "simulated": True, **facts})
    findings = check_draft(draft, known, policy or Policy(sender=SHOP, allowed_countries=EVERYWHERE))
    return {each.guard: f"{each.effect}: {each.reason}" for each in findings}


def test_an_ordinary_call_has_no_findings() -> None:
    assert found() == {}


@pytest.mark.parametrize(("number", "kind"), [(each[0], each[1]) for each in KINDS if each[1] in COSTLY])
def test_a_number_that_costs_extra_is_never_called(number: str, kind: str) -> None:
    assert found(to=parse_number(number))["textable_number"].startswith("refuse")


def test_a_fixed_line_can_be_called() -> None:
    assert "textable_number" not in found(to=parse_number("+4681234567"))


def test_a_person_is_asked_about_a_call_at_night_since_it_wakes_somebody() -> None:
    assert found(now=NIGHT)["night"].startswith("ask")
    assert "wakes" in found(now=NIGHT)["night"]


def test_a_spoken_address_is_no_link_and_a_call_has_no_parts() -> None:
    assert found(text=f"https://example.com {'a' * 900}") == {}


def test_p6_a_number_that_opted_out_is_not_called() -> None:
    assert found(recall=Recall(opted_out=True, is_known=True))["opted_out"].startswith("refuse")


def test_p5_the_upper_bound_counts_against_both_budgets() -> None:
    policy = Policy(sender=SHOP, budget_per_message=10_000, budget_per_day=20_000)
    dear = found(policy, estimate=Estimate(price=Money(10_001, "SEK")), recall=Recall(is_known=True))
    assert dear["message_budget"].startswith("refuse: The call would cost")
    spent = Recall(is_known=True, spent=12_001)
    late = found(policy, estimate=Estimate(price=Money(8000, "SEK")), recall=spent)
    assert late["daily_budget"].startswith("refuse: The call would cost")


def test_texts_and_calls_to_a_number_count_together() -> None:
    reason = found(recall=Recall(is_known=True, texts_in_10_minutes=5))["velocity"]
    assert "5 texts and calls to" in reason


def test_a_call_to_a_stranger_after_a_stranger_s_text_was_shown_asks_a_person() -> None:
    reason = found(recall=Recall(is_known=True), taint=Taint(created_at=NOON, texted=0))["tainted"]
    assert reason.startswith("ask")
    assert "this call goes" in reason
