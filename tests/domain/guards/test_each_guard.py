"""Each guard, with texts that it finds and texts that it lets through."""

import time
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from elks_mcp.domain.guards import Facts, check_draft
from elks_mcp.domain.models import Recall, Taint
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Draft, Effect, Estimate
from elks_mcp.domain.payloads import Sms
from elks_mcp.domain.phone import Number, Sender, SenderId, parse_number
from elks_mcp.domain.policy import (
    Policy,
    largest_day,
    largest_price,
)
from elks_mcp.domain.text import Encoding, Size, measure
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
    """Run all guards on one text, by default one whose only fault is its fictitious number."""
    draft = Draft(to=to, payload=Sms(text=text), sender=sender)
    known = Facts(**{"size": measure(text), "now": NOON, "live": True, **facts})
    return {
        finding.guard: finding.effect for finding in check_draft(draft, known, policy or Policy(sender=SHOP))
    }


def reason(guard: str, policy: Policy, draft: Draft, facts: Facts) -> str:
    return next(finding.reason for finding in check_draft(draft, facts, policy) if finding.guard == guard)


def test_a_text_without_faults_has_no_findings() -> None:
    assert found(live=False) == {}


def test_content_that_is_not_billed_by_the_part_may_be_long() -> None:
    assert found(text="a" * 5000, live=False) == {"too_many_parts": REFUSE}
    assert found(text="a" * 5000, live=False, size=None) == {}


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
def test_only_numbers_that_can_receive_texts_get_one(e164: str, kind: str, region: str, why: str) -> None:
    findings = found(Policy(sender=SHOP, allowed_countries=ANYWHERE | {region}), to=Number(e164))
    nordic = region in {"SE", "NO", "DK", "FI"}
    expected = REFUSE if kind in NEVER else (REFUSE if nordic else WARN) if kind == "fixed line" else None
    assert findings.get("textable_number") == expected, why


def test_the_operators_own_number_causes_a_warning() -> None:
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
def test_a_made_up_number_is_refused_and_a_fictitious_one_causes_a_warning(
    e164: str, effect: Effect | None
) -> None:
    assert found(to=Number(e164)).get("placeholder") == effect


def test_a_dry_run_only_warns_of_made_up_numbers_and_the_sandbox_does_not() -> None:
    made_up = Number("+46701234567")
    assert found(to=made_up, live=False)["placeholder"] is Effect.WARN
    assert "placeholder" not in found(Policy(sender=SHOP, simulated=True), to=made_up)


def test_with_a_remote_sandbox_only_the_warning_about_fictitious_numbers_is_omitted() -> None:
    assert "placeholder" not in found(to=Number("+46701740605"), simulated=True)
    assert found(to=Number("+46701234567"), simulated=True)["placeholder"] is Effect.REFUSE


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
def test_only_allowed_countries_are_texted(e164: str, allowed: set[str], *, refused: bool) -> None:
    findings = found(Policy(sender=SHOP, allowed_countries=frozenset(allowed)), to=Number(e164))
    assert findings.get("allowed_country") == (REFUSE if refused else None)


def test_only_listed_recipients_are_texted_if_there_is_a_list() -> None:
    listed = Policy(sender=SHOP, allowed_recipients=frozenset({parse_number("070-174 06 05")}))
    assert "allowed_recipient" not in found(listed, to=ANNA)
    assert found(listed, to=Number("+46701740606"))["allowed_recipient"] is REFUSE
    assert "allowed_recipient" not in found(to=Number("+46701740606"))


# ── the sender ──


def test_a_sender_that_impersonates_is_refused_unless_it_is_configured() -> None:
    pretender = SenderId("P0LICE")
    assert found(sender=pretender)["impersonation"] is REFUSE
    assert "impersonation" not in found(Policy(sender=pretender), sender=pretender)
    assert "impersonation" not in found(Policy(allowed_senders=(pretender,)), sender=pretender)
    assert "impersonation" not in found(sender=SenderId("Bankeryd"))


def test_if_senders_are_listed_no_other_may_be_used() -> None:
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
def test_a_number_can_be_the_sender_in_every_country_and_a_name_cannot(
    e164: str, effect: Effect | None
) -> None:
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
    findings = found(
        Policy(sender=SHOP, max_parts=most),
        size=sized(ours),
        estimate=priced(1, parts=theirs) if theirs else None,
    )
    assert findings.get("too_many_parts") == (REFUSE if refused else None)


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
    findings = found(Policy(sender=SHOP, budget_per_message=budget), estimate=priced(units, currency))
    assert findings.get("message_budget") == (REFUSE if refused else None)
    assert largest_price(Policy(budget_per_message=budget), currency).currency == currency


def test_without_a_price_the_budget_has_no_finding() -> None:
    assert "message_budget" not in found(Policy(sender=SHOP, budget_per_message=0))


# ── what is remembered ──

KNOWN = Recall(is_known=True)


def remembered(**facts: object) -> Recall:
    return KNOWN.model_copy(update=facts)


def test_without_the_store_no_recipient_is_refused() -> None:
    memory = {"opted_out", "daily_budget", "repeated", "velocity", "first_contact"}
    assert not memory & found(Policy(sender=SHOP, budget_per_day=0), estimate=priced(1)).keys()
    assert found(live=False, estimate=priced(5200), recall=KNOWN) == {}


@pytest.mark.parametrize("live", [False, True])
def test_a_recipient_who_opted_out_gets_nothing(*, live: bool) -> None:
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
def test_texts_of_a_day_cost_no_more_than_allowed(
    units: int, currency: str, spent: int, budget: int | None, *, refused: bool
) -> None:
    policy = Policy(sender=SHOP, budget_per_day=budget, budget_per_message=10**9)
    findings = found(policy, estimate=priced(units, currency), recall=remembered(spent=spent))
    assert findings.get("daily_budget") == (REFUSE if refused else None)
    assert largest_day(policy, currency).currency == currency


def test_without_a_price_the_daily_budget_has_no_finding() -> None:
    policy = Policy(sender=SHOP, budget_per_day=0)
    assert "daily_budget" not in found(policy, recall=remembered(spent=10**9))


@pytest.mark.parametrize(
    ("texts_in_10_minutes", "texts_in_24_hours", "most", "refused"),
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
    texts_in_10_minutes: int, texts_in_24_hours: int, most: int, *, refused: bool
) -> None:
    policy = Policy(sender=SHOP, max_per_number=most)
    findings = found(
        policy,
        recall=remembered(texts_in_10_minutes=texts_in_10_minutes, texts_in_24_hours=texts_in_24_hours),
    )
    assert findings.get("velocity") == (REFUSE if refused else None)


def test_a_repetition_causes_a_warning_with_the_id_of_the_repeated_order() -> None:
    again = remembered(repeated="O-22222222")
    assert found(recall=again)["repeated"] is WARN
    facts = Facts(size=measure("Hej!"), now=NOON, live=True, recall=again)
    said = reason(
        "repeated", Policy(sender=SHOP), Draft(to=ANNA, payload=Sms(text="Hej!"), sender=SHOP), facts
    )
    assert "O-22222222" in said


def test_an_unknown_number_is_a_reason_to_ask() -> None:
    assert found(recall=Recall())["first_contact"] is ASK
    assert "first_contact" not in found(recall=KNOWN)


def test_a_text_that_a_stranger_may_have_asked_for_is_a_reason_to_ask() -> None:
    assert found(taint=Taint(created_at=NOON))["tainted"] is ASK
    assert "tainted" not in found(taint=None)


# ── what a person should see first ──


@pytest.mark.parametrize("text", LINKED)
def test_an_address_is_found_however_it_is_disguised(text: str) -> None:
    assert found(text=text)["link"] is ASK


@pytest.mark.parametrize("text", UNLINKED)
def test_an_ordinary_text_has_no_address(text: str) -> None:
    assert "link" not in found(text=text)


def test_the_tables_of_texts_are_complete() -> None:
    assert len(set(LINKED)) >= 60
    assert len(set(UNLINKED)) >= 60


@pytest.mark.parametrize(
    "text", ["a." * 50_000, "h " * 50_000, "http" * 25_000, "1." * 50_000, "a " * 50_000]
)
def test_searching_for_an_address_is_fast(text: str) -> None:
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


def test_in_a_country_with_several_zones_it_is_night_if_it_is_in_one() -> None:
    perth, sydney = ZoneInfo("Australia/Perth"), ZoneInfo("Australia/Sydney")
    assert found(to=IN_AUSTRALIA, now=datetime(2026, 7, 1, 20, 0, tzinfo=perth))["night"] is WARN
    assert found(to=IN_AUSTRALIA, now=datetime(2026, 7, 1, 9, 0, tzinfo=sydney))["night"] is WARN
    assert "night" not in found(to=IN_AUSTRALIA, now=datetime(2026, 7, 1, 14, 0, tzinfo=sydney))


def test_if_the_zone_is_unknown_it_is_never_night() -> None:
    at_midnight = datetime(2026, 7, 1, 0, 0, tzinfo=UTC)
    assert "night" not in found(to=Number("+882161234567"), now=at_midnight)
