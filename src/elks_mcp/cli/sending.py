"""Send a text from the command line: ask the person at the terminal, then carry it out."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import click

from elks_mcp.answers.outcomes import AnyOrderAnswer, report_outcome
from elks_mcp.answers.results import OrderAnswer, SendAnswer
from elks_mcp.app import App
from elks_mcp.cli.confirm import confirm
from elks_mcp.cli.exit_codes import ExitCode
from elks_mcp.cli.output import (
    can_ask,
    list_facts,
    measure_columns,
    progress,
    say,
    show_number,
    show_person,
    wrap,
)
from elks_mcp.cli.session import Session, explain_sandbox, print_json
from elks_mcp.domain.approval import write_question
from elks_mcp.domain.contacts import Contacts
from elks_mcp.domain.display import quote_lines
from elks_mcp.domain.orders import Quote
from elks_mcp.domain.payloads import Payload, Sms
from elks_mcp.domain.phone import written
from elks_mcp.domain.policy import Policy
from elks_mcp.domain.send_times import format_send_time
from elks_mcp.errors import NotApproved
from elks_mcp.sending.outcomes import SendOutcome, carry_out
from elks_mcp.sending.plan import Decision, DryRunOnly, NeedsApproval, Planned, Ready
from elks_mcp.sending.send_requests import SendRequest, SmsRequest

Reporter = Callable[[App, DryRunOnly | SendOutcome], Awaitable[AnyOrderAnswer]]
"""Returns the answer about an outcome."""

T = TypeVar("T")

_INTERRUPTED = "You interrupted it. The text may have been sent: do not send it again. Its state is in"
_CALL_INTERRUPTED = "You interrupted it. The call may have been made: do not call again. How it ends is in"
_HOW_TO_SEND = "To send it, add --no-dry-run, which asks you first, or set DRY_RUN=false."
DECLINED = "You declined, so nothing was sent."
_CALL_DECLINED = "You declined, so nobody was called."
NO_TERMINAL = "Standard input is not a terminal"
"""Why no person can be asked here, without a full stop."""


def send_text(session: Session, request: SmsRequest, *, yes: bool) -> SendAnswer | None:
    """Send a text, and return the outcome. `send_order` explains the arguments and the errors."""

    async def report(app: App, outcome: DryRunOnly | SendOutcome) -> SendAnswer:
        return await report_outcome(app, outcome, request.message)

    return send_order(session, request, report, yes=yes)


def send_order(
    session: Session, request: SendRequest, report: Reporter[AnyOrderAnswer], *, yes: bool
) -> AnyOrderAnswer | None:
    """Send something after the questions that it needs, and return the outcome.

    A question of a guard is always asked. `report`: returns the answer about an outcome. `yes`: do not ask
    whether to send what no guard asks about.

    Returns:
        The outcome; None if the text waits for a person's approval, which was then printed.

    Raises:
        ElksError: nothing was sent, and nothing will be.
    """
    app = session.app
    with progress("Asking 46elks for the price …"):
        planned = session.do(_plan, session, request)
    if isinstance(planned, NeedsApproval) and not can_ask():
        say_what_to_run(session, planned)
        return None
    decision = ask(session, planned, yes=yes)

    async def send(app: App, planned: Planned, decision: Decision) -> AnyOrderAnswer:
        return await report(app, await carry_out(app.planner, planned, decision, app.settle_time))

    answer: AnyOrderAnswer = carry_out_or_decline(session, planned, decision, send)
    if app.policy.simulated:
        notes = (*answer.notes, explain_sandbox()) if session.as_json else answer.notes
        answer = answer.model_copy(update={"notes": notes})
    return answer


async def _plan(session: Session, request: SendRequest) -> Planned:
    return await session.app.planner.plan(request, can_ask=can_ask())


def ask(session: Session, planned: Planned, *, yes: bool) -> Decision:
    """Ask the person what has to be asked about a text. `yes`: as in `send_text`.

    Raises:
        NotApproved: the person declined a text that has no order yet.
    """
    contacts, policy = session.app.contacts.known, session.app.policy
    if isinstance(planned, NeedsApproval):
        zone, columns = policy.time_zone, measure_columns()
        say(write_question(planned.order, planned.reasons, contacts, zone, columns), err=True)
        question = _ask_whether(planned.order.payload)
        return Decision.APPROVED if confirm_or_decline(f"\n{question}") else Decision.DECLINED
    if isinstance(planned, Ready) and can_ask() and not yes:
        say("\n".join(_describe(planned.quote, contacts, policy)), err=True)
        if not confirm_or_decline(_ask_whether(planned.quote.draft.payload)):
            raise NotApproved(_CALL_DECLINED if _is_call(planned) else DECLINED)
    return Decision.NOT_NEEDED


def _is_call(planned: Planned) -> bool:
    if isinstance(planned, DryRunOnly | Ready):
        return planned.quote.draft.payload.IS_SPOKEN
    return planned.order.payload.IS_SPOKEN


def _ask_whether(payload: Payload) -> str:
    return "Make the call?" if payload.IS_SPOKEN else "Send it?"


def _describe_step(planned: Planned) -> str:
    if isinstance(planned, DryRunOnly):
        return "Checking …"
    return "Calling, and waiting for the end of the call …" if _is_call(planned) else "Sending …"


def carry_out_or_decline(
    session: Session,
    planned: Planned,
    decision: Decision,
    send: Callable[[App, Planned, Decision], Awaitable[T]],
) -> T:
    """Carry out what was planned, or decline it.

    Declining what was approved elsewhere returns its outcome. `send`: carries it out, and returns the answer.
    """
    app, declined = session.app, decision is Decision.DECLINED
    try:
        with progress("Declining …" if declined else _describe_step(planned)):
            return session.do(send, app, planned, decision)
    except NotApproved:
        if declined:
            raise NotApproved(_CALL_DECLINED if _is_call(planned) else DECLINED) from None
        raise
    except KeyboardInterrupt:  # it cannot be called back
        said, where = (_CALL_INTERRUPTED, "calls") if _is_call(planned) else (_INTERRUPTED, "outbox")
        say(f"elks-mcp: {said} {app.command(where)}", err=True)
        raise click.exceptions.Exit(ExitCode.UNKNOWN) from None


def confirm_or_decline(question: str) -> bool:
    """Ask yes or no; Ctrl-C and the end of input mean no."""
    try:
        return confirm(question, err=True)
    except click.Abort:
        say("", err=True)
        return False


def _describe(quote: Quote, contacts: Contacts, policy: Policy) -> list[str]:
    """Return what is sent to whom for how much, and when, for the ordinary question."""
    draft, home = quote.draft, policy.home
    size = draft.payload.describe_size(quote.parts)
    encoding = f" ({draft.payload.encoding})" if isinstance(draft.payload, Sms) else ""
    facts = {
        "to": f"{show_person(contacts.find_name(draft.to), draft.to.e164, home)} ({draft.to.country})",
        "from": show_number(written(draft.sender), home),
        "at": format_send_time(draft.send_at, draft.to, policy.time_zone) if draft.send_at else "",
        "with": draft.payload.attachment,
        "cost": ", ".join(filter(None, (str(quote.estimate.price), f"{size}{encoding}"))),
    }
    notes = [row for each in quote.findings for row in wrap(f"Note: {each.in_words}")]
    shown = draft.payload.shown_text
    return [*(quote_lines(shown, measure_columns()) if shown else []), *list_facts(facts), *notes]


def say_what_to_run(session: Session, planned: NeedsApproval) -> None:
    """Print how a person approves a text that waits, because standard input is not a terminal."""
    app, order = session.app, planned.order
    message = app.planner.explain_waiting(planned, NO_TERMINAL)
    hint = f"Do not send it again. Its status: {app.command(f'status {order.id}')}"
    print_waiting(session, order.approval_code, {"orderId": order.id}, message, hint)


def print_waiting(
    session: Session, code: str | None, ids: Mapping[str, str], message: str, hint: str
) -> None:
    """Print that a text or a batch waits for approval.

    `code`: its approval code. `ids`: its id, by the name that it has as JSON.
    """
    if session.as_json:
        print_json({"status": "waiting", "approval": code, **ids, "message": message, "hint": hint})
    else:
        say("\n".join(wrap(f"{message} {hint}")), err=True)


def describe_outcome(session: Session, answer: OrderAnswer) -> list[str]:
    """Return the outcome of a request to send something, in rows for a person."""
    home = session.app.policy.home
    facts = {
        "to": f"{show_person(answer.to_name, answer.to, home)} ({answer.country})",
        "from": show_number(answer.sender, home),
        "cost": f"{answer.price}, {answer.size_in_words}",
        "order": answer.order_id or "",
    }
    notes = [f"Note: {each.in_words}" for each in answer.findings]
    if answer.order_id and not session.app.policy.simulated:
        notes.append(f"For its delivery: {session.app.command(f'status {answer.order_id}')}")
    if answer.status == "dry_run" and session.app.policy.dry_run and can_ask():
        notes.append(_HOW_TO_SEND)
    rows = [row for each in (*notes, *answer.notes) for row in wrap(each)]
    return [*wrap(answer.summary), *list_facts(facts), *rows]


def find_code(answer: OrderAnswer) -> ExitCode:
    """Return the exit code for the outcome of a request to send something."""
    return _CODES.get(answer.status, ExitCode.DONE)


_CODES = {
    "queued": ExitCode.WAITS,
    "sending": ExitCode.UNKNOWN,
    "in_doubt": ExitCode.UNKNOWN,
    "unknown": ExitCode.UNKNOWN,
}
