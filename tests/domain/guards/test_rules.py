"""What is looked at before a text may go out, and who has to agree."""

import time
from datetime import UTC, datetime
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from elks_mcp.domain.guards.rules import GUARD_NAMES, GUARDS, NOT_SWITCHABLE, Facts, check_draft
from elks_mcp.domain.models import AccountNumbers, Recall, Taint
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Approver, Draft, Effect, Estimate, Finding
from elks_mcp.domain.payloads import Sms
from elks_mcp.domain.phone import Number, Sender, SenderId, parse_number, written
from elks_mcp.domain.policy import (
    Confirm,
    Mode,
    Policy,
    check_liftable,
    largest_day,
    largest_price,
    reasons_to_ask,
    who_agrees,
)
from elks_mcp.domain.text import Encoding, Size, measure
from elks_mcp.errors import NotApproved
from tests.support.strategies import drafts, facts_about, policies
from tests.tables.links import LINKED, UNLINKED
from tests.tables.phones import KINDS

ANNA = Number("+46701740605")
SHOP = Number("+46701740699")
NOON = datetime(2026, 11, 18, 11, 0, tzinfo=UTC)
ANYWHERE = frozenset({"SE", "NO", "DK", "FI", "IT", "FR", "GB", "GG", "IM", "US", "JM", "AU", "DE", ""})
REFUSE, ASK, WARN = Effect.REFUSE, Effect.ASK, Effect.WARN


def found(
    policy: Policy | None = None,
    *,
    to: Number = ANNA,
    text: str = "Hej!",
    sender: Sender = SHOP,
    **facts: Any,
) -> dict[str, Effect]:
    """Hear all guards about one text, by default one that nothing is wrong with but its fictional number."""
    draft = Draft(to=to, payload=Sms(text=text), sender=sender)
    known = Facts(**{"size": measure(text), "now": NOON, "live": True, **facts})
    return {
        finding.guard: finding.effect for finding in check_draft(draft, known, policy or Policy(sender=SHOP))
    }


def reason(guard: str, policy: Policy, draft: Draft, facts: Facts) -> str:
    return next(finding.reason for finding in check_draft(draft, facts, policy) if finding.guard == guard)


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    assert found(live=False) == {}


# ── the recipient ──

NEVER = {
    "premium rate",
    "shared cost",
    "toll-free",
    "satellite or other international network",
    "pager",
    "personal number",
    "company number",
    "unassigned",
}


@pytest.mark.parametrize(("e164", "kind", "region", "why"), KINDS)
def test_only_numbers_that_can_take_texts_get_one(e164: str, kind: str, region: str, why: str) -> None:
    heard = found(Policy(sender=SHOP, allowed_countries=ANYWHERE | {region}), to=Number(e164))
    nordic = region in {"SE", "NO", "DK", "FI"}
    expected = REFUSE if kind in NEVER else (REFUSE if nordic else WARN) if kind == "fixed line" else None
    assert heard.get("textable_number") == expected, why


def test_ones_own_number_is_warned_of() -> None:
    assert found(to=SHOP)["textable_number"] is WARN
    assert "textable_number" not in found(to=SHOP, sender=ANNA)


@pytest.mark.parametrize(
    ("e164", "effect"),
    [
        ("+46701234567", REFUSE),
        ("+46700000001", REFUSE),
        ("+46123456789", REFUSE),
        ("+15551234567", REFUSE),
        ("+15558675309", REFUSE),
        ("+46701740605", WARN),
        ("+46701740699", WARN),
        ("+46701740610", WARN),
        ("+447700900123", WARN),
        ("+12025550123", WARN),
        ("+46701740604", None),
        ("+46701740700", None),
        ("+467017406050", None),
        ("+46700000000", None),
        ("+12025550223", None),
        ("+447700901123", None),
    ],
)
def test_a_number_made_up_by_an_assistant_is_refused_and_one_of_fiction_warned_of(
    e164: str, effect: Effect | None
) -> None:
    assert found(to=Number(e164)).get("placeholder") == effect


def test_a_dry_run_only_warns_of_made_up_numbers_and_the_sandbox_not_even_that() -> None:
    made_up = Number("+46701234567")
    assert found(to=made_up, live=False)["placeholder"] is Effect.WARN
    assert "placeholder" not in found(Policy(sender=SHOP, simulated=True), to=made_up)


@pytest.mark.parametrize(
    ("e164", "allowed", "refused"),
    [
        ("+46701740605", {"SE"}, False),
        ("+46701740605", {"NO"}, True),
        ("+4741234567", {"SE"}, True),
        ("+4741234567", {"SE", "NO"}, False),
        ("+18762101234", {"US"}, True),  # +1 is not America
        ("+18762101234", {"JM"}, False),
        ("+447911123456", {"GB"}, True),  # Guernsey
        ("+882161234567", {"SE"}, True),
        ("+15551234567", {"US"}, True),  # no country at all
    ],
)
def test_texts_go_to_allowed_countries_only(e164: str, allowed: set[str], *, refused: bool) -> None:
    heard = found(Policy(sender=SHOP, allowed_countries=frozenset(allowed)), to=Number(e164))
    assert heard.get("allowed_country") == (REFUSE if refused else None)


def test_texts_go_to_listed_recipients_only_if_there_is_a_list() -> None:
    listed = Policy(sender=SHOP, allowed_recipients=frozenset({parse_number("070-174 06 05")}))
    assert "allowed_recipient" not in found(listed, to=ANNA)
    assert found(listed, to=Number("+46701740606"))["allowed_recipient"] is REFUSE
    assert "allowed_recipient" not in found(to=Number("+46701740606"))


# ── the sender ──


def test_a_sender_that_pretends_is_refused_and_what_is_configured_never_pretends() -> None:
    pretender = SenderId("P0LICE")
    assert found(sender=pretender)["impersonation"] is REFUSE
    assert "impersonation" not in found(Policy(sender=pretender), sender=pretender)
    assert "impersonation" not in found(Policy(allowed_senders=(pretender,)), sender=pretender)
    assert "impersonation" not in found(sender=SenderId("Bankeryd"))


def test_once_senders_are_listed_no_other_may_be_used() -> None:
    listed = Policy(sender=SHOP, allowed_senders=(SenderId("Frisoren"),))
    assert "impersonation" not in found(listed, sender=SenderId("Frisoren"))
    assert "impersonation" not in found(listed, sender=SHOP)
    assert found(listed, sender=SenderId("Bokning"))["impersonation"] is REFUSE
    assert found(listed, sender=SenderId("frisoren"))["impersonation"] is REFUSE
    assert found(listed, sender=ANNA)["impersonation"] is REFUSE


@pytest.mark.parametrize(
    ("e164", "effect"),
    [
        ("+12025550123", REFUSE),
        ("+14165550123", REFUSE),
        ("+447400123456", WARN),
        ("+4741234567", WARN),
        ("+358401234567", WARN),
        ("+46701740605", None),
        ("+4530123456", None),
    ],
)
def test_a_name_is_no_sender_everywhere_and_a_number_is(e164: str, effect: Effect | None) -> None:
    assert found(to=Number(e164), sender=SenderId("Frisoren")).get("sender_usable") == effect
    assert "sender_usable" not in found(to=Number(e164), sender=SHOP)


# ── the cost ──


def sized(parts: int) -> Size:
    return Size(Encoding.GSM7, parts * 153, parts)


def priced(units: int, currency: str = "SEK", parts: int | None = None) -> Estimate:
    return Estimate(price=Money(units, currency), parts=parts)


@pytest.mark.parametrize(
    ("ours", "theirs", "most", "refused"),
    [
        (6, None, 6, False),
        (7, None, 6, True),
        (1, None, 1, False),
        (2, None, 1, True),
        (6, 6, 6, False),
        (6, 7, 6, True),  # what 46elks counts is what it bills
        (7, 6, 6, True),  # and where it counts fewer, it may have counted wrongly
    ],
)
def test_a_text_takes_no_more_parts_than_allowed(
    ours: int, theirs: int | None, most: int, *, refused: bool
) -> None:
    heard = found(
        Policy(sender=SHOP, max_parts=most),
        size=sized(ours),
        estimate=priced(1, parts=theirs) if theirs else None,
    )
    assert heard.get("too_many_parts") == (REFUSE if refused else None)


@pytest.mark.parametrize(
    ("units", "currency", "budget", "refused"),
    [
        (100_000, "SEK", None, False),
        (100_001, "SEK", None, True),
        (100_000, "NOK", None, False),
        (100_000, "DKK", None, False),
        (100_000, "EUR", None, True),
        (10_000, "EUR", None, False),
        (10_001, "EUR", None, True),
        (10_000, "", None, False),
        (10_001, "", None, True),  # of an unknown currency the small amount
        (5200, "SEK", 5200, False),
        (5201, "SEK", 5200, True),
        (5201, "EUR", 5200, True),
        (0, "SEK", 0, False),
        (1, "SEK", 0, True),
    ],
)
def test_a_message_costs_no_more_than_allowed(
    units: int, currency: str, budget: int | None, *, refused: bool
) -> None:
    heard = found(Policy(sender=SHOP, budget_per_message=budget), estimate=priced(units, currency))
    assert heard.get("message_budget") == (REFUSE if refused else None)
    assert largest_price(Policy(budget_per_message=budget), currency).currency == currency


def test_without_a_price_the_budget_says_nothing() -> None:
    assert "message_budget" not in found(Policy(sender=SHOP, budget_per_message=0))


# ── what is remembered ──

KNOWN = Recall(is_known=True)


def remembered(**facts: object) -> Recall:
    return KNOWN.model_copy(update=facts)


def test_without_a_memory_nothing_is_held_against_anybody() -> None:
    memory = {"opted_out", "daily_budget", "repeated", "velocity", "first_contact"}
    assert not memory & found(Policy(sender=SHOP, budget_per_day=0), estimate=priced(1)).keys()
    assert found(live=False, estimate=priced(5200), recall=KNOWN) == {}


@pytest.mark.parametrize("live", [False, True])
def test_who_said_stop_gets_nothing(*, live: bool) -> None:
    assert found(live=live, recall=remembered(opted_out=True))["opted_out"] is REFUSE
    assert "opted_out" not in found(live=live, recall=KNOWN)


@pytest.mark.parametrize(
    ("units", "currency", "spent", "budget", "refused"),
    [
        (5200, "SEK", 0, None, False),
        (5200, "SEK", 1_000_000 - 5200, None, False),
        (5200, "SEK", 1_000_000 - 5199, None, True),
        (5200, "NOK", 1_000_000 - 5200, None, False),
        (5200, "DKK", 1_000_000 - 5200, None, False),
        (5200, "EUR", 100_000 - 5200, None, False),
        (5200, "EUR", 100_000 - 5199, None, True),
        (5200, "", 100_000 - 5199, None, True),
        (5200, "SEK", 0, 5200, False),
        (5200, "SEK", 1, 5200, True),
        (5200, "SEK", 5200, 5199, True),  # the budget was lowered
        (0, "SEK", 0, 0, False),
        (1, "SEK", 0, 0, True),
    ],
)
def test_a_day_costs_no_more_than_allowed(
    units: int, currency: str, spent: int, budget: int | None, *, refused: bool
) -> None:
    policy = Policy(sender=SHOP, budget_per_day=budget, budget_per_message=10**9)
    heard = found(policy, estimate=priced(units, currency), recall=remembered(spent=spent))
    assert heard.get("daily_budget") == (REFUSE if refused else None)
    assert largest_day(policy, currency).currency == currency


def test_without_a_price_the_days_budget_says_nothing() -> None:
    policy = Policy(sender=SHOP, budget_per_day=0)
    assert "daily_budget" not in found(policy, recall=remembered(spent=10**9))


@pytest.mark.parametrize(
    ("lately", "today", "most", "refused"),
    [
        (0, 0, 5, False),
        (4, 4, 5, False),
        (5, 5, 5, True),
        (6, 6, 5, True),
        (0, 19, 5, False),
        (0, 20, 5, True),  # four times as many in a day, whoever wrote in between
        (4, 20, 5, True),
        (0, 0, 1, False),
        (1, 1, 1, True),
        (0, 3, 1, False),
        (0, 4, 1, True),
    ],
)
def test_a_number_gets_no_more_texts_than_allowed(
    lately: int, today: int, most: int, *, refused: bool
) -> None:
    policy = Policy(sender=SHOP, max_per_number=most)
    heard = found(policy, recall=remembered(lately=lately, today=today))
    assert heard.get("velocity") == (REFUSE if refused else None)


def test_a_repetition_is_warned_of_by_the_number_of_the_order_it_repeats() -> None:
    again = remembered(repeated="O-22222222")
    assert found(recall=again)["repeated"] is WARN
    facts = Facts(size=measure("Hej!"), now=NOON, live=True, recall=again)
    said = reason(
        "repeated", Policy(sender=SHOP), Draft(to=ANNA, payload=Sms(text="Hej!"), sender=SHOP), facts
    )
    assert "O-22222222" in said


def test_a_number_that_nobody_knows_is_a_reason_to_ask() -> None:
    assert found(recall=Recall())["first_contact"] is ASK
    assert "first_contact" not in found(recall=KNOWN)


def test_a_text_that_a_stranger_may_have_asked_for_is_a_reason_to_ask() -> None:
    assert found(taint=Taint(created_at=NOON))["tainted"] is ASK
    assert "tainted" not in found(taint=None)


# ── what a person should see first ──


@pytest.mark.parametrize("text", LINKED)
def test_an_address_is_seen_however_it_hides(text: str) -> None:
    assert found(text=text)["link"] is ASK


@pytest.mark.parametrize("text", UNLINKED)
def test_an_ordinary_text_has_no_address(text: str) -> None:
    assert "link" not in found(text=text)


def test_the_tables_of_texts_are_as_long_as_they_should_be() -> None:
    assert len(set(LINKED)) >= 60
    assert len(set(UNLINKED)) >= 60


@pytest.mark.parametrize(
    "text", ["a." * 50_000, "h " * 50_000, "http" * 25_000, "1." * 50_000, "a " * 50_000]
)
def test_looking_for_an_address_takes_no_time(text: str) -> None:
    began = time.process_time()
    found(text=text, size=sized(1))
    assert time.process_time() - began < 2


STOCKHOLM, NEW_YORK, JAMAICA = (
    ZoneInfo("Europe/Stockholm"),
    ZoneInfo("America/New_York"),
    ZoneInfo("America/Jamaica"),
)
IN_NEW_YORK, IN_JAMAICA, IN_AUSTRALIA = Number("+12025550123"), Number("+18762101234"), Number("+61412345678")
BEFORE_THE_CLOCKS_GO = (2026, 3, 28), (2026, 3, 29), (2026, 10, 24), (2026, 10, 25)


@pytest.mark.parametrize(
    "date", [(2026, 1, 15), (2026, 7, 15), *BEFORE_THE_CLOCKS_GO, (2026, 3, 8), (2026, 11, 1)]
)
@pytest.mark.parametrize(("to", "zone"), [(ANNA, STOCKHOLM), (IN_NEW_YORK, NEW_YORK), (IN_JAMAICA, JAMAICA)])
@pytest.mark.parametrize(
    ("hour", "minute", "night"),
    [
        (20, 59, False),
        (21, 0, True),
        (23, 59, True),
        (0, 0, True),
        (3, 30, True),
        (7, 59, True),
        (8, 0, False),
        (12, 0, False),
    ],
)
def test_night_is_from_21_to_8_by_the_recipients_clock(
    date: tuple[int, int, int], to: Number, zone: ZoneInfo, hour: int, minute: int, *, night: bool
) -> None:
    now = datetime(*date, hour, minute, tzinfo=zone).astimezone(UTC)
    assert found(to=to, now=now).get("night") == (WARN if night else None)


def test_in_a_wide_country_it_is_night_if_it_is_anywhere() -> None:
    perth, sydney = ZoneInfo("Australia/Perth"), ZoneInfo("Australia/Sydney")
    assert found(to=IN_AUSTRALIA, now=datetime(2026, 7, 1, 20, 0, tzinfo=perth))["night"] is WARN
    assert found(to=IN_AUSTRALIA, now=datetime(2026, 7, 1, 9, 0, tzinfo=sydney))["night"] is WARN
    assert "night" not in found(to=IN_AUSTRALIA, now=datetime(2026, 7, 1, 14, 0, tzinfo=sydney))


def test_where_the_zone_is_unknown_there_is_no_night() -> None:
    at_midnight = datetime(2026, 7, 1, 0, 0, tzinfo=UTC)
    assert "night" not in found(to=Number("+882161234567"), now=at_midnight)


# ── all of them ──

WRONG_IN_ALL_WAYS = Draft(
    to=Number("+15551234567"), payload=Sms(text="Se example.com " + "x" * 1000), sender=SenderId("P0LICE")
)
AT_NIGHT = Facts(
    size=measure(WRONG_IN_ALL_WAYS.text),
    now=datetime(2026, 7, 1, 6, 0, tzinfo=UTC),
    live=True,
    estimate=priced(200_000),
    recall=Recall(opted_out=True, lately=5, today=5, spent=900_000, repeated="O-22222222", unread=True),
    own_numbers=AccountNumbers(configured=frozenset({"+15551234567"})),
    taint=Taint(created_at=NOON),
)
STRICT = Policy(allowed_recipients=frozenset({ANNA}))


def test_all_is_reported_at_once_by_name_and_in_order() -> None:
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
    assert set(GUARD_NAMES) - set(names) == {"sender_usable", "maybe_opted_out"}
    assert [name for name in GUARD_NAMES if name in names] == names


@pytest.mark.parametrize("guard", GUARD_NAMES)
def test_a_guard_can_be_switched_off_but_for_three(guard: str) -> None:
    policy = STRICT.model_copy(update={"guards_off": frozenset({guard})})
    before = [finding.guard for finding in check_draft(WRONG_IN_ALL_WAYS, AT_NIGHT, STRICT)]
    after = [finding.guard for finding in check_draft(WRONG_IN_ALL_WAYS, AT_NIGHT, policy)]
    kept = guard in {"impersonation", "opted_out", "daily_budget"}
    assert after == (before if kept else [name for name in before if name != guard])
    assert (guard in NOT_SWITCHABLE) == kept


@pytest.mark.parametrize(
    ("guard", "words", "variable"),
    [
        ("allowed_country", "is not among the countries texts may go to: SE.", "ELKS_ALLOWED_COUNTRIES"),
        ("allowed_recipient", "another number will not do instead.", "ELKS_ALLOWED_RECIPIENTS"),
        (
            "impersonation",
            "looks like police: a bank, an authority or a known brand.",
            "ELKS_ALLOWED_SENDERS",
        ),
        ("too_many_parts", "takes 7 parts and 6 are allowed; shorten it.", "ELKS_MAX_PARTS"),
        (
            "message_budget",
            "would cost 20.00 SEK, and one message may cost 10.00 SEK at most.",
            "ELKS_BUDGET_PER_MESSAGE",
        ),
        (
            "daily_budget",
            "would cost 20.00 SEK, and of the 100.00 SEK for any 24 hours 10.00 SEK is left.",
            "ELKS_BUDGET_PER_DAY",
        ),
        (
            "velocity",
            "were sent or wait for a person, who can approve or cancel them; try again later.",
            "ELKS_MAX_PER_NUMBER",
        ),
    ],
)
def test_a_refusal_by_policy_says_why_and_names_the_operators_variable(
    guard: str, words: str, variable: str
) -> None:
    said = reason(guard, STRICT, WRONG_IN_ALL_WAYS, AT_NIGHT)
    assert said.endswith(f"{words} The operator can change that with {variable}.")


def test_nobody_is_told_a_way_round_a_stop() -> None:
    said = reason("opted_out", STRICT, WRONG_IN_ALL_WAYS, AT_NIGHT)
    assert "until they write START themselves" in said
    assert "ELKS_" not in said
    assert "opt-outs" not in said, "an assistant may have a shell"


def test_of_a_budget_that_is_overspent_nothing_is_left() -> None:
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
        recipients = frozenset(draw(st.sets(st.sampled_from(sorted(recipients, key=written)), min_size=1)))
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
def test_a_list_of_recipients_or_senders_never_lets_more_through(
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
def test_guards_do_not_know_each_other(draft: Draft, policy: Policy, live: bool, data: st.DataObject) -> None:
    facts = data.draw(facts_about(draft, live=live))
    alone = {
        guard.__name__: said[0]
        for guard in reversed(GUARDS)
        if (said := guard(draft, facts, policy))
        and (guard.__name__ in NOT_SWITCHABLE or guard.__name__ not in policy.guards_off)
    }
    assert {finding.guard: finding.effect for finding in check_draft(draft, facts, policy)} == alone


@given(drafts, policies, st.booleans(), st.text(max_size=20), st.data())
def test_how_a_text_is_sent_changes_nothing(
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


# ── who agrees ──

LINK = Finding(guard="link", effect=ASK, reason="There is a web address in the text.")
NIGHT = Finding(guard="night", effect=WARN, reason="It is night.")
TAINTED = Finding(guard="tainted", effect=ASK, reason="The assistant read texts from others.")
FINDINGS = [(), (LINK,), (NIGHT,), (LINK, NIGHT), (TAINTED,), (LINK, TAINTED, NIGHT)]


def expected_approver(
    confirm: Confirm, findings: tuple[Finding, ...], *, lifts: bool, can_ask: bool
) -> Approver | None:
    """Say it in other words than the code: None where nothing may be sent."""
    if lifts or confirm is Confirm.ALWAYS or TAINTED in findings:
        if confirm is Confirm.NEVER:
            return None
        return Approver.PERSON if can_ask else Approver.TERMINAL
    wanted = LINK in findings and confirm is Confirm.AUTO and can_ask
    return Approver.PERSON if wanted else Approver.POLICY


@pytest.mark.parametrize(
    ("confirm", "findings", "lifts", "can_ask"),
    list(product(Confirm, FINDINGS, [False, True], [False, True])),
)
def test_a_person_agrees_where_the_operator_a_guard_or_a_dry_run_wants_one(
    confirm: Confirm, findings: tuple[Finding, ...], *, lifts: bool, can_ask: bool
) -> None:
    policy = Policy(dry_run=lifts, confirm=confirm, sender=SHOP)
    reasons = reasons_to_ask(policy, findings, lifts_dry_run=lifts)
    expected = expected_approver(confirm, findings, lifts=lifts, can_ask=can_ask)
    if expected is None:
        with pytest.raises(NotApproved, match="ELKS_CONFIRM=never"):
            who_agrees(policy, reasons, can_ask=can_ask)
    else:
        assert who_agrees(policy, reasons, can_ask=can_ask) is expected


@pytest.mark.parametrize(("confirm", "findings", "lifts"), list(product(Confirm, FINDINGS, [False, True])))
def test_the_reasons_to_ask_are_the_dry_run_or_the_operator_and_then_the_guards(
    confirm: Confirm, findings: tuple[Finding, ...], *, lifts: bool
) -> None:
    policy = Policy(dry_run=lifts, confirm=confirm, sender=SHOP)
    names = [reason.guard for reason in reasons_to_ask(policy, findings, lifts_dry_run=lifts)]
    first = ["dry_run"] if lifts else ["confirm"] if confirm is Confirm.ALWAYS else []
    assert names == first + [each.guard for each in findings if each is not NIGHT]


@pytest.mark.parametrize(
    ("confirm", "read_only", "can_ask"), list(product(Confirm, [False, True], [False, True]))
)
def test_a_dry_run_is_lifted_only_where_a_person_may_and_can_be_asked(
    confirm: Confirm, *, read_only: bool, can_ask: bool
) -> None:
    policy = Policy(read_only=read_only, confirm=confirm, sender=SHOP)
    obstacle = (
        "ELKS_READ_ONLY"
        if read_only
        else "ELKS_CONFIRM=never"
        if confirm is Confirm.NEVER
        else ""
        if can_ask
        else "cannot ask"
    )
    if not obstacle:
        check_liftable(policy, can_ask=can_ask)
        return
    with pytest.raises(NotApproved, match=obstacle) as refusal:
        check_liftable(policy, can_ask=can_ask)
    assert ("DRY_RUN=false" in refusal.value.hint) != read_only


@pytest.mark.parametrize(
    ("dry_run", "read_only", "simulated", "mode"),
    [
        (True, False, False, Mode.DRY_RUN),
        (False, False, False, Mode.LIVE),
        (False, True, False, Mode.DRY_RUN),
        (True, True, False, Mode.DRY_RUN),
        (True, False, True, Mode.SANDBOX),
        (False, False, True, Mode.SANDBOX),
        (False, True, True, Mode.SANDBOX),
    ],
)
def test_a_policy_is_live_only_if_nothing_holds_it(
    *, dry_run: bool, read_only: bool, simulated: bool, mode: Mode
) -> None:
    policy = Policy(dry_run=dry_run, read_only=read_only, simulated=simulated)
    assert policy.mode is mode
    assert policy.live == (not dry_run and not read_only)


@pytest.mark.parametrize(
    ("sender", "home"),
    [
        (None, "SE"),
        (SHOP, "SE"),
        (SenderId("Frisoren"), "SE"),
        (Number("+4741234567"), "NO"),
        (Number("+882161234567"), "SE"),
        (Number("+15551234567"), "SE"),
    ],
)
def test_national_numbers_are_the_senders_countrys_or_swedish(sender: Sender | None, home: str) -> None:
    assert Policy(sender=sender).home == home
