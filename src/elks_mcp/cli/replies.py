"""`elks-mcp wait` and `ask`: wait for a text, or send a question and wait for the answer."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from elks_mcp.answers.history import HistoryEntry, ReplyAnswer
from elks_mcp.answers.listing import report_readable
from elks_mcp.answers.reply_waits import ReplyWait, wait_for_answer, wait_for_text
from elks_mcp.answers.results import AskAnswer
from elks_mcp.app import App
from elks_mcp.cli.arguments import join_words
from elks_mcp.cli.exit_codes import ExitCode
from elks_mcp.cli.history import describe_text
from elks_mcp.cli.output import progress, say, show_progress, wrap
from elks_mcp.cli.sending import describe_outcome, find_code, send_text
from elks_mcp.cli.session import Session, session_command
from elks_mcp.cli.sms import dry_run_option, key_option, read_text, sender_option, text_arguments, yes_option
from elks_mcp.domain.models import Message
from elks_mcp.inbound.received_cache import PendingRead
from elks_mcp.sending.send_requests import SmsRequest

_WAITING = "Waiting for a reply (Ctrl-C ends it) …"

_timeout = click.option(
    "--timeout",
    "seconds",
    default=300.0,
    show_default=True,
    type=click.FloatRange(0, 86400),
    help="How many seconds to wait.",
)


@click.command()
@click.argument("number", nargs=-1, metavar="[NUMBER]", callback=join_words)
@click.option("--after", default="", help="Only texts after this: a cursor, an order (O-…) or a text's id.")
@_timeout
@session_command()
def wait(session: Session, *, number: str, after: str, seconds: float) -> int:
    """Wait for a text, and show it.

    With NUMBER, or the name of a contact, a text from that number since the latest text to it. Without, the
    next text from any number.

    Exit code 0 if a text arrived, 3 if none arrived in time.
    """
    session.app.require_account()
    with session.app.replies.received.pending_read() as reading, _ending_with_ctrl_c(), progress(_WAITING):
        answer = session.do(wait_for_text, _make_wait(session, reading, seconds), number, after)
    session.print(answer, _describe_reply(session, answer))
    return _find_reply_code(answer)


@click.command()
@text_arguments
@sender_option
@_timeout
@dry_run_option
@key_option
@yes_option
@session_command(sends="queue")
def ask(
    session: Session,
    *,
    words: tuple[str, ...],
    sender: str,
    seconds: float,
    dry_run: bool | None,
    key: str,
    yes: bool,
) -> int:
    """Send a question, and wait for the answer.

    It is `send`, with all its rules, and then `wait`.

    Exit code 0 if the answer arrived, 3 if it did not arrive in time; otherwise as `send`.
    """
    to, text = read_text(words)
    request = SmsRequest(
        to=to, message=text, sender=sender, dry_run=dry_run, idempotency_key=key, awaits_reply=True
    )
    with session.app.replies.received.pending_read() as reading:  # before sending: the answer may come soon
        sent = send_text(session, request, yes=yes)
        if sent is None:
            return ExitCode.WAITS
        if not session.as_json:
            say("\n".join(describe_outcome(session, sent)))
        with _ending_with_ctrl_c(), progress(_WAITING):
            answer = session.do(wait_for_answer, _make_wait(session, reading, seconds), sent)
    return _report_answer(session, answer)


@contextmanager
def _ending_with_ctrl_c() -> Iterator[None]:
    """End the command if the person interrupts the wait; what was sent before stays sent."""
    try:
        yield
    except KeyboardInterrupt:
        say("The wait was interrupted.", err=True)
        raise click.exceptions.Exit(ExitCode.WAITS) from None


def _make_wait(session: Session, reading: PendingRead, seconds: float) -> ReplyWait:
    async def report_progress(waited: float) -> None:
        show_progress(f"{_WAITING} {waited:.0f} of {seconds:.0f} seconds")

    return ReplyWait(session.app, reading, seconds, _show, report_progress)


async def _show(app: App, message: Message) -> HistoryEntry:
    (entry,) = await report_readable(app, [message], among=[message])
    return entry


def _report_answer(session: Session, answer: AskAnswer) -> int:
    reply = answer.reply
    rows = ["", *_describe_reply(session, reply)] if reply else []
    session.print(answer, [*rows, *(wrap(answer.note) if answer.note else [])])
    if reply:
        return _find_reply_code(reply)
    return ExitCode.WAITS if answer.note else find_code(answer.sent)


def _describe_reply(session: Session, answer: ReplyAnswer) -> list[str]:
    """Return a text that came, or how to continue waiting, in rows for a person."""
    if answer.message:
        return [*describe_text(session, answer.message), *(wrap(answer.note) if answer.note else [])]
    if answer.status == "received":
        return wrap(f"A text arrived. {answer.note}")
    number = f"{answer.sender} " if answer.sender else ""
    again = f"To continue: {session.app.command(f'wait {number}--after {answer.cursor}')}"
    return wrap(" ".join(each for each in ("No text arrived in time.", answer.note, again) if each))


def _find_reply_code(answer: ReplyAnswer) -> ExitCode:
    return ExitCode.DONE if answer.status == "received" else ExitCode.WAITS
