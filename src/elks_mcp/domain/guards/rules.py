"""What is looked at before a text may go out.

A guard is a pure function of the draft, the facts and the operator's policy. It says nothing, or
what should happen and why: refuse, ask a person, or warn. `GUARDS` is all of them, in the order
their findings are shown; all are heard, always.
"""

import re
from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AwareDatetime

from elks_mcp.domain.consent import quote
from elks_mcp.domain.display import time_in_words
from elks_mcp.domain.guards.links import holds_link
from elks_mcp.domain.guards.lookalike import pretended_name
from elks_mcp.domain.models import AccountNumbers, Frozen, OptOut, Recall, Taint
from elks_mcp.domain.money import Money
from elks_mcp.domain.orders import Draft, Effect, Estimate, Finding
from elks_mcp.domain.phone import Number, NumberKind, SenderId, written
from elks_mcp.domain.policy import Policy, largest_day, largest_price
from elks_mcp.domain.text import Size
from elks_mcp.runtime.clock import in_zone


class Facts(Frozen):
    """What is known about a draft at the moment of asking."""

    size: Size
    now: AwareDatetime
    live: bool
    """Whether it would really be handed to 46elks."""

    estimate: Estimate | None = None
    recall: Recall | None = None
    """What is remembered; None where nothing can be, as in a dry run that never was anything else."""

    quote: str = ""
    """What the recipient wrote when they opted out, or may have, if it is at hand; cleaned, short."""

    own_numbers: AccountNumbers = AccountNumbers()

    taint: Taint | None = None
    """Texts of others than the recipient were shown to the model a short while ago."""


GuardResult = tuple[Effect, str] | None
"""What a guard says: nothing, or what should happen and why. `check_draft` adds the guard's name."""

Guard = Callable[[Draft, Facts, Policy], GuardResult]

NOT_SWITCHABLE = frozenset({"impersonation", "opted_out", "daily_budget"})
"""Guards that `ELKS_GUARDS_OFF` cannot switch off."""


def check_draft(draft: Draft, facts: Facts, policy: Policy) -> tuple[Finding, ...]:
    """Hear every guard that is on."""
    heard = (
        (guard.__name__, guard(draft, facts, policy)) for guard in GUARDS if is_on(guard.__name__, policy)
    )
    return tuple(
        Finding(guard=name, effect=said[0], reason=said[1], quote=facts.quote if name in _QUOTING else "")
        for name, said in heard
        if said
    )


_QUOTING = frozenset({"opted_out", "maybe_opted_out"})
"""Guards whose findings quote what the recipient wrote."""


def is_on(guard: str, policy: Policy) -> bool:
    """Tell whether the operator left a guard on."""
    return guard in NOT_SWITCHABLE or guard not in policy.guards_off


def _refuse(reason: str, variable: str) -> GuardResult:
    return Effect.REFUSE, f"{reason} The operator can change that with {variable}."


# ── recipient ──

_NEVER_TEXTED = frozenset(
    {
        NumberKind.PREMIUM_RATE,
        NumberKind.SHARED_COST,
        NumberKind.TOLL_FREE,
        NumberKind.SATELLITE,
        NumberKind.PAGER,
        NumberKind.PERSONAL,
        NumberKind.COMPANY,
        NumberKind.VOICEMAIL,
    }
)
_NO_TEXTS_ON_FIXED_LINES = frozenset({"SE", "NO", "DK", "FI"})


def textable_number(draft: Draft, _facts: Facts, _policy: Policy) -> GuardResult:
    """Look for a number that can take texts, by its country's numbering plan (libphonenumber)."""
    kind, region = draft.to.kind, draft.to.region
    if kind is NumberKind.UNASSIGNED:
        return Effect.REFUSE, f"{draft.to.e164} is in no country's numbering plan; check the digits."
    if kind in _NEVER_TEXTED:
        return Effect.REFUSE, f"{draft.to.e164} takes no texts, or dear ones: {kind}."
    if kind is NumberKind.FIXED_LINE:
        effect = Effect.REFUSE if region in _NO_TEXTS_ON_FIXED_LINES else Effect.WARN
        return effect, f"{draft.to.e164} is a fixed line in {draft.to.country}; those rarely take texts."
    if draft.to == draft.sender:
        return Effect.WARN, "The recipient is the sender's own number."
    return None


_INVENTED = frozenset(
    {
        "+46701234567",
        "+46721234567",
        "+46731234567",
        "+46761234567",
        "+46700000001",
        "+46701111111",
        "+46123456789",
        "+4512345678",
        "+4712345678",
        "+358401234567",
        "+447911123456",
        "+15551234567",
    }
)
"""Numbers that assistants and manuals make up where a real one is missing."""

_FICTION = re.compile(r"\+467017406(0[5-9]|[1-9]\d)|\+447700900\d{3}|\+1\d{3}55501\d\d")
"""Reserved for books and films by PTS (070-174 06 05–99), Ofcom (07700 900000–900999), NANPA (555-01XX)."""


def placeholder(draft: Draft, facts: Facts, policy: Policy) -> GuardResult:
    """Look for an example number where a person's was meant; the sandbox has nothing but those.

    A dry run is what examples are for: it warns of what a live server refuses.
    """
    if policy.simulated:
        return None
    if draft.to.e164 in _INVENTED or draft.to.e164.startswith("+1555"):
        effect = Effect.REFUSE if facts.live else Effect.WARN
        return effect, f"{draft.to.e164} is an example number; ask for the recipient's real one."
    if facts.live and _FICTION.fullmatch(draft.to.e164):
        reserved = "is reserved for fiction: it reaches nobody, and 46elks charges for it"
        return Effect.WARN, f"{draft.to.e164} {reserved}."
    return None


def allowed_country(draft: Draft, _facts: Facts, policy: Policy) -> GuardResult:
    """Keep to the countries the operator texts to: fraud goes to the others."""
    if draft.to.region in policy.allowed_countries:
        return None
    allowed = ", ".join(sorted(policy.allowed_countries))
    where = f"{draft.to.country} ({draft.to.region or 'unknown'})"
    return _refuse(
        f"{where} is not among the countries texts may go to: {allowed}.", "ELKS_ALLOWED_COUNTRIES"
    )


def allowed_recipient(draft: Draft, _facts: Facts, policy: Policy) -> GuardResult:
    """Keep to the numbers the operator listed, if there is a list."""
    if not policy.allowed_recipients or draft.to in policy.allowed_recipients:
        return None
    return _refuse(
        f"{draft.to.e164} is not among the recipients allowed here; another number will not do instead.",
        "ELKS_ALLOWED_RECIPIENTS",
    )


def own_number(draft: Draft, facts: Facts, _policy: Policy) -> GuardResult:
    """Refuse a number of the account: the text would come back as an incoming one from its sender.

    Excepted are the operator's test to the sender itself, and a configured number that 46elks does not list:
    a verified mobile, which is a phone and sends nothing back.
    """
    to, own = draft.to.e164, facts.own_numbers
    is_phone = own.listed is not None and to not in own.listed
    if to not in own or draft.to == draft.sender or is_phone:
        return None
    effect = Effect.REFUSE if facts.live else Effect.WARN
    return effect, (
        f"{to} is a number of this 46elks account: the text would come back as an incoming one "
        f"from {written(draft.sender)}. Give the number of the person who is meant."
    )


def opted_out(_draft: Draft, facts: Facts, policy: Policy) -> GuardResult:
    """Refuse a recipient who opted out, until they write START or a person lifts it by hand."""
    if facts.recall is None or not facts.recall.opted_out:
        return None
    opt_out = facts.recall.opt_out
    when = f" on {_written(opt_out.at, policy)}" if opt_out else ""
    recorded = f", as a person recorded{_reason(opt_out)}" if opt_out and opt_out.by_person else ""
    return Effect.REFUSE, f"The recipient opted out{when}{recorded}. {_UNTIL_START}"


_UNTIL_START = (
    "No texts go there until they write START themselves; only a person can correct a mistake, by hand."
)
"""It names no command: an assistant may have a shell."""


def maybe_opted_out(_draft: Draft, facts: Facts, policy: Policy) -> GuardResult:
    """Ask a person when the latest text from the recipient is likely an opt-out."""
    if facts.recall is None or facts.recall.opted_out or facts.recall.maybe_opted_out is None:
        return None
    when = _written(facts.recall.maybe_opted_out.at, policy)
    return Effect.ASK, f"The latest text from the recipient, on {when}, may be an opt-out."


def _reason(opt_out: OptOut) -> str:
    return f': "{quote(opt_out.reason)}"' if opt_out.reason else ""


def _written(moment: datetime, policy: Policy) -> str:
    return time_in_words(in_zone(moment, policy.time_zone))


def unread_history(_draft: Draft, facts: Facts, _policy: Policy) -> GuardResult:
    """Look for a text in the account's history that may be a STOP, and cannot be read."""
    if facts.recall is None or not facts.recall.unread:
        return None
    unread = "A text in 46elks' history could not be read in the last 7 days, and it may be anybody's STOP"
    return Effect.ASK, f"{unread}. It can be looked at on 46elks.com, under SMS history."


# ── sender ──


def impersonation(draft: Draft, _facts: Facts, policy: Policy) -> GuardResult:
    """Look for a sender that pretends to be a bank, an authority or a known brand.

    Names are compared by their skeleton, alone or with what fraud adds to them: `P0LICE` and
    `NORDEALOGIN` are refused, `Bankeryd` and `FoodBank` are not. A configured sender never pretends.
    """
    if draft.sender in policy.senders:
        return None
    if policy.allowed_senders:
        allowed = ", ".join(written(sender) for sender in policy.senders)
        return _refuse(
            f"{written(draft.sender)} is not among the senders allowed here: {allowed}.",
            "ELKS_ALLOWED_SENDERS",
        )
    if isinstance(draft.sender, SenderId) and (name := pretended_name(draft.sender.name)):
        return _refuse(
            f"The sender {draft.sender.name} looks like {name}: a bank, an authority or a known brand.",
            "ELKS_ALLOWED_SENDERS",
        )
    return None


def unknown_sender(draft: Draft, facts: Facts, policy: Policy) -> GuardResult:
    """Refuse a number as sender that is not the account's; have a person see a name nobody configured.

    A dry run warns. 46elks' page (https://46elks.com/kb/text-sender-id) forbids nobody's number.
    """
    if draft.sender in policy.senders:
        return None
    name, own = written(draft.sender), facts.own_numbers
    if isinstance(draft.sender, SenderId):
        return Effect.ASK, (
            f"The sender {name} is not configured here. "
            "The operator can add it to ELKS_ALLOWED_SENDERS, after which no others can be used."
        )
    if name in own:
        return None
    unread = f" 46elks' list of them could not be read: {own.fault}" if own.fault and not own.listed else ""
    return Effect.REFUSE if facts.live else Effect.WARN, (
        f"The sender {name} is not a number of this 46elks account, so the text would pass for "
        f"somebody else's.{unread} Leave `from` out. If the number is the operator's own, such as a mobile "
        "verified at 46elks, which no list shows: set ELKS_PHONE_NUMBER or ELKS_ALLOWED_SENDERS to it."
    )


_NO_TEXT_SENDERS = frozenset({"US", "CA", "PR", "CN"})
_REGISTERED_SENDERS = frozenset({"FI", "IE", "ES", "SG", "AU", "IN", "GB", "NO"})
"""Countries whose operators show or block text senders that were not registered, as of 2026-11."""


def sender_usable(draft: Draft, _facts: Facts, _policy: Policy) -> GuardResult:
    """Look for a text sender where the recipient's country takes none, or only registered ones."""
    if isinstance(draft.sender, Number):
        return None
    if draft.to.region in _NO_TEXT_SENDERS:
        return Effect.REFUSE, f"{draft.to.country} takes no text as sender; use a phone number as `from`."
    if draft.to.region in _REGISTERED_SENDERS:
        fate = "others are changed, marked as spam or dropped"
        return Effect.WARN, f"{draft.to.country} wants text senders registered; {fate}."
    return None


# ── cost ──


def too_many_parts(_draft: Draft, facts: Facts, policy: Policy) -> GuardResult:
    """Keep a text from becoming a book: each part is billed."""
    theirs = facts.estimate.parts if facts.estimate else None
    parts = max(facts.size.parts, theirs or 0)
    if parts <= policy.max_parts:
        return None
    return _refuse(
        f"The text takes {parts} parts and {policy.max_parts} are allowed; shorten it.", "ELKS_MAX_PARTS"
    )


def message_budget(_draft: Draft, facts: Facts, policy: Policy) -> GuardResult:
    """Keep one message from costing more than the operator thought of."""
    if facts.estimate is None:
        return None
    price = facts.estimate.price
    if price <= (most := largest_price(policy, price.currency)):
        return None
    return _refuse(
        f"It would cost {price}, and one message may cost {most} at most.", "ELKS_BUDGET_PER_MESSAGE"
    )


def daily_budget(_draft: Draft, facts: Facts, policy: Policy) -> GuardResult:
    """Keep 24 hours from costing more than the operator thought of; what is under way counts."""
    if facts.estimate is None or facts.recall is None:
        return None
    price = facts.estimate.price
    most, spent = largest_day(policy, price.currency), Money(facts.recall.spent, price.currency)
    if spent + price <= most:
        return None
    left = Money(max(0, most.units - spent.units), price.currency)
    return _refuse(
        f"It would cost {price}, and of the {most} for any 24 hours {left} is left.", "ELKS_BUDGET_PER_DAY"
    )


# ── too often ──


def repeated(_draft: Draft, facts: Facts, _policy: Policy) -> GuardResult:
    """Look for the same text to the same number a short while ago: an agent that tries again.

    It stops nothing; `send_sms` answers with the order that is there already.
    """
    if facts.recall is None or facts.recall.repeated is None:
        return None
    known = f"order {facts.recall.repeated} is for the same text to the same number, in these 15 minutes"
    return Effect.WARN, f"It would not be sent again: {known}. A new idempotencyKey makes it another."


_TIMES_A_DAY = 4


def velocity(draft: Draft, facts: Facts, policy: Policy) -> GuardResult:
    """Keep one number from being flooded, with texts that wait for a person too.

    A text from there starts the 10 minutes anew, not the day.
    """
    if facts.recall is None:
        return None
    most = policy.max_per_number
    if facts.recall.lately >= most:
        found = f"In 10 minutes {facts.recall.lately} texts to {draft.to.e164} were sent"
        return _refuse(f"{found}{_OR_WAIT}; try again later.", "ELKS_MAX_PER_NUMBER")
    if facts.recall.today >= most * _TIMES_A_DAY:
        found = f"In 24 hours {facts.recall.today} texts to {draft.to.e164} were sent"
        return _refuse(f"{found}{_OR_WAIT}; try again tomorrow.", "ELKS_MAX_PER_NUMBER")
    return None


_OR_WAIT = " or wait for a person, who can approve or cancel them"


# ── what a person should see first ──


def link(draft: Draft, _facts: Facts, _policy: Policy) -> GuardResult:
    """Look for an address in the text: the tool of fraud, and the way out for stolen data."""
    return (Effect.ASK, "There is a web address in the text.") if holds_link(draft.text) else None


def first_contact(draft: Draft, facts: Facts, policy: Policy) -> GuardResult:
    """Look for a stranger: not on the allow-list, never texted by us and never heard from."""
    if facts.recall is None or facts.recall.is_known or draft.to in policy.allowed_recipients:
        return None
    return Effect.ASK, "Nothing was ever sent to this number or received from it, as far as is known here."


_SPREADS_FROM = 3
"""So many different people, besides who wrote, cannot be texted in 30 minutes without being asked about."""


def tainted(draft: Draft, facts: Facts, policy: Policy) -> GuardResult:
    """Look for a text that a stranger's words may have asked for: the way data are stolen by message.

    Somebody known from before may be texted, so that work goes on: who is on the allow-list, or was texted
    by us before the words were written. But not with a link, nor many of them, so that nothing spreads.
    """
    if facts.taint is None:
        return None
    shown = "In the last 30 minutes the assistant read texts from others, and this goes to somebody else"
    first_sent_at = facts.recall.first_sent_at if facts.recall else None
    was_texted_before = first_sent_at is not None and first_sent_at < facts.taint.created_at
    if not was_texted_before and draft.to not in policy.allowed_recipients:
        return Effect.ASK, f"{shown}, who was not texted before those were written."
    if holds_link(draft.text):
        return Effect.ASK, f"{shown}, with a web address in it."
    if facts.taint.texted + 1 >= _SPREADS_FROM:
        return Effect.ASK, f"{shown}; so did texts to {facts.taint.texted} others in this time."
    return Effect.WARN, f"{shown}, who is known from before."


_NIGHT_BEGINS, _NIGHT_ENDS = 21, 8


def night(draft: Draft, facts: Facts, _policy: Policy) -> GuardResult:
    """Look at the clock where the recipient is; in a large country, at the latest and the earliest."""
    hours = [local.hour for zone in draft.to.zones if (local := _local(facts.now, zone))]
    if not any(hour >= _NIGHT_BEGINS or hour < _NIGHT_ENDS for hour in hours):
        return None
    return Effect.WARN, f"It is night ({_NIGHT_BEGINS}–08) where the recipient is, in {draft.to.country}."


def _local(now: datetime, zone: str) -> datetime | None:
    try:
        return now.astimezone(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError):
        return None


GUARDS: tuple[Guard, ...] = (
    textable_number,
    placeholder,
    allowed_country,
    allowed_recipient,
    own_number,
    opted_out,
    maybe_opted_out,
    unread_history,
    impersonation,
    unknown_sender,
    sender_usable,
    too_many_parts,
    message_budget,
    daily_budget,
    repeated,
    velocity,
    link,
    first_contact,
    tainted,
    night,
)

GUARD_NAMES = tuple(guard.__name__ for guard in GUARDS)
