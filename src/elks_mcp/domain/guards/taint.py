"""The guard on taint: a text to one person after the model was shown texts of others."""

from datetime import timedelta

from elks_mcp.domain.guards.facts import Facts, GuardResult
from elks_mcp.domain.guards.links import holds_link
from elks_mcp.domain.models import Taint
from elks_mcp.domain.orders import Draft, Effect
from elks_mcp.domain.policy import Policy
from elks_mcp.domain.taint import TAINT_LASTS

_SPREADS_FROM = 3
"""Recipients within `TAINT_LASTS`, other than the writers, from which a person is asked."""


def tainted(draft: Draft, facts: Facts, policy: Policy) -> GuardResult:
    """Ask about a text that a stranger's text may have caused, as in theft of data.

    A text to a known recipient gets only a warning: to a number on the allow-list, or one that was texted, or
    was a contact's, before the stranger's text was written. If such a text has a link, or is for the third
    such recipient, a person is asked as well, so that nothing spreads.
    """
    if facts.taint is None:
        return None
    minutes = TAINT_LASTS // timedelta(minutes=1)
    read = f"In the last {minutes} minutes the assistant read texts from others"
    shown = f"{read}, and this {draft.payload.NOUN} goes to a different number"
    first_sent_at = facts.recall.first_sent_at if facts.recall else None
    was_texted_before = first_sent_at is not None and first_sent_at < facts.taint.created_at
    is_allowed = draft.to in policy.allowed_recipients
    if not (was_texted_before or is_allowed or _was_contact(draft, facts, facts.taint)):
        return Effect.ASK, f"{shown}, which was not texted before they were written."
    if holds_link(draft.text) and not draft.payload.IS_SPOKEN:
        return Effect.ASK, f"{shown} and contains a web address."
    if facts.taint.texted + 1 >= _SPREADS_FROM:
        return Effect.ASK, f"{shown}, as did texts to {facts.taint.texted} other people in that time."
    return Effect.WARN, f"{shown}, which is a known recipient."


def _was_contact(draft: Draft, facts: Facts, taint: Taint) -> bool:
    """Return whether the recipient was a contact before the stranger's text was written.

    Contacts that changed later prove nothing: that text may have caused the change.
    """
    changed_at = facts.contacts.changed_at
    is_older = changed_at is not None and changed_at < taint.created_at
    return is_older and bool(facts.contacts.list_owners(draft.to))
