"""Guards on the recipient: kind and country of the number, allow-list, first contact."""

import re

from elks_mcp.domain.allowed_recipients import allows_contact
from elks_mcp.domain.guards.facts import Facts, GuardResult, refuse
from elks_mcp.domain.orders import Draft, Effect
from elks_mcp.domain.phone import NumberKind, written
from elks_mcp.domain.policy import Policy

_NEVER_TEXTED = {
    NumberKind.PREMIUM_RATE: "a premium-rate number",
    NumberKind.SHARED_COST: "a shared-cost number",
    NumberKind.TOLL_FREE: "a toll-free number",
    NumberKind.SATELLITE: "a number of a satellite or other international network",
    NumberKind.PAGER: "a pager",
    NumberKind.PERSONAL: "a personal number",
    NumberKind.COMPANY: "a company number",
    NumberKind.VOICEMAIL: "a voicemail number",
}
_NO_TEXTS_ON_FIXED_LINES = frozenset({"SE", "NO", "DK", "FI"})


def textable_number(draft: Draft, _facts: Facts, _policy: Policy) -> GuardResult:
    """Refuse numbers that cannot receive texts by their numbering plan (libphonenumber).

    A call may go to a fixed line, and to no number that costs extra.
    """
    kind, region = draft.to.kind, draft.to.region
    if kind is NumberKind.UNASSIGNED:
        return Effect.REFUSE, f"{draft.to.e164} is not in any country's numbering plan. Check the digits."
    if words := _NEVER_TEXTED.get(kind):
        why = "it cannot receive texts, or only at extra cost."
        if draft.payload.IS_SPOKEN:
            why = "a call to it costs extra, or is impossible."
        return Effect.REFUSE, f"{draft.to.e164} is {words}; {why}"
    if kind is NumberKind.FIXED_LINE and not draft.payload.IS_SPOKEN:
        effect = Effect.REFUSE if region in _NO_TEXTS_ON_FIXED_LINES else Effect.WARN
        return (
            effect,
            f"{draft.to.e164} is a fixed line in {draft.to.country}; most fixed lines cannot receive texts.",
        )
    if draft.to == draft.sender:
        return Effect.WARN, "The recipient is the sender's own number."
    return None


_EXAMPLES = frozenset(
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
"""Numbers that assistants and manuals use in place of a real one."""

_FICTION = re.compile(r"\+467017406(0[5-9]|[1-9]\d)|\+447700900\d{3}|\+1\d{3}55501\d\d")
"""Numbers reserved for books and films.

By PTS (070-174 06 05–99), Ofcom (07700 900000–900999) and NANPA (555-01XX).
"""


def placeholder(draft: Draft, facts: Facts, policy: Policy) -> GuardResult:
    """Refuse example numbers, and warn of numbers that are reserved for fiction.

    An example number is only warned of in dry run, which is for trying things out. The sandbox has no other
    numbers, so nothing is checked there. With a sandbox of another process, whose phones have the numbers
    that are reserved for fiction, only the warning is left out.
    """
    if policy.simulated:
        return None
    if draft.to.e164 in _EXAMPLES or draft.to.e164.startswith("+1555"):
        effect = Effect.REFUSE if facts.live else Effect.WARN
        return effect, f"{draft.to.e164} is an example number. Ask for the recipient's real number."
    if facts.live and not facts.simulated and _FICTION.fullmatch(draft.to.e164):
        noun = draft.payload.NOUN
        reserved = f"is reserved for fiction: a {noun} to it reaches no phone, and 46elks charges for it"
        return Effect.WARN, f"{draft.to.e164} {reserved}."
    return None


def allowed_country(draft: Draft, _facts: Facts, policy: Policy) -> GuardResult:
    """Refuse countries that the operator does not text to; fraud sends to others."""
    if draft.to.region in policy.allowed_countries:
        return None
    allowed = ", ".join(sorted(policy.allowed_countries))
    country = f"{draft.to.country} ({draft.to.region or 'unknown'})"
    return refuse(f"{country} is not one of the allowed countries: {allowed}.", "ELKS_ALLOWED_COUNTRIES")


def allowed_recipient(draft: Draft, facts: Facts, policy: Policy) -> GuardResult:
    """Refuse recipients that are not on the operator's list, if there is one."""
    allowed = policy.allowed_recipients
    if not allowed or draft.to in allowed:
        return None
    is_allowed = allows_contact(allowed, draft.to, facts.contacts)
    if facts.why_held and is_allowed != allows_contact(allowed, draft.to, facts.held_contacts):
        when = "any more, according to the current contacts" if is_allowed else "yet"
        reason = f"{draft.to.e164} is not one of the allowed recipients {when}. {facts.why_held}"
        return Effect.REFUSE, reason
    if is_allowed:
        return None
    return refuse(
        f"{draft.to.e164} is not one of the allowed recipients. Do not send to another number instead.",
        "ELKS_ALLOWED_RECIPIENTS",
    )


def own_number(draft: Draft, facts: Facts, _policy: Policy) -> GuardResult:
    """Refuse a number of the account, since the text would come back as an incoming one.

    Two exceptions: the operator's test to the sender itself, and a configured number that 46elks does not
    list. The latter is a verified mobile, which is a phone and sends nothing back.
    """
    to, own = draft.to.e164, facts.own_numbers
    is_phone = own.listed is not None and to not in own.listed
    if to not in own or draft.to == draft.sender or is_phone:
        return None
    effect = Effect.REFUSE if facts.live else Effect.WARN
    return effect, (
        f"{to} is a number of this 46elks account, so the {draft.payload.NOUN} would come back as an "
        f"incoming one from {written(draft.sender)}. Use the number of the person it is meant for."
    )


def first_contact(draft: Draft, facts: Facts, policy: Policy) -> GuardResult:
    """Ask about a stranger: not listed, not a contact, never texted, and never received from."""
    if facts.recall is None or facts.recall.is_known:
        return None
    if facts.contacts.list_owners(draft.to) or draft.to in policy.allowed_recipients:
        return None
    never = "No text was ever sent to this number or received from it"
    return Effect.ASK, f"{never}, as far as this server knows."
