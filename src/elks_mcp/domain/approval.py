"""Approval by a person: when it is needed, the question, and the time limits."""

from datetime import timedelta, tzinfo

from elks_mcp.domain.cleaning import has_invisible
from elks_mcp.domain.contacts import Contacts
from elks_mcp.domain.display import FORM_COLUMNS, lay_out, quote_lines, split_lines, visible
from elks_mcp.domain.orders import Approver, Effect, Finding, Order, of_effect
from elks_mcp.domain.payloads import unknown_kind
from elks_mcp.domain.phone import written
from elks_mcp.domain.policy import Confirm, Policy
from elks_mcp.domain.send_times import describe_send_time, format_send_time
from elks_mcp.domain.taint import TAINT_LASTS
from elks_mcp.domain.wording import format_count, format_duration
from elks_mcp.errors import NotApproved

APPROVAL_TIMEOUT = timedelta(minutes=30)
"""How long an order waits for a person. Its price stays valid that long."""

APPROVED_SEND_TIMEOUT = timedelta(hours=1)
"""How long an order that a person approved waits for a server to send it."""


def write_question(
    order: Order,
    reasons: tuple[Finding, ...],
    contacts: Contacts,
    zone: tzinfo | None = None,
    columns: int | None = None,
) -> str:
    """Return everything that a person needs to know to approve an order.

    Each line of the text has a bar in front, so that it cannot pass for words of this server. Recipient and
    price come before the text and at the end, since a long text moves the first lines off the screen. In a
    form the text comes before the reasons, since Claude Code shows only the first three lines.

    Args:
        order: the order that waits for approval.
        reasons: why a person is asked.
        contacts: the operator's contacts, which name the recipient. The number is shown as well.
        zone: the operator's time zone; None is the machine's.
        columns: the width of the terminal. Without it the question is for a client's form. It is then always
            the same for the same order, since the newer protocol repeats the question in each round.

    Raises:
        StateUnavailable: a newer version placed the order, and this one does not know its kind.
    """
    if not order.payload.is_known:
        raise unknown_kind(order.id, order.kind)
    text, recipient = order.payload.shown_text, describe_recipient(order, contacts)
    shown = f" Shown as {order.payload.shown_as}." if order.payload.shown_as else ""
    time, size, code = _list_time(order, zone), describe_size(order), f"Approval {order.approval_code}."
    first = f"{order.payload.QUESTION} {recipient} from {visible(written(order.sender))}{_attach(order)}?"
    last = f"It goes to {recipient} for {size}."
    why = [f"You are asked because of: {name_guards(reasons)}.", *_list_reasons(order, reasons)]
    begin, end = _enclose(order.payload.CONTENT, text)
    if columns is None:
        when = f", on {format_send_time(order.send_at, order.to, zone)}" if order.send_at else ""
        above, below = [first, f"{size}{when}. {begin}"], [f"{end} {code}{shown}".strip(), *why, last, *time]
    else:
        above, below = [first, *time, f"{size}.{shown} {code}", *why, begin], [f"{end} {last}".strip(), *time]
    quoted = quote_lines(text, columns or FORM_COLUMNS) if text else []
    return "\n".join([*lay_out(above, columns), *quoted, *lay_out(below, columns)])


def _attach(order: Order) -> str:
    """Return what goes with the text, after a comma, or ""."""
    return f", with {visible(order.payload.attachment)}" if order.payload.attachment else ""


def _enclose(word: str, text: str) -> tuple[str, str]:
    """Return what stands before a text and after it. `word`: what the text is called."""
    if not text:
        return "It has no text.", ""
    hidden = " (it contains invisible characters)" if has_invisible(text) else ""
    return f"The {word}, behind a bar on each line{hidden}:", f"End of the {word}: {size_in_lines(text)}."


def write_cancel_question(order: Order, reason: Finding, contacts: Contacts, zone: tzinfo | None) -> str:
    """Return everything that a person needs to know to let an assistant cancel an order.

    The question is for a client's form, and always the same for the same order and reason. `zone`: the
    operator's time zone; None is the machine's.
    """
    lines = quote_lines(order.payload.shown_text, FORM_COLUMNS)
    recipient = describe_recipient(order, contacts)
    more = "" if len(lines) <= _FIRST_LINES else " It continues."
    when = f", for {format_send_time(order.send_at, order.to, zone)}" if order.send_at else ""
    begins = f"The {order.payload.CONTENT} begins, behind a bar on each line:"
    return "\n".join(
        [
            f"Cancel this {order.payload.NOUN} to {recipient} from {visible(written(order.sender))}?",
            "If you do, it is never sent. If you do not, it is sent as planned.",
            f"You are asked because of: {reason.guard}.",
            f"- {reason.reason}",
            f"Order {order.id}, {describe_size(order)}{when}. {begins}",
            *lines[:_FIRST_LINES],
            f"End of what is shown.{more}",
        ]
    )


_FIRST_LINES = 3
"""Lines of a text that the question about cancelling it shows: enough to recognize it."""


def name_guards(reasons: tuple[Finding, ...]) -> str:
    """Return the guards of several reasons, each once."""
    return ", ".join(dict.fromkeys(reason.guard for reason in reasons))


def size_in_lines(text: str) -> str:
    """Return the length of a text in words: `301 lines, 2345 characters`."""
    return f"{format_count(len(split_lines(text)), 'line')}, {format_count(len(text), 'character')}"


def _list_time(order: Order, zone: tzinfo | None) -> list[str]:
    """Return when the order goes out, as one line, or none if that is as soon as it can."""
    when = describe_send_time(order, zone)
    return [f"It goes out on {when}."] if when else []


def _list_reasons(order: Order, reasons: tuple[Finding, ...]) -> list[str]:
    """Return the reasons and warnings as a list."""
    items = [f"- {each.in_words}" for each in reasons]
    items += [f"- Note: {each.reason}" for each in of_effect(order.findings, Effect.WARN)]
    return [visible(each) for each in items]


def describe_recipient(order: Order, contacts: Contacts) -> str:
    """Return the recipient of an order, with the name in the contacts and the country."""
    if order.to is None:
        return "forgotten"
    name = contacts.find_name(order.to)
    number = f"{order.to.e164} ({order.to.country})"
    return f"{name}, {number}" if name else number


def describe_size(order: Order) -> str:
    """Return the size of an order in words, if its kind has one, and its price."""
    size = order.payload.describe_size(order.parts)
    return f"{size}, {order.price}" if size else str(order.price)


def check_liftable(policy: Policy, *, can_ask: bool, undone: str = "") -> None:
    """Check that a person could approve sending one text although the server is in dry run.

    `can_ask`: whether the client can ask a person. `undone`: what a server in dry run does not do even if a
    person approves it, such as "send the text at its time"; "" if it does it.

    Raises:
        NotApproved: the rules forbid asking, or the client cannot ask, or the text would not be sent.
    """
    if policy.read_only:
        raise NotApproved(
            "This server is read-only (ELKS_READ_ONLY).", hint="Only its operator can change that."
        )
    if policy.confirm is Confirm.NEVER:
        raise NotApproved(
            "This server is in dry run, and it may not ask a person to send for real (ELKS_CONFIRM=never).",
            hint=_TURN_LIVE,
        )
    if not can_ask:
        raise NotApproved(
            "This server is in dry run, and no person can be asked here to send for real.",
            hint=_TURN_LIVE,
        )
    if undone:
        raise NotApproved(f"This server is in dry run, so it would not {undone}.", hint=_TURN_LIVE)


def reasons_to_ask(
    policy: Policy, findings: tuple[Finding, ...], *, lifts_dry_run: bool, simulated: bool = False
) -> tuple[Finding, ...]:
    """Return the reasons why a person should approve a text before it is sent.

    `lifts_dry_run`: the caller wants the text sent although the server is in dry run. `simulated`: a sandbox
    of another process takes 46elks' place; used for words only.
    """
    reasons = []
    if lifts_dry_run:
        where = "go to a simulated phone" if policy.simulated or simulated else "really be sent"
        reasons.append(_ask("dry_run", f"The server is in dry run; this text would {where}."))
    elif policy.confirm is Confirm.ALWAYS:
        reasons.append(ALWAYS_ASKED)
    return (*reasons, *of_effect(findings, Effect.ASK))


def choose_approver(policy: Policy, reasons: tuple[Finding, ...], *, can_ask: bool) -> Approver:
    """Return who must approve a text for these reasons.

    It is the policy, or a person in the client or in a terminal.

    Raises:
        NotApproved: a person must approve the text, and the rules forbid asking one.
    """
    if binding := [reason for reason in reasons if reason.guard in PERSON_ONLY]:
        if policy.confirm is Confirm.NEVER:
            raise NotApproved(f"{binding[0].reason} {NEVER_ASKS}", hint=_explain_other_ways(binding))
        return Approver.PERSON if can_ask else Approver.TERMINAL
    asked = bool(reasons) and can_ask and policy.confirm is Confirm.AUTO
    return Approver.PERSON if asked else Approver.POLICY


def _explain_other_ways(reasons: list[Finding]) -> str:
    """Return what can be done if a person must approve something, and no person may be asked."""
    guards, other = {reason.guard for reason in reasons}, ""
    if guards == {"tainted"}:
        other = f"; or try again after these {format_duration(TAINT_LASTS)}"
    elif guards == {"night"}:
        other = ", or switch the guard off with ELKS_GUARDS_OFF=night. Or call when it is day there"
    return f"The operator can set ELKS_CONFIRM=auto{other}."


NEVER_ASKS = "A person would have to approve it, but this server may not ask one (ELKS_CONFIRM=never)."
"""Why nothing happens if a person has to approve it, and the operator allows no question."""

_TURN_LIVE = "The operator can set DRY_RUN=false to send for real; a dry run shows the price."
PERSON_ONLY = frozenset({"dry_run", "confirm", "tainted", "many", "repeated", "night"})
"""Reasons for which a text waits for a person, even if the client cannot ask one.

`night` asks about calls only, and not about those of alerts.
"""


def _ask(name: str, reason: str) -> Finding:
    return Finding(guard=name, effect=Effect.ASK, reason=reason)


ALWAYS_ASKED = _ask("confirm", "The operator requires approval of every text.")
"""The reason to ask a person with `ELKS_CONFIRM=always`."""


def explain_asking(
    order: Order, policy: Policy | None = None, *, simulated: bool = False
) -> tuple[Finding, ...]:
    """Return the reasons for which an order needs a person's approval, at least one.

    `policy`: the rules of the server that asks. A command does not know them, since an order records the
    findings of the guards, but not the settings of its server. If the client could not ask, and no finding
    requires a person, the order waits for a terminal only because the operator requires approval of every
    text. `simulated`: as for `reasons_to_ask`.
    """
    if policy:
        lifts = not policy.live
        reasons = reasons_to_ask(policy, order.findings, lifts_dry_run=lifts, simulated=simulated)
        return reasons or (_ASKED_BEFORE,)
    asking = of_effect(order.findings, Effect.ASK)
    if order.approver is Approver.TERMINAL and not any(each.guard in PERSON_ONLY for each in asking):
        return (ALWAYS_ASKED, *asking)
    return asking or (_BY_SERVER,)


def explain_unnamed_reason() -> Finding:
    """Return the reason to ask a person that only the settings of the server that asks can name."""
    return _BY_SERVER


_ASKED_BEFORE = Finding(
    guard="confirm",
    effect=Effect.ASK,
    reason="It was requested under earlier rules and still waits for a person.",
)

_BY_SERVER = Finding(
    guard="dry_run or confirm",
    effect=Effect.ASK,
    reason="The server is in dry run, or its operator requires approval of every text.",
)
