"""All guards together: order, switching off, refusals by policy, and laws that hold for any draft."""

from datetime import UTC, datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from elks_mcp.domain.guards import GUARD_NAMES, GUARDS, NOT_SWITCHABLE, Facts, check_draft
from elks_mcp.domain.models import AccountNumbers, Recall, Taint
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Draft, Effect, Estimate
from elks_mcp.domain.payloads import Sms
from elks_mcp.domain.phone import Number, SenderId
from elks_mcp.domain.policy import Policy
from elks_mcp.domain.text import measure
from tests.support.strategies import drafts, facts_about, policies

ANNA = Number("+46701740605")
SHOP = Number("+46701740699")
NOON = datetime(2026, 11, 18, 11, 0, tzinfo=UTC)
REFUSE, ASK, WARN = Effect.REFUSE, Effect.ASK, Effect.WARN


def priced(units: int) -> Estimate:
    return Estimate(price=Money(units, "SEK"))


def reason(guard: str, policy: Policy, draft: Draft, facts: Facts) -> str:
    return next(finding.reason for finding in check_draft(draft, facts, policy) if finding.guard == guard)


WRONG_IN_ALL_WAYS = Draft(
    to=Number("+15551234567"), payload=Sms(text="Se example.com " + "x" * 1000), sender=SenderId("P0LICE")
)
AT_NIGHT = Facts(
    size=measure(WRONG_IN_ALL_WAYS.text),
    now=datetime(2026, 7, 1, 6, 0, tzinfo=UTC),
    live=True,
    estimate=priced(200_000),
    recall=Recall(
        opted_out=True,
        texts_in_10_minutes=5,
        texts_in_24_hours=5,
        spent=900_000,
        repeated="O-22222222",
        unread=True,
    ),
    own_numbers=AccountNumbers(configured=frozenset({"+15551234567"})),
    taint=Taint(created_at=NOON),
)
STRICT = Policy(allowed_recipients=frozenset({ANNA}))


def test_all_findings_are_reported_together_by_name_and_in_order() -> None:
    names = [finding.guard for finding in check_draft(WRONG_IN_ALL_WAYS, AT_NIGHT, STRICT)]
    assert names == [
        "textable_number",
        "placeholder",
        "allowed_country",
        "allowed_recipient",
        "own_number",
        "opted_out",
        "unread_history",
        "impersonation",
        "unknown_sender",
        "too_many_parts",
        "message_budget",
        "daily_budget",
        "repeated",
        "velocity",
        "link",
        "first_contact",
        "tainted",
        "night",
    ]
    assert set(GUARD_NAMES) - set(names) == {"sender_usable", "maybe_opted_out", "mms_deliverable"}
    assert [name for name in GUARD_NAMES if name in names] == names


@pytest.mark.parametrize("guard", GUARD_NAMES)
def test_every_guard_except_three_can_be_switched_off(guard: str) -> None:
    policy = STRICT.model_copy(update={"guards_off": frozenset({guard})})
    before = [finding.guard for finding in check_draft(WRONG_IN_ALL_WAYS, AT_NIGHT, STRICT)]
    after = [finding.guard for finding in check_draft(WRONG_IN_ALL_WAYS, AT_NIGHT, policy)]
    kept = guard in {"impersonation", "opted_out", "daily_budget"}
    assert after == (before if kept else [name for name in before if name != guard])
    assert (guard in NOT_SWITCHABLE) == kept


@pytest.mark.parametrize(
    ("guard", "words", "variable"),
    [
        ("allowed_country", "is not one of the allowed countries: SE.", "ELKS_ALLOWED_COUNTRIES"),
        ("allowed_recipient", "Do not send to another number instead.", "ELKS_ALLOWED_RECIPIENTS"),
        (
            "impersonation",
            "looks like police: a bank, an authority or a known brand.",
            "ELKS_ALLOWED_SENDERS",
        ),
        ("too_many_parts", "takes 7 parts, and 6 are allowed. Shorten it.", "ELKS_MAX_PARTS"),
        (
            "message_budget",
            "would cost 20.00 SEK, and one message may cost 10.00 SEK at most.",
            "ELKS_BUDGET_PER_MESSAGE",
        ),
        (
            "daily_budget",
            "would cost 20.00 SEK, and 10.00 SEK is left of the 100.00 SEK for any 24 hours.",
            "ELKS_BUDGET_PER_DAY",
        ),
        (
            "velocity",
            "were sent, are scheduled or wait for a person, who can approve or cancel them. Try again later.",
            "ELKS_MAX_PER_NUMBER",
        ),
    ],
)
def test_a_refusal_by_policy_says_why_and_names_the_operators_variable(
    guard: str, words: str, variable: str
) -> None:
    said = reason(guard, STRICT, WRONG_IN_ALL_WAYS, AT_NIGHT)
    assert said.endswith(f"{words} The operator can change that with {variable}.")


def test_no_message_suggests_a_way_around_an_opt_out() -> None:
    said = reason("opted_out", STRICT, WRONG_IN_ALL_WAYS, AT_NIGHT)
    assert "until they write START" in said
    assert "ELKS_" not in said
    assert "opt-outs" not in said, "an assistant may have a shell"


def test_an_overspent_budget_has_nothing_left() -> None:
    facts = AT_NIGHT.model_copy(update={"recall": Recall(spent=2_000_000)})
    assert "0.00 SEK is left" in reason("daily_budget", STRICT, WRONG_IN_ALL_WAYS, facts)


def refusals(draft: Draft, facts: Facts, policy: Policy) -> set[str]:
    return {finding.guard for finding in check_draft(draft, facts, policy) if finding.effect is REFUSE}


@st.composite
def stricter(draw: st.DrawFn, policy: Policy) -> Policy:
    """Tighten a policy: fewer countries, recipients, senders, parts, less money, more guards."""
    countries = draw(st.sets(st.sampled_from(sorted(policy.allowed_countries)), min_size=1))
    recipients = policy.allowed_recipients
    if len(recipients) > 1:
        recipients = frozenset(draw(st.sets(st.sampled_from(sorted(recipients, key=str)), min_size=1)))
    senders = policy.allowed_senders
    if len(senders) > 1:
        senders = senders[: draw(st.integers(1, len(senders)))]
    budget, day = policy.budget_per_message, policy.budget_per_day
    return policy.model_copy(
        update={
            "allowed_countries": frozenset(countries),
            "allowed_recipients": recipients,
            "allowed_senders": senders,
            "max_parts": draw(st.integers(1, policy.max_parts)),
            "budget_per_message": draw(st.integers(0, 10_000 if budget is None else budget)),
            "budget_per_day": draw(st.integers(0, 100_000 if day is None else day)),
            "max_per_number": draw(st.integers(1, policy.max_per_number)),
            "guards_off": frozenset(draw(st.sets(st.sampled_from(sorted(policy.guards_off) or ["night"]))))
            & policy.guards_off,
        }
    )


@given(drafts, policies, st.booleans(), st.data())
def test_a_stricter_policy_never_refuses_less(
    draft: Draft, policy: Policy, live: bool, data: st.DataObject
) -> None:
    facts = data.draw(facts_about(draft, live=live))
    tightened = data.draw(stricter(policy))
    assert refusals(draft, facts, policy) <= refusals(draft, facts, tightened)


@given(drafts, policies, st.booleans(), st.data())
def test_a_list_of_recipients_or_senders_never_allows_more(
    draft: Draft, policy: Policy, live: bool, data: st.DataObject
) -> None:
    """A listed sender may be called a bank: that is what the list is for. Any other may not."""
    assume(draft.sender not in (policy.sender, SHOP))
    facts = data.draw(facts_about(draft, live=live))
    tightened = policy.model_copy(
        update={
            "allowed_recipients": policy.allowed_recipients or frozenset({ANNA}),
            "allowed_senders": (SHOP,),
        }
    )
    assert refusals(draft, facts, policy) - {"impersonation"} <= refusals(draft, facts, tightened)
    assert "impersonation" in refusals(draft, facts, tightened)


@given(drafts, policies, st.booleans(), st.data())
def test_guards_are_independent_of_each_other(
    draft: Draft, policy: Policy, live: bool, data: st.DataObject
) -> None:
    facts = data.draw(facts_about(draft, live=live))
    alone = {
        guard.__name__: said[0]
        for guard in reversed(GUARDS)
        if (said := guard(draft, facts, policy))
        and (guard.__name__ in NOT_SWITCHABLE or guard.__name__ not in policy.guards_off)
    }
    assert {finding.guard: finding.effect for finding in check_draft(draft, facts, policy)} == alone


@given(drafts, policies, st.booleans(), st.text(max_size=20), st.data())
def test_flash_and_key_of_a_text_change_no_finding(
    draft: Draft, policy: Policy, live: bool, key: str, data: st.DataObject
) -> None:
    facts = data.draw(facts_about(draft, live=live))
    payload = Sms(text=draft.text, flash=not draft.sms.flash)
    otherwise = draft.model_copy(update={"payload": payload, "idempotency_key": key})
    assert check_draft(otherwise, facts, policy) == check_draft(draft, facts, policy)


@given(drafts, policies, st.data())
def test_asking_to_really_send_never_refuses_less_than_a_dry_run(
    draft: Draft, policy: Policy, data: st.DataObject
) -> None:
    dry = data.draw(facts_about(draft, live=False))
    live = dry.model_copy(update={"live": True})
    assert refusals(draft, dry, policy) <= refusals(draft, live, policy)
